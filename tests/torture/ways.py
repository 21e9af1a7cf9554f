"""Ways past the crash points: what somebody does so that one certain thing must happen in the product."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from bot.conversation.sound import to_ogg_opus
from bot.simulator import Fault
from bot.simulator.sounds import speech
from tests.servers.telegram import Chat, Message, TelegramServer, User
from tests.torture.checker_collect import stored
from tests.torture.crowd import Mouth, OnTelegram, Person, cards_of
from tests.torture.world import PAGE_TOKEN, World, settled

PATIENCE = 20.0  # seconds for what must happen on the way
OUTAGE = 2.5  # seconds without a database: more than between two looks for work
ORDERS, APART = 5, 0.3  # so many tasks, so many seconds apart: each is first looked after 2 s after it was taken


@dataclass(frozen=True, slots=True)
class Passing:
    """Somebody on their way to a point. `arm` is called when the next thing they do passes it. `unheard` are chats in which
    nobody is left to be answered, or that bear somebody else's words: they are not judged."""

    made: World
    person: Person
    arm: Callable[[], None]
    unheard: list[str]

    @property
    def mouth(self) -> Mouth:
        return self.person.mouth

    async def shows(self, text: str) -> bool:
        """Until a message of the bot in this chat holds the text."""
        return await _until(lambda: self._holds(text))

    async def _holds(self, text: str) -> bool:
        return any(text in shown for shown in await texts(self.made, self.mouth.chat))

    async def ask_and_wait(self, *, long: bool = False) -> None:
        await self.person.ask(long=long)
        await self.shows(f"{self.person.asked[-1].name}z")


Way = Callable[[Passing], Awaitable[None]]


# --- ways past the points ----------------------------------------------------------------------------------------------


async def ask(one: Passing) -> None:
    one.arm()
    await one.person.ask(long=True)


async def ask_again(one: Passing) -> None:
    """In a chat that is known: of a private chat on Discord that was first opened while we were dying nobody can tell us."""
    await one.ask_and_wait()
    one.arm()
    await one.person.ask(long=True)


async def ask_qwen(one: Passing) -> None:
    await _on_qwen(one)
    one.arm()
    await one.person.ask()


async def draw(one: Passing) -> None:
    one.arm()
    await one.person.draw()


async def ask_later(one: Passing) -> None:
    one.arm()
    await one.person.ask_later()


async def ask_tool(one: Passing) -> None:
    one.arm()
    await one.person.ask_tool()


async def look_up(one: Passing) -> None:
    """A function that asks the vendor in its turn."""
    one.arm()
    await one.person.ask_tool("look up")


async def film_with_qwen(one: Passing) -> None:
    await _on_qwen(one)
    one.arm()
    await one.person.film()


async def wait_for_a_busy_vendor(one: Passing) -> None:
    """It does not take the order at first."""
    one.made.models.fail(Fault(vendor="glm", code="1302", when=lambda body: one.person.canary in str(body)))
    one.arm()
    await one.person.ask_later()


async def cancel(one: Passing) -> None:
    await one.person.ask_later()
    await _call_off(one)


async def cancel_with_qwen(one: Passing) -> None:
    await _on_qwen(one)
    await one.person.film()
    await _call_off(one)


async def _call_off(one: Passing) -> None:
    """The vendor has it by now."""

    async def is_taken() -> bool:
        return any(work.task for work in (await stored(one.made.url)).worked if work.chat == one.mouth.chat)

    await _until(is_taken)
    one.arm()
    await one.person.cancel()


async def say_aloud(one: Passing) -> None:
    """It may be heard twice; what is left then is heard by the next one."""
    server, chat = _telegram(one)
    one.unheard.append(one.mouth.chat)
    one.made.models.hear(*[one.person.canary] * 2)
    note = await to_ogg_opus([speech("what is heard")])
    one.arm()
    server.send_voice(chat, server.state.users[chat.id], note.data)


async def say_aloud_to_qwen(one: Passing) -> None:
    await _on_qwen(one)
    await say_aloud(one)


