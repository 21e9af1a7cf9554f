"""What must hold of a walk once nothing is left to be done: one function a promise, each yields what breaks it."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot import phrases
from bot.turns.answer import CURSOR
from tests.torture.machine_walk import Place, Walk

TOKEN = re.compile(r"c(\d+)t(\d+)")


def _counting(phrase: phrases.Phrase) -> re.Pattern[str]:
    return re.compile(re.escape(phrase.en.removeprefix("{reset}")).replace(r"\{count\}", r"(\d+)"))


CLOSED, CANCELLED = _counting(phrases.RESET_CLOSED), _counting(phrases.RESET_CANCELLED)


@dataclass(frozen=True, slots=True)
class Row:
    """Of the inbox, with how its turn ended."""

    event: str
    state: str
    error: str | None
    lane: str
    message: str
    turn: int | None
    finish: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """Of the outbox."""

    turn: int
    number: int
    state: str
    message: str
    body: str
    finish: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The database in the end."""

    rows: dict[str, Row]
    sent: Sequence[Sent]
    jobs: Sequence[tuple[int, str, str]]  # id, state, order
    ledger: Sequence[tuple[str, int, str]]  # day, cost, state
    days: dict[str, int]


async def facts(walk: Walk) -> Facts:
    rows = await walk.rows(
        "SELECT event, inbox.state, error, lane, message, turn, turns.state FROM inbox LEFT JOIN turns ON turns.id = turn"
    )
    sent = await walk.rows(
        "SELECT turn, number, outbox.state, message, coalesce(piece, ''), turns.state "
        "FROM outbox JOIN turns ON turns.id = turn ORDER BY turn, slot, number"
    )
    pieces = [
        Sent(turn, number, state, message, json.loads(piece)[0] if piece else "", finish)
        for turn, number, state, message, piece, finish in sent
    ]
    jobs = [
        (id, state, order) for id, state, order in await walk.rows("SELECT id, state, ordered FROM jobs ORDER BY id")
    ]
    ledger = [(day, cost, state) for day, cost, state in await walk.rows("SELECT day, cost, state FROM ledger")]
    days = {day: cost for day, cost in await walk.rows("SELECT day, cost FROM days")}  # noqa: C416  # rows are no pairs
    return Facts({row[0]: Row(*row) for row in rows}, pieces, jobs, ledger, days)


async def broken(walk: Walk) -> list[str]:
    """Everything that does not hold."""
    known = await facts(walk)
    found: list[str] = []
    for check in (_settled, _answered, _in_order, _apart, _shown, _counted, _marked, _newest, _later, _money):
        found += [f"{check.__name__.strip('_')}: {what}" for what in check(walk, known)]
    return found + [f"impatient: {call.kind} in {call.chat}" for call in walk.window.impatient]


def _settled(walk: Walk, known: Facts) -> Iterator[str]:
    """Every accepted event is there once and has an end."""
    for said in walk.log:
        row = known.rows.get(said.event)
        if row is None:
            yield f"{said} is lost"
        elif row.state not in ("done", "merged", "closed") and not (said.kind == "left" and row.state == "dead"):
            yield f"{said} is {row.state}: {row.error}"
        elif row.state == "closed" and not any(
            one.kind == "reset" and one.chat == said.chat and one.order > said.order for one in walk.log
        ):
            yield f"{said} was closed without a reset after it"


def _answered(walk: Walk, known: Facts) -> Iterator[str]:
    """Whatever is done has something to show for it, where people have left it alone."""
    shown = {sent.turn for sent in known.sent if sent.state == "sent"}
    # An edit that began and was then stopped by a reset has taken over the messages of what it edits, and shows that it was.
    edited = {known.rows[said.event].turn for said in walk.log if said.event in known.rows for edit in walk.log
              if edit.edits and edit.message == said.message}  # fmt: skip
    stopped = {edit.chat: edit.order for edit in walk.log
               if edit.edits and edit.event in known.rows and known.rows[edit.event].finish == "stopped"}  # fmt: skip
    # What it edits may have been answered anew by a /retry: the messages were that one's.
    edited |= {known.rows[said.event].turn for said in walk.log if said.kind == "retry" and said.event in known.rows
               and said.order < stopped.get(said.chat, 0)}  # fmt: skip
    for said in walk.log:
        row = known.rows.get(said.event)
        if row is None or row.state != "done" or row.lane != "turn" or said.kind in ("left", "moved", "press"):
            continue
        if not walk.places[said.chat].disturbed and row.turn not in shown | edited:
            yield f"{said} was answered by turn {row.turn} ({row.finish}), of which nothing stands"


