"""Foreign addresses: only into the open internet, whatever they are called, and only so much, so long and of such a kind."""

import asyncio
import gzip
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from bot.foreign import USER_AGENT, BadLink, LinkTooLarge, PublicOnly, Rules, fetch, is_public, system_lookup
from tests.tools.rig import served

WEB = Rules(limit=1_000_000, seconds=5, schemes=("https", "http"))
MiB = 1024 * 1024

_PRIVATE = """
0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 192.0.0.1 192.0.2.1 192.168.1.1 198.18.0.1 198.51.100.1
203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1
2001:0:1::1 2001:db8::1 2002:7f00:1::1 fc00::1 fd12::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 100::1
"""
PRIVATE = _PRIVATE.split()


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_known_as_such(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "47.95.1.1", "2400:3200::1", "::ffff:8.8.8.8"])
def test_a_public_one_is_public(address: str) -> None:
    assert is_public(address)


@dataclass
class Names:
    """Name servers under a test's control: for each question the next answer, the last one for ever."""

    answers: list[list[str]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def ours(origin: str, rules: Rules = WEB) -> Rules:
    """Rules by which a server on loopback may be fetched from."""
    return replace(rules, own=URL(origin))


# --- where to -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("ftp://example.com/a", "not an https or http address"),
        ("file:///etc/passwd", "not an https or http address"),
        ("data:text/html,x", "not an https or http address"),
        ("gopher://example.com/", "not an https or http address"),
        ("//example.com/", "not an https or http address"),
        ("example.com", "not an https or http address"),
        ("", "not an https or http address"),
        ("http://", "not an https or http address|no address"),
        ("http://localhost/", "public"),
        ("http://LOCALHOST./", "public"),
        ("http://magpie.localhost/", "public"),
        ("http://printer.local/", "public"),
        ("http://metadata.google.internal/", "public"),
        ("http://postgres/", "public"),
        ("http://127.0.0.1/", "public"),
        ("http://127.0.0.1./", "public"),
        ("http://10.0.0.1/", "public"),
        ("http://169.254.169.254/latest/meta-data", "public"),
        ("http://100.100.100.200/latest/meta-data", "public"),  # Alibaba Cloud's
        ("http://[::1]/", "public"),
        ("http://[::ffff:169.254.169.254]/", "public"),
        ("http://[::ffff:a9fe:a9fe]/", "public"),
        ("http://[::127.0.0.1]/", "public"),
        ("http://[64:ff9b::7f00:1]/", "public"),
        ("http://[2002:7f00:1::]/", "public"),
        ("http://[fe80::1%25eth0]/", "public"),
        ("http://[2400:3200::1%25eth0]/", "public"),
        ("http://2130706433/", "public"),
        ("http://017700000001/", "public"),
        ("http://0x7f000001/", "public"),
        ("http://0x7f.1/", "public"),
        ("http://127.1/", "public"),
        ("http://0177.0.0.1/", "public"),
        ("http://127.0.0.0x1/", "public"),
        ("http://8.8.2056/", "public"),  # 8.8.8.8 in another spelling: whoever writes so has something to hide
        ("http://１２７.０.０.１/", "public"),
        ("http://127。0。0。1/", "public"),
        ("http://①②⑦.0.0.1/", "public"),
        ("http://%31%32%37.0.0.1/", "public"),
        ("http://127.0.0.1\\@example.com/", "no address"),
        ("http://user@example.com/", "user name"),
        ("http://user:secret@example.com/", "user name"),
        ("http://:secret@example.com/", "user name"),
        ("http://example.com:22/", "port 22"),
        ("http://example.com:6379/", "port 6379"),
        ("http://example.com:0/", "port 0"),
        ("http://example.com:99999/", "no address"),
        ("http://[bad/", "no address"),
        ("http://" + "a" * 64 + ".com/", "no address"),
        ("http://a..com/", "no address"),
        ("http://\ud800.com/", "no address"),
        ("http://example.com/" + "a" * 5_000, "too long"),
    ],
)
async def test_where_nothing_is_fetched_from(link: str, reason: str) -> None:
    with pytest.raises(BadLink, match=reason) as caught:
        await fetch(link, WEB)
    assert caught.value.reason == str(caught.value)
    assert not caught.value.again


async def test_http_is_taken_only_where_the_rules_say_so() -> None:
    with pytest.raises(BadLink, match="not an https address: http"):
        await fetch("http://example.com/", replace(WEB, schemes=("https",)))


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_name_that_means_a_private_address_is_not_connected_to(address: str) -> None:
    with pytest.raises(BadLink, match=r"example.com has no public address"):
        await fetch("https://example.com/", replace(WEB, lookup=Names([[address]])))


async def test_of_several_addresses_only_the_public_ones_are_connected_to() -> None:
    resolver = PublicOnly(replace(WEB, lookup=Names([["10.0.0.1", "8.8.8.8", "::1", "2400:3200::1", "8.8.8.8"]])))

    found = await resolver.resolve("example.com", 443)

    assert [(one["host"], one["port"]) for one in found] == [("8.8.8.8", 443), ("2400:3200::1", 443)]


