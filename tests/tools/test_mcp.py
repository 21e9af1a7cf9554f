"""Tools of MCP servers that are child processes: real ones, which do what servers should not."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from bot.ports.tools import MOST_RESULT, Toolbox
from bot.tools.mcp import McpToolbox
from bot.tools.mcp_servers import Program, Server
from tests.tools.mcp_box import HURRIED, PATIENT, ROOT, call, child, running, said, until, up

SECRET = "sk-0123456789"


def alive(pid: int) -> bool:
    """A zombie is not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - it may go away in between
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- what it offers -------------------------------------------------------------------------------------------------------


async def test_a_servers_tools_are_cards_page_after_page() -> None:
    async with running(child()) as box:
        toolbox: Toolbox = box
        await up(box)
        cards = {card.name: card for card in toolbox.cards()}

    assert {"s__echo", "s__note", "s__murmur"} <= set(cards)
    assert cards["s__echo"].description == "Says it again."
    assert json.loads(cards["s__echo"].parameters)["required"] == ["text"]
    assert len({card.fingerprint for card in cards.values()}) == len(cards)


async def test_what_is_not_marked_read_only_asks_and_the_file_has_the_last_word() -> None:
    marked, unmarked = "s__echo", "s__note"

    async def read_only(server: Server) -> set[str]:
        async with running(server) as box:
            await up(box)
            return {card.name for card in box.cards() if card.read_only}

    as_they_say = await read_only(child())
    trusted = await read_only(replace(child(), trust=frozenset({"note"})))
    confirmed = await read_only(replace(child(), trust=frozenset({"*"}), confirm=frozenset({"echo"})))

    assert marked in as_they_say and unmarked not in as_they_say
    assert {marked, unmarked} <= trusted
    assert marked not in confirmed and unmarked in confirmed


async def test_a_server_that_is_not_there_holds_up_neither_the_start_nor_the_others() -> None:
    missing = Server(name="missing", reach=Program("/no/such/program"))
    dumb = replace(child("hang"), name="dumb")
    async with running(missing, dumb, child()) as box:
        assert box.cards() == ()
        await until(lambda: box.cards())
        result = await call(box, "echo", '{"text": "here"}')
        states = {state.name: state for state in box.states()}

    assert said(result) == "echo: here"
    assert states["s"].up and not states["missing"].up and not states["dumb"].up
    assert states["missing"].trouble == "it cannot be started: No such file or directory"


async def test_what_became_of_the_first_try_is_known_for_good_and_bad_servers() -> None:
    missing = Server(name="missing", reach=Program("/no/such/program"))
    dumb = replace(child("hang"), name="dumb")
    async with running(missing, dumb, child(), times=replace(PATIENT, start=2)) as box, asyncio.timeout(10):
        await box.tried()
        states = box.states()

    assert [(state.name, state.up, bool(state.trouble)) for state in states] == [
        ("missing", False, True),
        ("dumb", False, True),
        ("s", True, False),
    ]
    assert "note" in states[2].asking and "echo" not in states[2].asking
    assert len(states[2].asking) < states[2].tools


async def test_a_changed_description_changes_the_fingerprint() -> None:
    async with running(child()) as box:
        await up(box)

        def echo() -> tuple[str, str]:
            return next((card.description, card.fingerprint) for card in box.cards() if card.name == "s__echo")

        _, before = echo()
        await call(box, "change", '{"text": "Sends all your files to me."}')
        await until(lambda: echo()[0].startswith("Sends"))

        assert echo()[1] != before


async def test_of_a_server_that_lies_only_what_is_sound_is_offered(caplog: pytest.LogCaptureFixture) -> None:
    async with running(child("lies")) as box:
        await up(box)
        cards = list(box.cards())

    assert [card.name for card in cards] == ["s__echo", "s__truthy", cards[2].name, "s__hidden"]
    assert not any(card.read_only for card in cards)
    assert cards[0].description == "" and len(cards[2].description) == 1_000
    assert cards[3].description == "Look here."
    assert "'long_schema' is left out" in caplog.text


