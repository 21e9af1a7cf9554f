"""Recordings decoded into bare samples, at whatever rate is wanted. Nothing that a header tells is believed: a recording is as
long as what was decoded of it. numpy and soundfile are imported when the first one comes.

Run as a program (`python -m bot.conversation.samples RATE SECONDS`) it is the child process that reads what people send: the
recording on stdin, samples on stdout; the exit code tells the rest.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bot.confined import confine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

WIDTH = 2  # bytes of a sample: 16 bits, little-endian, one channel
RATES = range(4_000, 192_001)  # samples a second of a recording that we read
MOST_CHANNELS = 8
MEMORY = 768 * 1024 * 1024  # bytes of the child's addresses: the libraries take half of them, 20 MB come in, 20 go out
CPU, WALL = 60, 90.0  # seconds: ten minutes of Opus take about ten on a slow core
NO_SOUND_CODE, TOO_LONG_CODE = 3, 4

_SIGNATURES = (b"OggS", b"fLaC", b"ID3")


class NoSound(Exception):
    """No recording that we read."""


class TooLong(Exception):
    """It goes on after the limit."""


def decoded(data: bytes, rate: int, limit_seconds: float) -> bytes:
    """The samples at this rate. Raises NoSound, TooLong."""
    import soundfile  # type: ignore[import-untyped]  # it ships no types

    if not _is_sound(data):
        raise NoSound
    samples = bytearray()
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.samplerate not in RATES or not 0 < file.channels <= MOST_CHANNELS:
                raise NoSound
            resampler = _Resampler(file.samplerate, rate)
            for block in _blocks(file):
                samples += resampler.take(block)
                if len(samples) > limit_seconds * rate * WIDTH:
                    raise TooLong
    except (soundfile.SoundFileError, RuntimeError, ValueError, OverflowError) as error:
        raise NoSound from error
    if not samples:
        raise NoSound
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


def main(rate: int, limit_seconds: float) -> int:
    confine(memory=MEMORY, cpu=CPU, wall=WALL)
    try:
        samples = decoded(sys.stdin.buffer.read(), rate, limit_seconds)
    except NoSound:
        return NO_SOUND_CODE
    except TooLong:
        return TOO_LONG_CODE
    sys.stdout.buffer.write(samples)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2])))
