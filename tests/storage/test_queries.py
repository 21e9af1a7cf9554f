"""No statement of the hot path walks a table: each finds its rows by an index, however much history there is."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from importlib import resources

import pytest

from storage.transaction import Statement, statements

FILES = (
    "backlog.sql",
    "copying.sql",
    "dead.sql",
    "files.sql",
    "fleet.sql",
    "history.sql",
    "inbox.sql",
    "jobs.sql",
    "ledger.sql",
    "moving.sql",
    "outbox.sql",
    "platforms.sql",
    "tool_runs.sql",
)
STATEMENTS = [
    pytest.param(statement, id=f"{file.removesuffix('.sql')}-{statement.name}")
    for file in FILES
    for statement in statements(file).values()
]
WALKS = {
    # once in the life of a chat
    "move_inbox": "SCAN inbox",
    "move_messages": "SCAN messages",
    "move_outbox": "SCAN outbox",
    "move_buttons": "SCAN buttons",
    "redirect_moves": "SCAN moves",
    # at a start
    "all_moves": "SCAN moves",
    # the partial index holds only what waits
    "chats_to_show": "SCAN outbox USING INDEX outbox_waiting",
    "unshown_chats": "SCAN outbox USING INDEX outbox_waiting",
    "control_rows": "SCAN inbox USING INDEX inbox_control",
    "waiting": "SCAN inbox USING INDEX inbox_waiting",
    "unshown": "SCAN outbox USING INDEX outbox_waiting",
    "dead": "SCAN inbox USING INDEX inbox_dead",
    "letters": "SCAN inbox USING INDEX inbox_dead",
    # when somebody opens the page
    "board_chats": "SCAN boards USING INDEX boards_changed",
    # of few rows: one for each process, one for each duty
    "dead_workers": "SCAN workers",
    "other_workers": "SCAN workers USING COVERING INDEX sqlite_autoindex_workers_1",
    "free_duties": "SCAN duties",
    # when an operator asks
    "living_workers": "SCAN workers",
    "forget_progress": "SCAN notes",
    # when a duty begins
    "notes": "SCAN notes",
}
STEPS = re.compile(r"SCAN (?!line\b).*")  # `line` is the recursion's own table


def test_every_file_is_looked_at() -> None:
    folder = resources.files("storage").joinpath("queries")
    assert sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql")) == sorted(FILES)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_finds_its_rows_by_an_index(statement: Statement) -> None:
    values = dict.fromkeys(re.findall(r":(\w+)", statement.sql), 1)
    with closing(sqlite3.connect(":memory:")) as database:
        for file in sorted(resources.files("storage").joinpath("schema").iterdir(), key=lambda file: file.name):
            if file.name.endswith(".sql"):
                database.executescript(file.read_text("utf-8"))
        plan = [step for *_, step in database.execute(f"EXPLAIN QUERY PLAN {statement.sql}", values)]
    walks = [step for step in plan if STEPS.match(step)]
    assert walks == ([WALKS[statement.name]] if statement.name in WALKS else [])
