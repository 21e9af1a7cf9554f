"""What goes wrong around a running bot: tokens, keys, vendors, the disk, strangers, money. Nothing is lost by it, and whoever
can be answered is.

What people send is in `test_bad_input.py`; what stops the start is in `test_main.py`.
"""

from __future__ import annotations

import datetime
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import phrases
from bot.simulator import Fault, Simulator
from tests.product import (
    House,
    Member,
    Person,
    change,
    house,
    magpie,
    on_discord,
    on_telegram,
    repeat,
    rows,
    until,
    with_glm,
    with_qwen,
)
from tests.servers.discord import DiscordServer
from tests.servers.telegram import TelegramServer, picture

NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


def quick() -> Simulator:
    return Simulator(script=repeat, first_token=0, per_token=0)


# --- tokens ----------------------------------------------------------------------------------------------------------------


async def test_a_wrong_telegram_token_turns_telegram_off_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with TelegramServer() as server, quick() as models:
        ann = Person.alone(server)
        ann.say("I wait")
        wrong = {"TELEGRAM_BOT_TOKEN": "123456789:AAF-this_is_not_the_token_0123456789ab"}
        async with magpie(tmp_path, on_telegram(server), wrong, with_glm(models)) as page:
            await until(lambda: "telegram is off" in caplog.text)
            assert await page.ask("and here?") == "<p>You said: and here?</p>\n"
        assert "TELEGRAM_BOT_TOKEN" in caplog.text
        async with magpie(tmp_path, on_telegram(server), with_glm(models)):
            assert await ann.hears() == ["You said: I wait"]


async def test_a_telegram_token_revoked_in_the_middle_of_an_answer_loses_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with TelegramServer() as server, Simulator(script=repeat, first_token=0, per_token=0.05) as models:
        ann, ben, token = Person.alone(server), Person.alone(server, "Ben"), server.token
        async with magpie(tmp_path, on_telegram(server), with_glm(models)) as page:
            ann.say("a long question " * 8)
            await ann.sees(lambda texts: texts and "long" in texts[0])
            server.token = "123456789:AAF-another_token_0123456789abcdefgh"
            ben.say("I wait")
            await until(lambda: "telegram is off" in caplog.text)
            assert await page.ask("and here?") == "<p>You said: and here?</p>\n"
        server.token = token
        async with magpie(tmp_path, on_telegram(server), with_glm(models)):
            assert await ann.hears() == [f"You said: {'a long question ' * 8}".strip()]
            assert await ben.hears() == ["You said: I wait"]


async def test_a_wrong_discord_token_turns_discord_off_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with DiscordServer() as discord, TelegramServer() as telegram, quick() as models:
        both = on_telegram(telegram) | on_discord(discord) | {"DISCORD_BOT_TOKEN": "wrong"}
        async with magpie(tmp_path, both, with_glm(models)):
            await until(lambda: "discord is off" in caplog.text)
            assert (await Person.alone(telegram).ask("and here?")).text == "You said: and here?"
        assert "Discord does not accept DISCORD_BOT_TOKEN" in caplog.text


async def test_a_discord_token_revoked_in_the_middle_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with DiscordServer() as discord, TelegramServer() as telegram, quick() as models:
        both = on_telegram(telegram) | on_discord(discord)
        async with magpie(tmp_path, both, with_glm(models)):
            ann = Member.alone(discord)
            await discord.wait_for(lambda: discord.connected)
            assert (await ann.ask("hello")).content == "You said: hello"
            discord.close_gateway(4004)
            await until(lambda: "discord is off" in caplog.text)
            discord.say(ann.channel, ann.user, "I wait")
            assert (await Person.alone(telegram).ask("and here?")).text == "You said: and here?"
        async with magpie(tmp_path, both, with_glm(models)):
            assert await ann.hears(2) == ["You said: hello", "You said: I wait"]


# --- keys and vendors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["1000", "1002"])
async def test_a_key_that_glm_refuses(tmp_path: Path, code: str) -> None:
    async with house(tmp_path, script=repeat) as here:
        here.models.fail(Fault(vendor="glm", code=code, times=None))
        await _refused_key(here, "qwen", "qwen-flash")


async def test_a_key_that_qwen_refuses(tmp_path: Path) -> None:
    async with house(tmp_path, {"CHAT_MODEL": "qwen-flash"}, script=repeat) as here:
        here.models.fail(Fault(vendor="dashscope", code="InvalidApiKey", times=None))
        await _refused_key(here, "glm", "glm-4.7-flash")


async def _refused_key(here: House, other: str, default: str) -> None:
    ann, ben = here.person(), here.person("Ben", "zh")
    refused = await ann.ask("hello")
    assert refused.text == "The vendor does not accept my key. The owner has to check it."
    assert refused.buttons == ("Retry", f"Try {default}")
    assert (await ben.ask("你好")).text == "服务商不接受我的密钥，需要管理员检查。"
    assert default in (await ben.ask(f"/model {other}")).text
    assert (await ben.ask("再问一次")).text == "You said: 再问一次"
    assert len([call for call in here.asked if call.status == 401]) == 2, "a bad key is not tried again"
    assert (await ann.pressed(refused, f"Try {default}")).text == "You said: hello"
    here.models.heal()
    assert (await ann.pressed(refused, "Retry")).text == "You said: hello"


