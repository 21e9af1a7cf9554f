"""Which addresses a text holds, so that a model fetches only what somebody else wrote. Pure.

A model that was talked into it could put a conversation into an address and have it fetched. So an address counts as written
only as a whole: what is compared leaves nothing to the model's choice but a few bits (scheme, last slash).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

_ADDRESS = re.compile(
    r"(?:https?://[^\s/?#<>\"'`\\]+|(?<![a-zA-Z0-9.-])(?:[a-zA-Z0-9-]{1,63}\.){1,8}[a-zA-Z][a-zA-Z0-9-]{1,62}(?::\d{1,5})?)"
    r"(?:[/?#][^\s<>\"'`\\]*)?",
    re.IGNORECASE,
)
_CHINESE_END = re.compile("[\u3000-\u303f\uff00-\uffef]")  # punctuation that no address holds and no space follows
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_TRAILING = ".,;:!?)]}*_~|>'\""
MOST_TRAILING = 8  # such characters in a row at the end
_PLAIN = "!#$%&'()*+,/:;=?@[]~"  # what stays as it is when an address is encoded: reserved, or encoded already


def is_written(url: str, texts: Iterable[str]) -> bool:
    """Whether one of the texts holds exactly this address."""
    wanted = {_bare(url.strip()), _bare(quote(url.strip(), safe=_PLAIN, errors="replace"))}  # the same when it is sent
    return any(not wanted.isdisjoint(addresses(text)) for text in texts)


def addresses(text: str) -> frozenset[str]:
    """All in the text as `_bare` ones, each also without what may be the punctuation of the sentence around it."""
    found: set[str] = set()
    for match in _ADDRESS.finditer(text):
        whole = match[0]
        for end in (_CHINESE_END, _NOT_ASCII):
            cut = end.search(whole)
            found.update(_readings(whole[: cut.start()] if cut else whole))
    return frozenset(found)


def _readings(address: str) -> Iterable[str]:
    for _ in range(MOST_TRAILING + 1):
        yield _bare(address)
        yield _bare(quote(address, safe=_PLAIN, errors="replace"))
        if not address or address[-1] not in _TRAILING:
            return
        address = address[:-1]


def _bare(address: str) -> str:
    """Without scheme, fragment (which is never sent) and last slash."""
    for scheme in ("https://", "http://"):
        if address[: len(scheme)].lower() == scheme:
            address = address[len(scheme) :]
    return address.partition("#")[0].removesuffix("/")
