"""Ears and mouth: what people say in voice messages becomes text, and answers become voice notes.

Which model hears or speaks follows the chat's own; what recordings are is `sound.py`'s, and what a call costs is the models'
rim's, which settles each by itself.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Iterator

from bot import phrases
from bot.conversation import sound
from bot.conversation.choosing import beside_chat
from bot.conversation.sound import Clip, Inaudible
from bot.errors import BudgetSpent, ModelError, StorageError, TooLarge, Trouble
from bot.messages import MAX_FILE, Attachment, Media, Notice, Text, Turn
from bot.phrases import Phrase
from bot.ports import Files, ModelCard, Models, Offers, SpeechPrompt
from bot.text import abridged

log = logging.getLogger(__name__)

LONGEST = 600.0  # seconds of a recording
AT_ONCE = 2  # recordings being unpacked: ten minutes are 20 MB of samples
# What a call takes: GLM-ASR 30 s of WAV or MP3; Qwen3-ASR 5 minutes and 10 MB in base64, also of what phones record.
LONGEST_PIECE = {"glm": 30.0, "qwen": 280.0}
WHOLE = {"qwen": 7_500_000}  # bytes of a recording that its vendor takes as it came
MOST_QUOTED = 1_500  # characters of what was heard that are shown again

ON = "on"  # the voice that is its model's first
MOST_SPOKEN = 1_000  # characters of an answer: some four minutes
MOST_AT_ONCE = 500  # characters of a call: GLM takes 1,024, Qwen 600
VOICE_SLOT = 1  # the text of an answer stands in slot 0

# Another vendor's ears or voice may get round these.
_PASSED_ON = frozenset(Trouble) - {Trouble.REFUSED, Trouble.TOO_LONG}


def is_recording(attachment: Attachment) -> bool:
    return attachment.kind == "voice" or (attachment.kind == "file" and attachment.mime.startswith("audio/"))


# --- hearing -----------------------------------------------------------------------------------------------------------


class Ears:
    def __init__(self, models: Models, offers: Offers) -> None:
        self._models = models
        self._offers = offers
        self._unpacking = asyncio.Semaphore(AT_ONCE)

    def check(self, attachment: Attachment) -> None:
        """What is known before it is fetched. Raises Inaudible, TooLarge."""
        if not self._models.pick("hear"):
            raise Inaudible(phrases.voice.NO_EARS)
        if attachment.seconds > LONGEST:
            raise Inaudible(phrases.voice.TOO_LONG.format(minutes=round(LONGEST / 60)))
        if attachment.size > MAX_FILE:
            raise TooLarge(MAX_FILE)

    async def hear(self, turn: Turn, data: bytes, mime: str) -> str:
        """What is said in it. Raises Inaudible."""
        async with self._unpacking:
            clip = await sound.prepared(data, LONGEST)
        trouble: Phrase = phrases.voice.NO_EARS
        for card in beside_chat(self._models, turn, "hear"):
            try:
                text = await self._transcribed(turn, card, clip, data, mime)
            except BudgetSpent as error:
                raise Inaudible(error.phrase) from error
            except ModelError as error:
                if error.trouble not in _PASSED_ON:
                    raise Inaudible(error.phrase) from error
                log.warning("%s did not hear a recording: %s", card.name, error)
                trouble = error.phrase
                continue
            if not text:
                raise Inaudible(phrases.voice.NOTHING_UNDERSTOOD)
            return text
        raise Inaudible(trouble)

    async def _transcribed(self, turn: Turn, card: ModelCard, clip: Clip, data: bytes, mime: str) -> str:
        """Piece by piece, in order."""
        longest = LONGEST_PIECE.get(card.vendor, min(LONGEST_PIECE.values()))
        if clip.seconds <= longest and len(data) <= WHOLE.get(card.vendor, 0) and mime.startswith("audio/"):
            pieces = [(data, mime, clip.seconds)]
        else:
            cut = await asyncio.to_thread(clip.pieces, longest)
            pieces = [(piece, "audio/wav", sound.seconds_of(piece)) for piece in cut]
        texts = []
        for piece, kind, seconds in pieces:
            prompt = SpeechPrompt(card=card, chat=turn.chat, turn=turn.id, audio=piece, mime=kind, seconds=seconds)
            texts.append((await self._offers.speech(card).transcribe(prompt))[0].strip())
        return " ".join(filter(None, texts))


def quote(text: str) -> str:
    """What was heard, as it is shown before the answer: Markdown."""
    lines = abridged(" ".join(text.split()), MOST_QUOTED).splitlines()
    return "\n".join(f"> 🎤 {line}" for line in lines)


# --- speaking ----------------------------------------------------------------------------------------------------------


class Mouth:
    def __init__(self, models: Models, offers: Offers, files: Files) -> None:
        self._models = models
        self._offers = offers
        self._files = files

    async def spoken(self, turn: Turn, text: str) -> AsyncGenerator[Notice | Media | Text, None]:
        """A finished answer, said aloud in a message of its own. What goes wrong is a small line under the text."""
        words = speakable(text)
        if not words:
            return
        yield Notice(phrases.voice.SPEAKING.to(turn.language))
        try:
            yield await self._note(turn, words)
        except (Inaudible, BudgetSpent, ModelError, StorageError) as error:
            log.warning("%s: an answer could not be spoken: %s", turn.chat, error)
            phrase = phrases.STORAGE if isinstance(error, StorageError) else error.phrase
            line = phrases.voice.NOT_SPOKEN.format(why=phrase.to(turn.language))
            yield Text(f"\n\n*{line.to(turn.language)}*")

    async def _note(self, turn: Turn, words: str) -> Media:
        trouble: ModelError | None = None
        for card, voice in self._voices(turn):
            try:
                wavs = [await self._said(turn, card, voice, piece) for piece in pieces(words)]
            except ModelError as error:
                if error.trouble not in _PASSED_ON:
                    raise
                log.warning("%s did not speak: %s", card.name, error)
                trouble = error
                continue
            note = await sound.to_ogg_opus(wavs)
            file = await self._files.keep(note.data, "audio/ogg")
            return Media(file, "audio/ogg", slot=VOICE_SLOT, seconds=note.seconds, waveform=note.waveform)
        raise trouble or Inaudible(phrases.voice.NO_MOUTH)

    def _voices(self, turn: Turn) -> Iterator[tuple[ModelCard, str]]:
        """The chosen voice, then those that may stand in for it."""
        chosen = find_voice(self._models, turn.voice)
        if chosen:
            yield chosen
        for card in beside_chat(self._models, turn, "speak"):
            if not chosen or card.vendor != chosen[0].vendor:
                yield card, next(iter(card.voices), "")

    async def _said(self, turn: Turn, card: ModelCard, voice: str, text: str) -> bytes:
        prompt = SpeechPrompt(card=card, chat=turn.chat, turn=turn.id, text=text, voice=voice)
        return (await self._offers.speech(card).speak(prompt))[0]


def find_voice(models: Models, name: str) -> tuple[ModelCard, str] | None:
    """Whose voice this is, however its name is written."""
    for card in models.cards():
        for voice in card.voices if card.kind == "speak" else ():
            if voice.lower() == name.strip().lower():
                return card, voice
    return None


def speaker(models: Models, turn: Turn) -> ModelCard | None:
    """The model that speaks where nobody chose a voice."""
    return next(beside_chat(models, turn, "speak"), None)


# --- what can be said aloud --------------------------------------------------------------------------------------------

# A model may be asked for the same mark ten thousand times: none of these looks at a row of marks again from each of them.
_REPLACED = (
    (re.compile(r"[ \t]{2,}"), " "),
    (re.compile(r"^[ \t]*(`{3,20}|~{3,20})[^\n]*\n.*?(?:^[ \t]*\1[^\n]*$|\Z)", re.MULTILINE | re.DOTALL), " "),
    (re.compile(r"!?\[([^\[\]\n]*)\]\([^)\n]{0,500}\)"), r"\1"),
    (re.compile(r"<?https?://[^\s<>]+>?"), " "),
    (re.compile(r"\[\d{1,3}\]"), ""),  # where sources are named
    (re.compile(r"^(?=[^\n]*---)[ \t:|-]+$", re.MULTILINE), " "),  # rules, and those of tables
    (re.compile(r"^[ \t]*(?:#{1,6}|>|[-*+•](?:[ \t]+\[[ xX]\])?)[ \t]+", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*\|[ \t]*|[ \t]*\|[ \t]*$", re.MULTILINE), ""),
    (re.compile(r"[ \t]*\|[ \t]*"), ", "),
    (re.compile(r"<[^<>\n]{1,100}>"), " "),
    (re.compile(r"\*+|~~|`+|(?<!\w)_{1,20}(?=\w)|(?<=\w)_{1,20}(?!\w)"), ""),
    (re.compile(r"(?<=[^\s.,:;!?。，：；！？、…])[ \t]*\n\s*"), ". "),  # a line's end is heard as a stop
    (re.compile(r"\s+"), " "),
    (re.compile(r"(?:, ){2,}|^, |, (?=\.|$)"), " "),
)
_SENTENCE = re.compile(r"(?<=[.!?。！？…；;])\s*")
_WORD = re.compile(r"\w")


def speakable(markdown: str) -> str:
    """An answer as it can be said: without marks, code and addresses, and no longer than anyone listens."""
    text = markdown
    for pattern, instead in _REPLACED:
        text = pattern.sub(instead, text)
    text = text.strip()
    if not _WORD.search(text):
        return ""
    return text if len(text) <= MOST_SPOKEN else next(_packed(text, MOST_SPOKEN - 1)) + "…"


def pieces(text: str) -> list[str]:
    """As much as one call says, cut between sentences."""
    return [piece for piece in _packed(text, MOST_AT_ONCE) if _WORD.search(piece)]


def _packed(text: str, most: int) -> Iterator[str]:
    """Whole sentences up to `most` characters; one that is longer ends at a space, or anywhere."""
    packed = ""
    for sentence in filter(None, _SENTENCE.split(text)):
        joined = f"{packed} {sentence}" if packed and sentence[:1].isascii() else packed + sentence
        if len(joined) <= most:
            packed = joined
            continue
        if packed:
            yield packed
        while len(sentence) > most:
            cut = sentence.rfind(" ", most // 2, most)
            cut = cut if cut > 0 else most
            yield sentence[:cut].rstrip()
            sentence = sentence[cut:].lstrip()
        packed = sentence
    if packed:
        yield packed
