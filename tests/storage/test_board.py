"""The adapters' own: notes that survive a restart, and the page's board of versioned messages."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bot.messages import ChatKey
from bot.ports import Card
from storage import Store
from tests.storage.saying import ask, opened

# --- notes -------------------------------------------------------------------------------------------------------------


async def test_notes_survive_and_the_last_value_counts(url: str) -> None:
    async with opened(url) as store:
        await store.note({"discord/1": "100", "discord/2": "200"})
        await store.note({"discord/1": "101"})
    async with opened(url) as store:
        assert await store.notes("discord/") == {"discord/1": "101", "discord/2": "200"}


async def test_notes_are_found_by_their_prefix_alone(store: Store) -> None:
    notes = {
        "discord/1": "a",
        "discord/喜鹊🐦": "b",
        "discord": "c",
        "discord0": "d",
        "telegram/1": "e",
        "discorD/2": "f",
    }
    await store.note(notes)
    assert await store.notes("discord/") == {"discord/1": "a", "discord/喜鹊🐦": "b"}
    assert await store.notes("") == notes
    assert await store.notes("web/") == {}
    await store.note({})


# --- board -------------------------------------------------------------------------------------------------------------


def card(id: str, body: str = "hi", *, chat: str = "c", created: float = 1.0) -> Card:
    return Card(chat=chat, id=id, role="person", body=body, created=created)


async def test_a_card_comes_back_as_it_was_put(store: Store) -> None:
    full = Card(
        chat="c", id="1", role="bot", body="<b>好</b>", created=5.5, media="f.png", mime="image/png",
        buttons=((("A", "x"), ("B", "y")), (("C", "z"),)), done=False, removed=True, files=("a", "b"),
    )  # fmt: skip
    version = await store.put(full)
    assert await store.card("c", "1") == replace(full, version=version)
    assert await store.card("c", "2") is None
    assert await store.card("d", "1") is None


async def test_each_change_takes_the_next_version_and_the_first_time_stays(store: Store) -> None:
    first = await store.put(card("1", created=1.0))
    second = await store.put(card("2", created=2.0))
    third = await store.put(card("1", "changed", created=3.0))
    assert first < second < third
    assert await store.card("c", "1") == replace(card("1", "changed"), version=third)


async def test_changes_come_in_their_order_from_any_version_on(store: Store) -> None:
    versions = [await store.put(card(id)) for id in ("1", "2", "3", "1")]
    await store.put(card("1", chat="other"))
    assert [(found.id, found.version) for found in await store.since("c", 0, 10)] == [
        ("2", versions[1]),
        ("3", versions[2]),
        ("1", versions[3]),
    ]
    assert [found.id for found in await store.since("c", versions[1], 10)] == ["3", "1"]
    assert [found.id for found in await store.since("c", 0, 2)] == ["2", "3"]
    assert await store.since("c", versions[3], 10) == []


async def test_versions_are_unique_under_load_and_after_a_restart(url: str) -> None:
    async with opened(url) as store:
        versions = await asyncio.gather(*(store.put(card(str(number % 10))) for number in range(100)))
        assert len(set(versions)) == 100
    async with opened(url) as store:
        assert await store.put(card("1")) > max(versions)


async def test_chats_are_listed_by_their_latest_change_with_their_first_words(store: Store) -> None:
    assert await store.chats() == []
    await store.put(Card(chat="a", id="0", role="bot", body="welcome", created=0.5))
    await store.put(card("1", "first of a", chat="a", created=1.0))
    await store.put(card("1", "first of b" + "…" * 100, chat="b", created=2.0))
    await store.put(card("2", "second of a", chat="a", created=3.0))
    await store.put(Card(chat="c", id="0", role="bot", body="welcome", created=0.1))
    assert await store.chats() == [
        ("a", "first of a", 3.0),
        ("b", "first of b" + "…" * 70, 2.0),
        ("c", "", 0.1),
    ]


async def test_a_chat_is_named_after_what_is_asked_in_it_and_never_after_a_command(store: Store) -> None:
    for number, (said, name) in enumerate(
        [("/help", ""), ("/model qwen", ""), ("/ask  why?", "why?"), ("more", "why?")]
    ):
        await store.put(card(str(number), said, created=float(number)))
        assert await store.chats() == [("c", name, float(number))]


async def test_what_nobody_shows_any_more_may_be_changed(store: Store) -> None:
    claim = await ask(store, "1", chat=ChatKey("web", "c"))
    first = await store.put(card(f"{claim.turn}.0.0.0"), claim.turn)
    assert await store.put(card(f"{claim.turn}.0.0.0", "50 %"), claim.turn) > first
