"""People who keep talking to the bot, whatever becomes of it, and the model that answers them with all that it was told.

What they do is drawn by chance from a seed: questions with short and long answers, edits, commands, resets, stops, presses.
Each writes down what they did, in order; a place to talk (`Mouth`) is all that differs between the platforms.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol
from uuid import uuid4

import aiohttp

from bot import phrases
from bot.simulator import Question, Reply
from bot.simulator.calling import results
from bot.simulator.words import ToolCall
from tests.product import STOP
from tests.servers.discord import DiscordServer
from tests.servers.discord_state import Message as DiscordMessage
from tests.servers.telegram import Message, TelegramServer
from tests.torture.checker_run import CANARY, MARK, NAME, Asked, Kind, canary, mark, name

SHORT, LONG = 8, 700  # words of an answer: one piece, or several on each platform
MODELS = ("glm-4-flashx-250414", "qwen-flash", "glm-4.5-air", "qwen-plus")  # two of each vendor, none of them free
# What a question may say, and the function that the model then asks for first.
TOOLS = {"compute": ("calculate", '{"expression": "6 * 7"}'), "look up": ("search_web", '{"query": "CANARY"}')}
PATIENCE = 60.0  # seconds that a browser tries to be heard


def tell(question: Question, short: int = SHORT, at_once: int = 25) -> Reply:
    """Everything told so far that must not get elsewhere, then a numbered answer to each question that was put last: `short`
    words where no long one is asked for, `at_once` of them a token."""
    told = " ".join(said.text for said in question.said)
    marks = sorted({*CANARY.findall(told), *MARK.findall(told)})
    last = question.user_turns[-1].text
    for wish, (tool, arguments) in TOOLS.items():
        if wish in last and tool in question.tools and not results(question.said):
            arguments = arguments.replace("CANARY", next(iter(CANARY.findall(told)), ""))
            return Reply(tool_calls=(ToolCall("call_1", tool, arguments),), finish="tool_calls")
    chunks = [f"Given {' '.join(marks)}.\n\n"]
    for asked in dict.fromkeys(NAME.findall(last)):
        count = LONG if f"{asked} long" in last else short
        words = [f"{asked}w{number}" for number in range(1, count + 1)]
        chunks += [" ".join(words[at : at + at_once]) + " " for at in range(0, count, at_once)]
        chunks.append(f"{asked}z\n\n")
    return Reply(chunks=tuple(chunks))


class Mouth(Protocol):
    """One person in one chat. Each returns when the platform has it; `chat` is the store's name of the place."""

    chat: str

    async def say(self, text: str) -> str:
        """The id of the new message."""

    async def edit(self, message: str, text: str) -> None: ...

    async def press(self, *labels: str) -> bool:
        """Press the last button that bears one of the labels (any button, without labels); False where there is none."""


class Person:
    """Number `number`, with a canary, marks and names of their own."""

    def __init__(self, number: int, mouth: Mouth, chance: random.Random) -> None:
        self.canary = canary(number)
        self.mouth = mouth
        self.asked: list[Asked] = []
        self._number, self._chance = number, chance
        self._epoch = self._count = 1
        self._aside = ""

    async def act(self) -> None:
        """One thing, by chance."""
        acts: Sequence[tuple[float, Callable[[], Awaitable[None]]]] = (
            (10, self.ask),
            (3, lambda: self.ask(long=True)),
            (2, self.ask_aside),
            (2, self.ask_tool),
            (1, self.ask_later),
            (1, self.draw),
            (0.5, self.film),
            (3, self.edit),
            (2, self.command),
            (1, self.choose),
            (1, self.reset),
            (1, self.stop),
            (2, self.press_stop),
            (1, self.press),
        )
        await self._chance.choices([act for _, act in acts], [weight for weight, _ in acts])[0]()

    async def ask(self, *, long: bool = False, aside: bool = False) -> None:
        called = self._next()
        self._aside = called if aside else self._aside
        await self._say("question", f"{'/ask ' if aside else ''}{called} {'long' if long else 'please'}", called)

    async def ask_aside(self) -> None:
        await self.ask(aside=True)

    async def edit(self) -> None:
        """The question that was just asked, if it was one: what was asked aside is no part of the conversation."""
        last = self.asked[-1] if self.asked else None
        if last is None or last.kind != "question" or last.name == self._aside:
            await self.ask()
            return
        called = self._next()
        self._note("edit", last.message, called, last.name)
        await self.mouth.edit(last.message, self._text(f"{called} please"))

    async def command(self) -> None:
        called = self._next()
        await self._say("command", f"/{called}", called, bare=True)

    async def choose(self) -> None:
        await self._say("other", f"/model {self._chance.choice(MODELS)}", bare=True)

    async def ask_tool(self, words: str = "compute") -> None:
        called = self._next()
        await self._say("question", f"{called} please {words}", called)

    async def ask_later(self) -> None:
        called = self._next()
        await self._say("later", f"/later {called} please", called)

    async def draw(self, model: str = "") -> None:
        called, wish = self._next(), f"--model {model} " if model else ""
        await self._say("picture", f"/image {wish}{called} a nest", called)

    async def film(self) -> None:
        called = self._next()
        await self._say("video", f"/video {called} a nest", called)

    async def cancel(self) -> None:
        """Told before it is done, as `press_stop`."""
        self._note("stop")
        await self.mouth.press(phrases.jobs.CANCEL.en)

    async def reset(self) -> None:
        await self._say("reset", "/reset", bare=True)
        self._epoch += 1

    async def stop(self) -> None:
        await self._say("stop", "/stop", bare=True)

    async def press_stop(self) -> None:
        """It is told before it is done: what it stops may be over by then, and then nothing is excused."""
        self._note("stop")
        await self.mouth.press(*STOP)

    async def press(self) -> None:
        await self._say("other", "/model", bare=True)
        self._note("other")
        await self.mouth.press(*MODELS)

    def _next(self) -> str:
        self._count += 1
        return name(self._number, self._count)

    def _text(self, text: str) -> str:
        return f"{text} {self.canary} {mark(self._number, self._epoch)}"

    async def _say(self, kind: Kind, text: str, called: str = "", *, bare: bool = False) -> None:
        """Nothing else is said here meanwhile, so the place in the list is the place in the chat."""
        message = await self.mouth.say(text if bare else self._text(text))
        self._note(kind, message, called)

    def _note(self, kind: Kind, message: str = "", called: str = "", replaces: str = "") -> None:
        marked = mark(self._number, self._epoch)
        chat = self.mouth.chat
        self.asked.append(Asked(chat=chat, kind=kind, message=message, name=called, mark=marked, replaces=replaces))


