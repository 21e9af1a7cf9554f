"""Magpie with the lateness of its event loop sampled: `python -m bench.magpie`, else exactly `python -m bot`."""

from __future__ import annotations

import asyncio

from bench.lag import sampled
from bot import app, logs
from bot.settings import load_settings


def main() -> None:
    settings = load_settings()
    logs.set_up(settings.log_level, settings.secrets)
    asyncio.run(sampled(app.run(settings)))


if __name__ == "__main__":
    main()
