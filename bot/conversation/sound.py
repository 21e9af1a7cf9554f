"""Recordings: what people send made fit for the vendors' ears, and what their voices say made a voice note.

WAV, MP3, OGG (Opus, Vorbis) and FLAC are read (`samples`): what people send in a child process, since libraries in C decode it;
what a vendor's voice says in a thread. numpy and soundfile are imported when the first one comes.
"""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot import apart, phrases
from bot.conversation import samples
from bot.conversation.samples import WIDTH
from bot.errors import MagpieError
from bot.phrases import Phrase

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

HEARING_RATE = 16_000  # samples a second: what speech recognition works with
SPEAKING_RATE = 24_000  # the same of both vendors' voices; Opus knows it, so nothing is lost
HEADER = 44  # bytes before the samples of our WAVs
SPOKEN = 600.0  # seconds of a voice note, however much its voice says
PAUSE = 0.2  # seconds between two pieces of speech
QUIETEST = 0.05  # seconds: a place where nobody speaks is looked for in steps of this
COMPRESSION = 0.92  # libsndfile's scale: about 28 kbit/s, so that four minutes are a megabyte
POINTS, STEP = 256, 0.1  # Discord's: of a waveform at most, and no more than one for so many seconds

log = logging.getLogger(__name__)


class Inaudible(MagpieError):
    """This is no recording that we can use; `phrase` says why."""

    def __init__(self, phrase: Phrase) -> None:
        super().__init__(phrase.en)
        self.phrase = phrase


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording as bare samples: 16 kHz, one channel, 16 bits, little-endian."""

    samples: bytes

    @property
    def seconds(self) -> float:
        return len(self.samples) / (HEARING_RATE * WIDTH)

    def pieces(self, longest: float) -> list[bytes]:
        """The whole as WAVs of at most so many seconds each, cut where it is quietest."""
        pieces, rest = [], self.samples
        most = int(longest * HEARING_RATE) * WIDTH
        while len(rest) > most:
            cut = _quiet_place(rest, most)
            pieces.append(_wav(rest[:cut]))
            rest = rest[cut:]
        return [*pieces, _wav(rest)]


@dataclass(frozen=True, slots=True)
class Note:
    """A voice note: OGG with Opus. `waveform` is how loud it is, a byte for each place, in base64, as Discord draws it."""

    data: bytes
    seconds: float
    waveform: str


async def prepared(data: bytes, limit_seconds: float) -> Clip:
    """A recording fit to be heard. Raises Inaudible."""
    most = int((limit_seconds + 2) * HEARING_RATE) * WIDTH
    arguments = str(HEARING_RATE), str(limit_seconds)
    try:
        heard, ended = await apart.run("bot.conversation.samples", *arguments, data=data, most=most, wall=samples.WALL)
    except OSError as error:  # too slow, or no process to be had
        raise Inaudible(phrases.voice.NO_SOUND) from error
    if ended == samples.TOO_LONG_CODE:
        raise Inaudible(phrases.voice.TOO_LONG.format(minutes=round(limit_seconds / 60)))
    if ended or not heard:
        log.info("A recording was not read: its reader ended with %d", ended)
        raise Inaudible(phrases.voice.NO_SOUND)
    return Clip(heard)


async def to_ogg_opus(wavs: Sequence[bytes]) -> Note:
    """One voice note of several pieces of speech. Raises Inaudible."""
    try:
        return await asyncio.to_thread(_note, wavs)
    except (samples.NoSound, samples.TooLong) as error:
        raise Inaudible(phrases.voice.NO_SOUND) from error


def seconds_of(piece: bytes) -> float:
    """How long a WAV of `Clip.pieces` is."""
    return (len(piece) - HEADER) / (HEARING_RATE * WIDTH)


# --- cutting -----------------------------------------------------------------------------------------------------------


def _quiet_place(heard: bytes, most: int) -> int:
    """Where to cut, in bytes: the quietest place in the last third of `most`."""
    import numpy as np

    size = int(QUIETEST * HEARING_RATE)
    steps = max(1, most // WIDTH // 3 // size)
    first = most // WIDTH - steps * size
    if first <= 0:
        return most
    window = np.frombuffer(heard[first * WIDTH : most], "<i2").astype(np.float32).reshape(steps, size)
    return (first + int((window**2).mean(axis=1).argmin()) * size + size // 2) * WIDTH


def _wav(heard: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(WIDTH)
        writer.setframerate(HEARING_RATE)
        writer.writeframes(heard)
    return file.getvalue()


# --- writing -----------------------------------------------------------------------------------------------------------


def _note(wavs: Sequence[bytes]) -> Note:
    import numpy as np
    import soundfile  # type: ignore[import-untyped]  # it ships no types

    pause = bytes(int(PAUSE * SPEAKING_RATE) * WIDTH)
    spoken = np.frombuffer(pause.join(samples.decoded(one, SPEAKING_RATE, SPOKEN) for one in wavs), "<i2")
    file = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", SPEAKING_RATE, 1, format="OGG", subtype="OPUS", compression_level=COMPRESSION
    ) as writer:
        for at in range(0, len(spoken), SPEAKING_RATE):  # libsndfile encodes on its stack: never all at once
            writer.write(spoken[at : at + SPEAKING_RATE])
    return Note(file.getvalue(), len(spoken) / SPEAKING_RATE, _waveform(spoken.astype(np.float32)))


def _waveform(spoken: Samples) -> str:
    """How loud each part is, the loudest at 255."""
    import numpy as np

    count = max(1, min(POINTS, int(len(spoken) / (STEP * SPEAKING_RATE))))
    loud = np.array([np.sqrt((part**2).mean()) if len(part) else 0.0 for part in np.array_split(spoken, count)])
    heights = np.rint(loud * (255 / max(float(loud.max()), 1.0))).astype(np.uint8)
    return base64.b64encode(heights.tobytes()).decode()
