"""What the rows of a claim say, and the turn that is to be made of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace

from bot.errors import Unreadable
from bot.insist import insist
from bot.messages import Edited, Ended, Incoming, Message, Pressed, Turn
from bot.messages.orders import read_ended
from bot.ports import Claim, Inbox, Platform

log = logging.getLogger(__name__)

LATE = 3600.0  # seconds: what was said longer ago is asked about before it is answered


async def read(inbox: Inbox, platforms: Mapping[str, Platform], claim: Claim) -> tuple[Incoming, ...]:
    """What the claim's rows say; those that cannot be read become dead letters and block nobody."""
    platform = platforms[claim.chat.platform]
    said: list[Incoming] = []
    dead: dict[int, str] = {}
    for row in claim.rows:
        try:
            said.append(read_ended(row.payload) or platform.read(row.payload))
        except Unreadable as error:
            dead[row.id] = f"unreadable: {error}"
        except Exception:  # a reader's bug must not block the chat either
            log.exception("Event %d of %s cannot be read", row.id, claim.chat)
            dead[row.id] = "the reader broke down"
    if dead:
        log.warning("%s: dead letters %s", claim.chat, dead)
        await insist(lambda: inbox.bury(claim, list(dead), "; ".join(sorted(set(dead.values())))))
    return tuple(said)


async def with_companions(inbox: Inbox, platforms: Mapping[str, Platform], claim: Claim, edit: Edited) -> Edited:
    """The edit, with the messages that were answered together with the edited one."""
    rows = await insist(lambda: inbox.companions(claim, edit.message.id, claim.rows[0]))
    try:
        found = [platforms[row.platform].read(row.payload) for row in rows]
    except Unreadable as error:
        log.warning("%s: what was said with an edited message cannot be read: %s", claim.chat, error)
        return edit
    return replace(edit, among=_messages(tuple(found)))


def turn_of(claim: Claim, said: tuple[Incoming, ...]) -> Turn:
    """The turn that the claim is about. An edit among others replaced a message that was still waiting."""
    last = said[-1]
    if isinstance(last, Pressed | Ended) or (isinstance(last, Edited) and len(said) == 1):
        about: tuple[Message, ...] | Edited | Pressed | Ended = last
        speaker: Message | Pressed | Ended = last.message if isinstance(last, Edited) else last
    else:
        about = _messages(said)
        speaker = about[-1]
    oldest = min(row.at for row in claim.rows)
    return Turn(
        id=claim.turn,
        chat=claim.chat,
        seq=claim.seq,
        fence=claim.fence,
        epoch=claim.epoch,
        said=about,
        author=speaker.author,
        address=replace(speaker.address, chat=claim.chat),
        language=speaker.language,
        stop_key=claim.stop_key,
        model=claim.model,
        system=claim.system,
        think=claim.think,
        voice="" if claim.stopped else claim.voice,  # what came of background work is told all the same, but not aloud
        head=claim.head,
        attempt=claim.attempt,
        late=not isinstance(about, Pressed | Ended) and not claim.shown and time.time() - oldest > LATE,
        shown=claim.shown,
    )


def _messages(said: tuple[Incoming, ...]) -> tuple[Message, ...]:
    texts = [item.message if isinstance(item, Edited) else item for item in said]
    return tuple(item for item in texts if isinstance(item, Message))
