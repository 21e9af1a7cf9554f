"""Recordings: what people send made fit for the vendors' ears, and what their voices say made a voice note.

WAV, MP3, OGG (Opus, Vorbis) and FLAC are read. Nothing that a header tells is believed: a recording is as long as what was
decoded of it. numpy and soundfile are imported when the first one comes, and work in a thread.
"""

from __future__ import annotations

import asyncio
import base64
import io
import time
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot import phrases_voice
from bot.errors import MagpieError
from bot.phrases import Phrase

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

HEARING_RATE = 16_000  # samples a second: what speech recognition works with
SPEAKING_RATE = 24_000  # the same of both vendors' voices; Opus knows it, so nothing is lost
WIDTH = 2  # bytes of a sample
HEADER = 44  # bytes before the samples of our WAVs
RATES = range(4_000, 192_001)  # samples a second of a recording that we read
MOST_CHANNELS = 8
PATIENCE = 60.0  # seconds for one recording: ten minutes take about ten on a slow core
SPOKEN = 600.0  # seconds of a voice note, however much its voice says
PAUSE = 0.2  # seconds between two pieces of speech
QUIETEST = 0.05  # seconds: a place where nobody speaks is looked for in steps of this
COMPRESSION = 0.92  # libsndfile's scale: about 28 kbit/s, so that four minutes are a megabyte
POINTS, STEP = 256, 0.1  # Discord's: of a waveform at most, and no more than one for so many seconds

_SIGNATURES = (b"OggS", b"fLaC", b"ID3")


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
    return Clip(await asyncio.to_thread(_decoded, data, HEARING_RATE, limit_seconds))


async def to_ogg_opus(wavs: Sequence[bytes]) -> Note:
    """One voice note of several pieces of speech. Raises Inaudible."""
    return await asyncio.to_thread(_note, wavs)


def seconds_of(piece: bytes) -> float:
    """How long a WAV of `Clip.pieces` is."""
    return (len(piece) - HEADER) / (HEARING_RATE * WIDTH)


# --- reading -----------------------------------------------------------------------------------------------------------


def _decoded(data: bytes, rate: int, limit_seconds: float) -> bytes:
    """The samples at this rate, of one channel. Raises Inaudible."""
    import soundfile  # type: ignore[import-untyped]  # it ships no types

    if not _is_sound(data):
        raise Inaudible(phrases_voice.NO_SOUND)
    samples = bytearray()
    until = time.monotonic() + PATIENCE
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.samplerate not in RATES or not 0 < file.channels <= MOST_CHANNELS:
                raise Inaudible(phrases_voice.NO_SOUND)
            resampler = _Resampler(file.samplerate, rate)
            for block in _blocks(file):
                samples += resampler.take(block)
                if len(samples) > limit_seconds * rate * WIDTH:
                    raise Inaudible(phrases_voice.TOO_LONG.format(minutes=round(limit_seconds / 60)))
                if time.monotonic() > until:
                    raise Inaudible(phrases_voice.NO_SOUND)
    except (soundfile.SoundFileError, RuntimeError, ValueError, OverflowError) as error:
        raise Inaudible(phrases_voice.NO_SOUND) from error
    if not samples:
        raise Inaudible(phrases_voice.NO_SOUND)
    return bytes(samples)


def _is_sound(data: bytes) -> bool:
    """By its first bytes: libsndfile knows many more kinds, which nobody sends."""
    if data[:4] == b"RIFF":
        return data[8:12] == b"WAVE"
    return data.startswith(_SIGNATURES) or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0)


def _blocks(file: Any) -> Iterator[Samples]:
    """A second at a time, its channels mixed; what is damaged ends it."""
    while len(block := file.read(file.samplerate, dtype="float32", always_2d=True)):
        yield block.mean(axis=1)


class _Resampler:
    """Another rate for samples that come in blocks: what the new rate cannot carry is filtered away (a windowed sinc), and
    between two samples goes a straight line."""

    def __init__(self, rate: int, wanted: int) -> None:
        import numpy as np

        self._step = rate / wanted
        self._taps = np.ones(1, np.float32)
        if self._step > 1:
            half = 16 * int(np.ceil(self._step))
            at = np.arange(-half, half + 1)
            taps = np.sinc(at * 0.9 / self._step) * np.hamming(len(at))
            self._taps = (taps / taps.sum()).astype(np.float32)
        self._before = np.zeros(len(self._taps) - 1, np.float32)
        self._last = np.zeros(1, np.float32)
        self._at = 1.0  # where the next one is taken, counted from `_last`

    def take(self, block: Samples) -> bytes:
        import numpy as np

        whole = np.concatenate([self._before, np.nan_to_num(block)])
        self._before = whole[len(block) :]
        line = np.concatenate([self._last, np.convolve(whole, self._taps, "valid")])
        places = np.arange(self._at, len(line) - 1 + 1e-9, self._step)
        taken = np.interp(places, np.arange(len(line)), line)
        self._at += len(places) * self._step - (len(line) - 1)
        self._last = line[-1:]
        samples: bytes = (np.clip(taken, -1, 1) * 32_767).astype("<i2").tobytes()
        return samples


def _quiet_place(samples: bytes, most: int) -> int:
    """Where to cut, in bytes: the quietest place in the last third of `most`."""
    import numpy as np

    size = int(QUIETEST * HEARING_RATE)
    steps = max(1, most // WIDTH // 3 // size)
    first = most // WIDTH - steps * size
    if first <= 0:
        return most
    window = np.frombuffer(samples[first * WIDTH : most], "<i2").astype(np.float32).reshape(steps, size)
    return (first + int((window**2).mean(axis=1).argmin()) * size + size // 2) * WIDTH


def _wav(samples: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(WIDTH)
        writer.setframerate(HEARING_RATE)
        writer.writeframes(samples)
    return file.getvalue()


# --- writing -----------------------------------------------------------------------------------------------------------


def _note(wavs: Sequence[bytes]) -> Note:
    import numpy as np
    import soundfile

    pause = bytes(int(PAUSE * SPEAKING_RATE) * WIDTH)
    samples = pause.join(_decoded(one, SPEAKING_RATE, SPOKEN) for one in wavs)
    spoken = np.frombuffer(samples, "<i2")
    file = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", SPEAKING_RATE, 1, format="OGG", subtype="OPUS", compression_level=COMPRESSION
    ) as writer:
        for at in range(0, len(spoken), SPEAKING_RATE):  # libsndfile encodes on its stack: never all at once
            writer.write(spoken[at : at + SPEAKING_RATE])
    return Note(file.getvalue(), len(spoken) / SPEAKING_RATE, _waveform(spoken.astype(np.float32)))


def _waveform(samples: Samples) -> str:
    """How loud each part is, the loudest at 255."""
    import numpy as np

    count = max(1, min(POINTS, int(len(samples) / (STEP * SPEAKING_RATE))))
    loud = np.array([np.sqrt((part**2).mean()) if len(part) else 0.0 for part in np.array_split(samples, count)])
    heights = np.rint(loud * (255 / max(float(loud.max()), 1.0))).astype(np.uint8)
    return base64.b64encode(heights.tobytes()).decode()
