"""DashScope's videos (Wan): tasks, from words alone (t2v) or from a picture that they begin with (i2v)."""

from functools import partial

from aiohttp import web

from bot.simulator import dashscope_rules as rules
from bot.simulator import films
from bot.simulator.backend import Backend, Exchange, Json
from bot.simulator.dashscope_tasks import Tasks, failure, model_of
from bot.simulator.models import Model
from bot.simulator.shapes import parse_size
from bot.simulator.words import Usage

_SIZES = {
    720: {(1280, 720), (720, 1280), (960, 960), (1088, 832), (832, 1088)},
    1080: {(1920, 1080), (1080, 1920), (1440, 1440), (1632, 1248), (1248, 1632)},
}
_SECONDS = {"wan2.6": (5, 10, 15), "wan2.5": (5, 10)}
_BEGINS = (360, 2000)  # pixels that each side of the first picture may have


class Videos:
    """The video endpoint."""

    def __init__(self, backend: Backend, tasks: Tasks) -> None:
        self._backend = backend
        self._tasks = tasks

    async def start(self, exchange: Exchange) -> web.StreamResponse:
        model = model_of(exchange, "video")
        prompt = rules.prompt_of(exchange.body)
        parameters = rules.parameters_of(exchange.body)
        if "-i2v" in model.name:
            _check_first(rules.input_of(exchange.body))
            lines = _resolution(parameters)
        else:
            lines = _lines(parameters)
        seconds = _seconds(parameters, model)
        usage = {"duration": seconds, "video_count": 1, "SR": lines}
        pace = self._backend.pace.task
        if exchange.fault and exchange.fault.task == "FAILED":
            error = failure(exchange)
            output: Json = {"code": error.code, "message": error.message}
            return await self._tasks.begin(exchange, model, output, {}, Usage(), pace)
        make = partial(films.film, prompt, seconds)
        path = self._backend.shelf.put_media(make, "video/mp4", "mp4", fault=exchange.fault)
        url = str(exchange.request.url.origin()) + path
        output = {"orig_prompt": prompt, "actual_prompt": prompt, "video_url": url}
        return await self._tasks.begin(exchange, model, output, usage, Usage(videos=1, seconds=seconds), pace)


def _check_first(given: Json) -> None:
    url = given.get("img_url")
    if not isinstance(url, str) or not url:
        raise rules.invalid("Field required: input.img_url")
    seen = rules.picture(url, {})
    low, high = _BEGINS
    if not seen.url and not all(low <= side <= high for side in (seen.width, seen.height)):
        raise rules.invalid(f"The image length and width should be in [{low}, {high}]")


def _resolution(parameters: Json) -> int:
    if "size" in parameters:
        raise rules.invalid("The model does not support size, please use resolution.")
    value = parameters.get("resolution", "1080P")
    if value not in ("720P", "1080P"):
        raise rules.invalid(f"resolution must be one of 720P, 1080P: {value}")
    return int(value[:-1])


def _lines(parameters: Json) -> int:
    size = parse_size(parameters.get("size", "1920*1080"), "*")
    found = next((lines for lines, sizes in _SIZES.items() if size in sizes), None)
    if found is None:
        raise rules.invalid(f"the size does not match the allowed size: {parameters.get('size')}")
    return found


def _seconds(parameters: Json, model: Model) -> int:
    value = parameters.get("duration", 5)
    allowed = _SECONDS[model.name[:6]]
    if isinstance(value, bool) or value not in allowed:
        raise rules.invalid(f"duration must be one of {', '.join(map(str, allowed))}: {value}")
    return int(value)