async def test_the_systems_names_are_asked() -> None:
    assert "127.0.0.1" in await system_lookup("localhost")
    with pytest.raises(BadLink, match="no public address"):
        await PublicOnly(WEB).resolve("localhost", 443)


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to() -> None:
    """DNS rebinding: a public answer for the check, and our own address for whoever asks again."""
    hits: list[str] = []

    async def inside(request: web.Request) -> web.Response:
        hits.append(request.path)
        return web.Response(text="secret")

    names = Names([["192.88.99.77", "127.0.0.1"], ["127.0.0.1"]])  # the first passes as public, and nobody is there
    async with served(inside) as origin:
        port = URL(origin).port or 0
        rules = replace(WEB, seconds=0.5, lookup=names, ports=frozenset({port}))
        for _ in range(2):
            with pytest.raises(BadLink):
                await fetch(f"http://rebinding.example.com:{port}/", rules)
    assert names.asked == ["rebinding.example.com"] * 2  # once for each connection
    assert hits == []


async def test_a_connection_goes_where_the_name_was_found() -> None:
    class Admitting(PublicOnly):
        """As if loopback were public: no test may connect to what is."""

        def _admits(self, address: str) -> bool:
            return True

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["Host"])

    async with served(page) as origin:
        port = URL(origin).port
        connector = aiohttp.TCPConnector(resolver=Admitting(replace(WEB, lookup=Names([["127.0.0.1"]]))))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"http://example.com:{port}/") as response,
        ):
            assert await response.text() == f"example.com:{port}"


async def test_a_name_server_that_never_answers() -> None:
    async def silent(name: str) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    with pytest.raises(BadLink, match=r"within 0.2 s") as caught:
        await fetch("https://example.com/", replace(WEB, seconds=0.2, lookup=silent))
    assert caught.value.again


async def test_an_unknown_name() -> None:
    async def unknown(name: str) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(BadLink, match="Name or service not known") as caught:
        await fetch("https://example.com/", replace(WEB, lookup=unknown))
    assert caught.value.again


async def test_a_fake_ip_proxy_is_believed_about_names_and_nothing_else() -> None:
    fake = replace(WEB, fake_ip=True, lookup=Names([["198.18.0.7", "10.0.0.1"]]))

    assert [one["host"] for one in await PublicOnly(fake).resolve("example.com", 443)] == ["198.18.0.7"]
    for link in ("http://198.18.0.7/", "http://0xc6120007/", "http://[::ffff:198.18.0.7]/", "http://router.local/"):
        with pytest.raises(BadLink, match="not a public address"):
            await fetch(link, fake)
    with pytest.raises(BadLink, match="no public address but that of a fake-IP proxy, which FETCH_FAKE_IP would allow"):
        await fetch("http://example.com/", replace(fake, fake_ip=False))
    with pytest.raises(BadLink, match="no public address"):
        await fetch("http://example.com/", replace(fake, lookup=Names([["10.0.0.1", "127.0.0.1"]])))


async def test_only_that_origin_is_trusted_which_was_configured() -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="ours")

    async with served(page) as origin, served(page) as other:
        assert (await fetch(f"{origin}/x", ours(f"{origin}/api/v1"))).data == b"ours"
        for link in (
            f"{other}/x",
            origin.replace("http:", "https:"),
            origin.replace("127.0.0.1", "localhost"),
            origin.replace("http://", "http://user:secret@"),
        ):
            with pytest.raises(BadLink):
                await fetch(link, ours(origin))


