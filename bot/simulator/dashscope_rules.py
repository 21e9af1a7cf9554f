"""What DashScope's two chat endpoints accept: checks a body as strictly as the service and turns it into a Question.

From help.aliyun.com's DashScope reference; the wording of refusals is the service's where it is known.
"""

import re
from collections.abc import Mapping
from typing import Any

from bot.simulator import models
from bot.simulator.backend import Json
from bot.simulator.errors import refusal
from bot.simulator.models import Model
from bot.simulator.pictures import decode, measure
from bot.simulator.shapes import function_of, read_tool_calls, tool_pairs_whole
from bot.simulator.words import Question, Refusal, Said, Seen, prompt_usage

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MAX_PICTURE = 10 * 1024 * 1024  # bytes


def invalid(message: str) -> Refusal:
    return refusal("dashscope", "InvalidParameter", message=message)


def model_of(body: Json, *, multimodal: bool) -> Model:
    """The model, if this endpoint serves it. Raises Refusal."""
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise invalid("Model not exist.")
    model = models.DASHSCOPE.get(name)
    if model is None:
        raise refusal("dashscope", "ModelNotFound", message=f"Model can not be found: {name}")
    if model.multimodal != multimodal or model.task:
        raise invalid("url error, please check url！")
    return model


def input_of(body: Json) -> Json:
    value = body.get("input")
    if not isinstance(value, dict):
        raise invalid("Required body invalid, please check the request body format: input must be an object.")
    return value


def prompt_of(body: Json) -> str:
    """What the endpoints for tasks take."""
    prompt = input_of(body).get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise invalid("Field required: input.prompt")
    return prompt


def parameters_of(body: Json) -> Json:
    value = body.get("parameters") or {}
    if not isinstance(value, dict):
        raise invalid("Required body invalid, please check the request body format: parameters must be an object.")
    return value


def read_chat(body: Json, model: Model, *, stream: bool, objects: Mapping[str, bytes]) -> Question:
    """A legal body as a Question; `objects` are the uploaded files that `oss://` may name. Raises Refusal."""
    parameters = parameters_of(body)
    _check_ranges(parameters, model)
    said = _messages(input_of(body), model, objects)
    thinking = models.thinks(model, _flag(parameters, "enable_thinking"))
    _check_thinking(parameters, model, thinking=thinking, stream=stream)
    tools = _tools(parameters)
    json_object = _response_format(parameters, said, thinking=thinking)
    stop = parameters.get("stop") or []
    words = [stop] if isinstance(stop, str) else stop
    if not isinstance(words, list) or not all(isinstance(word, str | int | list) for word in words):
        raise invalid("stop must be a string or a list.")
    question = Question(
        model=model.name,
        said=said,
        thinking=thinking,
        tools=tools,
        must_call=isinstance(parameters.get("tool_choice"), dict),
        search=_searches(parameters),
        json_object=json_object,
        seed=parameters.get("seed") or 0,
        max_tokens=parameters.get("max_tokens") or model.output,
        stop=tuple(word for word in words if isinstance(word, str)),
    )
    if not 1 <= prompt_usage(question).input_tokens <= model.window:
        raise invalid(f"Range of input length should be [1, {model.window}]")
    return question


def _algo(message: str) -> Refusal:
    return invalid(f"<400> InternalError.Algo.InvalidParameter: {message}")


def _check_ranges(parameters: Json, model: Model) -> None:
    """Number ranges of the reference; `[` and `)` as it writes them."""
    _range(parameters, "temperature", "[0.0, 2.0)", lambda x: 0 <= x < 2)
    _range(parameters, "top_p", "(0.0, 1.0]", lambda x: 0 < x <= 1)
    _range(parameters, "repetition_penalty", "(0.0, inf)", lambda x: x > 0)
    _range(parameters, "presence_penalty", "[-2.0, 2.0]", lambda x: -2 <= x <= 2)
    _range(parameters, "max_tokens", f"[1, {model.output}]", lambda x: 1 <= x <= model.output, whole=True)
    _range(parameters, "seed", "[0, 2147483647]", lambda x: 0 <= x < 2**31, whole=True)
    _range(parameters, "top_k", "[0, 100]", lambda x: 0 <= x <= 100, whole=True)
    _range(parameters, "thinking_budget", "[1, 81920]", lambda x: 1 <= x <= 81_920, whole=True)
    _range(parameters, "n", "[1, 1] in this simulator", lambda x: x == 1, whole=True)
    if parameters.get("result_format") not in (None, "text", "message"):
        raise invalid("result_format must be text or message.")


def _range(parameters: Json, name: str, bounds: str, fits: Any, *, whole: bool = False) -> None:
    value = parameters.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not fits(value):
        raise _algo(f"Range of {name} should be {bounds}")


def _flag(parameters: Json, name: str) -> bool | None:
    value = parameters.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{name} must be a boolean.")
    return value


def is_incremental(parameters: Json) -> bool:
    return _flag(parameters, "incremental_output") is True


def _check_thinking(parameters: Json, model: Model, *, thinking: bool, stream: bool) -> None:
    if parameters.get("enable_thinking") and model.thinking == "never":
        raise _algo(f"The model {model.name} does not support enable_thinking.")
    if not thinking:
        return
    if not stream and model.streams_thoughts_only:
        raise _algo("parameter.enable_thinking must be set to false for non-streaming calls")
    if stream and not is_incremental(parameters):
        raise _algo('The incremental_output parameter must be "true" when enable_thinking is true')
    if parameters.get("result_format") == "text":
        raise _algo('The result_format parameter must be "message" when enable_thinking is true')


