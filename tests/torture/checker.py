"""The invariants, over what a run left behind: `check(run)` says in sentences what is wrong, and nothing when nothing is.

Fates come from the store (what became of the event), answers from the platform (what stands there now): each must bear the
other out. Money is judged in `checker_money`; how a run is collected from the stand-ins and the store is in `checker_collect`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from bot import phrases
from bot.phrases import Language
from tests.torture.checker_money import wrong_money
from tests.torture.checker_orders import wrong_orders
from tests.torture.checker_run import CANARY, MARK, NAME, WORD, Accepted, Asked, Run, Shown

EXCUSES = frozenset({"stop", "reset"})
TELEGRAM = "telegram:"  # where a send cannot be repeated safely
IN_FLIGHT = 3.0  # seconds: the longest that a send may have been under way when its sender was killed
UNREAD = 1.0  # seconds: the longest that what the killed one had sent lay in the socket before the stand-in read it
LANGUAGES: tuple[Language, ...] = ("en", "zh")
Placed = TypeVar("Placed", Asked, Shown)
REFUSED = frozenset({"failed", "refused", "cut"})  # ends of turns of which the chat is told why
UNANSWERED = frozenset({"stopped", *REFUSED})
REASONS = tuple(
    phrase.to(language).partition("{")[0]
    for phrase in (*phrases.TROUBLE.values(), phrases.OUR_FAULT, phrases.STORAGE, phrases.CUT, phrases.BUDGET_SPENT)
    for language in LANGUAGES
)


def check(run: Run) -> list[str]:
    return [
        *_fates(run),
        *wrong_orders(run),
        *_order(run),
        *_orphans(run),
        *_strangers(run),
        *_before_reset(run),
        *wrong_money(run),
        *_secrets(run),
    ]


# --- answered or refused, once -----------------------------------------------------------------------------------------


def _fates(run: Run) -> Iterator[str]:
    for row in run.stored.accepted:
        if row.state in ("queued", "taken"):
            yield f"{row.chat}: event {row.id} is {row.state} for ever"
        elif row.state == "dead":
            yield f"{row.chat}: event {row.id} is a dead letter: {row.error}"
    for piece in run.stored.queued:
        if piece.state in ("queued", "surplus"):
            yield f"{piece.chat}: a piece of turn {piece.turn} was never shown ({piece.state})"
        elif piece.state == "dropped":
            yield f"{piece.chat}: a piece of turn {piece.turn} was dropped: {piece.error}"
    yield from run.stored.leftovers
    rows = _by_message(run.stored.accepted)
    shown = _by_chat(run.shown)
    for chat, asked in _by_chat(run.asked).items():
        yield from _questions(chat, asked, rows, shown.get(chat, []))
        yield from _commands(chat, asked, shown.get(chat, []), len(run.kills))


def _questions(
    chat: str, asked: Sequence[Asked], rows: Mapping[tuple[str, str], list[Accepted]], shown: Sequence[Shown]
) -> Iterator[str]:
    said = _words(shown)
    names: dict[str, list[str]] = defaultdict(list)  # by message: an edit gives it another one
    excuses: dict[str, bool] = {}
    for at, one in enumerate(asked):
        if one.kind in ("question", "edit"):
            names[one.message].append(one.name)
            excuses[one.message] = any(later.kind in EXCUSES for later in asked[at + 1 :])
    for message, called in names.items():
        fate = _fate(rows.get((chat, message), []))
        whole = [name for name in called if _is_whole(said.get(name, []))]
        for name in called:
            if repeated := [number for number, count in Counter(said.get(name, [])).items() if count > 1]:
                yield f"{chat}: {name} is answered twice ({len(repeated)} of its words stand there more than once)"
        if not fate:
            yield f"{chat}: {'/'.join(called)} was never accepted"
        elif fate in REFUSED and _has_reason(shown):
            continue
        elif fate == "closed" or fate in UNANSWERED:
            if not (excuses[message] or whole):  # what was asked together with an edited message is answered with it
                yield f"{chat}: {'/'.join(called)} is {fate}, though nobody stopped it"
            if fate == "closed" and called[-1] in whole:
                yield f"{chat}: {called[-1]} is closed by a reset, and answered all the same"
        elif len(whole) != 1:
            found = {name: len(said.get(name, [])) for name in called}
            yield f"{chat}: {'/'.join(called)} ended as {fate}, and {len(whole)} whole answers stand there (words: {found})"
    later = {one.name for one in asked if one.kind == "later"}
    for name in said.keys() - later - {name for called in names.values() for name in called}:
        yield f"{chat}: {name} is answered, and was never asked here"


def _has_reason(shown: Sequence[Shown]) -> bool:
    return any(reason in message.text for message in shown for reason in REASONS)


def _fate(rows: Sequence[Accepted]) -> str:
    """What became of a message: that of its last event, but an edit that was merged into what waited shares its fate."""
    for row in reversed(rows):
        if row.state != "merged":
            return row.turn if row.state == "done" else row.state
    return ""


def _words(shown: Sequence[Shown]) -> dict[str, list[int]]:
    """The numbers of each answer's words as they stand, 0 for its end; previews left over are judged elsewhere."""
    said: dict[str, list[int]] = defaultdict(list)
    for message in shown:
        if not message.writing:
            for found in WORD.finditer(message.text):
                said[found[1]].append(int(found[2] or 0))
    return said


