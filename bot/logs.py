"""The log: one line an event on stderr, and no secret in any of them. What a line is about (turn, chat, platform) is said once
by whoever begins a task, with `about`; every line of that task and of those it starts carries it, other libraries' as well."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s%(about)s"
QUIET = ("httpx", "httpcore", "aiohttp.access", "asyncio", "PIL", "aiosqlite", "discord")
SHORTEST = 6  # characters: a shorter "secret" would black out half the log

_about: ContextVar[dict[str, str | int]] = ContextVar("about")

# What people and vendors call themselves is logged: a name must not begin a line of its own or speak to the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def about(*, platform: str, chat: str = "", turn: int = 0) -> None:
    """Every line of this task, and of the tasks that it starts from now on, is about this. `chat` as `str(ChatKey)`; "" and 0
    for what there is none of."""
    told: dict[str, str | int] = {"platform": platform, "chat": chat, "turn": turn}
    _about.set({name: value for name, value in told.items() if value})


class Telling(logging.Filter):
    """Notes in each record what it is about."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.context = _about.get({})
        return True


class Redacting(logging.Formatter):
    """For people. Blacks out secrets in the finished line, so also in tracebacks and in addresses that other libraries log. A
    message stays on one line, and ends with what it is about: `turn=7 chat=telegram:42 platform=telegram`."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__(FORMAT, defaults={"about": ""})
        known = sorted((secret for secret in secrets if len(secret) >= SHORTEST), key=len, reverse=True)
        # and the "user:password@" of an address: a proxy's comes from the environment and is none of our settings
        self._pattern = re.compile("|".join([*map(re.escape, known), r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"]))

    def redact(self, text: str) -> str:
        return self._pattern.sub("[secret]", text)

    def formatMessage(self, record: logging.LogRecord) -> str:
        context: dict[str, str | int] = getattr(record, "context", {})
        record.about = "".join(f" {name}={context[name]}" for name in ("turn", "chat", "platform") if name in context)
        return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        return self.redact(super().format(record))


class Structured(Redacting):
    """For machines: one JSON object a line, in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, str | int] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self.redact(record.getMessage()),
            **getattr(record, "context", {}),
        }
        if record.exc_info:
            told["error"] = self.redact(self.formatException(record.exc_info))
        # json escapes the other ones; these end a line for some readers
        line = json.dumps(told, ensure_ascii=False)
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def set_up(level: str, secrets: Sequence[str], form: str = "text") -> None:
    """`form` "text" or "json". Other libraries speak from WARNING on: some of them log addresses with tokens, or what people
    wrote."""
    handler = logging.StreamHandler()
    handler.setFormatter((Structured if form == "json" else Redacting)(secrets))
    handler.addFilter(Telling())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # discord.py takes an acknowledgement that comes at once for a late one; what matters of the gateway our adapter says.
    logging.getLogger("discord.gateway").setLevel(logging.ERROR)
    # mcp logs what servers send, whole and with a traceback; what matters of it our client says.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
