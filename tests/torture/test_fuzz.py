"""A little of the fuzzing every day; what it looks for is found when it is there."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.torture import fuzz, fuzz_readers, fuzz_targets
from tests.torture.fuzz_discord import Dispatches
from tests.torture.fuzz_mutate import LONG, MOST, _many
from tests.torture.fuzz_telegram import Updates
from tests.torture.part import Effort, Tally

LINES = st.sampled_from(
    [b"data: {}", b"data:[DONE]", b": ping", b"event: x", b"data: \xe4\xbd\xa0", b"\r\n", b"\n", b"\n\n"]
)
NAMES = st.text("0123456789abcdef./\\\0%~-_ \u2024\n", max_size=60) | st.from_regex(r"[0-9a-f]{32}\.(png|bin)\n?")


async def test_readers_and_product_take_whatever_comes(tmp_path: Path) -> None:
    effort, tally = Effort(seconds=0, seed=1, scratch=tmp_path), Tally()
    fuzz.readers(tally, effort, 0)
    await fuzz.product(tally, effort, 0)
    assert tally.wrong == []
    assert tally.tried["telegram read"] > 100 and tally.tried["discord read"] > 50 and tally.tried["web read"] > 50
    assert tally.tried["telegram: good ones among them"] == tally.tried["discord: good ones among them"] == 4


def test_sound_updates_are_read_most_of_the_time() -> None:
    """Else the mutants would only ever meet the first check."""
    chance = random.Random(1)
    updates, dispatches = Updates(chance), Dispatches(chance)
    kinds = {kind for _ in range(400) for kind in updates.one() if kind != "update_id"}
    names = {dispatches.one()[0] for _ in range(400)}
    assert len(kinds) > 15 and len(names) > 12


def test_what_is_repeated_inside_of_what_is_repeated_is_not_written_a_million_times() -> None:
    """As long as the parts were one and the same object, one text put into one of them was in all."""
    document = {"photo": {"file_id": "a"}}
    _repeat(document, "photo")
    parts: list[dict[str, str]] = document["photo"]  # type: ignore[assignment]  # which is what was done to it
    parts[0]["file_id"] = "x" * LONG
    assert len(parts) == 1_000 and len(json.dumps(document)) < MOST
    _repeat(document, "photo")
    assert len(json.dumps(document)) <= MOST


def _repeat(document: dict[str, dict[str, str]], place: str) -> None:
    """As often as it ever is."""
    seed = next(seed for seed in range(99) if random.Random(seed).choice((2, 50, 1_000)) == 1_000)
    _many(document, place, random.Random(seed), [])


def test_what_comes_out_undocumented_is_found() -> None:
    def breaks(update: object) -> tuple[None, fuzz_readers.Read]:
        raise ZeroDivisionError

    tally = Tally()
    fuzz_readers._each(tally, random.Random(1), "telegram", {"update_id": 1}, breaks, KeyError)
    assert len(tally.wrong) == tally.tried["telegram updates"] == 6


@given(st.lists(LINES | st.binary(max_size=20), max_size=12).map(b"".join), st.integers(0, 255))
def test_a_stream_says_the_same_however_it_is_cut(body: bytes, cut: int) -> None:
    fuzz_targets.stream(bytes([cut]) + body)


@given(st.text() | st.from_regex(r"(/(stop|reset|image)|stop\.)[ \w-]{0,9}"))
def test_a_button_overtakes_only_as_what_may(text: str) -> None:
    fuzz_targets.buttons(text.encode("utf-8", "surrogatepass"))


@given(NAMES)
def test_a_name_that_is_let_through_stays_in_its_directory(name: str) -> None:
    fuzz_targets.file_names(name.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("target", fuzz_targets.TARGETS.values(), ids=list(fuzz_targets.TARGETS))
def test_the_targets_take_any_bytes(target: object) -> None:
    chance = random.Random(2)
    assert callable(target)
    for _ in range(30):
        target(chance.randbytes(chance.randrange(200)))
