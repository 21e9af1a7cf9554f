"""Nobody but the owner's own browser, on our own page, under our own address, reaches anything."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import aiohttp
import pytest
from starlette.datastructures import Headers
from starlette.responses import Response

from bot.errors import SettingsError
from bot.files import FileStore
from bot.platforms.web import WebPlatform
from bot.platforms.web_guard import Addresses, Login
from tests.platforms.web_stage import Stage

TOKEN = "a token that nobody guesses"
MESSAGE = {"id": "message-0001", "text": "hello"}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(FileStore(tmp_path))


def test_addresses_are_matched_exactly() -> None:
    addresses = Addresses("127.0.0.1", 8080, "https://chat.example.org")
    assert addresses.origin("127.0.0.1:8080") == "http://127.0.0.1:8080"
    assert addresses.origin("LOCALHOST:8080") == "http://localhost:8080"
    assert addresses.origin("[::1]:8080") == "http://[::1]:8080"
    assert addresses.origin("chat.example.org") == "https://chat.example.org"
    for host in (
        "",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.0.0.1:8080.evil.org",
        "evil.org:8080",
        "localhost.evil.org:8080",
    ):
        assert addresses.origin(host) is None
    for host in (
        "chat.example.org:443",
        "xchat.example.org",
        "chat.example.org.",
        "127.0.0.1:8080@evil.org",
        "127.1:8080",
    ):
        assert addresses.origin(host) is None


def test_the_host_that_is_listened_on_is_one_of_them_unless_it_means_all() -> None:
    assert Addresses("192.168.1.5", 80, "").origin("192.168.1.5") == "http://192.168.1.5"
    assert Addresses("0.0.0.0", 8080, "").origin("0.0.0.0:8080") is None
    assert Addresses("::", 8080, "https://a.org:8443/").origin("a.org:8443") == "https://a.org:8443"


@pytest.mark.parametrize("url", ["chat.example.org", "ftp://chat.example.org", "https://"])
def test_a_public_address_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="WEB_URL"):
        Addresses("127.0.0.1", 8080, url)


def cookie_of(login: Login, origin: str = "http://localhost:1") -> str:
    response = Response()
    login.admit(response, origin)
    return response.headers["set-cookie"]


def test_the_cookie_is_shut_off_from_scripts_and_other_sites_and_secure_under_https() -> None:
    cookie = cookie_of(Login(TOKEN))
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
    assert TOKEN not in cookie
    secure = cookie_of(Login(TOKEN), "https://chat.example.org")
    assert secure.startswith("__Host-magpie=") and "Secure" in secure and "Path=/" in secure and "Domain" not in secure


def test_the_cookie_survives_a_restart_and_dies_with_a_new_token() -> None:
    cookie = Headers({"cookie": cookie_of(Login(TOKEN)).partition(";")[0]})
    assert Login(TOKEN).knows(cookie, "http://localhost:1")
    assert not Login("another token").knows(cookie, "http://localhost:1")
    assert not Login(TOKEN).knows(cookie, "http://localhost:2")


def test_a_cookie_that_is_none_of_ours_is_refused() -> None:
    for value in ("", "magpie-1=", "magpie-1=é", 'magpie-1="', "magpie-1=" + "0" * 64, "\x00", "x" * 9000):
        assert not Login(TOKEN).knows(Headers({"cookie": value}), "http://localhost:1")


def test_the_one_time_link_works_once() -> None:
    login = Login(TOKEN)
    key = login.key
    assert len(key) >= 32 and key != Login(TOKEN).key
    assert not login.redeem("") and not login.redeem(key + "x")
    assert login.redeem(key)
    assert not login.redeem(key) and not login.redeem("")


def test_guessing_the_token_is_slow() -> None:
    now = 0.0
    login = Login(TOKEN, clock=lambda: now)
    assert [login.accepts(f"wrong {n}") for n in range(10)] == [False] * 10
    assert login.accepts(TOKEN) is None
    now = 61.0
    assert login.accepts(f" {TOKEN}\n") is True
    assert login.accepts("\ud800") is False


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_host_origin_and_method_decide_together(stage: Stage, token: str | None) -> None:
    """Every combination; only our own host with our own origin (none needed for reading) passes."""
    async with stage.serve(token=token) as web, aiohttp.ClientSession() as session:
        port = web.url.rpartition(":")[2]
        cookie = cookie_of(Login(TOKEN), web.url).partition(";")[0]
        own = (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}")
        strange = ("evil.org", f"evil.org:{port}", "127.0.0.1", f"127.0.0.1:{port}.evil.org", "")
        origins = (*(f"http://{host}" for host in own), f"https://{own[0]}", "http://evil.org", "null", "")
        calls = {
            "GET": "/api/chats",
            "HEAD": "/",
            "POST": "/api/chats/c/messages",
            "PUT": "/api/chats/c/messages/message-0001",
        }
        for host, origin, (method, path) in product((*own, *strange), origins, calls.items()):
            headers = {"Host": host, "Cookie": cookie} | ({"Origin": origin} if origin else {})
            body = MESSAGE if method in ("POST", "PUT") else None
            async with session.request(method, web.url + path, json=body, headers=headers) as response:
                right = host in own and (method in ("GET", "HEAD") or origin == f"http://{host}")
                assert (response.status == 200) is right, (host, origin, method, response.status)
                assert right or response.status in (400, 403), (host, origin, method, response.status)
        for method in ("DELETE", "PATCH", "OPTIONS", "TRACE"):
            headers = {"Cookie": cookie, "Origin": web.url}
            async with session.request(method, web.url + "/api/chats", headers=headers) as response:
                assert response.status == 405
                assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_what_another_site_sends_is_refused_even_with_a_right_origin(stage: Stage, site: str) -> None:
    async with (
        stage.serve() as web,
        aiohttp.ClientSession(headers={"Origin": web.url, "Sec-Fetch-Site": site}) as session,
    ):
        async with session.post(f"{web.url}/api/chats/c/messages", json=MESSAGE) as response:
            assert response.status == 403
        async with session.get(f"{web.url}/api/chats") as response:
            assert response.status == (200 if site == "none" else 403)
        async with session.get(f"{web.url}/files/0123456789abcdef0123456789abcdef.png") as response:
            assert response.status == (404 if site == "none" else 403)
    assert not stage.intake.events


async def test_only_json_changes_things(stage: Stage) -> None:
    async with stage.serve() as web, aiohttp.ClientSession(headers={"Origin": web.url}) as session:
        for kind in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/json-x",
            "",
        ):
            data = b'{"id": "message-0001", "text": "x"}'
            headers = {"Content-Type": kind}
            async with session.post(f"{web.url}/api/chats/c/messages", data=data, headers=headers) as response:
                assert response.status == 400
    assert not stage.intake.events


async def test_every_response_carries_the_strict_headers(stage: Stage) -> None:
    async with stage.serve(token=TOKEN) as web, aiohttp.ClientSession() as session:
        for path in ("/", "/login", "/api/chats", "/page/page.js", "/nothing", "/healthz"):
            async with session.get(web.url + path, allow_redirects=False) as response:
                policy = response.headers["content-security-policy"]
                assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
                assert response.headers["x-content-type-options"] == "nosniff"
                assert response.headers["referrer-policy"] == "no-referrer"
                assert response.headers["cross-origin-opener-policy"] == "same-origin"
                assert response.headers["cross-origin-resource-policy"] == "same-origin"
                assert "server" not in response.headers


async def test_without_login_only_the_door_is_seen(stage: Stage) -> None:
    async with stage.serve(token=TOKEN) as web, aiohttp.ClientSession(headers={"Origin": web.url}) as session:
        for path in ("/", "/c/abc"):
            async with session.get(web.url + path, allow_redirects=False) as response:
                assert (response.status, response.headers["location"]) == (303, "/login")
        for path in ("/api/setup", "/api/chats", "/api/chats/c/events", "/files/x", "/api/menu/model", "/nothing"):
            async with session.get(web.url + path) as response:
                assert response.status == 401
        async with session.post(f"{web.url}/api/chats/c/messages", json=MESSAGE) as response:
            assert response.status == 401
            assert (await response.json())["error"]["zh"]
        async with session.get(f"{web.url}/login") as response:
            assert response.status == 200
    assert not stage.intake.events


async def test_the_token_opens_the_door_for_good(stage: Stage) -> None:
    async with stage.serve(token=TOKEN) as web:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(headers={"Origin": web.url}, cookie_jar=jar) as session:
            for wrong in ("no", "", 7, None, "\ud800"):
                async with session.post(f"{web.url}/login", json={"token": wrong}) as response:
                    assert response.status == 403
            async with session.post(f"{web.url}/login", json={"token": TOKEN}) as response:
                assert response.status == 200
            async with session.get(f"{web.url}/api/chats") as response:
                assert response.status == 200
            async with session.post(f"{web.url}/logout", json={}) as response:
                assert response.status == 200
            async with session.get(f"{web.url}/api/chats") as response:
                assert response.status == 401


async def test_the_one_time_link_opens_the_door(stage: Stage) -> None:
    async with stage.serve(token=TOKEN) as web:
        link = web.one_time_link()
        assert link.startswith(f"{web.url}/login?k=")
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.head(link) as response:  # what previews of links do
                assert "set-cookie" not in response.headers
            async with session.get(link) as response:
                assert response.status == 200
            async with session.get(f"{web.url}/api/chats") as response:
                assert response.status == 200
        assert web.one_time_link() == web.url
        async with aiohttp.ClientSession() as session, session.get(link) as response:
            assert response.status == 403
            assert "set-cookie" not in response.headers


async def test_a_link_from_elsewhere_does_not_look_logged_out(stage: Stage) -> None:
    """A Strict cookie does not come along from another site: the page loads itself once more instead of showing the login."""
    async with (
        stage.serve(token=TOKEN) as web,
        aiohttp.ClientSession(headers={"Sec-Fetch-Site": "cross-site"}) as session,
        session.get(web.url, allow_redirects=False) as response,
    ):
        assert response.status == 200
        assert 'http-equiv="refresh"' in await response.text()


async def test_behind_a_proxy_the_public_address_counts(stage: Stage) -> None:
    async with stage.serve(token=TOKEN, public_url="https://chat.example.org/") as web:
        local = f"http://127.0.0.1:{web.port}"
        headers = {"Host": "chat.example.org", "Origin": "https://chat.example.org"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.post(f"{local}/login", json={"token": TOKEN}) as response:
                assert response.status == 200
                assert response.headers["set-cookie"].startswith("__Host-magpie=")
            headers = {"Origin": "http://chat.example.org"}
            async with session.post(f"{local}/login", json={"token": TOKEN}, headers=headers) as response:
                assert response.status == 403
        assert web.one_time_link().startswith("https://chat.example.org/login?k=")


@pytest.mark.parametrize(
    ("path", "ready", "status"),
    [("/healthz", True, 200), ("/healthz", False, 503), ("/livez", True, 200), ("/livez", False, 200)],
)
async def test_health_is_told_to_anyone_and_nothing_else(stage: Stage, path: str, ready: bool, status: int) -> None:
    async with (
        stage.serve(token=TOKEN, ready=ready) as web,
        aiohttp.ClientSession(headers={"Host": "10.0.0.7"}) as session,
        session.get(f"{web.url}{path}") as response,
    ):
        assert (response.status, await response.read()) == (status, b"")


FIGURES = b"magpie_turns_total 1.0\n"


async def scraped(web: WebPlatform, path: str = "/metrics", **headers: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.get(web.url + path, headers=headers) as response:
        return response.status, await response.read()


async def test_figures_are_for_the_owner_and_for_a_scraper_with_the_token(stage: Stage) -> None:
    async with stage.serve(token=TOKEN, figures=FIGURES) as web:
        cookie = cookie_of(Login(TOKEN), web.url).partition(";")[0]

        assert await scraped(web, Cookie=cookie) == (200, FIGURES)
        assert await scraped(web, Authorization=f"Bearer {TOKEN}") == (200, FIGURES)
        assert await scraped(web, Authorization=f"bearer {TOKEN}", Host="magpie:8080") == (200, FIGURES)
        for refused in (
            {},
            {"Authorization": "Bearer no"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Cookie": "magpie=x"},
        ):
            status, body = await scraped(web, **refused)
            assert (status, FIGURES in body) == (401, False)
        assert (await scraped(web, Cookie=cookie, Host="evil.org"))[0] == 403


async def test_the_token_of_a_scraper_opens_nothing_else(stage: Stage) -> None:
    async with stage.serve(token=TOKEN, figures=FIGURES) as web:
        for path in ("/api/chats", "/files/x", "/metrics/"):
            assert (await scraped(web, path, Authorization=f"Bearer {TOKEN}"))[0] == 401
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
            session.post(f"{web.url}/metrics") as response,
        ):
            assert response.status == 403


async def test_guessing_the_token_as_a_scraper_is_as_slow(stage: Stage) -> None:
    async with stage.serve(token=TOKEN, figures=FIGURES) as web:
        statuses = [(await scraped(web, Authorization=f"Bearer wrong {n}"))[0] for n in range(11)]

    assert statuses == [401] * 10 + [429]


async def test_where_no_login_is_asked_the_figures_are_as_open_as_the_page(stage: Stage) -> None:
    async with stage.serve(figures=FIGURES) as web:
        assert await scraped(web) == (200, FIGURES)
        assert await scraped(web, Authorization="Bearer whatever") == (200, FIGURES)
        assert (await scraped(web, Host="evil.org"))[0] == 403


# --- dead letters ------------------------------------------------------------------------------------------------------


async def revived(web: WebPlatform, ids: object = (19,), **headers: str) -> tuple[int, object]:
    """With `Content_Type` for its header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"ids": ids}).encode()
    headers = {"Content-Type": "application/json", **named}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{web.url}/dead/retry", data=body, headers=headers) as response,
    ):
        return response.status, (await response.json()).get("unknown")


