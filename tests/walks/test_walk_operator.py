"""A walk through what the operator sees at three in the morning: the whole product runs, and something is wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from bot.simulator import Simulator
from tests.figures import grown, parse
from tests.process import Magpie
from tests.product import Member, Page, Person, house, magpie, on_discord, on_telegram, repeat, rows, until
from tests.servers.discord import DiscordServer
from tests.servers.telegram import TelegramServer

BAD_KEY = "0123456789abcdef0123456789abcdef.ThisKeyIsRevoked"
ALARM = "accept my key, so its models"


async def figures(page: Page) -> dict[str, float]:
    status, text = await page.get("/metrics")
    assert status == 200
    return parse(text)


async def test_a_bad_key_is_told_to_every_owner_once_also_over_a_restart(tmp_path: Path) -> None:
    async with TelegramServer() as telegram, DiscordServer() as discord, Simulator(first_token=0) as models:
        ann, ben = Person.alone(telegram), Member.alone(discord)
        keys = {"ZHIPUAI_API_KEY": BAD_KEY, "ZHIPUAI_BASE_URL": models.glm_url}
        owners = {"ADMINS": f"telegram:{ann.user.id},discord:{ben.user.id}"}
        asked = 0
        for _ in range(2):
            async with magpie(tmp_path, on_telegram(telegram), on_discord(discord), keys, owners) as page:
                await discord.wait_for(lambda: discord.connected)
                for _ in range(2):
                    asked += 1
                    ann.say("hello?")
                    await until(lambda: sum("owner has to check" in text for text in ann.texts) == asked)  # noqa: B023  # awaited at once
                await until(lambda: ben.texts and any(ALARM in text for text in ann.texts))
                assert '"notices"' in (await page.get("/api/chats"))[1]
    [hers] = [text for text in ann.texts if ALARM in text]
    [his] = ben.texts
    [(noticed,)] = rows(tmp_path, "SELECT body FROM board WHERE chat = 'notices'")
    for text in (hers, his, noticed):
        assert ALARM in text and "不接受我的密钥" in text and BAD_KEY not in text


async def test_a_revoked_token_is_told_where_magpie_still_speaks(tmp_path: Path) -> None:
    async with TelegramServer() as telegram, DiscordServer() as discord:
        ben = Member.alone(discord)
        wrong = {**on_telegram(telegram), "TELEGRAM_BOT_TOKEN": "123456789:AAF-no-longer-valid"}
        owners = {"ADMINS": f"discord:{ben.user.id},telegram:7"}
        async with magpie(tmp_path, wrong, on_discord(discord), owners) as page:
            await discord.wait_for(lambda: ben.texts)
            assert "Telegram does not accept my token" in ben.texts[0]
            assert await page.get("/healthz") == (200, "")  # for minutes yet


async def test_the_figures_of_an_evening(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        ann = here.person()
        before = await figures(here.page)
        await ann.ask("hello")
        await ann.ask("/help")
        here.telegram.fail("sendMessage", status=429, retry_after=1)
        await ann.ask("hello again")
        more = grown(before, await figures(here.page))

    assert more['magpie_turns_total{state="stop"}'] == 2
    assert more['magpie_turns_total{state="command"}'] == 1
    assert more["magpie_answer_seconds_count"] == more["magpie_first_text_seconds_count"] == 2
    assert more["magpie_store_commit_seconds_count"] > 5
    assert more['magpie_tokens_total{kind="prompt",model="glm-4.7-flash"}'] > 0
    assert more['magpie_rate_limited_total{by="telegram"}'] >= 1
    assert not [name for name in more if str(ann.chat.id) in name or str(ann.user.id) in name]


async def test_a_telegram_that_is_away_for_a_moment_leaves_it_alive_and_ready(tmp_path: Path) -> None:
    async with house(tmp_path, script=repeat) as here:
        here.telegram.fail("getUpdates", status=502, times=3)
        here.person().say("hello")
        for _ in range(10):
            assert await here.page.get("/livez") == await here.page.get("/healthz") == (200, "")
            await asyncio.sleep(0.1)
        age = (await figures(here.page))['magpie_platform_unheard_seconds{platform="telegram"}']
        assert 0 <= age < 20


async def test_the_lines_of_a_turn_say_whose_they_are_and_never_what_was_said(tmp_path: Path) -> None:
    async with TelegramServer() as telegram, Simulator(first_token=0) as models:
        ann = Person.alone(telegram)
        environment = {
            **on_telegram(telegram),
            "ZHIPUAI_API_KEY": BAD_KEY,
            "ZHIPUAI_BASE_URL": models.glm_url,
            "LOG_FORMAT": "json",
        }
        async with Magpie(tmp_path / "data", environment) as program:
            await ann.ask("MYSECRETWORDS")
            await until(lambda: "bad key" in program.said())
            lines = [json.loads(line) for line in program.said().splitlines()]
    [line] = [line for line in lines if line["logger"] == "bot.models.tries"]
    assert (line["chat"], line["platform"]) == (f"telegram:{ann.chat.id}", "telegram") and line["turn"] > 0
    assert "MYSECRETWORDS" not in program.said()
