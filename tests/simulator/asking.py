"""How the simulator's tests ask: raw requests as the vendors' references show them."""

import asyncio
import base64
import importlib
import io
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from dashscope import AioGeneration, AioMultiModalConversation
from dashscope.aigc.image_synthesis import AioImageSynthesis
from PIL import Image

from bot.simulator import Simulator

Json = dict[str, Any]

zhipuai: Any = importlib.import_module("zhipuai")  # it ships no types
# DashScope's SDK annotates its coroutines with unions that fit neither a stream nor a whole answer.
Generation: Any = AioGeneration
MultiModalConversation: Any = AioMultiModalConversation
ImageSynthesis: Any = AioImageSynthesis

TEXT = "/services/aigc/text-generation/generation"
MULTIMODAL = "/services/aigc/multimodal-generation/generation"
STREAM = {"X-DashScope-SSE": "enable"}


def user(text: str) -> Json:
    return {"role": "user", "content": text}


def png(width: int, height: int) -> str:
    """A picture as bare base64."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def glm(sim: Simulator, http: aiohttp.ClientSession, **body: Any) -> Any:
    """POST /chat/completions; what is not given is a legal default."""
    body = {"model": "glm-4-flash", "messages": [user("hi")]} | body
    headers = {"Authorization": f"Bearer {sim.api_key}"}
    return http.post(f"{sim.glm_url}/chat/completions", json=body, headers=headers)


def qwen(
    sim: Simulator,
    http: aiohttp.ClientSession,
    *,
    model: str = "qwen-plus",
    messages: Any = None,
    headers: dict[str, str] | None = None,
    path: str = TEXT,
    **parameters: Any,
) -> Any:
    body = {"model": model, "input": {"messages": messages or [user("hi")]}, "parameters": parameters}
    given = {"Authorization": f"Bearer {sim.api_key}"} | (headers or {})
    return http.post(sim.dashscope_url + path, json=body, headers=given)


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for a condition, at most so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        await asyncio.sleep(0.005)
