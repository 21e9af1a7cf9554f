"""The wiring: what is configured reaches those whom it is for."""

from dataclasses import fields
from pathlib import Path

import aiohttp
import pytest

from bot.app import model_settings
from bot.files import FileStore
from bot.models import ModelSettings
from bot.settings import load_settings
from tests.models.rig import Purse

NOWHERE = Path("/nonexistent/.env")
MODELS = [
    ("ZHIPUAI_API_KEY", "id.secret", "zhipu_key", "id.secret"),
    ("ZHIPUAI_BASE_URL", "https://glm.example/v4", "zhipu_url", "https://glm.example/v4"),
    ("DASHSCOPE_API_KEY", "sk-1", "dashscope_key", "sk-1"),
    ("DASHSCOPE_HTTP_BASE_URL", "https://qwen.example/v1", "dashscope_url", "https://qwen.example/v1"),
    ("OPENAI_API_KEY", "sk-2", "openai_key", "sk-2"),
    ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1", "openai_url", "http://127.0.0.1:11434/v1"),
    ("CHAT_MODEL", "glm-4-flash", "chat_model", "glm-4-flash"),
    ("IMAGE_MODEL", "cogview-3-flash", "image_model", "cogview-3-flash"),
    ("FALLBACK_MODEL", "qwen-plus", "fallback_model", "qwen-plus"),
    ("CATALOG_FILE", __file__, "catalog_file", Path(__file__)),
    ("DAILY_BUDGET", "0.5", "daily_budget", 500_000),
    ("FETCH_FAKE_IP", "on", "fake_ip", True),
    ("LOG_LEVEL", "debug", "simulated", True),  # without any key
]
GIVEN = {"session", "ledger", "files", "limits", "failed"}  # by the program, not by its owner


async def wired(**environ: str) -> ModelSettings:
    async with aiohttp.ClientSession() as session:
        return model_settings(load_settings(environ, NOWHERE), session, Purse(), FileStore(Path("/nonexistent")))


@pytest.mark.parametrize(("variable", "text", "field", "value"), MODELS)
async def test_what_is_configured_reaches_the_models(variable: str, text: str, field: str, value: object) -> None:
    assert getattr(await wired(**{variable: text}), field) == value


def test_all_that_the_models_need_is_in_this_table() -> None:
    assert {field for _, _, field, _ in MODELS} | GIVEN == {field.name for field in fields(ModelSettings)}
