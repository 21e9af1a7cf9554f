"""A walk through functions: what a model asks for is run and told back, what changes something runs only after a press, and a
search comes with its sources; stopped and killed in the middle of a call; on Telegram, Discord and in the page. The whole
product runs, with a tool server of its own beside it.

What a model may be talked into is in `test_injection.py`, the loop itself in `test_toolwork.py`.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import sys
import time
from contextlib import closing
from html import unescape
from pathlib import Path
from random import Random

import pytest

from bot.ports.tools import MOST_RESULT
from bot.simulator import Fault, Question, Reply
from bot.simulator.words import Found
from tests.process import ROOT
from tests.product import House, house, house_on_discord, rows, until
from tests.torture.crowd import Person
from tests.torture.ways import texts
from tests.torture.world import World, person_on, world

ENOUGH = 30.0  # seconds for anything that is to happen
TWO_STEPS = 'use calculate {"expression": "6 * 7"} then use calculate {"expression": "2 ** 10"}'
NOTE = 'use desk__note {"text": "milk"}'
MAY_I = 'May I run desk__note with exactly this?\n\n{\n  "text": "milk"\n}'
PAGES = (
    Found("Foxes", "https://example.org/fox", "A fox is red."),
    Found("Snow", "https://example.org/snow", "Snow is white."),
)
CALLS = "SELECT name, state, result FROM calls ORDER BY turn, number"


def with_desk(directory: Path, **more: object) -> dict[str, str]:
    """A tool server, as the owner sets it up."""
    server = {"command": sys.executable, "args": ["-m", "tests.servers.mcp_stdio", "good"], "cwd": str(ROOT)} | more
    config = directory / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"desk": server}}), "utf-8")
    return {"MCP_CONFIG": str(config)}


async def desk_is_up(here: House) -> None:
    scout = here.person("Scout")
    async with asyncio.timeout(ENOUGH):
        while "desk__note" not in str([call.body for call in here.models.log]):
            await scout.ask("hello")


def read(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as store:
        return store.execute(query).fetchall()


def plain(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


# --- a loop of functions -----------------------------------------------------------------------------------------------


async def test_each_step_is_shown_and_its_result_told_to_the_model(tmp_path: Path) -> None:
    async with house(tmp_path, first_token=0.4) as here:
        ann = here.person()
        ann.say(TWO_STEPS)
        await ann.sees(lambda texts: texts and texts[0].startswith("(calculates …)"))
        (shown,) = await ann.hears()
        assert "The tool reports:\n\n1024" in shown
        assert rows(tmp_path, CALLS) == [("calculate", "done", "42"), ("calculate", "done", "1024")]
        assert len(here.asked) == 3
        assert rows(tmp_path, "SELECT count(*) FROM ledger") == [(3,)]


async def test_on_discord_and_in_the_page_functions_run_alike(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path / "discord") as there:
        assert "1024" in (await there.member().ask(TWO_STEPS)).content
        assert "1024" in plain(await there.page.ask(TWO_STEPS))


async def test_stop_ends_a_call_in_the_middle(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        here.models.fail(Fault(path="web_search", hang=True))
        ann = here.person()
        ann.say('use search_web {"query": "foxes"}')
        await until(lambda: any("web_search" in call.path for call in here.models.running))
        ann.say("/stop")
        await ann.sees(lambda texts: texts[0].endswith("(stopped)"))
        await until(lambda: not here.models.running)
        assert rows(tmp_path, CALLS) == [("search_web", "begun", "")]
        assert "and me?" in (await here.person("Ben").ask("and me?")).text


@pytest.mark.parametrize(
    ("tool", "state", "told"),
    [
        ("flood", "failed", "was lost during the call"),
        ("hang", "failed", "gave no answer within 1 "),
        ("die", "failed", "was lost during the call"),
        ("unreadable", "failed", "answered with something that cannot be read"),
        ("huge", "done", "[Cut here: of "),
    ],
)
async def test_a_tool_server_that_misbehaves_costs_its_own_call_and_nothing_else(
    tmp_path: Path, tool: str, state: str, told: str
) -> None:
    async with house(tmp_path, with_desk(tmp_path, trust=["*"], timeout=1)) as here:
        await desk_is_up(here)
        ann, ben = here.person(), here.person("Ben")
        ann.say(f"use desk__{tool} {{}}")
        assert "and me?" in (await ben.ask("and me?")).text
        assert (await ann.hears())[-1].startswith("The tool reports:")
        [(name, ended, result)] = rows(tmp_path, CALLS)
        assert (name, ended) == (f"desk__{tool}", state)
        assert told in str(result) and len(str(result)) <= MOST_RESULT
        async with asyncio.timeout(ENOUGH):  # it comes back by itself
            while ("desk__echo", "done") not in [row[:2] for row in rows(tmp_path, CALLS)]:
                await ann.ask('use desk__echo {"text": "hello"}')


# --- what changes something --------------------------------------------------------------------------------------------


async def test_what_changes_something_runs_when_a_person_pressed_for_exactly_that(tmp_path: Path) -> None:
    async with house(tmp_path, with_desk(tmp_path)) as here:
        await desk_is_up(here)
        ann = here.person()
        asked = await ann.ask(NOTE)
        assert (asked.text, asked.buttons) == (MAY_I, ("Run it", "No"))
        assert rows(tmp_path, CALLS) == [("desk__note", "asked", "")]
        done = await ann.pressed(asked, "Run it")
        assert "The tool reports:" in done.text
        assert [state for _, state, _ in rows(tmp_path, CALLS)] == ["asked", "done"]
        ann.press(asked, "Run it")
        await ann.ask("and now?")
        assert len(rows(tmp_path, CALLS)) == 2, "one press, one call"


async def test_what_a_person_declines_does_not_run(tmp_path: Path) -> None:
    async with house(tmp_path, with_desk(tmp_path)) as here:
        await desk_is_up(here)
        ann = here.person()
        told = await ann.pressed(await ann.ask(NOTE), "No")
        assert "The person declined this call." in told.text
        assert [state for _, state, _ in rows(tmp_path, CALLS)] == ["asked", "failed"]


async def test_on_discord_and_in_the_page_consent_is_a_press_as_well(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path, with_desk(tmp_path)) as here:
        ann = here.member()
        async with asyncio.timeout(ENOUGH):
            while "desk__note" not in str([call.body for call in here.models.log]):
                await ann.ask("hello")
        asked = await ann.ask(NOTE)
        assert [one.label for one in asked.buttons] == ["Run it", "No"]
        here.discord.press(asked, "Run it", ann.user)
        await here.discord.wait_for(lambda: "The tool reports:" in ann.texts[-1])
        await here.page.say(NOTE)
        (card,) = await here.page.cards(lambda said: said and said[-1]["buttons"] and said[-1]["done"])
        (label, button), _ = card["buttons"][0]
        assert label == "Run it"
        await here.page.post("/api/chats/chat/press", {"id": "press-yes-1", "button": button})
        await here.page.cards(lambda said: "The tool reports:" in said[-1]["body"])
        assert [state for _, state, _ in rows(tmp_path, CALLS)] == ["asked", "done"] * 2


# --- killed in the middle of a call --------------------------------------------------------------------------------------


def by_itself(question: Question) -> Reply | None:
    """The simulator's own answers."""
    return None


