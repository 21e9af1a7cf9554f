"""What a command is, for the registry and for those that are in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.conversation.desk import Desk, Parts
from bot.messages import Buttons, Change, Choice, Finish, Finished, Message, Text, Turn
from bot.phrases import Phrase
from bot.ports import Models


class Running(Protocol):
    async def __call__(self, desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
        """The answer to the command, of which nothing is shown before it is returned. `message` is what it came in, `argument`
        the text behind its name. Raises Declined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An entry of the registry. `choices` gives what its argument may be; the other fields are those of ports.MenuEntry."""

    name: str
    help: Phrase
    run: Running
    argument: Phrase | None = None
    required: bool = False
    choices: Callable[[Models], Sequence[str]] | None = None
    attachment: Phrase | None = None


async def reply(turn: Turn, phrase: Phrase | str, *before: Change, rows: Sequence[Sequence[Choice]] = ()) -> Parts:
    """A whole answer in our own words, after the changes that it tells of; `rows` are of buttons."""
    for change in before:
        yield change
    yield Text(phrase if isinstance(phrase, str) else phrase.to(turn.language))
    if rows:
        yield Buttons(tuple(map(tuple, rows)))
    yield Finished(reason=Finish.COMMAND)


async def silence() -> Parts:
    """Nothing is to be told."""
    yield Finished(reason=Finish.COMMAND)


def asks_nothing(message: Message, argument: str) -> bool:
    """The command's name stands alone: no words, no file, no message that it replies to."""
    return not (argument or message.attachments or message.quote)


def in_rows(choices: Sequence[Choice], width: int) -> list[Sequence[Choice]]:
    return [choices[at : at + width] for at in range(0, len(choices), width)]
