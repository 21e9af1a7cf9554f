"""How Discord takes a kept file: as an attachment of a message, or as a voice message, which is nothing but its sound. Pure.

A voice message has one attachment with its length and its waveform, the flag of its kind and no words, and is never edited
(https://docs.discord.com/developers/resources/message#voice-messages).
"""

from __future__ import annotations

import mimetypes

from bot import phrases
from bot.messages import Media, Piece
from bot.platforms.discord_read import JsonObject, language_of
from bot.platforms.discord_rest import NO_PINGS, Upload

VOICE_MESSAGE = 1 << 13  # "flags"
VOICE_NAME = "voice-message.ogg"  # as Discord's own programs name it
LARGEST_UPLOAD = 10 * 1024 * 1024  # bytes, wherever nobody has paid for more
LONGEST_DESCRIPTION = 1024  # of an attachment


def voice_message(media: Media, data: bytes) -> tuple[JsonObject, Upload]:
    """Its body, and the file: of a type that says audio, or Discord drops length and waveform."""
    sound = {"id": 0, "filename": VOICE_NAME, "duration_secs": round(media.seconds, 2), "waveform": media.waveform}
    body = {"flags": VOICE_MESSAGE, "allowed_mentions": NO_PINGS, "attachments": [sound]}
    return body, Upload(VOICE_NAME, "audio/ogg", data)


def attachment(media: Media, name: str, data: bytes) -> tuple[JsonObject, Upload]:
    """The entry of a message's body that describes the file, and the file."""
    about = {"description": media.caption[:LONGEST_DESCRIPTION]} if media.caption else {}
    return {"id": 0, "filename": name} | about, Upload(name, mimetypes.guess_type(name)[0] or media.mime, data)


def too_large(piece: Piece, size: int) -> str:
    """The words of a message whose file Discord does not take. They were cut to a message's length: the line gets in."""
    told = phrases.voice.TOO_LARGE_HERE.format(size=f"{size / 1024**2:.0f}", limit=LARGEST_UPLOAD // 1024**2)
    line = f"-# {told.to(language_of(piece.body))}"
    return f"{piece.body[: 2000 - len(line) - 1]}\n{line}"
