"""Magpie as its operator sees it: one command, what it says at the start, and how it ends."""

import asyncio
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from bot.simulator import Simulator
from tests.process import ROOT, Magpie
from tests.servers.discord import DiscordServer
from tests.servers.telegram import TelegramServer

NOBODY = 65534
LINK = re.compile(r"Page: (http://\S+)")


async def refused(magpie: Magpie) -> tuple[int, str]:
    """Start what cannot start: its exit code and what it said."""
    await magpie.start(ready=False)
    return await magpie.ended(), magpie.said()


# --- what it says at the start -----------------------------------------------------------------------------------------


async def test_without_a_key_it_says_what_is_off_and_which_variable_turns_it_on(tmp_path: Path) -> None:
    async with Magpie(tmp_path / "data") as magpie:
        said = await magpie.told("Page: ")

    assert "simulator" in said
    for variable in ("ZHIPUAI_API_KEY", "DASHSCOPE_API_KEY", "TELEGRAM_BOT_TOKEN", "DISCORD_BOT_TOKEN"):
        assert variable in said
    assert f"Page: {magpie.url}\n" in said
    assert len(said.splitlines()) < 12


async def test_with_a_key_the_page_asks_for_its_link_which_works_once(tmp_path: Path) -> None:
    async with Simulator() as simulator:
        environ = {"ZHIPUAI_API_KEY": simulator.api_key, "ZHIPUAI_BASE_URL": simulator.glm_url}
        async with Magpie(tmp_path / "data", environ) as magpie, aiohttp.ClientSession() as session:
            said = await magpie.told("Page: ")
            found = LINK.search(said)
            assert found
            # a browser keeps the cookie of 127.0.0.1, aiohttp's jar does not: only the answers are looked at
            statuses = []
            for address in (magpie.url, found[1], found[1]):
                async with session.get(address, allow_redirects=False) as response:
                    statuses.append((response.status, "Set-Cookie" in response.headers))
            mode = stat.S_IMODE((magpie.data_dir / "web_token").stat().st_mode)

    assert "GLM on" in said
    assert "Qwen off (DASHSCOPE_API_KEY turns it on)" in said
    assert "at most 5 CNY a day (DAILY_BUDGET)" in said
    assert found[1] != magpie.url
    assert [cookie for _, cookie in statuses] == [False, True, False]
    assert mode == 0o600


async def test_secrets_are_not_in_the_log_even_at_debug(tmp_path: Path) -> None:
    async with Simulator() as simulator, TelegramServer() as telegram, DiscordServer() as discord:
        secrets = {
            "TELEGRAM_BOT_TOKEN": telegram.token,
            "DISCORD_BOT_TOKEN": discord.token,
            "ZHIPUAI_API_KEY": "wrong-but.secret",  # refusals are what brings addresses and keys into a log
            "DASHSCOPE_API_KEY": "sk-secret",
            "WEB_TOKEN": "a-password-for-the-page",
        }
        environ = secrets | {
            "TELEGRAM_API_URL": telegram.url,
            "DISCORD_API_URL": discord.api_url,
            "ZHIPUAI_BASE_URL": simulator.glm_url,
            "DASHSCOPE_HTTP_BASE_URL": simulator.dashscope_url,
            "ADMINS": "telegram:1",
            "ALLOWED": "*",
            "LOG_LEVEL": "DEBUG",
        }
        async with Magpie(tmp_path / "data", environ) as magpie:
            await magpie.told("connected as")
            ann = telegram.user("Ann")
            chat = telegram.private(ann)
            telegram.say(chat, ann, "a question of some privacy")
            await telegram.wait_for(lambda: telegram.messages(chat)[-1].from_bot, timeout=20)
            assert await magpie.end() == 0
            said = magpie.said()

    assert [name for name, secret in secrets.items() if secret in said] == []
    assert [line for line in said.splitlines() if "INFO" in line and "some privacy" in line] == []


# --- what stops it -----------------------------------------------------------------------------------------------------


async def test_wrong_settings_are_told_all_at_once(tmp_path: Path) -> None:
    environ = {"ADMINS": "me", "DAILY_BUDGET": "much", "TELEGRAM_TOKEN": "1:a", "STORAGE_URL": "mysql://host/db"}

    code, said = await refused(Magpie(tmp_path / "data", environ))

    assert code == 2
    assert said.startswith("Magpie cannot start:\n")
    assert len(said.splitlines()) == 5
    for word in ("ADMINS", "DAILY_BUDGET", "TELEGRAM_BOT_TOKEN", "STORAGE_URL"):
        assert f"{word}" in said
    assert not (tmp_path / "data").exists()


