"""Plain text in the encodings that people have."""

import pytest

from bot.documents import Limits, Unopened, read_document
from bot.phrases import documents as phrases
from tests.documents.files import pdf, picture

WORDS = "喜鹊 reads\nwhat you send – ça va?"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"])
async def test_the_encoding_is_found(encoding: str) -> None:
    document = await read_document(WORDS.encode(encoding), "a.txt", "")

    assert document.text == WORDS
    assert document.left_out == ()


async def test_big_endian_with_its_mark() -> None:
    assert (await read_document(b"\xfe\xff" + WORDS.encode("utf-16-be"), "a.txt", "")).text == WORDS


async def test_characters_that_cannot_be_decoded_are_counted() -> None:
    document = await read_document(b"a long enough text about a caf\xe9 ", "a.txt", "")

    assert document.text.rstrip().endswith("caf�")
    assert document.left_out == (phrases.UNDECODED.format(count=1),)


async def test_csv_and_code_stay_as_they_are() -> None:
    table = 'name,"a, b"\n1,2\n'

    assert (await read_document(table.encode(), "t.csv", "")).text == table.rstrip()
    assert (await read_document(b"if x:\r\n\tpass\r\n", "t.py", "")).text == "if x:\n\tpass"


async def test_a_log_with_nuls_in_it_is_read_without_them() -> None:
    log = b"started\n" * 20 + b"\0" * 50 + b"\x1b[31mfailed\x1b[0m\n"

    document = await read_document(log, "app.log", "")

    assert document.text.endswith("started\n[31mfailed[0m")


@pytest.mark.parametrize("data", [b"\0" * 500, bytes(range(256)) * 40, "�\x01\x02".encode() * 100])
async def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(data, "a.txt", "text/plain")

    assert "inside it is something else" in caught.value.phrase.en


@pytest.mark.parametrize(
    ("data", "found"), [(picture(), "a picture"), (pdf(["x"]), "a PDF"), (b"PK\x03\x04..", "archive")]
)
async def test_what_is_something_else_is_named(data: bytes, found: str) -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(data, "a.txt", "text/plain")

    assert found in caught.value.phrase.en


@pytest.mark.parametrize("data", [b"", b" \n\t", b"\xef\xbb\xbf\n", b"\xff\xfe"])
async def test_an_empty_file(data: bytes) -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(data, "a.txt", "")

    assert caught.value.phrase == phrases.EMPTY


async def test_a_long_text_is_cut_between_words_and_says_how_much_was_read() -> None:
    document = await read_document(b"word " * 1000, "a.txt", "", limits=Limits(characters=1002))

    assert document.text == ("word " * 200).rstrip()
    assert document.left_out == (phrases.STOPPED_AT_SHARE.format(share=20),)


async def test_a_large_text_is_read_in_the_child_with_the_same_result() -> None:
    text = "喜鹊\n" * 300_000

    document = await read_document(text.encode(), "a.txt", "")

    assert document.text == "喜鹊\n" * 133_332 + "喜鹊"
    assert document.left_out == (phrases.STOPPED_AT_SHARE.format(share=44),)


async def test_a_file_over_the_limit_is_not_even_looked_at() -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(b"x" * 20_000_001, "a.txt", "")

    assert "20 MB" in caught.value.phrase.en


async def test_a_kind_that_we_do_not_read() -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(b"x", "a.exe", "application/octet-stream")

    assert caught.value.phrase == phrases.UNKNOWN_KIND
