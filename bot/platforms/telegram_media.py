"""How Telegram shows a kept file: as which kind, and by which call. Pure."""

from __future__ import annotations

import json
from typing import Any

from telegram import InputFile

from bot.messages import Media, Piece
from bot.platforms import telegram_layout
from bot.platforms.telegram_text import Json

# Bytes that a bot may upload of each kind; what is larger, or refused as what it is, goes as a document.
LIMITS = {"photo": 10_000_000, "video": 50_000_000, "voice": 50_000_000, "document": 50_000_000}
METHODS = {"photo": "sendPhoto", "video": "sendVideo", "voice": "sendVoice", "document": "sendDocument"}
NAMES = {"photo": "picture", "video": "video", "voice": "voice"}


def kind_of(media: Media) -> str:
    if media.voice:
        return "voice"
    return "video" if media.mime.startswith("video/") else "photo"


def upload(media: Media, data: bytes) -> InputFile:
    suffix = media.mime.rpartition("/")[2] or "bin"
    return InputFile(data, filename=f"{NAMES[kind_of(media)]}.{suffix}")


def call(kind: str, where: Json, piece: Piece, file: InputFile | str) -> tuple[str, Json]:
    """Method and parameters that show a file, or one that Telegram has by its id, in a new message or in the one that `where`
    names."""
    caption, marks = telegram_layout.caption(piece)
    more: Json = {"supports_streaming": True} if kind == "video" else {}
    if "message_id" not in where:
        if kind == "voice" and piece.media is not None and piece.media.seconds:
            more = {"duration": max(1, round(piece.media.seconds))}
        return METHODS[kind], where | {"caption": caption, "caption_entities": marks or None} | more | {kind: file}
    entities = {"caption_entities": json.loads(marks)} if marks else {}
    media = {"type": kind, "media": file, "caption": caption, **entities, **more}
    if isinstance(file, str):
        return "editMessageMedia", where | {"media": media}
    return "editMessageMedia", where | {"media": media | {"media": "attach://file"}, "file": file}


def id_of(shown: Any, kind: str) -> str:
    """By which Telegram shows the same file again; "" when it does not tell."""
    found = shown.get(kind) if isinstance(shown, dict) else None
    found = found[-1] if isinstance(found, list) and found else found
    return str(found.get("file_id") or "") if isinstance(found, dict) else ""
