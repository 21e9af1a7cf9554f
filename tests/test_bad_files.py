"""Files that people send and nobody can open, or should: each gets a clear sentence and costs nothing.

The whole product runs, in this process. How each kind is recognised is in `documents/test_hostile.py` and its neighbours; other
input that nobody wants is in `test_bad_input.py`, recordings are in `walks/test_walk_voice.py`.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from tests.documents.files import locked, pdf, with_parts, word
from tests.product import house, house_on_discord, repeat, undisturbed
from tests.servers.discord_state import Upload

LOCKED = "secret.pdf was not read: This file is locked with a password. Remove the password and send it again."
BOMB = "bomb.docx was not read: This file would become far too large when it is opened, so I leave it closed."
NO_WORD = (
    "letter.docx was not read: The name of this file says a Word document, but inside it is something else. Send it under its "
    "right name."
)


def bomb() -> bytes:
    packed = with_parts(word("Hello"), {"word/media/zeros.bin": bytes(210_000_000)})
    assert len(packed) < 1_000_000
    return packed


@pytest.mark.parametrize(
    ("make", "name", "sentence"),
    [
        (lambda: locked(pdf(["Secret"]), "open sesame", "owner"), "secret.pdf", LOCKED),
        (bomb, "bomb.docx", BOMB),
        (lambda: b"Dear Sir", "letter.docx", NO_WORD),
    ],
    ids=["a PDF with a password", "a zip bomb", "a DOCX that is none"],
)
async def test_a_document_that_is_not_opened(tmp_path: Path, make: object, name: str, sentence: str) -> None:
    assert callable(make)
    data: bytes = make()
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        here.telegram.send_document(ann.chat, ann.user, data, name)
        assert await ann.hears() == [sentence]
        assert here.models.log == [], "nothing was spent on it"

        here.telegram.send_document(ann.chat, ann.user, data, name, "What is in it?")
        answer = (await ann.hears(2))[-1]
        assert answer.startswith(sentence) and answer.endswith("What is in it?"), (
            "the question is answered all the same"
        )
        await undisturbed(here)


def png(width: int, height: int) -> bytes:
    """A real black picture of one bit a pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packing, row = zlib.compressobj(9), bytes(1 + (width + 7) // 8)
    rows = b"".join(packing.compress(row) for _ in range(height)) + packing.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (10_000, 6_000)])
async def test_a_picture_of_too_many_pixels_is_never_unpacked(tmp_path: Path, width: int, height: int) -> None:
    bomb = png(width, height)
    assert len(bomb) < 1_000_000
    sentence = f"That picture is too large ({width}×{height} pixels): I take at most 40 million pixels."
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        here.telegram.send_document(ann.chat, ann.user, bomb, "map.png", "What is this?", mime="image/png")
        assert await ann.hears() == [sentence]
        answer = await here.page.upload(bomb, "image/png")
        assert (answer["status"], answer["error"]["en"]) == (413, sentence)
        assert here.models.log == [], "nothing was spent on it"
        await undisturbed(here)


async def test_a_file_of_60_mb_is_refused_with_the_limit(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        here.telegram.send_document(ann.chat, ann.user, b"", "large.png", mime="image/png", size=60_000_000)
        assert await ann.hears() == ["That file is too large: I take at most 20 MB."]
        answer = await here.page.upload(bytes(60_000_000), "image/png")
        assert answer["status"] == 413
        assert answer["error"]["en"] == "That file is too large: I take at most 20 MB."
        await undisturbed(here)
        assert not [call for call in here.telegram.log if call.method == "getFile"]


async def test_a_file_of_60_mb_is_refused_on_discord_before_it_is_fetched(tmp_path: Path) -> None:
    large = Upload(filename="large.png", data=bytes(60_000_000), content_type="image/png")
    async with house_on_discord(tmp_path, script=repeat) as here:
        ann = here.member()
        here.discord.say(ann.channel, ann.user, "What is this?", attachments=(large,))
        assert await ann.hears() == ["That file is too large: I take at most 20 MB."]
        assert (await ann.ask("without it")).content == "You said: without it"
