"""What messages ask: their words, their pictures made fit for a model, their documents and recordings as text."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bot import phrases
from bot.conversation import context
from bot.conversation.context import Question
from bot.conversation.sound import Inaudible
from bot.conversation.speech import Ears, is_recording, quote
from bot.documents import Unopened, is_document, read_document
from bot.documents.framing import Framed, unread
from bot.errors import Declined, PlatformError, TooLarge
from bot.messages import MAX_FILE, Attachment, Message, Turn
from bot.phrases import Language, Phrase
from bot.ports import Files

log = logging.getLogger(__name__)

MAX_PICTURES = 10  # an album
MAX_DOCUMENTS = 5
MAX_RECORDINGS = 5


class Fetching(Protocol):
    """What is needed of a platform here."""

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        """See ports.Platform."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What is asked, lines to people about what of it was not read, and as a quote what was said in recordings."""

    question: Question
    asides: tuple[Phrase, ...] = ()
    quote: str = ""


@dataclass(slots=True)
class _Unread:
    """What of the attachments is not read: `asides` tell people, and `lines` the model, which would answer as if nothing had
    been sent."""

    asides: list[Phrase] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def add(self, attachments: Sequence[Attachment], why: Phrase, aside: Phrase) -> None:
        """Nothing where there are none."""
        self.lines += [unread(_kind(attachment, "en"), why.en) for attachment in attachments]
        self.asides += [aside] if attachments else []


class Questions:
    """Without `ears` no recording is read."""

    def __init__(self, platforms: Mapping[str, Fetching], files: Files, ears: Ears | None = None) -> None:
        self._platforms = platforms
        self._files = files
        self._ears = ears

    async def read(self, turn: Turn, messages: Sequence[Message]) -> Heard:
        """Raises Declined, and TooLarge or Unreadable for a picture."""
        attachments = [attachment for message in messages for attachment in message.attachments]
        pictures = [one for one in attachments if is_picture(one)]
        recordings = [one for one in attachments if self._ears and is_recording(one)]
        rest = [one for one in attachments if one not in (*pictures, *recordings)]
        documents = [one for one in rest if _is_document(one)]
        ignored = [one for one in rest if one not in documents]
        what = ", ".join(dict.fromkeys(_kind(one, turn.language) for one in ignored))
        text = context.joined(messages)
        # A file sent without a word asks about itself, not about the message that it replies to.
        says = text if not attachments or any(message.text.strip() for message in messages) else ""
        if not says and not pictures and not documents and not recordings:
            raise Declined(phrases.ONLY_TEXT_AND_PICTURES.format(what=what) if ignored else phrases.EMPTY_QUESTION)
        files = [await self.keep_picture(turn, attachment) for attachment in pictures[:MAX_PICTURES]]
        left = _Unread()
        read = await self._documents(turn, documents, left)
        heard = await self._recordings(turn, recordings, left)
        if not (says or pictures or read or heard):
            raise Declined(left.asides[0])
        left.add(ignored, phrases.documents.UNKNOWN_KIND, phrases.NOT_READ.format(what=what))
        if self._ears and any(_sounds(one) for one in rest):
            left.asides.append(phrases.voice.HEARD)
        many = phrases.TOO_MANY_PICTURES.format(count=MAX_PICTURES)
        left.add(pictures[MAX_PICTURES:], many, many)
        author = context.speaker_of(messages[-1].author.name) if turn.address.group else ""
        asked = "\n\n".join([*([text] if text else []), *(f"[voice message] {one}" for one in heard)])
        asked = asked or (phrases.PICTURE_PROMPT if files else phrases.DOCUMENT_PROMPT).to(turn.language)
        question = Question("\n\n".join([*read, *left.lines, asked]), author, tuple(dict.fromkeys(files)))
        return Heard(question, tuple(left.asides), "\n>\n".join(map(quote, heard)))

    async def keep_picture(self, turn: Turn, attachment: Attachment) -> str:
        """Its name among the kept files."""
        return await self._files.keep_picture(await self.fetched(turn, attachment))

    async def fetched(self, turn: Turn, attachment: Attachment) -> bytes:
        if attachment.size > MAX_FILE:
            raise TooLarge(MAX_FILE)
        try:
            return await self._platforms[turn.chat.platform].fetch(attachment, MAX_FILE)
        except PlatformError as error:
            log.warning("%s: a file could not be fetched: %s", turn.chat, error)
            raise Declined(phrases.PICTURE_LOST if is_picture(attachment) else phrases.FILE_LOST) from error

    async def _documents(self, turn: Turn, attachments: Sequence[Attachment], left: _Unread) -> list[str]:
        """The texts, each under its file's name."""
        texts: list[str] = []
        for attachment in attachments[:MAX_DOCUMENTS]:
            try:
                data = await self.fetched(turn, attachment)
                document = await read_document(data, attachment.name, attachment.mime)
            except (Unopened, TooLarge, Declined) as error:
                aside = phrases.NOT_OPENED.format(name=context.words(attachment.name), why=error.phrase)
                left.add([attachment], error.phrase, aside)
                continue
            texts.append(str(Framed(document.name, document.text)))
            left.asides += document.left_out
        many = phrases.TOO_MANY_DOCUMENTS.format(count=MAX_DOCUMENTS)
        left.add(attachments[MAX_DOCUMENTS:], many, many)
        return texts

    async def _recordings(self, turn: Turn, attachments: Sequence[Attachment], left: _Unread) -> list[str]:
        """What is said in each."""
        texts: list[str] = []
        for attachment in attachments[:MAX_RECORDINGS]:
            assert self._ears is not None
            try:
                self._ears.check(attachment)
                data = await self.fetched(turn, attachment)
                texts.append(await self._ears.hear(turn, data, attachment.mime))
            except (Inaudible, TooLarge, Declined) as error:
                left.add([attachment], error.phrase, error.phrase)
        many = phrases.voice.TOO_MANY.format(count=MAX_RECORDINGS)
        left.add(attachments[MAX_RECORDINGS:], many, many)
        return texts


def is_picture(attachment: Attachment) -> bool:
    return attachment.kind == "image" or (attachment.kind == "file" and attachment.mime.startswith("image/"))


def _is_document(attachment: Attachment) -> bool:
    return attachment.kind == "file" and is_document(attachment.name, attachment.mime)


def _sounds(attachment: Attachment) -> bool:
    return attachment.kind == "video" or attachment.mime.startswith(("audio/", "video/"))


def _kind(attachment: Attachment, language: Language) -> str:
    if attachment.kind in ("file", "other") and attachment.name:
        return attachment.name
    return phrases.KINDS[attachment.kind].to(language)
