"""Recordings: what is read, what is refused, where they are cut, and voice notes."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]  # it ships no types
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bot import apart
from bot.conversation.samples import WIDTH, NoSound, TooLong, decoded
from bot.conversation.sound import HEARING_RATE, Clip, Inaudible, prepared, seconds_of, to_ogg_opus
from bot.simulator.sounds import speech

Samples = NDArray[np.float32]


def tone(seconds: float, rate: int, hertz: float = 440.0) -> Samples:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def recorded(samples: Samples, rate: int, form: str = "WAV", kind: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, samples.ndim, format=form, subtype=kind) as writer:
        for at in range(0, len(samples), rate):
            writer.write(samples[at : at + rate])
    return file.getvalue()


def samples_of(clip: Clip) -> Samples:
    return (np.frombuffer(clip.samples, "<i2") / 32_767).astype(np.float32)


def loudest(samples: Samples) -> int:
    """The pitch that is heard, in Hz, in a second of it."""
    return int(np.abs(np.fft.rfft(samples[4_000 : 4_000 + HEARING_RATE] * np.hanning(HEARING_RATE))).argmax())


# --- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "kind", "rate"),
    [
        ("WAV", "PCM_16", 8_000),
        ("WAV", "FLOAT", 44_100),
        ("WAV", "PCM_24", 96_000),
        ("FLAC", "PCM_16", 22_050),
        ("OGG", "OPUS", 48_000),  # Telegram's and Discord's
        ("OGG", "OPUS", 16_000),
        ("OGG", "VORBIS", 44_100),
        ("MP3", "MPEG_LAYER_III", 44_100),
    ],
)
async def test_what_phones_and_programs_record_is_read(form: str, kind: str, rate: int) -> None:
    clip = await prepared(recorded(tone(2, rate), rate, form, kind), 60)
    assert clip.seconds == pytest.approx(2, abs=0.1)
    heard = samples_of(clip)
    assert loudest(heard) == 440
    assert 0.35 < float(np.abs(heard[4_000:28_000]).max()) < 0.5


async def test_channels_are_mixed_and_high_tones_do_not_come_back_as_low_ones() -> None:
    both = np.stack([tone(2, 48_000), tone(2, 48_000)], axis=1)
    assert loudest(samples_of(await prepared(recorded(both, 48_000), 60))) == 440
    whistle = samples_of(await prepared(recorded(tone(2, 48_000, 11_000), 48_000), 60))
    assert float(np.abs(whistle[1_000:-1_000]).max()) < 0.005


async def test_it_is_as_long_as_it_sounds_not_as_its_header_says() -> None:
    data = bytearray(recorded(tone(3, 16_000), 16_000))
    data[40:44] = (2**31).to_bytes(4, "little")  # of the samples
    assert (await prepared(bytes(data), 60)).seconds == pytest.approx(3, abs=0.01)
    with pytest.raises(Inaudible, match="longer than 10 minutes"):
        await prepared(recorded(np.zeros(601 * 8_000, np.float32), 8_000, "FLAC"), 600)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"O",
        b"OggS",
        b"OggS" + bytes(5_000),
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"ID3" + bytes(500),
        b"\xff\xfb" + bytes(500),
        b"\x1aE\xdf\xa3webm",
        b"\0\0\0\x18ftypM4A ",
        b"<html>",
        recorded(np.zeros(0, np.float32), 16_000),
    ],
)
async def test_what_is_no_recording_gets_a_sentence(data: bytes) -> None:
    with pytest.raises(Inaudible) as refusal:
        await prepared(data, 60)

    assert "OGG, MP3, WAV or FLAC" in refusal.value.phrase.en


async def test_of_a_damaged_recording_is_heard_what_is_left() -> None:
    clip = await prepared(recorded(tone(0.1, 48_000), 48_000)[:200] + b"\xff" * 9, 60)

    assert 0 < clip.seconds < 0.01


@given(st.binary(max_size=300), st.integers(0, 1_000))
@settings(max_examples=60)
def test_no_damage_breaks_it(noise: bytes, at: int) -> None:
    whole = recorded(tone(0.2, 16_000), 16_000, "OGG", "VORBIS" if at % 2 else "OPUS")
    try:
        heard = decoded(whole[:at] + noise + whole[at + len(noise) :], HEARING_RATE, 60)
    except (NoSound, TooLong):
        return
    assert 0 < len(heard) <= 60 * HEARING_RATE * WIDTH


async def test_a_recording_that_takes_its_reader_along_is_one_that_cannot_be_heard() -> None:
    with pytest.raises(TimeoutError):
        await apart.run(
            "bot.conversation.samples", "16000", "60", data=recorded(tone(1, 16_000), 16_000), most=10**6, wall=0.01
        )
    said, ended = await apart.run("bot.conversation.samples", "x", data=b"", most=10**6, wall=30)
    assert (said, ended) == (b"", 1)


# --- cutting -----------------------------------------------------------------------------------------------------------


async def test_it_is_cut_where_nobody_speaks() -> None:
    words = tone(4, 16_000)
    clip = await prepared(recorded(np.concatenate([words, np.zeros(8_000, np.float32), words]), 16_000), 60)
    first, second = clip.pieces(5.0)
    assert 4.0 <= seconds_of(first) <= 4.5
    assert seconds_of(first) + seconds_of(second) == pytest.approx(clip.seconds)


@given(st.integers(1, 200_000), st.floats(0.2, 30))
@settings(max_examples=40)
def test_pieces_are_short_enough_and_lose_nothing(count: int, longest: float) -> None:
    clip = Clip(np.arange(count, dtype="<i2").tobytes())
    pieces = clip.pieces(longest)
    assert all(0 < seconds_of(piece) <= longest for piece in pieces)
    together = bytearray()
    for piece in pieces:
        with wave.open(io.BytesIO(piece)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
            together += file.readframes(file.getnframes())
    assert bytes(together) == clip.samples


# --- voice notes -------------------------------------------------------------------------------------------------------


async def test_pieces_of_speech_become_one_voice_note() -> None:
    first, second = speech("hello there, "), speech("who is speaking?")
    note = await to_ogg_opus([first, second])
    info = soundfile.info(io.BytesIO(note.data))
    assert (info.format, info.subtype, info.channels) == ("OGG", "OPUS", 1)
    assert info.duration == pytest.approx(note.seconds, abs=0.03)
    assert note.seconds == pytest.approx(0.06 * 29 + 0.2, abs=0.01)


async def test_four_minutes_are_about_a_megabyte() -> None:
    noise = np.random.default_rng(1).standard_normal(24_000 * 60).astype(np.float32) * 0.1
    note = await to_ogg_opus([recorded(noise, 24_000)])
    assert len(note.data) < 300_000


async def test_a_waveform_tells_where_it_is_loud() -> None:
    quiet, loud = tone(1, 24_000) * 0.1, tone(1, 24_000)
    note = await to_ogg_opus([recorded(np.concatenate([quiet, loud]), 24_000)])
    heights = list(base64.b64decode(note.waveform))
    assert len(heights) == 20  # one for each tenth of a second
    assert max(heights[:9]) < 40 < 240 < min(heights[11:])
    long = await to_ogg_opus([recorded(np.zeros(24_000 * 60, np.float32), 24_000)])
    assert base64.b64decode(long.waveform) == bytes(256)


async def test_what_a_voice_sends_may_be_no_sound() -> None:
    with pytest.raises(Inaudible):
        await to_ogg_opus([b'{"error": "busy"}'])
