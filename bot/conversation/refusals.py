"""Which exchange of a conversation a vendor refuses, found by asking with less and less of it. Pure but for the asking."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bot.ports import Entry

MOST = 32  # parts that are looked through: at most 1 + 5 probes


@dataclass(frozen=True, slots=True)
class Guilty:
    """The exchange that is refused, or all of the oldest ones where a long history begins with it; and the history without."""

    entries: tuple[Entry, ...]
    rest: tuple[Entry, ...]


async def find_guilty(history: Sequence[Entry], passes: Callable[[Sequence[Entry]], Awaitable[bool]]) -> Guilty | None:
    """`history` as a whole is refused; `passes` says whether a part of it is taken. None: it is the question itself."""
    exchanges = _exchanges(history)
    older = max(0, len(exchanges) - MOST) + 1  # looked at as one: which of them it is would take further probes
    exchanges = [_joined(exchanges[:older]), *exchanges[older:]]
    if not await passes(()):
        return None
    # The latest ones up to and with `refused` are refused, those after it are not: between the two there is one.
    refused, taken = 0, len(exchanges)
    while taken - refused > 1:
        middle = (refused + taken) // 2
        if await passes(_joined(exchanges[middle:])):
            taken = middle
        else:
            refused = middle
    rest = [*exchanges[:refused], *exchanges[refused + 1 :]]
    return Guilty(tuple(exchanges[refused]), tuple(_joined(rest)))


def _exchanges(history: Sequence[Entry]) -> list[list[Entry]]:
    """Each question with what follows it."""
    found: list[list[Entry]] = []
    for entry in history:
        if entry.role == "user" or not found:
            found.append([])
        found[-1].append(entry)
    return found


def _joined(exchanges: Sequence[Sequence[Entry]]) -> list[Entry]:
    return [entry for exchange in exchanges for entry in exchange]
