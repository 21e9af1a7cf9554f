"""A bare client of the Bot API for the stand-in's own tests."""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.servers.telegram import TelegramServer


class Bot:
    """Calls methods as JSON and returns (HTTP status, decoded answer)."""

    def __init__(self, server: TelegramServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    async def raw(self, method: str, **request: Any) -> tuple[int, dict[str, Any]]:
        url = f"{self.server.url}/bot{self.server.token}/{method}"
        async with self.session.post(url, **request) as response:
            body = await response.json()
            assert isinstance(body, dict)
            assert body["ok"] == (response.status == 200)
            assert body.get("error_code", 200) == response.status
            return response.status, body

    async def __call__(self, method: str, **params: Any) -> Any:
        """The result of a call that has to succeed."""
        status, body = await self.raw(method, json=params)
        assert status == 200, body
        return body["result"]

    async def refused(self, method: str, **params: Any) -> str:
        """The description of a call that has to fail."""
        status, body = await self.raw(method, json=params)
        assert status != 200, body
        return str(body["description"])