async def test_dead_letters_are_tried_again_by_whoever_has_the_token_or_by_the_owner_on_the_page(stage: Stage) -> None:
    async with stage.serve(token=TOKEN, dead={19, 20, 21}) as web:
        cookie = cookie_of(Login(TOKEN), web.url).partition(";")[0]

        assert await revived(web, [19], Authorization=f"Bearer {TOKEN}") == (200, [])
        assert await revived(web, [20], Authorization=f"Bearer {TOKEN}", Host="magpie:8080") == (200, [])
        assert await revived(web, [21], Cookie=cookie, Origin=web.url) == (200, [])
        assert stage.revived == [19, 20, 21]

        assert (await revived(web, Cookie=cookie))[0] == 403
        assert (await revived(web, Cookie=cookie, Origin="http://evil.org"))[0] == 403
        assert (await revived(web, Cookie=cookie, Origin=web.url, Sec_Fetch_Site="cross-site"))[0] == 403
        assert (await revived(web, Origin=web.url))[0] == 401
        assert (await revived(web, Authorization="Bearer no", Origin=web.url))[0] == 401
        assert stage.revived == [19, 20, 21]
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
            async with session.get(f"{web.url}/dead/retry") as response:
                assert response.status == 401
            async with session.options(f"{web.url}/dead/retry", headers={"Origin": "http://evil.org"}) as response:
                assert response.status == 403
                assert "access-control-allow-origin" not in response.headers


