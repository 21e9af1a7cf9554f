"""Streams are cut at every byte, and delivered in two pieces split at every byte: recorded ones, by the real clients of all
vendors, over a real socket.

Of a cut stream exactly the text of its complete events must come out, marked as cut; only where the vendor had already said
that the answer is complete may it count as that. However a stream is sliced, the parts are the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bot.errors import ModelError, Trouble
from bot.messages import Finish, Finished
from tests.models.rig import Asker, Parts, text_of, thought_of
from tests.torture.part import Effort, Tally
from tests.torture.tapes import Deck, Tape, body_bytes, player, record, wire

Way = Literal["ended", "closed", "reset", "split"]
# "ended": the response ends as it should, too soon. "split": nothing is missing.
WAYS: tuple[Way, ...] = ("closed", "ended", "split", "reset")
HANGS = 5.0  # seconds
SHORTEST = 300  # cuts and splits of the shortest form
HELD = tuple(mark[:length] for mark in ("<|begin_of_box|>", "<|end_of_box|>") for length in range(1, len(mark)))


class Wrong(Exception):
    """A promise was broken; the sentence tells which."""


@dataclass(frozen=True, slots=True)
class Case:
    tape: Tape
    way: Way
    at: int

    def __str__(self) -> str:
        return f"{self.tape.name}, {self.way} at byte {self.at}"


async def torture(effort: Effort) -> Tally:
    tally = Tally()
    tapes = await record()
    left = cases(tapes)
    tally.figures |= {"cuts: tapes": len(tapes), "cuts: there are": len(left)}
    chance = effort.chance("cuts")
    chance.shuffle(left)
    # A stream is first cut at each byte in one of the ways, then in the others.
    left.sort(key=lambda case: (case.at + WAYS.index(case.way)) % len(WAYS))
    if not effort.seconds:
        left = chance.sample(left, SHORTEST)
    end = time.monotonic() + effort.seconds if effort.seconds else float("inf")
    async with player() as (deck, asker):
        deck.whole(b'{"data": []}')
        await asker.models.warm()
        whole = {tape.name: await _whole(deck, asker, tape, bytewise=effort.seconds > 0) for tape in tapes}
        for case in left:
            if time.monotonic() > end:
                break
            try:
                async with asyncio.timeout(HANGS):
                    await _tried(deck, asker, case, whole[case.tape.name])
            except Wrong as error:
                tally.wrong.append(f"cuts: {case}: {error}")
            except TimeoutError:
                tally.wrong.append(f"cuts: {case}: no end within {HANGS:g} s")
            except Exception as error:  # noqa: BLE001  # the very thing that must not come out
                tally.wrong.append(f"cuts: {case}: {error!r} came out")
            tally.tried[f"cuts: {case.way}"] += 1
    return tally


def cases(tapes: Sequence[Tape]) -> list[Case]:
    found = []
    for tape in tapes:
        raw, body = len(wire(tape.body)), len(tape.body)
        found += [Case(tape, way, at) for way in ("closed", "reset") for at in range(raw)]
        found += [Case(tape, "ended", at) for at in range(body)]
        found += [Case(tape, "split", at) for at in range(1, body)]
    return found


async def _whole(deck: Deck, asker: Asker, tape: Tape, *, bytewise: bool) -> Parts:
    """The parts of the whole answer; `bytewise`: they are the same when each byte comes by itself. Raises AssertionError: then
    nothing can be tried."""
    deck.whole(tape.body)
    parts = _comparable(await asker.ask(tape.model, think=tape.think))
    assert (text_of(parts), thought_of(parts)) == (tape.text, tape.thought)
    if not bytewise:
        return parts
    deck.whole(*(tape.body[at : at + 1] for at in range(len(tape.body))))
    assert _comparable(await asker.ask(tape.model, think=tape.think)) == parts
    return parts


def _comparable(parts: Parts) -> Parts:
    """Without the number of the ledger's row."""
    return [replace(part, call=None) if isinstance(part, Finished) else part for part in parts]


async def _tried(deck: Deck, asker: Asker, case: Case, whole: Parts) -> None:
    """Raises Wrong, and whatever comes out that should not."""
    tape, at = case.tape, case.at
    if case.way == "split":
        deck.whole(tape.body[:at], tape.body[at:])
        parts = _comparable(await asker.ask(tape.model, think=tape.think))
        if parts != whole:
            raise Wrong(f"other parts came out: {parts}")
        return
    if case.way == "ended":
        deck.whole(tape.body[:at])
    else:
        deck.broken(tape.body, at, case.way)
        at = body_bytes(tape.body, at)
    try:
        parts = await asker.ask(tape.model, think=tape.think)
    except ModelError as error:
        judge_refusal(case, at, error)
    else:
        judge_parts(case, at, parts)


def _texts(case: Case, at: int) -> list[str]:
    """The texts that may come out of the first bytes: of all complete events. An event whose last line break is missing may
    count as one where the response itself ended; and what may be the beginning of a mark may be kept back."""
    steps = case.tape.steps
    ends = [at, at + 1, at + 2] if case.way == "ended" else [at]
    texts = ["".join(step.text for step in steps if step.end <= end) for end in ends]
    if case.way == "reset":  # what was not read yet may be lost
        texts += ["".join(step.text for step in steps[:count]) for count in range(len(steps)) if steps[count].end <= at]
    return texts + [text.removesuffix(held) for text in texts for held in HELD if text.endswith(held)]


def judge_refusal(case: Case, at: int, error: ModelError) -> None:
    """Before the first text the answer may fail as a whole, in words; after it never."""
    if not any(not text.strip() for text in _texts(case, at)):
        raise Wrong(f"the text that had come is lost: {error}")
    if error.trouble not in (Trouble.CUT, Trouble.FAULT, Trouble.UNREACHABLE):
        raise Wrong(f"it is told as {error.trouble}: {error}")


def judge_parts(case: Case, at: int, parts: Parts) -> None:
    end, text = parts[-1], text_of(parts)
    if not isinstance(end, Finished) or sum(isinstance(part, Finished) for part in parts) != 1:
        raise Wrong(f"it does not end with its one end: {parts}")
    if text not in _texts(case, at):
        raise Wrong(f"the text is {text!r}")
    if not case.tape.thought.startswith(thought_of(parts)):
        raise Wrong(f"the thought is {thought_of(parts)!r}")
    told = any(step.finish for step in case.tape.steps if step.end <= at + 2 * (case.way == "ended"))
    if end.reason is not Finish.CUT and not (told and text == case.tape.text):
        raise Wrong(f"it counts as {end.reason}, with {text!r}")
