"""The stand-in for Discord by itself: a person with curl plays the user, each call is a line on stdout.

    python -m tests.servers.discord --port 9001
    curl -d '{"channel": "general", "user": "ann", "text": "hello", "mention": true}' localhost:9001/control/message

Channels are named by id or name (a private chat by its user's), users by name.
"""

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from tests.servers.discord import DiscordServer
from tests.servers.discord_gateway import DISPATCH, HEARTBEAT, HEARTBEAT_ACK, Frame
from tests.servers.discord_state import Channel, JsonObject, Message, Upload, User
from tests.servers.discord_view import Shown

HELP = """Play the users ann, bob and mei (whose client speaks Chinese), for example:
  curl -d '{{"channel": "ann", "user": "ann", "text": "hello"}}' {url}/message      a private chat; prints the ids
  curl -d '{{"channel": "general", "user": "bob", "text": "hi", "mention": true}}' {url}/message
      its files: "files": ["/path/of/one.pdf"]; a voice message: "voice": "/path/of/one.ogg", "seconds": 3
  curl -d '{{"channel": "general", "user": "bob", "name": "help"}}' {url}/slash     its options: "options": {{"name": "value"}}
      its files: "files": {{"picture": "/path/of/one.png"}}
  curl -d '{{"message": 7, "button": "Stop", "user": "ann"}}' {url}/press
  curl -d '{{"message": 7, "text": "hello again"}}' {url}/edit
  curl {url}/channel/general     what is seen there now;  {url}/log"""


class Control:
    """POST /control/message, slash, press, edit; GET /control/log, /control/channel/{channel}."""

    def __init__(self, server: DiscordServer) -> None:
        self.server = server

    def routes(self) -> list[web.RouteDef]:
        acts = {"message": self.message, "slash": self.slash, "press": self.press, "edit": self.edit}
        return [
            *(web.post(f"/control/{name}", self._checked(act)) for name, act in acts.items()),
            web.get("/control/log", self.log),
            web.get("/control/channel/{channel}", self.channel),
        ]

    def _checked(
        self, act: Callable[[JsonObject], JsonObject]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handler(request: web.Request) -> web.StreamResponse:
            try:
                return web.json_response(act(json.loads(await request.text())))
            except (ValueError, KeyError, OSError) as error:
                return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)

        return handler

    def message(self, body: JsonObject) -> JsonObject:
        channel = self._channel(body["channel"])
        reply_to = self._message(body["reply_to"]) if body.get("reply_to") else None
        said = self.server.say(
            channel,
            self._user(body["user"]),
            body.get("text", ""),
            mention_bot=bool(body.get("mention")),
            reply_to=reply_to,
            attachments=[*map(_upload, body.get("files", ())), *_voice(body)],
        )
        return {"id": str(said.id), "channel": str(channel.id)}

    def slash(self, body: JsonObject) -> JsonObject:
        channel, user = self._channel(body["channel"]), self._user(body["user"])
        options = {**body.get("options", {}), **{name: _upload(path) for name, path in body.get("files", {}).items()}}
        return {"id": str(self.server.slash(channel, user, body["name"], options).id)}

    def press(self, body: JsonObject) -> JsonObject:
        message, user = self._message(body["message"]), self._user(body["user"])
        return {"id": str(self.server.press(message, body["button"], user, body.get("values", ())).id)}

    def edit(self, body: JsonObject) -> JsonObject:
        message = self._message(body["message"])
        self.server.edit(message, body["text"])
        return {"id": str(message.id)}

    async def log(self, _: web.Request) -> web.StreamResponse:
        calls = [
            {
                "at": call.at,
                "route": call.route,
                "path": call.path,
                "status": call.status,
                "code": call.code,
                "payload": call.payload,
                "files": list(call.files),
            }
            for call in self.server.log
        ]
        return web.json_response(calls)

    async def channel(self, request: web.Request) -> web.StreamResponse:
        try:
            channel = self._channel(request.match_info["channel"])
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=404)
        return web.json_response([_plain(shown) for shown in self.server.messages(channel)])

    def _channel(self, name: str) -> Channel:
        for channel in self.server.world.channels.values():
            if str(name) in (str(channel.id), channel.name):
                return channel
        raise ValueError(f"there is no channel {name}")

    def _user(self, name: str) -> User:
        for user in self.server.world.users.values():
            if str(name) in (str(user.id), user.name):
                return user
        raise ValueError(f"there is no user {name}")

    def _message(self, message_id: str) -> Message:
        if (message := self.server.world.find_message(int(message_id))) is None:
            raise ValueError(f"there is no message {message_id}")
        return message


def _upload(path: str) -> Upload:
    return Upload(filename=Path(path).name, data=Path(path).read_bytes())


def _voice(body: JsonObject) -> list[Upload]:
    if not body.get("voice"):
        return []
    data = Path(body["voice"]).read_bytes()
    seconds = float(body.get("seconds", 1))
    return [
        Upload(filename="voice-message.ogg", data=data, content_type="audio/ogg", duration=seconds, waveform="AAAA")
    ]


def _plain(shown: Shown) -> JsonObject:
    return {
        "id": str(shown.id),
        "author": shown.author.name,
        "content": shown.content,
        "attachments": [f"{upload.filename} {len(upload.data)}" for upload in shown.attachments],
        "voice": shown.voice,
        "buttons": [button.label for button in shown.buttons],
        "edits": shown.edits,
        "ephemeral": shown.ephemeral,
        "thinking": shown.thinking,
        "reply_to": None if shown.reply_to is None else str(shown.reply_to),
        "pings_everyone": shown.pings.everyone,
        "pings": [str(user_id) for user_id in sorted(shown.pings.users)],
    }


def _print_frame(frame: Frame) -> None:
    if frame.op not in (HEARTBEAT, HEARTBEAT_ACK) or frame.direction == "close":
        name = frame.event if frame.op == DISPATCH and frame.event else f"op {frame.op}"
        print(f"gateway {frame.direction:5} {name}", flush=True)


async def _serve(port: int, token: str, shards: int) -> None:
    server = DiscordServer(
        token=token,
        port=port,
        shards=shards,
        identify_seconds=5.0,
        on_call=lambda call: print(call, flush=True),
        on_frame=_print_frame,
    )
    await server.start(Control(server).routes())
    ann, bob, mei = server.user("ann"), server.user("bob"), server.user("mei", locale="zh-CN")
    server.channel(server.guild("house", members=[ann, bob, mei]), "general")
    server.dm(ann)
    server.dm(mei)
    print(f"DISCORD_API_URL={server.api_url} DISCORD_BOT_TOKEN={token}", flush=True)
    for channel in server.world.channels.values():
        print(f"channel {channel.name}: {channel.id}", flush=True)
    print(HELP.format(url=f"http://127.0.0.1:{port}/control"), flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for Discord on the loopback interface")
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--token", default="stand-in-token")
    parser.add_argument("--shards", type=int, default=1)
    options = parser.parse_args()
    try:
        asyncio.run(_serve(options.port, options.token, options.shards))
    except KeyboardInterrupt:
        print("stopped")
