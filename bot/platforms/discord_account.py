"""What Discord tells of the bot's own account: for whoever checks the set-up. Nothing is changed there."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

from bot.platforms.discord_rest import OFFICIAL_API, Rest

# Application flags: the message-content intent is approved, or switched on for a bot in fewer than 100 servers.
MESSAGE_CONTENT = 1 << 18 | 1 << 19


@dataclass(frozen=True, slots=True)
class Account:
    """`reads_content`: the message-content intent is switched on."""

    name: str
    reads_content: bool


async def look_up(token: str, url: str, session: aiohttp.ClientSession) -> Account:
    """Raises PlatformError."""
    rest = Rest(session, url or OFFICIAL_API, token)
    me = await rest.call("GET", "/users/@me")
    application = await rest.call("GET", "/applications/@me")
    return Account(
        name=str(me.get("username") or ""),
        reads_content=bool(int(application.get("flags") or 0) & MESSAGE_CONTENT),
    )
