"""What is still to be done, counted for the operator."""

from __future__ import annotations

from bot.messages import Finish
from bot.ports import Backlog
from storage import Store
from tests.storage.saying import AWAY, BOB, HOME, only_claim, outcome, pieces, said

NOTHING = Backlog(waiting=0, oldest=0.0, unshown=0, dead=0)


async def test_a_quiet_store_has_nothing_to_do(store: Store) -> None:
    assert await store.backlog() == NOTHING


async def test_what_waits_counts_until_it_is_claimed_and_its_answer_until_it_is_shown(store: Store) -> None:
    await store.accept([said("1"), said("2", author=BOB), said("3", chat=AWAY)])
    waiting = await store.backlog()
    assert waiting.waiting == 3 and 0 <= waiting.oldest < 30
    claims, _ = await store.claim(10)
    assert (await store.backlog()).waiting == 1  # of another person in the same chat: a turn of its own
    [claim] = [claim for claim in claims if claim.chat == HOME]
    finals = await store.complete(claim, outcome(pieces=pieces(claim, "a", "b")))
    assert (await store.backlog()).unshown == 2
    await store.shown(HOME, finals)
    assert (await store.backlog()).unshown == 0


async def test_dead_letters_count_and_what_nobody_misses_does_not(store: Store) -> None:
    for event, why in (("1", "unreadable: no text"), ("2", "left")):
        await store.accept([said(event)])
        claim = await only_claim(store)
        await store.bury(claim, [row.id for row in claim.rows], why)
    await store.accept([said("3", chat=AWAY)])
    claim = await only_claim(store)
    await store.complete(claim, outcome(reason=Finish.FAILED, dead="broke down 10 times"))

    assert (await store.backlog()).dead == 2
