"""The command line: `magpie` (= `magpie run`), `magpie doctor`, and what an operator does with the data: backup, restore, copy,
dead. Exit codes: 0 done; 1 not done, and the message says why; 2 wrong settings or arguments, or it cannot start."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bot import logs
from bot.errors import InUse, SettingsError, StorageError, StorageRefused
from bot.settings import Settings, load_settings, passwords


def main() -> None:
    given = _parser().parse_args()
    given.command = given.command or "run"
    os.umask(0o077)  # whatever is written here (chats, files, the page's password) is for this account alone
    serving = given.command in ("run", "doctor")
    title = "Magpie cannot start:" if serving else f"magpie {given.command}:"
    try:
        code = _do(given)
        if sys.stdout:  # what is left is written now, where a reader that has gone is met
            sys.stdout.flush()
        sys.exit(code)
    except BrokenPipeError:  # who reads what is printed has enough of it, as `head`
        if given.command == "run":
            raise
        # At its end Python writes out once more: into nothing, as the documentation of `signal` (SIGPIPE) has it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except SettingsError as error:
        _complain(title, error.problems, 2)
    except StorageError as error:
        _complain(title, (str(error),), 2 if serving else 1)
    # Before the bot listens for it: there is nothing to finish. asyncio tells a Ctrl-C that meets a deadline's end as the
    # latter.
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="magpie", description="A chat bot for Telegram, Discord and the browser.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", help="without one: run")
    commands.add_parser("run", help="serve")
    commands.add_parser("doctor", help="check settings, storage, tokens, keys and tool servers")
    commands.add_parser("models", help="list the models that are known, with abilities and prices")
    backup = commands.add_parser("backup", help="copy the database into FILE, also while Magpie runs")
    backup.add_argument("file", metavar="FILE", type=Path)
    backup.add_argument("--replace", action="store_true", help="if FILE is there already")
    restore = commands.add_parser("restore", help="put a backup in the database's place, and keep what was there")
    restore.add_argument("file", metavar="FILE", type=Path)
    copy = commands.add_parser("copy", help="copy everything from one store into another, empty one; Magpie is stopped")
    copy.add_argument("source", metavar="FROM", help="sqlite:///path or postgresql://user:password@host/database")
    copy.add_argument("target", metavar="TO", help="likewise")
    copy.add_argument("--files", metavar="DIR", type=Path, help="a SQLite's kept files, if not in `files` beside it")
    dead = commands.add_parser("dead", help="list the messages that were given up, or try them again")
    dead.add_argument("--show", action="store_true", help="also what was said in them")
    retry = dead.add_subparsers(dest="action", metavar="retry").add_parser("retry", help="queue them again")
    retry.add_argument("ids", metavar="ID", type=int, nargs="+")
    return parser


def _do(given: argparse.Namespace) -> int:
    if given.command == "copy":  # its stores are named: it needs no settings
        return _copy(given.source, given.target, given.files)
    settings = load_settings()
    logs.set_up(settings.log_level, (*settings.secrets, *_tool_secrets(settings)), settings.log_format)
    match given.command:
        case "doctor":
            return _doctor(settings)
        case "models":
            return _models(settings)
        case "backup":
            return _backup(settings, given.file, replace=given.replace)
        case "restore":
            return _restore(settings, given.file)
        case "dead" if given.action:
            return _retry(settings, given.ids)
        case "dead":
            return _dead(settings, show=given.show)
        case _:
            return _run(settings)


def _tool_secrets(settings: Settings) -> Sequence[str]:
    """What MCP_CONFIG hands to tool servers. Raises SettingsError."""
    if not settings.mcp_config:
        return ()
    from bot.tools.mcp_servers import load_servers

    servers = load_servers(settings.mcp_config)
    return [secret for server in servers for secret in server.secrets]


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
    from bot.operator import doctor

    return asyncio.run(doctor.examine(settings))


def _models(settings: Settings) -> int:
    from bot.models import catalog, listing

    keys = (
        ("glm", settings.zhipuai_key),
        ("qwen", settings.dashscope_key),
        ("openai", settings.openai_key or settings.openai_url),
    )
    ready = frozenset(vendor for vendor, key in keys if key or (settings.simulated and vendor != "openai"))
    print(*listing.table(list(catalog.load(settings.catalog_file).values()), ready), sep="\n")
    print("* is a vendor's default. Other prices and models: write them into a CATALOG_FILE.")
    return 0


# --- data --------------------------------------------------------------------------------------------------------------


def _backup(settings: Settings, file: Path, *, replace: bool) -> int:
    from storage.backup import backup

    print(*backup(settings.storage_url, file, replace=replace), sep="\n")
    files = settings.data_dir / "files"
    if files.is_dir():
        print(f"Kept files are not in it. Copy what is new of them now: cp -Rnp {files} {file.parent}")
    return 0


def _restore(settings: Settings, file: Path) -> int:
    from storage.backup import restore

    print(*asyncio.run(restore(settings.storage_url, file)), sep="\n")
    print(f"Kept files belong into {settings.data_dir / 'files'}: copy those of the backup there. Then start Magpie.")
    return 0


def _copy(source: str, target: str, directory: Path | None) -> int:
    from bot.files import Folder
    from storage.address import sqlite_path
    from storage.copying import copy
    from storage.snapshot import hand_over

    logs.set_up("INFO", [*passwords(source), *passwords(target)])
    ours, theirs = sqlite_path(source), sqlite_path(target)
    database = ours or theirs
    folder = Folder(directory or database.with_name("files")) if database and not (ours and theirs) else None
    if directory and not (folder and (theirs or directory.is_dir())):
        raise SettingsError((f"--files: {directory} is no directory of files that could be copied.",))
    if folder:
        print(f"files: {'from' if ours else 'into'} {folder.path}")
    asyncio.run(copy(source, target, print, folder))
    if theirs:
        files = (folder.path, *folder.path.iterdir()) if folder and folder.path.is_dir() else ()
        for made in (theirs, theirs.with_name(theirs.name + ".lock"), *files):
            hand_over(made)
    print("Done. Now write TO into STORAGE_URL and start Magpie.")
    if ours and theirs:
        print("Kept files stay where they are, in DATA_DIR/files.")
    return 0


def _dead(settings: Settings, *, show: bool) -> int:
    from storage.dead import letters

    found = asyncio.run(letters(settings.storage_url))
    if not found:
        print("No dead letters.")
        return 0
    rows = [("ID", "RECEIVED", "PLATFORM", "CHAT", "WHO", "WHY")]
    for one in found:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.received))
        chat = one.chat.partition(":")[2]
        rows.append((str(one.id), when, one.platform, _plain(chat), _plain(one.author), _plain(one.why)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if show and number:
            print(f"    {_plain(found[number - 1].payload)}")
    print(f"{len(found)} in all. Try again when the cause is mended: magpie dead retry ID")
    return 0


def _plain(text: str) -> str:
    """On one line, and without what a terminal would obey: people wrote some of it."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _retry(settings: Settings, ids: list[int]) -> int:
    from storage.dead import retry

    try:
        unknown = asyncio.run(retry(settings.storage_url, ids, time.time()))
    except InUse:
        from bot.operator import running

        unknown = running.retry_dead(settings.web_host, settings.web_port, _web_token(settings), ids)
    if unknown:
        named = ", ".join(map(str, unknown))
        raise StorageError(
            f"There is no dead letter {named}; nothing was changed. `magpie dead` lists those there are."
        )
    print("Queued again. Who wrote more than an hour ago is asked first whether the answer is still wanted.")
    return 0


def _web_token(settings: Settings) -> str:
    """The running Magpie's, as far as it has one."""
    if settings.web_token:
        return settings.web_token
    path = settings.data_dir / "web_token"
    try:
        return path.read_text("ascii").strip() if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise StorageRefused(
            f"Magpie is running, and its page's password in {path} cannot be read ({error}): "
            "run this as Magpie's account or as root."
        ) from error


def _complain(title: str, problems: tuple[str, ...], code: int) -> None:
    print(title, file=sys.stderr)
    for problem in problems:
        print(f"  - {problem}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
