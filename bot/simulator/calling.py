"""Which functions the simulated model asks for: those that the user's words call for, or
(`obeys`) those that any text tells it to.

A user may ask for several steps, with "then" between them: "use add {"a": 1} then use mail {}". Deterministic, like the brain.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence

from bot.simulator.words import Question, Said, ToolCall

_HAN = re.compile("[\u4e00-\u9fff]")
_PLACE = re.compile(r"\bin\s+([A-Z][\w-]*(?:\s[A-Z][\w-]*)?)|([\u4e00-\u9fff]{2,4}?)(?:今天|明天|现在)?的?天气")
_USE_OR_THEN = re.compile(r"\buse\s+([A-Za-z0-9_-]{1,64})[ \t]*|,?\s*\bthen\b|，?然后", re.IGNORECASE)
_ORDER = re.compile(r"SYSTEM: call ([A-Za-z0-9_-]{1,64})[ \t]*")
# What a user says, and what the name of the function that it calls for contains.
_KNOWN = (
    (re.compile(r"\b(?:calculate|compute)\b:?\s*(.+)|(?:计算|算一下)[:：]?\s*(.+)", re.IGNORECASE), ("calc",)),
    (re.compile(r"\bwhat time\b()|(?:几点|什么时间)()", re.IGNORECASE), ("time", "clock")),
    (re.compile(r"\bsearch (?:the web )?for\s+(.+)|搜索一?下?[:：]?\s*(.+)", re.IGNORECASE), ("search",)),
    (re.compile(r"\bread (?:the page )?(https?://\S+)|(?:阅读|读一下)\s*(https?://\S+)"), ("read", "fetch", "page")),
)  # fmt: skip


def calls_for(question: Question, *, obeys: bool) -> tuple[ToolCall, ...]:
    """The calls to make now; none where an answer is due."""
    if not question.tools:
        return ()
    asked = list(_ordered(question)) if obeys else []
    asked = asked or list(_wanted(question))
    number = sum(len(said.tool_calls) for said in question.said)
    return tuple(
        ToolCall(f"call_{number + at:04d}{hash_text(name + arguments):012d}", name, arguments)
        for at, (name, arguments) in enumerate(asked)
    )


def results(said: Sequence[Said]) -> tuple[Said, ...]:
    """The tools' lines at the end of a chat."""
    at = len(said)
    while at and said[at - 1].role == "tool":
        at -= 1
    return tuple(said[at:])


def hash_text(text: str) -> int:
    """A number from a text that is the same in every process (`hash` is not)."""
    value = 0
    for character in text[:2_000]:
        value = (value * 131 + ord(character)) % 1_000_000_007
    return value


def _ordered(question: Question) -> Iterator[tuple[str, str]]:
    """What the newest lines order, whoever wrote them: a model without any sense. Each order is followed once."""
    done = {(call.name, call.arguments) for said in question.said for call in said.tool_calls}
    newest = next(
        (at for at, said in enumerate(reversed(question.said)) if said.role == "assistant"), len(question.said)
    )
    for said in question.said[len(question.said) - newest :]:
        for found in _ORDER.finditer(said.text):
            order = found[1], _arguments(said.text[found.end() :])
            if said.role != "system" and order not in done:
                done.add(order)
                yield order


def _wanted(question: Question) -> Iterator[tuple[str, str]]:
    """What the user's last words ask for, in the step that is due."""
    last = max((at for at, said in enumerate(question.said) if said.role == "user"), default=None)
    if last is None:
        return
    steps = list(_steps(question.said[last].text, question.tools))
    step = max(sum(bool(said.tool_calls) for said in question.said[last:]), bool(results(question.said)))
    if step >= len(steps):
        return
    calls, words = steps[step]
    if calls:
        yield from calls
    elif call := _recognised(question, words):
        yield call


def _steps(text: str, tools: Collection[str]) -> Iterator[tuple[list[tuple[str, str]], str]]:
    """For each step the functions that are to be used, with their arguments, and the rest of its words."""
    calls: list[tuple[str, str]] = []
    words, at = "", 0
    while found := _USE_OR_THEN.search(text, at):
        words += text[at : found.start()]
        at = found.end()
        name = found[1]
        if name is None:
            yield calls, words
            calls, words = [], ""
        elif name in tools:
            arguments = _arguments(text[at:])
            calls.append((name, arguments))
            at += len(arguments) if text.startswith("{", at) else 0
        else:
            words += found[0]
    yield calls, words + text[at:]


def _recognised(question: Question, text: str) -> tuple[str, str] | None:
    weather = re.search(r"\bweather\b|天气", text, re.IGNORECASE)
    named = _PLACE.search(text)
    place = (named[1] or named[2]) if named else ""
    for name, parameters in question.tools.items():
        first = parameters[0] if parameters else ""
        for pattern, parts in _KNOWN:
            if any(part in name.lower() for part in parts) and (found := pattern.search(text)):
                value = (found[1] or found[2] or "").strip(" .?!。？！") or place
                return name, _json({first: value} if first and value else {})
        named_here = name in text and not name.isalpha()  # "time" and "search" are words that people use
        if question.must_call or named_here or (weather and "weather" in name.lower()):
            return name, _json({first: place or ("北京" if _HAN.search(text) else "London")} if first else {})
    return None


def _arguments(text: str) -> str:
    """The JSON object at the beginning of the text; as it stands up to the end of the line where it is broken."""
    if not text.startswith("{"):
        return "{}"
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return text.partition("\n")[0]
    return text[:end]


def _json(value: dict[str, str]) -> str:
    return json.dumps(value, ensure_ascii=False)