async def killed(made: World) -> None:
    await made.workers[0].kill()
    await made.workers[0].start()


async def shows(made: World, person: Person, text: str) -> None:
    deadline = time.monotonic() + ENOUGH
    while not any(text in shown for shown in await texts(made, person.mouth.chat)):
        assert time.monotonic() < deadline, await texts(made, person.mouth.chat)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("platform", ["telegram", "web"])
async def test_a_call_that_only_reads_is_made_again_after_a_kill(tmp_path: Path, platform: str) -> None:
    async with world(tmp_path / "world", Random(1), on=[platform], people=0, script=by_itself) as made:
        ann = person_on(made, platform)
        made.models.fail(Fault(path="web_search", hang=True))
        await ann.mouth.say(f'use search_web {{"query": "foxes {ann.canary}"}}')
        await until(lambda: any("web_search" in call.path for call in made.models.running))
        await killed(made)
        await shows(made, ann, "The tool reports:")
        assert sum("web_search" in call.path for call in made.models.log) == 2


async def test_a_call_that_changes_something_is_not_made_again_after_a_kill(tmp_path: Path) -> None:
    opened = world(
        tmp_path / "world",
        Random(1),
        on=["telegram"],
        people=0,
        script=by_itself,
        MCP_CONFIG=with_desk(tmp_path)["MCP_CONFIG"],
    )
    async with opened as made:
        ann = person_on(made, "telegram")
        await made.workers[0].told("MCP server 'desk' is there")
        await ann.mouth.say("use desk__hang {}")
        await shows(made, ann, "May I run desk__hang")
        await ann.mouth.press("Run it")
        begun = tmp_path / "world" / "data0" / "magpie.db"
        await until(lambda: ("begun",) in read(begun, "SELECT state FROM calls"))
        await killed(made)
        await shows(made, ann, "It is not known whether this was done")
        assert read(begun, "SELECT state FROM calls ORDER BY turn") == [("asked",), ("failed",)]


# --- searches ----------------------------------------------------------------------------------------------------------


async def test_a_search_is_answered_with_its_sources_on_telegram_and_in_the_page(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        here.models.find(*PAGES)
        ann = here.person()
        shown = (await ann.ask("/search which colour is a fox?")).text
        assert "A fox is red. [1]" in shown and re.search(r"Sources.*Foxes.*Snow", shown, re.DOTALL)
        links = {one["url"] for one in ann.shown[-1].entities if one["type"] == "text_link"}
        assert links >= {page.url for page in PAGES}
        here.models.find(*PAGES)
        html = await here.page.ask("/search which colour is a fox?")
        assert all(f'href="{page.url}"' in html for page in PAGES)


async def test_a_search_is_answered_with_its_sources_on_discord(tmp_path: Path) -> None:
    async with house_on_discord(tmp_path) as here:
        here.models.find(*PAGES)
        shown = (await here.member().ask("/search which colour is a fox?")).content
        assert all(page.url in shown for page in PAGES)
