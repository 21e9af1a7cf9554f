"""The control endpoint: a person with curl plays the users. JSON in, JSON out; nothing of it is Telegram's."""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.servers.telegram_rules import Json
from tests.servers.telegram_state import Chat, Message, User

if TYPE_CHECKING:
    from tests.servers.telegram import TelegramServer

HELP = """Play the users, for example:
  curl -d '{{"user": "Ann", "text": "hello"}}' {url}/control/message      a private chat; prints chat and message ids
  curl -d '{{"users": ["Ann", "Ben"], "title": "Friends", "topics": []}}' {url}/control/group
  curl -d '{{"chat": -5, "user": "Ben", "text": "@magpie_test_bot hi", "reply_to": 7}}' {url}/control/message
  curl -d '{{"chat": 5, "message": 8, "button": "Stop"}}' {url}/control/press
  curl -d '{{"chat": 5, "message": 7, "text": "hello again"}}' {url}/control/edit
  curl -d "{{\\"user\\": \\"Ann\\", \\"caption\\": \\"what?\\", \\"photo\\": \\"$(base64 -w0 cat.jpg)\\"}}" {url}/control/photo
  curl -d "{{\\"user\\": \\"Ann\\", \\"name\\": \\"a.pdf\\", \\"document\\": \\"$(base64 -w0 a.pdf)\\"}}" {url}/control/document
  also {url}/control/ voice, delete, block, unblock, kick, invite, migrate, update (a raw one)
  curl {url}/control/chat/5     what is seen there now;  {url}/control/file/5/8  its file;
  {url}/control/chats;  {url}/control/log?after=0"""


async def handle(server: TelegramServer, request: web.BaseRequest) -> web.Response:
    action = request.path.removeprefix("/control/")
    try:
        if request.method == "GET" and action.startswith("file/"):
            return _file(server, *action.removeprefix("file/").split("/"))
        if request.method == "GET":
            return _json(_read(server, action, int(request.query.get("after", "0"))))
        given = json.loads(await request.read() or b"{}")
        if action not in _ACTS or not isinstance(given, dict):
            return _json({"error": f"no such action or no JSON object: {action}"}, 404)
        return _json(_ACTS[action](server, given))
    except (LookupError, ValueError, TypeError) as error:
        return _json({"error": f"{type(error).__name__}: {error}"}, 400)


def _file(server: TelegramServer, chat: str, message: str) -> web.Response:
    media = server.state.chats[int(chat)].messages[int(message)].media
    if media is None:
        raise LookupError("no file in that message")
    return web.Response(body=media.file.data, content_type="application/octet-stream")


def _json(value: Any, status: int = 200) -> web.Response:
    body = json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n"
    return web.Response(text=body, status=status, content_type="application/json")


def _read(server: TelegramServer, action: str, after: int) -> Any:
    if action == "log":
        return [
            {
                "n": number,
                "at": call.at,
                "method": call.method,
                "params": call.params,
                "status": call.status,
                "error": call.error,
                "early": call.early,
                "message_id": call.message_id,
            }
            for number, call in enumerate(server.log[after:], after + 1)
        ]
    if action == "chats":
        return [{"chat": chat.id, "kind": chat.kind, "title": chat.title} for chat in server.state.chats.values()]
    if action.startswith("chat/"):
        return [shown(message) for message in server.messages(int(action.removeprefix("chat/")))]
    raise LookupError(action)


def shown(message: Message) -> Json:
    """A message as a person sees it."""
    out: Json = {"message": message.id, "from": message.sender.first_name if message.sender else message.chat.title}
    out["text"] = message.text or message.caption
    extra = {
        "buttons": list(message.buttons),
        "media": message.media.kind if message.media else None,
        "edits": message.edits,
        "thread": message.thread,
        "reply_to": message.reply_to,
        "entities": list(message.entities),
        **message.service,
    }
    return out | {name: value for name, value in extra.items() if value}


