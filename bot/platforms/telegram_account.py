"""What Telegram tells of the bot's own account: for whoever checks the set-up. Nothing is changed there."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
from telegram.error import TelegramError

from bot.platforms.telegram_transport import Api, translated

SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Account:
    """`hears_groups`: privacy mode is off. `webhook`: the host that gets the bot's updates now, "" for none."""

    name: str
    hears_groups: bool
    webhook: str


async def look_up(token: str, url: str, session: aiohttp.ClientSession) -> Account:
    """Raises PlatformError."""
    api = Api(token, url, session)
    try:
        me = await api.call("getMe", seconds=SECONDS)
        webhook = await api.call("getWebhookInfo", seconds=SECONDS)
    except TelegramError as error:
        raise translated(error) from None
    return Account(
        name=str(me.get("username") or ""),
        hears_groups=bool(me.get("can_read_all_group_messages")),
        webhook=urlsplit(str(webhook.get("url") or "")).hostname or "",
    )
