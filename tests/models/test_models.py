"""Which models are set up, what names mean, what is the default; and that nothing is imported before its time."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.errors import SettingsError
from bot.models import ModelSettings, Roster, open_models
from bot.ports import Background, ChatModel, ModelCard, Models, Offers, Unknown
from tests.models.rig import Purse, Shelf
from tests.servers.openai import OpenAIServer


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def opened(session: aiohttp.ClientSession, **values: object) -> Roster:
    both: dict[str, object] = {"zhipu_key": "a.b", "dashscope_key": "sk-x", **values}
    settings = ModelSettings(session=session, ledger=Purse(), files=Shelf(), **both)  # type: ignore[arg-type]  # by name
    return open_models(settings)


def name_of(found: ModelCard | Unknown | None) -> str:
    assert isinstance(found, ModelCard), found
    return found.name


async def test_it_is_what_the_port_promises(session: aiohttp.ClientSession) -> None:
    roster = opened(session)
    models: Models = roster
    chat: ChatModel = models.chat(models.cards()[0])
    offers: Offers = roster
    background: Background = offers.background(models.cards()[0])
    assert chat and background and not models.simulated


async def test_vendors_names_mean_their_defaults(session: aiohttp.ClientSession) -> None:
    models = opened(session, chat_model="qwen3-max")
    assert name_of(models.find("glm")) == "glm-4.7-flash"
    assert name_of(models.find(" Qwen ")) == "qwen-flash"
    assert name_of(models.find("glm", "image")) == "cogview-3-flash"
    assert name_of(models.find("qwen", "image")) == "z-image-turbo"


async def test_full_names_and_misspelt_ones(session: aiohttp.ClientSession) -> None:
    models = opened(session)
    assert name_of(models.find("QWEN-plus")) == "qwen-plus"
    assert models.find("qwen-plsu") == Unknown(nearest=("qwen-plus", "qwen3.6-plus", "qwen3.5-plus"))
    assert models.find("cogview-3-flash") == Unknown(nearest=models.find("cogview-3-flash").nearest, other=True)  # type: ignore[union-attr]
    assert models.find("wan", "image") == Unknown(nearest=("wan2.6-t2i", "wan2.2-t2i-flash", "wan2.2-t2i-plus"))
    for rubbish in ("", " ", "💥", "a" * 5_000, "openai/", "../../etc/passwd"):
        assert isinstance(models.find(rubbish), Unknown)


async def test_a_model_without_its_key_names_the_variable(session: aiohttp.ClientSession) -> None:
    models = opened(session, dashscope_key="")
    for name in ("qwen", "qwen-plus"):
        found = models.find(name)
        assert isinstance(found, Unknown) and found.variable == "DASHSCOPE_API_KEY"
    assert {card.vendor for card in models.cards()} == {"glm"}


async def test_the_default_is_the_first_vendors(session: aiohttp.ClientSession) -> None:
    assert name_of(opened(session).pick("chat")) == "glm-4.7-flash"
    assert name_of(opened(session).pick("chat", vision=True)) == "glm-4.6v-flash"
    assert name_of(opened(session).pick("chat", vendor="qwen", vision=True)) == "qwen3-vl-flash"
    assert name_of(opened(session).pick("image", vendor="qwen")) == "z-image-turbo"
    assert name_of(opened(session, zhipu_key="").pick("chat")) == "qwen-flash"
    assert opened(session, zhipu_key="").pick("chat", vendor="glm") is None


async def test_the_owners_choice_comes_first_where_it_fits(session: aiohttp.ClientSession) -> None:
    models = opened(session, chat_model="qwen3-max", image_model="qwen-image-plus")
    assert name_of(models.pick("chat")) == "qwen3-max"
    assert name_of(models.pick("chat", vision=True)) == "glm-4.6v-flash"
    assert name_of(models.pick("chat", vendor="glm")) == "glm-4.7-flash"
    assert name_of(models.pick("image")) == "qwen-image-plus"
    assert name_of(opened(session, chat_model="qwen").pick("chat")) == "qwen-flash"
    assert name_of(opened(session, chat_model="qwen3.5-plus").pick("chat", vision=True)) == "qwen3.5-plus"


async def test_wrong_settings_are_all_named_at_once(session: aiohttp.ClientSession) -> None:
    with pytest.raises(SettingsError) as caught:
        opened(session, chat_model="glm-4.7-flush", image_model="qwen-image-plus", dashscope_key="")
    first, second = caught.value.problems
    assert first.startswith("CHAT_MODEL=glm-4.7-flush") and "glm-4.7-flash" in first
    assert second.startswith("IMAGE_MODEL=qwen-image-plus needs DASHSCOPE_API_KEY")


async def test_an_openai_compatible_service_lists_its_models(session: aiohttp.ClientSession) -> None:
    async with OpenAIServer() as server:
        models = opened(session, zhipu_key="", dashscope_key="", openai_url=server.url)
        assert models.pick("chat") is None
        await models.warm()
        assert "openai/llama3.2" in [card.name for card in models.cards()]
        assert name_of(models.find("openai")).startswith("openai/") and name_of(models.pick("chat"))
        typed = models.find("openai/anything:7b")
        assert isinstance(typed, ModelCard) and typed.name == "openai/anything:7b" and typed.free  # on this machine


async def test_a_service_that_is_down_only_warns(
    session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    models = opened(session, zhipu_key="", dashscope_key="", openai_url="http://127.0.0.1:1/v1")
    await models.warm()
    assert "OPENAI_BASE_URL" in caplog.text


async def test_an_unknown_service_elsewhere_is_counted_as_dear(session: aiohttp.ClientSession) -> None:
    models = opened(session, openai_key="sk", openai_url="https://api.example.com/v1")
    card = models.find("openai/some-model")
    assert isinstance(card, ModelCard) and not card.free and card.note


def test_an_sdk_is_imported_only_when_its_vendor_is_used() -> None:
    program = """
import asyncio, sys
import aiohttp
from bot.models import ModelSettings, open_models
from tests.models.rig import Purse, Shelf

async def main():
    assert "zhipuai" not in sys.modules and "dashscope" not in sys.modules
    async with aiohttp.ClientSession() as session:
        models = open_models(ModelSettings(session=session, ledger=Purse(), files=Shelf(), zhipu_key="a.b"))
        assert "zhipuai" not in sys.modules
        await models.warm()
        assert "zhipuai" in sys.modules and "dashscope" not in sys.modules

asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
