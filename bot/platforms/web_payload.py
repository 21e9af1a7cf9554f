"""What the browser sends, as it waits in the inbox: our own versioned JSON, written and read here and nowhere else."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bot.errors import Unreadable
from bot.lanes import command_of, lane_of
from bot.messages import PAGE_OWNER, Address, Attachment, Author, ChatKey, Edited, Event, Message, Pressed
from bot.phrases import Language
from bot.text import clean

NAME = "web"
OWNER = Author(PAGE_OWNER.removeprefix(f"{NAME}:"), "Owner", owner=True)  # whoever holds the page's cookie
VERSION = 1
NOTICES = "notices"  # the chat in which the owner is told what to look after
CHAT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)  # no colon: it is part of a ChatKey
OWN_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)  # no dot: an answer's pieces have dots in theirs
ANY_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
FILE_NAME = re.compile(r"[A-Za-z0-9_-]{8,128}(\.[a-z0-9]{1,5})?", re.ASCII)
RECORDINGS = (".wav", ".ogg", ".mp3", ".flac")  # how kept ones end
DOCUMENT = ".bin"  # how a kept file to be read ends, whatever the person calls it
MIME = re.compile(r"[A-Za-z0-9.+-]{1,40}/[A-Za-z0-9.+_-]{1,100}", re.ASCII)
NAME_LIMIT = 255  # characters: as long as file systems let a name be
TEXT_LIMIT = 500_000  # characters; what a model's window takes is decided where the model is known
FILES_LIMIT = 10
BUTTON_LIMIT = 200


class Malformed(Exception):
    """The browser sent something that our page never sends."""


class TooLong(Exception):
    """A message longer than any that we take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Everything that the page can say. `edit` is the id of an edit, "" for a message; `button` stands for a press."""

    kind: Literal["message", "edited", "pressed"]
    chat: str
    id: str
    at: float
    text: str = ""
    files: tuple[Attachment, ...] = ()
    replies_to: str = ""
    button: str = ""
    edit: str = ""
    language: Language = "en"

    def event(self) -> Event:
        """Its form for the inbox. A message's id is the browser's, so that a repeated POST is one event."""
        plain = self.kind == "message" and command_of(self.text) is None
        return Event(
            platform=NAME,
            bot=NAME,
            event=self.edit or self.id,
            chat=ChatKey(NAME, self.chat),
            author=OWNER.id,
            payload=json.dumps({"v": VERSION, **asdict(self)}, ensure_ascii=False),
            at=self.at,
            lane=lane_of(self.button or self.text),
            message="" if self.kind == "pressed" else self.id,
            joins=OWNER.id if plain else "",
            edits=self.kind == "edited",
            digest=hashlib.sha256("\0".join((self.text, *(f.ref for f in self.files))).encode()).hexdigest(),
        )


def read(payload: str) -> Message | Edited | Pressed:
    """The inverse of `Said.event`. Raises Unreadable."""
    try:
        raw = json.loads(payload)
        if raw.pop("v") != VERSION:
            raise Unreadable("a payload of another version")
        said = Said(**{**raw, "files": tuple(Attachment(**file) for file in raw["files"])})
        address = Address(ChatKey(NAME, said.chat))
        if said.kind == "pressed":
            return Pressed(said.button, OWNER, address, said.language)
        message = Message(
            id=said.id,
            author=OWNER,
            address=address,
            text=said.text,
            at=said.at,
            language=said.language,
            attachments=said.files,
            replies_to=said.replies_to,
        )
        return Edited(message) if said.kind == "edited" else message
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unreadable(f"not a payload of the page: {error}") from error


# --- what a request's JSON must look like ------------------------------------------------------------------------------


def parse_said(kind: Literal["message", "edited", "pressed"], chat: str, raw: Any, at: float, *, id: str = "") -> Said:
    """A request's body as `Said`. `id` comes from the path for an edit, whose body has its own. Raises Malformed,
    TooLong."""
    if not isinstance(raw, dict) or not CHAT_ID.fullmatch(chat):
        raise Malformed("not an object")
    own = _field(raw, "id", OWN_ID)
    said = Said(
        kind=kind,
        chat=chat,
        id=id or own,
        at=at,
        text=_text(raw.get("text", "")),
        files=_files(raw.get("files", [])),
        replies_to=_field(raw, "replies_to", ANY_ID, ""),
        button=_text(raw.get("button", "")),
        edit=own if id else "",
        language="zh" if raw.get("language") == "zh" else "en",
    )
    if kind == "pressed" and not 0 < len(said.button) <= BUTTON_LIMIT:
        raise Malformed("no button")
    if kind != "pressed" and not (said.text.strip() or said.files):
        raise Malformed("nothing said")
    return said


def _field(raw: dict[str, Any], name: str, form: re.Pattern[str], default: str | None = None) -> str:
    value = raw.get(name, default)
    if not isinstance(value, str) or (value != default and not form.fullmatch(value)):
        raise Malformed(f"{name} has another form")
    return value


def _text(value: Any) -> str:
    """Any text, but without what no store keeps: lone surrogates and NUL."""
    if not isinstance(value, str):
        raise Malformed("not a text")
    if len(value) > TEXT_LIMIT:
        raise TooLong(f"{len(value)} characters")
    return clean(value)


def _files(value: Any) -> tuple[Attachment, ...]:
    if not isinstance(value, list) or len(value) > FILES_LIMIT:
        raise Malformed("files are a list, of ten at most")
    found = []
    for file in value:
        if not isinstance(file, dict):
            raise Malformed("a file is an object")
        name, mime, size = _text(file.get("title", "")), _text(file.get("mime", "")), file.get("size", 0)
        if type(size) is not int:
            raise Malformed("a size is a number")
        ref = _field(file, "name", FILE_NAME)
        found.append(Attachment(_kind(ref), ref, name[:NAME_LIMIT], mime[:100], size))
    return tuple(found)


def _kind(ref: str) -> Literal["voice", "file", "image"]:
    if ref.endswith(DOCUMENT):
        return "file"
    return "voice" if ref.endswith(RECORDINGS) else "image"


def mime_of(text: str) -> str:
    """A MIME type without its parameters; that of any bytes for what is none."""
    mime = text.partition(";")[0].strip()
    return mime if MIME.fullmatch(mime) else "application/octet-stream"


def entries(files: tuple[Attachment, ...]) -> tuple[str, ...]:
    """Files as a card names them, one line each: by what they are kept as; a document's type and own name follow, as in
    `0123abcd.bin text/csv My report.csv`, which the page needs to show it and to say it again in an edit."""
    return tuple(
        " ".join((file.ref, mime_of(file.mime), *file.name.split())) if file.kind == "file" else file.ref
        for file in files
    )
