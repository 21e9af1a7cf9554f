"""The owner's file of MCP servers: what it may say, and what is said about what it may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import SettingsError
from bot.tools.mcp_servers import KEYS, Endpoint, Program, Server, load_servers


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mcp.json"


def problems(file: Path, servers: object) -> tuple[str, ...]:
    """Without the part that all of them begin with."""
    file.write_text(json.dumps({"mcpServers": servers}), "utf-8")
    with pytest.raises(SettingsError) as caught:
        load_servers(file)
    beginning = f"MCP_CONFIG: {file}, server 'x': "
    assert all(problem.startswith(beginning) for problem in caught.value.problems)
    return tuple(problem.removeprefix(beginning) for problem in caught.value.problems)


def test_the_widely_used_form_is_read(file: Path) -> None:
    file.write_text(
        """{"mcpServers": {
            "files": {"type": "stdio", "command": "npx", "args": ["-y", "server-files", "/srv"], "env": {"TOKEN": "abc"},
                      "cwd": "/tmp", "trust": ["list"], "confirm": ["write"], "timeout": 5, "autoApprove": []},
            "far": {"url": "https://example.org/mcp", "headers": {"Authorization": "Bearer abc"}}}, "theme": "dark"}""",
        "utf-8",
    )

    files, far = load_servers(file)

    assert files == Server(
        name="files",
        reach=Program("npx", ("-y", "server-files", "/srv"), (("TOKEN", "abc"),), "/tmp"),
        trust=frozenset({"list"}),
        confirm=frozenset({"write"}),
        timeout=5,
    )
    assert far == Server(name="far", reach=Endpoint("https://example.org/mcp", (("Authorization", "Bearer abc"),)))
    assert far.timeout == 60


def test_no_servers_are_no_problem(file: Path) -> None:
    file.write_text('\ufeff{"mcpServers": {}}', "utf-8")

    assert load_servers(file) == ()


def test_secrets_are_not_shown(file: Path) -> None:
    server = Server(
        name="far", reach=Endpoint("https://me:pass-word@example.org/mcp?key=topsecret", (("X", "Bearer abcdef"),))
    )
    child = Server(
        name="near", reach=Program("run", ("--key=inline-key",), (("TOKEN", "child-secret"), ("DEBUG", "1")))
    )

    assert set(server.secrets) == {"topsecret", "pass-word", "Bearer abcdef", "abcdef"}
    assert child.secrets == ("child-secret",)
    assert child.redact("1 child-secret!") == "1 [secret]!"
    for secret in (*server.secrets, *child.secrets, "inline-key"):
        assert secret not in repr(server) + repr(child)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not valid JSON: "),
        ("[" * 100_000, "is not valid JSON: "),
        ("[]", 'write {"mcpServers": {"NAME": '),
        ('{"servers": {}}', 'write {"mcpServers": {"NAME": '),
        ('{"mcpServers": []}', 'write {"mcpServers": {"NAME": '),
        ('{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}', "'a' stands twice in one object"),
    ],
)
def test_a_file_that_is_none_is_told_of(file: Path, text: str, problem: str) -> None:
    file.write_text(text, "utf-8")

    with pytest.raises(SettingsError, match="MCP_CONFIG") as caught:
        load_servers(file)

    assert str(file) in str(caught.value) and problem in str(caught.value)


def test_a_file_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xe9")

    for path, problem in ((tmp_path / "none", "No such file"), (tmp_path, "directory"), (tmp_path / "latin", "UTF-8")):
        with pytest.raises(SettingsError, match=problem):
            load_servers(path)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("npx", 'write an object such as {"command": "...", "args": ["..."]} or {"url": "https://..."}.'),
        ({"args": []}, 'write either "command" (a program to start) or "url" (a server to call).'),
        (
            {"command": "a", "url": "https://b"},
            'write either "command" (a program to start) or "url" (a server to call).',
        ),
        ({"command": " "}, 'write either "command" (a program to start) or "url" (a server to call).'),
        ({"command": ["a"]}, '"command": write it as text in quotes.'),
        ({"command": "a\0"}, '"command": write it as text in quotes.'),
        ({"command": "a", "args": "-y"}, '"args": write a list of texts, such as ["one", "two"].'),
        ({"command": "a", "args": [1]}, '"args": write a list of texts, such as ["one", "two"].'),
        (
            {"command": "a", "env": {"A": 1}},
            '"env": write names with texts, such as {"NAME": "value"}; numbers in quotes, too.',
        ),
        ({"command": "a", "env": {"A=B": "c"}}, '"env": write names with texts'),
        (
            {"command": "a", "timeout": 0},
            '"timeout": write the seconds that one call may take, a number from 1 to 600.',
        ),
        ({"command": "a", "timeout": "5"}, '"timeout": write the seconds'),
        ({"command": "a", "timeout": True}, '"timeout": write the seconds'),
        ({"command": "a", "timeout": float("nan")}, '"timeout": write the seconds'),
        ({"command": "a", "confrim": ["b"]}, '"confrim" is not read: write "confirm".'),
        ({"command": "a", "trust": "b"}, '"trust": write a list of texts'),
        ({"url": "example.org"}, '"url": write one that begins with https:// or http://'),
        ({"url": "https://exa mple.org"}, '"url": write one that begins with https:// or http://'),
        ({"url": "https://[::1"}, '"url": write one that begins with https:// or http://'),
        ({"url": "https://a", "headers": {"A:": "b"}}, "\"headers\": 'A:' is no name of an HTTP header."),
        (
            {"url": "https://a", "headers": {"A": "b\r\nC: d"}},
            "\"headers\": the value of 'A' is not plain text on one line.",
        ),
        ({"url": "https://a", "type": "sse"}, '"type": only "stdio" and "http" (streamable HTTP) are spoken'),
        ({"command": "a", "type": ["stdio"]}, '"type": only "stdio" and "http" (streamable HTTP) are spoken'),
    ],
)
def test_a_wrong_entry_is_told_of(file: Path, entry: object, problem: str) -> None:
    (found,) = problems(file, {"x": entry})

    assert found.startswith(problem)


def test_all_that_is_wrong_is_told_at_once(file: Path) -> None:
    file.write_text(
        json.dumps({"mcpServers": {"": {"command": "a"}, "b": {}, "c": {"url": "d", "timeout": -1}}}), "utf-8"
    )

    with pytest.raises(SettingsError) as caught:
        load_servers(file)

    assert len(caught.value.problems) == 4


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=5), JSON | st.dictionaries(st.sampled_from(KEYS), JSON), max_size=3))
def test_whatever_stands_there_gives_servers_or_sentences(file: Path, servers: object) -> None:
    file.write_text(json.dumps({"mcpServers": servers}), "utf-8")

    try:
        load_servers(file)
    except SettingsError as error:
        assert error.problems
        assert all(problem.startswith("MCP_CONFIG: ") and problem.endswith(".") for problem in error.problems)
