"""One answer being made."""

from __future__ import annotations

from dataclasses import dataclass

from bot.messages.said import Address, Author, ChatKey, Edited, Ended, Message, Pressed
from bot.phrases import Language


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of an answer that already stands at the platform; `number` is that of the piece in its slot."""

    slot: int
    number: int
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer being made. `said` is what it answers: one press, edit or end of background work, or the messages
    that waited together.

    id       unique in the store; seq counts the turns of this chat
    fence    grows with each claim of the chat: only the latest claim may complete
    epoch    of the chat when the turn began; `/reset` raises it
    stop_key what its [Stop] button carries
    model    the chat's choice when the turn began ("" for the default): a running turn keeps it, also over a restart
    system   this chat's instructions
    think    whether models are to think in this chat: "on", "off", "" for what the model does best
    voice    the voice in which answers are spoken as well, "" for none
    head     the last message of the chat's history (None: a fresh conversation)
    attempt  1 at first, more after a crash in the middle
    late     said over an hour before the bot could see it: ask before answering
    shown    messages that an earlier attempt already sent
    """

    id: int
    chat: ChatKey
    seq: int
    fence: int
    epoch: int
    said: tuple[Message, ...] | Edited | Pressed | Ended
    author: Author
    address: Address
    language: Language
    stop_key: str
    model: str = ""
    system: str = ""
    think: str = ""
    voice: str = ""
    head: int | None = None
    attempt: int = 1
    late: bool = False
    shown: tuple[Shown, ...] = ()
