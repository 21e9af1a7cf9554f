"""The protocols: what each room needs of its neighbours, by who uses them, 1 to 6 methods each.

Rims (`platforms/`, `models/`, `storage/`) implement them; the hub uses them and knows nothing else of a rim. The values
that only one port speaks of stand beside it; those that walk through the house are in `messages.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from bot.messages import (
    Address,
    Attachment,
    Change,
    ChatKey,
    Event,
    Finished,
    Incoming,
    Notice,
    Part,
    Piece,
    Shown,
    Text,
    Thought,
    Turn,
)
from bot.phrases import Language, Phrase

# --- platforms ---------------------------------------------------------------------------------------------------------


class Intake(Protocol):
    """What an adapter hands its events to."""

    async def accept(self, events: Sequence[Event]) -> None:
        """Commit these events; those known already are skipped. Only after it returns may the platform be told that we
        have them. Raises StorageError: nothing was accepted, keep them and try again."""


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

    def layout(self, markdown: str) -> tuple[Piece, ...]:
        """Render and split by the platform's own limits: at least one piece, each fit to be sent. Pure, never raises, and
        prefix-stable: once a second piece exists, more text at the end never changes the first."""

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


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A command as native menus show it. `argument` names what follows it (None: nothing does), `required` or not;
    `choices` gives what may follow, nearest to what was typed so far."""

    name: str
    help: Phrase
    argument: Phrase | None = None
    required: bool = False
    choices: Callable[[str], Sequence[str]] | None = None


# --- models ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model of the catalogue.

    window, output  tokens: what prompt and answer may take together, and the most that an answer may take
    price           CNY per million tokens as ((prompt tokens up to, in, out), ...), ascending; empty: free
    per_picture     CNY for each picture of an image model
    default         the vendor's default for what it does (chat, vision or image)
    thinks          whether it can think: "never", "switch" or "always"
    seed            whether the vendor takes a seed for it
    sizes           image models: WxH that it draws, the first is its default; empty when `size_rule` decides
    size_rule       image models: (min side, max side, multiple of, max pixels), or None for a fixed list
    """

    name: str
    vendor: str
    kind: Literal["chat", "image"]
    window: int = 0
    output: int = 0
    vision: bool = False
    thinks: Literal["never", "switch", "always"] = "never"
    seed: bool = False
    price: tuple[tuple[int, float, float], ...] = ()
    per_picture: float = 0.0
    default: bool = False
    api: str = ""
    sizes: tuple[str, ...] = ()
    size_rule: tuple[int, int, int, int] | None = None
    note: str = ""

    @property
    def free(self) -> bool:
        return not self.per_picture and all(not cost_in and not cost_out for _, cost_in, cost_out in self.price)


@dataclass(frozen=True, slots=True)
class Line:
    """A message of a prompt. `files` are names of kept pictures."""

    role: Literal["system", "user", "assistant"]
    text: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a chat model is asked. The last line is the user's. `seed` asks for another answer to the same question;
    `language` is that of the notices while it waits for its vendor."""

    card: ModelCard
    lines: tuple[Line, ...]
    output: int
    chat: ChatKey
    turn: int
    seed: int | None = None
    think: bool = False
    language: Language = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturePrompt:
    """What an image model is asked. size is "WxH" and fits the card, "" for the model's default."""

    card: ModelCard
    text: str
    chat: ChatKey
    turn: int
    size: str = ""
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn picture, fetched from the vendor: its links expire."""

    data: bytes
    mime: str
    finished: Finished


class ChatModel(Protocol):
    def generate(self, prompt: Prompt) -> AsyncGenerator[Text | Thought | Notice | Finished, None]:
        """The answer as it is written; the last item is the one Finished. Raises ModelError, also in the middle. Closing the
        iterator closes the request."""


class ImageModel(Protocol):
    async def draw(self, prompt: PicturePrompt) -> Picture:
        """Raises ModelError."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No model has that name. `nearest` are names that look like it; `variable` the setting that would turn it on, if the
    catalogue knows the model but its vendor has no key."""

    nearest: tuple[str, ...] = ()
    variable: str = ""


class Models(Protocol):
    """The models that are set up here."""

    @property
    def simulated(self) -> bool:
        """No model is configured: the built-in simulator answers."""

    def cards(self) -> Sequence[ModelCard]:
        """All that can be chosen, vendor by vendor."""

    def find(self, name: str, kind: Literal["chat", "image"] = "chat") -> ModelCard | Unknown:
        """By full name, or by a vendor's name ("qwen", "glm") for its default of that kind."""

    def pick(self, kind: Literal["chat", "image"], *, vendor: str = "", vision: bool = False) -> ModelCard | None:
        """The default of that kind (`CHAT_MODEL`, `IMAGE_MODEL` first), of one vendor, or one that can see. None: there is
        none."""

    def chat(self, card: ModelCard) -> ChatModel: ...

    def image(self, card: ModelCard) -> ImageModel: ...


