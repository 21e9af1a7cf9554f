"""What runs in the child process: `python -m bot.documents.child KIND LIMITS`, the file on stdin, one JSON on stdout:
`{"text": …, "left_out": [[en, zh], …]}` or `{"unopened": [en, zh], "why": …}`.

Before it looks at the file it takes from itself what a reader does not need (`confined`).
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path

from bot.confined import confine
from bot.documents.document import Limits, Unopened
from bot.documents.gathering import Gathering
from bot.documents.kinds import Kind
from bot.phrases import Phrase
from bot.phrases import documents as phrases

READERS = {
    Kind.TEXT: "plain",
    Kind.PDF: "pdf",
    Kind.WORD: "word",
    Kind.WORKBOOK: "workbook",
    Kind.SLIDES: "slides",
    Kind.PAGE: "page",
}


def main(kind: Kind, limits: Limits) -> None:
    """An unknown error of a library means that the file is not as its format demands."""
    confine(memory=limits.memory, cpu=limits.cpu, wall=limits.wall)
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