async def listen(one: Passing) -> None:
    """The answer is spoken, too."""
    await one.mouth.say("/voice on")
    await one.shows("/voice off")
    one.arm()
    await one.person.ask()


async def listen_to_qwen(one: Passing) -> None:
    await _on_qwen(one)
    await listen(one)


async def _on_qwen(one: Passing) -> None:
    await one.mouth.say("/model qwen-flash")
    await one.shows("qwen-flash")


async def shorten(one: Passing) -> None:
    """Edit a question with a long answer into one with a short one: its messages are taken over, and some are too many."""
    await one.ask_and_wait(long=True)
    one.arm()
    await one.person.edit()


async def stop(one: Passing) -> None:
    await _begin(one)
    one.arm()
    await one.person.stop()


async def reset(one: Passing) -> None:
    await one.ask_and_wait()
    one.arm()
    await one.person.reset()
    await one.person.ask()


async def interrupted(one: Passing) -> None:
    """A turn that a crash interrupted is begun once more."""
    await _begin(one)
    await one.made.workers[0].kill()
    one.made.kills.append(time.monotonic())
    await one.made.workers[0].start(ready=False)
    one.arm()


async def restart(one: Passing) -> None:
    await one.made.workers[0].kill()
    one.made.kills.append(time.monotonic())
    await one.made.workers[0].start(ready=False)
    one.arm()


async def retire(one: Passing) -> None:
    """Asked to end, in the middle of an answer."""
    await _begin(one)
    one.arm()
    await one.made.workers[0].end()


async def lose_the_database(one: Passing) -> None:
    """It goes and comes back while something waits: whether the last claim was committed is not known."""
    server = one.made.database
    assert server is not None
    await _begin(one)
    one.arm()
    for _ in range(3):
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(OUTAGE)  # how long it is away, not a wait for something
        await asyncio.to_thread(server.start)
        await one.person.ask(long=True)
        await asyncio.sleep(OUTAGE)


async def lose_the_database_with_work(one: Passing) -> None:
    """It goes away while one task after the other is due to be looked after, before our lease is over: only then is any
    claimed."""
    server, died = one.made.database, len(one.made.kills)
    assert server is not None
    for _ in range(3):
        for _ in range(ORDERS):
            await one.person.ask_later()
            await asyncio.sleep(APART)  # how people pause
        await _until(lambda: _is_looked_after(one))
        one.arm()
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(OUTAGE)  # how long it is away, not a wait for something
        await asyncio.to_thread(server.start)
        await asyncio.sleep(OUTAGE)
        if len(one.made.kills) > died:
            return


async def _is_looked_after(one: Passing) -> bool:
    """Whether the vendor has all that this person ordered, up to the last."""
    works = [work for work in (await stored(one.made.url)).worked if work.chat == one.mouth.chat]
    return len(works) == len(one.person.asked) and bool(works[-1].task)


async def lose_the_duty(one: Passing) -> None:
    """The token is refused: who polls it gives that up."""
    server, _ = _telegram(one)
    one.arm()
    server.fail("getUpdates", status=401, description="Unauthorized")
    await one.person.ask()


async def run_out_of_money(one: Passing) -> None:
    """The owner is told, once an hour."""
    one.made.models.fail(Fault(vendor="glm", code="1113", when=lambda body: one.person.canary in str(body)))
    one.arm()
    await one.person.ask()


async def fail(one: Passing) -> None:
    """The vendor refuses: the money goes back by itself."""
    one.made.models.fail(Fault(vendor="glm", code="1214", when=lambda body: one.person.canary in str(body)))
    one.arm()
    await one.person.ask()


async def leave(one: Passing) -> None:
    """They block the bot in the middle of its answer."""
    server, chat = _telegram(one)
    one.unheard.append(one.mouth.chat)
    await _begin(one)
    one.arm()
    server.block(chat)


async def delete(one: Passing) -> None:
    """They delete the bot's message while it is being written."""
    server, chat = _telegram(one)
    await _begin(one)
    one.arm()
    server.delete(next(message for message in server.messages(chat) if message.from_bot))


