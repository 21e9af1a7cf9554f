"""What is still to be shown comes in order and comes back until it stands, is removed, or can never stand."""

from __future__ import annotations

from dataclasses import replace

from bot.messages import Address, Button, ChatKey, Closes
from bot.ports import Claim, Final, Outcome
from storage import Store
from tests.storage.saying import (
    AWAY,
    HOME,
    bodies,
    only_claim,
    opened,
    outcome,
    pieces,
    replying,
    said,
    waiting_control,
)


async def test_pieces_wait_in_the_order_of_turns_slots_and_numbers(store: Store) -> None:
    first = await _opened(store, "1")
    await store.complete(first, outcome(pieces=[*pieces(first, "c", slot=1), *pieces(first, "a", "b")]))
    await store.stop(await waiting_control(store, "2"), HOME, "", "", replying("d"))
    second = await _opened(store, "3")
    await store.complete(second, outcome(pieces=pieces(second, "e")))
    assert bodies([final for _, final in await store.waiting(HOME)]) == ["a", "b", "c", "d", "e"]


async def test_what_stands_waits_no_more(store: Store) -> None:
    claim = await _opened(store, "1")
    first, second = await store.complete(claim, outcome(pieces=pieces(claim, "a", "b")))
    await store.shown(HOME, [replace(first, id="p1")])
    assert await store.waiting(HOME) == [(Address(HOME), second)]
    await store.shown(HOME, [replace(second, id="p2")])
    assert await store.waiting(HOME) == []
    assert await store.take() == []


async def test_where_a_piece_goes_comes_with_it_after_a_restart(url: str) -> None:
    address = Address(HOME, reply_to="m1", via="token", group=True)
    async with opened(url) as store:
        claim = await _opened(store, "1")
        told: Outcome = replace(outcome(pieces=pieces(claim, "a")), address=address)
        finals = await store.complete(claim, told)
    async with opened(url) as store:
        assert await store.take() == [HOME]
        assert await store.waiting(HOME) == [(address, final) for final in finals]


async def test_a_preview_that_stands_is_the_message_of_the_final_piece(store: Store) -> None:
    claim = await _opened(store, "1")
    [final] = await store.complete(claim, outcome(pieces=pieces(claim, "a")))
    await store.sent(HOME, claim.turn, 0, 0, "p1")
    assert await store.waiting(HOME) == [(Address(HOME), replace(final, id="p1"))]


async def test_a_preview_alone_waits_for_nothing(store: Store) -> None:
    claim = await _opened(store, "1")
    await store.sent(HOME, claim.turn, 0, 0, "p1")
    await store.sent(HOME, claim.turn, 0, 0, "p2")
    assert await store.take() == []
    [final] = await store.complete(claim, outcome(pieces=pieces(claim, "a")))
    assert final.id == "p2"


async def test_a_repeated_send_has_the_same_nonce_and_one_after_a_deletion_another(store: Store) -> None:
    claim = await _opened(store, "1")
    await store.sent(HOME, claim.turn, 0, 0, "p1")
    finals = await store.complete(claim, outcome(pieces=pieces(claim, "a", "b")))
    assert [final for _, final in await store.waiting(HOME)] == finals
    await store.gone(HOME, finals[0])
    [(_, again), (_, other)] = await store.waiting(HOME)
    assert (again.id, again.piece, other) == ("", finals[0].piece, finals[1])
    assert len({again.nonce, finals[0].nonce, other.nonce}) == 3
    await store.gone(HOME, again)
    assert (await store.waiting(HOME))[0][1].nonce not in {again.nonce, finals[0].nonce}


async def test_a_surplus_preview_waits_until_it_is_removed_or_found_gone(store: Store) -> None:
    for event, gone in (("1", False), ("2", True)):
        claim = await _opened(store, event)
        await store.sent(HOME, claim.turn, 0, 1, f"p{event}")
        [kept, surplus] = await store.complete(claim, outcome(pieces=pieces(claim, "a")))
        assert (kept.surplus, surplus.surplus, surplus.id) == (False, True, f"p{event}")
        await store.shown(HOME, [replace(kept, id="k")])
        assert [final for _, final in await store.waiting(HOME)] == [surplus]
        await (store.gone(HOME, surplus) if gone else store.shown(HOME, [surplus]))
        assert await store.take() == []


async def test_what_is_dropped_is_never_shown(store: Store) -> None:
    claim = await _opened(store, "1")
    first, second = await store.complete(claim, outcome(pieces=pieces(claim, "a", "b")))
    await store.drop(HOME, [first], "rejected")
    assert [final for _, final in await store.waiting(HOME)] == [second]


async def test_only_chats_with_something_to_show_are_named_once_each(store: Store) -> None:
    assert await store.take() == []
    for event, chat in (("1", HOME), ("2", AWAY), ("3", ChatKey("web", "quiet"))):
        claim = await _opened(store, event, chat)
        shown: tuple[Final, ...] = () if chat.platform == "web" else pieces(claim, "a", "b")
        await store.complete(claim, outcome(pieces=shown))
    assert sorted(await store.take(), key=str) == [HOME, AWAY]


async def test_buttons_that_have_nothing_more_to_do_go_from_what_stands_and_nothing_waits_for_it(store: Store) -> None:
    claim = await _opened(store, "1")
    text, more = pieces(claim, "a", "b")
    text = replace(text, piece=replace(text.piece, buttons=((Button("Retry", "r1"),),)))
    finals = await store.complete(claim, outcome(pieces=[text, more]))
    await store.shown(HOME, [replace(final, id=f"p{final.number}") for final in finals])
    await store.complete(await _opened(store, "2"), outcome(Closes(claim.turn)))
    assert [final.piece for final in await store.standing(claim.turn)] == [replace(text.piece, buttons=()), more.piece]
    assert await store.waiting(HOME) == []


async def _opened(store: Store, event: str, chat: ChatKey = HOME) -> Claim:
    await store.accept([said(event, chat=chat)])
    return await only_claim(store)
