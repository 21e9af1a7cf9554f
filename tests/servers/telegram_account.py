"""The Bot API's methods about the bot itself and its chats: who it is, its commands and descriptions, members."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.servers.telegram_rules import Json, bad, check_commands, words
from tests.servers.telegram_state import Chat, State

Params = Mapping[str, Any]

SCOPES = words("default all_private_chats all_group_chats all_chat_administrators chat chat_administrators chat_member")
RIGHTS = words(
    "can_be_edited is_anonymous can_manage_chat can_delete_messages can_manage_video_chats can_restrict_members "
    "can_promote_members can_change_info can_invite_users can_post_stories can_edit_stories can_delete_stories"
)
GRANTED = frozenset({"can_manage_chat", "can_delete_messages", "can_invite_users"})


def _scope(state: State, params: Params) -> str:
    """A key for scope and language; a scope's chat has to exist."""
    scope = params.get("scope") or {"type": "default"}
    if not isinstance(scope, dict) or scope.get("type") not in SCOPES:
        bad("can't parse BotCommandScope: Unsupported type specified")
    if str(scope["type"]).startswith("chat"):
        state.chat(scope.get("chat_id"))
    return json.dumps([scope, _language(params)], sort_keys=True)


def _language(params: Params) -> str:
    language = params.get("language_code", "")
    if language and not (len(language) == 2 and language.isalpha() and language.islower()):
        bad("invalid language code specified")
    return str(language)


def set_my_commands(state: State, params: Params) -> bool:
    commands = check_commands(params.get("commands"))
    state.commands[_scope(state, params)] = commands
    state.changed()
    return True


def get_my_commands(state: State, params: Params) -> list[Json]:
    return state.commands.get(_scope(state, params), [])


def delete_my_commands(state: State, params: Params) -> bool:
    state.commands.pop(_scope(state, params), None)
    return True


def _set_description(state: State, params: Params, name: str, limit: int) -> bool:
    text = str(params.get(name, ""))
    if len(text) > limit:
        bad(f"{name} is too long")
    state.descriptions[f"{name}/{_language(params)}"] = text
    return True


def set_my_description(state: State, params: Params) -> bool:
    return _set_description(state, params, "description", 512)


def set_my_short_description(state: State, params: Params) -> bool:
    return _set_description(state, params, "short_description", 120)


def set_my_name(state: State, params: Params) -> bool:
    return _set_description(state, params, "name", 64)


def get_my_description(state: State, params: Params) -> Json:
    return {"description": state.descriptions.get(f"description/{_language(params)}", "")}


def get_my_short_description(state: State, params: Params) -> Json:
    return {"short_description": state.descriptions.get(f"short_description/{_language(params)}", "")}


def get_my_name(state: State, params: Params) -> Json:
    return {"name": state.descriptions.get(f"name/{_language(params)}", state.bot.first_name)}


def get_chat(state: State, params: Params) -> Json:
    """A ChatFullInfo with what Bot API 9 and 10 always send."""
    chat = state.chat(params.get("chat_id"))
    gifts = dict.fromkeys(
        ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"),
        True,
    )
    return {**chat.json, "accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": gifts}


def member_json(state: State, chat: Chat, user_id: int) -> Json:
    status = chat.bot_status if user_id == state.bot.id else chat.members.get(user_id, "left")
    out: Json = {"user": state.users[user_id].json, "status": status}
    match status:
        case "administrator":
            out |= {right: right in GRANTED for right in RIGHTS}
        case "creator":
            out["is_anonymous"] = False
        case "kicked":
            out["until_date"] = 0
        case "restricted":
            kinds = words("messages audios documents photos videos video_notes voice_notes polls other_messages")
            others = ["can_add_web_page_previews", "can_change_info", "can_invite_users", "can_pin_messages"]
            rights = [f"can_send_{kind}" for kind in kinds] + [
                *others,
                "can_manage_topics",
                "can_edit_tag",
                "can_react_to_messages",
            ]
            out |= dict.fromkeys(rights, False) | {"is_member": True, "until_date": 0}
    return out


def get_chat_member(state: State, params: Params) -> Json:
    chat = state.chat(params.get("chat_id"))
    user_id = params.get("user_id")
    if not isinstance(user_id, int) or user_id not in state.users:
        bad("invalid user_id specified" if not isinstance(user_id, int) else "PARTICIPANT_ID_INVALID")
    return member_json(state, chat, user_id)


def leave_chat(state: State, params: Params) -> bool:
    chat = state.reachable(params.get("chat_id"))
    if chat.kind == "private":
        bad("chat member status can't be changed in private chats")
    chat.bot_status = "left"
    state.changed(chat.id)
    return True
