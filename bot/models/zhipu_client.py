"""The zhipuai SDK made asynchronous: its resources, parameters, types and errors, on the shared aiohttp session.

The SDK's client is synchronous, spends 0.7 ms of CPU on each streamed chunk and retries by sleeping. All its resources end in
`client.request(...)` and return what that returns; here that is a coroutine, so the whole SDK becomes awaitable. The methods
of the SDK's base class that this leans on are checked when the module is imported; the SDK is pinned and its last release.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import aiohttp
import httpx
from pydantic import ValidationError
from yarl import URL
from zhipuai import (  # type: ignore[import-untyped]  # the SDK ships no types
    APIConnectionError,
    APIResponseError,
    APITimeoutError,
    ZhipuAI,
)
from zhipuai.core._legacy_response import HttpxBinaryResponseContent  # type: ignore[import-untyped]  # likewise
from zhipuai.types.chat.chat_completion_chunk import ChatCompletionChunk  # type: ignore[import-untyped]  # likewise

from bot.models.sse import data_lines

CONNECT = 10.0  # seconds to a connection; how long an answer may take is the caller's affair
MOST_ANSWER = 64 * 1024 * 1024  # bytes; the largest are a thousand spoken characters as WAV, some 15 MB
MOST_URLS = 100
_NEEDED = (
    "request",
    "post",
    "_build_request",
    "_prepare_url",
    "_default_headers",
    "_make_status_error",
    "_process_response",
    "_process_response_data",
)
_missing = [name for name in _NEEDED if not hasattr(ZhipuAI, name)]
if _missing:
    raise ImportError(f"this zhipuai has no {', '.join(_missing)}: install the version that Magpie pins")


class FastChunk(ChatCompletionChunk):  # type: ignore[misc]  # its base is untyped
    """The SDK's chunk, validated by pydantic straight from the JSON: 4 µs instead of 560."""

    extra_json: dict[str, Any] | None = None  # the SDK requires it, the service never sends it
    web_search: list[dict[str, Any]] | None = None  # the SDK does not know it


class _NoTransport(httpx.BaseTransport):
    """The SDK insists on an httpx client; this one opens nothing and loads no certificates."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise RuntimeError("requests go through aiohttp")


class AsyncZhipuAI(ZhipuAI):  # type: ignore[misc]  # its base is untyped
    """`await client.chat.completions.create(...)` gives the JSON as it came: the SDK's types of tasks, films and searches do
    not fit what the service sends. With `stream=True` it gives an asynchronous generator of FastChunk; speech is binary.

    Raises the SDK's errors: APIStatusError by HTTP status, APIConnectionError and APITimeoutError when no answer came,
    APIResponseError for an error inside a stream. A stream that breaks raises aiohttp's errors or ValueError; one that ends
    without `[DONE]` just ends.
    """

    def __init__(self, session: aiohttp.ClientSession, *, api_key: str, base_url: str) -> None:
        super().__init__(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            http_client=httpx.Client(transport=_NoTransport(), trust_env=False),
        )
        self._session = session
        self._sent_headers: dict[str, str] = dict(self._default_headers)
        self._urls: dict[str, URL] = {}

    def request(self, cast_type: Any, options: Any, remaining_retries: int | None = None, **how: Any) -> Any:
        return self._answer(cast_type, options, stream=bool(how.get("stream")))

    async def _answer(self, cast_type: Any, options: Any, *, stream: bool) -> Any:
        url = self._url(options.url)
        data, headers = self._written(options)
        try:
            response = await self._session.request(
                options.method,
                url,
                data=data,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise APITimeoutError(request=self._asked(url, options.method)) from error
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            raise APIConnectionError(request=self._asked(url, options.method)) from error
        if stream and response.status == 200:
            return self._chunks(response)
        async with response:
            content = await _whole(response)
        whole = httpx.Response(
            response.status,
            headers=[(k, v) for k, v in response.headers.items() if k.lower() not in _DECODED],
            content=content,
            request=self._asked(url, options.method),
        )
        if response.status != 200:
            raise self._make_status_error(whole)
        wanted = cast_type if cast_type is HttpxBinaryResponseContent else object
        return self._process_response(cast_type=wanted, options=options, response=whole, stream=False, stream_cls=None)

    def _written(self, options: Any) -> tuple[bytes | None, Mapping[str, str]]:
        """The body, and the headers that go with it."""
        if options.files:  # the SDK writes the form
            request = self._build_request(options)
            return request.read(), request.headers
        if options.method == "get":
            return None, self._sent_headers
        body = {**(options.json_data or {}), **(options.extra_json or {})}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), self._sent_headers

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncGenerator[Any, None]:
        try:
            async for data in data_lines(response):
                try:
                    chunk = FastChunk.model_validate_json(data)
                except ValidationError:
                    chunk = self._unusual(data, response)
                yield chunk
        finally:
            response.close()  # not release: whoever stops reading wants the vendor to stop writing

    def _unusual(self, data: bytes, response: aiohttp.ClientResponse) -> Any:
        """An error object, or a chunk outside the SDK's own schema, which the SDK then takes as it is. Raises
        APIResponseError, ValueError for broken JSON."""
        value = json.loads(data)
        if not isinstance(value, dict):
            raise ValueError("a chunk that is no object")
        if value.get("error"):
            raise APIResponseError(
                "an error inside the stream", request=self._asked(response.url, "post"), json_data=value["error"]
            )
        return self._process_response_data(data=value, cast_type=ChatCompletionChunk, response=None)

    def _url(self, path: str) -> URL:
        if path not in self._urls:
            if len(self._urls) >= MOST_URLS:  # those of tasks hold their ids
                self._urls.clear()
            self._urls[path] = URL(str(self._prepare_url(path)))
        return self._urls[path]

    @staticmethod
    def _asked(url: URL, method: str) -> httpx.Request:
        """The SDK's errors want to know what was asked; the key stays out of it."""
        return httpx.Request(method, str(url))


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """Raises ValueError for what no answer of theirs is as long as."""
    content = bytearray()
    async for block in response.content.iter_any():
        content += block
        if len(content) > MOST_ANSWER:
            raise ValueError(f"an answer of more than {MOST_ANSWER} bytes")
    return bytes(content)


_DECODED = frozenset({"content-encoding", "content-length", "transfer-encoding"})  # aiohttp has undone these