# --- the manager, as the engine sees it --------------------------------------------------------------------------------


class Handler(Protocol):
    def answer(self, turn: Turn) -> AsyncGenerator[Part | Change, None]:
        """What to show and what to change; the last Part is Finished. Writes nothing itself. Raises MagpieError."""


# --- the store, as each of its users sees it ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """An accepted event, waiting or being answered."""

    id: int
    platform: str
    payload: str
    at: float
    received: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A chat that is ours until we complete it, and the turn to be made of its oldest rows. `stopped`: a crash interrupted it
    after it was stopped or the chat was reset; no model is to be asked any more. `more`: other rows wait, or may."""

    chat: ChatKey
    turn: int
    seq: int
    fence: int
    epoch: int
    attempt: int
    stop: str
    model: str
    system: str
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
    end and to the first text; `dead` says why the rows become dead letters, "" when they are simply done."""

    address: Address
    finished: Finished
    pieces: tuple[Final, ...]
    changes: tuple[Change, ...] = ()
    buttons: tuple[ButtonRow, ...] = ()
    text: str = ""
    seconds: float = 0.0
    first: float = 0.0
    dead: str = ""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """What a control event did: the turn that must end now (0: none), and how many waiting messages were closed."""

    turn: int = 0
    closed: int = 0


class Inbox(Protocol):
    """For the engine. The fence of a claim is checked in each commit that follows it."""

    async def accept(self, events: Sequence[Event]) -> Sequence[int]:
        """See Intake.accept. An edit of a message still waiting replaces it, one that changes nothing is dropped, and one of a
        question being answered stops that turn: the ids of the turns that must end now."""

    async def claim(self, limit: int) -> tuple[Sequence[Claim], float | None]:
        """Take up to `limit` free chats whose rows are ready, longest waiting first, and open a turn in each (or open the one
        again that a crash interrupted). And when the next chat gets ready (Unix seconds), if any waits for that."""

    async def retry(self, claim: Claim) -> None:
        """The turn is begun once more after a crash: only now does this attempt count."""

    async def complete(self, claim: Claim, outcome: Outcome) -> Sequence[Final]:
        """One commit: rows done, answer, changes, ledger and final pieces; the chat is free. What is now to be shown of this
        turn. Raises FencedOut (the chat is another's: drop everything) and Superseded (stopped or reset meanwhile: complete it
        as stopped)."""

    async def bury(self, claim: Claim, rows: Sequence[int], why: str) -> None:
        """Dead letters: these rows cannot be read, or killed us too often. The others of the claim stay; a claim without rows
        left is closed and the chat is free."""

    async def companions(self, claim: Claim, message: str, row: Row) -> Sequence[Row]:
        """For an edit, which is `row` of the claim: the messages that were answered together with the edited one, in their
        order and as they now stand, itself among them. Empty when it was never answered."""

    async def replace(self, claim: Claim, turn: int) -> Sequence[Shown]:
        """Let the claim's turn take over the messages of an earlier turn of this chat."""


