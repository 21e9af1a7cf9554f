"""Pictures on their way in and out: what bytes are, pictures as data URLs, and fetching a vendor's result link.

A result link is the vendor's word, not ours: it is followed only to public addresses over https, or to the vendor's own
configured host, and only a picture is taken from it.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

MAX_PICTURE = 20 * 1024 * 1024  # bytes
MAX_HOPS = 3  # redirects
SECONDS = 60.0  # for one try of the whole fetch
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Reachable by name as "global", but they carry somebody's private IPv4 address inside: NAT64, 6to4, Teredo.
_TUNNELS = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))


class Kept(Protocol):
    """Where kept pictures are: what the models need of `ports.Files`."""

    async def load(self, name: str) -> bytes: ...


class BadLink(Exception):
    """This link gives no picture: a reason for the owner's log. `again`: another try may."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


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


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet: not private, loopback, link-local, shared, reserved, multicast,
    benchmarking, nor a tunnel to such."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return is_public(str(ip.ipv4_mapped))
        if ip.is_site_local or any(ip in network for network in _TUNNELS):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class _PublicOnly(AbstractResolver):
    """Resolves names at the moment of connecting and keeps only public addresses, so that no answer can change in between."""

    def __init__(self) -> None:
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        public = [one for one in found if is_public(one["host"])]
        if not public:
            raise BadLink(f"{host} has no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


async def fetch(link: str, *, host: URL, limit: int = MAX_PICTURE) -> tuple[bytes, str]:
    """The bytes and mime type of the picture behind a vendor's result link. Raises BadLink.

    `host` is that vendor's configured base URL: links to its scheme, host and port are followed wherever it is.
    """
    try:
        async with asyncio.timeout(SECONDS):
            return await _follow(URL(link), host, limit)
    except ValueError as error:  # of yarl's and of aiohttp's InvalidURL
        raise BadLink(f"no address: {error}") from error
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise BadLink(f"{type(error).__name__}: {error}", again=True) from error


async def _follow(url: URL, host: URL, limit: int) -> tuple[bytes, str]:
    for _ in range(MAX_HOPS + 1):
        own = url.is_absolute() and url.origin() == host.origin()
        if not own:
            _check(url)
        # A session of its own: pictures are rare, and no cookie or connection of the vendors' calls may go along.
        connector = aiohttp.TCPConnector(resolver=None if own else _PublicOnly(), use_dns_cache=False)
        async with (
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status in _REDIRECTS and "Location" in response.headers:
                url = url.join(URL(response.headers["Location"]))
                continue
            if response.status != 200:
                raise BadLink(f"HTTP {response.status}", again=response.status >= 500 or response.status == 429)
            data = await _read(response, limit)
            mime = mime_of(data)
            if not mime:
                raise BadLink("no picture behind it")
            return data, mime
    raise BadLink(f"more than {MAX_HOPS} redirects")


def _check(url: URL) -> None:
    """Raises BadLink. Names are checked when they are resolved; literal addresses never are, so that is done here."""
    if url.scheme != "https" or not url.host:
        raise BadLink(f"not an https address: {url.scheme}")
    try:
        public = is_public(url.host)
    except ValueError:
        return
    if not public:
        raise BadLink("not a public address")


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    if (response.content_length or 0) > limit:
        raise BadLink(f"more than {limit} bytes")
    data = bytearray()
    async for block in response.content.iter_any():
        data += block
        if len(data) > limit:
            raise BadLink(f"more than {limit} bytes")
    return bytes(data)
