"""The conversation manager: what a turn asks for, and where in the history it belongs.

late? press? edit? command? else a question: `desk.py` asks it, `commands/` answers commands, `context.py` decides what the
model sees. Nothing is written here: the parts and changes that are yielded are shown and committed by the engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from bot import commands, phrases
from bot.background.delivering import deliver
from bot.commands.command import reply, silence
from bot.commands.compare import keep
from bot.commands.conversation import ask_again
from bot.commands.later import prompt_of
from bot.commands.model import choose
from bot.commands.ordering import pictures_of
from bot.commands.reordering import choose_other, kind_of, order_like, order_said
from bot.commands.tasks import cancel
from bot.commands.think import set_thinking
from bot.commands.voice import set_voice
from bot.conversation import context
from bot.conversation.context import Question
from bot.conversation.desk import Desk, Parts, Request
from bot.conversation.questions import Fetching
from bot.conversation.toolwork import Consent
from bot.errors import Declined, TooLarge, Unreadable
from bot.lanes import command_of
from bot.messages import (
    Asked,
    Buttons,
    Cancelled,
    Choice,
    Closes,
    Edited,
    Ended,
    Finish,
    Finished,
    Message,
    Pressed,
    Replaces,
    Rewound,
    Spent,
    Text,
    Turn,
)
from bot.messages.orders import WorkOrder
from bot.ports import Exchange, Files, History, Job, Jobs, ModelCard, Models, Offers, Prompt, Toolbox, ToolRuns

LASTING = frozenset({"keep"})  # buttons that work again: between answers one may choose, and choose otherwise
ASKING = frozenset({"compare", "search"})  # commands whose question, edited, goes on from where it did


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
        runs: ToolRuns | None = None,
        jobs: Jobs | None = None,
        offers: Offers | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._history = history
        self._models = models
        self._desk = Desk(
            history=history, models=models, platforms=platforms, files=files, image_model=image_model, toolbox=toolbox,
            runs=runs, jobs=jobs, offers=offers, clock=clock,
        )  # fmt: skip
        self._clock = clock

    async def answer(self, turn: Turn) -> Parts:
        try:
            async with aclosing(await self._route(turn)) as parts:
                async for part in parts:
                    yield part
        except (Declined, TooLarge, Unreadable) as refusal:
            yield Text(refusal.phrase.to(turn.language))
            yield Finished(reason=Finish.COMMAND)

    async def prompt_of(self, job: Job, order: WorkOrder) -> Prompt:
        """What the model is asked for a question that is answered later. Raises Unreadable, ModelError."""
        return await prompt_of(self._desk, job, order)

    async def _route(self, turn: Turn) -> Parts:
        match turn.said:
            case Pressed():
                return self._press(turn, turn.said)
            case Edited(message, among):
                together = among or (message,)
                return self._late(turn, together) if turn.late else await self._edit(turn, message, together)
            case Ended():
                return await deliver(self._desk, turn, turn.said)
            case messages:
                return self._late(turn, messages) if turn.late else await self._said(turn, messages)

    async def _said(self, turn: Turn, messages: Sequence[Message]) -> Parts:
        command = command_of(messages[0].text) if len(messages) == 1 else None
        if command:
            return await commands.run(self._desk, turn, messages[0], *command)
        return await self._question(turn, messages, await self._desk.tip(turn, messages))

    # --- questions -----------------------------------------------------------------------------------------------------

    async def _question(self, turn: Turn, messages: Sequence[Message], tip: int | None) -> Parts:
        heard = await self._desk.read(turn, messages)
        request = Request(question=heard.question, tip=tip, asides=heard.asides, quote=heard.quote)
        return self._desk.ask(turn, request)

    async def _late(self, turn: Turn, messages: Sequence[Message]) -> Parts:
        """Ask before answering what was said long ago. A question is kept for the button to ask, and so are the pictures of an
        order; a command is run by it."""
        command = command_of(messages[0].text) if len(messages) == 1 else None
        if command and command[0] == "later" and messages[0].attachments:  # a button keeps words only
            messages, command = [replace(messages[0], text=command[1])], None
        words = messages[0].text
        if command and kind_of(words) and (pictures := await pictures_of(self._desk, turn, messages[0])):
            action, author = f"again:{turn.id}", context.speaker_of(turn.author.name) if turn.address.group else ""
            yield Asked(text=words, author=author, parent=turn.head, files=pictures)
        elif command:
            action = f"run:{words}"
        else:
            question = (await self._desk.read(turn, messages)).question
            words, action = question.text, f"again:{turn.id}"
            tip = await self._desk.tip(turn, messages)
            yield Asked(text=question.text, author=question.author, parent=tip, files=question.files)
        yield Text(phrases.LATE.format(words=context.words(words)).to(turn.language))
        yield Buttons(((Choice(phrases.ANSWER_NOW.to(turn.language), action),),))
        yield Finished(reason=Finish.COMMAND)

    # --- edits ---------------------------------------------------------------------------------------------------------

    async def _edit(self, turn: Turn, message: Message, messages: Sequence[Message]) -> Parts:
        """The last question is asked anew in the messages of its answer; an older one stays as it was. `messages` are those
        that were answered together with the edited one."""
        exchange = await self._history.exchange(turn.chat, message.id)
        if exchange is None or exchange.question is None:
            return await self._said(turn, messages)
        if exchange.question.epoch != turn.epoch:
            return reply(turn, phrases.EDIT_TOO_OLD)
        last = await self._history.last(turn.chat, turn.head)
        if last and last.question and last.question.id == exchange.question.id:
            return self._anew(turn, messages, last, exchange.question.parent)
        if exchange.latest and len(await self._history.answers(exchange.turn)) > 1:  # of which none is chosen yet
            return self._anew(turn, messages, exchange, turn.head)
        if exchange.answer is None:
            here = exchange.latest or await self._is_open(exchange.turn)
            return self._anew(turn, messages, exchange, turn.head) if here else await self._said(turn, messages)
        return reply(turn, phrases.EDIT_TOO_OLD)

    async def _anew(self, turn: Turn, messages: Sequence[Message], exchange: Exchange, tip: int | None) -> Parts:
        yield Replaces(exchange.turn)
        if await self._is_open(exchange.turn):
            yield Cancelled(exchange.turn)
        command = command_of(messages[0].text) if len(messages) == 1 else None
        if command and kind_of(messages[0].text):
            answer = await order_said(self._desk, turn, messages[0], tip)
        elif command:
            if command[0] == "compare":  # its answers do not move the conversation on from what they replace
                yield Rewound(tip)
            answer = await self._said(replace(turn, head=tip) if command[0] in ASKING else turn, messages)
        else:
            answer = await self._question(turn, messages, tip)
        async with aclosing(answer):
            async for part in answer:
                yield part

    async def _is_open(self, turn: int) -> bool:
        """Whether what that turn ordered is not done yet."""
        job = await self._desk.job(turn)
        return job is not None and job.ended is None

    # --- presses -------------------------------------------------------------------------------------------------------

    async def _press(self, turn: Turn, pressed: Pressed) -> Parts:
        row = await self._history.button(pressed.button)
        if row is None or row.chat != turn.chat or row.expires < self._clock():
            answer = reply(turn, phrases.BUTTON_OLD)
        elif row.person and row.person != pressed.author.id and not pressed.author.owner:
            answer = reply(turn, phrases.BUTTON_FOREIGN.format(name=context.speaker_of(pressed.author.name)))
        elif row.used:
            answer = silence()
        else:
            verb, _, rest = row.action.partition(":")
            if verb not in LASTING:
                yield Spent(row.id)
            if (asked := _answered_by(verb, rest)) is not None:
                yield Closes(asked)
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
                earlier, head, fingerprint, answer = rest.split(":")
                return await self._consented(turn, head, Consent(int(earlier), fingerprint, given=answer == "yes"))
            case "think":
                return set_thinking(self._desk, turn, rest)
            case "voice":
                return set_voice(self._desk, turn, rest)
            case "keep":
                return await keep(self._desk, turn, rest)
            case "model":
                return choose(self._desk, turn, rest)
            case "draw":  # a video as well
                return await order_like(self._desk, turn, rest)
            case "other":
                return await choose_other(self._desk, turn, rest)
            case "cancel":
                return await cancel(self._desk, turn, rest)
            case "run":
                said = Message(
                    id="", author=turn.author, address=turn.address, text=rest, at=self._clock(), language=turn.language
                )
                return await self._said(turn, [said])
            case _:
                return reply(turn, phrases.BUTTON_OLD)

    async def _again(self, turn: Turn, earlier: int, card: ModelCard | None = None) -> Parts:
        entry = await self._history.asked(earlier)
        if entry is None or entry.epoch != turn.epoch:
            return reply(turn, phrases.MOVED_ON)
        return await ask_again(self._desk, turn, entry, card)

    async def _consented(self, turn: Turn, head: str, consent: Consent) -> Parts:
        """Go on from where an answer ended on a call that needs consent, while the conversation stands where it stood then
        (`head`) and nobody has pressed the other button: what was run cannot be declined any more."""
        entry = await self._history.asked(consent.turn)
        if entry is None or entry.epoch != turn.epoch:
            return reply(turn, phrases.MOVED_ON)
        if await self._history.last_turn(turn.chat, entry.id) != consent.turn:
            return reply(turn, phrases.answering.CONSENT_OVER)
        if head != str(turn.head):
            return reply(turn, phrases.MOVED_ON)
        question = Question.of(entry)
        return self._desk.ask(turn, Request(question=question, tip=entry.parent, stored=entry.id, consent=consent))

    async def _continue(self, turn: Turn, earlier: int) -> Parts:
        last = await self._history.last(turn.chat, turn.head)
        if last is None or last.turn != earlier:
            return reply(turn, phrases.MOVED_ON)
        question = Question(phrases.CONTINUE_PROMPT.to(turn.language))
        return self._desk.ask(turn, Request(question=question, tip=turn.head))


def _answered_by(verb: str, rest: str) -> int | None:
    """The turn whose question such a press answers in another way: its other buttons have nothing more to do."""
    match verb:
        case "again" | "continue":
            return int(rest)
        case "ask":
            return int(rest.rpartition(":")[2])
        case "call":
            return int(rest.partition(":")[0])
        case _:
            return None
