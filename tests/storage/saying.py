"""Short forms for the contract tests of the store: events, outcomes, and the smallest engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bot.lanes import Lane
from bot.messages import Address, Answered, Asked, Change, ChatKey, Event, Finish, Finished, Piece
from bot.ports import ButtonRow, Claim, Final, Outcome, Overtaken, Replying, Row
from storage import Store, open_store

HOME = ChatKey("telegram", "10")
AWAY = ChatKey("telegram", "20")
ANN, BOB = "1", "2"
CARD = "glm-4"


def said(
    event: str,
    text: str = "",
    *,
    chat: ChatKey = HOME,
    author: str = ANN,
    command: bool = False,
    settle: float = 0.0,
    bot: str = "b",
) -> Event:
    """A message with the id m<event>; its text and payload are the event's id unless told."""
    text = text or event
    return Event(
        platform=chat.platform, bot=bot, event=event, chat=chat, author=author, payload=text, at=1.0,
        message=f"m{event}", joins="" if command else author, digest=text, settle=settle,
    )  # fmt: skip


def edited(event: str, message: str, text: str, *, chat: ChatKey = HOME, lane: Lane = Lane.TURN) -> Event:
    return Event(
        platform=chat.platform, bot="b", event=event, chat=chat, author=ANN, payload=text, at=1.0,
        message=message, edits=True, digest=text, lane=lane,
    )  # fmt: skip


def control(event: str, *, chat: ChatKey = HOME) -> Event:
    """/stop, [Stop] or /reset."""
    return Event(
        platform=chat.platform, bot="b", event=event, chat=chat, author=ANN, payload=event, at=1.0,
        message=f"m{event}", lane=Lane.CONTROL, digest=event,
    )  # fmt: skip


def exchange(question: str, answer: str, parent: int | None) -> tuple[Change, ...]:
    return Asked(text=question, author="Ann", parent=parent), Answered(text=answer)


def outcome(
    *changes: Change,
    reason: Finish = Finish.STOP,
    pieces: Sequence[Final] = (),
    buttons: Sequence[ButtonRow] = (),
    text: str = "",
    model: str = CARD,
    call: int | None = None,
    cost: int = 0,
    dead: str = "",
) -> Outcome:
    finished = Finished(reason=reason, model=model, request_id="r1", call=call, cost=cost)
    return Outcome(
        address=Address(HOME), finished=finished, pieces=tuple(pieces), changes=changes, buttons=tuple(buttons),
        text=text, seconds=2.5, first=0.5, dead=dead,
    )  # fmt: skip


def pieces(claim: Claim, *bodies: str, slot: int = 0) -> tuple[Final, ...]:
    return tuple(Final(claim.turn, slot, number, Piece(body)) for number, body in enumerate(bodies))


def bodies(finals: Sequence[Final]) -> list[str]:
    return [final.piece.body for final in finals]


def payloads(claim: Claim) -> list[str]:
    return [row.payload for row in claim.rows]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    """A worker. When it ends, the next one finds what it has left, as after a crash."""
    async with open_store(url) as store:
        if store.lease:
            await store.enrol()
        yield store
        if store.lease:
            await store.resign()


async def claims(store: Store, limit: int = 100) -> Sequence[Claim]:
    return (await store.claim(limit))[0]


async def only_claim(store: Store) -> Claim:
    [claim] = await claims(store)
    return claim


async def ask(store: Store, event: str, *, chat: ChatKey = HOME, reply: str = "") -> Claim:
    """One whole exchange at the end of the chat's conversation: the question is the event's id, the answer likewise."""
    await store.accept([said(event, chat=chat)])
    claim = await only_claim(store)
    await store.complete(claim, outcome(*exchange(event, reply or f"re {event}", claim.head)))
    return claim


async def conversation(store: Store, head: int | None) -> list[str]:
    return [entry.text for entry in await store.line(head, 1000)]


async def head_of(store: Store, event: str, *, chat: ChatKey = HOME) -> int | None:
    """Where the chat's conversation ends, as the next turn is told."""
    await store.accept([said(event, chat=chat, command=True)])
    claim = await only_claim(store)
    await store.complete(claim, outcome(reason=Finish.COMMAND))
    return claim.head


def replying(*texts: str, chat: ChatKey = HOME) -> Replying:
    return lambda overtaken: (Address(chat), tuple(Piece(text) for text in texts))


SILENTLY = replying()


async def waiting_control(store: Store, event: str, *, chat: ChatKey = HOME) -> Row:
    await store.accept([control(event, chat=chat)])
    return next(row for row, _ in await store.control_rows(100) if row.payload == event)


async def stop(store: Store, event: str, *, chat: ChatKey = HOME, key: str = "", person: str = "") -> Overtaken:
    return await store.stop(await waiting_control(store, event, chat=chat), chat, key, person, SILENTLY)


async def reset(store: Store, event: str, *, chat: ChatKey = HOME) -> Overtaken:
    return await store.reset(await waiting_control(store, event, chat=chat), chat, SILENTLY)
