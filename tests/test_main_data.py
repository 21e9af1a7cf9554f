"""What an operator does with the data, as typed: each command says what it did, or why not, in a sentence and an exit code."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from bot.files import FileStore
from bot.platforms.web_payload import Said
from tests.postgres import Postgres
from tests.process import ROOT, Magpie
from tests.storage.rich import database

NOBODY = 65534


def filled(directory: Path) -> Path:
    """A DATA_DIR with a database of all kinds of rows, among them the dead letters 19 and 20."""
    directory.mkdir(mode=0o700)
    (directory / "magpie.db").write_bytes(database())
    return directory


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return filled(tmp_path / "data")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that all accounts reach. None of pytest's: each pytest that starts shuts others out of what is above them."""
    if os.geteuid() != 0 or subprocess.run(["setpriv", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("needs root and setpriv")
    with tempfile.TemporaryDirectory(prefix="magpie-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def magpie(data: Path, *words: str | Path, as_nobody: bool = False, **environ: str) -> tuple[int, str]:
    """The exit code and all that was said."""
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if as_nobody else []
    ended = subprocess.run(
        [*become, sys.executable, "-m", "bot", *words],
        cwd=data.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(data), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in ended.stdout
    return ended.returncode, ended.stdout


def rows(path: Path, state: str = "%") -> int:
    with closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute("SELECT count(*) FROM inbox WHERE state LIKE ?", (state,)).fetchone()[0]
        return count


def test_help_names_every_command(tmp_path: Path) -> None:
    code, said = magpie(tmp_path / "data", "--help")

    assert code == 0
    for word in ("run", "doctor", "backup", "restore", "copy", "dead"):
        assert f"\n    {word} " in said


# --- backup and restore ------------------------------------------------------------------------------------------------


async def test_a_running_magpie_is_backed_up_and_keeps_answering(tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    async with Magpie(tmp_path / "data") as running, aiohttp.ClientSession() as session:
        url, origin = f"{running.url}/api/chats/main/messages", {"Origin": running.url}
        async with session.post(url, json={"id": "message-1", "text": "hello"}, headers=origin) as response:
            assert response.status == 200
        code, said = await asyncio.to_thread(magpie, running.data_dir, "backup", file)
        async with session.post(url, json={"id": "message-2", "text": "and again"}, headers=origin) as response:
            assert response.status == 200
        assert await running.end() == 0

    assert (code, rows(file)) == (0, 1)
    assert "is backed up to" in said
    assert rows(tmp_path / "data" / "magpie.db") == 2


async def test_what_writes_is_refused_while_magpie_runs(data: Path) -> None:
    file, other = data.parent / "kept.db", f"sqlite:///{data.parent / 'other.db'}"
    for path in (file, data.parent / "other.db"):
        path.write_bytes(database())
    url = f"sqlite:///{data / 'magpie.db'}"
    commands = (["restore", str(file)], ["copy", url, f"{other}2"], ["copy", other, url])
    async with Magpie(data) as running:
        ended = await asyncio.gather(*(asyncio.to_thread(magpie, data, *words) for words in commands))
        listed = await asyncio.to_thread(magpie, data, "dead")
        assert await running.end() == 0

    for (code, said), words in zip(ended, commands, strict=True):
        assert code == 1
        assert said.startswith(
            f"magpie {words[0]}:\n  - Another Magpie is running on {data / 'magpie.db'}. Stop it first"
        )
    assert "broke down 10 times" in listed[1]


def test_a_backup_comes_back(data: Path) -> None:
    file = data.parent / "kept.db"
    (data / "files").mkdir()
    code, said = magpie(data, "backup", file)
    assert code == 0
    assert f"cp -Rnp {data / 'files'} {data.parent}" in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = rows(data / "magpie.db")
    (data / "magpie.db").write_bytes(b"?" * 9000)

    code, said = magpie(data, "restore", file)

    assert code == 0
    assert "is restored from" in said
    assert "What was there is kept as" in said
    assert rows(data / "magpie.db") == before


def test_what_is_no_backup_is_refused_in_a_sentence(data: Path) -> None:
    file = data.parent / "diary"
    file.write_text("Dear diary, " * 100)
    before = (data / "magpie.db").read_bytes()

    code, said = magpie(data, "restore", file)

    assert code == 1
    assert said.startswith("magpie restore:\n  - ")
    assert "no database of Magpie, or it is damaged (file is not a database); nothing was changed." in said
    assert (data / "magpie.db").read_bytes() == before


def test_a_backup_that_is_there_is_not_overwritten_unless_told(data: Path) -> None:
    file = data.parent / "kept.db"
    file.write_text("precious")

    code, said = magpie(data, "backup", file)

    assert (code, file.read_text()) == (1, "precious")
    assert "--replace" in said
    assert magpie(data, "backup", file, "--replace")[0] == 0
    assert rows(file) == rows(data / "magpie.db")


def test_without_permission_nothing_is_written_and_the_file_is_named(shared: Path) -> None:
    data, file = filled(shared / "data"), shared / "kept.db"
    assert magpie(data, "backup", file)[0] == 0  # of root, for root alone

    code, said = magpie(shared / "other", "restore", file, as_nobody=True)
    assert code == 1
    assert f"{file} cannot be read (Permission denied); nothing was changed." in said

    data.chmod(0o755)
    (data / "magpie.db").chmod(0o600)
    code, said = magpie(data, "backup", shared / "mine.db", as_nobody=True)
    assert code == 1
    assert f"{data / 'magpie.db'} cannot be read (Permission denied)" in said

    (data / "magpie.db").chmod(0o644)
    code, said = magpie(data, "backup", shared / "mine.db", as_nobody=True)
    assert code == 1
    assert f"Cannot write a copy of the database to {shared / 'mine.db'} (Permission denied)" in said


def test_what_root_restores_belongs_to_the_account_that_magpie_runs_as(shared: Path) -> None:
    data, file = filled(shared / "data"), shared / "kept.db"
    assert magpie(data, "backup", file)[0] == 0
    theirs = shared / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, NOBODY, NOBODY)

    code, _ = magpie(theirs, "restore", file)

    assert code == 0
    assert {each.name: each.stat().st_uid for each in theirs.iterdir()} == {
        "magpie.db": NOBODY,
        "magpie.db.lock": NOBODY,
    }
    code, said = magpie(theirs, "dead", "retry", "19", as_nobody=True)
    assert code == 0, said


@pytest.mark.parametrize(("command", "tool"), [("backup", "pg_dump"), ("restore", "pg_restore")])
def test_postgresql_has_its_own_tools(data: Path, command: str, tool: str) -> None:
    code, said = magpie(data, command, "kept.dump", STORAGE_URL="postgresql://me:hush@db.example.org/magpie")

    assert code == 1
    assert tool in said
    assert "'postgresql://me@db.example.org/magpie'" in said
    assert "hush" not in said


# --- copy --------------------------------------------------------------------------------------------------------------


async def test_everything_goes_to_postgresql_and_the_bot_runs_on_it(data: Path, postgres_server: Postgres) -> None:
    async with postgres_server.database() as target:
        picture = await FileStore(data / "files").keep(b"\x89PNG\r\n\x1a\n" + bytes(5000), "image/png")
        code, said = await asyncio.to_thread(magpie, data, "copy", f"sqlite:///{data / 'magpie.db'}", target)
        assert code == 0
        assert f"files: from {data / 'files'}" in said
        assert "files: 1, the same on both sides" in said
        assert f"inbox: {rows(data / 'magpie.db')} rows, the same on both sides" in said
        assert "write TO into STORAGE_URL" in said
        elsewhere = data.parent / "elsewhere"
        async with Magpie(elsewhere, {"STORAGE_URL": target}) as running:
            async with aiohttp.ClientSession() as session:
                async with session.get(f"{running.url}/api/chats") as response:
                    assert {chat["id"] for chat in await response.json()} >= {"main", "c2"}
                async with session.get(f"{running.url}/files/{picture}") as response:
                    assert await response.read() == (data / "files" / picture).read_bytes()
            busy, why = await asyncio.to_thread(magpie, data, "copy", target, f"sqlite:///{data / 'back.db'}")
            assert await running.end() == 0
        assert busy == 1
        assert "Magpie runs on postgresql://magpie@127.0.0.1" in why
        assert "secret" not in said + why
        theirs = data.parent / "theirs"
        theirs.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(theirs, NOBODY, NOBODY)
        code, said = await asyncio.to_thread(magpie, data, "copy", target, f"sqlite:///{theirs / 'magpie.db'}")
        assert code == 0, said
        assert (theirs / "files" / picture).read_bytes() == (data / "files" / picture).read_bytes()
        there = {path.name: path.stat().st_uid for path in theirs.rglob("*")}
        assert there == dict.fromkeys(("magpie.db", "magpie.db.lock", "files", picture), theirs.stat().st_uid)


def test_files_that_lie_elsewhere_are_named(data: Path) -> None:
    ours, target = f"sqlite:///{data / 'magpie.db'}", "postgresql://me:hush@127.0.0.1:9/magpie"

    code, said = magpie(data, "copy", ours, target, "--files", data / "nowhere")
    assert (code, f"--files: {data / 'nowhere'} is no directory of files" in said) == (2, True)
    code, said = magpie(data, "copy", ours, f"{ours}2", "--files", data)
    assert (code, f"--files: {data} is no directory of files" in said) == (2, True)
    code, said = magpie(data, "copy", ours, f"{ours}2")
    assert (code, "Kept files stay where they are, in DATA_DIR/files." in said) == (0, True)


@pytest.mark.parametrize("wrong", ["mysql://me:hush@localhost/x", "magpie.db", "sqlite://magpie.db"])
def test_a_url_of_no_store_is_refused_by_its_form(data: Path, wrong: str) -> None:
    code, said = magpie(data, "copy", f"sqlite:///{data / 'magpie.db'}", wrong)

    assert code == 2
    assert "write sqlite:///path/to/magpie.db or postgresql://" in said
    assert "hush" not in said


@pytest.mark.parametrize("command", ["models", "dead"])
def test_who_reads_only_the_beginning_ends_a_list_without_a_word(command: str, data: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as `head` has, once it has its lines
    with os.fdopen(writer) as stdout:
        ended = subprocess.run(
            [sys.executable, "-m", "bot", command], cwd=ROOT, env={**os.environ, "DATA_DIR": str(data)},
            stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=30, check=False,
        )  # fmt: skip

    assert (ended.returncode, ended.stderr) == (1, "")


# --- dead letters ------------------------------------------------------------------------------------------------------


def test_dead_letters_are_listed_without_what_was_said(data: Path) -> None:
    code, said = magpie(data, "dead")

    assert code == 0
    lines = said.splitlines()
    assert lines[0].split() == ["ID", "RECEIVED", "PLATFORM", "CHAT", "WHO", "WHY"]
    assert lines[1].startswith("19  20")
    assert lines[1].endswith("discord   900719925474099312  2    cannot be read: no such field 'text'")
    assert lines[3] == "2 in all. Try again when the cause is mended: magpie dead retry ID"
    assert "a message that broke it" not in said
    assert "a message that broke it 🐦" in magpie(data, "dead", "--show")[1]


def test_what_people_wrote_does_not_reach_the_terminal_as_an_order(data: Path) -> None:
    with closing(sqlite3.connect(data / "magpie.db")) as connection, connection:
        connection.execute(
            "UPDATE inbox SET payload = ?, error = ? WHERE id = 20", ("\x1b]0;own\x07\x9b2J", "a\x1b[2Jb\nc")
        )

    said = magpie(data, "dead", "--show")[1]

    assert "a [2Jb c" in said
    assert not {"\x1b", "\x07", "\x9b"} & set(said)


def test_a_dead_letter_is_queued_again(data: Path) -> None:
    waiting = rows(data / "magpie.db", "queued")

    code, said = magpie(data, "dead", "retry", "19", "20")

    assert (code, rows(data / "magpie.db", "queued")) == (0, waiting + 2)
    assert "Queued again" in said
    assert magpie(data, "dead") == (0, "No dead letters.\n")


PASSWORD = "of-the-page"
KEYED = {"ZHIPUAI_API_KEY": "id.secret", "ZHIPUAI_BASE_URL": "http://127.0.0.1:9"}  # no simulator: the page asks for it


def given_up(path: Path) -> int:
    """The id of a dead letter of the page, said just now."""
    with closing(sqlite3.connect(path)) as connection, connection:
        [id] = connection.execute("SELECT max(id) FROM inbox WHERE platform = 'web'").fetchone()
        event = Said(kind="message", chat="main", id="question1", text="/help", at=time.time()).event()
        connection.execute(
            "UPDATE inbox SET state = 'dead', error = 'broke down', payload = ?, said = ?, turn = NULL WHERE id = ?",
            (event.payload, event.at, id),
        )
        return int(id)


async def retried(data: Path, id: str, environ: dict[str, str]) -> tuple[int, str]:
    return await asyncio.to_thread(lambda: magpie(data, "dead", "retry", id, as_nobody=False, **environ))


async def test_beside_a_running_magpie_a_dead_letter_is_answered_at_once(data: Path) -> None:
    """By the simulator, whose page asks for no password."""
    id = given_up(data / "magpie.db")
    async with Magpie(data) as running:
        began = time.monotonic()
        code, said = await retried(data, str(id), {"WEB_PORT": str(running.port)})
        assert (code, said.startswith("Queued again.")) == (0, True), said
        async with asyncio.timeout(10):
            while not answered(data / "magpie.db", id):  # noqa: ASYNC110  # another process writes it
                await asyncio.sleep(0.05)
        assert time.monotonic() - began < 10
        code, said = await retried(data, str(id), {"WEB_PORT": str(running.port)})
        assert await running.end() == 0
    assert code == 1
    assert f"There is no dead letter {id}; nothing was changed." in said


def answered(path: Path, id: int) -> bool:
    """Whether the command that was given up stands answered on the page."""
    with closing(sqlite3.connect(path)) as connection:
        [state] = connection.execute("SELECT state FROM inbox WHERE id = ?", (id,)).fetchone()
        [answers] = connection.execute("SELECT count(*) FROM board WHERE body LIKE '%/image%'").fetchone()
        return bool(state == "done" and answers)


@pytest.mark.parametrize("given", [{"WEB_TOKEN": PASSWORD}, {}])
async def test_beside_a_running_magpie_with_a_password_the_command_finds_it(data: Path, given: dict[str, str]) -> None:
    """As it is set, or as it was made and lies in DATA_DIR."""
    id = given_up(data / "magpie.db")
    async with Magpie(data, {**KEYED, **given}) as running:
        here = {**KEYED, **given, "WEB_PORT": str(running.port)}
        code, said = await retried(data, str(id), here)
        wrong = await retried(data, "20", {**here, "WEB_TOKEN": "guessed"})
        elsewhere = await retried(data, "20", {**here, "WEB_PORT": "9"})
        nowhere = await retried(data, "20", {**here, "WEB_PORT": "0"})
        async with asyncio.timeout(10):
            while not answered(data / "magpie.db", id):  # noqa: ASYNC110  # another process writes it
                await asyncio.sleep(0.05)
        assert await running.end() == 0
    assert (code, said.startswith("Queued again.")) == (0, True), said
    assert [wrong[0], elsewhere[0], nowhere[0]] == [1, 1, 1]
    assert f"its page at {running.url} does not know our password: run this with its WEB_TOKEN and DATA_DIR" in wrong[1]
    assert "cannot be reached at http://127.0.0.1:9 ([Errno 111] Connection refused): set its WEB_HOST" in elsewhere[1]
    assert "where its page listens is not known (WEB_PORT is 0): stop it first." in nowhere[1]
    assert PASSWORD not in said + wrong[1] + elsewhere[1] + nowhere[1]


@pytest.mark.parametrize("ids", [["7"], ["19", "999"]])
def test_an_unknown_dead_letter_is_told_and_nothing_is_changed(data: Path, ids: list[str]) -> None:
    code, said = magpie(data, "dead", "retry", *ids)

    assert code == 1
    assert f"There is no dead letter {ids[-1]}; nothing was changed. `magpie dead` lists those there are." in said
    assert rows(data / "magpie.db", "dead") == 2


@pytest.mark.parametrize(
    "words", [["dead", "retry", "x"], ["dead", "retry"], ["dead", "bury"], ["backup"], ["copy", "a"]]
)
def test_wrong_words_are_answered_with_the_right_ones(data: Path, words: list[str]) -> None:
    code, said = magpie(data, *words)

    assert code == 2
    assert said.startswith(f"usage: magpie {words[0]}")


def test_a_wrong_data_dir_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    for words in (["dead"], ["backup", "kept.db"]):
        code, said = magpie(tmp_path / "elsewhere", *words)
        assert code == 1
        assert f"There is no database at {tmp_path / 'elsewhere' / 'magpie.db'}: is it the right place?" in said
    assert not (tmp_path / "elsewhere").exists()
