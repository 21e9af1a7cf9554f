"""What the answers of an MCP server mean: its tools as cards, its results as text. Pure; believes nothing: every field may be
missing, of another type, or far too long."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.ports.tools import MOST_RESULT, ToolCard, ToolResult
from bot.tools.mcp_servers import Server
from bot.tools.results import framed

MOST_TOOLS = 64  # of one server: each costs the model's window with every question
MOST_NAME = 64  # characters that models take
MOST_DESCRIPTION = 1_000  # characters
MOST_SCHEMA = 8_000  # characters of JSON
LONGEST_OWN_NAME = 256  # characters of the server's own name for a tool; the protocol asks for at most 128

EMPTY = "The tool gave no output."

_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")


@dataclass(frozen=True, slots=True)
class ServerTool:
    """`name` is the server's own; `required` are the arguments that a call must have."""

    name: str
    card: ToolCard
    required: tuple[str, ...] = ()


def read_tools(server: Server, listed: Sequence[object]) -> tuple[tuple[ServerTool, ...], tuple[str, ...]]:
    """Those that can be used, at most MOST_TOOLS; and, for the owner, what is wrong with the list."""
    tools: dict[str, ServerTool] = {}
    complaints: list[str] = []
    for raw in listed:
        try:
            tool = _read_tool(server, raw)
        except _Unusable as problem:
            complaints.append(str(problem))
            continue
        if len(tools) == MOST_TOOLS and tool.card.name not in tools:
            complaints.append(f"more than {MOST_TOOLS} tools: the first {MOST_TOOLS} are used")
            break
        tools.setdefault(tool.card.name, tool)
    known = {tool.name for tool in tools.values()} | {"*"}
    complaints += [
        f"the file names {name!r}, and there is no such tool" for name in _named(server) if name not in known
    ]
    return tuple(tools.values()), tuple(dict.fromkeys(complaints))


def _named(server: Server) -> list[str]:
    return sorted(server.trust | server.confirm)


class _Unusable(Exception):
    """Says why, for the owner."""


def _read_tool(server: Server, raw: object) -> ServerTool:
    tool = raw if isinstance(raw, dict) else {}
    name, schema = tool.get("name"), tool.get("inputSchema")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_OWN_NAME:
        raise _Unusable("a tool without a usable name is left out")
    said = repr(name)[:MOST_NAME]
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise _Unusable(f"{said} is left out: its arguments are no object")
    try:
        parameters = json.dumps(
            {"type": "object", **schema}, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except ValueError:
        raise _Unusable(f"{said} is left out: its arguments are not described in JSON") from None
    if len(parameters) > MOST_SCHEMA:
        raise _Unusable(f"{said} is left out: its arguments take more than {MOST_SCHEMA} characters to describe")
    description = tool.get("description")
    described = description if isinstance(description, str) else ""
    card = ToolCard(
        name=card_name(server.name, name),
        description=_plain(described),
        parameters=parameters,
        read_only=_read_only(server, name, tool.get("annotations")),
        fingerprint=_fingerprint(name, described, schema, tool.get("annotations")),
    )
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    return ServerTool(name, card, tuple(one for one in names if isinstance(one, str)))


def card_name(server: str, tool: str) -> str:
    """`server__tool`. What had to be cleaned or cut for that, or could be read in two ways, ends with a hash of both: the
    name depends on nothing else, so that a stored call means the same tool after every restart."""
    name = f"{server}__{tool}"
    plain = not _FOREIGN.search(name) and len(name) <= MOST_NAME
    if plain and "__" not in server and not server.endswith("_"):
        return name
    mark = hashlib.sha256(json.dumps([server, tool]).encode()).hexdigest()[:8]
    cleaned = _FOREIGN.sub("_", name)[: MOST_NAME - 1 - len(mark)].strip("_-")
    return f"{cleaned or 'tool'}_{mark}"


def _plain(description: str) -> str:
    """Nothing in it that people cannot see and a model can: tag characters, marks of direction."""
    visible = "".join(one for one in description[: 4 * MOST_DESCRIPTION] if one.isprintable() or one in "\n\t").strip()
    return visible if len(visible) <= MOST_DESCRIPTION else visible[: MOST_DESCRIPTION - 1] + "…"


def _read_only(server: Server, name: str, annotations: object) -> bool:
    if not server.confirm.isdisjoint((name, "*")):
        return False
    if not server.trust.isdisjoint((name, "*")):
        return True
    return isinstance(annotations, dict) and annotations.get("readOnlyHint") is True


def _fingerprint(*parts: object) -> str:
    """Of the whole description, not only of what of it is shown."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read_result(tool: ServerTool, content: Sequence[object], structured: object, failed: bool) -> ToolResult:
    """What the model reads of it, marked as foreign."""
    said = "\n\n".join(_blocks(content))
    if not said and structured is not None:
        said = json.dumps(structured, ensure_ascii=False)
    return ToolResult(framed(f"what {tool.card.name} answered", said) if said else EMPTY, failed)


def _blocks(content: Sequence[object]) -> Iterator[str]:
    """Text as it is; what is no text, in words. Stops when there is enough."""
    length = 0
    for block in content:
        said = _block(block)
        if said:
            yield said
        length += len(said)
        if length > MOST_RESULT:
            return


def _block(block: object) -> str:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "image" | "audio" as kind, "data": str(data), **rest}:
            size = f"about {len(data) * 3 // 4:,} bytes"  # base64
            return f"[{'An image' if kind == 'image' else 'A sound'} ({_short(rest.get('mimeType'))}, {size}), not shown here]"
        case {"type": "resource_link", "uri": str(uri), **rest}:
            return f"[A link: {_short(rest.get('name'))} ({_short(rest.get('mimeType'))}) {uri[:500]}]"
        case {"type": "resource", "resource": {"text": str(text), **rest}}:
            return f"[{_short(rest.get('uri'), 500)}]\n{text}"
        case {"type": "resource", "resource": {"blob": str(blob), **rest}}:
            size = f"about {len(blob) * 3 // 4:,} bytes"
            return f"[A file ({_short(rest.get('mimeType'))}, {size}), not shown here: {_short(rest.get('uri'), 500)}]"
        case {"type": str(kind)}:
            return f"[Something of the kind {_short(kind)}, not shown here]"
    return "[Something that cannot be read]"


def _short(value: object, most: int = 60) -> str:
    return value[:most] if isinstance(value, str) and value else "unnamed"
