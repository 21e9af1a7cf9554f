"""What models are to the hub: to an answer, to background work, to speech and searches."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bot.messages import (
    ChatKey,
    Finished,
    Notice,
    Text,
    Thought,
)
from bot.phrases import Language
from bot.ports.tools import Source, ToolCard

Kind = Literal["chat", "image", "video", "hear", "speak"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model of the catalogue.

    window, output  tokens: what prompt and answer may take together, and the most that an answer may take
    price           CNY per million tokens as ((prompt tokens up to, in, out), ...), ascending; empty: free
    per_picture     CNY for each picture of an image model, each video, each thousand characters of speech
    per_second      CNY for each second of a video, or of speech that is understood
    default         the vendor's default for what it does (chat, vision or image)
    thinks          whether it can think: "never", "switch" or "always"
    tools           it can ask for functions
    searches        it can search the web itself, when a prompt says so
    later           its vendor takes a question now and keeps the answer until it is fetched
    edits           image models: how many pictures it takes to be changed (0: it draws from words alone)
    most            image models: how many pictures one call draws
    task            image models: it draws as a task that is asked after; video models always do
    animates        video models: takes a picture to begin with
    sides           image and video models: (least, most) pixels of each side of a picture that is given to it, None: any
    prompt_limit    image and video models: characters of a description that it reads, 0: nobody tells
    truncates       what is longer its vendor cuts off; else it is refused
    seconds         video models: lengths that it makes, the first is its default
    voices          speech models: their names, the first is the default
    seed            whether the vendor takes a seed for it
    note            what else its owner should know, in plain words: shown wherever models are listed
    sizes           image and video models: WxH, the first is the default; empty when `size_rule` decides
    size_rule       image models: (min side, max side, multiple of, max pixels), or None for a fixed list
    """

    name: str
    vendor: str
    kind: Kind
    window: int = 0
    output: int = 0
    vision: bool = False
    thinks: Literal["never", "switch", "always"] = "never"
    tools: bool = False
    searches: bool = False
    later: bool = False
    seed: bool = False
    price: tuple[tuple[int, float, float], ...] = ()
    per_picture: float = 0.0
    per_second: float = 0.0
    default: bool = False
    api: str = ""
    sizes: tuple[str, ...] = ()
    size_rule: tuple[int, int, int, int] | None = None
    edits: int = 0
    most: int = 1
    task: bool = False
    animates: bool = False
    sides: tuple[int, int] | None = None
    prompt_limit: int = 0
    truncates: bool = False
    seconds: tuple[int, ...] = ()
    voices: tuple[str, ...] = ()
    note: str = ""

    @property
    def free(self) -> bool:
        return not (self.per_picture or self.per_second) and all(
            not cost_in and not cost_out for _, cost_in, cost_out in self.price
        )


# --- chat --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model asks for a function, whole: `arguments` is the JSON that it wrote, untrusted. `id` is the vendor's."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What the vendor's own web search found."""

    found: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A message of a prompt. `files` are names of kept pictures. An assistant's line may ask for functions (`calls`); each is
    followed by a tool's line for every one of them, whose `call` is the id and whose text is the result."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    files: tuple[str, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    call: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a chat model is asked. The last line is the user's, or a tool's. `seed` asks for another answer to the same
    question; `tools` may be asked for; `search`: the vendor is to search the web itself; `language` is that of the notices
    while it waits for its vendor. `job_fence`: `turn` is a background job's number, held under this fence. `last`: the turn
    ends with it, and its commit settles what it cost; any other call is settled at once."""

    card: ModelCard
    lines: tuple[Line, ...]
    output: int
    chat: ChatKey
    turn: int
    seed: int | None = None
    think: bool = False
    tools: tuple[ToolCard, ...] = ()
    search: bool = False
    language: Language = "en"
    job_fence: int | None = None
    last: bool = True


Said = Text | Thought | Notice | ToolCall | Sources | Finished


class ChatModel(Protocol):
    def generate(self, prompt: Prompt) -> AsyncGenerator[Said, None]:
        """The answer as it is written; the last item is the one Finished. Raises ModelError, also in the middle. Closing the
        iterator closes the request. With Finish.TOOLS the calls came before, whole; of an answer that ended otherwise there
        are none."""


# --- pictures and videos -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturePrompt:
    """What an image model is asked: to draw, or to change `pictures` (names of kept ones). size is "WxH" and fits the card, ""
    for the model's default. `job_fence` as for Prompt."""

    card: ModelCard
    text: str
    chat: ChatKey
    turn: int
    size: str = ""
    count: int = 1
    pictures: tuple[str, ...] = ()
    seed: int | None = None
    job_fence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPrompt:
    """What a video model is asked; `picture` is the kept one that it begins with. `seconds` 0: the model's default."""

    card: ModelCard
    text: str
    chat: ChatKey
    turn: int
    picture: str = ""
    size: str = ""
    seconds: int = 0
    job_fence: int | None = None


