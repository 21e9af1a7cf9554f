"""Pictures on their way in and out: what bytes are, pictures as data URLs, and fetching a vendor's result link.

A result link is the vendor's word, not ours: it is followed only to public addresses over https, or to the vendor's own
configured host, and only a picture is taken from it.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Protocol

from yarl import URL

from bot import foreign
from bot.foreign import BadLink, Rules

MAX_PICTURE = 20 * 1024 * 1024  # bytes
MAX_HOPS = 3  # redirects
SECONDS = 60.0  # for one try of the whole fetch


class Kept(Protocol):
    """Where kept pictures are: what the models need of `ports.Files`."""

    async def load(self, name: str) -> bytes: ...


def mime_of(data: bytes) -> str:
    """By its first bytes; "" for what is no picture that people's programs show."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return ""


async def encoded(files: Kept, name: str) -> tuple[str, str]:
    """A kept picture as (mime, base64)."""
    data = await files.load(name)
    text = await asyncio.to_thread(base64.b64encode, data)  # 10 MB take 30 ms
    return mime_of(data) or "image/jpeg", text.decode()


async def data_url(files: Kept, name: str) -> str:
    mime, text = await encoded(files, name)
    return f"data:{mime};base64,{text}"


async def fetch(link: str, *, host: URL, limit: int = MAX_PICTURE, fake_ip: bool = False) -> tuple[bytes, str]:
    """The bytes and mime type of the picture behind a vendor's result link. Raises BadLink.

    `host` is that vendor's configured base URL: links to its scheme, host and port are followed wherever it is.
    """
    rules = Rules(limit=limit, seconds=SECONDS, hops=MAX_HOPS, own=host, fake_ip=fake_ip)
    fetched = await foreign.fetch(link, rules)
    mime = mime_of(fetched.data)
    if not mime:
        raise BadLink("no picture behind it")
    return fetched.data, mime
