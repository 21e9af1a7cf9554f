"""PDF."""

import pytest

from bot.documents import Limits, Unopened, read_document
from bot.phrases import documents as phrases
from tests.documents.files import UNHURRIED, locked, pdf, picture


async def test_pages_keep_their_marks() -> None:
    document = await read_document(pdf(["First page\nof two", "Second page"]), "a.pdf", "")

    assert document.text == "[page 1]\nFirst page\nof two\n\n[page 2]\nSecond page"
    assert document.left_out == ()


async def test_pictures_and_pages_without_text_are_named() -> None:
    document = await read_document(pdf(["One", "", "", "Four", ""], drawn=True), "a.pdf", "")

    assert "[page 2]" not in document.text
    assert document.left_out == (
        phrases.PAGES_WITHOUT_TEXT.format(pages="2-3, 5"),
        phrases.PICTURES.format(count=2),
    )


async def test_a_scan_has_nothing_to_read() -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(pdf(["", ""], drawn=True), "a.pdf", "")

    assert caught.value.phrase == phrases.SCANNED


async def test_of_two_thousand_pages_as_many_as_fit() -> None:
    page = "\n".join(["A line of some forty characters, or so."] * 50)

    document = await read_document(pdf([page] * 2000), "a.pdf", "", limits=UNHURRIED)

    assert 399_000 < len(document.text) <= 400_000
    assert "[page 198]" in document.text
    (sentence,) = document.left_out
    assert "of 2000" in sentence.en
    assert "共 2000 页" in sentence.zh
    last = int(sentence.en.split("at page ")[1].split()[0])
    assert f"[page {last}]" in document.text
    assert f"[page {last + 1}]" not in document.text


async def test_what_takes_too_long_is_read_as_far_as_there_is_patience() -> None:
    document = await read_document(pdf(["One", "Two"]), "a.pdf", "", limits=Limits(patience=0))

    assert document.text == "[page 1]\nOne"
    assert document.left_out == (phrases.STOPPED_AT_PAGE.format(page=1, pages=2),)


async def test_a_password() -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(locked(pdf(["Secret"]), "open sesame", "owner"), "a.pdf", "")

    assert caught.value.phrase == phrases.PASSWORD


async def test_one_that_is_only_locked_against_changes_is_read() -> None:
    document = await read_document(locked(pdf(["Public"]), "", "owner"), "a.pdf", "")

    assert document.text == "[page 1]\nPublic"


async def test_a_damaged_page_costs_only_itself() -> None:
    whole = pdf(["One", "Two", "Three"])
    page = b"/Contents 8 0 R /Resources << /Font << /F1 3 0 R >>  >>"
    damaged = whole.replace(page, b"/Contents 8 0 R /Resources (not what it should be)".ljust(len(page)))
    assert damaged != whole
    assert len(damaged) == len(whole)

    document = await read_document(damaged, "a.pdf", "")

    assert "One" in document.text
    assert "Three" in document.text
    assert len(document.left_out) == 1
    assert " 2." in document.left_out[0].en


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
async def test_a_truncated_one_is_refused(share: float) -> None:
    whole = pdf([f"Page number {number}" for number in range(1, 40)])
    with pytest.raises(Unopened) as caught:
        await read_document(whole[: int(len(whole) * share)], "a.pdf", "")

    assert caught.value.phrase == phrases.DAMAGED


async def test_one_that_lacks_only_its_last_mark_is_read() -> None:
    document = await read_document(pdf(["One", "Two"]).removesuffix(b"EOF"), "a.pdf", "")

    assert document.text == "[page 1]\nOne\n\n[page 2]\nTwo"


@pytest.mark.parametrize("locks", [False, True])
async def test_more_pages_than_there_are(locks: bool) -> None:
    lie = pdf(["One"]).replace(b"/Count 1 ", b"/Count 999999999 ")

    document = await read_document(locked(lie, "", "owner") if locks else lie, "a.pdf", "")

    assert document.text == "[page 1]\nOne"


async def test_pages_that_go_in_a_circle() -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(pdf(["One", "Two"]).replace(b"/Kids [5 0 R 7 0 R]", b"/Kids [2 0 R 2 0 R]"), "a.pdf", "")

    assert caught.value.phrase == phrases.DAMAGED


async def test_only_its_beginning() -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(b"%PDF-1.7\nand then nothing", "a.pdf", "")

    assert caught.value.phrase == phrases.DAMAGED


async def test_a_picture_named_as_one() -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(picture(), "a.pdf", "")

    assert "a PDF" in caught.value.phrase.en
    assert "a picture" in caught.value.phrase.en