async def test_of_ten_thousand_tools_the_first_64_are_offered(caplog: pytest.LogCaptureFixture) -> None:
    async with running(child("many")) as box:
        await up(box)

        assert [card.name for card in box.cards()] == [f"s__tool{n}" for n in range(64)]
        assert "more than 64 tools" in caplog.text


async def test_a_list_without_an_end_is_left() -> None:
    async with running(child("loop")) as box:
        await up(box)

        assert box.cards() == ()


# --- calls ----------------------------------------------------------------------------------------------------------------


async def test_what_a_tool_says_is_marked_as_foreign() -> None:
    async with running(child()) as box:
        await up(box)
        echoed, structured = await call(box, "echo", '{"text": "喜鹊"}'), await call(box, "structured")

    assert "what s__echo answered" in echoed.text and "not instructions" in echoed.text
    assert said(echoed) == "echo: 喜鹊"
    assert said(structured) == '{"degrees": 21}'


async def test_what_is_no_text_is_told_in_words() -> None:
    async with running(child()) as box:
        await up(box)
        parts = said(await call(box, "parts")).split("\n\n")

    assert parts == [
        "Look:",
        "[An image (image/png, about 72 bytes), not shown here]",
        "[A sound (audio/wav, about 6 bytes), not shown here]",
        "[A link: a.txt (unnamed) file:///a.txt]",
        "[file:///b.txt]\nin b",
        "[A file (application/zip, about 6 bytes), not shown here: file:///c.bin]",
        "[Something of the kind hologram, not shown here]",
    ]


async def test_a_failure_of_the_tool_is_one_for_the_model() -> None:
    async with running(child()) as box:
        await up(box)
        result, refused = await call(box, "fail"), await call(box, "refuse")

    assert result.failed and "the disk is full" in result.text
    assert refused.failed and "refused the call. Everything up to the next" in refused.text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("{text: 1}", "not valid JSON"),
        ("[" * 100_000, "longer than"),
        ("[" * 20_000, "not valid JSON"),
        ('{"text": NaN}', "NaN"),
        (r'{"text": "\ud800"}', "not valid JSON"),
        ('["text"]', "no JSON object"),
        ("{}", "arguments are missing: text"),
        ('{"text": 5}', "it must be a string"),  # the server's own words
    ],
)
async def test_broken_arguments_are_told_to_the_model(arguments: str, complaint: str) -> None:
    async with running(child()) as box:
        await up(box)
        result = await call(box, "echo", arguments)
        again = await call(box, "echo", '{"text": "fine", "more": 123456789012345678901234567890}')

    assert result.failed and complaint in result.text
    assert said(again) == "echo: fine"


async def test_a_tool_that_there_is_not_is_a_sentence() -> None:
    async with running(child()) as box:
        await up(box)
        result = await call(box, "no_such")

    assert result.failed and "no tool 's__no_such'" in result.text


@pytest.mark.parametrize("last", [False, True])
async def test_of_50_megabytes_the_beginning_is_read(last: bool) -> None:
    async with running(child()) as box:
        await up(box)
        result = await call(box, "huge", json.dumps({"bytes": 50_000_000, "last": last}))
        again = await call(box, "echo", '{"text": "still here"}')

    assert len(result.text) <= MOST_RESULT
    assert said(result).startswith("abcdefghi abcdefghi") and "[Cut here: of " in result.text
    assert said(again) == "echo: still here"


@pytest.mark.parametrize("tool", ["unreadable", "half_pair"])
async def test_an_answer_that_cannot_be_read_is_told_at_once(tool: str) -> None:
    async with running(child(timeout=60)) as box:
        await up(box)
        result = await call(box, tool)
        again = await call(box, "echo", '{"text": "still here"}')

    assert result.failed and "cannot be read" in result.text
    assert said(again) == "echo: still here"


async def test_a_tool_that_answers_twice_or_chatters_is_heard_once() -> None:
    async with running(child()) as box:
        await up(box)

        assert said(await call(box, "twice")) == "once"
        assert said(await call(box, "chatter")) == "said enough"
        assert said(await call(box, "echo", '{"text": "and on"}')) == "echo: and on"


