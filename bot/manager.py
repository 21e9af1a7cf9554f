"""The conversation manager: what a turn asks for, and where in the history it belongs.

late? press? edit? command? else a question: `asking.py` asks it, `commands/` answers commands, `context.py` decides what the
model sees. Nothing is written here: the parts and changes that are yielded are shown and committed by the engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing

from bot import commands, context, phrases
from bot.asking import Asking, Consent, Parts, Request
from bot.commands.command import reply
from bot.commands.conversation import ask_again
from bot.commands.image import Order, choose_other, draw
from bot.commands.model import choose
from bot.commands.think import set_thinking
from bot.context import Question
from bot.errors import TooLarge, Unreadable
from bot.lanes import command_of
from bot.messages import (
    Asked,
    Buttons,
    Choice,
    Edited,
    Ended,
    Finish,
    Finished,
    Message,
    Pressed,
    Replaces,
    Spent,
    Text,
    Turn,
)
from bot.ports import Calls, Exchange, Files, History, ModelCard, Models, Toolbox
from bot.questions import Declined, Fetching


class ConversationManager:
    """ports.Handler. `platforms` are asked for attachments only; `image_model` is the owner's IMAGE_MODEL, "" for the
    default of the vendor that a chat is on; `clock` gives Unix seconds."""

    def __init__(
        self,
        *,
        history: History,
        models: Models,
        platforms: Mapping[str, Fetching],
        files: Files,
        image_model: str = "",
        toolbox: Toolbox | None = None,
        calls: Calls | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._history = history
        self._models = models
        self._asking = Asking(
            history=history, models=models, platforms=platforms, files=files, image_model=image_model, toolbox=toolbox,
            calls=calls, clock=clock,
        )  # fmt: skip
        self._clock = clock

    async def answer(self, turn: Turn) -> Parts:
        try:
            async with aclosing(self._route(turn)) as parts:
                async for part in parts:
                    yield part
        except (Declined, TooLarge, Unreadable) as refusal:
            yield Text(refusal.phrase.to(turn.language))
            yield Finished(reason=Finish.COMMAND)

    def _route(self, turn: Turn) -> Parts:
        match turn.said:
            case Pressed():
                return self._press(turn, turn.said)
            case Edited(message, among):
                together = among or (message,)
                return self._late(turn, together) if turn.late else self._edit(turn, message, together)
            case Ended():
                return _silence()
            case messages:
                return self._late(turn, messages) if turn.late else self._said(turn, messages)

    def _said(self, turn: Turn, messages: Sequence[Message]) -> Parts:
        command = command_of(messages[0].text) if len(messages) == 1 else None
        if command:
            return commands.run(self._asking, turn, messages[0], *command)
        return self._question(turn, messages)

    # --- questions -----------------------------------------------------------------------------------------------------

    async def _question(self, turn: Turn, messages: Sequence[Message]) -> Parts:
        heard = await self._asking.read(turn, messages)
        request = Request(question=heard.question, tip=await self._tip(turn, messages), asides=heard.asides)
        async with aclosing(self._asking.ask(turn, request)) as parts:
            async for part in parts:
                yield part

    async def _tip(self, turn: Turn, messages: Sequence[Message]) -> int | None:
        """Where the question goes on from: an older answer of this conversation that it replies to, else the latest."""
        for message in reversed(messages):
            exchange = await self._history.exchange(turn.chat, message.replies_to) if message.replies_to else None
            if exchange and exchange.answer and exchange.answer.epoch == turn.epoch:
                return exchange.answer.id
        return turn.head

    async def _late(self, turn: Turn, messages: Sequence[Message]) -> Parts:
        """Ask before answering what was said long ago. A question is kept for the button to ask; a command is run by it."""
        command = command_of(messages[0].text) if len(messages) == 1 else None
        if command:
            words, action = messages[0].text, f"run:{messages[0].text}"
        else:
            question = (await self._asking.read(turn, messages)).question
            words, action = question.text, f"again:{turn.id}"
            tip = await self._tip(turn, messages)
            yield Asked(text=question.text, author=question.author, parent=tip, files=question.files)
        yield Text(phrases.LATE.format(words=context.words(words)).to(turn.language))
        yield Buttons(((Choice(phrases.ANSWER_NOW.to(turn.language), action),),))
        yield Finished(reason=Finish.COMMAND)

    # --- edits ---------------------------------------------------------------------------------------------------------

    async def _edit(self, turn: Turn, message: Message, messages: Sequence[Message]) -> Parts:
        async with aclosing(await self._edited(turn, message, messages)) as parts:
            async for part in parts:
                yield part

    async def _edited(self, turn: Turn, message: Message, messages: Sequence[Message]) -> Parts:
        """The last question is asked anew in the messages of its answer; an older one stays as it was. `messages` are those
        that were answered together with the edited one."""
        exchange = await self._history.exchange(turn.chat, message.id)
        if exchange is None or exchange.question is None:
            return self._said(turn, messages)
        if exchange.question.epoch != turn.epoch:
            return reply(turn, phrases.EDIT_TOO_OLD)
        last = await self._history.last(turn.chat, turn.head)
        if last and last.question and last.question.id == exchange.question.id:
            return self._anew(turn, messages, last, exchange.question.parent)
        if exchange.answer is None:
            return self._anew(turn, messages, exchange, turn.head) if exchange.latest else self._said(turn, messages)
        return reply(turn, phrases.EDIT_TOO_OLD)

    async def _anew(self, turn: Turn, messages: Sequence[Message], exchange: Exchange, tip: int | None) -> Parts:
        yield Replaces(exchange.turn)
        command = command_of(messages[0].text) if len(messages) == 1 else None
        if command and command[0] == "image":
            order = Order.read(command[1])
            answer = draw(self._asking, turn, order, tip) if order.prompt else reply(turn, phrases.IMAGE_WHAT)
        elif command:
            answer = self._said(turn, messages)
        else:
            heard = await self._asking.read(turn, messages)
            answer = self._asking.ask(turn, Request(question=heard.question, tip=tip, asides=heard.asides))
        async with aclosing(answer):
            async for part in answer:
                yield part

    # --- presses -------------------------------------------------------------------------------------------------------

    async def _press(self, turn: Turn, pressed: Pressed) -> Parts:
        row = await self._history.button(pressed.button)
        if row is None or row.chat != turn.chat or row.expires < self._clock():
            answer = reply(turn, phrases.BUTTON_OLD)
        elif row.person and row.person != pressed.author.id and not pressed.author.owner:
            answer = reply(turn, phrases.BUTTON_FOREIGN.format(name=context.speaker_of(pressed.author.name)))
        elif row.used:
            answer = _silence()
        else:
            yield Spent(row.id)
            verb, _, rest = row.action.partition(":")
            answer = await self._act(turn, verb, rest)
        async with aclosing(answer):
            async for part in answer:
                yield part

    async def _act(self, turn: Turn, verb: str, rest: str) -> Parts:
        """What the button's row says: its verb is one of those that we gave out, with what belongs to it."""
        match verb:
            case "again":
                return await self._again(turn, int(rest))
            case "ask":
                name, _, earlier = rest.rpartition(":")
                found = self._models.find(name)
                return await self._again(turn, int(earlier), found if isinstance(found, ModelCard) else None)
            case "continue":
                return await self._continue(turn, int(rest))
            case "call":
                earlier, fingerprint, answer = rest.split(":")
                return await self._consented(turn, int(earlier), fingerprint, given=answer == "yes")
            case "think":
                return set_thinking(self._asking, turn, rest)
            case "model":
                return choose(self._asking, turn, rest)
            case "draw":
                return draw(self._asking, turn, Order.of_action(rest), turn.head)
            case "other":
                return choose_other(self._asking, turn, Order.of_action(rest))
            case "run":
                said = Message(
                    id="", author=turn.author, address=turn.address, text=rest, at=self._clock(), language=turn.language
                )
                return self._said(turn, [said])
            case _:
                return reply(turn, phrases.BUTTON_OLD)

    async def _again(self, turn: Turn, earlier: int, card: ModelCard | None = None) -> Parts:
        entry = await self._history.asked(earlier)
        if entry is None or entry.epoch != turn.epoch:
            return reply(turn, phrases.MOVED_ON)
        return await ask_again(self._asking, turn, entry, card)

    async def _consented(self, turn: Turn, earlier: int, fingerprint: str, *, given: bool) -> Parts:
        """Go on from where an answer ended on a call that needs consent."""
        entry = await self._history.asked(earlier)
        if entry is None or entry.epoch != turn.epoch or entry.parent != turn.head:
            return reply(turn, phrases.MOVED_ON)
        question = Question(entry.text, entry.author, entry.files)
        consent = Consent(earlier, fingerprint, given=given)
        return self._asking.ask(turn, Request(question=question, tip=entry.parent, stored=entry.id, consent=consent))

    async def _continue(self, turn: Turn, earlier: int) -> Parts:
        last = await self._history.last(turn.chat, turn.head)
        if last is None or last.turn != earlier:
            return reply(turn, phrases.MOVED_ON)
        question = Question(phrases.CONTINUE_PROMPT.to(turn.language))
        return self._asking.ask(turn, Request(question=question, tip=turn.head))


async def _silence() -> Parts:
    yield Finished(reason=Finish.COMMAND)
