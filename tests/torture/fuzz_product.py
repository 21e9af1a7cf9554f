"""The whole product under updates that no platform would send: batches of mutants with good messages among them. The poller
lives, every good one is answered, nothing waits for ever, and no traceback of ours is in the log.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.product import Member, Person, house, house_on_discord, repeat, rows, until
from tests.servers.telegram import TelegramServer
from tests.torture.fuzz_discord import Dispatches
from tests.torture.fuzz_mutate import depth, mutated
from tests.torture.fuzz_telegram import Updates
from tests.torture.part import Tally

BATCH = 60  # mutants between two good messages
ANSWER = 60.0  # seconds for a good one
QUIET = 120.0  # seconds until all that was accepted is settled
READABLE = 500  # levels of JSON, with room for those who call it
LEFT_OUT = "that cannot be read was left out"  # what Discord's reader says of an event, with the reason behind it

Enough = Callable[[int], bool]


async def on_telegram(directory: Path, tally: Tally, chance: random.Random, enough: Enough) -> None:
    """Sends mutants until there were `enough`."""
    async with house(directory, script=repeat) as here:
        server, bot = here.telegram, here.telegram.state.bot
        people = [here.person(f"P{number}") for number in range(3)]
        group = server.group(*(person.user for person in people))
        updates = Updates(
            chance,
            people=[one.user.id for one in people],
            groups=[group.id, group.id - 1],
            bot=bot.id,
            name=bot.username or "",
        )
        good = [here.person(f"G{number}") for number in range(2)]

        def say(text: str) -> None:
            for person in good:
                person.say(text)

        with _listening(tally, "telegram"):
            await _batches(
                tally, "telegram", enough, good, say, lambda: _push(server, mutated(updates.one(), chance), chance)
            )
            await _settled(tally, directory, "telegram")


def _push(server: TelegramServer, update: Any, chance: random.Random) -> None:
    """Ids of its own: Telegram's rise, whatever else is in an update. One in fifty is none."""
    if isinstance(update, dict):
        update.pop("update_id", None)
        with suppress(ValueError, RecursionError):  # too deep, or too large a number, for the stand-in to write
            server.push_raw(update | ({"update_id": "7"} if chance.random() < 0.02 else {}))


async def on_discord(directory: Path, tally: Tally, chance: random.Random, enough: Enough) -> None:
    """Sends mutants until there were `enough`."""
    async with house_on_discord(directory, script=repeat) as here:
        server, someone = here.discord, here.discord.user("someone")
        guild = server.guild("fuzz", members=[someone])
        places = str(guild.id), str(server.channel(guild, "general").id), str(server.dm(someone).id)
        dispatches = Dispatches(chance, bot=str(server.bot.id), people=[str(someone.id)], places=places)
        good = [here.member(f"g{number}") for number in range(2)]

        def say(text: str) -> None:
            for member in good:
                server.say(member.channel, member.user, text)

        def push() -> None:
            name, data = dispatches.one()
            odd = mutated(data, chance)
            # discord.py reads a frame before we see it, and one that is deeper than Python's json can read ends a connection.
            if depth(odd) < READABLE:
                with suppress(ValueError):  # a number that is too long for the stand-in to write
                    json.dumps(odd)
                    server.push_raw(name, odd)

        with _listening(tally, "discord"):
            await _batches(tally, "discord", enough, good, say, push)
            await _settled(tally, directory, "discord")


async def _batches(
    tally: Tally,
    name: str,
    enough: Enough,
    good: Sequence[Person | Member],
    say: Callable[[str], None],
    push: Callable[[], None],
) -> None:
    sent = 0
    while not enough(sent):
        for place in range(BATCH):
            if place == BATCH // 2:
                say(f"good {sent}")
            push()
        for person in good:
            tally.tried[f"{name}: good ones among them"] += 1
            if not await _hears(person, f"You said: good {sent}"):
                tally.wrong.append(f"{name}: good {sent} is not answered, but {person.texts[-3:]}")
                return
        sent += BATCH
        tally.tried[f"{name} updates through the product"] += BATCH


async def _hears(person: Person | Member, answer: str) -> bool:
    try:
        await until(lambda: person.texts.count(answer) == 1, ANSWER)
    except TimeoutError:
        return False
    return True


async def _settled(tally: Tally, directory: Path, name: str) -> None:
    """Nothing of what was accepted waits any more, neither to be answered nor to be shown."""
    waiting = (
        "SELECT 'inbox', id, payload FROM inbox WHERE state IN ('queued', 'taken') "
        "UNION ALL SELECT 'outbox', id, piece FROM outbox WHERE state IN ('queued', 'surplus')"
    )
    try:
        await until(lambda: not rows(directory, waiting), QUIET)
    except TimeoutError:
        tally.wrong.append(f"{name}: this waits for ever: {str(rows(directory, waiting))[:2_000]}")
    for state, count in rows(directory, "SELECT state, count(*) FROM inbox GROUP BY state"):
        tally.tried[f"{name}: accepted, in the end {state}"] += count


@contextmanager
def _listening(tally: Tally, name: str) -> Iterator[None]:
    """Each traceback of ours is something wrong."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if LEFT_OUT in record.getMessage():
                tally.tried[f"{name}: left out, with a line in the log"] += 1
            elif record.exc_info and record.name.startswith(("bot.", "storage.")):
                tally.wrong.append(f"{name}: {logging.Formatter('%(name)s: %(message)s').format(record)[-1_500:]}")

    listener = Listener()
    logging.getLogger().addHandler(listener)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(listener)