@pytest.mark.parametrize("vendor", ["glm", "qwen"])
async def test_a_key_that_is_wrong_from_the_start(tmp_path: Path, vendor: str) -> None:
    """The simulator is never asked instead."""
    variable = {"glm": "ZHIPUAI_API_KEY", "qwen": "DASHSCOPE_API_KEY"}[vendor]
    async with TelegramServer() as server, quick() as models:
        account = with_glm(models) if vendor == "glm" else with_qwen(models)
        async with magpie(tmp_path, on_telegram(server), account, {variable: "sk-wrong.key"}) as page:
            assert (await Person.alone(server).ask("hello")).text == phrases.TROUBLE["bad key"].en
            assert "does not accept my key" in await page.ask("hello")


@pytest.mark.parametrize("vendor", ["glm", "qwen"])
async def test_a_vendor_out_of_reach(tmp_path: Path, vendor: str) -> None:
    variable = {"glm": "ZHIPUAI_BASE_URL", "qwen": "DASHSCOPE_HTTP_BASE_URL"}[vendor]
    default, other = ("glm-4.7-flash", "qwen") if vendor == "glm" else ("qwen-flash", "glm")
    async with house(tmp_path, {variable: f"{NOWHERE}/v1", "CHAT_MODEL": default}, script=repeat) as here:
        ann, ben = here.person(), here.person("Ben")
        ann.say("hello")
        assert "This chat now uses" in (await ben.ask(f"/model {other}")).text
        assert (await ben.ask("hello")).text == "You said: hello"
        assert await ann.hears() == ["I cannot reach the vendor right now. Please try again."]
        assert "Retry" in ann.shown[-1].buttons


# --- the disk --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk to fill up is mounted by root only")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


