"""Files: what a bot uploads or names, what a person sends, and how a message tells of them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

from tests.servers.telegram_rules import Json, Refusal, bad
from tests.servers.telegram_state import DOWNLOAD_LIMIT, File, Media, State

PHOTO_LIMIT = 10 * 1024 * 1024
UPLOAD_LIMIT = 50 * 1024 * 1024
FOLDERS = {"photo": "photos", "video": "videos", "voice": "voice", "document": "documents"}
THUMBNAIL = 90  # pixels of the longer side of the smallest size, as Telegram's "s"


@dataclass(frozen=True, slots=True)
class Upload:
    """A part of a multipart body with a file name."""

    name: str
    content_type: str
    data: bytes

    def __repr__(self) -> str:
        return f"Upload({self.name!r}, {len(self.data)} bytes)"


@dataclass(frozen=True, slots=True)
class Given:
    """What a bot wants shown: an Upload, or text (file id, URL, attach://part of `params`)."""

    kind: str
    value: object
    params: Mapping[str, Any]


def given_media(item: Json, params: Mapping[str, Any]) -> Given:
    """An InputMedia object."""
    kind = item.get("type")
    if kind not in ("photo", "video", "document"):  # Telegram's InputMedia knows no voice
        bad(f"type {kind} is not supported by this stand-in" if kind else "type of the media is not specified")
    if not item.get("media"):
        bad("media not found")
    return Given(kind, item["media"], params)


def media_of(state: State, given: Given) -> Media:
    """Stores an upload, or finds what was stored; refuses as Telegram does."""
    value = given.value
    if isinstance(value, str) and value.startswith("attach://"):
        value = given.params.get(value.removeprefix("attach://"))
        if not isinstance(value, Upload):
            bad("wrong file identifier/HTTP URL specified")
    if isinstance(value, Upload):
        if not value.data:
            bad("file must be non-empty")
        if len(value.data) > UPLOAD_LIMIT:
            raise Refusal(413, "Request Entity Too Large")
        return _stored(state, given, value)
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        bad("failed to get HTTP URL content")  # the stand-in never reaches out
    known = state.files.get(value) if isinstance(value, str) else None
    if known is None:
        bad("wrong file identifier/HTTP URL specified")
    if FOLDERS[given.kind] != known.path.partition("/")[0]:
        bad("type of file mismatch")
    if (media := state.media.get(known.id)) is not None:
        return media
    return photo_of(state, known) if given.kind == "photo" else document_of(state, known, known.path)


def _stored(state: State, given: Given, upload: Upload) -> Media:
    """As what it is sent for, if it is that: Telegram makes a document of a video that is no MP4, and of a note that is no OGG
    with Opus."""
    if given.kind == "photo":
        return photo(state, upload.data)
    if given.kind == "video" and upload.data[4:8] == b"ftyp":
        return video(state, upload.data, upload.name)
    if given.kind == "voice" and upload.data[:4] == b"OggS" and upload.data[28:36] == b"OpusHead":
        seconds = given.params.get("duration", 0)
        return voice(state, upload.data, seconds if isinstance(seconds, int) else 0)
    return document(state, upload.data, upload.name)


def photo(state: State, data: bytes) -> Media:
    """A picture in two sizes, as Telegram makes of each; the bytes are kept as they are."""
    if len(data) > PHOTO_LIMIT:
        limit = f"too big for a photo; the maximum size is {PHOTO_LIMIT} bytes"
        bad(f"file of size {len(data)} bytes is {limit}")
    width, height = _size(data)
    if width + height > 10_000 or max(width, height) > 20 * min(width, height):
        bad("PHOTO_INVALID_DIMENSIONS")
    return photo_of(state, state.store(data, "photos", ".jpg"))


def photo_of(state: State, file: File) -> Media:
    width, height = _size(file.data)
    sizes = [_photo_size(state, file, width, height)]
    if max(width, height) > THUMBNAIL:
        with Image.open(io.BytesIO(file.data)) as image:
            small = image.convert("RGB")
            small.thumbnail((THUMBNAIL, THUMBNAIL))
            out = io.BytesIO()
            small.save(out, "JPEG")
        thumbnail = state.store(out.getvalue(), "photos", ".jpg")
        sizes.insert(0, _photo_size(state, thumbnail, *small.size))
    return _shown(state, Media("photo", sizes, file))


def _shown(state: State, media: Media) -> Media:
    state.media[media.file.id] = media
    return media


def _size(data: bytes) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        bad("IMAGE_PROCESS_FAILED")


def _common(state: State, file: File) -> Json:
    return {"file_id": file.id, "file_unique_id": state.unique(file), "file_size": file.size}


def _photo_size(state: State, file: File, width: int, height: int) -> Json:
    return {**_common(state, file), "width": width, "height": height}


def document(state: State, data: bytes, name: str, mime: str | None = None, size: int | None = None) -> Media:
    """`size` pretends a file larger than its bytes."""
    suffix = f".{name.rpartition('.')[2]}" if "." in name else ""
    return document_of(state, state.store(data, "documents", suffix, size), name, mime)


def document_of(state: State, file: File, name: str, mime: str | None = None) -> Media:
    shown = {**_common(state, file), "file_name": name.rpartition("/")[2]}
    return _shown(state, Media("document", {**shown, "mime_type": mime} if mime else shown, file))


def voice(state: State, data: bytes, seconds: int) -> Media:
    file = state.store(data, "voice", ".oga")
    shown = {**_common(state, file), "duration": seconds, "mime_type": "audio/ogg"}
    return _shown(state, Media("voice", shown, file))


def video(state: State, data: bytes, name: str) -> Media:
    file = state.store(data, "videos", ".mp4")
    shown = {"duration": 0, "width": 0, "height": 0, "file_name": name, "mime_type": "video/mp4"}
    return _shown(state, Media("video", {**_common(state, file), **shown}, file))


def sticker(state: State, emoji: str) -> Media:
    file = state.store(b"RIFF\x00\x00\x00\x00WEBP", "stickers", ".webp")
    looks = {"type": "regular", "width": 512, "height": 512, "is_animated": False, "is_video": False}
    return Media("sticker", {**_common(state, file), **looks, "emoji": emoji}, file)


def get_file(state: State, params: Mapping[str, Any]) -> Json:
    file = state.files.get(str(params.get("file_id", "")))
    if file is None:
        bad("invalid file_id" if params.get("file_id") else "file_id not specified")
    if file.size > DOWNLOAD_LIMIT:
        bad("file is too big")
    return {**_common(state, file), "file_path": file.path}
