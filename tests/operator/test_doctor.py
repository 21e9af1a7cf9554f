"""`magpie doctor`, against the stand-ins: what it says of a good set-up, and what to do about a bad one."""

import asyncio
import io
import json
import socket
import sys
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import aiohttp
import pytest

from bot.operator import doctor
from bot.settings import load_settings
from bot.simulator import Fault, Simulator
from storage import open_store
from tests.process import ROOT, Magpie, free_port
from tests.product import until
from tests.servers.discord import DiscordServer
from tests.servers.mcp_speaker import TOOLS
from tests.servers.mcp_stdio import OWN
from tests.servers.openai import OpenAIServer
from tests.servers.telegram import TelegramServer

NOWHERE = Path("/nonexistent/.env")


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(first_token=0.0, per_token=0.0) as simulator:
        yield simulator


async def examine(data_dir: Path, **environ: str) -> tuple[int, str]:
    settings = load_settings({"DATA_DIR": str(data_dir), "WEB_PORT": "0", **environ}, NOWHERE)
    out = io.StringIO()
    async with asyncio.timeout(60):
        code = await doctor.examine(settings, out)
    said = out.getvalue()
    for secret in settings.secrets:
        assert secret not in said
    return code, said


def glm(simulator: Simulator) -> dict[str, str]:
    return {"ZHIPUAI_API_KEY": simulator.api_key, "ZHIPUAI_BASE_URL": simulator.glm_url}


def qwen(simulator: Simulator) -> dict[str, str]:
    return {"DASHSCOPE_API_KEY": simulator.api_key, "DASHSCOPE_HTTP_BASE_URL": simulator.dashscope_url}


def speaker(mode: str = "good") -> dict[str, object]:
    """An entry of MCP_CONFIG."""
    return {"command": sys.executable, "args": ["-m", "tests.servers.mcp_stdio", mode], "cwd": str(ROOT)}


def mcp_config(directory: Path, **servers: dict[str, object]) -> str:
    path = directory / "mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}))
    return str(path)


async def spent(data_dir: Path) -> int:
    async with open_store(f"sqlite:///{data_dir / 'magpie.db'}") as store:
        return await store.spent(date.today().isoformat())


async def test_without_any_setting_all_is_well_and_it_says_what_is_off(tmp_path: Path) -> None:
    code, said = await examine(tmp_path)

    assert code == 0
    assert "✗" not in said
    for variable in ("TELEGRAM_BOT_TOKEN", "DISCORD_BOT_TOKEN", "ZHIPUAI_API_KEY", "MCP_CONFIG"):
        assert variable in said
    assert "GB free" in said


async def test_everything_set_up_well_gets_a_line_each(tmp_path: Path, simulator: Simulator) -> None:
    async with TelegramServer() as telegram, DiscordServer() as discord:
        code, said = await examine(
            tmp_path,
            TELEGRAM_BOT_TOKEN=telegram.token,
            TELEGRAM_API_URL=telegram.url,
            DISCORD_BOT_TOKEN=discord.token,
            DISCORD_API_URL=discord.api_url,
            ADMINS="telegram:1",
            **glm(simulator),
            **qwen(simulator),
        )

    assert code == 0, said
    assert "✓ Telegram: the token is that of @magpie_test_bot." in said
    assert "privacy mode is on" in said
    assert "✓ Discord: the token is that of magpie." in said
    assert "✓ GLM:" in said
    assert "for free" in said
    assert "✓ Qwen:" in said
    assert {call.method for call in telegram.log} == {"getMe", "getWebhookInfo"}


async def test_what_the_question_costs_is_told_and_booked(tmp_path: Path, simulator: Simulator) -> None:
    code, said = await examine(tmp_path, **qwen(simulator))

    booked = await spent(tmp_path)
    assert code == 0
    assert 0 < booked < 1_000  # a thousandth of a CNY
    assert f"for {booked / 1_000_000:.6f} CNY" in said


