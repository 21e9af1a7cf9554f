"""The one way to fetch what is behind an address that somebody else chose: a vendor's result, a web page, a document.

Such an address may point into our own network. So it is followed to public addresses only; what a name means is checked at
the moment of connecting, on every redirect, and the address that was checked is the one that is connected to: an answer of
the DNS that changes in between changes nothing. Nothing of ours goes along: no cookie, no proxy, no key, no referrer.

A connection per hop and none kept: fetches are rare, and nothing may be left over for the next one. What the bytes mean is
the caller's matter.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

USER_AGENT = "Mozilla/5.0 (compatible; Magpie; fetches what a person asked for)"
PORTS = frozenset({80, 443, 8080, 8443})
LONGEST = 4_096  # characters of an address: signed links have up to some 1,500
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Reachable by name as "global", but they carry somebody's private IPv4 address inside: IPv4-compatible, NAT64, 6to4, Teredo.
_TUNNELS = tuple(map(ipaddress.ip_network, ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
# What Clash and its kin answer for every name (RFC 2544's range): the proxy behind it knows which name was meant.
_FAKE = ipaddress.ip_network("198.18.0.0/15")
# Never names of the open internet (RFC 6761, 6762, 8375, and ICANN's "internal"): behind a fake IP nothing else tells.
_LOCAL = (".localhost", ".local", ".internal", ".home.arpa")
# Of their own: a name server that never answers must not hold up the threads that read and write our files.
_LOOKUPS = ThreadPoolExecutor(4, "lookup")


class BadLink(Exception):
    """Nothing can be had from this address: a reason for the owner's log, or for a model. `again`: another try may help."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again


class LinkTooLarge(BadLink):
    """There is something, but more than was to be taken."""


async def system_lookup(name: str) -> Sequence[str]:
    """The addresses of a name, as the system tells them. Raises OSError."""
    found = await asyncio.get_running_loop().run_in_executor(
        _LOOKUPS, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    )
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is fetched, and how much of it.

    limit    bytes, unpacked
    seconds  for all of it: names, redirects, body
    types    media types that are taken ("text/html", "image/*"); empty: any
    schemes, ports  besides those of `own`
    own      an origin (scheme, host and port) that is ours or was configured: trusted wherever it is
    hops     redirects that are followed
    fake_ip  names may resolve into 198.18.0.0/15: a fake-IP proxy stands between us and the internet, and must itself keep
             what comes through it out of private networks
    lookup   how names become addresses
    """

    limit: int
    seconds: float
    types: tuple[str, ...] = ()
    schemes: tuple[Literal["https", "http"], ...] = ("https",)
    ports: frozenset[int] = PORTS
    own: URL | None = None
    hops: int = 5
    fake_ip: bool = False
    lookup: Callable[[str], Awaitable[Sequence[str]]] = system_lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """`url` is where it was found after all redirects; `mime` is lower case; `charset` as the server named it, or ""."""

    url: str
    status: int
    mime: str
    charset: str
    data: bytes


async def fetch(link: str, rules: Rules) -> Fetched:
    """What is behind a link, by the rules. Raises BadLink, of more than the limit LinkTooLarge."""
    if len(link) > LONGEST:
        raise BadLink("the address is too long")
    try:
        async with asyncio.timeout(rules.seconds):
            return await _follow(URL(link), rules)
    except ValueError as error:  # of yarl's and of aiohttp's InvalidURL
        raise BadLink(f"no address: {error}") from error
    except TimeoutError as error:
        raise BadLink(f"nothing whole came within {rules.seconds:g} s", again=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise BadLink(f"{type(error).__name__}: {error}", again=True) from error


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


class PublicOnly(AbstractResolver):
    """Resolves names when a connection is made, and gives out only the addresses that may be connected to."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._rules.lookup(host)
        open_to_us = [address for address in dict.fromkeys(found) if self._admits(address)]
        if not open_to_us:
            fake = any(ipaddress.ip_address(address) in _FAKE for address in found)
            hint = " but that of a fake-IP proxy, which FETCH_FAKE_IP would allow" if fake else ""
            raise BadLink(f"{host} has no public address{hint}")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in open_to_us
        ]

    def _admits(self, address: str) -> bool:
        return is_public(address) or (self._rules.fake_ip and ipaddress.ip_address(address) in _FAKE)

    async def close(self) -> None:
        """Nothing is kept."""


async def _follow(url: URL, rules: Rules) -> Fetched:
    for _ in range(rules.hops + 1):
        own = rules.own is not None and url.is_absolute() and url.origin() == rules.own.origin()
        if not own:
            _check(url, rules)
        if url.user is not None or url.password is not None:  # they would become an Authorization
            raise BadLink("an address with a user name or password in it")
        connector = aiohttp.TCPConnector(resolver=None if own else PublicOnly(rules), use_dns_cache=False)
        async with (
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(url, allow_redirects=False, headers={"User-Agent": USER_AGENT}) as response,
        ):
            if response.status in _REDIRECTS and "Location" in response.headers:
                url = url.join(URL(response.headers["Location"]))
                continue
            return await _taken(response, rules)
    raise BadLink(f"more than {rules.hops} redirects")


def _check(url: URL, rules: Rules) -> None:
    """Raises BadLink. What a name means is seen when it is resolved; literal addresses never are, so that is done here."""
    if url.scheme not in rules.schemes or not url.raw_host:
        raise BadLink(f"not an {' or '.join(rules.schemes)} address: {url.scheme}")
    host = url.raw_host.rstrip(".")
    try:
        public = is_public(host) and "%" not in host
    except ValueError:
        public = "." in host and not _is_number(host) and not host.lower().endswith(_LOCAL)
    if not public:
        raise BadLink("not a public address")
    if url.port not in rules.ports:
        raise BadLink(f"port {url.port} is none of the web's")


def _is_number(host: str) -> bool:
    """Whether resolvers read it as an IPv4 address of another spelling (127.1, 0x7f.1, 2130706433): by WHATWG's rule,
    https://url.spec.whatwg.org/#ends-in-a-number-checker."""
    last = host.rpartition(".")[2].lower()
    return last.isdigit() or (last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:]))


async def _taken(response: aiohttp.ClientResponse, rules: Rules) -> Fetched:
    if not 200 <= response.status < 300:
        raise BadLink(f"HTTP {response.status}", again=response.status >= 500 or response.status == 429)
    mime = response.content_type.lower()
    if rules.types and mime not in rules.types and f"{mime.partition('/')[0]}/*" not in rules.types:
        raise BadLink(f"it is {mime}, which is not taken here")
    if (response.content_length or 0) > rules.limit:
        raise LinkTooLarge(f"more than {rules.limit} bytes")
    data = bytearray()
    async for (
        block
    ) in response.content.iter_any():  # unpacked, in blocks of at most some 256 KiB: a bomb ends at the limit
        data += block
        if len(data) > rules.limit:
            raise LinkTooLarge(f"more than {rules.limit} bytes")
    return Fetched(
        url=str(response.url), status=response.status, mime=mime, charset=response.charset or "", data=bytes(data)
    )
