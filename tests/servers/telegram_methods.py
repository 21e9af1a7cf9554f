"""The Bot API's methods that write into chats: each takes the platform's state and decoded parameters and returns `result`.

Left out of the real thing: links, commands and mentions in a bot's own texts are not found by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.servers.telegram_markup import parse
from tests.servers.telegram_media import Given, given_media, media_of
from tests.servers.telegram_rules import MAX_CAPTION, MAX_TEXT, Json, bad, formatted, is_blank, reply_markup, words
from tests.servers.telegram_state import DRAFT_LIFE, Chat, Draft, Message, State

Params = Mapping[str, Any]

NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as "
    "a current content and reply markup of the message"
)
ACTIONS = words(
    "typing upload_photo record_video upload_video record_voice upload_voice upload_document choose_sticker "
    "find_location record_video_note upload_video_note"
)


def whole(params: Params, name: str, default: int = 0) -> int:
    """An integer parameter; what is no number counts as 0, as in the Bot API server."""
    value = params.get(name, default)
    return value if isinstance(value, int) else 0


def _marked_up(params: Params, name: str, entities: str) -> tuple[str, object]:
    """Text and its entities as given, after parse_mode; Telegram reads this before it looks at the chat."""
    text = params.get(name, "")
    if not isinstance(text, str):
        text = str(text)
    if mode := params.get("parse_mode"):
        return parse(text, str(mode))
    return text, params.get(entities)


def _text(given: tuple[str, object], too_long: str) -> tuple[str, tuple[Json, ...]]:
    text, entities = formatted(*given, MAX_TEXT, too_long)
    if is_blank(text):
        bad("text must be non-empty")
    return text, entities


def _caption(params: Params) -> tuple[str, tuple[Json, ...]]:
    given = _marked_up(params, "caption", "caption_entities")
    return formatted(*given, MAX_CAPTION, "message caption is too long")


def _thread(chat: Chat, params: Params) -> int | None:
    thread = whole(params, "message_thread_id")
    if not thread:
        return None
    if thread not in chat.topics:
        bad("message thread not found")
    return thread


def _reply(chat: Chat, params: Params) -> int | None:
    given = params.get("reply_parameters")
    if given is None:
        given = {
            "message_id": whole(params, "reply_to_message_id"),
            "allow_sending_without_reply": params.get("allow_sending_without_reply"),
        }
    if not isinstance(given, dict):
        bad("can't parse reply parameters JSON object")
    target = given.get("message_id") or None
    if target is None or target in chat.messages:
        return target
    if not given.get("allow_sending_without_reply"):
        bad("message to be replied not found")
    return None


def _new(state: State, chat: Chat, params: Params, **content: Any) -> Message:
    thread, reply = _thread(chat, params), _reply(chat, params)
    thread = state.thread(chat, thread, reply)
    markup = reply_markup(params.get("reply_markup"))
    state.drafts.pop(chat.id, None)
    message = Message(
        chat,
        state.new_id(chat),
        int(time.time()),
        None if chat.kind == "channel" else state.bot,
        reply_to=reply,
        thread=thread,
        markup=markup,
        **content,
    )
    return state.put(message)


def send_message(state: State, params: Params) -> Json:
    if not params.get("text"):
        bad("message text is empty")
    given = _marked_up(params, "text", "entities")
    chat = state.writable(params.get("chat_id"))
    text, entities = _text(given, "message is too long")
    return state.message_json(_new(state, chat, params, text=text, entities=entities))


def _own(state: State, params: Params) -> Message:
    """The message to edit, which has to be the bot's."""
    chat = state.reachable(params.get("chat_id"))
    message_id = whole(params, "message_id")
    if message_id <= 0:
        bad("message identifier is not specified")
    message = chat.messages.get(message_id)
    if message is None:
        bad("message to edit not found")
    if message.sender is not None and message.sender is not state.bot:
        bad("message can't be edited")
    return message


def _edit(state: State, message: Message, params: Params, **content: Any) -> Json:
    markup = reply_markup(params.get("reply_markup"), inline_only=True)
    changes = {**content, "markup": markup}
    if all(getattr(message, name) == value for name, value in changes.items()):
        bad(NOT_MODIFIED)
    return state.message_json(state.edit(message, changes))


def edit_message_text(state: State, params: Params) -> Json:
    if not params.get("text"):
        bad("message text is empty")
    given = _marked_up(params, "text", "entities")
    message = _own(state, params)
    if message.media is not None:
        bad("there is no text in the message to edit")
    text, entities = _text(given, "MESSAGE_TOO_LONG")
    return _edit(state, message, params, text=text, entities=entities)


def edit_message_caption(state: State, params: Params) -> Json:
    message = _own(state, params)
    if message.media is None:
        bad("there is no caption in the message to edit")
    caption, entities = _caption(params)
    return _edit(state, message, params, caption=caption, entities=entities)


