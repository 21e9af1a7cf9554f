"""The Bot API's wire: parameters out of query, urlencoded, JSON and multipart bodies; answers in its envelope."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web

from tests.servers.telegram_media import Upload
from tests.servers.telegram_rules import Json, Refusal, bad, check_utf8, words

MAX_BODY = 60 * 1024 * 1024  # bytes: 50 MB of file and its envelope

_WHOLE = words(
    "chat_id message_id offset limit timeout draft_id message_thread_id user_id cache_time reply_to_message_id "
    "max_connections duration"
)
_FLAG = words(
    "show_alert allow_sending_without_reply disable_notification protect_content drop_pending_updates "
    "show_caption_above_media has_spoiler supports_streaming"
)
_STRUCTURE = {
    "entities": "entities",
    "caption_entities": "entities",
    "reply_markup": "reply keyboard markup",
    "reply_parameters": "reply parameters",
    "link_preview_options": "link preview options",
    "allowed_updates": "allowed updates",
    "media": "media",
    "message_ids": "message identifiers",
    "commands": "commands",
    "scope": "BotCommandScope",
}
_SURROGATE = re.compile(rb"(?:\\|%5[cC])u[dD][89a-fA-F]")


async def read_params(request: web.BaseRequest) -> Json:
    """All parameters by name, decoded: numbers, flags and structures as such, files as Upload."""
    params: Json = dict(parse_qsl(request.query_string, keep_blank_values=True)) if request.query_string else {}
    suspicious = False
    if request.body_exists:
        kind = request.content_type
        if kind == "multipart/form-data":
            params.update(await _multipart(request))
            suspicious = True
        else:
            body = await request.read()
            suspicious = _SURROGATE.search(body) is not None
            params.update(_decode(kind, body))
    params = {name: _value(name, value) if type(value) is str else value for name, value in params.items()}
    if suspicious:
        check_utf8(params)
    return params


def _decode(kind: str, body: bytes) -> Json:
    try:
        if kind == "application/x-www-form-urlencoded":
            return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict"))
        if kind != "application/json" or not body:
            return {}
        decoded = json.loads(body)
    except UnicodeDecodeError:
        bad("strings must be encoded in UTF-8")
    except ValueError:
        bad("can't parse JSON object")
    if not isinstance(decoded, dict):
        bad("can't parse JSON object")
    return {name: value for name, value in decoded.items() if value is not None}


async def _multipart(request: web.BaseRequest) -> Json:
    params: Json = {}
    size = 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            bad("can't parse multipart body")
        data = bytes(await part.read(decode=True))
        size += len(data)
        if size > MAX_BODY:
            raise Refusal(413, "Request Entity Too Large")
        if part.filename is not None:
            params[part.name] = Upload(part.filename, part.headers.get("Content-Type", ""), data)
            continue
        try:
            params[part.name] = data.decode()
        except UnicodeDecodeError:
            bad("strings must be encoded in UTF-8")
    return params


def _value(name: str, value: str) -> Any:
    if name in _WHOLE:
        return int(value) if re.fullmatch(r"\s*-?\d{1,19}\s*", value, re.ASCII) else value
    if name in _FLAG:
        return value.lower() in ("true", "yes", "1")
    # `media` is a structure in some methods and a plain word in none that we know
    if name in _STRUCTURE:
        if not value:
            return None
        try:
            return json.loads(value)
        except ValueError:
            bad(f"can't parse {_STRUCTURE[name]} JSON object")
    return value


# Our results are trees: no search for cycles.
_encode = json.JSONEncoder(check_circular=False).encode


def answer(result: Any) -> web.Response:
    return raw_answer(_encode({"ok": True, "result": result}))


def raw_answer(body: str, status: int = 200) -> web.Response:
    return web.Response(body=body.encode(), status=status, content_type="application/json")


def refuse(refusal: Refusal) -> web.Response:
    body: Json = {"ok": False, "error_code": refusal.status, "description": refusal.description}
    if refusal.parameters:
        body["parameters"] = refusal.parameters
    response = raw_answer(json.dumps(body), refusal.status)
    if "retry_after" in refusal.parameters:
        response.headers["Retry-After"] = str(refusal.parameters["retry_after"])
    return response