# --- redirects ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data", "public"),
        ("//169.254.169.254/latest/meta-data", "public"),
        ("http://0x7f.1/", "public"),
        ("http://inside.example.com/", "no public address"),
        ("file:///etc/passwd", "not an https or http address"),
        ("http://user:pw@example.com/", "user name"),
        ("http://example.com:25/", "port 25"),
        ("http://[", "no address"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_leads_nowhere_that_a_link_would_not(status: int, target: str, reason: str) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": target})

    async with served(redirect) as origin:
        with pytest.raises(BadLink, match=reason):
            await fetch(origin, ours(origin, replace(WEB, lookup=Names([["10.1.1.1"]]))))


async def test_redirects_are_followed_five_times_and_tell_where_it_ended() -> None:
    asked: list[int] = []

    async def countdown(request: web.Request) -> web.Response:
        left = int(request.match_info["path"])
        asked.append(left)
        if not left:
            return web.Response(text="here")
        return web.Response(status=302, headers={"Location": f"/{left - 1}", "Set-Cookie": "a=b"}, body=b"x" * 100)

    async with served(countdown) as origin:
        fetched = await fetch(f"{origin}/5", ours(origin))
        assert (fetched.data, fetched.url) == (b"here", f"{origin}/0")
        asked.clear()
        with pytest.raises(BadLink, match="more than 5 redirects"):
            await fetch(f"{origin}/6", ours(origin))
        assert asked == [6, 5, 4, 3, 2, 1]


async def test_the_body_of_a_redirect_is_nobodys_business() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        if request.path == "/there":
            return web.Response(text="there")
        response = web.StreamResponse(status=302, headers={"Location": "/there"})
        await response.prepare(request)
        while True:
            await response.write(bytes(MiB))

    async with served(endless) as origin:
        assert (await fetch(origin, ours(origin))).data == b"there"


# --- what goes along ----------------------------------------------------------------------------------------------------


async def test_nothing_of_ours_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:9")
    seen: list[dict[str, str]] = []

    async def page(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        if request.path == "/":
            return web.Response(status=302, headers={"Location": "/next", "Set-Cookie": "a=b; Path=/"})
        return web.Response(text="x")

    async with served(page) as origin:
        await fetch(origin, ours(origin))

    assert len(seen) == 2
    for headers in seen:
        assert set(headers) == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
        assert headers["User-Agent"] == USER_AGENT


# --- how much, how long, of what kind -----------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [True, False])
async def test_of_fifty_megabytes_only_the_limit_is_read(told: bool) -> None:
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        if told:
            response.content_length = 50 * MiB
        await response.prepare(request)
        for _ in range(800):
            await response.write(bytes(MiB // 16))
            sent += MiB // 16
        return response

    async with served(flood) as origin:
        with pytest.raises(LinkTooLarge, match="more than 1000000 bytes") as caught:
            await fetch(origin, ours(origin))
    assert not caught.value.again
    assert sent < 20 * MiB  # what the sockets' buffers swallow


async def test_a_gzip_bomb_ends_at_the_limit() -> None:
    bomb = gzip.compress(bytes(200 * MiB), 6)  # 200 MiB in 200 KB

    async def page(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"})

    async with served(page) as origin:
        tracemalloc.start()
        try:
            with pytest.raises(BadLink, match="more than 1000000 bytes"):
                await fetch(origin, ours(origin))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert len(bomb) < 1_000_000
    assert peak < 8 * MiB


async def test_what_was_packed_is_unpacked() -> None:
    async def page(request: web.Request) -> web.Response:
        assert "gzip" in request.headers["Accept-Encoding"]
        return web.Response(
            body=gzip.compress("喜鹊".encode("gbk")),
            headers={"Content-Encoding": "gzip", "Content-Type": "Text/HTML; charset=GBK"},
        )

    async with served(page) as origin:
        fetched = await fetch(origin, ours(origin, replace(WEB, types=("text/html",))))
    assert (fetched.data.decode("gbk"), fetched.mime, fetched.charset.lower()) == ("喜鹊", "text/html", "gbk")
    assert fetched.status == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_what_only_claims_to_be_packed(encoding: str) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(body=b"not packed at all", headers={"Content-Encoding": encoding})

    async with served(page) as origin:
        with pytest.raises(BadLink):
            await fetch(origin, ours(origin))


@pytest.mark.parametrize("where", ["headers", "body"])
async def test_a_server_that_is_too_slow(where: str) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if where == "headers":
            await asyncio.sleep(30)
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.05)

    async with served(drip) as origin:
        with pytest.raises(BadLink, match=r"within 0.3 s") as caught:
            await fetch(origin, ours(origin, replace(WEB, seconds=0.3)))
    assert caught.value.again


@pytest.mark.parametrize(
    ("mime", "taken"),
    [
        ("text/html", True),
        ("text/html; charset=utf-8", True),
        ("image/png", True),
        ("text/plain", False),
        ("application/octet-stream", False),
        ("video/mp4", False),
        ("", False),
        ("text", False),
    ],
)
async def test_only_the_asked_for_types_are_taken(mime: str, taken: bool) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x", headers={"Content-Type": mime})

    async with served(page) as origin:
        rules = ours(origin, replace(WEB, types=("text/html", "image/*")))
        if taken:
            assert (await fetch(origin, rules)).data == b"x"
        else:
            with pytest.raises(BadLink, match="not taken here"):
                await fetch(origin, rules)


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (401, False), (404, False), (429, True), (500, True), (503, True), (304, False)]
)
async def test_a_server_that_says_no(status: int, again: bool) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(status=status)

    async with served(page) as origin:
        with pytest.raises(BadLink, match=f"HTTP {status}") as caught:
            await fetch(origin, ours(origin))
    assert caught.value.again is again


async def test_a_server_that_talks_no_http() -> None:
    async def gibberish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    server = await asyncio.start_server(gibberish, "127.0.0.1", 0)
    async with server:
        origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(BadLink):
            await fetch(origin, ours(origin))


async def test_nobody_there() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(BadLink, match="Cannot connect") as caught:
        await fetch(f"http://127.0.0.1:{port}/", ours(f"http://127.0.0.1:{port}"))
    assert caught.value.again
