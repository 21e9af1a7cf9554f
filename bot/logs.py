"""The log: one line an event on stderr, and no secret in any of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
QUIET = ("httpx", "httpcore", "aiohttp.access", "asyncio", "PIL", "aiosqlite", "discord")
SHORTEST = 6  # characters: a shorter "secret" would black out half the log


# What people and vendors call themselves is logged: a name must not begin a line of its own or speak to the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Redacting(logging.Formatter):
    """Blacks out secrets in the finished line, so also in tracebacks and in addresses that other libraries log. A message stays
    on one line."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__(FORMAT)
        known = sorted((secret for secret in secrets if len(secret) >= SHORTEST), key=len, reverse=True)
        # and the "user:password@" of an address: a proxy's comes from the environment and is none of our settings
        self._pattern = re.compile("|".join([*map(re.escape, known), r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"]))

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        return self._pattern.sub("[secret]", super().format(record))


def set_up(level: str, secrets: Sequence[str]) -> None:
    """Other libraries speak from WARNING on: some of them log addresses with tokens, or what people wrote."""
    handler = logging.StreamHandler()
    handler.setFormatter(Redacting(secrets))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # discord.py takes an acknowledgement that comes at once for a late one; what matters of the gateway our adapter says.
    logging.getLogger("discord.gateway").setLevel(logging.ERROR)
