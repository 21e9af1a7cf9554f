"""With each planted bug the bot must still answer a simple question, on every platform: this runs beside the tests that are to
find it. What breaks everything proves nothing about them."""

from __future__ import annotations

from pathlib import Path

from bot.simulator import Simulator
from tests.product import Member, Person, magpie, on_discord, on_telegram, repeat, with_glm
from tests.servers.discord import DiscordServer
from tests.servers.telegram import TelegramServer


async def test_a_simple_question_is_answered_everywhere(tmp_path: Path) -> None:
    async with (
        TelegramServer() as telegram,
        DiscordServer() as discord,
        Simulator(script=repeat, first_token=0.0, per_token=0.0) as models,
        magpie(tmp_path, on_telegram(telegram), on_discord(discord), with_glm(models)) as page,
    ):
        await discord.wait_for(lambda: discord.connected, 20)
        assert (await Person.alone(telegram).ask("hello")).text == "You said: hello"
        assert (await Member.alone(discord).ask("hello")).content == "You said: hello"
        assert "You said: hello" in await page.ask("hello")