class OnTelegram:
    def __init__(self, server: TelegramServer, number: int) -> None:
        self._server = server
        self._user = server.user(f"person{number}")
        self.place = server.private(self._user)
        self._said: dict[str, Message] = {}
        self.chat = f"telegram:{self.place.id}"

    async def say(self, text: str) -> str:
        message = self._server.say(self.place, self._user, text)
        self._said[str(message.id)] = message
        return str(message.id)

    async def edit(self, message: str, text: str) -> None:
        self._server.edit(self._said[message], text)

    async def press(self, *labels: str) -> bool:
        for message in reversed(self._server.messages(self.place)):
            label = next((label for label in message.buttons if not labels or label in labels), None)
            if message.from_bot and label:
                self._server.press(message, label, self._user)
                return True
        return False


class OnDiscord:
    def __init__(self, server: DiscordServer, number: int) -> None:
        self._server = server
        self._user = server.user(f"person{number}")
        self._channel = server.dm(self._user)
        self._said: dict[str, DiscordMessage] = {}
        self.chat = f"discord:{self._channel.id}"

    async def say(self, text: str) -> str:
        message = self._server.say(self._channel, self._user, text)
        self._said[str(message.id)] = message
        return str(message.id)

    async def edit(self, message: str, text: str) -> None:
        self._server.edit(self._said[message], text)

    async def press(self, *labels: str) -> bool:
        for message in reversed(self._server.messages(self._channel)):
            for button in message.buttons:
                if message.author == self._server.bot and (not labels or button.label in labels):
                    self._server.press(message, button.label, self._user)
                    return True
        return False


class OnPage:
    """A browser: what the server did not confirm is said again under the same id."""

    def __init__(self, browser: aiohttp.ClientSession, number: int) -> None:
        self._browser = browser
        self._id = f"chat{number}"
        self.chat = f"web:{self._id}"

    async def say(self, text: str) -> str:
        message = f"browser-{uuid4().hex[:12]}"
        await self._insist("POST", f"/api/chats/{self._id}/messages", {"id": message, "text": text})
        return message

    async def edit(self, message: str, text: str) -> None:
        body = {"id": f"edit-{uuid4().hex[:12]}", "text": text}
        await self._insist("PUT", f"/api/chats/{self._id}/messages/{message}", body)

    async def press(self, *labels: str) -> bool:
        """The page's own stop button has no message."""
        if set(labels) & set(STOP):
            await self._insist("POST", f"/api/chats/{self._id}/stop", {"id": f"stop-{uuid4().hex[:12]}"})
            return True
        try:
            cards = await cards_of(self._browser, self._id)
        except aiohttp.ClientError:
            return False  # the server is dead just now
        for card in reversed(cards):
            for label, button in (choice for row in card["buttons"] for choice in row):
                if not labels or label in labels:
                    pressed = {"id": f"press-{uuid4().hex[:12]}", "button": button}
                    await self._insist("POST", f"/api/chats/{self._id}/press", pressed)
                    return True
        return False

    async def _insist(self, method: str, path: str, body: object) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with self._browser.request(method, path, json=body) as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    pass  # the server is dead just now: the browser tries again
                await asyncio.sleep(0.05)


async def cards_of(browser: aiohttp.ClientSession, chat: str) -> list[dict[str, Any]]:
    """The messages of one chat, as a browser that opens it gets them."""
    cards: dict[str, dict[str, Any]] = {}
    async with asyncio.timeout(30), browser.get(f"/api/chats/{chat}/events") as response:
        async for line in response.content:
            if line.startswith(b"event: live"):
                break
            if line.startswith(b"data: ["):
                cards |= {card["id"]: card for card in json.loads(line[6:])}
    return list(cards.values())
