"""Commands about the conversation itself: /ask, /system, /retry, /undo."""

from __future__ import annotations

import random
from dataclasses import replace

from bot import phrases
from bot.commands.command import asks_nothing, reply
from bot.commands.reordering import kind_of, order_again
from bot.commands.switches import OFF_WORDS
from bot.conversation import context
from bot.conversation.context import Question
from bot.conversation.desk import Desk, Parts, Request
from bot.messages import Configured, Finish, Message, Rewound, Turn
from bot.ports import Entry, ModelCard

LONGEST_INSTRUCTIONS = 4_000  # characters: they go along with every question
_CLEAR = OFF_WORDS | {"clear", "清除"}


async def ask(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    if asks_nothing(message, argument):
        return reply(turn, phrases.ASK_WHAT)
    heard = await desk.read(turn, [replace(message, text=argument)])
    return desk.ask(turn, replace(Request.of_command(message, heard), alone=True))


async def system(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    if not argument:
        return reply(turn, phrases.SYSTEM_SHOWN.format(text=turn.system) if turn.system else phrases.SYSTEM_NONE)
    if argument.lower() in _CLEAR:
        return reply(turn, phrases.SYSTEM_CLEARED, Configured("system", ""))
    if len(argument) > LONGEST_INSTRUCTIONS:
        return reply(turn, phrases.SYSTEM_TOO_LONG.format(limit=LONGEST_INSTRUCTIONS))
    return reply(turn, phrases.SYSTEM_SET, Configured("system", argument))


async def retry(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    entry = await _last_question(desk, turn)
    return reply(turn, phrases.NOTHING_TO_RETRY) if entry is None else await ask_again(desk, turn, entry)


async def _last_question(desk: Desk, turn: Turn) -> Entry | None:
    """The question that just failed or was stopped, with no answer where the conversation stands; else the last answered."""
    report = await desk.history.report(turn.chat)
    if report and report.finished.reason in (Finish.FAILED, Finish.REFUSED, Finish.STOPPED):
        failed = await desk.history.asked(report.turn)
        if failed and failed.epoch == turn.epoch and failed.parent == turn.head:
            return failed
    last = await desk.history.last(turn.chat, turn.head)
    return last.question if last else None


async def ask_again(desk: Desk, turn: Turn, entry: Entry, card: ModelCard | None = None) -> Parts:
    """Ask a stored question once more. Where the conversation still stands at it, the answer becomes a sibling of its others;
    where it has moved on, the question is asked anew at its end."""
    last = await desk.history.last(turn.chat, turn.head)
    answered = last is not None and last.question is not None and last.question.id == entry.id
    here = answered or entry.parent == turn.head
    tip, stored = (entry.parent, entry.id) if here else (turn.head, None)
    if kind := kind_of(entry.text):
        return await order_again(desk, turn, entry, kind, tip, stored)
    question = Question.of(entry)
    seed = random.randrange(1, 2**31)
    return desk.ask(turn, Request(question=question, tip=tip, card=card, stored=stored, seed=seed))


async def undo(desk: Desk, turn: Turn, message: Message, argument: str, /) -> Parts:
    last = await desk.history.last(turn.chat, turn.head)
    if last is None or last.question is None:
        return reply(turn, phrases.NOTHING_TO_UNDO)
    taken = phrases.UNDONE.format(words=context.words(last.question.text))
    return reply(turn, taken, Rewound(last.question.parent))