async def test_of_dead_letters_an_unknown_one_is_told_and_nonsense_is_refused(stage: Stage) -> None:
    async with stage.serve(token=TOKEN, dead={19}) as web:
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert await revived(web, [19, 7, 10**30], **right) == (404, [7, 10**30])
        nonsense: object
        for nonsense in ([], None, 19, "19", ["19"], [19.0], [True], [None], {}):
            assert await revived(web, nonsense, **right) == (400, None)
        assert (await revived(web, Content_Type="text/plain", **right))[0] == 400
    assert stage.revived == []


async def test_guessing_the_token_with_dead_letters_is_as_slow(stage: Stage) -> None:
    async with stage.serve(token=TOKEN, dead={19}) as web:
        statuses = [(await revived(web, Authorization=f"Bearer wrong {n}"))[0] for n in range(11)]
        assert (await revived(web, Authorization=f"Bearer {TOKEN}"))[0] == 429

    assert statuses == [401] * 10 + [429]


async def test_where_no_login_is_asked_dead_letters_are_as_open_as_the_page(stage: Stage) -> None:
    async with stage.serve(dead={19}) as web:
        assert (await revived(web, Authorization="Bearer whatever"))[0] == 403
        assert (await revived(web, Origin=web.url, Host="evil.org"))[0] == 403
        assert stage.revived == []
        assert await revived(web, Origin=web.url) == (200, [])
    assert stage.revived == [19]