def edit_message_reply_markup(state: State, params: Params) -> Json:
    return _edit(state, _own(state, params), params)


def edit_message_media(state: State, params: Params) -> Json:
    message = _own(state, params)
    item = params.get("media")
    if not isinstance(item, dict):
        bad("can't parse media JSON object")
    if message.media is not None and message.media.kind == "voice":
        bad("message can't be edited")
    media = media_of(state, given_media(item, params))
    caption, entities = _caption(item)
    return _edit(state, message, params, media=media, caption=caption, entities=entities, text="")


def _send_one(state: State, params: Params, kind: str) -> Json:
    chat = state.writable(params.get("chat_id"))
    value = params.get(kind)
    if not value:
        bad(f"there is no {kind} in the request")
    media = media_of(state, Given(kind, value, params))
    caption, entities = _caption(params)
    return state.message_json(_new(state, chat, params, media=media, caption=caption, entities=entities))


def send_photo(state: State, params: Params) -> Json:
    return _send_one(state, params, "photo")


def send_video(state: State, params: Params) -> Json:
    if not isinstance(params.get("supports_streaming", False), bool):
        bad("can't parse supports_streaming: it must be of type Boolean")
    return _send_one(state, params, "video")


def send_voice(state: State, params: Params) -> Json:
    return _send_one(state, params, "voice")


def send_document(state: State, params: Params) -> Json:
    return _send_one(state, params, "document")


def send_media_group(state: State, params: Params) -> list[Json]:
    chat = state.writable(params.get("chat_id"))
    items = params.get("media")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        bad("can't parse media JSON object")
    if not 2 <= len(items) <= 10:
        bad("group send failed" if items else "there must be at least one media to send")
    ready = [(media_of(state, given_media(item, params)), *_caption(item)) for item in items]
    if len({media.kind for media, _, _ in ready}) > 1:
        bad("document can't be mixed with other media types")
    album = str(time.time_ns())
    shared = {name: value for name, value in params.items() if name != "reply_markup"}
    return [
        state.message_json(_new(state, chat, shared, media=media, caption=caption, entities=entities, album=album))
        for media, caption, entities in ready
    ]


def _deletable(state: State, chat: Chat, message_id: object) -> str | None:
    """Why this message cannot be deleted; None if it can."""
    message = chat.messages.get(message_id) if isinstance(message_id, int) else None
    if message is None:
        return "message to delete not found"
    rightful = chat.kind == "private" or chat.bot_status == "administrator" or message.sender is state.bot
    young = time.time() - message.date < 48 * 3600
    return None if rightful and young else "message can't be deleted"


def delete_message(state: State, params: Params) -> bool:
    chat = state.reachable(params.get("chat_id"))
    if reason := _deletable(state, chat, params.get("message_id")):
        bad(reason)
    state.remove(chat, whole(params, "message_id"))
    return True


def delete_messages(state: State, params: Params) -> bool:
    """What cannot be found is skipped in silence."""
    chat = state.reachable(params.get("chat_id"))
    ids = params.get("message_ids")
    if not isinstance(ids, Sequence) or not ids:
        bad("message identifiers are not specified")
    if len(ids) > 100:
        bad("too many message identifiers specified")
    for message_id in ids:
        if _deletable(state, chat, message_id) is None:
            state.remove(chat, message_id)
    return True


def send_chat_action(state: State, params: Params) -> bool:
    chat = state.writable(params.get("chat_id"))
    if params.get("action") not in ACTIONS:
        bad("wrong parameter action in request")
    _thread(chat, params)
    state.actions[chat.id] = str(params["action"])
    return True


def send_message_draft(state: State, params: Params) -> bool:
    """Private chats only; empty text is the placeholder; the same id goes on with the same draft."""
    given = _marked_up(params, "text", "entities")
    chat = state.writable(params.get("chat_id"))
    draft_id = whole(params, "draft_id")
    if chat.kind != "private":
        bad("TEXTDRAFT_PEER_INVALID")
    if not draft_id:
        bad("draft_id must be non-zero")
    text, entities = formatted(*given, MAX_TEXT, "message is too long")
    state.drafts[chat.id] = Draft(draft_id, text, entities, _thread(chat, params), time.monotonic() + DRAFT_LIFE)
    state.changed(chat.id)
    return True


def answer_callback_query(state: State, params: Params) -> bool:
    press = state.presses.get(str(params.get("callback_query_id", "")))
    text = str(params.get("text", ""))
    if len(text) > 200:
        bad("MESSAGE_TOO_LONG")
    if press is None or press.answered or time.monotonic() - press.at > state.press_life:
        bad("query is too old and response timeout expired or query ID is invalid")
    press.answered, press.text, press.alert = True, text, bool(params.get("show_alert"))
    state.changed()
    return True
