"""What a finished turn leaves behind, as one value that the store commits: the pieces, the changes, the buttons. Pure but for
the buttons' random ids and the clock."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bot import phrases
from bot.messages import Address, Answered, Asked, Button, Change, Choice, Ended, Finish, Finished, Ordered, Text, Turn
from bot.ports import ButtonRow, Final, Outcome
from bot.turns.answer import Answer, Layout

BUTTON_LIFE = 86_400.0  # seconds


@dataclass(slots=True, kw_only=True)
class Unfinished:
    """A turn being made: what it says and changes so far. `first` is when its first part came, in seconds from the claim
    (0: none yet)."""

    turn: Turn
    answer: Answer
    changes: list[Change] = field(default_factory=list)
    stopped: bool = False
    first: float = 0.0

    def fail(self, sentence: str) -> None:
        """The answer ends with this sentence, under what was said before."""
        self._append(sentence)
        self.answer.add(self.answer.finished or Finished(reason=Finish.FAILED))

    def outcome(self, layout: Layout, address: Address, seconds: float, dead: str = "") -> Outcome:
        """`seconds` from the claim to the end; `dead` says why its rows become dead letters."""
        turn, answer, changes, text = self.turn, self.answer, list(self.changes), self.answer.text
        said = answer.said  # before the mark
        offered = answer.buttons
        finished = answer.finished or Finished(reason=Finish.STOPPED, model=_asked_model(changes))
        if self.stopped:
            finished = replace(finished, reason=Finish.STOPPED)
        if finished.reason is Finish.STOPPED:
            marked = answer.unfinished if answer.several else () if isinstance(turn.said, Ended) else (0,)
            for slot in marked:
                self._append(f"*({phrases.STOPPED.to(turn.language)})*", slot)
            if any(isinstance(change, Ordered) for change in changes):
                # Nothing is ordered: nothing is there that a button could cancel.
                changes, offered = [change for change in changes if not isinstance(change, Ordered)], {}
            if said.strip() and not answer.several and _unanswered(changes):
                changes.append(Answered(text=said))
        buttons: dict[int, tuple[tuple[Button, ...], ...]] = {}
        rows: list[ButtonRow] = []
        for slot, part in offered.items():
            made = [[(choice.label, _row(turn, choice)) for choice in line] for line in part.rows]
            buttons[slot] = tuple(tuple(Button(label, row.id) for label, row in line) for line in made)
            rows.extend(row for line in made for _, row in line)
        return Outcome(
            address=address,
            finished=finished,
            pieces=tuple(Final(turn.id, *place, piece) for place, piece in answer.final(layout, buttons).items()),
            changes=tuple(changes),
            buttons=tuple(rows),
            text=text,
            seconds=seconds,
            first=self.first,
            dead=dead,
            author=turn.author.id,
        )

    def _append(self, sentence: str, slot: int = 0) -> None:
        below = slot > 0 or self.answer.text.strip()
        self.answer.add(Text(f"\n\n{sentence}" if below else sentence, slot))


def _row(turn: Turn, choice: Choice) -> ButtonRow:
    person = "" if choice.anyone else turn.author.id
    return ButtonRow(secrets.token_urlsafe(9), turn.chat, person, choice.action, time.time() + BUTTON_LIFE)


def _asked_model(changes: Sequence[Change]) -> str:
    return next((change.model for change in changes if isinstance(change, Asked)), "")


def _unanswered(changes: Sequence[Change]) -> bool:
    asked = any(isinstance(change, Asked) for change in changes)
    return asked and not any(isinstance(change, Answered) for change in changes)
