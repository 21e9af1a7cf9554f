"""What the store is to each of its users, and the values that pass between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from bot.messages import (
    Address,
    Change,
    ChatKey,
    Event,
    Finished,
    Piece,
    Shown,
)


@dataclass(frozen=True, slots=True)
class Row:
    """An accepted event, waiting or being answered."""

    id: int
    platform: str
    payload: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A chat that is ours until we complete it, and the turn to be made of its oldest rows. `stopped`: a crash interrupted it
    after it was stopped or the chat was reset; no model is to be asked any more. `stop_key`: what its [Stop] button carries.
    `more`: other rows wait, or may."""

    chat: ChatKey
    turn: int
    seq: int
    fence: int
    epoch: int
    attempt: int
    stop_key: str
    model: str
    system: str
    think: str
    voice: str
    head: int | None
    rows: tuple[Row, ...]
    shown: tuple[Shown, ...]
    stopped: bool = False
    more: bool = True


@dataclass(frozen=True, slots=True)
class Final:
    """A piece of the finished answer, on its way through the outbox. Its `id` is the message that already stands for it;
    `surplus`: only a preview, the finished answer has no such piece, so the message is to be removed; `whole`: a
    command's reply, which may be sent as it is (others begin with a preview where sends are not idempotent)."""

    turn: int
    slot: int
    number: int
    piece: Piece
    id: str = ""
    generation: int = 0
    surplus: bool = False
    whole: bool = False

    @property
    def nonce(self) -> str:
        """The same for every repeat of this send; another one once the message was deleted under us."""
        return f"{self.turn}.{self.slot}.{self.number}.{self.generation}"


@dataclass(frozen=True, slots=True)
class ButtonRow:
    """What a button does. `person` may press it ("" = anyone); `expires` in Unix seconds."""

    id: str
    chat: ChatKey
    person: str
    action: str
    expires: float
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `complete` commits. `text` is the answer as delivered (slot 0); `seconds` and `first` count from the claim to the
    end and to the first text; `dead` says why the rows become dead letters, "" when they are simply done; `author` is the
    person whose turn it was."""

    address: Address
    finished: Finished
    pieces: tuple[Final, ...]
    changes: tuple[Change, ...] = ()
    buttons: tuple[ButtonRow, ...] = ()
    text: str = ""
    seconds: float = 0.0
    first: float = 0.0
    dead: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """What a control event did: the turn that must end now (0: none), how many waiting messages it
    closed and how many `jobs` it cancelled, and whether its reply is ours to show (there may be none, or another shows it)."""

    turn: int = 0
    closed: int = 0
    jobs: int = 0
    shows: bool = False


class Inbox(Protocol):
    """For the engine. The fence of a claim is checked in each commit that follows it."""

    async def accept(self, events: Sequence[Event]) -> Sequence[int]:
        """See Intake.accept. An edit of a message still waiting replaces it, one that changes nothing is dropped, and one of a
        question being answered stops that turn: the ids of the turns that must end now."""

    async def claim(self, limit: int) -> tuple[Sequence[Claim], float | None]:
        """Take up to `limit` free chats whose rows are ready, longest waiting first, and open a turn in each (or open the one
        again that a crash interrupted). And in how many seconds the next chat gets ready, if any waits for that."""

    async def release(self, turns: Collection[int]) -> None:
        """After a claim that failed and may yet have been committed: of the chats that are ours, those whose turn is none of
        these are free again."""

    async def count_attempt(self, claim: Claim) -> None:
        """The turn is begun once more after a crash: only now does this attempt count."""

    async def complete(self, claim: Claim, outcome: Outcome) -> Sequence[Final]:
        """One commit: rows done, answer, changes, ledger and final pieces; the chat is free. What is now to be shown of this
        turn. Raises FencedOut (the chat is another's: drop everything) and Superseded (stopped or reset meanwhile: complete it
        as stopped). May be repeated when a StorageError leaves it open whether it was committed."""

    async def bury(self, claim: Claim, rows: Sequence[int], why: str) -> None:
        """Dead letters: these rows cannot be read, or killed us too often. The others of the claim stay; a claim without rows
        left is closed and the chat is free."""

    async def companions(self, claim: Claim, message: str, row: Row) -> Sequence[Row]:
        """For an edit, which is `row` of the claim: the messages that were answered together with the edited one, in their
        order and as they now stand, itself among them. Empty when it was never answered."""

    async def replace(self, claim: Claim, turn: int) -> Sequence[Shown]:
        """Let the claim's turn take over the messages of an earlier turn of this chat."""


