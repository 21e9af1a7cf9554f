"""Sound as bytes: what the simulated voices say (tones), and how long a recording is."""

import io
import math
import struct
import wave
from functools import cache

RATE = 24_000  # samples a second, as both vendors' voices have
_PER_CHARACTER = 0.06  # seconds of speech
_LONGEST = 60.0


def speech(text: str) -> bytes:
    """A WAV (PCM, 16 bit, mono) with a tone for each character, as long as saying the text would take."""
    spoken = text[: int(_LONGEST / _PER_CHARACTER)]
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"".join(_tone(ord(character) % 12) for character in spoken))
    return out.getvalue()


@cache
def _tone(step: int) -> bytes:
    """One character: a semitone of the octave above A3, swelling and dying away, so that nothing clicks."""
    count = int(RATE * _PER_CHARACTER)
    turn = 2 * math.pi * 220 * 2 ** (step / 12) / RATE
    samples = (int(9_000 * math.sin(math.pi * at / count) * math.sin(turn * at)) for at in range(count))
    return struct.pack(f"<{count}h", *samples)


def length(data: bytes) -> float | None:
    """Seconds of a recording (WAV, MP3, OGG, FLAC); None if it is none."""
    import soundfile  # type: ignore[import-untyped]  # it ships no types; brings numpy: only when sound comes

    try:
        return float(soundfile.info(io.BytesIO(data)).duration)
    except (soundfile.SoundFileError, RuntimeError, ValueError):
        return None


def container(data: bytes) -> str:
    """ "wav", "mp3", "ogg" by its first bytes; "" for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        return "mp3"
    return "ogg" if data[:4] == b"OggS" else ""
