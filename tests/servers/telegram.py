"""A strict stand-in for the Telegram Bot API: a real server on a loopback socket, for one bot.

    async with TelegramServer() as server:
        ann = server.user("Ann")
        chat = server.private(ann)
        server.say(chat, ann, "hello")
        ...  # a bot with TELEGRAM_API_URL=server.url and the token server.token answers
        await server.wait_for(lambda: server.messages(chat)[-1].from_bot, timeout=5)

By itself: `python -m tests.servers.telegram --port 9000` (telegram_control tells how to play a user with curl).
What people do is in telegram_people, the bot's methods in telegram_methods and telegram_account, what is refused in
telegram_rules; here are the calls: token, floods, scripted faults, the log.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import math
import re
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from tests.servers import telegram_account as account
from tests.servers import telegram_control as control
from tests.servers import telegram_http as http
from tests.servers import telegram_media as media
from tests.servers import telegram_methods as methods
from tests.servers.telegram_faults import Drop, Failure, Fault, Faults, FloodLimits, Floods, Hold, When, always
from tests.servers.telegram_log import Call, line
from tests.servers.telegram_people import TelegramPeople, picture
from tests.servers.telegram_rules import Json, Refusal, bad, words
from tests.servers.telegram_state import DOWNLOAD_LIMIT, Chat, Draft, Message, State, User
from tests.servers.telegram_updates import Update
from tests.servers.telegram_webhook import Webhook

__all__ = ["Call", "Chat", "FloodLimits", "Hold", "Message", "TelegramServer", "User", "picture"]

T = TypeVar("T")
Method = Callable[[State, methods.Params], Any]

TOKEN = "123456789:AAF-loopback_only_0123456789abcdefg"

# Methods that write into a chat, and so count against the flood limits.
WRITING: dict[str, Method] = {
    "sendMessage": methods.send_message,
    "editMessageText": methods.edit_message_text,
    "editMessageCaption": methods.edit_message_caption,
    "editMessageReplyMarkup": methods.edit_message_reply_markup,
    "editMessageMedia": methods.edit_message_media,
    "sendPhoto": methods.send_photo,
    "sendVideo": methods.send_video,
    "sendVoice": methods.send_voice,
    "sendDocument": methods.send_document,
    "sendMediaGroup": methods.send_media_group,
    "sendMessageDraft": methods.send_message_draft,
}
METHODS: dict[str, Method] = WRITING | {
    "deleteMessage": methods.delete_message,
    "deleteMessages": methods.delete_messages,
    "sendChatAction": methods.send_chat_action,
    "answerCallbackQuery": methods.answer_callback_query,
    "getFile": media.get_file,
    "getChat": account.get_chat,
    "getChatMember": account.get_chat_member,
    "leaveChat": account.leave_chat,
    "setMyCommands": account.set_my_commands,
    "getMyCommands": account.get_my_commands,
    "deleteMyCommands": account.delete_my_commands,
    "setMyDescription": account.set_my_description,
    "getMyDescription": account.get_my_description,
    "setMyShortDescription": account.set_my_short_description,
    "getMyShortDescription": account.get_my_short_description,
    "setMyName": account.set_my_name,
    "getMyName": account.get_my_name,
}
# Method names are not case-sensitive.
NAMES = {
    name.lower(): name for name in (*METHODS, "getMe", "getUpdates", "setWebhook", "deleteWebhook", "getWebhookInfo")
}


class TelegramServer(TelegramPeople):
    def __init__(
        self,
        token: str = TOKEN,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        floods: bool | FloodLimits = False,
        privacy: bool = True,
        username: str = "magpie_test_bot",
        local: bool = False,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        """`floods`: enforce flood limits. `privacy`: the bot's privacy mode in groups. `local`: webhooks may be http, on any
        port, as on a server of one's own. `on_call` gets each logged call."""
        bot = User(int(token.partition(":")[0]), "Magpie", username, is_bot=True)
        super().__init__(bot, privacy=privacy)
        self.token = token
        self.log: list[Call] = []
        self.faults = Faults()
        self._floods = Floods((floods if isinstance(floods, FloodLimits) else FloodLimits()) if floods else None)
        self._webhook = Webhook(self.state, local=local)
        self._address = (host, port)
        self._on_call = on_call
        self._runner: web.ServerRunner | None = None

    # ── life

    @property
    def url(self) -> str:
        """The root: what TELEGRAM_API_URL takes."""
        host, port = self._address
        return f"http://{host}:{port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens; after stop() again on the same port, with everything as it was."""
        # handler_cancellation: a poll ends with its connection, as when a bot is killed
        server = web.Server(self._handle, request_factory=self._request, handler_cancellation=True)
        self._runner = web.ServerRunner(server, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, *self._address, reuse_address=True).start()
        self._address = (self._address[0], self._runner.addresses[0][1])
        self._webhook.resume()

    async def stop(self) -> None:
        await self._webhook.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @staticmethod
    def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=http.MAX_BODY)

    # ── what tests look at

    def messages(self, chat: Chat | int) -> tuple[Message, ...]:
        """What people see in the chat now, in order."""
        place = self.state.chats[chat] if isinstance(chat, int) else chat
        return tuple(place.messages.values())

    def draft(self, chat: Chat) -> Draft | None:
        return self.state.draft(chat)

    def calls(self, method: str, chat: Chat | None = None) -> list[Call]:
        return [call for call in self.log if call.method == method and (chat is None or call.chat_id == chat.id)]

    @property
    def early_calls(self) -> list[Call]:
        """Made before a RetryAfter had ended: there should be none."""
        return [call for call in self.log if call.early]

    @property
    def confirmed(self) -> int | None:
        """The highest offset that the bot sent; everything below is confirmed."""
        return self.state.updates.confirmed

    @property
    def pending(self) -> tuple[int, ...]:
        """Ids of updates that are not confirmed."""
        return tuple(update.id for update in self.state.updates.pending)

    @property
    def webhook(self) -> Json:
        """As getWebhookInfo tells it."""
        return self._webhook.info()

    def replay(self) -> int:
        """Everything confirmed comes once more; returns how many updates."""
        return self.state.updates.replay()

    async def wait_for(self, condition: Callable[[], T], *, timeout: float = 10, chat: Chat | None = None) -> T:
        """The condition's first true value. It is asked on each change; with `chat`, on changes there alone (cheap)."""
        try:
            return await self.state.wait_for(condition, timeout, chat)
        except TimeoutError:
            last = "\n".join(f"  {line(call)}" for call in self.log[-8:])
            raise TimeoutError(f"not so within {timeout} s; the last of {len(self.log)} calls:\n{last}") from None

    # ── faults

    def fail(
        self,
        method: str,
        times: int = 1,
        *,
        status: int = 500,
        description: str | None = None,
        retry_after: int | None = None,
        when: When = always,
    ) -> Failure:
        """The next calls have no effect and get this error. retry_after makes it a 429 that is enforced afterwards."""
        parameters = {} if retry_after is None else {"retry_after": retry_after}
        if retry_after is not None:
            status, description = 429, description or f"Too Many Requests: retry after {retry_after}"
        refusal = Refusal(status, description or "Internal Server Error", parameters)
        fault = Failure(method=method, times=times, when=when, refusal=refusal)
        self.faults.add(fault)
        return fault

    def hold(self, method: str, *, seconds: float = math.inf, times: int = 1, when: When = always) -> Hold:
        """The next calls take effect, their answers wait for `seconds` or hold.release; hold.caught tells when."""
        fault = Hold(method=method, times=times, when=when, seconds=seconds)
        self.faults.add(fault)
        return fault

    def drop(self, method: str, times: int = 1, *, effect: bool = True, when: When = always) -> Drop:
        """The connection breaks instead of an answer, after the call took effect or before."""
        fault = Drop(method=method, times=times, when=when, effect=effect)
        self.faults.add(fault)
        return fault

    def deaf(self, seconds: float) -> None:
        """For this long polls are accepted and never answered, not even afterwards."""
        self.faults.deaf_until = time.monotonic() + seconds

    # ── calls

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path.startswith("/bot"):
            return await self._call(request, path)
        if path.startswith("/file/bot"):
            return self._file(path)
        if path.startswith("/control/"):
            return await control.handle(self, request)
        return http.refuse(Refusal(404, "Not Found"))

    def _check_token(self, token: str) -> None:
        if token != self.token:
            known_form = re.fullmatch(r"\d+:[\w-]+", token, re.ASCII)
            raise Refusal(401, "Unauthorized") if known_form else Refusal(404, "Not Found")

    def _file(self, path: str) -> web.Response:
        token, _, name = path.removeprefix("/file/bot").partition("/")
        try:
            self._check_token(token)
        except Refusal as refusal:
            return http.refuse(refusal)
        file = self.state.paths.get(name)
        if file is None or file.size > DOWNLOAD_LIMIT:
            return http.refuse(Refusal(404, "Not Found"))
        return web.Response(body=file.data, content_type="application/octet-stream")

    async def _call(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        token, _, asked = path.removeprefix("/bot").partition("/")
        name = NAMES.get(asked.lower(), asked)
        at = time.monotonic()
        params: Json = {}
        fault: Fault | None = None
        try:
            self._check_token(token)
            if name not in METHODS and name not in NAMES.values():
                raise Refusal(404, "Not Found")
            params = await http.read_params(request)
            self._check_flood(name, params)
            fault = self.faults.strike(name, params)
            if isinstance(fault, Failure):
                raise fault.refusal
            if isinstance(fault, Drop) and not fault.effect:
                return self._hang_up(request, Call(at, name, params, 0, error="dropped before"))
            if name == "getUpdates":
                batch = await self._get_updates(params)
                result = [update.id for update in batch]
                bodies = ",".join([update.body for update in batch])
                response = http.raw_answer(f'{{"ok": true, "result": [{bodies}]}}')
            else:
                result = await self._result(name, params)
                response = http.answer(result)
        except Refusal as refusal:
            self._refused(Call(at, name, params, refusal.status, error=refusal.description), refusal)
            return http.refuse(refusal)
        except asyncio.CancelledError:
            self._note(Call(at, name, params, 0, error="disconnected"))
            raise
        self._note(Call(at, name, params, 200, result))
        if isinstance(fault, Hold):
            fault.caught.set()
            await fault.wait()
        elif isinstance(fault, Drop):
            self._abort(request)
        return response

    def _hang_up(self, request: web.BaseRequest, call: Call) -> web.Response:
        self._note(call)
        self._abort(request)
        return web.Response()

    @staticmethod
    def _abort(request: web.BaseRequest) -> None:
        if request.transport is not None:
            request.transport.abort()

    async def _result(self, name: str, params: Json) -> Any:
        if method := METHODS.get(name):
            return method(self.state, params)
        match name:
            case "getMe":
                return self._me()
            case "setWebhook":
                return self._webhook.set(params)
            case "deleteWebhook":
                return await self._webhook.delete(params)
            case _:
                return self._webhook.info()

    async def _get_updates(self, params: Json) -> list[Update]:
        await self._hear()
        allowed = params.get("allowed_updates")
        if allowed is not None and not isinstance(allowed, list):
            bad("can't parse allowed updates JSON object")
        updates = self.state.updates
        updates.allow(allowed)
        limit = methods.whole(params, "limit", 100)
        batch = await updates.poll(
            methods.whole(params, "offset"), limit if 0 < limit <= 100 else 100, methods.whole(params, "timeout")
        )
        await self._hear()
        return batch

    async def _hear(self) -> None:
        """While deaf, a poll is lost for good: only its connection's end ends it."""
        if time.monotonic() < self.faults.deaf_until:
            await asyncio.Event().wait()

    def _me(self) -> Json:
        abilities = dict.fromkeys(
            words(
                "supports_inline_queries can_connect_to_business has_main_web_app has_topics_enabled "
                "allows_users_to_create_topics can_manage_bots supports_guest_queries"
            ),
            False,
        )
        groups = {"can_join_groups": True, "can_read_all_group_messages": not self.privacy}
        return self.state.bot.json | groups | abilities

    # ── floods and log

    def _check_flood(self, name: str, params: Json) -> None:
        chat_id = params.get("chat_id")
        chatty = name in WRITING and isinstance(chat_id, int)
        key = chat_id if chatty and isinstance(chat_id, int) else name
        if seconds := self._floods.remaining(key):
            raise _Early(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})
        if isinstance(key, int) and key in self.state.chats:
            items = params.get("media")
            weight = len(items) if isinstance(items, list) else 1
            if seconds := self._floods.count(key, weight):
                raise Refusal(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})

    def _refused(self, call: Call, refusal: Refusal) -> None:
        seconds = refusal.parameters.get("retry_after")
        early = isinstance(refusal, _Early)
        if seconds is not None and not early:
            chatty = call.method in WRITING and call.chat_id is not None
            self._floods.punish(call.chat_id if chatty and call.chat_id is not None else call.method, seconds)
        self._note(
            Call(
                call.at,
                call.method,
                call.params,
                call.status,
                error=call.error,
                retry_after=seconds,
                early=early,
            )
        )

    def _note(self, call: Call) -> None:
        self.log.append(call)
        self.state.changed(call.chat_id)
        if self._on_call is not None:
            self._on_call(call)


class _Early(Refusal):
    """A 429 because an earlier one was not waited for."""


async def _serve(options: argparse.Namespace) -> None:
    def show(call: Call) -> None:
        print(f"{time.strftime('%H:%M:%S')} {line(call)}", flush=True)

    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # the log only grows: looking through it often would be most of a load's cost

    server = TelegramServer(
        options.token,
        host=options.host,
        port=options.port,
        floods=options.floods,
        privacy=not options.no_privacy,
        local=options.local,
        on_call=show,
    )
    async with server:
        print(f"TELEGRAM_API_URL={server.url} TELEGRAM_BOT_TOKEN={server.token}", flush=True)
        print(control.HELP.format(url=server.url), flush=True)
        await asyncio.Event().wait()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="A stand-in for the Telegram Bot API")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--floods", action="store_true", help="enforce flood limits")
    parser.add_argument("--local", action="store_true", help="webhooks may be http, on any port")
    parser.add_argument("--no-privacy", action="store_true", help="the bot sees everything in groups")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args(arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
