"""What the parts so far add up to: the state of one answer, and the pieces that show it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

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

Layout = Callable[[str], tuple[Piece, ...]]
Place = tuple[int, int]  # slot, number of the piece in it

CURSOR = " ▌"  # at the end of every preview: it never equals the final text
LONGEST_WITH_CURSOR = 1900  # characters: some platform's limit is 2,000
TEASER = 1000  # characters of a first send where sends are not idempotent


@dataclass(slots=True)
class _Slot:
    deltas: list[str] = field(default_factory=list)
    notice: str = ""
    thinking: bool = False
    media: list[Media] = field(default_factory=list)
    buttons: Buttons | None = None

    @property
    def text(self) -> str:
        if len(self.deltas) > 1:
            self.deltas = ["".join(self.deltas)]
        return self.deltas[0] if self.deltas else ""


class Answer:
    """Collects parts. `thinking` is shown while a model thinks and has said nothing yet."""

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
                slot.notice = ""
            case Thought():
                slot.thinking = True
                slot.notice = ""
            case Notice(text):
                slot.notice = text
            case Media():
                slot.media.append(part)
                slot.notice = ""
            case Buttons():
                slot.buttons = part
            case Withdraw():
                self._slots[part.slot] = _Slot()

    @property
    def text(self) -> str:
        """The Markdown of slot 0: what the history keeps."""
        return self._slots[0].text if 0 in self._slots else ""

    @property
    def buttons(self) -> dict[int, Buttons]:
        return {number: slot.buttons for number, slot in self._slots.items() if slot.buttons}

    def preview(self, layout: Layout, stop: Button) -> dict[Place, Piece]:
        """What to show while the answer grows: the last piece carries the cursor and the [Stop] button. Empty: nothing yet."""
        places = self._pieces(layout, final=False)
        if places:
            last = max(places)
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
            markdown = slot.text
            if not markdown.strip() and not slot.media:
                markdown = slot.notice or ("" if final or not slot.thinking else self._thinking)
            pieces = [replace(layout(media.caption)[0], media=media) for media in slot.media]
            if markdown.strip():
                pieces.extend(layout(markdown))
            elif slot.notice and not final:
                pieces.extend(layout(slot.notice))
            places.update({(number, index): piece for index, piece in enumerate(pieces)})
        return places


def _with_cursor(piece: Piece) -> Piece:
    return replace(piece, body=piece.body + CURSOR) if len(piece.body) <= LONGEST_WITH_CURSOR else piece


def teaser(piece: Piece) -> Piece:
    """The first send of a piece where a repeated send would show twice: visibly a preview, never the text of the piece itself,
    even if that ends like a cursor. Only the last piece of a preview has buttons here: its cursor is ours."""
    body = "…" if piece.media else piece.body.removesuffix(CURSOR) if piece.buttons else piece.body
    teased = body[:TEASER] + CURSOR
    return Piece(teased if teased != body else teased + CURSOR, buttons=piece.buttons)
