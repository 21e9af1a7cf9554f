"""What is a command, what overtakes, and what a text is about: told from a text alone, before anything is looked up. Pure."""

from __future__ import annotations

import re
from enum import StrEnum

COMMAND = re.compile(r"/([a-z][a-z0-9_]{0,31})(?:\s+|$)", re.IGNORECASE)
CONTROL_COMMANDS = frozenset({"stop", "reset"})
# What stands behind them is what somebody wants to know, or to have; behind others stands a setting, or nothing.
ASKING_COMMANDS = frozenset({"ask", "later", "compare", "search", "image", "video"})
STOP_PREFIX = "stop."  # what a [Stop] button carries starts so: its lane is known without looking anything up
_STOP_BUTTON = re.compile(re.escape(STOP_PREFIX) + r"[\w-]+")  # the whole text: a sentence may begin so, too


class Lane(StrEnum):
    """Events of the turn lane wait their turn in the chat; those of the control lane (`/stop`, [Stop], `/reset`) overtake."""

    TURN = "turn"
    CONTROL = "control"


def command_of(text: str) -> tuple[str, str] | None:
    """`"/Image a fox"` → `("image", "a fox")`; None for what is no command (`/etc/hosts` is none)."""
    match = COMMAND.match(text)
    return (match[1].lower(), text[match.end() :].strip()) if match else None


def subject_of(text: str) -> str:
    """What it is about: all of it, of a command what is asked by it, "" for a command that asks nothing (`/help`)."""
    match command_of(text):
        case None:
            return text
        case (name, argument):
            return argument if name in ASKING_COMMANDS else ""


def lane_of(text: str) -> Lane:
    """The lane of a message with this text, or of a press on a button that carries it."""
    command = command_of(text)
    overtakes = _STOP_BUTTON.fullmatch(text) is not None or (command is not None and command[0] in CONTROL_COMMANDS)
    return Lane.CONTROL if overtakes else Lane.TURN
