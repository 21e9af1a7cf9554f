"""What Telegram tells of the bot's own account: for whoever checks the set-up. Nothing is changed there."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
from telegram.error import TelegramError

from bot.platforms.telegram_transport import Api, translated

SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Account:
    """`hears_groups`: privacy mode is off. `webhook`: the URL that gets the bot's updates now, "" for none; `waiting` updates
    are still to be delivered there, and `failure` is why the last delivery that failed did, "" for none."""

    name: str
    hears_groups: bool
    webhook: str
    waiting: int
    failure: str


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
        webhook=str(webhook.get("url") or ""),
        waiting=int(webhook.get("pending_update_count") or 0),
        failure=str(webhook.get("last_error_message") or "")[:200],
    )