async def forbid(one: Passing) -> None:
    """The chat is closed to the bot in the middle of its answer, and nobody tells it of that."""
    server, chat = _telegram(one)
    one.unheard.append(one.mouth.chat)
    await _begin(one)
    one.arm()
    # Once for a preview, once for the answer that ends with it.
    server.fail(
        "editMessageText",
        times=2,
        status=403,
        description="Forbidden: bot was blocked by the user",
        when=lambda parameters: str(parameters.get("chat_id")) == str(chat.id),
    )


async def garble(one: Passing) -> None:
    one.arm()
    _say_garbled(one)


async def retry_garbled(one: Passing) -> None:
    """The operator has a dead letter queued again; it cannot be read this time either."""
    _say_garbled(one)
    dead: list[int] = []

    async def is_dead() -> bool:
        rows = (await stored(one.made.url)).accepted
        dead[:] = [row.id for row in rows if row.chat == one.mouth.chat and row.state == "dead"]
        return bool(dead)

    await _until(is_dead)
    one.arm()
    url = one.made.workers[0].url
    headers = {"Origin": url, "Authorization": f"Bearer {PAGE_TOKEN}"}
    with suppress(aiohttp.ClientError):  # it dies of this
        async with aiohttp.ClientSession(headers=headers) as operator:
            await operator.post(f"{url}/dead/retry", json={"ids": dead})


def _say_garbled(one: Passing) -> None:
    """A control event that nobody can read."""
    server, chat = _telegram(one)
    one.unheard.append(one.mouth.chat)
    said = Message(chat, server.state.new_id(chat), int(time.time()), server.state.users[chat.id], text="/stop")
    body = server.state.message_json(said)
    server.push_raw({"message": body | {"from": body["from"] | {"language_code": 7}}})


async def migrate(one: Passing) -> None:
    """A group gets another id in the middle of its conversation."""
    server, _ = _telegram(one)
    one.unheard.append(one.mouth.chat)
    user: User = server.user("mover")
    group = server.group(user)
    server.say(group, user, f"@{server.state.bot.username} {one.person.canary}")
    await settled(lambda: any(message.from_bot for message in server.messages(group)))
    one.arm()
    moved = server.migrate(group)
    one.unheard.extend(f"telegram:{chat.id}" for chat in (group, moved))


async def redraw(one: Passing) -> None:
    """An answer of two pictures becomes a line: there is a message too many."""
    one.unheard.append(one.mouth.chat)
    message = await one.mouth.say(f"/image x2 --model wan2.2-t2i-flash a nest {one.person.canary}")
    await _until(lambda: _stands_twice(one))
    one.arm()
    await one.mouth.edit(message, one.person.canary)


async def _stands_twice(one: Passing) -> bool:
    return sum("<img" in text for text in await texts(one.made, one.mouth.chat)) == 2


async def _begin(one: Passing) -> None:
    """A long answer, until its first preview stands."""
    await one.person.ask(long=True)
    await one.shows(f"{one.person.asked[-1].name}w1")


def _telegram(one: Passing) -> tuple[TelegramServer, Chat]:
    mouth, server = one.mouth, one.made.telegram
    assert isinstance(mouth, OnTelegram)
    assert server is not None
    return server, mouth.place


async def texts(made: World, chat: str) -> list[str]:
    """What the bot has said in the chat, as it stands now."""
    platform, _, id = chat.partition(":")
    if platform == "telegram" and made.telegram is not None:
        return [message.text for message in made.telegram.messages(int(id)) if message.from_bot]
    if platform == "discord" and made.discord is not None:
        channel, bot = made.discord.world.channels[int(id)], made.discord.bot
        return [message.content for message in made.discord.messages(channel) if message.author == bot]
    assert made.browser is not None
    try:
        return [card["body"] for card in await cards_of(made.browser, id) if card["role"] == "bot"]
    except aiohttp.ClientError:
        return []  # the server is dead just now


async def _until(condition: Callable[[], Awaitable[bool]]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if await condition():
            return True
        await asyncio.sleep(0.02)
    return False
