"""Named crash points: the process dies right before and right after every commit, every send, edit and removal, and around
every vendor's call. For each point somebody does what must pass by it; then the process is started again, and everything must
come to rest. A point that is never passed is as wrong as a broken invariant.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import aiohttp

from bot import phrases
from bot.simulator import Fault
from tests.crashing import points
from tests.servers.telegram import Chat, Message, TelegramServer, User, picture
from tests.torture.checker import check
from tests.torture.crowd import Mouth, OnTelegram, Person
from tests.torture.part import Effort, Tally
from tests.torture.world import World, cards_of, person_on, settled, world

log = logging.getLogger(__name__)

PASSED = 20.0  # seconds in which the point must be passed
OFTEN = 3  # of the points that one answer passes several times, one of the first so many is taken
SLOW = 0.05  # seconds between two chunks: an answer takes long enough for somebody to break in
PASSED_OFTEN = frozenset(
    f"{side} {name}.edit" for side in ("before", "after") for name in ("telegram", "discord", "web")
)
PROGRAM = "tests.crashing"


@dataclass(slots=True)
class Fuse:
    """What the mined process reads: at which point it is to die, and when. The file is gone once it did."""

    file: Path
    armed: asyncio.Event = field(default_factory=asyncio.Event)

    def arm(self, point: str, count: int) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{point} {count}", "ascii")
        fresh.rename(self.file)  # at once as a whole
        self.armed.set()

    def cut(self) -> bool:
        """Whether it went off; it no longer can."""
        blown = self.armed.is_set() and not self.file.exists()
        self.file.unlink(missing_ok=True)
        self.armed = asyncio.Event()
        return blown


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
    await one.mouth.say("/model qwen-flash")
    await one.shows("qwen-flash")
    one.arm()
    await one.person.ask()


async def draw(one: Passing) -> None:
    one.arm()
    await one.person.draw()


async def draw_with_qwen(one: Passing) -> None:
    await one.mouth.say("/model qwen-flash")
    await one.shows("qwen-flash")
    one.arm()
    await one.person.draw()


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


async def garble(one: Passing) -> None:
    """A control event that nobody can read."""
    server, chat = _telegram(one)
    one.unheard.append(one.mouth.chat)
    said = Message(chat, server.state.new_id(chat), int(time.time()), server.state.users[chat.id], text="/stop")
    one.arm()
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
    """An answer of a picture and a line becomes one of a line alone."""
    browser, chat = one.made.browser, one.mouth.chat.removeprefix("web:")
    assert browser is not None
    place = f"/api/chats/{chat}"
    async with browser.post(f"{place}/files", data=picture(), headers={"Content-Type": "image/jpeg"}) as response:
        kept = await response.json()
    message = f"browser-{one.person.canary}"
    said = {"id": message, "text": f"/image a nest {one.person.canary}", "files": [kept]}
    async with browser.post(f"{place}/messages", json=said) as response:
        assert response.status == 200, await response.text()
    await one.shows(phrases.IMAGE_ALONE.en)
    one.arm()
    await one.mouth.edit(message, one.person.canary)


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
    deadline = time.monotonic() + PASSED
    while time.monotonic() < deadline:
        if await condition():
            return True
        await asyncio.sleep(0.02)
    return False


# --- which way leads past which point ----------------------------------------------------------------------------------

WAYS: Mapping[str, tuple[str, Way]] = {
    **{f"store.{commit}": ("telegram", ask) for commit in ("accept", "claim", "complete", "sent", "shown", "reserve")},
    "store.retry": ("telegram", interrupted),
    "store.settle": ("telegram", fail),
    "store.stop": ("telegram", stop),
    "store.reset": ("telegram", reset),
    "store.replace": ("telegram", shorten),
    "store.gone": ("telegram", delete),
    "store.drop": ("telegram", leave),
    "store.leave": ("telegram", leave),
    "store.bury": ("telegram", leave),
    "store.dismiss": ("telegram", garble),
    "store.move": ("telegram", migrate),
    "store.note": ("discord", ask_again),
    "store.put": ("web", ask),
    **{f"telegram.{call}": ("telegram", ask) for call in ("send", "edit")},
    **{f"discord.{call}": ("discord", ask_again) for call in ("send", "edit")},
    **{f"web.{call}": ("web", ask) for call in ("send", "edit")},
    "telegram.remove": ("telegram", shorten),
    "discord.remove": ("discord", shorten),
    "web.remove": ("web", redraw),
    "glm.stream": ("telegram", ask),
    "glm.draw": ("telegram", draw),
    "qwen.stream": ("telegram", ask_qwen),
    "qwen.draw": ("telegram", draw_with_qwen),
}


def way_of(point: str) -> tuple[str, Way]:
    return WAYS[point.partition(" ")[2]]


async def torture(effort: Effort) -> Tally:
    """Every point once, and then again in another order, as often as the time allows."""
    tally, end, number = Tally(), time.monotonic() + effort.seconds, 0
    while not number or time.monotonic() < end:
        for platform in ("telegram", "discord", "web"):
            chosen = [point for point in points() if way_of(point)[0] == platform]
            chance = effort.chance(f"points {number}")
            chance.shuffle(chosen)
            place = effort.scratch / f"{platform}{number}"
            found = await pass_by(chosen, place, chance)
            found.wrong = [f"points on {platform}, seed {effort.seed}, round {number}: {one}" for one in found.wrong]
            tally.add(found)
            log.info("points, round %d: %d on %s, %d wrong", number, len(chosen), platform, len(found.wrong))
            if not found.wrong:
                shutil.rmtree(place)
        number += 1
    tally.figures["different crash points"] = len(points())
    return tally


async def pass_by(chosen: Sequence[str], directory: Path, chance: random.Random, storage: str = "") -> Tally:
    """One after the other, in one world; all of them on one platform."""
    tally, fuse = Tally(), Fuse(directory / "point")
    platform = {way_of(point)[0] for point in chosen}
    unheard: list[str] = []
    opened = world(
        directory,
        chance,
        on=sorted(platform),
        people=0,
        storage=storage,
        program=PROGRAM,
        per_token=SLOW,
        CRASH_POINT=str(fuse.file),
    )
    async with opened as made:
        for point in chosen:
            count = chance.randint(1, OFTEN) if point in PASSED_OFTEN else 1
            person = person_on(made, *platform)
            passing = Passing(made, person, partial(fuse.arm, point, count), unheard)
            if not await _pass(passing, way_of(point)[1], fuse):
                tally.wrong.append(f"{point} was never passed")
            tally.tried["crash points passed"] += 1
        await made.rest()
        run = await made.run()
        tally.wrong += _heard([*made.wrong, *check(run)], unheard)
    return tally


async def _pass(one: Passing, way: Way, fuse: Fuse) -> bool:
    """Whether the process died there. Whatever was being done goes on beside it: a browser insists until it is heard."""
    made, worker = one.made, one.made.workers[0]
    async with asyncio.TaskGroup() as people:
        people.create_task(_do(way, one))
        try:
            async with asyncio.timeout(PASSED):
                await fuse.armed.wait()
                await worker.ended()
        except TimeoutError:
            await worker.kill()
        passed = fuse.cut()
        made.kills.append(time.monotonic())
        await worker.start()
        await made.connected()
    return passed


async def _do(way: Way, one: Passing) -> None:
    await way(one)


def _heard(sentences: Iterable[str], unheard: Sequence[str]) -> list[str]:
    about = tuple(f"{chat}{mark}" for chat in unheard for mark in ":,")
    return [sentence for sentence in sentences if not sentence.startswith(about)]
