"""The whole product with a canary in every secret setting, at LOG_LEVEL=DEBUG, and what it leaves behind on the disk."""

from __future__ import annotations

import io
import json
import logging
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
from PIL import Image

from bot.logs import Redacting
from bot.simulator import Fault, Simulator
from tests.process import ROOT, Magpie
from tests.servers.discord import DiscordServer
from tests.servers.openai import OpenAIServer
from tests.servers.telegram import TelegramServer

TELEGRAM = "123456789:AAFcanaryOfTelegram_0123456789abc"
DISCORD = "canary-of-discord.0123456789"
VENDORS = "0123456789abcdef0123456789abcdef.CanaryOfVendors1"
OPENAI = "sk-canary-of-openai-0123456789"
PASSWORD = "canary-of-the-page-0123"
CANARIES = (TELEGRAM.partition(":")[2], DISCORD, VENDORS, OPENAI, PASSWORD)
SAID = "WHATSOMEBODYSAID"


async def test_no_secret_and_no_message_gets_where_it_does_not_belong(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with (
        TelegramServer(TELEGRAM) as telegram,
        DiscordServer(token=DISCORD) as discord,
        Simulator(api_key=VENDORS, first_token=0.01, per_token=0.002) as models,
        OpenAIServer(api_key=OPENAI) as service,
    ):
        environment = {
            "TELEGRAM_BOT_TOKEN": TELEGRAM,
            "TELEGRAM_API_URL": telegram.url,
            "DISCORD_BOT_TOKEN": DISCORD,
            "DISCORD_API_URL": discord.api_url,
            "ZHIPUAI_API_KEY": VENDORS,
            "ZHIPUAI_BASE_URL": models.glm_url,
            "DASHSCOPE_API_KEY": VENDORS,
            "DASHSCOPE_HTTP_BASE_URL": models.dashscope_url,
            "OPENAI_API_KEY": OPENAI,
            "OPENAI_BASE_URL": service.url,
            "WEB_TOKEN": PASSWORD,
            "LOG_LEVEL": "DEBUG",
            "ALLOWED": "*",
        }
        async with Magpie(data, environment) as magpie:
            ann = telegram.user("Ann\n2026-01-01 ERROR a line of her own")
            chat = telegram.private(ann)
            bob = discord.user("bob")
            channel = discord.dm(bob)
            await discord.wait_for(lambda: discord.connected, 30)
            answered = Answered(telegram, chat.id)

            discord.say(channel, bob, f"hello {SAID}")
            await answered(lambda: telegram.say(chat, ann, f"hello {SAID}"))
            models.fail(Fault(vendor="glm", status=401, body=f"no such key {VENDORS}".encode()))
            await answered(lambda: telegram.say(chat, ann, f"a key is refused {SAID}"))
            refusal = {"error": {"message": f"Incorrect API key provided: {OPENAI}", "code": "invalid_api_key"}}
            service.fail(Fault(status=401, body=json.dumps(refusal).encode()))
            await answered(lambda: telegram.say(chat, ann, "/model openai/some"))
            await answered(lambda: telegram.say(chat, ann, f"another one is refused {SAID}"))
            await answered(lambda: telegram.say(chat, ann, "/model openai/x\n2026-01-01 ERROR of my own"))
            telegram.fail("getUpdates", status=502)
            telegram.drop("sendMessage")
            await answered(lambda: telegram.say(chat, ann, f"/info {SAID}"))
            discord.close_gateway(4000)
            discord.push_raw("MESSAGE_CREATE", {"id": "1", "content": SAID})
            async with aiohttp.ClientSession(headers={"Origin": magpie.url}) as browser:
                for token in ("a wrong one", PASSWORD):
                    async with browser.post(f"{magpie.url}/login", json={"token": token}) as response:
                        assert response.status == (200 if token == PASSWORD else 403)
            await magpie.kill()
            await magpie.start()
            assert await magpie.end() == 0
            log = magpie.said()
        shown = [message.text for message in telegram.messages(chat) if message.from_bot]
        shown += [message.content for message in discord.messages(channel)]
        calls = [repr(call) for call in (*telegram.log, *discord.log)]
    kept = [path.read_bytes().decode("latin-1") for path in data.rglob("*") if path.is_file()]
    for canary in CANARIES:
        assert not [text for text in (log, *kept, *shown, *calls) if canary in text], canary
    assert SAID not in log
    assert not re.search("^2026-01-01 ERROR", log, re.MULTILINE)


class Answered:
    """Does something and waits until the bot has said one thing more."""

    def __init__(self, server: TelegramServer, chat: int) -> None:
        self._server, self._chat = server, chat

    def _count(self) -> int:
        texts = [message.text for message in self._server.messages(self._chat) if message.from_bot]
        return sum(not text.endswith("▌") for text in texts)

    async def __call__(self, say: Callable[[], object]) -> None:
        before = self._count()
        say()
        await self._server.wait_for(lambda: self._count() > before, timeout=60)


async def test_what_is_kept_is_for_this_account_alone_also_in_a_directory_that_others_may_enter(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    async with Magpie(data, {"WEB_HOST": "0.0.0.0"}):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.rglob("*")}
    assert {"magpie.db", "magpie.db-wal", "web_token"} <= modes.keys()
    assert not {name: oct(mode) for name, mode in modes.items() if mode & 0o077}


def test_a_message_in_the_log_is_one_line_whatever_is_in_it() -> None:
    name = "Eve\n2026-01-01 ERROR bot: hi\r\x1b[2J\u2028\x85"
    line = Redacting(()).format(logging.LogRecord("bot", logging.INFO, __file__, 1, "hello %s", (name,), None))
    assert len(line.splitlines()) == 1
    assert line.isprintable() and "2026-01-01 ERROR" in line


def test_the_password_of_a_proxy_is_no_part_of_the_log() -> None:
    error = "407, message='x', url='http://user:CanaryOfTheProxy@10.0.0.1:3128'"
    line = Redacting(()).format(logging.LogRecord("bot", logging.INFO, __file__, 1, "%s", (error,), None))
    assert "Canary" not in line and "10.0.0.1:3128" in line


def test_many_large_pictures_at_once_take_the_memory_of_one(tmp_path: Path) -> None:
    """Each is small enough by itself: 40 million pixels, in 150 KB."""
    picture = io.BytesIO()
    Image.new("RGBA", (6_300, 6_300)).save(picture, "PNG")
    (tmp_path / "large.png").write_bytes(picture.getvalue())
    code = f"""
import asyncio, resource
from pathlib import Path
from bot.files import FileStore
async def main():
    store, data = FileStore(Path({str(tmp_path)!r}) / "files"), (Path({str(tmp_path)!r}) / "large.png").read_bytes()
    await asyncio.gather(*(store.keep_picture(data) for _ in range(6)))
asyncio.run(main())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    kilobytes = int(ended.stdout) // (1024 if sys.platform == "darwin" else 1)
    assert kilobytes < 1_200_000, "one takes 400 to 700 MB, six at once took 2 GB"