async def test_a_full_disk_delays_and_loses_nothing(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with house(small_disk, script=repeat) as here:
        ann, ben = here.person(), here.person("Ben")
        assert (await ann.ask("before")).text == "You said: before"
        _fill(small_disk)
        waiting = [ann.say("first"), ann.say("second"), ben.say("third")]
        here.telegram.send_photo(ben.chat, ben.user, picture(), "fourth")
        await until(lambda: "messages wait for the storage" in caplog.text)
        answer = await here.page.say("fifth")
        assert answer["status"] == 503
        assert answer["error"]["en"] == "My storage is in trouble; I keep trying. The owner has to look after it."
        assert len(here.telegram.pending) >= len(waiting), "what is not stored is not confirmed"
        (small_disk / "filler").unlink()
        answers = await ann.sees(lambda texts: "second" in texts[-1] and "▌" not in texts[-1], 40)
        assert " ".join(answers).split().count("first") == 1
        assert "third" in " ".join(await ben.hears())
        await ben.sees(lambda texts: "fourth" in texts[-1])
        assert await here.page.ask("fifth") == "<p>You said: fifth</p>\n"


async def test_a_disk_that_fills_up_while_an_answer_is_written_shows_it_once(small_disk: Path) -> None:
    async with house(small_disk, script=repeat, per_token=0.03) as here:
        ann = here.person()
        await ann.ask("before")
        ann.say("a long question " * 10)
        await ann.sees(lambda texts: len(texts) == 2 and "long" in texts[1])
        _fill(small_disk)
        await until(lambda: not here.models.running)
        (small_disk / "filler").unlink()
        await ann.sees(lambda texts: texts[1] == f"You said: {'a long question ' * 10}".strip(), 40)
        assert len(ann.texts) == 2
        assert (await ann.ask("after")).text == "You said: after"


def _fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file:
        size = 65_536
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


# --- strangers -------------------------------------------------------------------------------------------------------------


async def test_a_stranger_gets_one_line_with_the_id_and_nothing_is_kept(tmp_path: Path) -> None:
    async with TelegramServer() as server, quick() as models:
        ann, eve = Person.alone(server), Person.alone(server, "Eve")
        closed = {"ALLOWED": f"telegram:{ann.user.id}"}
        async with magpie(tmp_path, on_telegram(server), closed, with_glm(models)):
            turned_away = await eve.ask("let me in")
            assert turned_away.text == (
                "I answer only people whom my owner has let in. To be let in, give the owner your id: "
                f"telegram:{eve.user.id}"
            )
            for text in ("please", "/start", "/image a fox"):
                eve.say(text)
            assert (await ann.ask("and me?")).text == "You said: and me?"
            assert len(eve.shown) == 1
            an = Person.alone(server, "小安", "zh-hans")
            assert (await an.ask("你好")).text.startswith(
                "我只回答管理员允许的人。如需使用，请把你的 ID 发给管理员：telegram:"
            )
        assert rows(tmp_path, "SELECT DISTINCT author FROM inbox") == [(str(ann.user.id),)]


async def test_in_a_group_a_stranger_gets_a_line_to_a_command_only(tmp_path: Path) -> None:
    async with TelegramServer(privacy=False) as server, quick() as models:
        ann, eve = server.user("Ann"), server.user("Eve")
        group = server.supergroup(ann, eve)
        hers, other = Person(server, ann, group), Person(server, eve, group)
        async with magpie(tmp_path, on_telegram(server), {"ALLOWED": f"telegram:{ann.id}"}, with_glm(models)):
            other.say("just talking")
            other.say("@magpie_test_bot hello")
            assert (await hers.ask("@magpie_test_bot and me?")).text == "You said: Ann: and me?"
            turned_away = await other.ask("/start")
            assert "give the owner your id" in turned_away.text
            other.say("/help")
            await hers.ask("@magpie_test_bot again")
            assert len(hers.shown) == 3


async def test_bots_are_ignored(tmp_path: Path) -> None:
    async with TelegramServer(privacy=False) as telegram, DiscordServer() as discord, quick() as models:
        robot, ann = telegram.user("Robot", is_bot=True), telegram.user("Ann")
        group = telegram.supergroup(ann, robot)
        guest = discord.user("robot", bot=True)
        person = discord.user("ann")
        room = discord.channel(discord.guild("house", members=[person, guest]), "general")
        async with magpie(tmp_path, on_telegram(telegram), on_discord(discord), with_glm(models)):
            await discord.wait_for(lambda: discord.connected)
            telegram.say(group, robot, "@magpie_test_bot talk to me")
            discord.say(room, guest, "talk to me", mention_bot=True)
            assert (await Person(telegram, ann, group).ask("@magpie_test_bot hello")).text == "You said: Ann: hello"
            assert (
                await Member(discord, person, room).ask("hello", mention_bot=True)
            ).content == "You said: Ann: hello"
        assert len([call for call in models.log if call.body]) == 2


# --- money -----------------------------------------------------------------------------------------------------------------


async def test_50_chats_at_once_with_money_for_three_calls_make_exactly_three(tmp_path: Path) -> None:
    """A call of qwen-flash is held against the budget with 8,192 tokens of answer: 0.0123 CNY."""
    budget = {"DAILY_BUDGET": "0.045", "CHAT_MODEL": "qwen-flash"}
    async with house(tmp_path, budget, script=repeat, first_token=2.0) as here:
        people = [here.person(f"Person {number}") for number in range(50)]
        for person in people:
            person.say("hello")
        answers = [(await person.hears())[-1] for person in people]
        _paid_three(answers, here.models, "You said: hello")


async def test_50_pictures_at_once_with_money_for_three_draw_exactly_three(tmp_path: Path) -> None:
    """One of z-image-turbo costs 0.2 CNY, before and after."""
    budget = {"DAILY_BUDGET": "0.7", "IMAGE_MODEL": "z-image-turbo"}
    async with house(tmp_path, budget) as here:
        people = [here.person(f"Person {number}") for number in range(50)]
        for person in people:
            person.say("/image a fox")
        answers = [(await person.hears())[-1] for person in people]
        _paid_three(answers, here.models, "a fox")
        assert (await people[0].ask("and a free model?")).text, "what costs nothing goes on"


def _paid_three(answers: list[str], models: Simulator, answer: str) -> None:
    assert len([call for call in models.log if call.vendor == "dashscope" and call.body]) == 3
    assert answers.count(answer) == 3
    refused = {text for text in answers if text != answer}
    assert refused == {"Today's budget is spent. It opens again at 00:00; free models go on working (see /model)."}, (
        refused
    )


async def test_the_budget_outlives_a_restart_and_opens_the_next_day(tmp_path: Path) -> None:
    async with TelegramServer() as server, quick() as models:
        ann = Person.alone(server)
        environment = (on_telegram(server), with_qwen(models), {"DAILY_BUDGET": "0.3", "IMAGE_MODEL": "z-image-turbo"})
        async with magpie(tmp_path, *environment):
            assert (await ann.ask("/image a fox", 30)).media
        async with magpie(tmp_path, *environment):
            refused = await ann.ask("/image a fox")
            assert refused.text.startswith("Today's budget is spent. It opens again at 00:00")
        yesterday = (datetime.datetime.now().astimezone() - datetime.timedelta(days=1)).date()
        change(tmp_path, f"UPDATE days SET day = '{yesterday.isoformat()}'")
        async with magpie(tmp_path, *environment):
            assert (await ann.ask("/image a fox")).media


@pytest.mark.parametrize("budget", ["0", "0.001"])
async def test_a_call_that_costs_more_than_a_days_budget_is_never_promised_for_tomorrow(
    tmp_path: Path, budget: str
) -> None:
    async with house(tmp_path, {"DAILY_BUDGET": budget, "CHAT_MODEL": "qwen-flash"}) as here:
        answer = await here.person("Ann").ask("hello")
        assert answer.text.startswith("This could cost more than the owner allows for a whole day.")
        assert not here.asked