def _in_order(walk: Walk, known: Facts) -> Iterator[str]:
    """Each chat's messages reach the model in their order, the first time that they do."""
    edits = {known.rows[said.event].turn for said in walk.log if said.edits and said.event in known.rows}
    first: dict[str, int] = {}
    for number, asked in enumerate(walk.vendor.asked):
        for token in _tokens(*asked.lines):
            first.setdefault(token, -1 if asked.turn in edits else number)  # an edit asks anew with what came with it
    first = {token: number for token, number in first.items() if number >= 0}
    for chat in range(len(walk.places)):
        plain = [said for said in walk.log if said.chat == chat and said.kind == "message" and said.token in first]
        for before, after in itertools.pairwise(plain):
            if first[before.token] > first[after.token]:
                yield f"{after} was asked before {before}"


def _apart(walk: Walk, known: Facts) -> Iterator[str]:
    """Nothing of one chat in another, nothing of before a reset after it."""
    orders = {said.token: said.order for said in walk.log if said.token}
    for asked in walk.vendor.asked:
        tokens = _tokens(*asked.lines)
        chats = {int(token[1 : token.index("t")]) for token in tokens}
        if len(chats) > 1:
            yield f"turn {asked.turn} was asked with words of several chats: {tokens}"
            continue
        said = sorted(orders[token] for token in tokens)
        for reset in walk.log:
            if reset.kind == "reset" and reset.chat in chats and said[0] < reset.order < said[-1]:
                yield f"turn {asked.turn} was asked with words of before and after a reset ({reset.order}): {tokens}"
    for number, place in enumerate(walk.places):
        for body in _standing(walk, place):
            if any(not token.startswith(f"c{number}t") for token in _tokens(body)):
                yield f"in chat {number} stands {body!r}"


def _shown(walk: Walk, known: Facts) -> Iterator[str]:
    """What stands is what was completed: each piece once. A kill may leave one thing more: a preview, or a command's reply."""
    by_id = {sent.message: sent for sent in known.sent if sent.message}
    orphans: list[str] = []
    for place in walk.places:
        for key in place.keys:
            for id, body in zip(walk.window.ids(key), walk.window.standing(key), strict=True):
                sent = by_id.get(id)
                if sent is None:
                    orphans.append(body)
                elif sent.body != body and not place.disturbed:
                    yield f"turn {sent.turn} shows {body!r} instead of {sent.body!r}"
                elif sent.state == "sent" and body.endswith(CURSOR):
                    yield f"turn {sent.turn} is still shown as {body!r}"
        ids = {id for key in place.keys for id in walk.window.ids(key)}
        mine = {said.event for said in walk.log if walk.places[said.chat] is place}
        turns = {row.turn for event, row in known.rows.items() if event in mine}
        missing = [
            sent for sent in known.sent if sent.turn in turns and sent.state == "sent" and sent.message not in ids
        ]
        if missing and not place.disturbed:
            yield f"these do not stand: {missing[:3]}"
    yield from _repeated(walk, known, orphans)


def _repeated(walk: Walk, known: Facts, orphans: Sequence[str]) -> Iterator[str]:
    """What stands without anybody's knowing: where sends cannot be repeated safely, a kill leaves one preview for the send
    under way in each chat; replies of commands, which are sent whole, may stand twice; never an answer. Elsewhere nothing."""
    replies = {sent.body for sent in known.sent if sent.finish == "command"}
    previews = [body for body in orphans if body.endswith(CURSOR)]
    answers = [body for body in orphans if body not in replies and not body.endswith(CURSOR)]
    if answers or len(previews) > walk.kills * len(walk.places) or (orphans and not walk.kills):
        yield f"after {walk.kills} kills nobody knows of {answers[:5]} and {len(previews)} previews: {orphans[:5]}"
    if orphans and walk.window.traits.idempotent:
        yield f"nobody knows of {orphans[:5]}, and sends are idempotent"


