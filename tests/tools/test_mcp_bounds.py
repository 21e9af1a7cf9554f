"""How much an MCP server may send, and what is made of the rest."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.types import JSONRPCError, JSONRPCResponse

from bot.tools.mcp_bounds import TAIL, Allowance, Line, Lines, parse


def cut(text: str, at: int) -> Line:
    lines = Lines(at)
    (line,) = lines.feed(text.encode() + b"\n")
    return line


@given(st.lists(st.binary(max_size=20)), st.integers(1, 30))
def test_lines_are_those_of_the_bytes_however_they_come(chunks: list[bytes], most: int) -> None:
    lines = Lines(most)
    got = [line for chunk in chunks for line in lines.feed(chunk)] + [lines.take()]
    whole = b"".join(chunks).split(b"\n")

    assert [line.head for line in got] == [one[:most] for one in whole]
    assert [line.tail for line in got] == [one[most:][-TAIL:] for one in whole]


@given(st.text(), st.integers(45, 2_000), st.booleans())
def test_a_long_answer_is_read_as_far_as_it_goes(text: str, at: int, last: bool) -> None:
    said = {"content": [{"type": "text", "text": text * 3}]}
    answer = {"result": said, "jsonrpc": "2.0", "id": 7} if last else {"jsonrpc": "2.0", "id": 7, "result": said}

    message = parse(cut(json.dumps(answer), at))

    assert message is not None
    match message.root:
        case JSONRPCResponse(id=number, result=result):
            assert number == 7
            content = result.get("content", [])
            assert not content or (text * 3).startswith(content[0].get("text", ""))
        case JSONRPCError(id=number):  # cut before the result began
            assert number == 7
        case other:
            pytest.fail(f"{other}")


@pytest.mark.parametrize(
    "text",
    [
        '{"jsonrpc":"2.0","id":7}',
        '{"jsonrpc":"2.0","id":7,"result":5}',
        '{"jsonrpc":"2.0","id":7,"result":{"a":NaN}}',
        '{"jsonrpc":"2.0","id":7,"result":{"a":"\\ud800"}}',
        '{"result":{"a":"\\ud800"},"jsonrpc":"2.0","id":7}',
        '{"result":{"a":"\\ud800"},"id":7,"jsonrpc":"2.0"}',
        '{"id":7,"result":' + "[" * 300,
        '{"jsonrpc":"2.0","id":7,"error":"no"}',
    ],
)
def test_an_answer_that_cannot_be_read_still_ends_its_call(text: str) -> None:
    message = parse(Line(text.encode()))

    assert message is not None and isinstance(message.root, JSONRPCError) and message.root.id == 7


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"7", b"\xff", b'{"jsonrpc":"2.0","id":true,"result":{}}', b"[" * 999]
)
def test_what_is_no_message_is_none(data: bytes) -> None:
    assert parse(Line(data)) is None


@given(st.binary(max_size=200), st.binary(max_size=TAIL))
def test_no_bytes_are_too_strange(head: bytes, tail: bytes) -> None:
    message = parse(Line(head, tail))

    assert message is None or message.model_dump_json()


def test_an_allowance_is_used_up_and_grows_again() -> None:
    allowance = Allowance(10, 1_000_000)

    assert allowance.covers(10)
    assert not allowance.covers(10_000_000)
    assert not Allowance(10, 0.001).covers(11)