class Control(Protocol):
    """For the engine: what overtakes. Each closes its row in the same commit and queues `reply(overtaken)`. `cancelled` is
    shown in place of the line that waited for what it cancels. `person` "" is anybody."""

    async def control_rows(self, limit: int) -> Sequence[tuple[Row, ChatKey]]:
        """The waiting events of the control lane, oldest first."""

    async def stop(
        self, row: Row, chat: ChatKey, key: str, person: str, reply: Replying, cancelled: Piece | None = None
    ) -> Overtaken:
        """Stop the running turn of the chat if it is this person's, else cancel this person's latest task. With a `key`: only
        the turn whose [Stop] button carried it, and no task."""

    async def reset(self, row: Row, chat: ChatKey, reply: Replying, cancelled: Piece | None = None) -> Overtaken:
        """Begin a new conversation: epoch + 1, an empty head, what waits from before closed, a running turn stopped."""

    async def dismiss(self, row: Row, why: str) -> None:
        """A control event that cannot be read: a dead letter."""

    async def leave(self, chat: ChatKey, why: str) -> Overtaken:
        """Nobody is there any more: stop the running turn, drop what was to be shown."""

    async def move(self, old: ChatKey, new: ChatKey, claim: Claim | None = None) -> None:
        """All of the old key is the new one's from now on, and the claim of the event that told of it ends. May be repeated."""


class Replying(Protocol):
    """How a control event answers: pieces to be shown, none for silence."""

    def __call__(self, overtaken: Overtaken) -> tuple[Address, tuple[Piece, ...]]: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of the history."""

    id: int
    parent: int | None
    turn: int
    epoch: int
    role: Literal["user", "assistant"]
    text: str
    author: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """How a turn ended: for `/info`. `cost`, in millionths of a CNY, is that of all its calls: what was heard, searched, tried
    in vain, answered, spoken, done in the background. `first` and `seconds` count from the claim."""

    turn: int
    finished: Finished
    cost: int
    first: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question with what became of it. `latest` says that it is the last one of the chat's conversation; `piece` by which
    message of the answer it was found (0: the first), None for the question's own."""

    turn: int
    question: Entry | None
    answer: Entry | None
    latest: bool
    piece: int | None = None


class History(Protocol):
    """For the manager; read only, since changes are committed with the answer."""

    async def line(self, tip: int | None, limit: int) -> Sequence[Entry]:
        """The conversation that ends in `tip`, at most `limit` entries, oldest first."""

    async def exchange(self, chat: ChatKey, message: str) -> Exchange | None:
        """The exchange that the platform's message `message` asked or answered."""

    async def last(self, chat: ChatKey, head: int | None) -> Exchange | None:
        """The exchange that ends in `head`."""

    async def answers(self, turn: int) -> Sequence[Entry]:
        """All that this turn answered, in their order."""

    async def asked(self, turn: int) -> Entry | None:
        """The question that this turn answered, or failed to."""

    async def last_turn(self, chat: ChatKey, question: int) -> int | None:
        """The latest turn that answered this question of the chat's history, or failed to."""

    async def report(self, chat: ChatKey) -> Report | None:
        """Of the last turn that asked a model, or failed to."""

    async def button(self, id: str) -> ButtonRow | None: ...


