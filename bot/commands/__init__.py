"""The commands, one function each: `/help` and the platforms' menus come from the registry here.

`/stop` and `/reset` are in it for help and menus; `bot/turns/overtaker.py` answers them, since they overtake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from bot import phrases
from bot.commands.command import Command, reply
from bot.commands.compare import compare
from bot.commands.conversation import ask, retry, system, undo
from bot.commands.image import image
from bot.commands.info import info
from bot.commands.later import later
from bot.commands.model import model, model_names
from bot.commands.search import search
from bot.commands.tasks import task, tasks
from bot.commands.think import settings, think
from bot.commands.video import video
from bot.commands.voice import voice, voices
from bot.conversation.desk import Desk, Parts
from bot.messages import Message, Turn
from bot.ports import MenuEntry, Models


async def start(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    card = desk.card(turn)
    lines = [phrases.START.format(model=card.name if card else "—").to(turn.language)]
    if desk.models.simulated:
        lines.append(phrases.SIMULATED.to(turn.language))
    return reply(turn, "\n\n".join(lines))


async def help_(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    lines = [phrases.HELP.to(turn.language), ""]
    for command in COMMANDS:
        argument = f" {command.argument.to(turn.language)}" if command.argument else ""
        lines.append(f"- `/{command.name}{argument}` — {command.help.to(turn.language)}")
    return reply(turn, "\n".join(lines))


async def overtaking(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    """Only an edit that turns an old message into `/stop` or `/reset` comes here."""
    return reply(turn, phrases.SEND_ANEW)


async def unknown(desk: Desk, turn: Turn, message: Message, name: str, /) -> Parts:
    nearest = get_close_matches(name, [command.name for command in COMMANDS], 2, 0.6)
    phrase = phrases.UNKNOWN_COMMAND.format(name=name)
    if nearest:
        phrase = phrases.UNKNOWN_COMMAND_NEAR.format(name=name, nearest=", ".join(f"/{near}" for near in nearest))
    return reply(turn, phrase)


COMMANDS = (
    Command(name="start", help=phrases.HELP_START, run=start),
    Command(name="help", help=phrases.HELP_HELP, run=help_),
    Command(name="reset", help=phrases.HELP_RESET, run=overtaking),
    Command(name="model", help=phrases.HELP_MODEL, run=model, argument=phrases.ARG_MODEL, choices=model_names),
    Command(name="think", help=phrases.thinking.HELP, run=think, argument=phrases.thinking.ARGUMENT, choices=settings),
    Command(name="voice", help=phrases.voice.HELP, run=voice, argument=phrases.voice.ARGUMENT, choices=voices),
    Command(
        name="image",
        help=phrases.jobs.HELP_IMAGE,
        run=image,
        argument=phrases.jobs.ARG_IMAGE,
        required=True,
        attachment=phrases.ARG_PICTURE,
    ),
    Command(
        name="video",
        help=phrases.jobs.HELP_VIDEO,
        run=video,
        argument=phrases.jobs.ARG_VIDEO,
        required=True,
        attachment=phrases.ARG_PICTURE,
    ),
    Command(
        name="later",
        help=phrases.jobs.HELP_LATER,
        run=later,
        argument=phrases.ARG_ASK,
        required=True,
        attachment=phrases.ARG_FILE,
    ),
    Command(name="tasks", help=phrases.jobs.HELP_TASKS, run=tasks),
    Command(name="task", help=phrases.jobs.HELP_TASK, run=task, argument=phrases.jobs.ARG_TASK, required=True),
    Command(
        name="compare",
        help=phrases.compare.HELP,
        run=compare,
        argument=phrases.ARG_ASK,
        required=True,
        attachment=phrases.ARG_FILE,
    ),
    Command(name="search", help=phrases.search.HELP, run=search, argument=phrases.ARG_ASK, required=True),
    Command(
        name="ask", help=phrases.HELP_ASK, run=ask, argument=phrases.ARG_ASK, required=True, attachment=phrases.ARG_FILE
    ),
    Command(name="system", help=phrases.HELP_SYSTEM, run=system, argument=phrases.ARG_SYSTEM),
    Command(name="retry", help=phrases.HELP_RETRY, run=retry),
    Command(name="undo", help=phrases.HELP_UNDO, run=undo),
    Command(name="stop", help=phrases.HELP_STOP, run=overtaking),
    Command(name="info", help=phrases.HELP_INFO, run=info),
)
_BY_NAME = {command.name: command for command in COMMANDS}


async def run(desk: Desk, turn: Turn, message: Message, name: str, argument: str) -> Parts:
    command = _BY_NAME.get(name)
    return await (command.run(desk, turn, message, argument) if command else unknown(desk, turn, message, name))


def menu(models: Models) -> tuple[MenuEntry, ...]:
    """The commands for the platforms' own menus."""
    return tuple(
        MenuEntry(
            command.name,
            command.help,
            command.argument,
            command.required,
            _nearest(command.choices, models) if command.choices else None,
            command.attachment,
        )
        for command in COMMANDS
    )


def _nearest(choices: Callable[[Models], Sequence[str]], models: Models) -> Callable[[str], Sequence[str]]:
    """Those that begin with what was typed so far, then those that contain it, then those that resemble it."""

    def nearest(typed: str) -> Sequence[str]:
        typed, names = typed.strip().lower(), choices(models)
        begin = [name for name in names if name.lower().startswith(typed)]
        contain = [name for name in names if typed in name.lower()]
        return list(dict.fromkeys([*begin, *contain, *get_close_matches(typed, names, 5)]))

    return nearest
