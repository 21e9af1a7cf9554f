"""DashScope's pictures, drawn or changed: at once at the multimodal endpoint (qwen-image, z-image, wan2.6), or as tasks."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from bot.simulator import dashscope_rules as rules
from bot.simulator.backend import Backend, Exchange, Json, dump
from bot.simulator.dashscope_tasks import Tasks, failure, model_of
from bot.simulator.errors import refusal
from bot.simulator.models import Model
from bot.simulator.shapes import parse_size
from bot.simulator.stream import send_whole
from bot.simulator.words import Seen, Usage

_QWEN_SIZES = frozenset(
    {(1664, 928), (1472, 1104), (1328, 1328), (1104, 1472), (928, 1664), (1472, 1140), (1140, 1472)}
)
_EDITED = (384, 3072)  # pixels that each side of a picture to be changed may have; Wan takes up to 5000


class Images:
    """The picture endpoints."""

    def __init__(self, backend: Backend, tasks: Tasks) -> None:
        self._backend = backend
        self._tasks = tasks

    async def draw_at_once(self, exchange: Exchange, model: Model) -> web.StreamResponse:
        headers = exchange.request.headers
        if headers.get("X-DashScope-SSE") == "enable":
            raise rules.invalid("The model does not support streaming output.")
        if headers.get("X-DashScope-Async") == "enable":
            raise refusal("dashscope", "AccessDenied", message="current user api does not support asynchronous calls.")
        prompt, pictures = _content_of_messages(exchange.body)
        _check_pictures(pictures, model)
        parameters = rules.parameters_of(exchange.body)
        width, height = _size(parameters, model)
        count = _count(parameters, model)
        urls = [self._put(exchange, prompt, width, height, at) for at in range(count)]
        exchange.usage = Usage(images=count)
        choices = [
            {"finish_reason": "stop", "message": {"role": "assistant", "content": [{"image": url}]}} for url in urls
        ]
        body = {
            "output": {"choices": choices},
            "usage": {"image_count": count, "width": width, "height": height},
            "request_id": exchange.id,
        }
        return await send_whole(self._backend, exchange, dump(body).encode(), seconds=self._backend.pace.picture)

    def _put(self, exchange: Exchange, prompt: str, width: int, height: int, variant: int) -> str:
        path = self._backend.shelf.put(prompt, width, height, variant=variant, fault=exchange.fault)
        return str(exchange.request.url.origin()) + path

    async def start_drawing(self, exchange: Exchange) -> web.StreamResponse:
        model = model_of(exchange, "image")
        if model.edits:
            raise rules.invalid("url error, please check url！")
        return await self._start(exchange, model, ())

    async def start_editing(self, exchange: Exchange) -> web.StreamResponse:
        model = model_of(exchange, "image")
        if not model.edits:
            raise rules.invalid("url error, please check url！")
        given = rules.input_of(exchange.body).get("images")
        if not isinstance(given, list) or not all(isinstance(url, str) for url in given):
            raise rules.invalid("Field required: input.images")
        return await self._start(exchange, model, [rules.picture(url, {}) for url in given])

    async def _start(self, exchange: Exchange, model: Model, pictures: Sequence[Seen]) -> web.StreamResponse:
        prompt = rules.prompt_of(exchange.body)
        _check_pictures(pictures, model)
        parameters = rules.parameters_of(exchange.body)
        width, height = _size(parameters, model)
        count = _count(parameters, model)
        results = self._results(exchange, prompt, width, height, count)
        drawn = sum("url" in result for result in results)
        output: Json = {"results": results} if drawn else dict(results[0])
        output["task_metrics"] = {"TOTAL": count, "SUCCEEDED": drawn, "FAILED": count - drawn}
        usage = {"image_count": drawn}
        seconds = self._backend.pace.picture
        return await self._tasks.begin(exchange, model, output, usage, Usage(images=drawn), seconds)

    def _results(self, exchange: Exchange, prompt: str, width: int, height: int, count: int) -> list[Json]:
        """One entry per picture; under the `partial` fault only the first is drawn, under FAILED none."""
        trouble = exchange.fault.task if exchange.fault else None
        error = failure(exchange)
        results: list[Json] = []
        for at in range(count):
            if trouble == "FAILED" or (trouble == "partial" and at):
                results.append({"code": error.code, "message": error.message})
            else:
                url = self._put(exchange, prompt, width, height, at)
                results.append({"url": url, "orig_prompt": prompt, "actual_prompt": prompt})
        return results


def _content_of_messages(body: Json) -> tuple[str, list[Seen]]:
    """The one text of the one user message that the synchronous picture models take, and its pictures."""
    messages = rules.input_of(body).get("messages")
    if not isinstance(messages, list) or len(messages) != 1 or not isinstance(messages[0], dict):
        raise rules.invalid("messages should have exactly one user message: input.messages")
    content: Any = messages[0].get("content")
    if messages[0].get("role") != "user" or not isinstance(content, list):
        raise rules.invalid("messages should have exactly one user message: input.messages")
    texts, pictures = [], []
    for part in content:
        match part:
            case {"text": str(text), **rest} if not rest:
                texts.append(text)
            case {"image": str(url), **rest} if not rest:
                pictures.append(rules.picture(url, {}))
            case _:
                raise rules.invalid("content should have items of text or image: input.messages.content")
    if len(texts) != 1 or not texts[0].strip():
        raise rules.invalid("content should have exactly one text item: input.messages.content")
    return texts[0], pictures


def _check_pictures(pictures: Sequence[Seen], model: Model) -> None:
    if not model.edits and pictures:
        raise rules.invalid("The model does not support images: input.messages.content")
    if model.edits and not 1 <= len(pictures) <= model.edits:
        raise rules.invalid(f"The number of images should be in [1, {model.edits}]")
    low, high = _EDITED
    for seen in pictures:
        if not seen.url and not all(low <= side <= high for side in (seen.width, seen.height)):
            raise rules.invalid(f"The image length and width should be in [{low}, {high}]")


def _count(parameters: Json, model: Model) -> int:
    count = parameters.get("n", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= model.most:
        raise rules.invalid(f"n should be in [1, {model.most}]")
    return count


def _size(parameters: Json, model: Model) -> tuple[int, int]:
    """Width and height in pixels, by each family's own rule."""
    given = parameters.get("size")
    edits = model.name.startswith("qwen-image-edit")
    if model.name == "qwen-image-edit" and given is not None:
        raise rules.invalid("The model does not support size.")
    qwen = model.name.startswith("qwen-image") and model.name != "qwen-image-2.0" and not edits
    default = "1328*1328" if qwen else "1280*1280" if model.name.startswith(("wan2.6", "wan2.5")) else "1024*1024"
    size = parse_size(given or default, "*")
    if size is None:
        raise rules.invalid("size must be given as width*height")
    width, height = size
    if qwen:
        fits = size in _QWEN_SIZES
    elif edits:
        fits = all(512 <= side <= 2048 for side in size)
    elif model.name.startswith("wan2.6"):
        fits = 1280 * 1280 <= width * height <= 1440 * 1440 and width <= 4 * height and height <= 4 * width
    elif model.name.startswith("wan2.5"):
        fits = 768 * 768 <= width * height <= 1440 * 1440 and width <= 4 * height and height <= 4 * width
    elif model.task:
        fits = all(512 <= side <= 1440 for side in size)
    else:
        fits = 512 * 512 <= width * height <= 2048 * 2048
    if not fits:
        raise rules.invalid(f"the size does not match the allowed size: {width}*{height}")
    return size
