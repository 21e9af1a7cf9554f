"""What the owner reads in the log at the start: what is on, what turns the rest on, and who may use it."""

from __future__ import annotations

import logging

from bot.ports import Models
from bot.settings import MILLIONTHS, Settings
from storage.address import shown

log = logging.getLogger("magpie")

SHORT_PASSWORD = 12  # characters


def announce(settings: Settings, models: Models) -> None:
    if not settings.storage_url.startswith("sqlite:"):
        log.info("Storage: %s, which any number of Magpies may share.", shown(settings.storage_url))
    if settings.simulated:
        log.info(
            "Models: the built-in simulator; ZHIPUAI_API_KEY (GLM) or DASHSCOPE_API_KEY (Qwen) turns real ones on."
        )
    else:
        chosen = models.pick("chat")
        log.info(
            "Models: %s; the chat default is %s.", ", ".join(_vendors(settings)), chosen.name if chosen else "none"
        )
        log.info("Budget: at most %g CNY a day (DAILY_BUDGET).", settings.daily_budget / MILLIONTHS)
    for name, token, variable in (
        ("Telegram", settings.telegram_token, "TELEGRAM_BOT_TOKEN"),
        ("Discord", settings.discord_token, "DISCORD_BOT_TOKEN"),
    ):
        log.info("%s: %s", name, "on." if token else f"off; {variable} turns it on.")
    if settings.telegram_token or settings.discord_token:
        _people(settings)
    if 0 < len(settings.web_token) < SHORT_PASSWORD:
        log.warning("WEB_TOKEN has less than %d characters: leave it out, and a random one is made.", SHORT_PASSWORD)


def _vendors(settings: Settings) -> list[str]:
    found = []
    for name, key, variable in (
        ("GLM", settings.zhipuai_key, "ZHIPUAI_API_KEY"),
        ("Qwen", settings.dashscope_key, "DASHSCOPE_API_KEY"),
        ("OpenAI-compatible", settings.openai_key or settings.openai_url, "OPENAI_BASE_URL"),
    ):
        found.append(f"{name} on" if key else f"{name} off ({variable} turns it on)")
    return found


def _people(settings: Settings) -> None:
    if "*" in settings.allowed:
        log.warning("ALLOWED=*: anyone who finds the bot may spend your budget.")
    elif not settings.admins and not settings.allowed:
        log.warning(
            "Nobody may use the bot yet: write to it, it tells you your id; put that into ADMINS (you) or ALLOWED (others)."
        )
    else:
        log.info("Closed: only ADMINS (%d) and ALLOWED (%d) may use it.", len(settings.admins), len(settings.allowed))
