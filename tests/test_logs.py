"""The log: readable lines, no secret in any of them, and other libraries only when something is wrong."""

import logging
import subprocess
import sys
from pathlib import Path

from bot.logs import SHORTEST, Redacting

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
logging.getLogger("bot.engine").debug("ours hidden-word")
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
    assert written[0].endswith("DEBUG   bot.engine: ours [secret]")
    assert all("trouble" in one for one in written[1:])