def _user(server: TelegramServer, who: object) -> User:
    """By id or first name; a new name is a new person."""
    for user in server.state.users.values():
        if who in (user.id, user.first_name):
            return user
    return server.user(who) if isinstance(who, str) else server.user(id=int(str(who)))


def _place(server: TelegramServer, given: Json) -> tuple[Chat, User]:
    user = _user(server, given["user"]) if "user" in given else None
    if "chat" in given:
        chat = server.state.chats[int(given["chat"])]
        return chat, user or server.state.users[chat.id]
    user = user or _user(server, "Ann")
    return server.private(user), user


def _message(server: TelegramServer, given: Json) -> tuple[Message, User]:
    chat, user = _place(server, given)
    return chat.messages[int(given["message"])], user


def _said(message: Message) -> Json:
    return {"chat": message.chat.id, **shown(message)}


def _say(server: TelegramServer, given: Json) -> Any:
    chat, user = _place(server, given)
    thread, reply_to = given.get("thread"), given.get("reply_to")
    if len(given["text"]) > 4096:
        return [_said(message) for message in server.paste(chat, user, given["text"], thread=thread)]
    return _said(server.say(chat, user, given["text"], reply_to=reply_to, thread=thread))


def _photo(server: TelegramServer, given: Json) -> Json:
    chat, user = _place(server, given)
    data = base64.b64decode(given["photo"]) if given.get("photo") else None
    context = _context(given, "album")
    return _said(server.send_photo(chat, user, data, given.get("caption", ""), **context))


def _document(server: TelegramServer, given: Json) -> Json:
    chat, user = _place(server, given)
    data, name = base64.b64decode(given["document"]), given["name"]
    mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return _said(
        server.send_document(chat, user, data, name, given.get("caption", ""), mime=mime, **_context(given, "size"))
    )


def _voice(server: TelegramServer, given: Json) -> Json:
    chat, user = _place(server, given)
    data, seconds = base64.b64decode(given["voice"]), given.get("seconds", 3)
    return _said(server.send_voice(chat, user, data, seconds, **_context(given)))


def _context(given: Json, *more: str) -> Json:
    return {name: given[name] for name in ("reply_to", "thread", *more) if given.get(name)}


def _press(server: TelegramServer, given: Json) -> Json:
    message, user = _message(server, given)
    return {"pressed": server.press(message, given["button"], user).data}


def _edit(server: TelegramServer, given: Json) -> Json:
    return _said(server.edit(_message(server, given)[0], given["text"]))


def _delete(server: TelegramServer, given: Json) -> Json:
    server.delete(_message(server, given)[0])
    return {}


def _group(server: TelegramServer, given: Json) -> Json:
    users = [_user(server, name) for name in given.get("users", ["Ann"])]
    title = given.get("title", "Friends")
    if given.get("topics") or given.get("supergroup"):
        chat = server.supergroup(*users, title=title, topics=given.get("topics", ()))
    else:
        chat = server.group(*users, title=title)
    return {"chat": chat.id, "users": {user.first_name: user.id for user in users}, "topics": chat.topics}


def _membership(act: Callable[[TelegramServer, Chat], object]) -> Callable[[TelegramServer, Json], Json]:
    def run(server: TelegramServer, given: Json) -> Json:
        changed = act(server, _place(server, given)[0])
        return {"chat": changed.id} if isinstance(changed, Chat) else {}

    return run


_ACTS: dict[str, Callable[[TelegramServer, Json], Any]] = {
    "message": _say,
    "photo": _photo,
    "document": _document,
    "voice": _voice,
    "press": _press,
    "edit": _edit,
    "delete": _delete,
    "group": _group,
    "block": _membership(lambda server, chat: server.block(chat)),
    "unblock": _membership(lambda server, chat: server.unblock(chat)),
    "kick": _membership(lambda server, chat: server.kick(chat)),
    "invite": _membership(lambda server, chat: server.invite(chat)),
    "migrate": _membership(lambda server, chat: server.migrate(chat)),
    "update": lambda server, given: {"update_id": server.push_raw(given)},
}
