"""A file to be read goes to a child process: at most two at a time, and none outlives its reading.

The child (`apart`) has no more memory and time than its `Limits`, and says what it found in one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from dataclasses import asdict
from weakref import WeakKeyDictionary

from bot import apart, phrases
from bot.documents import plain
from bot.documents.document import Document, Limits, Unopened, display_name
from bot.documents.gathering import Gathering
from bot.documents.kinds import Kind, check_beginning, kind_of
from bot.phrases import Phrase
from bot.phrases import documents as sentences

log = logging.getLogger(__name__)

AT_ONCE = 2  # each may take half a gigabyte
SMALL = 1_000_000  # bytes of plain text that are decoded right here, in some milliseconds
LIMITS = Limits()

_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()  # one loop, but in tests


async def read_document(data: bytes, name: str, mime: str, *, limits: Limits = LIMITS) -> Document:
    """The text of the file `data`. `mime` decides only where `name` does not. Raises Unopened. Waits while others are read;
    the limits of time count from the start."""
    kind = kind_of(name, mime)
    if kind is None:
        raise Unopened(sentences.UNKNOWN_KIND)
    if len(data) > limits.size:
        raise Unopened(phrases.TOO_LARGE.format(limit=f"{limits.size / 1_000_000:g} MB"))
    check_beginning(kind, data)
    if kind is Kind.TEXT and len(data) <= SMALL:
        gathering = Gathering(limits)
        plain.read(data, gathering)
        text, left_out = gathering.text, gathering.left_out
    else:
        async with _places.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)):
            text, left_out = await _read_apart(data, kind, limits)
    if not text.strip():
        raise Unopened(sentences.EMPTY)
    return Document(display_name(name), text, left_out)


async def _read_apart(data: bytes, kind: Kind, limits: Limits) -> tuple[str, tuple[Phrase, ...]]:
    arguments = (kind, json.dumps(asdict(limits)))
    try:
        said, ended = await apart.run(
            "bot.documents.child", *arguments, data=data, most=8 * limits.characters + 100_000, wall=limits.wall
        )
    except TimeoutError:
        raise Unopened(sentences.TOO_SLOW, f"{kind}: not read in {limits.wall:g} s") from None
    except OSError as error:  # no memory, no processes left
        raise Unopened(sentences.FAILED, str(error)) from error
    return _understood(said, ended, kind)


def _understood(said: bytes, ended: int, kind: Kind) -> tuple[str, tuple[Phrase, ...]]:
    try:
        answer = json.loads(said)
        if "unopened" in answer:
            log.info("a file of kind %s was not read: %s", kind, answer["why"])
            raise Unopened(Phrase(*answer["unopened"]), answer["why"])
        return str(answer["text"]), tuple(Phrase(en, zh) for en, zh in answer["left_out"])
    except (ValueError, KeyError, TypeError):
        log.info("a file of kind %s was not read: its reader ended with %d", kind, ended)
        why = f"{kind}: the reader ended with {ended}"
        by = signal.Signals(-ended).name if ended < 0 else ""
        if by in ("SIGXCPU", "SIGALRM"):
            raise Unopened(sentences.TOO_SLOW, why) from None
        if by == "SIGKILL":  # by the system, short of memory
            raise Unopened(sentences.TOO_LARGE_INSIDE, why) from None
        raise Unopened(sentences.DAMAGED, why) from None
