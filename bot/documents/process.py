"""A file to be read goes to a child process: at most two at a time, and none outlives its reading.

The child has no environment of ours, no more memory and time than its `Limits`, and says what it found in one line of
JSON. It ends by itself as well (see `child`), should this process be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import asdict
from pathlib import Path
from weakref import WeakKeyDictionary

from bot import phrases
from bot import phrases_documents as sentences
from bot.documents import plain
from bot.documents.document import Document, Limits, Unopened, display_name
from bot.documents.gathering import Gathering
from bot.documents.kinds import Kind, check_beginning, kind_of
from bot.phrases import Phrase

log = logging.getLogger(__name__)

AT_ONCE = 2  # each may take half a gigabyte
SMALL = 1_000_000  # bytes of plain text that are decoded right here, in some milliseconds
ROOT = Path(__file__).parents[2]  # where the package `bot` lies
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
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-B", "-m", "bot.documents.child", kind, json.dumps(asdict(limits)),
            stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd=ROOT, env={"PYTHONUTF8": "1"}, start_new_session=True,
        )  # fmt: skip
    except OSError as error:  # no memory, no processes left
        raise Unopened(sentences.FAILED, str(error)) from error
    try:
        async with asyncio.timeout(limits.wall):
            said = await _converse(child, data, 8 * limits.characters + 100_000)
            ended = await child.wait()
    except TimeoutError:
        raise Unopened(sentences.TOO_SLOW, f"{kind}: not read in {limits.wall:g} s") from None
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
    return _understood(said, ended, kind)


async def _converse(child: Process, data: bytes, most: int) -> bytes:
    """What the child says until it closes, at most `most` bytes of it."""
    assert child.stdin is not None and child.stdout is not None
    heard = bytearray()
    async with asyncio.TaskGroup() as group:
        group.create_task(_tell(child.stdin, data))
        while len(heard) < most and (chunk := await child.stdout.read(65_536)):
            heard += chunk
        if len(heard) >= most:
            child.kill()
    return bytes(heard)


async def _tell(stdin: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # it need not hear all to say no
        stdin.write(data)
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


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
