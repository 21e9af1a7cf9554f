"""What the command line asks of a Magpie that is running, by way of its page: on SQLite it alone may write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from bot.errors import InUse

PATIENCE = 15.0  # seconds for an answer
STOP = "or stop it and run this again."
REFUSED = {
    401: f"does not know our password: run this with its WEB_TOKEN and DATA_DIR, {STOP}",
    403: f"does not let us in: run this with its WEB_TOKEN, WEB_HOST and WEB_PORT, {STOP}",
    429: "was given too many wrong passwords: try again in a minute.",
    503: "cannot write to its database now: try again when it can.",
}


def retry_dead(host: str, port: int, token: str, ids: Sequence[int]) -> list[int]:
    """Have it queue dead letters again, all or none; those that are unknown, if any. `host`, `port`: what it was told to listen
    on. `token`: its page's password, "" if there is none. Raises InUse with what to do."""
    if port == 0:
        raise InUse("Magpie is running, but where its page listens is not known (WEB_PORT is 0): stop it first.")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    headers = {"Content-Type": "application/json", "Origin": url}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    status, body = _post(url, json.dumps({"ids": list(ids)}).encode(), headers)
    if status in REFUSED:
        raise InUse(f"Magpie is running, and its page at {url} {REFUSED[status]}")
    try:
        return [int(id) for id in json.loads(body)["unknown"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InUse(
            f"Magpie is running, but what answers at {url} (HTTP {status}) is not it, or is older: "
            f"set its WEB_HOST and WEB_PORT, {STOP}"
        ) from error


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """The status and the body."""
    # No proxy leads to this machine, and nobody there sends us elsewhere: the password would come along.
    opener = build_opener(ProxyHandler({}), _NoRedirects)
    try:
        with opener.open(Request(f"{url}/dead/retry", body, headers), timeout=PATIENCE) as response:
            return response.status, response.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", error)
        raise InUse(
            f"Magpie is running, but its page cannot be reached at {url} ({why}): set its WEB_HOST and WEB_PORT, {STOP}"
        ) from error