def _counted(walk: Walk, known: Facts) -> Iterator[str]:
    """What resets closed and cancelled is what their replies counted; `/stop` cancels as well."""
    closed = sum(row.state == "closed" for row in known.rows.values())
    cancelled = sum(state == "cancelled" for _, state, _ in known.jobs)
    messages, jobs = (
        sum(int(found[1]) for body in _bodies(known.sent).values() if (found := pattern.search(body)))
        for pattern in (CLOSED, CANCELLED)
    )
    if messages != closed or jobs > cancelled:
        yield f"{closed} messages were closed, {messages} told; {cancelled} tasks cancelled, {jobs} told"


def _marked(walk: Walk, known: Facts) -> Iterator[str]:
    """A stopped answer says so; but what was made in the background is whole when it is told."""
    told = {row.turn for event, row in known.rows.items() if event.startswith("job ")}
    for turn, body in _bodies([sent for sent in known.sent if sent.finish == "stopped"]).items():
        if turn not in told and phrases.STOPPED.en not in body:
            yield f"turn {turn} was stopped and says {body!r}"


def _newest(walk: Walk, known: Facts) -> Iterator[str]:
    """Where the last thing said in a chat was edited, its answer is to the newest text, and none to an older one stands."""
    for chat, place in enumerate(walk.places):
        here = [said for said in walk.log if said.chat == chat]
        messages = [said for said in here if said.kind == "message"]
        if not messages or place.disturbed:
            continue
        last = messages[-1]
        edits = [said for said in here if said.order > last.order]
        if not edits or any(said.kind != "edit" or said.message != last.message for said in edits):
            continue
        bodies = "".join(_standing(walk, place))
        row = known.rows[last.event]
        older = [said.token for said in (last, *edits[:-1]) if f"{said.token}]" in bodies or f"{said.token} " in bodies]
        if older and not walk.kills:
            yield f"{older} of before the edit to {edits[-1].token} are still answered: {bodies[-200:]!r}"
        if row.finish == "stop" and edits[-1].token not in bodies:
            yield f"the edit to {edits[-1].token} is not answered: {bodies[-200:]!r}"


def _later(walk: Walk, known: Facts) -> Iterator[str]:
    """What was asked for later is answered once, refused, or cancelled by somebody; a known task is not ordered again."""
    yield from walk.vendor.repeated
    bodies = _bodies(known.sent)
    for said in walk.log:
        if said.kind != "later" or known.rows[said.event].state != "done":
            continue
        after = {one.kind for one in walk.log if one.chat == said.chat and one.order > said.order}
        answer = re.compile(rf"re\[[^\]]*\b{said.token}\b")  # with its author's name in a group
        answers = [turn for turn, body in bodies.items() if answer.search(body)]
        states = [state for _, state, order in known.jobs if re.search(rf"\b{said.token}\b", order)]
        if len(states) > 1 or len(answers) > 1:
            yield f"{said} was ordered as {states}, and answered by the turns {answers}"
        elif states == ["done"] and not (answers or after & {"reset", "stop"} or walk.places[said.chat].disturbed):
            yield f"{said} is done, and never answered"
        elif states == ["cancelled"] and not after & {"press", "reset", "stop", "left"}:
            yield f"{said} is cancelled, and nobody did that"
        elif states and states[0] not in ("done", "failed", "cancelled"):
            yield f"{said} is {states[0]}"


def _money(walk: Walk, known: Facts) -> Iterator[str]:
    """The days' sums are those of their rows, and every call has a row."""
    sums: Counter[str] = Counter()
    for day, cost, _ in known.ledger:
        sums[day] += cost
    if {day: cost for day, cost in sums.items() if cost} != {day: cost for day, cost in known.days.items() if cost}:
        yield f"the days' sums are {known.days}, their rows' {dict(sums)}"
    if len(known.ledger) < len(walk.vendor.asked):
        yield f"{len(walk.vendor.asked)} calls have {len(known.ledger)} rows"
    held = sum(state == "reserved" for _, _, state in known.ledger)
    if held:
        yield f"{held} calls are still reserved, though none is under way"


def _bodies(pieces: Sequence[Sent]) -> dict[int, str]:
    """The whole answer of each turn."""
    whole: defaultdict[int, str] = defaultdict(str)
    for sent in pieces:
        whole[sent.turn] += sent.body
    return whole


def _standing(walk: Walk, place: Place) -> list[str]:
    return [body for key in place.keys for body in walk.window.standing(key)]


def _tokens(*texts: str) -> list[str]:
    return [found[0] for text in texts for found in TOKEN.finditer(text)]