class Control(Protocol):
    """For the engine: what overtakes. Each closes its row in the same commit and queues `reply(overtaken)`."""

    async def control(self, limit: int) -> Sequence[tuple[Row, ChatKey]]:
        """The waiting events of the control lane, oldest first."""

    async def stop(self, row: Row, chat: ChatKey, key: str, person: str, reply: Replying) -> Overtaken:
        """Stop the running turn of the chat; with a `key`, only the turn whose [Stop] button carried it, and with a `person`,
        only that person's."""

    async def reset(self, row: Row, chat: ChatKey, reply: Replying) -> Overtaken:
        """Begin a new conversation: epoch + 1, an empty head, what waits from before closed, a running turn stopped."""

    async def dismiss(self, row: Row, why: str) -> None:
        """A control event that cannot be read: a dead letter."""

    async def leave(self, chat: ChatKey, why: str) -> Overtaken:
        """Nobody is there any more: stop the running turn, drop what was to be shown."""

    async def move(self, old: ChatKey, new: ChatKey, claim: Claim | None = None) -> None:
        """Everything of the old key belongs to the new one from now on. May be repeated. Ends the claim of the event that
        told of it, in the same commit."""


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
    """How a turn ended: for `/info`. `first` and `seconds` count from the claim."""

    turn: int
    finished: Finished
    first: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question with what became of it. `latest` says that it is the last one of the chat's conversation."""

    turn: int
    question: Entry | None
    answer: Entry | None
    latest: bool


class History(Protocol):
    """For the manager; read only, since changes are committed with the answer."""

    async def line(self, tip: int | None, limit: int) -> Sequence[Entry]:
        """The conversation that ends in `tip`, at most `limit` entries, oldest first."""

    async def exchange(self, chat: ChatKey, message: str) -> Exchange | None:
        """The exchange that the platform's message `message` asked or answered."""

    async def last(self, chat: ChatKey, head: int | None) -> Exchange | None:
        """The exchange that ends in `head`."""

    async def asked(self, turn: int) -> Entry | None:
        """The question that this turn answered, or failed to."""

    async def entry(self, id: int) -> Entry | None: ...

    async def report(self, chat: ChatKey) -> Report | None:
        """Of the last turn that asked a model, or failed to."""

    async def button(self, id: str) -> ButtonRow | None: ...


class Outbox(Protocol):
    """For delivery: what stands at the platform and what is still to be shown, in order per chat."""

    async def sent(self, chat: ChatKey, turn: int, slot: int, number: int, message: str) -> None:
        """A preview of this piece stands as `message`."""

    async def shown(self, finals: Sequence[Final]) -> None:
        """The final forms of these pieces stand (their `id` is set), or are removed."""

    async def gone(self, final: Final) -> None:
        """The message that stood for this piece was deleted: its next send is a new one."""

    async def drop(self, finals: Sequence[Final], why: str) -> None:
        """These can never be shown."""

    async def waiting(self, chat: ChatKey) -> Sequence[tuple[Address, Final]]:
        """What is still to be shown in this chat, in order."""

    async def waiting_chats(self) -> Sequence[ChatKey]:
        """The chats in which something is still to be shown."""


class Ledger(Protocol):
    """For the budget. Money in millionths of a CNY."""

    async def reserve(self, *, turn: int, chat: ChatKey, model: str, cost: int, day: str, limit: int) -> int | None:
        """A new row that holds `cost` back, or None when the day's sum would pass `limit`."""

    async def settle(self, call: int, cost: int, *, estimated: bool = False) -> None:
        """What the call really cost: once; later calls change nothing. Completed turns settle with their commit instead."""

    async def spent(self, day: str) -> int: ...


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

    async def put(self, card: Card) -> int:
        """Insert the message or change it; the version given to it. `created` stays that of the first."""

    async def since(self, chat: str, version: int, limit: int) -> Sequence[Card]:
        """Messages of the chat changed after `version`, in the order of change."""

    async def card(self, chat: str, id: str) -> Card | None: ...

    async def chats(self) -> Sequence[tuple[str, str, float]]:
        """(chat, first words of the first message, time of the last change), latest first."""


class Files(Protocol):
    """Pictures kept in `DATA_DIR`, named by their content."""

    async def keep(self, data: bytes, mime: str) -> str:
        """Store the bytes; the name by which they are found again."""

    async def keep_picture(self, data: bytes) -> str:
        """Store a picture that a person sent, made fit for a model: at most 2048 px a side, JPEG or PNG. Raises TooLarge (also
        for one that would unpack to too many pixels) and Unreadable for what is no picture."""

    async def load(self, name: str) -> bytes: ...
