"""The dashscope SDK as Magpie uses it: told key, address and session with every call, and kept from doing more than was said.

As it comes, it opens files that a text names and sends them to the vendor's storage, and sends a request again when the
connection breaks under it. Neither happens here: chats go through `Generation` and `Conversation`, everything else through
`Account`, which hands the SDK a finished body.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from dashscope.aigc.generation import AioGeneration
from dashscope.aigc.multimodal_conversation import AioMultiModalConversation
from dashscope.client.base_api import BaseAioApi, BaseAsyncAioApi
from dashscope.common.error import DashScopeException
from yarl import URL

from bot.models.dashscope_errors import broken, check
from bot.models.vendor import MALFORMED

# It logs every failure with its traceback and the vendor's words, which may quote people; we report failures ourselves.
logging.getLogger("dashscope").setLevel(logging.CRITICAL + 1)

IDLE = 300  # seconds, the SDK's own limit on a silent connection; `guarded.py` is stricter and knows what a token is
CANCEL = 2.0  # seconds
# It lets aiohttp's errors pass, and stumbles over error bodies that lack a field.
SDK_ERRORS = (DashScopeException, aiohttp.ClientError, OSError, *MALFORMED)

MULTIMODAL = ("multimodal-generation", "generation")  # task and function: the last parts of an address


class Generation(AioGeneration):
    """Answers as the SDK received them: its copy into response objects costs 26 µs per chunk and fails on a null output."""

    @classmethod
    async def _stream_responses(cls, response: Any) -> AsyncGenerator[Any, None]:
        async with aclosing(response):
            async for one in response:
                yield one


class Conversation(AioMultiModalConversation):
    """The multimodal class without its uploads.

    As it comes, it takes any text of a user message that is a path (`/etc/hosts`, `~/.env`, a file's name) or starts with
    `file://`, opens that file and sends it to the vendor's storage; `oss://…` switches on the resolution of stored files.
    Everything we send is text or a data URL, so the step is left out, and texts reach the model as they were written.
    """

    @classmethod
    def _preprocess_messages(cls, model: str, messages: list[dict[Any, Any]], api_key: str) -> bool:
        return False

    @classmethod
    async def _stream_responses(cls, response: Any) -> AsyncGenerator[Any, None]:
        async with aclosing(response):
            async for one in response:
                yield one


for _name in ("_preprocess_messages", "_stream_responses"):
    if not hasattr(AioMultiModalConversation, _name) or not hasattr(AioGeneration, "_stream_responses"):
        raise ImportError(f"this dashscope has no {_name}: install the version that Magpie pins")


class Account:
    """Whose key it is and where. Its calls raise ModelError and nothing else; each is sent once.

    The SDK's picture and video classes are passed by: they build their input in threads that read and upload local files, and
    forget address and session on the way.
    """

    def __init__(self, session: aiohttp.ClientSession, *, key: str, url: str) -> None:
        self._session = session
        self._told: dict[str, Any] = {"api_key": key, "base_address": url.rstrip("/"), "request_timeout": IDLE}
        self.host = URL(url)

    @property
    def always(self) -> dict[str, Any]:
        """What a chat call is told besides what it asks."""
        return {**self._told, "session": self._session}

    async def ask(self, model: str, given: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
        """What the multimodal endpoint answers at once to this input."""
        return await self._post(BaseAioApi.call, model, MULTIMODAL, given, parameters)

    async def begin(
        self, model: str, service: tuple[str, str], given: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> Any:
        """What creating a task answers."""
        return await self._post(BaseAsyncAioApi.async_call, model, service, given, parameters)

    async def _post(
        self,
        call: Any,
        model: str,
        service: tuple[str, str],
        given: Mapping[str, Any],
        parameters: Mapping[str, Any],
    ) -> Any:
        task, function = service
        try:
            async with _sending_once(self._session) as session:
                answer = await call(
                    model=model,
                    input=dict(given),
                    task_group="aigc",
                    task=task,
                    function=function,
                    session=session,
                    **parameters,
                    **self._told,
                )
        except SDK_ERRORS as error:
            raise broken(error, model) from error
        check(answer, model)
        return answer

    async def listen(self, model: str, given: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """The events in which the multimodal endpoint answers this input."""
        try:
            async with _sending_once(self._session) as session:
                # Hinted as one whole answer, which it is not when it streams.
                events: Any = await BaseAioApi.call(
                    model=model,
                    input=dict(given),
                    task_group="aigc",
                    task=MULTIMODAL[0],
                    function=MULTIMODAL[1],
                    session=session,
                    stream=True,
                    **self._told,
                )
                async with aclosing(events):
                    async for event in events:
                        yield event
        except SDK_ERRORS as error:
            raise broken(error, model) from error

    async def task(self, task: str) -> Any:
        """What the vendor says of a task: the SDK's answer, whatever its status. Raises the SDK's errors, `SDK_ERRORS`."""
        return await BaseAsyncAioApi.fetch(task, session=self._session, **self._told)

    async def cancel(self, task: str) -> None:
        """Only a task that has not begun can be cancelled. Best effort, and it may be the last thing that happens: a vendor
        that does not answer must not hold it up."""
        try:
            async with asyncio.timeout(CANCEL):
                await BaseAsyncAioApi.cancel(task, session=self._session, **self._told)
        except (TimeoutError, *SDK_ERRORS):
            logging.getLogger(__name__).info("could not cancel the task %s", task)


@asynccontextmanager
async def _sending_once(session: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientSession]:
    """The session's connections, for one request. When a connection breaks before an answer the SDK takes the request as not
    received, and sends it again; but the vendor may have taken it, and draw, and bill, twice."""
    failed: Exception | None = None
    sent = False

    async def once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        nonlocal failed, sent
        if sent:
            raise failed or aiohttp.ClientError("it leads elsewhere")
        sent = True
        try:
            return await handler(request)
        except aiohttp.ClientError as error:
            failed = error
            raise

    async with aiohttp.ClientSession(
        connector=session.connector, connector_owner=False, trust_env=session.trust_env, middlewares=(once,)
    ) as own:
        yield own
