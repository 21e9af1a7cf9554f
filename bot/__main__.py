"""The command line: `magpie` (= `magpie run`) and `magpie doctor`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from bot import logs
from bot.errors import SettingsError, StorageError
from bot.settings import Settings, load_settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="magpie", description="A chat bot for Telegram, Discord and the browser.")
    parser.add_argument("command", nargs="?", choices=("run", "doctor"), default="run", help="run: serve (the default)")
    command = parser.parse_args().command
    try:
        settings = load_settings()
        logs.set_up(settings.log_level, settings.secrets)
        sys.exit(_doctor(settings) if command == "doctor" else _run(settings))
    except SettingsError as error:
        _complain(error)
    except StorageError as error:
        _complain(SettingsError((str(error),)))


def _run(settings: Settings) -> int:
    from bot import app

    try:
        asyncio.run(app.run(settings))
    except* (SettingsError, StorageError) as errors:
        raise errors.exceptions[0] from None
    return 0


def _doctor(settings: Settings) -> int:
    from bot import doctor

    return asyncio.run(doctor.examine(settings))


def _complain(error: SettingsError) -> None:
    print("Magpie cannot start:", file=sys.stderr)
    for problem in error.problems:
        print(f"  - {problem}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
