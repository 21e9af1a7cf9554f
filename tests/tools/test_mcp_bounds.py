"""How much an MCP server may send, and what is made of the rest."""

from __future__ import annotations

import json
from itertools import accumulate

import pytest
from hypothesis import example, given
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


@given(st.text(min_size=1).map(lambda text: text * 3), st.integers(45, 2_000), st.integers(0, 9_999), st.booleans())
@example("喜鹊喜鹊喜鹊", 106, 1234, True)  # through the 2.0
@example("喜鹊喜鹊喜鹊", 118, 1234, True)  # through the number of the call
def test_a_long_answer_is_read_as_far_as_it_goes(text: str, at: int, call: int, last: bool) -> None:
    said = {"content": [{"type": "text", "text": text}]}
    answer = {"result": said, "jsonrpc": "2.0", "id": call} if last else {"jsonrpc": "2.0", "id": call, "result": said}
    sent = json.dumps(answer)

    message = parse(cut(sent, at))

    assert message is not None and isinstance(message.root, JSONRPCResponse) and message.root.id == call
    room = at - sent.index('"text": "') - len('"text": "')
    if room >= 0:
        [content] = message.root.result["content"]
        assert content["text"] == fitting(text, room)


def fitting(text: str, room: int) -> str:
    """What of it stands whole within so many bytes of JSON."""
    ends = accumulate(len(json.dumps(one)) - len('""') for one in text)
    return "".join(one for one, end in zip(text, ends, strict=True) if end <= room)


def test_of_a_number_cut_in_half_nobody_is_answered() -> None:
    answer = '{"result": {}, "jsonrpc": "2.0", "id": 1234, "more": "' + "x" * TAIL + '"}'

    assert parse(cut(answer, answer.index("34"))) is None
    assert parse(cut(answer, answer.index("x"))) is not None


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
