"""The command line: `magpie` (= `magpie run`) and `magpie doctor`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator

from bot import logs
from bot.errors import SettingsError, StorageError
from bot.settings import Settings, load_settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="magpie", description="A chat bot for Telegram, Discord and the browser.")
    parser.add_argument("command", nargs="?", choices=("run", "doctor"), default="run", help="run: serve (the default)")
    command = parser.parse_args().command
    os.umask(0o077)  # whatever is written here (chats, pictures, the page's password) is for this account alone
    try:
        settings = load_settings()
        logs.set_up(settings.log_level, settings.secrets, settings.log_format)
        sys.exit(_doctor(settings) if command == "doctor" else _run(settings))
    except SettingsError as error:
        _complain(error)
    except StorageError as error:
        _complain(SettingsError((str(error),)))
    except KeyboardInterrupt:  # before the bot listens for it: there is nothing to finish
        sys.exit(130)


def _run(settings: Settings) -> int:
    from bot import app

    problems: list[str] = []
    try:
        asyncio.run(app.run(settings))
    except* (SettingsError, StorageError) as errors:  # what is raised in here would be a group again
        problems.extend(_problems(errors))
    if problems:
        raise SettingsError(tuple(problems))
    return 0


def _problems(error: BaseException) -> Iterator[str]:
    """From however many task groups it came."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _problems(one)
    else:
        yield from error.problems if isinstance(error, SettingsError) else (str(error),)


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