async def test_with_free_models_only_no_paid_one_is_asked(tmp_path: Path, simulator: Simulator) -> None:
    code, said = await examine(tmp_path, DAILY_BUDGET="0", **qwen(simulator))

    assert code == 0
    assert "– Qwen: not asked, it would cost money" in said
    assert not simulator.log


async def test_wrong_tokens_are_told_with_where_to_get_right_ones(tmp_path: Path) -> None:
    async with TelegramServer() as telegram, DiscordServer() as discord:
        code, said = await examine(
            tmp_path,
            TELEGRAM_BOT_TOKEN="1:wrong",
            TELEGRAM_API_URL=telegram.url,
            DISCORD_BOT_TOKEN="wrong-token",
            DISCORD_API_URL=discord.api_url,
        )

    assert code == 1
    assert "✗ Telegram: the token is not accepted" in said
    assert "@BotFather" in said
    assert "✗ Discord: the token is not accepted" in said
    assert "2 to mend" in said


@pytest.mark.parametrize("vendor", ["GLM", "Qwen"])
async def test_a_wrong_key_is_told_with_its_variable(vendor: str, tmp_path: Path, simulator: Simulator) -> None:
    variable = {"GLM": "ZHIPUAI_API_KEY", "Qwen": "DASHSCOPE_API_KEY"}[vendor]
    environ = glm(simulator) if vendor == "GLM" else qwen(simulator)

    code, said = await examine(tmp_path, **{**environ, variable: "wrong.key"})

    assert code == 1
    assert f"✗ {vendor}: " in said
    assert f"write a valid key into {variable}" in said


async def test_an_account_without_money_is_told(tmp_path: Path, simulator: Simulator) -> None:
    simulator.fail(Fault(vendor="glm", code="1113"))

    code, said = await examine(tmp_path, **glm(simulator))

    assert code == 1
    assert "top up the account" in said


async def test_a_busy_vendor_is_no_fault_of_the_key(tmp_path: Path, simulator: Simulator) -> None:
    simulator.fail(Fault(vendor="glm", code="1302", times=None))

    code, said = await examine(tmp_path, **glm(simulator))

    assert code == 0
    assert "the key is good" in said


