"""PPTX: the text of each visible slide, its tables and the speaker's notes. Runs in the child."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from zipfile import BadZipFile

import pptx
from pptx.enum.shapes import MSO_SHAPE_TYPE
from pptx.exc import PackageNotFoundError
from pptx.shapes.base import BaseShape
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape
from pptx.slide import Slide

from bot.documents.document import Unopened
from bot.documents.gathering import Gathering, ranges, row
from bot.documents.kinds import Kind
from bot.documents.package import check
from bot.phrases import documents as phrases

_PICTURES = (MSO_SHAPE_TYPE.PICTURE, MSO_SHAPE_TYPE.LINKED_PICTURE, MSO_SHAPE_TYPE.MEDIA)


def read(data: bytes, into: Gathering) -> None:
    check(data, Kind.SLIDES, into.limits)
    try:
        presentation = pptx.Presentation(io.BytesIO(data))
    except (PackageNotFoundError, BadZipFile, KeyError, ValueError) as error:
        raise Unopened(phrases.DAMAGED, type(error).__name__) from error
    slides = list(presentation.slides)
    hidden: list[int] = []
    pictures = drawings = 0
    for number, slide in enumerate(slides, 1):
        if slide.element.get("show") in ("0", "false"):
            hidden.append(number)
            continue
        shapes = list(_flat(slide.shapes))
        pictures += sum(shape.shape_type in _PICTURES for shape in shapes)
        drawings += sum(isinstance(shape, GraphicFrame) and not shape.has_table for shape in shapes)
        into.add(f"[slide {number}]\n{_slide(slide, shapes)}\n")
        if into.must_stop(more=number < len(slides)):
            into.leave(phrases.STOPPED_AT_SLIDE.format(slide=number, slides=len(slides)))
            break
    if hidden:
        into.leave(phrases.HIDDEN_SLIDES.format(slides=ranges(hidden)))
    if pictures:
        into.leave(phrases.PICTURES.format(count=pictures))
    if drawings:
        into.leave(phrases.CHARTS.format(count=drawings))


def _flat(shapes: Iterable[BaseShape]) -> Iterator[BaseShape]:
    for shape in shapes:
        if isinstance(shape, GroupShape):
            yield from _flat(shape.shapes)
        else:
            yield shape


def _slide(slide: Slide, shapes: list[BaseShape]) -> str:
    title = slide.shapes.title
    parts = [f"# {' '.join(title.text_frame.text.split())}\n"] if title is not None and title.text_frame.text else []
    for shape in shapes:
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if isinstance(shape, GraphicFrame) and shape.has_table:
            rows = [row([cell.text for cell in line.cells]) for line in shape.table.rows]
            columns = len(shape.table.columns)
            parts.append("".join([*rows[:1], "|" + " --- |" * columns + "\n", *rows[1:]]))
        elif text := _text(shape):
            parts.append(text)
    notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    if notes is not None and notes.text.strip():
        parts.append(f"[notes]\n{_lines(notes.text)}")
    return "\n".join(parts)


def _text(shape: BaseShape) -> str:
    if not shape.has_text_frame:
        return ""
    frame = shape.text_frame  # type: ignore[attr-defined]  # of every shape that says it has one
    lines = [f"{'  ' * paragraph.level}{_lines(paragraph.text)}" for paragraph in frame.paragraphs]
    return "".join(line for line in lines if line.strip())


def _lines(text: str) -> str:
    """python-pptx writes a line break within a paragraph as a vertical tab."""
    return text.replace("\v", "\n") + "\n"