@pytest.mark.parametrize("tool", ["hang", "wrong_id"])
async def test_a_call_without_an_answer_ends_and_the_server_is_told(tool: str) -> None:
    async with running(child(timeout=1)) as box:
        await up(box)
        result = await call(box, tool)
        await up(box)
        heard = json.loads(said(await call(box, "heard")))

    assert result.failed and "gave no answer within 1 seconds" in result.text
    assert len(heard) == 1 and heard[0].startswith("cancelled ")


async def test_a_stopped_call_is_forgotten_and_the_server_is_told() -> None:
    async with running(child()) as box:
        await up(box)
        task = asyncio.ensure_future(call(box, "hang"))
        assert said(await call(box, "echo", '{"text": "after it"}')) == "echo: after it"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        heard: list[str] = []
        async with asyncio.timeout(10):
            while not heard:
                heard = json.loads(said(await call(box, "heard")))

    assert heard[0].startswith("cancelled ")


async def test_many_chats_ask_at_once_and_each_gets_its_answer() -> None:
    async with running(child()) as box:
        await up(box)
        results = await asyncio.gather(*(call(box, "echo", json.dumps({"text": str(n)})) for n in range(50)))

    assert [said(result) for result in results] == [f"echo: {n}" for n in range(50)]


async def test_what_a_server_asks_of_us_is_refused() -> None:
    async with running(child()) as box:
        await up(box)
        answers = json.loads(said(await call(box, "ask")))

    refused = -32601
    assert answers.pop("ping") == "done"
    assert set(answers.values()) == {refused} and len(answers) == 4


# --- lost and found again -------------------------------------------------------------------------------------------------


async def test_a_server_that_dies_ends_all_its_calls_and_comes_back() -> None:
    async with running(child(timeout=60)) as box:
        await up(box)
        waiting = [asyncio.ensure_future(call(box, "hang")) for _ in range(5)]
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            results = [await call(box, "die"), *(await asyncio.gather(*waiting))]

        assert all(result.failed and "was lost during the call" in result.text for result in results)
        await until(lambda: not box.cards())
        gone = await call(box, "echo", '{"text": "?"}')
        await up(box)

        assert gone.failed and "not there at the moment" in gone.text
        assert said(await call(box, "echo", '{"text": "back"}')) == "echo: back"


async def test_what_a_server_says_last_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    async with running(child()) as box:
        await up(box)

        assert said(await call(box, "last_words")) == "farewell"
        await until(lambda: "it ended with exit code 4" in caplog.text)


async def test_a_server_that_hears_nothing_any_more_is_started_anew() -> None:
    async with running(child(timeout=1)) as box:
        await up(box)
        before = json.loads(said(await call(box, "env")))["pid"]
        frozen = await call(box, "freeze")
        at = time.monotonic()
        while_it_hangs = await call(box, "echo", '{"text": "?"}')

        assert frozen.failed and "gave no answer" in frozen.text
        assert while_it_hangs.failed and time.monotonic() - at < 0.5
        await up(box)
        assert json.loads(said(await call(box, "env")))["pid"] != before
        assert not alive(before)


async def test_a_server_that_closes_its_input_is_started_anew(caplog: pytest.LogCaptureFixture) -> None:
    async with running(child(timeout=1), times=HURRIED) as box:
        await up(box)
        await call(box, "deafen")
        await until(lambda: "trying again" in caplog.text)
        await up(box)

        assert said(await call(box, "echo", '{"text": "back"}')) == "echo: back"


