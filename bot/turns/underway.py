"""A turn under way: what is known of it while its answer is made, and how it is ended before its time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bot.messages import Answered, Closes, Ended
from bot.turns.outcome import Unfinished
from bot.turns.preview import Preview


@dataclass(slots=True, kw_only=True)
class Underway(Unfinished):
    """A turn being made, as those see it who may end it."""

    preview: Preview
    reader: asyncio.Task[None] | None = None
    abandoned: bool = False

    def stop(self) -> None:
        """Unless it is still to tell what came of background work, which is made and paid: nobody could have it told again."""
        if isinstance(self.turn.said, Ended) and not self.abandoned and not self._told():
            return
        if self.reader and not self.stopped:  # a second cancel would break off the handler's own tidying up
            self.reader.cancel()
        self.stopped = True

    @property
    def closes(self) -> tuple[int, ...]:
        """The earlier turns whose buttons it takes away."""
        return tuple(change.turn for change in self.changes if isinstance(change, Closes))

    def _told(self) -> bool:
        return any(isinstance(change, Answered) for change in self.changes)

    def abandon(self) -> None:
        """Shutting down: leave it as a crash would, to be taken up again at the next start. One that is read to its end is
        completed."""
        if not (self.reader and self.reader.done()):
            self.abandoned = True
            self.stop()