async def test_addresses_where_nobody_answers_are_told(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"  # discard: nothing listens there

    code, said = await examine(
        tmp_path,
        TELEGRAM_BOT_TOKEN="1:a",
        TELEGRAM_API_URL=nowhere,
        DISCORD_BOT_TOKEN="abcdefg",
        DISCORD_API_URL=f"{nowhere}/api/v10",
        ZHIPUAI_API_KEY="some.key",
        ZHIPUAI_BASE_URL=f"{nowhere}/api/paas/v4",
    )

    assert code == 1
    assert "TELEGRAM_API_URL" in said
    assert "DISCORD_API_URL" in said
    assert "✗ GLM" in said


async def test_a_webhook_and_a_missing_intent_are_told(tmp_path: Path) -> None:
    async with TelegramServer(privacy=False) as telegram, DiscordServer(privileged=0) as discord:
        await telegram_call(telegram, "setWebhook", {"url": "https://hooks.example.org/secret-path"})
        code, said = await examine(
            tmp_path,
            TELEGRAM_BOT_TOKEN=telegram.token,
            TELEGRAM_API_URL=telegram.url,
            DISCORD_BOT_TOKEN=discord.token,
            DISCORD_API_URL=discord.api_url,
        )

    assert code == 1
    assert "hooks.example.org" in said
    assert "secret-path" not in said
    assert "privacy mode is off" in said
    assert "✗ Discord: Message Content Intent is off" in said


@pytest.mark.parametrize("trouble", [False, True])
async def test_a_webhook_of_ours_is_told_with_its_trouble(tmp_path: Path, trouble: bool) -> None:
    ours = {"TELEGRAM_WEBHOOK_URL": f"http://127.0.0.1:{free_port()}/secret-path"}
    async with TelegramServer(local=True) as telegram:
        token = {"TELEGRAM_BOT_TOKEN": telegram.token, "TELEGRAM_API_URL": telegram.url}
        _, before = await examine(tmp_path, **token, **ours)
        await telegram_call(telegram, "setWebhook", {"url": ours["TELEGRAM_WEBHOOK_URL"]})
        if trouble:
            telegram.push_raw({"unknown": {}})
            await until(lambda: "last_error_message" in telegram.webhook)
        code, said = await examine(tmp_path, **token, **ours)

    assert "its webhook at 127.0.0.1 is not set yet" in before
    assert code == int(trouble)
    assert ("✗ Telegram: 1 updates wait" in said) is trouble
    assert ("it delivers to 127.0.0.1" in said) is not trouble
    assert "secret-path" not in said + before


async def telegram_call(server: TelegramServer, method: str, parameters: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"{server.url}/bot{server.token}/{method}"
        async with session.post(url, json=parameters) as response:
            assert response.status == 200, await response.text()


async def test_an_openai_compatible_service_is_asked_with_a_model_that_it_lists(tmp_path: Path) -> None:
    async with OpenAIServer(api_key="sk-of-the-test") as server:
        code, said = await examine(tmp_path, OPENAI_BASE_URL=server.url, OPENAI_API_KEY=server.api_key)

    assert code == 0, said
    assert "✓ OpenAI-compatible: " in said


async def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, said = await examine(tmp_path, WEB_PORT=str(port))

    assert code == 1
    assert f"✗ Page: cannot listen on 127.0.0.1:{port}" in said
    assert "WEB_PORT" in said


async def test_storage_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "magpie.db").write_bytes(b"this is no database at all, only some text" * 100)

    code, said = await examine(tmp_path)

    assert code == 1
    assert "✗ Storage: " in said
    assert "✓ Page: " in said


async def test_a_running_magpie_is_left_in_peace(tmp_path: Path) -> None:
    async with Magpie(tmp_path / "data") as magpie:
        code, said = await examine(magpie.data_dir, WEB_PORT=str(magpie.port))

    assert code == 0, said
    assert "in use by the Magpie that is running here" in said


async def test_tool_servers_are_told_one_by_one(tmp_path: Path) -> None:
    config = mcp_config(
        tmp_path,
        files=speaker() | {"confirm": ["echo", "ecco"]},
        readers=speaker() | {"trust": ["*"]},
        broken=speaker("exit"),
        missing={"command": "/no/such/program"},
    )

    code, said = await examine(tmp_path, MCP_CONFIG=config)

    assert code == 1
    assert f"✓ Tool server 'files': {len({**TOOLS, **OWN})} tools; " in said
    assert "of them ask a person before each call: 'echo', 'note', " in said
    assert "– Tool server 'files': the file names 'ecco', and there is no such tool." in said
    assert f"✓ Tool server 'readers': {len({**TOOLS, **OWN})} tools, none of which asks" in said
    assert "✗ Tool server 'broken': it ended with exit code 1: look at what MCP_CONFIG says of it." in said
    assert "✗ Tool server 'missing': it cannot be started: No such file or directory: look" in said
    assert "2 to mend" in said


async def test_a_tool_servers_secret_is_not_told_wherever_it_stands(tmp_path: Path) -> None:
    config = mcp_config(tmp_path, s=speaker() | {"env": {"TOKEN": "canary"}, "confirm": ["canary"]})

    code, said = await examine(tmp_path, MCP_CONFIG=config)

    assert code == 0
    assert "– Tool server 's': the file names '[secret]', and there is no such tool." in said
    assert "canary" not in said


async def test_an_unknown_model_is_told_under_its_variable(tmp_path: Path, simulator: Simulator) -> None:
    code, said = await examine(tmp_path, CHAT_MODEL="glm-4-flsh", **glm(simulator))

    assert code == 1
    assert "CHAT_MODEL=glm-4-flsh" in said
