"""PPTX."""

import io

import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from bot.documents import Limits, Unopened, read_document
from bot.phrases import documents as phrases
from tests.documents.files import picture, saved, slides, word


async def test_titles_bodies_tables_groups_and_notes() -> None:
    presentation = pptx.Presentation()
    first = presentation.slides.add_slide(presentation.slide_layouts[1])
    assert first.shapes.title is not None
    first.shapes.title.text = "Title"
    body = first.placeholders[1].text_frame
    body.text = "point"
    deeper = body.add_paragraph()
    deeper.text, deeper.level = "deeper", 1
    notes = first.notes_slide.notes_text_frame
    assert notes is not None
    notes.text = "Do not forget"
    second = presentation.slides.add_slide(presentation.slide_layouts[6])
    table = second.shapes.add_table(2, 2, 0, 0, Inches(3), Inches(1)).table
    table.cell(0, 0).text, table.cell(1, 1).text = "a", "b"
    group = second.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "grouped"

    document = await read_document(saved(presentation), "a.pptx", "")

    assert document.text == (
        "[slide 1]\n# Title\n\npoint\n  deeper\n\n[notes]\nDo not forget\n\n"
        "[slide 2]\n| a |  |\n| --- | --- |\n|  | b |\n\ngrouped"
    )
    assert document.left_out == ()


async def test_what_is_left_out_is_said() -> None:
    presentation = pptx.Presentation()
    shown = presentation.slides.add_slide(presentation.slide_layouts[6])
    shown.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "seen"
    shown.shapes.add_picture(io.BytesIO(picture()), 0, 0)
    figures = CategoryChartData()  # type: ignore[no-untyped-call]  # of python-pptx
    figures.categories = ["a"]
    figures.add_series("s", (1,))  # type: ignore[no-untyped-call]  # likewise
    shown.shapes.add_chart(XL_CHART_TYPE.PIE, 0, 0, Inches(1), Inches(1), figures)
    presentation.slides.add_slide(presentation.slide_layouts[6])._element.set("show", "0")

    document = await read_document(saved(presentation), "a.pptx", "")

    assert document.text == "[slide 1]\nseen"
    assert document.left_out == (
        phrases.HIDDEN_SLIDES.format(slides="2"),
        phrases.PICTURES.format(count=1),
        phrases.CHARTS.format(count=1),
    )


async def test_a_long_one_is_read_as_far_as_it_fits() -> None:
    document = await read_document(slides(*["x" * 80] * 12), "a.pptx", "", limits=Limits(characters=500))

    assert document.left_out == (phrases.STOPPED_AT_SLIDE.format(slide=6, slides=12),)


async def test_a_letter_named_as_one() -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(word("Dear Sir"), "a.pptx", "")

    assert "a PowerPoint presentation" in caught.value.phrase.en
    assert "a Word document" in caught.value.phrase.en


async def test_a_truncated_one() -> None:
    with pytest.raises(Unopened) as caught:
        await read_document(slides("One")[:-300], "a.pptx", "")

    assert caught.value.phrase == phrases.DAMAGED
