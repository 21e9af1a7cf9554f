"""What tools are to the manager: functions that a model may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.messages import ChatKey
from bot.phrases import Language, Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCard:
    """A tool as a model is told of it.

    name         [a-zA-Z0-9_-]{1,64}, unique among all tools
    description  what it does and when to use it: the model reads it
    parameters   the JSON schema of its arguments, as JSON text of an object
    read_only    it changes nothing: it may be repeated after a crash, and needs no consent
    notice       for people, while it runs ("looks up the weather"); None shows the tool's name
    fetches      the argument that is an address from which it fetches, "" for none: an address that a model may have made up
                 itself needs consent, since it could carry the conversation away
    fingerprint  of what it was when consent was given to it; consent is void when it changes
    """

    name: str
    description: str
    parameters: str
    read_only: bool = True
    notice: Phrase | None = None
    fetches: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """For whom a tool runs. What it fetches on the way counts against the same limits as the turn. `pages` is the highest
    number of a source that the answer already has: its results may come from before a crash or a consent."""

    chat: ChatKey
    turn: int
    person: str
    language: Language = "en"
    pages: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A page that an answer rests on; `number` is how the answer refers to it."""

    number: int
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model reads, at most `MOST_RESULT` characters. `failed`: a sentence that says what went wrong and what to do.
    `sources`: pages that it rests on, by the numbers that the text gives them."""

    text: str
    failed: bool = False
    sources: tuple[Source, ...] = ()


MOST_RESULT = (
    16_000  # characters: some 4,000 to 16,000 tokens; longer results are cut by whoever runs the tool, and say so
)


class Toolbox(Protocol):
    """The tools that are set up here."""

    def cards(self) -> Sequence[ToolCard]:
        """Now: a tool server may come and go."""

    async def call(self, name: str, arguments: str, context: ToolContext) -> ToolResult:
        """`arguments` is what the model wrote, untrusted: JSON that does not fit the schema gives a failed result that tells
        the model what is wrong. Never raises but for bugs and cancellation; ends by itself within its own limit of time."""


class ToolRuns(Protocol):
    """For the loop that runs tools: each run is a row, committed before it runs and with its result after it. What changes
    a row raises FencedOut when the turn is over."""

    async def begin_run(self, turn: int, number: int, name: str, arguments: str, *, state: str = "begun") -> ToolRun:
        """The turn's run of that number: a new row, or the one that an earlier attempt left (if it is for the same)."""

    async def end_run(
        self, turn: int, number: int, result: str, *, failed: bool = False, sources: Sequence[Source] = ()
    ) -> None: ...

    async def runs(self, turn: int) -> Sequence[ToolRun]:
        """All of a turn, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRun:
    """One call of a tool by a model. `state`: begun, done, failed; asked (it waits for a person's consent). `sources` are the
    pages that the result rests on. `fresh`: this row is new."""

    turn: int
    number: int
    name: str
    arguments: str
    state: str
    result: str = ""
    sources: tuple[Source, ...] = ()
    fresh: bool = False
