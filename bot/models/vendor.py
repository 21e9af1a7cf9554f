"""What a vendor's file gives to the policies in `guarded.py`: one try of a call, and its errors told apart."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from yarl import URL

from bot.errors import Trouble
from bot.messages import Finished, Text, Thought, Usage
from bot.ports import Hit, ModelCard, Order, Prompt, Source, Sources, SpeechPrompt, ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """What came of an order, as the vendor gives it: a text and what it rests on, or links that expire. `host` is the vendor's
    own address, whose links are trusted; `missing` of several pictures were not made, and `why`. `finished.usage` counts what
    the vendor bills."""

    finished: Finished
    host: URL
    text: str = ""
    sources: tuple[Source, ...] = ()
    links: tuple[str, ...] = ()
    missing: int = 0
    why: str = ""


Streamed = Text | Thought | ToolCall | Sources | Finished


class Vendor(Protocol):
    """One try each: no retries, no limits of time, no money. Raises ModelError and nothing else."""

    def stream(self, prompt: Prompt) -> AsyncGenerator[Streamed, None]:
        """The answer; the last item is the one Finished: CUT when the stream ended without a reason, `usage.estimated` when
        the vendor told no usage. The functions that the model asks for come whole, right before a Finished of TOOLS and of
        nothing else. Closing the generator closes the request."""


class Offering(Vendor, Protocol):
    """A vendor that offers more than chat. Here, too, one try each, and ModelError alone; its `unbilled` says that the vendor
    surely charges nothing."""

    async def submit(self, order: Order) -> str | Linked:
        """The vendor's id of the task that it took on, or what came of it at once. A Prompt is answered later
        (`card.later`)."""

    async def look(self, card: ModelCard, task: str) -> Linked | None:
        """None while it is still being made. Raises the task's own failure."""

    async def cancel(self, card: ModelCard, task: str) -> None:
        """Best effort; a vendor that does not answer is given up within 2 s."""

    async def transcribe(self, prompt: SpeechPrompt) -> tuple[str, Finished]: ...

    async def speak(self, prompt: SpeechPrompt) -> tuple[bytes, Finished]:
        """As WAV."""

    async def search(self, query: str, count: int) -> Sequence[Hit]: ...


# What reading a vendor's JSON raises when it has another shape than the documented one.
MALFORMED = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
MOST_TOKENS = 100_000_000  # of one call; what claims more is no count of any model's


def usage_of(prompt: object, completion: object, cached: object = 0) -> Usage | None:
    """The vendor's figures as Usage. None where they cannot be right (no numbers, negative, endless): they count as none told,
    since money is booked by them."""
    read, written = _count(prompt), _count(completion)
    if not read or written is None:
        return None
    return Usage(prompt=read, completion=written, cached=min(_count(cached) or 0, read))


def _count(value: object) -> int | None:
    if value is None:
        return 0
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None


def told(error: Exception) -> str:
    """For the owner. Never the `repr` of aiohttp's errors: it holds the request with its headers, and so the key."""
    return f"{type(error).__name__}: {error}"[:500]


def by_status(status: int) -> Trouble:
    """The fallback for a refusal whose business code nobody knows, such as a gateway's HTML page."""
    if status in _STATUSES:
        return _STATUSES[status]
    return Trouble.BAD_REQUEST if 300 <= status < 500 else Trouble.FAULT


_STATUSES: Mapping[int, Trouble] = {
    401: Trouble.BAD_KEY,
    402: Trouble.NO_MONEY,
    403: Trouble.BAD_KEY,
    404: Trouble.NO_MODEL,
    408: Trouble.FAULT,
    409: Trouble.FAULT,
    413: Trouble.TOO_LONG,
    425: Trouble.BUSY,
    429: Trouble.BUSY,
    503: Trouble.OVERLOADED,
    529: Trouble.OVERLOADED,
}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header, whatever its case; its date form is not used by these vendors."""
    for name, value in headers.items():
        if name.lower() == "retry-after":
            try:
                return max(0.0, float(value))
            except ValueError:
                return None
    return None
