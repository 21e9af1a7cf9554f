"""What the transactions say to the database: the named statements of `queries/`, by file, each read once."""

from __future__ import annotations

from storage.transaction import statements

BACKLOG = statements("backlog.sql")
COPYING = statements("copying.sql")
DEAD = statements("dead.sql")
FILES = statements("files.sql")
FLEET = statements("fleet.sql")
HISTORY = statements("history.sql")
INBOX = statements("inbox.sql")
JOBS = statements("jobs.sql")
LEDGER = statements("ledger.sql")
MOVING = statements("moving.sql")
OUTBOX = statements("outbox.sql")
PLATFORMS = statements("platforms.sql")
TOOL_RUNS = statements("tool_runs.sql")
