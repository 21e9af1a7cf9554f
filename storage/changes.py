"""What a turn changes, applied in its commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.messages import (
    Answered,
    Asked,
    Cancelled,
    Change,
    Closes,
    Configured,
    LeftOut,
    Ordered,
    Replaces,
    Rewound,
    Spent,
)
from bot.ports import Claim
from storage import jobs
from storage.records import dump_names, dump_piece, load_piece
from storage.statements import HISTORY, INBOX, OUTBOX
from storage.transaction import Transaction, Value


class Changes:
    """Applies a turn's changes in their order, and remembers where the conversation then stands."""

    def __init__(self, chat: str, claim: Claim, now: float) -> None:
        self._chat, self._claim, self._now = chat, claim, now
        self.question: int | None = None
        self.answer: int | None = None
        self.head: int | None = None
        self.moved = False

    def apply(self, changes: Sequence[Change], delivered: str, author: str) -> Transaction[None]:
        """`delivered` is the answer as it is shown; `author` the person whose turn it is."""
        asked = [change for change in changes if isinstance(change, Asked)]
        for change in changes:
            match change:
                case Asked() if change is not asked[-1]:
                    pass
                case Asked():
                    self.question = change.stored or (
                        yield from self._insert(change.parent, "user", change.text, change.author, change.files)
                    )
                case Answered():
                    yield from self._answered(change, delivered)
                case Rewound(head):
                    self.head, self.moved = head, True
                case Configured(name, ""):
                    yield HISTORY["unset_setting"], {"chat": self._chat, "name": name}
                case Configured(name, value):
                    yield HISTORY["set_setting"], {"chat": self._chat, "name": name, "value": value}
                case Replaces(earlier):
                    yield INBOX["inherit_messages"], {"turn": self._claim.turn, "earlier": earlier}
                case Spent(button):
                    yield HISTORY["spend_button"], {"id": button}
                case Closes(earlier):
                    yield from _take_buttons(earlier)
                case LeftOut(entries):
                    for entry in entries:
                        yield HISTORY["leave_out"], {"id": entry}
                case Ordered():
                    claim = self._claim
                    yield from jobs.order(claim.turn, self._chat, claim.epoch, author, change, self._now)
                case Cancelled(job):
                    yield from jobs.cancel(self._chat, job, self._now)

    def _answered(self, change: Answered, delivered: str) -> Transaction[None]:
        self.question = change.question or self.question
        text = delivered if change.text is None else change.text
        self.answer = yield from self._insert(self.question, "assistant", text, "", change.files)
        if change.moves:
            self.head, self.moved = self.answer, True

    def _insert(
        self, parent: int | None, role: str, text: str, author: str, files: tuple[str, ...]
    ) -> Transaction[int]:
        values: dict[str, Value] = {
            "chat": self._chat,
            "epoch": self._claim.epoch,
            "parent": parent,
            "turn": self._claim.turn,
            "role": role,
            "author": author,
            "text": text,
            "files": dump_names(files),
            "now": self._now,
        }
        rows = yield HISTORY["insert_message"], values
        return int(rows[0]["id"])


def _take_buttons(turn: int) -> Transaction[None]:
    """From what stands there: it is not queued again, since somebody may have removed it meanwhile."""
    for row in (yield OUTBOX["final_pieces"], {"turn": turn}):
        piece = load_piece(row["piece"])
        if piece.buttons:
            plain = dump_piece(replace(piece, buttons=()))
            yield OUTBOX["reword_piece"], {"turn": turn, "slot": row["slot"], "number": row["number"], "piece": plain}