Order = Prompt | PicturePrompt | VideoPrompt


@dataclass(frozen=True, slots=True)
class Fetched:
    """A picture or video, fetched from the vendor: its links expire. `data` is empty, and `link` is not, for a video that is
    larger than we keep."""

    data: bytes
    mime: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The vendor works on it; `task` is its id there, `call` the ledger's row, `cost` what is held back."""

    task: str
    call: int
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of an order. `sources` are the pages that the text rests on; `missing`: so many of several pictures were not
    drawn, and `why` in the vendor's words. `finished` tells what it cost: only what was made."""

    finished: Finished
    text: str = ""
    sources: tuple[Source, ...] = ()
    files: tuple[Fetched, ...] = ()
    missing: int = 0
    why: str = ""


class Background(Protocol):
    """Orders that outlive a turn, and a process: one step each, tried once. All raise ModelError."""

    async def submit(self, order: Order) -> Submitted | Made:
        """Money is held back, the order is noted as being submitted, and it goes to the vendor. Raises BudgetSpent, and
        FencedOut when the work is over or another's; with a ModelError the money is settled, and its `unbilled` tells whether
        the order may be submitted once more."""

    async def look(self, card: ModelCard, task: str) -> Made | None:
        """None: not yet. A ModelError whose `trouble` may pass (BUSY, FAULT, UNREACHABLE ...) says nothing of the task; any
        other one is its end."""

    async def cancel(self, card: ModelCard, task: str) -> None:
        """Best effort."""


# --- speech ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechPrompt:
    """Something to be said aloud, or (`audio`) to be understood."""

    card: ModelCard
    chat: ChatKey
    turn: int
    text: str = ""
    voice: str = ""
    audio: bytes = b""
    mime: str = ""
    seconds: float = 0.0


class SpeechModel(Protocol):
    async def transcribe(self, prompt: SpeechPrompt) -> tuple[str, Finished]:
        """What is said in `audio`. Raises ModelError."""

    async def speak(self, prompt: SpeechPrompt) -> tuple[bytes, Finished]:
        """The text as WAV. Raises ModelError."""


# --- searching ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that a search found, with what it says about the question."""

    title: str
    url: str
    text: str = ""
    site: str = ""
    date: str = ""


class SearchModel(Protocol):
    async def search(self, query: str, count: int, *, chat: ChatKey, turn: int) -> Sequence[Hit]:
        """The vendor's search by itself, without a model. Raises ModelError, BudgetSpent."""


# --- all of them -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unknown:
    """No model of that kind has that name. `nearest` are names that look like it, the nearest first; `variable` the setting
    that would turn it on, if the catalogue knows the model but its vendor has no key; `other`: there is one that does something
    else."""

    nearest: tuple[str, ...] = ()
    variable: str = ""
    other: bool = False


class Models(Protocol):
    """The models that are set up here."""

    @property
    def simulated(self) -> bool:
        """No model is configured: the built-in simulator answers."""

    def cards(self) -> Sequence[ModelCard]:
        """All that can be chosen, vendor by vendor."""

    def find(self, name: str, kind: Kind = "chat") -> ModelCard | Unknown:
        """By full name, or by a vendor's name ("qwen", "glm") for its default of that kind."""

    def pick(self, kind: Kind, *, vendor: str = "", vision: bool = False) -> ModelCard | None:
        """The default of that kind (`CHAT_MODEL`, `IMAGE_MODEL` first), of one vendor, or one that can see: as a chat model
        pictures, as an image or video model one to change or to begin with. None: there is none."""

    def chat(self, card: ModelCard) -> ChatModel: ...

    def fallback(self) -> ModelCard | None:
        """The FALLBACK_MODEL, which answers where another cannot."""


class Offers(Protocol):
    """What else the vendors that are set up here offer."""

    def background(self, card: ModelCard) -> Background: ...

    def speech(self, card: ModelCard) -> SpeechModel: ...

    def searching(self) -> SearchModel | None:
        """None: no vendor that is set up offers a search of its own."""