def _is_whole(numbers: Sequence[int]) -> bool:
    return bool(numbers) and list(numbers) == [*range(1, len(numbers)), 0]


def _commands(chat: str, asked: Sequence[Asked], shown: Sequence[Shown], kills: int) -> Iterator[str]:
    """A command's reply costs nothing and is sent whole: where sends cannot be repeated safely, a kill may double it."""
    spare = kills if chat.startswith(TELEGRAM) else 0
    for at, one in enumerate(asked):
        if one.kind != "command":
            continue
        replies = sum(bool(re.search(rf"/{one.name}\b", message.text)) for message in shown)
        closed = any(later.kind == "reset" for later in asked[at + 1 :])
        if not (replies or closed):
            yield f"{chat}: /{one.name} has no reply"
        if replies > 1:
            spare -= replies - 1
        if spare < 0:
            yield f"{chat}: /{one.name} has {replies} replies"
            spare = 0


# --- order and previews ------------------------------------------------------------------------------------------------


def _order(run: Run) -> Iterator[str]:
    shown = _by_chat(run.shown)
    for chat, asked in _by_chat(run.asked).items():
        place: dict[str, int] = {}
        for at, one in enumerate(asked):
            if one.name and one.kind != "later":
                place[one.name] = place.get(one.replaces, at)
        answered = [name for name in _words(shown.get(chat, [])) if name in place]
        for earlier, later in pairwise(answered):
            if place[earlier] > place[later]:
                yield f"{chat}: {later} was asked before {earlier}, and is answered after it"


def _orphans(run: Run) -> Iterator[str]:
    """A preview that stays is the one send of its chat that was under way when its sender was killed."""
    for chat, shown in _by_chat(run.shown).items():
        orphans = [message for message in shown if message.writing]
        if orphans and not chat.startswith(TELEGRAM):
            yield f"{chat}: {len(orphans)} previews are left over: {orphans[0].text[:60]!r}"
            continue
        free = sorted(run.kills)
        for message in orphans:
            kill = next(
                (at for at in free if not message.at or message.at - UNREAD <= at <= message.at + IN_FLIGHT), None
            )
            if kill is None:
                yield f"{chat}: preview {message.id} is left over, and no kill explains it: {message.text[:60]!r}"
            else:
                free.remove(kill)


# --- nothing where it does not belong ----------------------------------------------------------------------------------


def _strangers(run: Run) -> Iterator[str]:
    for message in run.shown:
        own = run.canaries.get(message.chat, "")
        for word in set(CANARY.findall(message.text)) - {own}:
            yield f"{message.chat}: message {message.id} speaks of another chat ({word})"
    for call in run.called:
        words = set(CANARY.findall(call.prompt))
        if len(words) > 1:
            yield f"a prompt of {call.model} mixes the chats {', '.join(sorted(words))}"


def _before_reset(run: Run) -> Iterator[str]:
    """Prompts and answers know one conversation only: that between two resets to which their question belongs."""
    for call in run.called:
        marks = set(MARK.findall(call.prompt))
        if len(marks) > 1:
            yield f"a prompt of {call.model} mixes the conversations {', '.join(sorted(marks))}"
    conversation = {one.name: one.mark for one in run.asked if one.name}
    for message in run.shown:
        named = {word[1] for word in WORD.finditer(message.text)} | set(NAME.findall(message.text))
        marks = {conversation[name] for name in named if name in conversation}
        for foreign in set(MARK.findall(message.text)) - marks if marks else ():
            yield f"{message.chat}: message {message.id} answers {', '.join(sorted(marks))} and speaks of {foreign}"


def _secrets(run: Run) -> Iterator[str]:
    for setting, secret in run.secrets.items():
        for place, content in run.places.items():
            if secret.encode() in content:
                yield f"the secret of {setting} stands in {place}"


# --- sorting -----------------------------------------------------------------------------------------------------------


def _by_chat(things: Sequence[Placed]) -> dict[str, list[Placed]]:
    found: dict[str, list[Placed]] = defaultdict(list)
    for thing in things:
        found[thing.chat].append(thing)
    return found


def _by_message(rows: Sequence[Accepted]) -> dict[tuple[str, str], list[Accepted]]:
    found: dict[tuple[str, str], list[Accepted]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.id):
        found[row.chat, row.message].append(row)
    return found
