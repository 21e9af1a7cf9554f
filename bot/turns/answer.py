"""What the parts so far add up to: the state of one answer, and the pieces that show it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from bot.messages import (
    Button,
    Buttons,
    Finished,
    Media,
    Notice,
    Part,
    Piece,
    Text,
    Thought,
    Withdraw,
)
from bot.text import newest


class Layout(Protocol):
    def __call__(self, markdown: str, thoughts: str = "", thinking: bool = False, /) -> tuple[Piece, ...]:
        """See ports.Platform."""


Place = tuple[int, int]  # slot, number of the piece in it

CURSOR = " ▌"  # at the end of every preview: it never equals the final text
LONGEST_WITH_CURSOR = 1900  # characters: some platform's limit is 2,000
TEASER = 1000  # characters of a first send where sends are not idempotent
GLIMPSE = 600  # characters of the thoughts that are shown while more of them come
SETTLED = 500  # characters of an answer after which no thought is added above it: its first message is about to be full


@dataclass(slots=True)
class _Slot:
    deltas: list[str] = field(default_factory=list)
    asides: int = 0  # characters in front of what the model says
    thoughts: list[str] = field(default_factory=list)
    pondering: bool = False  # the last part was a thought
    notice: str = ""
    media: list[Media] = field(default_factory=list)
    buttons: Buttons | None = None

    @property
    def text(self) -> str:
        if len(self.deltas) > 1:
            self.deltas = ["".join(self.deltas)]
        return self.deltas[0] if self.deltas else ""

    @property
    def thought(self) -> str:
        if len(self.thoughts) > 1:
            self.thoughts = ["".join(self.thoughts)]
        return self.thoughts[0] if self.thoughts else ""

    def think(self, delta: str) -> None:
        """Whatever it thinks after something else came (another try, a tool's result) is a new paragraph."""
        if len(self.text) <= SETTLED:
            self.thoughts.append(delta if self.pondering or not self.thoughts else f"\n\n{delta}")


class Answer:
    """Collects parts. `thinking` is shown while a model thinks and has said nothing yet. What it thinks is shown and nothing
    else: `text` is the answer alone."""

    def __init__(self, thinking: str) -> None:
        self._thinking = thinking
        self._slots: dict[int, _Slot] = {}
        self.finished: Finished | None = None

    def add(self, part: Part) -> None:
        if isinstance(part, Finished):
            self.finished = part
            return
        slot = self._slots.setdefault(part.slot, _Slot())
        match part:
            case Text(delta):
                slot.deltas.append(delta)
                slot.asides += len(delta) if part.aside else 0
                slot.notice = ""
            case Thought(delta):
                slot.think(delta)
                slot.notice = ""
            case Notice(text):
                slot.notice = text
            case Media():
                slot.media.append(part)
                slot.notice = ""
            case Buttons():
                slot.buttons = part
            case Withdraw():
                slot = self._slots[part.slot] = _Slot()
        slot.pondering = isinstance(part, Thought)

    @property
    def several(self) -> bool:
        """More than one text grows here: whoever makes them says what the history keeps."""
        return sum(bool(slot.text.strip()) for slot in self._slots.values()) > 1

    @property
    def unfinished(self) -> list[int]:
        """The slots of texts without their buttons, which come last; slot 0 where all have theirs."""
        return [number for number, slot in self._slots.items() if slot.buttons is None and slot.text.strip()] or [0]

    @property
    def text(self) -> str:
        """The Markdown of slot 0: what the history keeps."""
        return self._slots[0].text if 0 in self._slots else ""

    @property
    def said(self) -> str:
        """The same without lines to people in front of it."""
        return self.text[self._slots[0].asides :] if 0 in self._slots else ""

    @property
    def buttons(self) -> dict[int, Buttons]:
        return {number: slot.buttons for number, slot in self._slots.items() if slot.buttons}

    def preview(self, layout: Layout, stop: Button) -> dict[Place, Piece]:
        """What to show while the answer grows: its last piece carries the cursor and the [Stop] button; of several answers the
        last piece of each that is not finished. Empty: nothing yet."""
        places = self._pieces(layout, final=False)
        growing = [place for place in places if place[0] in self.unfinished] if self.several else []
        growing = growing or list(places)[-1:]
        for last in {slot: (slot, number) for slot, number in growing}.values():
            places[last] = replace(_with_cursor(places[last]), buttons=((stop,),))
        return places

    def final(self, layout: Layout, buttons: Mapping[int, tuple[tuple[Button, ...], ...]]) -> dict[Place, Piece]:
        """The finished answer, each slot's buttons under its last piece."""
        places = self._pieces(layout, final=True)
        for slot, rows in buttons.items():
            last = max((place for place in places if place[0] == slot), default=None)
            if last is not None:
                places[last] = replace(places[last], buttons=rows)
        return places

    def _pieces(self, layout: Layout, *, final: bool) -> dict[Place, Piece]:
        places: dict[Place, Piece] = {}
        for number, slot in sorted(self._slots.items()):
            markdown, thoughts = self._words(slot, final), slot.thought.strip()
            thinking = not final and not slot.text.strip()
            # a voice note is sent whole, once: no platform lets a message become one
            shown = [media for media in slot.media if final or not media.voice]
            # what has no caption stands without a word: by itself nothing would be laid out as a sign that there is nothing
            bare = Piece("")
            pieces = [replace(layout(media.caption)[0] if media.caption else bare, media=media) for media in shown]
            if markdown.strip() or thoughts:
                pieces.extend(layout(markdown, newest(thoughts, GLIMPSE) if thinking else thoughts, thinking))
            places.update({(number, index): piece for index, piece in enumerate(pieces)})
        return places

    def _words(self, slot: _Slot, final: bool) -> str:
        """The text, with what goes on below it, or what stands in its place."""
        if slot.text.strip():
            return f"{slot.text.rstrip()}\n\n{slot.notice}" if slot.notice and not final else slot.text
        if slot.media:
            return "" if final else slot.notice
        return slot.notice or (self._thinking if slot.thoughts and not final else "")


def _with_cursor(piece: Piece) -> Piece:
    return replace(piece, body=piece.body + CURSOR) if len(piece.body) <= LONGEST_WITH_CURSOR else piece


def teaser(piece: Piece) -> Piece:
    """The first send of a piece where a repeated send would show twice: visibly a preview, never the text of the piece itself,
    even if that ends like a cursor. Only the last piece of a preview has buttons here: its cursor is ours, and a
    short one keeps its form, so that thoughts are not taken for the answer."""
    body = "…" if piece.media else piece.body.removesuffix(CURSOR) if piece.buttons else piece.body
    teased, whole = body[:TEASER] + CURSOR, piece.buttons and len(body) <= TEASER and not piece.media
    return Piece(teased if teased != body else teased + CURSOR, piece.marks if whole else "", buttons=piece.buttons)