def says_message(parameters: Json, model: Model) -> bool:
    """Whether the answer has the `message` form: asked for, or the newer models' default."""
    given = parameters.get("result_format")
    old = model.name in {"qwen-max", "qwen-turbo", "qwen-long"}
    return given == "message" if given else not old


def _tools(parameters: Json) -> dict[str, tuple[str, ...]]:
    tools = parameters.get("tools") or []
    if not isinstance(tools, list):
        raise invalid("tools must be a list.")
    if tools and parameters.get("result_format") == "text":
        raise _algo("tools must be used with result_format message.")
    functions: dict[str, tuple[str, ...]] = {}
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        name, names = function_of(function) if isinstance(function, dict) else ("", ())
        if not name:
            raise _algo("tools[].function.name is required.")
        if not _NAME.fullmatch(name):
            raise _algo(f"tools[].function.name must match {_NAME.pattern}.")
        functions[name] = names
    choice = parameters.get("tool_choice")
    if isinstance(choice, dict):
        choice = (choice.get("function") or {}).get("name")
        if choice not in functions:
            raise _algo("tool_choice names a function that is not in tools.")
        return {choice: functions[choice]}
    if choice not in (None, "auto", "none"):
        raise _algo("tool_choice is one of the strings that should be ['none', 'auto']")
    return {} if choice == "none" else functions


def _searches(parameters: Json) -> bool:
    options = parameters.get("search_options")
    if options is not None and not isinstance(options, dict):
        raise invalid("search_options must be an object.")
    for name in ("forced_search", "enable_source", "enable_citation"):
        _flag(options or {}, name)
    return _flag(parameters, "enable_search") is True


def tells_sources(parameters: Json) -> bool:
    """Whether the answer is to say what was found."""
    return (parameters.get("search_options") or {}).get("enable_source") is True


def _response_format(parameters: Json, said: tuple[Said, ...], *, thinking: bool) -> bool:
    value = parameters.get("response_format")
    if value is None:
        return False
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in ("text", "json_object"):
        raise _algo("response_format.type must be text or json_object.")
    if kind == "text":
        return False
    if thinking:
        raise _algo("Json mode response is not supported when enable_thinking is true")
    if not any("json" in one.text.lower() for one in said):
        raise _algo(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        )
    return True


def _messages(given: Json, model: Model, objects: Mapping[str, bytes]) -> tuple[Said, ...]:
    messages = given.get("messages")
    if messages is None and isinstance(given.get("prompt"), str) and not model.multimodal:
        messages = [{"role": "user", "content": given["prompt"]}]
    if not isinstance(messages, list) or not messages:
        raise _algo('Either "prompt" or "messages" must exist and cannot both be none')
    said = tuple(_message(message, model, objects) for message in messages)
    spoken = [one for one in said if one.role != "system"]
    if not spoken or spoken[0].role != "user":
        raise _algo("The first message after the system message must have the role user.")
    if spoken[-1].role == "assistant":
        raise _algo("The last message must have the role user or tool.")
    if not tool_pairs_whole(said):
        raise _algo(
            'An assistant message with "tool_calls" must be followed by tool messages responding to each "tool_call_id".'
        )
    return said


def _message(message: Any, model: Model, objects: Mapping[str, bytes]) -> Said:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ("system", "user", "assistant", "tool"):
        raise _algo("Role must be in [system, user, assistant, tool].")
    calls = read_tool_calls(message.get("tool_calls"))
    if calls is None or (calls and role != "assistant"):
        raise _algo("tool_calls are malformed or not in an assistant message.")
    content = message.get("content")
    pictures: tuple[Seen, ...] = ()
    if model.multimodal:
        text, pictures = _parts(content, role, objects)
    elif content is None or isinstance(content, str):
        text = content or ""
    else:
        raise _algo("Input should be a valid string: input.messages.content")
    if not (text or pictures or calls) and role != "tool":
        raise _algo("Role must be user or assistant and Content length must be greater than 0")
    return Said(
        role=role, text=text, pictures=pictures, tool_calls=calls, tool_call_id=str(message.get("tool_call_id") or "")
    )


def _parts(content: Any, role: str, objects: Mapping[str, bytes]) -> tuple[str, tuple[Seen, ...]]:
    """Multimodal content: a list of dicts, each with one kind of part (`fps` and the like may ride along with a video)."""
    if content is None and role == "assistant":
        return "", ()
    if not isinstance(content, list):
        raise _algo("Input should be a valid list: input.messages.content")
    texts, pictures = [], []
    for part in content:
        kinds = [key for key in ("text", "image") if isinstance(part, dict) and key in part]
        if len(kinds) != 1 or not isinstance(part[kinds[0]], str):
            raise _algo("Input should have exactly one of 'text', 'image' per content item: input.messages.content")
        if kinds == ["text"]:
            texts.append(part["text"])
        elif role != "user":
            raise _algo("Only user messages may contain images.")
        else:
            pictures.append(picture(part["image"], objects))
    return "\n".join(texts), tuple(pictures)


def picture(url: str, objects: Mapping[str, bytes]) -> Seen:
    """A picture as it may be given anywhere. Raises Refusal."""
    if url.startswith("oss://"):
        content = objects.get(url.removeprefix("oss://"))
        seen = measure(content) if content else None
    elif url.startswith(("https://", "http://", "data:")):
        seen = decode(url, max_bytes=MAX_PICTURE)
    else:
        raise _algo("The provided URL does not appear to be valid. Ensure it is correctly formatted.")
    if seen is None:
        raise _algo("The image format is illegal and cannot be opened.")
    if not seen.url and min(seen.width, seen.height) <= 10:
        raise _algo(
            "The image length and width do not meet the model restrictions. "
            f"[height:{seen.height} or width:{seen.width} must be larger than 10]"
        )
    return seen
