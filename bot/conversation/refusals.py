"""Which exchange of a conversation a vendor refuses, found by asking with less and less of it. Pure but for the asking."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bot.ports import Entry

MOST = 31  # parts that are looked through: with "none of them" 32 ends of the search, at most 1 + 5 probes


@dataclass(frozen=True, slots=True)
class Guilty:
    """The exchange that is refused, or all of the oldest ones where a long history begins with it; and the history without.
    No entries: the whole is taken now, a filter need not say the same twice."""

    entries: tuple[Entry, ...]
    rest: tuple[Entry, ...]


async def find_guilty(history: Sequence[Entry], passes: Callable[[Sequence[Entry]], Awaitable[bool]]) -> Guilty | None:
    """`history` as a whole was refused; `passes` says whether a part of it is taken. None: it is the question itself.
    Nothing is guilty by elimination: what is left out was refused in a probe that held it, and taken in one without."""
    exchanges = _exchanges(history)
    older = max(0, len(exchanges) - MOST) + 1  # looked at as one: which of them it is would take further probes
    exchanges = [_joined(exchanges[:older]), *exchanges[older:]]
    if not await passes(()):
        return None
    # The latest ones from `refused` on are refused (-1: no probe was yet), those from `taken` on are not.
    refused, taken = -1, len(exchanges)
    while taken - refused > 1:
        middle = (refused + taken) // 2
        if await passes(_joined(exchanges[middle:])):
            taken = middle
        else:
            refused = middle
    if refused < 0:
        return Guilty((), tuple(history))
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
