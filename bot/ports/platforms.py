"""What platforms are to the hub, and the hub to platforms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bot.messages import (
    Address,
    Attachment,
    ChatKey,
    Event,
    Incoming,
    Piece,
)
from bot.phrases import Phrase


class Intake(Protocol):
    """What an adapter hands its events to."""

    async def accept(self, events: Sequence[Event]) -> None:
        """Commit these events; those known already are skipped. Only after it returns may the platform be told that we
        have them. Raises StorageError: nothing was accepted, keep them and try again."""


class Duties(Protocol):
    """What only one process at a time may do: poll a token, hold a shard."""

    async def perform(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Wait until the duty is ours, then do the work for as long as it is: when the duty is lost the work is cancelled, and
        we wait again. Returns when the work does, and passes its errors on; the duty is given back either way."""

    def holds(self, name: str) -> bool:
        """Whether it is ours at this instant: a process that was paused learns it by the clock, before it acts."""


class Gatekeeper(Protocol):
    """Who may use the bot."""

    def admits(self, platform: str, person: str, *places: str) -> bool:
        """True for an owner, an allowed person, or anyone in an allowed place (a group's or a server's id)."""

    def owns(self, platform: str, person: str) -> bool: ...

    def turn_away(self, platform: str, person: str) -> bool:
        """True when this stranger is due the one polite line of the day (and counts it as said)."""


@dataclass(frozen=True, slots=True)
class Traits:
    """How a platform behaves, where the hub must know.

    idempotent  a send repeated with the same nonce shows one message; without it, answers begin with a preview whose
                id is stored before the final text goes in by edits
    private     previews: (seconds a token takes to grow back, tokens that may be saved up) in a private chat
    group       the same where several people read
    """

    idempotent: bool
    private: tuple[float, int] = (1.0, 3)
    group: tuple[float, int] = (3.0, 2)


class Platform(Protocol):
    """A place where people talk to the bot. Every call may raise the PlatformErrors of `errors.py`, and nothing else."""

    name: str
    traits: Traits

    async def listen(self, intake: Intake) -> None:
        """Receive until cancelled, whatever the network does. Raises PlatformError only for what no retry can heal."""

    def read(self, payload: str) -> Incoming:
        """What an accepted event says. Pure. Raises Unreadable."""

    def layout(self, markdown: str, thoughts: str = "", thinking: bool = False, /) -> tuple[Piece, ...]:
        """Render and split by the platform's own limits: at least one piece, each fit to be sent. Pure, never raises, and
        prefix-stable: once a second piece exists, more text at the end never changes the first.

        `thoughts` are plain text, folded away above the Markdown and abridged to what the first piece has room for. With
        `thinking` more of them come, and these are the newest: they are shown as they are."""

    async def send(self, to: Address, piece: Piece, nonce: str) -> str:
        """Show a new message; its id. `nonce` (at most 25 characters) names this piece for ever."""

    async def edit(self, to: Address, message: str, piece: Piece) -> None:
        """Change a message of ours. An edit that changes nothing is a success."""

    async def remove(self, to: Address, message: str) -> None:
        """Delete a message of ours. One already gone is a success."""

    async def working(self, to: Address) -> None:
        """Show for some seconds that an answer is being made."""

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        """The bytes of an attachment, at most `limit`. Raises TooLarge, PlatformError."""


@runtime_checkable
class Drafting(Protocol):
    """A platform that can also show previews which are no messages (Telegram's native drafts)."""

    def drafts(self, to: Address) -> bool:
        """Whether previews there go by `draft` instead of messages."""

    async def draft(self, to: Address, turn: int, piece: Piece) -> None: ...


@runtime_checkable
class Hearing(Protocol):
    """A platform that can fall deaf without noticing: it is polled, or keeps a connection.

    heard_at  when it was last heard (a finished poll, a frame of the gateway), or began to listen, on the monotonic clock; None
              while this process does not listen there
    """

    heard_at: float | None


@runtime_checkable
class Confiding(Protocol):
    """A platform on which one person can be told something alone."""

    async def private(self, person: str) -> ChatKey:
        """The chat in which only this person reads us. Raises PlatformError."""


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A command as native menus show it. `argument` names what follows it (None: nothing does), `required` or not;
    `choices` gives what may follow, nearest to what was typed so far; `attachment` names the file that may come with it, for
    menus that have to be told."""

    name: str
    help: Phrase
    argument: Phrase | None = None
    required: bool = False
    choices: Callable[[str], Sequence[str]] | None = None
    attachment: Phrase | None = None
