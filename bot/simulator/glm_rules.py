"""What GLM's chat endpoint accepts: checks a body as strictly as the service and turns it into a Question.

From the API reference of docs.bigmodel.cn: ranges, lengths, roles and their order, content parts.
"""

import re
from collections.abc import Sequence
from typing import Any

from bot.simulator import models
from bot.simulator.backend import Json
from bot.simulator.errors import refusal
from bot.simulator.models import Model
from bot.simulator.pictures import decode
from bot.simulator.shapes import function_of, read_tool_calls, tool_pairs_whole
from bot.simulator.words import Question, Refusal, Said, Seen, prompt_usage

MAX_PICTURE = 5 * 1024 * 1024  # bytes
ENGINES = ("search_std", "search_pro", "search_pro_sogou", "search_pro_quark", "search_pro_jina", "search_pro_bing")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def error(code: str, about: str = "", message: str = "") -> Refusal:
    return refusal("glm", code, about, message=message)


def model_of(body: Json, kind: models.Kind = "chat") -> Model:
    name = body.get("model")
    if not name:
        raise error("1213", "model")
    if not isinstance(name, str):
        raise error("1214", "model")
    model = models.GLM.get(name)
    if model is None or model.kind != kind:
        raise error("1211")
    return model


def read_chat(body: Json) -> Question:
    """A legal body as a Question. Raises Refusal 1210, 1211, 1213, 1214 or 1261."""
    model = model_of(body)
    check_number(body, "temperature", 0, 1)
    check_number(body, "top_p", 0.01, 1)
    check_number(body, "max_tokens", 1, 131_072, whole=True)
    check_flags(body, "stream", "do_sample", "tool_stream")
    if body.get("seed") is not None and not _is_whole(body["seed"]):
        raise error("1214", "seed")
    check_ids(body)
    stop = body.get("stop") or []
    if not isinstance(stop, list) or len(stop) > 1 or not all(isinstance(word, str) for word in stop):
        raise error("1214", "stop")
    question = Question(
        model=model.name,
        said=_messages(body, model),
        thinking=models.thinks(model, _thinking(body)),
        tools=_tools(body),
        search=_searches(body),
        json_object=_choice(body, "response_format", ("text", "json_object")) == "json_object",
        seed=body.get("seed") or 0,
        max_tokens=min(body.get("max_tokens") or model.output, model.output),
        stop=tuple(stop),
    )
    if prompt_usage(question).input_tokens > model.window:
        raise error("1261")
    return question


def check_ids(body: Json) -> None:
    for name, longest in (("request_id", 64), ("user_id", 128)):
        value = body.get(name)
        if value is not None and not (isinstance(value, str) and 6 <= len(value) <= longest):
            raise error("1214", name)


def check_flags(body: Json, *names: str) -> None:
    for name in names:
        if body.get(name) is not None and not isinstance(body[name], bool):
            raise error("1214", name)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check_number(body: Json, name: str, low: float, high: float, *, whole: bool = False) -> None:
    value = body.get(name)
    if value is None:
        return
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise error("1214", name)


def _choice(body: Json, name: str, kinds: Sequence[str]) -> str | None:
    """The `type` of an object such as `thinking`, None if not given."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("type") not in kinds:
        raise error("1214", name)
    return str(value["type"])


def _thinking(body: Json) -> bool | None:
    kind = _choice(body, "thinking", ("enabled", "disabled"))
    return None if kind is None else kind == "enabled"


def _tools(body: Json) -> dict[str, tuple[str, ...]]:
    tools = body.get("tools") or []
    if not isinstance(tools, list) or len(tools) > 128:
        raise error("1214", "tools")
    if body.get("tool_choice") not in (None, "auto"):
        raise error("1214", "tool_choice")
    functions: dict[str, tuple[str, ...]] = {}
    for tool in tools:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in {"function", "web_search", "retrieval", "mcp"} or not isinstance(tool.get(kind), dict):
            raise error("1214", "tools")
        if kind == "function":
            name, parameters = function_of(tool["function"])
            schema = tool["function"].get("parameters")
            if not _NAME.fullmatch(name) or name in functions or not (schema is None or schema.get("type") == "object"):
                raise error("1214", "tools.function")
            functions[name] = parameters
        elif kind == "web_search":
            check_engine(tool["web_search"], required=False)
    return functions


def _searches(body: Json) -> bool:
    """Whether the vendor's own search is among the tools; a JSON string will do for its switch, as in the SDK's examples."""
    tools = [tool["web_search"] for tool in body.get("tools") or [] if tool["type"] == "web_search"]
    return any(str(tool.get("enable", True)).lower() == "true" for tool in tools)


def check_engine(options: Json, *, required: bool) -> None:
    """The options that the search by itself and the one of a chat share."""
    engine = options.get("search_engine")
    if engine is None and required:
        raise error("1213", "search_engine")
    if engine is not None and engine not in ENGINES:
        raise error("1214", "search_engine")
    check_number(options, "count", 1, 50, whole=True)
    if options.get("search_recency_filter") not in (None, "oneDay", "oneWeek", "oneMonth", "oneYear", "noLimit"):
        raise error("1214", "search_recency_filter")
    if options.get("content_size") not in (None, "medium", "high"):
        raise error("1214", "content_size")


def _messages(body: Json, model: Model) -> tuple[Said, ...]:
    messages = body.get("messages")
    if messages is None or messages == []:
        raise error("1213", "messages")
    if not isinstance(messages, list):
        raise error("1214", "messages")
    said = tuple(_message(message, model) for message in messages)
    spoken = [one for one in said if one.role != "system"]
    if not spoken or spoken[0].role != "user" or spoken[-1].role == "assistant":
        raise error("1214", "messages")
    if not tool_pairs_whole(said):
        raise error("1214", "messages")
    return said


def _message(message: Any, model: Model) -> Said:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ("system", "user", "assistant", "tool"):
        raise error("1214", "messages.role")
    calls = read_tool_calls(message.get("tool_calls"))
    if calls is None or (calls and role != "assistant"):
        raise error("1214", "messages.tool_calls")
    text, pictures = _content(message.get("content"), model)
    if pictures and role != "user":
        raise error("1214", "messages.content")
    if not (text.strip() or pictures or calls) and role != "tool":
        raise error("1213", "prompt")
    call_id = message.get("tool_call_id") or ""
    if role == "tool" and not isinstance(message.get("content"), str):
        raise error("1214", "messages.content")
    if (role == "tool") != bool(call_id):
        raise error("1214", "messages.tool_call_id")
    return Said(role=role, text=text, pictures=pictures, tool_calls=calls, tool_call_id=str(call_id))


def _content(content: Any, model: Model) -> tuple[str, tuple[Seen, ...]]:
    if content is None:
        return "", ()
    if isinstance(content, str):
        return content, ()
    if not isinstance(content, list):
        raise error("1214", "messages.content")
    texts, pictures = [], []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url" and isinstance(part.get("image_url"), dict):
            pictures.append(_picture(part["image_url"].get("url"), model))
        else:
            raise error("1214", "messages.content.type")
    return "\n".join(texts), tuple(pictures)


def _picture(url: Any, model: Model) -> Seen:
    if not model.sees:
        raise error("1210")
    seen = decode(url, max_bytes=MAX_PICTURE) if isinstance(url, str) else None
    if seen is None or max(seen.width, seen.height) > 6000:
        raise error("1210", message="图片输入格式/解析错误")
    return seen
