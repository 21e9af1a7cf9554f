"""The log: readable lines, no secret in any of them, and other libraries only when something is wrong."""

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

from bot import logs
from bot.logs import SHORTEST, Redacting, Structured, Telling

ROOT = Path(__file__).parent.parent
TOKEN = "123456789:AAF-secret"


def line(message: str, *values: object, secrets: tuple[str, ...] = (TOKEN,), error: Exception | None = None) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("bot.test", logging.WARNING, __file__, 1, message, values, info)
    return Redacting(secrets).format(record)


def test_a_secret_is_blacked_out_in_the_message_and_in_its_values() -> None:
    assert "AAF-secret" not in line(f"https://host/bot{TOKEN}/getMe")
    assert line("call of %s failed", f"https://host/bot{TOKEN}/getMe").endswith(
        "WARNING bot.test: call of https://host/bot[secret]/getMe failed"
    )


def test_a_secret_is_blacked_out_in_a_traceback() -> None:
    try:
        raise ConnectionError(f"cannot reach https://host/bot{TOKEN}")
    except ConnectionError as error:
        written = line("failed", error=error)

    assert "Traceback" in written
    assert "AAF-secret" not in written


def test_a_secret_inside_another_one_leaves_nothing_of_the_longer() -> None:
    assert "tail" not in line("secret-and-its-tail", secrets=("secret-and", "secret-and-its-tail"))


def test_what_looks_like_a_pattern_is_taken_as_it_is() -> None:
    assert line("a.b.c+d aXbXc+d", secrets=("a.b.c+d",)).endswith("[secret] aXbXc+d")


def test_a_very_short_secret_does_not_black_out_the_log() -> None:
    assert line("a word", secrets=("a" * (SHORTEST - 1), "")).endswith("a word")


def test_other_libraries_speak_from_warning_on_and_ours_at_the_level_that_is_set() -> None:
    code = """
import logging
from bot import logs
logs.set_up("DEBUG", ("hidden-word",))
logging.getLogger("bot.turns.engine").debug("ours hidden-word")
for name in ("httpx", "aiohttp.access", "discord.http", "asyncio"):
    logging.getLogger(name).info("theirs %s", name)
    logging.getLogger(name).warning("trouble %s", name)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )

    written = ended.stderr.splitlines()
    assert ended.stdout == ""
    assert len(written) == 5
    assert written[0].endswith("DEBUG   bot.turns.engine: ours [secret]")
    assert all("trouble" in one for one in written[1:])


# --- what a line is about ----------------------------------------------------------------------------------------------


class Lines(logging.Handler):
    """A handler as `set_up` makes it, but for where it writes."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.addFilter(Telling())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


async def speak(handler: Lines) -> None:
    """Two turns at once, each in tasks of its own, as the engine makes them; a library speaks inside one of them."""
    library = logging.Logger("somebody's.library")
    library.addHandler(handler)

    async def inner(words: str) -> None:
        await asyncio.sleep(0)
        library.warning("%s", words)

    async def turn(number: int, chat: str) -> None:
        logs.about(platform="telegram", chat=chat, turn=number)
        await asyncio.sleep(0)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(inner(f"in turn {number}"))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(turn(1, "telegram:11"))
        tasks.create_task(turn(2, "telegram:22"))
    library.warning("outside")


async def test_a_line_of_a_turn_ends_with_turn_chat_and_platform_whoever_wrote_it() -> None:
    handler = Lines(Redacting(()))
    await speak(handler)

    ends = [one.partition("library: ")[2] for one in handler.lines]
    assert sorted(ends) == [
        "in turn 1 turn=1 chat=telegram:11 platform=telegram",
        "in turn 2 turn=2 chat=telegram:22 platform=telegram",
        "outside",
    ]


async def test_as_json_a_line_is_one_object_with_the_same() -> None:
    handler = Lines(Structured(()))
    await speak(handler)

    told = sorted((json.loads(one) for one in handler.lines), key=lambda one: str(one["message"]))
    assert [one.get("turn") for one in told] == [1, 2, None]
    assert [one.get("chat") for one in told] == ["telegram:11", "telegram:22", None]
    assert told[0]["platform"] == "telegram" and "platform" not in told[2]
    assert {"time", "level", "logger", "message"} <= told[2].keys()
    assert told[0]["time"].endswith("+00:00")


def structured(message: str, *values: object, secrets: tuple[str, ...] = (), error: Exception | None = None) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("bot.test", logging.WARNING, __file__, 1, message, values, info)
    return Structured(secrets).format(record)


def test_as_json_a_line_stays_a_line_and_keeps_what_was_said() -> None:
    name = 'Eve\n"quoted"\r\x1b[2J\u2028\x85 喜鹊'
    line = structured("hello %s", name)

    assert len(line.splitlines()) == 1 and line.isprintable()
    assert json.loads(line)["message"] == f"hello {name}"


def test_as_json_no_secret_is_read_whatever_json_makes_of_it() -> None:
    secret = 'tricky"secret\\with-signs'
    try:
        raise ConnectionError(f"https://user:{'Canary'}@host/{secret}")
    except ConnectionError as error:
        told: dict[str, Any] = json.loads(structured("token %s", secret, secrets=(secret,), error=error))

    assert told["message"] == "token [secret]"
    assert "tricky" not in told["error"] and "Canary" not in told["error"] and "Traceback" in told["error"]


def test_the_form_is_chosen_once() -> None:
    code = """
import logging
from bot import logs
logs.set_up("INFO", ("hidden-word",), "json")
logs.about(platform="web", chat="web:1", turn=7)
logging.getLogger("bot.turns.engine").info("ours hidden-word")
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )

    told = json.loads(ended.stderr)
    assert (told["message"], told["turn"], told["chat"], told["level"]) == ("ours [secret]", 7, "web:1", "INFO")
