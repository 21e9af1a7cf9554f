"""What messages ask: their words, their pictures made fit for a model, their documents read into text."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot import context, phrases
from bot.context import Question
from bot.documents import Unopened, is_document, read_document
from bot.errors import MagpieError, PlatformError, TooLarge
from bot.messages import Attachment, Message, Turn
from bot.phrases import Language, Phrase
from bot.ports import Files

log = logging.getLogger(__name__)

MAX_FILE = 20_000_000  # bytes: as much as Telegram lets a bot fetch
MAX_PICTURES = 10  # an album
MAX_DOCUMENTS = 5


class Fetching(Protocol):
    """What is needed of a platform here."""

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        """See ports.Platform."""


class Declined(MagpieError):
    """There is nothing to ask; `phrase` says why."""

    def __init__(self, phrase: Phrase) -> None:
        super().__init__(phrase.en)
        self.phrase = phrase


@dataclass(frozen=True, slots=True)
class Heard:
    """What is asked, and lines to people about what of it was not read."""

    question: Question
    asides: tuple[Phrase, ...] = ()


class Questions:
    def __init__(self, platforms: Mapping[str, Fetching], files: Files) -> None:
        self._platforms = platforms
        self._files = files

    async def read(self, turn: Turn, messages: Sequence[Message]) -> Heard:
        """Raises Declined, and TooLarge or Unreadable for a picture."""
        attachments = [attachment for message in messages for attachment in message.attachments]
        pictures = [one for one in attachments if is_picture(one)]
        documents = [one for one in attachments if not is_picture(one) and _is_document(one)]
        ignored = [_kind(one, turn.language) for one in attachments if not is_picture(one) and not _is_document(one)]
        text = context.joined(messages)
        if not text and not pictures and not documents:
            what = ", ".join(dict.fromkeys(ignored))
            raise Declined(phrases.ONLY_TEXT_AND_PICTURES.format(what=what) if ignored else phrases.EMPTY_QUESTION)
        files = [await self.keep_picture(turn, attachment) for attachment in pictures[:MAX_PICTURES]]
        read, asides = await self._documents(turn, documents)
        if not (text or pictures or read):
            raise Declined(asides[0])
        if ignored:
            asides.append(phrases.NOT_READ.format(what=", ".join(dict.fromkeys(ignored))))
        if len(pictures) > MAX_PICTURES:
            asides.append(phrases.TOO_MANY_PICTURES.format(count=MAX_PICTURES))
        author = context.speaker_of(messages[-1].author.name) if turn.address.group else ""
        asked = text or (phrases.PICTURE_PROMPT if files else phrases.DOCUMENT_PROMPT).to(turn.language)
        question = Question("\n\n".join([*read, asked]), author, tuple(dict.fromkeys(files)))
        return Heard(question, tuple(asides))

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

    async def _documents(self, turn: Turn, attachments: Sequence[Attachment]) -> tuple[list[str], list[Phrase]]:
        """The texts, each under its file's name, and what is to be said about them."""
        texts: list[str] = []
        asides: list[Phrase] = []
        for attachment in attachments[:MAX_DOCUMENTS]:
            try:
                data = await self.fetched(turn, attachment)
                document = await read_document(data, attachment.name, attachment.mime)
            except (Unopened, TooLarge, Declined) as error:
                asides.append(phrases.NOT_OPENED.format(name=context.words(attachment.name), why=error.phrase))
                continue
            texts.append(f"[file {document.name}]\n{document.text}\n[end of {document.name}]")
            asides += document.left_out
        if len(attachments) > MAX_DOCUMENTS:
            asides.append(phrases.TOO_MANY_DOCUMENTS.format(count=MAX_DOCUMENTS))
        return texts, asides


def is_picture(attachment: Attachment) -> bool:
    return attachment.kind == "image" or (attachment.kind == "file" and attachment.mime.startswith("image/"))


def _is_document(attachment: Attachment) -> bool:
    return attachment.kind == "file" and is_document(attachment.name, attachment.mime)


def _kind(attachment: Attachment, language: Language) -> str:
    if attachment.kind in ("file", "other") and attachment.name:
        return attachment.name
    return phrases.KINDS[attachment.kind].to(language)