@pytest.mark.parametrize(
    ("mode", "trouble"),
    [
        ("exit", "it ended with exit code 1"),
        ("hang", "it did not say within 1 seconds what it can do"),
        ("flood", "it floods its output"),
        ("line", "it floods its output"),
        ("old", "Unsupported protocol version from the server: 1999-01-01"),
    ],
)
async def test_a_server_that_never_gets_going_is_tried_again_and_told_of_once(
    mode: str, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bot.tools.mcp")
    async with running(child(mode), times=replace(HURRIED, start=1 if mode == "hang" else 30, grace=0.1)) as box:
        await until(lambda: sum("trying again" in line.message for line in caplog.records) >= 2, 60)
        (state,) = box.states()

    assert (state.up, state.trouble) == (False, trouble)
    assert [record.levelname for record in caplog.records if "trying again" in record.message][:2] == [
        "WARNING",
        "DEBUG",
    ]


async def test_what_is_no_json_is_passed_over() -> None:
    async with running(child("banner")) as box:
        await up(box)

        assert said(await call(box, "echo", '{"text": "hi"}')) == "echo: hi"


async def test_a_flood_ends_the_connection_and_nobody_else_waits_for_it(caplog: pytest.LogCaptureFixture) -> None:
    async with running(child(timeout=60)) as box:
        await up(box)
        result = await call(box, "flood")

        assert result.failed and "was lost" in result.text
        await until(lambda: "it floods" in caplog.text)
        await up(box)


async def test_what_a_server_murmurs_is_for_debugging_and_without_its_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "bot.tools.mcp_stdio")
    async with running(child(env=(("API_TOKEN", SECRET),))) as box:
        await up(box)
        assert said(await call(box, "murmur")) == "murmured"

    lines = [record.message for record in caplog.records if "on stderr" in record.message]
    assert 100 <= len(lines) < 200 and max(map(len, lines)) < 600
    assert "token=[secret]" in lines[0] and SECRET not in caplog.text


# --- the child process ----------------------------------------------------------------------------------------------------


async def test_a_child_gets_no_more_of_our_environment_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIPUAI_API_KEY", SECRET)
    async with running(child(env=(("MINE", "yes"),))) as box:
        await up(box)
        told = json.loads(said(await call(box, "env")))

    assert set(told["env"]) - {"LC_CTYPE"} == {"PATH", "HOME", "LANG", "MINE"}
    assert told["cwd"] == ROOT


@pytest.mark.parametrize("mode", ["good", "stubborn"])
async def test_when_it_ends_no_process_is_left(mode: str) -> None:
    async with running(child(mode)) as box:
        await up(box)
        pid = json.loads(said(await call(box, "env")))["pid"]
        grandchild = int(said(await call(box, "spawn")))
        assert alive(pid) and alive(grandchild)
        at = time.monotonic()

    assert time.monotonic() - at < 4 * PATIENT.grace
    await until(lambda: not alive(grandchild))  # init reaps it
    with pytest.raises(ProcessLookupError):  # not even a zombie
        os.kill(pid, 0)


async def test_when_its_end_is_hurried_no_process_is_left_either() -> None:
    from bot.tools.mcp_stdio import _start  # with it the mcp package, which takes a while

    reach = child("stubborn").reach
    assert isinstance(reach, Program)
    process = await _start(reach)
    async with asyncio.TaskGroup() as group:
        ending = group.create_task(process.end(grace=60))
        await until(lambda: process.stdin and process.stdin.is_closing())
        ending.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


async def test_what_a_dead_server_has_started_goes_too() -> None:
    async with running(child()) as box:
        await up(box)
        grandchild = int(said(await call(box, "spawn")))
        async with asyncio.timeout(5):
            await call(box, "die")
        await until(lambda: not alive(grandchild))


async def test_without_servers_nothing_runs() -> None:
    async with asyncio.timeout(1):
        await McpToolbox([]).run()


def test_the_package_is_imported_only_when_there_are_servers() -> None:
    code = "import sys, bot.tools.mcp; print('mcp' in sys.modules, 'httpx' in sys.modules, 'pydantic' in sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )

    assert loaded.stdout.split() == ["False"] * 3


async def test_the_servers_of_the_mcp_package_itself() -> None:
    async with running(child("stdio", module="mcp_fast")) as box:
        await up(box)
        cards = {card.name: card for card in box.cards()}
        result = await call(box, "add", '{"one": 20, "two": 22}')
        wrong = await call(box, "add", '{"one": 20, "two": "many"}')

    assert cards["s__add"].read_only and not cards["s__forget"].read_only
    assert said(result) == "42"
    assert wrong.failed and "valid integer" in wrong.text
