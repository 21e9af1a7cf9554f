"""The Bot API over the shared aiohttp session: one call, and its errors as the house knows them.

python-telegram-bot builds the requests and sorts the errors; this replaces its HTTP client (a seventh of the CPU)
and keeps the token, which is part of every address, out of logs and exception texts.
What is called, and when, is the adapter's matter.
"""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import aiohttp
from telegram import Bot
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    InvalidToken,
    NetworkError,
    TelegramError,
)
from telegram.error import Forbidden as Closed
from telegram.request import BaseRequest, RequestData

from bot import metrics
from bot.errors import (
    ChatMoved,
    Forbidden,
    Gone,
    PlatformError,
    Rejected,
    RetryLater,
    Revoked,
    TooLarge,
    Unreachable,
    Unsure,
)
from bot.messages import ChatKey

CONNECT = 10.0  # seconds to reach the server
ANSWER = 15.0  # seconds for an ordinary call
UPLOAD = 120.0  # seconds for a call that carries a file, or fetches one
UNTOLD = 3.0  # seconds to wait after a 429 that does not say how long

_TELLING = ("/getMe", "/getUpdates")  # a 404 for these means that Telegram does not know the token
# Descriptions of a 400, in lower case, and what they mean to us. The wording is TDLib's; there are no codes.
NOT_MODIFIED = "message is not modified"
_GONE = (
    "message to edit not found",
    "message can't be edited",
    "message_id_invalid",
    "there is no text in the message to edit",
    "message identifier is not specified",
)
_CLOSED = (
    "chat not found",
    "not enough rights",
    "need administrator rights",
    "have no rights to send",
    "chat_write_forbidden",
    "chat_restricted",
    "message thread not found",
    "topic_closed",
    "topic_deleted",
    "user_is_blocked",
    "peer_id_invalid",
    "bot was kicked",
    "user is deactivated",
    "chat was deactivated",
    "group chat was deactivated",
)


class Flood(TelegramError):
    """A 429. PTB's own class needs parameters, which some of them lack, and warns when it is asked for the time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"retry after {seconds:g} s")
        self.seconds = seconds


class NotTaken(NetworkError):
    """The call surely had no effect: no connection, or a server that answers for itself only (5xx)."""


class Refused(TelegramError):
    """This server will never take the call: it does not know the method or the file (404), or the body is too large (413)."""


class AiohttpRequest(BaseRequest):
    """PTB's transport over a session that others own."""

    __slots__ = ("_session",)

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @property
    def read_timeout(self) -> float:
        return ANSWER

    async def initialize(self) -> None:
        """Nothing to open."""

    async def shutdown(self) -> None:
        """The session is not ours to close."""

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: object = None,
        write_timeout: object = None,
        connect_timeout: object = None,
        pool_timeout: object = None,
    ) -> tuple[int, bytes]:
        total = read_timeout if isinstance(read_timeout, float) else ANSWER
        timeout = aiohttp.ClientTimeout(total=total, sock_connect=min(CONNECT, total))
        headers = None
        body: aiohttp.FormData | bytes | None = None
        if request_data is not None and request_data.contains_files:
            body = _form(request_data)
        elif request_data is not None:
            body, headers = json.dumps(request_data.parameters).encode(), {"Content-Type": "application/json"}
        try:
            async with self._session.request(method, url, data=body, headers=headers, timeout=timeout) as response:
                payload = await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotTaken(type(error).__name__) from None
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            raise NetworkError(type(error).__name__) from None
        if response.status == 429:
            metrics.rate_limited("telegram")
            raise Flood(_retry_after(payload))
        if response.status == 504:
            raise NetworkError("HTTP 504")  # behind a gateway the call may have been taken
        if response.status >= 500:
            raise NotTaken(f"HTTP {response.status}")
        if response.status == 413 or (response.status == 404 and not url.endswith(_TELLING)):
            raise Refused(f"HTTP {response.status}")
        return response.status, payload

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """As PTB's, which would write the payload into the log."""
        try:
            parsed = json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict) or ("result" not in parsed and "error_code" not in parsed):
            raise NetworkError("an answer that is none of the Bot API")
        return parsed


def _form(data: RequestData) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for name, value in data.json_parameters.items():
        form.add_field(name, value)
    for name, (filename, content, mime) in data.multipart_data.items():
        # A stream: of bytes beyond 1 MB aiohttp complains, and sends them in one go.
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        form.add_field(name, stream, filename=filename, content_type=mime)
    return form


def _retry_after(payload: bytes) -> float:
    try:
        seconds = json.loads(payload)["parameters"]["retry_after"]
        return float(seconds) if seconds > 0 else UNTOLD
    except (ValueError, KeyError, TypeError):
        return UNTOLD


class Api(Bot):
    """The Bot API's methods by name, with raw JSON in and out: PTB's result objects cost more than the call itself."""

    __slots__ = ("_session",)

    def __init__(self, token: str, url: str, session: aiohttp.ClientSession) -> None:
        logging.getLogger("telegram").setLevel(logging.INFO)  # its DEBUG shows addresses, and so the token
        request = AiohttpRequest(session)
        super().__init__(token, f"{url.rstrip('/')}/bot", f"{url.rstrip('/')}/file/bot", request, request)
        self._session = session

    async def call(self, method: str, parameters: dict[str, Any] | None = None, seconds: float = ANSWER) -> Any:
        """The `result` of a call; raises TelegramError."""
        try:
            return await self._post(method, parameters, read_timeout=float(seconds))
        except (KeyError, TypeError):
            raise NetworkError("an answer without a result") from None

    async def download(self, path: str, limit: int) -> bytes:
        """The bytes of a file by its `file_path`; raises TooLarge beyond `limit`, and TelegramError."""
        timeout = aiohttp.ClientTimeout(total=UPLOAD, sock_connect=CONNECT)
        data = bytearray()
        try:
            async with self._session.get(f"{self.base_file_url}/{path}", timeout=timeout) as response:
                if response.status != 200:
                    raise (Refused if response.status == 404 else NotTaken)(f"HTTP {response.status} for a file")
                async for chunk in response.content.iter_chunked(1 << 16):
                    data += chunk
                    if len(data) > limit:
                        raise TooLarge(limit)
        except (aiohttp.ClientError, OSError) as error:
            raise NotTaken(type(error).__name__) from None
        return bytes(data)


def translated(error: TelegramError, chat: ChatKey | None = None, *, once: bool = False) -> PlatformError:
    """Telegram's error as the house knows it. `once`: the call may not be repeated blindly, as a send, so that an answer
    that never came leaves it unsure."""
    reason = error.message[:200]
    match error:
        case Flood():
            return RetryLater(error.seconds)
        case ChatMigrated():
            return ChatMoved(ChatKey("telegram", str(error.new_chat_id), chat.thread if chat else ""))
        case InvalidToken():
            return Revoked("Telegram does not accept the bot token (TELEGRAM_BOT_TOKEN)")
        case Closed():
            return Forbidden(reason)
        case BadRequest():
            lower = reason.lower()
            if any(part in lower for part in _GONE):
                return Gone(reason)
            return Forbidden(reason) if any(part in lower for part in _CLOSED) else Rejected(reason)
        case NotTaken():
            return Unreachable(reason)
        case Conflict() | Refused():
            return Rejected(reason)
        case _:
            return Unsure(reason) if once else Unreachable(reason)
