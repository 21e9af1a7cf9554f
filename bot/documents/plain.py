"""Plain text, code, CSV and the like: only their encoding has to be found. They stay as they are written."""

from __future__ import annotations

import codecs
import re

from bot.documents.gathering import Gathering
from bot.documents.kinds import Kind, misnamed
from bot.phrases import documents as phrases

# UTF-32's mark begins with UTF-16's, so it is tried first. Each codec takes the mark away.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY = re.compile("[\x00-\x06\x0e-\x1a\x1c-\x1f\ufffd]")
_MOST_BINARY = 0.1  # the share of such characters from which on this is no text
_SAMPLE = 100_000  # characters


def read(data: bytes, into: Gathering) -> None:
    text, lost = decode(data)
    _check(text)
    into.add(text)
    if into.cut:
        into.leave(phrases.STOPPED_AT_SHARE.format(share=max(1, into.limits.characters * 100 // len(text))))
    if lost:
        into.leave(phrases.UNDECODED.format(count=lost))


def decode(data: bytes) -> tuple[str, int]:
    """The text and how many characters of it could not be decoded. By its byte order mark, else UTF-8, else GB 18030, which
    takes nearly all that older Chinese systems wrote (GBK and GB 2312 are parts of it)."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = data.decode(encoding, "replace")
            return text, text.count("\ufffd")
    for encoding in ("utf-8", "gb18030"):
        try:
            return data.decode(encoding), 0
        except UnicodeDecodeError:
            continue
    text = data.decode("utf-8", "replace")
    return text, text.count("\ufffd")


def _check(text: str) -> None:
    """A log with a few NULs in it is text; a program is none."""
    sample = text[:_SAMPLE]
    dense = sample.replace("\0", "") if sample.count("\0") < len(sample) / 2 else sample
    if len(_BINARY.findall(dense)) > len(dense) * _MOST_BINARY:
        raise misnamed(Kind.TEXT, None)
