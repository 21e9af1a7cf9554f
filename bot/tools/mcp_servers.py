"""Which MCP servers there are: the owner's file, read and checked. What they say and do is not known here."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from bot.errors import SettingsError

TIMEOUT = 60.0  # seconds for one call of a tool, where the file says nothing
LONGEST = 600.0
SHORTEST_SECRET = 6  # characters: to black out a shorter one would make every line unreadable

KEYS = ("command", "args", "env", "cwd", "url", "headers", "trust", "confirm", "timeout", "type")
TRANSPORTS = ("stdio", "http", "streamable-http", "streamable_http", "streamableHttp")
ALIKE = (
    0.7  # difflib's ratio from which a key is taken for a slip of the pen: the file may hold other clients' keys, too
)


@dataclass(frozen=True, slots=True)
class Program:
    """A server that is a child process and speaks on its stdin and stdout. `cwd` "": ours."""

    command: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    cwd: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that is reached by streamable HTTP."""

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """
    trust, confirm  names of its tools, "*" for all: those that the owner declares read-only, and those that ask a person
                    every time, whatever they say of themselves; `confirm` wins
    timeout         seconds that one call may take
    """

    name: str
    reach: Program | Endpoint
    trust: frozenset[str] = frozenset()
    confirm: frozenset[str] = frozenset()
    timeout: float = TIMEOUT

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read in a log."""
        return tuple(secret for secret in _secrets(self.reach) if len(secret) >= SHORTEST_SECRET)

    def redact(self, text: str) -> str:
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "[secret]")
        return text


def _secrets(reach: Program | Endpoint) -> Iterator[str]:
    if isinstance(reach, Program):
        yield from (value for _, value in reach.env)
        return
    parts = urlsplit(reach.url)
    yield from (value for _, value in parse_qsl(parts.query))
    yield parts.password or ""
    for _, value in reach.headers:
        yield value
        yield value.rpartition(" ")[2]  # of "Bearer abc" also the token alone


def load_servers(path: Path) -> tuple[Server, ...]:
    """Raises SettingsError with all that is wrong in the file."""
    problems: list[str] = []
    servers = [_Entry(path, name, entry, problems).server() for name, entry in _entries(path).items()]
    if problems:
        raise SettingsError(tuple(problems))
    return tuple(servers)


def _entries(path: Path) -> dict[str, object]:
    try:
        read = json.loads(path.read_text("utf-8-sig"), object_pairs_hook=_once)
    except OSError as error:
        raise SettingsError((f"MCP_CONFIG: {path} cannot be read: {error.strerror}.",)) from None
    except UnicodeDecodeError:
        raise SettingsError((f"MCP_CONFIG: {path} is not a text in UTF-8: save it as such.",)) from None
    except (ValueError, RecursionError) as error:
        raise SettingsError((f"MCP_CONFIG: {path} is not valid JSON: {error}.",)) from None
    servers = read.get("mcpServers") if isinstance(read, dict) else None
    if not isinstance(servers, dict):
        raise SettingsError(
            (f'MCP_CONFIG: {path}: write {{"mcpServers": {{"NAME": {{"command": "...", "args": ["..."]}}}}}}.',)
        )
    return servers


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of two servers with one name, or two "confirm" of one server, json would silently keep the last."""
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands twice in one object")
        found[key] = value
    return found


class _Entry:
    """Reads one server's entry and notes what is wrong with it."""

    def __init__(self, path: Path, name: str, entry: object, problems: list[str]) -> None:
        self._about = f"MCP_CONFIG: {path}, server {name!r}"
        self._name = name
        self._problems = problems
        self._entry: dict[str, object] = entry if isinstance(entry, dict) else {}
        self._whole = isinstance(entry, dict)
        if not self._whole:
            self._wrong('write an object such as {"command": "...", "args": ["..."]} or {"url": "https://..."}.')
        elif not name.strip() or not name.isprintable() or len(name) > 100:
            self._wrong("give it a name of at most 100 characters that can be printed.")

    def server(self) -> Server:
        self._check_keys()
        return Server(
            name=self._name,
            reach=self._reach(),
            trust=frozenset(self._texts("trust")),
            confirm=frozenset(self._texts("confirm")),
            timeout=self._timeout(),
        )

    def _wrong(self, problem: str) -> None:
        self._problems.append(f"{self._about}: {problem}")

    def _check_keys(self) -> None:
        for key in self._entry:
            if key not in KEYS and (near := difflib.get_close_matches(key, KEYS, 1, ALIKE)):
                self._wrong(f'"{key}" is not read: write "{near[0]}".')
        if self._entry.get("type", "stdio") not in TRANSPORTS:
            self._wrong(
                '"type": only "stdio" and "http" (streamable HTTP) are spoken: write one of them, or leave it out.'
            )

    def _reach(self) -> Program | Endpoint:
        command, url = self._text("command"), self._text("url")
        named = [key for key in ("command", "url") if str(self._entry.get(key) or "").strip()]
        if self._whole and len(named) != 1:
            self._wrong('write either "command" (a program to start) or "url" (a server to call).')
        if not url:
            return Program(command, tuple(self._texts("args")), self._pairs("env"), self._text("cwd"))
        return Endpoint(self._checked(url), self._headers())

    def _checked(self, url: str) -> str:
        try:
            parts = urlsplit(url)
            whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            whole = False
        if not whole or not url.isascii() or not url.isprintable() or " " in url:
            self._wrong('"url": write one that begins with https:// or http://, such as "https://example.org/mcp".')
        return url

    def _headers(self) -> tuple[tuple[str, str], ...]:
        headers = self._pairs("headers")
        for name, value in headers:
            if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
                self._wrong(f'"headers": {name!r} is no name of an HTTP header.')
            if not value.isascii() or not value.isprintable():
                self._wrong(f'"headers": the value of {name!r} is not plain text on one line.')
        return headers

    def _text(self, key: str) -> str:
        value = self._entry.get(key, "")
        if isinstance(value, str) and "\0" not in value:
            return value.strip()
        self._wrong(f'"{key}": write it as text in quotes.')
        return ""

    def _texts(self, key: str) -> list[str]:
        value = self._entry.get(key, [])
        if isinstance(value, list) and all(isinstance(item, str) and "\0" not in item for item in value):
            return value
        self._wrong(f'"{key}": write a list of texts, such as ["one", "two"].')
        return []

    def _pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        value = self._entry.get(key, {})
        if isinstance(value, dict) and all(
            isinstance(item, str) and name and not {"\0", "="} & set(name) and "\0" not in item
            for name, item in value.items()
        ):
            return tuple(value.items())
        self._wrong(f'"{key}": write names with texts, such as {{"NAME": "value"}}; numbers in quotes, too.')
        return ()

    def _timeout(self) -> float:
        value = self._entry.get("timeout", TIMEOUT)
        if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= LONGEST:
            return float(value)
        self._wrong(f'"timeout": write the seconds that one call may take, a number from 1 to {LONGEST:g}.')
        return TIMEOUT