class Outbox(Protocol):
    """For delivery: what stands at the platform and what is still to be shown, in order per chat. A chat with something to
    show is one worker's alone; for any other the changes raise FencedOut."""

    async def sent(self, chat: ChatKey, turn: int, slot: int, number: int, message: str) -> None:
        """A preview of this piece stands as `message`."""

    async def shown(self, chat: ChatKey, finals: Sequence[Final]) -> None:
        """The final forms of these pieces stand (their `id` is set), or are removed."""

    async def gone(self, chat: ChatKey, final: Final) -> None:
        """The message that stood for this piece was deleted: its next send is a new one."""

    async def drop(self, chat: ChatKey, finals: Sequence[Final], why: str) -> None:
        """These can never be shown."""

    async def waiting(self, chat: ChatKey) -> Sequence[tuple[Address, Final]]:
        """What is still to be shown in this chat, in order; nothing where another worker shows it."""

    async def standing(self, turn: int) -> Sequence[Final]:
        """The pieces of this turn's answer whose messages stand and are still this turn's."""

    async def take(self) -> Sequence[ChatKey]:
        """The chats in which something is still to be shown, by us: those that nobody shows are ours from now on."""


class Topic(StrEnum):
    """What workers of one store tell each other of: that there is work, a turn to be ended, an outbox to be shown, a change
    on the page's board, a chat that has moved. Each looks for itself what it is."""

    WORK = "work"
    STOP = "stop"
    SHOW = "show"
    BOARD = "board"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What a heartbeat learns: whether we are still `alive` (else others have shared out what was ours), how many `others`
    live, how many dead workers' chats were `freed` just now, which of our turns are `to_end`, and whether the database's clock
    has `jumped` since the last one."""

    alive: bool = True
    others: int = 0
    freed: int = 0
    jumped: bool = False
    to_end: tuple[int, ...] = ()


class Workers(Protocol):
    """For the fleet. `lease`: seconds for which a heartbeat keeps us alive; None where there can be no other worker."""

    lease: float | None

    async def enrol(self) -> None:
        """As a worker that never was before: whatever the one that we were still does is refused."""

    async def beat(self, *, reap: bool) -> Beat:
        """`reap`: free what belongs to workers whose lease is over."""

    async def resign(self) -> None:
        """Others may take up at once whatever is ours."""

    async def take_duty(self, name: str) -> bool: ...

    async def leave_duty(self, name: str) -> None: ...

    def subscribe(self, topic: Topic, heard: Callable[[], None]) -> None:
        """`heard` is called when another worker tells of it. It may be lost: look every second as well."""


class Ledger(Protocol):
    """For the budget. Money in millionths of a CNY."""

    async def reserve(
        self, *, turn: int, chat: ChatKey, model: str, cost: int, day: str, limit: int, job_fence: int | None = None
    ) -> int | None:
        """A new row that holds `cost` back, or None when the day's sum would pass `limit`. Raises FencedOut when the turn is
        over: nobody would settle it. `job_fence`: `turn` is a background job's number, held under this fence; it is being
        submitted from now on."""

    async def settle(self, call: int, cost: int, *, estimated: bool = False) -> None:
        """What the call really cost: once; later calls change nothing. Completed turns settle with their commit instead."""

    async def spent(self, day: str) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What the store has still to do. `oldest` is the age in seconds of the longest waiting event, 0 where none waits."""

    waiting: int
    oldest: float
    unshown: int
    dead: int


class Cursors(Protocol):
    """For adapters: small notes that survive a restart. Names start with the platform's name and a slash."""

    async def notes(self, prefix: str) -> dict[str, str]: ...

    async def note(self, values: dict[str, str]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A message on the page's board, in one of its versions."""

    chat: str
    id: str
    role: Literal["person", "bot"]
    body: str
    created: float
    version: int = 0
    media: str = ""
    mime: str = ""
    buttons: tuple[tuple[tuple[str, str], ...], ...] = ()
    done: bool = True
    removed: bool = False
    files: tuple[str, ...] = field(default=())


class Board(Protocol):
    """For the page: its messages, each change with a new, growing version."""

    async def put(self, card: Card, turn: int = 0) -> int:
        """Insert the message or change it; the version given to it. `created` stays that of the first. `turn`: whose answer
        it is; raises FencedOut where another worker shows its chat by now."""

    async def since(self, chat: str, version: int, limit: int) -> Sequence[Card]:
        """Messages of the chat changed after `version`, in the order of change."""

    async def card(self, chat: str, id: str) -> Card | None: ...

    async def chats(self) -> Sequence[tuple[str, str, float]]:
        """(chat, first words of the first message, time of the last change), latest first."""
