"""What runs in the child process: `python -m bot.documents.child KIND LIMITS`, the file on stdin, one JSON on stdout:
`{"text": …, "left_out": [[en, zh], …]}` or `{"unopened": [en, zh], "why": …}`.

Before it looks at the file it takes from itself what a reader does not need: memory, time, the network, other programs,
files to write. Where a system has no such limits (Windows), only the parent's clock is left.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import signal
import sys
import traceback
from pathlib import Path

from bot import phrases_documents as phrases
from bot.documents.document import Limits, Unopened
from bot.documents.gathering import Gathering
from bot.documents.kinds import Kind
from bot.phrases import Phrase

READERS = {
    Kind.TEXT: "plain",
    Kind.PDF: "pdf",
    Kind.WORD: "word",
    Kind.WORKBOOK: "workbook",
    Kind.SLIDES: "slides",
    Kind.PAGE: "page",
}
_GRACE = 1  # seconds after the parent's limit, when it seems to be gone
_REFUSED = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile")


def main(kind: Kind, limits: Limits) -> None:
    """An unknown error of a library means that the file is not as its format demands."""
    _confine(limits)
    answer = sys.stdout.buffer
    sys.stdout = sys.stderr  # should a library print
    sys.modules["numpy"] = None  # type: ignore[assignment]  # openpyxl would load it to know its numbers: 0.2 s, 100 MB
    said: dict[str, object]
    try:
        said = _read(sys.stdin.buffer.read(), kind, limits)
    except Unopened as error:
        said = {"unopened": _pair(error.phrase), "why": str(error)}
    except Exception as error:  # noqa: BLE001 - parsers meet damage with errors of any type; the parent logs which
        phrase = phrases.TOO_LARGE_INSIDE if _for_want_of_memory(error) else phrases.DAMAGED
        said = {"unopened": _pair(phrase), "why": _place(error)}
    answer.write(json.dumps(said, ensure_ascii=False).encode("utf-8", "replace"))
    answer.flush()


def _read(data: bytes, kind: Kind, limits: Limits) -> dict[str, object]:
    gathering = Gathering(limits)
    importlib.import_module(f"bot.documents.{READERS[kind]}").read(data, gathering)
    return {"text": gathering.text, "left_out": [_pair(phrase) for phrase in gathering.left_out]}


def _confine(limits: Limits) -> None:
    sys.addaudithook(_refuse)
    try:
        import resource
    except ImportError:
        return
    signal.setitimer(signal.ITIMER_REAL, limits.wall + _GRACE)
    for what, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(what, (most, most + 1 if what == resource.RLIMIT_CPU else most))


def _refuse(event: str, _: object) -> None:
    if event.startswith(_REFUSED):
        raise PermissionError(event)


def _for_want_of_memory(error: Exception) -> bool:
    """lxml hides it in a syntax error, under libxml2's own number for it (XML_ERR_NO_MEMORY)."""
    return isinstance(error, MemoryError) or (
        type(error).__name__ == "XMLSyntaxError" and getattr(error, "code", 0) == 2
    )


def _place(error: BaseException) -> str:
    """Where it happened, without its message, which may quote the file."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def _pair(phrase: Phrase) -> tuple[str, str]:
    return phrase.en, phrase.zh


if __name__ == "__main__":
    main(Kind(sys.argv[1]), Limits(**json.loads(sys.argv[2])))
