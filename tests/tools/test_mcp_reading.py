"""What the answers of an MCP server mean, whatever they are."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.ports.tools import MOST_RESULT, ToolCard
from bot.tools.mcp_reading import EMPTY, MOST_TOOLS, ServerTool, card_name, read_result, read_tools
from bot.tools.mcp_servers import Program, Server

SERVER = Server(name="s", reach=Program("run"))
TOOL = ServerTool("echo", ToolCard(name="s__echo", description="", parameters="{}"))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
FIELDS = (
    "name",
    "description",
    "inputSchema",
    "annotations",
    "type",
    "text",
    "data",
    "uri",
    "resource",
    "mimeType",
    "blob",
)
SHAPES = JSON | st.dictionaries(
    st.sampled_from(FIELDS), JSON | st.sampled_from(["text", "image", "resource", "object"])
)


def fingerprint(**changed: object) -> str:
    raw = {"name": "a", "description": "b", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
    (tool,), _ = read_tools(SERVER, [raw | changed])
    return tool.card.fingerprint


@given(st.lists(SHAPES, max_size=5))
def test_whatever_is_listed_cards_are_fit_for_a_model(listed: list[object]) -> None:
    tools, complaints = read_tools(SERVER, listed)

    assert len(tools) <= MOST_TOOLS and all(isinstance(complaint, str) for complaint in complaints)
    for tool in tools:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool.card.name)
        assert json.loads(tool.card.parameters)["type"] == "object"
        assert len(tool.card.description) <= 1_000 and len(tool.card.parameters) <= 8_000


@given(st.lists(SHAPES, max_size=5), JSON, st.booleans())
def test_whatever_is_answered_the_result_is_text_within_its_limit(
    content: list[object], also: object, failed: bool
) -> None:
    result = read_result(TOOL, content, also, failed)

    assert 0 < len(result.text) <= MOST_RESULT and result.failed == failed
    result.text.encode()


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), unique=True, max_size=20))
def test_no_two_tools_of_any_servers_have_one_name(tools: list[tuple[str, str]]) -> None:
    names = [card_name(server, tool) for server, tool in tools]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)


def test_a_plain_name_stays_and_what_could_be_two_does_not() -> None:
    assert card_name("files", "read_file") == "files__read_file"
    assert card_name("a", "b__c") == "a__b__c"
    assert re.fullmatch("a__b__c_[0-9a-f]{8}", card_name("a__b", "c"))
    assert re.fullmatch("a___b_[0-9a-f]{8}", card_name("a_", "b"))
    assert re.fullmatch("x{55}_[0-9a-f]{8}", card_name("x" * 100, "y"))
    assert re.fullmatch("tool_[0-9a-f]{8}", card_name("天", "气"))


def test_the_fingerprint_is_of_all_that_consent_was_given_to() -> None:
    same = fingerprint()

    assert fingerprint() == same
    assert fingerprint(description="b" * 5_000 + "c") != fingerprint(
        description="b" * 5_000 + "d"
    )  # not shown, and counts
    for changed in ({"name": "z"}, {"inputSchema": {"type": "object", "title": "t"}}, {"annotations": None}):
        assert fingerprint(**changed) != same


def test_names_in_the_file_that_no_tool_has_are_told_of() -> None:
    server = Server(name="s", reach=Program("run"), trust=frozenset({"*"}), confirm=frozenset({"delte"}))

    _, complaints = read_tools(server, [{"name": "delete", "inputSchema": {}}])

    assert complaints == ("the file names 'delte', and there is no such tool",)


def test_nothing_is_said_as_well() -> None:
    assert read_result(TOOL, [], None, False).text == EMPTY
    assert read_result(TOOL, [{"type": "text", "text": ""}], None, False).text == EMPTY
