"""Who may speak to the page, and from where: Host, Origin, login, and the headers of every response.

One ASGI layer around everything, so that no route can forget it. A browser on the owner's machine is no proof of the
owner: any site may point its own name at 127.0.0.1 (DNS rebinding) or post a form there; hence Host and Origin must match
exactly, also where no login is asked.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot import phrases
from bot.errors import SettingsError
from bot.phrases import Phrase

READING = frozenset({"GET", "HEAD"})
STANDARD_PORTS = {"http": 80, "https": 443}
COOKIE_AGE = 400 * 24 * 3600  # seconds; browsers keep none longer (RFC 6265bis)
ORIGIN = "magpie.origin"
PROBES = frozenset({"/livez", "/healthz"})  # may be asked under any name, by anyone: they tell one bit
SCRAPED = "/metrics"
REVIVED = "/dead/retry"
BY_TOKEN = {SCRAPED: READING, REVIVED: frozenset({"POST"})}  # asked by programs, which carry the token itself
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
}
# Loads the same address again, this time from our own page, so that the SameSite=Strict cookie comes along.
BOUNCE = '<!doctype html><meta http-equiv="refresh" content="0"><title>Magpie</title>'


class Addresses:
    """The Host headers under which the page is reached, each with the origin of its requests.

    `public_url` names one behind a proxy; the others are this machine's own for the port that listens.
    """

    def __init__(self, host: str, port: int, public_url: str) -> None:
        names = {"127.0.0.1", "localhost", "[::1]"}
        if host not in ("", "0.0.0.0", "::"):
            names.add(f"[{host}]" if ":" in host else host.lower())
        self._origins = {name if port == 80 else f"{name}:{port}": "http" for name in names}
        if public_url:
            parts = urlsplit(public_url)
            if parts.scheme not in STANDARD_PORTS or not parts.netloc:
                raise SettingsError(("WEB_URL: write the page's whole address, like https://chat.example.org",))
            standard = STANDARD_PORTS[parts.scheme]
            name = parts.netloc.lower()
            self._origins[name.removesuffix(f":{standard}")] = parts.scheme

    def origin(self, host: str) -> str | None:
        """The only origin that may change things under this Host; None for a Host that is not ours."""
        scheme = self._origins.get(host.lower())
        return None if scheme is None else f"{scheme}://{host.lower()}"


class Login:
    """What the owner shows once: the token or the one-time link, and from then on a cookie derived from the token.

    The cookie is an HMAC of the token, so it survives restarts without state and dies with a new token. `token` None: no
    login is asked.
    """

    def __init__(self, token: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = token
        self._clock = clock
        self._key = secrets.token_urlsafe(24) if token else ""
        self._failures: list[float] = []

    @property
    def needed(self) -> bool:
        return self._token is not None

    @property
    def key(self) -> str:
        """Of the one-time link; "" once it was used."""
        return self._key

    def knows(self, headers: Headers, origin: str) -> bool:
        if not self.needed:
            return True
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(origin))
        except CookieError:
            return False
        return morsel is not None and _equal(morsel.value, self._cookie())

    def admit(self, response: Response, origin: str) -> None:
        """Let the browser that gets this response in for good."""
        self._set_cookie(response, origin, self._cookie(), COOKIE_AGE)

    def dismiss(self, response: Response, origin: str) -> None:
        self._set_cookie(response, origin, "", 0)

    def _cookie(self) -> str:
        return hmac.new((self._token or "").encode(), b"magpie page, cookie v1", hashlib.sha256).hexdigest()

    @staticmethod
    def _set_cookie(response: Response, origin: str, value: str, age: int) -> None:
        secure = origin.startswith("https:")
        response.set_cookie(_cookie_name(origin), value, age, path="/", secure=secure, httponly=True, samesite="strict")

    def redeem(self, key: str) -> bool:
        """The one-time link's key works once."""
        right = bool(self._key) and _equal(key, self._key)
        if right:
            self._key = ""
        return right

    def accepts(self, token: str) -> bool | None:
        """None: too many wrong ones (10 in a minute, whoever sent them), try later."""
        now = self._clock()
        self._failures = [at for at in self._failures if now - at < 60]
        if len(self._failures) >= 10:
            return None
        right = self._token is not None and _equal(token.strip(), self._token)
        if not right:
            self._failures.append(now)
        return right


class Guard:
    """The layer. `open_paths` need no login; they tell nothing that the source code does not. What passes finds the
    origin under which it came as `ORIGIN` in its scope."""

    def __init__(self, app: ASGIApp, login: Login, addresses: Addresses, open_paths: Iterable[str]) -> None:
        self._app = app
        self._login = login
        self._addresses = addresses
        self._open = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                raw = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    raw.setdefault(name, value)
                raw.setdefault("cache-control", "no-store")
            await send(message)

        hosts = headers.getlist("host")
        scope[ORIGIN] = self._addresses.origin(hosts[0]) if len(hosts) == 1 else None
        refusal = self._refuse(scope["method"], scope["path"], headers, scope[ORIGIN])
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refuse(self, method: str, path: str, headers: Headers, origin: str | None) -> Response | None:
        if path in PROBES and method in READING:
            return None
        if method in BY_TOKEN.get(path, ()) and self._login.needed and (token := _bearer(headers)):
            return self._refuse_bearer(token)  # no browser sends it unasked, so the Host does not matter
        if origin is None:
            return problem(403, phrases.WEB_WRONG_HOST)
        if method not in READING and not _same_origin(headers, origin):
            return problem(403, phrases.WEB_WRONG_ORIGIN)
        elsewhere = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        page = path == "/" or path.startswith("/c/")
        if elsewhere and not page and path not in self._open:
            return problem(403, phrases.WEB_WRONG_ORIGIN)
        if path in self._open or self._login.knows(headers, origin):
            return None
        if not page:
            return problem(401, phrases.WEB_LOGIN_FIRST)
        return HTMLResponse(BOUNCE) if elsewhere else RedirectResponse("/login", 303)

    def _refuse_bearer(self, token: str) -> Response | None:
        match self._login.accepts(token):
            case True:
                return None
            case None:
                return problem(429, phrases.WEB_TOO_MANY_TRIES)
            case False:
                return problem(401, phrases.WEB_WRONG_TOKEN)


def problem(status: int, phrase: Phrase) -> JSONResponse:
    """A refusal that the page can show in its language."""
    return JSONResponse({"error": {"en": phrase.en, "zh": phrase.zh}}, status)


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _cookie_name(origin: str) -> str:
    """Cookies know no ports: two bots on one machine need two names."""
    parts = urlsplit(origin)
    return "__Host-magpie" if parts.scheme == "https" else f"magpie-{parts.port or 80}"


def _equal(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), right.encode())


def _same_origin(headers: Headers, origin: str) -> bool:
    """Both signs that a browser gives: Origin always with what changes things, Sec-Fetch-Site where it knows it."""
    return headers.getlist("origin") == [origin] and headers.get("sec-fetch-site", "same-origin") == "same-origin"