async def test_a_model_that_nobody_knows_is_told_with_the_nearest(tmp_path: Path) -> None:
    code, said = await refused(Magpie(tmp_path / "data", {"ZHIPUAI_API_KEY": "some.key", "CHAT_MODEL": "glm-4.7-flsh"}))

    assert code == 2
    assert "CHAT_MODEL=glm-4.7-flsh" in said
    assert "glm-4.7-flash" in said
    assert "Traceback" not in said


async def test_a_taken_port_is_told_with_its_variable(tmp_path: Path) -> None:
    async with Magpie(tmp_path / "one") as first:
        code, said = await refused(Magpie(tmp_path / "two", {"WEB_PORT": str(first.port)}))

    assert code == 2
    assert "WEB_PORT: " in said
    assert "choose another port" in said
    assert "Traceback" not in said


async def test_a_second_process_on_the_same_data_is_refused(tmp_path: Path) -> None:
    async with Magpie(tmp_path / "data") as first:
        code, said = await refused(Magpie(first.data_dir))

    assert code == 2
    assert "Another Magpie is running" in said
    assert "DATA_DIR" in said
    assert "Traceback" not in said


async def test_a_database_of_a_newer_version_is_left_untouched(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with sqlite3.connect(tmp_path / "data" / "magpie.db") as database:
        database.execute("PRAGMA user_version = 999")
    database.close()

    code, said = await refused(Magpie(tmp_path / "data"))

    assert code == 2
    assert "newer Magpie" in said
    assert "Traceback" not in said


def test_a_data_directory_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    command = [sys.executable, "-m", "bot"]
    if os.geteuid() == 0:  # root may write everywhere: become someone who may not
        if subprocess.run(["setpriv", "--version"], capture_output=True, check=False).returncode:
            pytest.skip("needs setpriv when it runs as root")
        tmp_path.chmod(0o755)
        for parent in tmp_path.parents[:3]:
            parent.chmod(0o755)
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]

    ended = subprocess.run(
        command,
        cwd=closed,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(closed / "data")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 2, ended.stderr
    assert "DATA_DIR" in ended.stderr
    assert str(closed) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_unknown_command_is_refused_with_those_that_there_are() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "bot", "fly"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )

    assert ended.returncode == 2
    assert "run" in ended.stderr
    assert "doctor" in ended.stderr


# --- how it ends -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_asked_to_end_it_ends_in_good_order(number: signal.Signals, tmp_path: Path) -> None:
    async with Magpie(tmp_path / "data") as magpie:
        await magpie.told("Page: ")
        assert await magpie.end(number) == 0
        said = magpie.said()

    assert "Ended." in said
    assert "Traceback" not in said


async def test_it_ends_within_10_seconds_also_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    async with Simulator(per_token=3.0) as simulator, TelegramServer() as telegram:
        environ = {
            "TELEGRAM_BOT_TOKEN": telegram.token,
            "TELEGRAM_API_URL": telegram.url,
            "ZHIPUAI_API_KEY": simulator.api_key,
            "ZHIPUAI_BASE_URL": simulator.glm_url,
            "ALLOWED": "*",
        }
        async with Magpie(tmp_path / "data", environ) as magpie:
            ann = telegram.user("Ann")
            chat = telegram.private(ann)
            telegram.say(chat, ann, "tell me a long story")
            await telegram.wait_for(lambda: bool(simulator.running), timeout=20)
            begun = asyncio.get_running_loop().time()
            assert await magpie.end() == 0
            assert asyncio.get_running_loop().time() - begun < 10
            said = magpie.said()

    assert "Traceback" not in said


async def test_a_check_that_is_interrupted_ends_without_a_word(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as silent, asyncio.timeout(30):
        host, port = silent.sockets[0].getsockname()
        doctor = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "doctor"),
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "WEB_PORT": "0",
                "TELEGRAM_BOT_TOKEN": "1:a",
                "TELEGRAM_API_URL": f"http://{host}:{port}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Whoever runs the tests in the background of a shell has Ctrl-C ignored, and so would the child.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        await asked.wait()
        doctor.send_signal(signal.SIGINT)
        said, complaints = await doctor.communicate()

    assert (doctor.returncode, complaints) == (130, b""), said.decode()
    assert "✓ Settings" in said.decode()
