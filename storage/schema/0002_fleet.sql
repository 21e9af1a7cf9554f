-- Several processes on one store: who lives, who does what. A chat belongs to the worker that makes its turn (`owner`) and to the
-- one that shows its outbox (`shown_by`); nobody else claims it before the outbox is empty, or that worker is dead.
CREATE TABLE workers (
    id      TEXT PRIMARY KEY,   -- another one for each start
    alive   REAL NOT NULL,      -- until then, by the database's clock
    host    TEXT NOT NULL,
    version TEXT NOT NULL
);

-- What only one worker at a time may do: poll a token, hold a shard.
CREATE TABLE duties (
    name   TEXT PRIMARY KEY,
    worker TEXT NOT NULL
);

ALTER TABLE chats ADD COLUMN shown_by TEXT;
CREATE INDEX chats_shown ON chats (shown_by) WHERE shown_by IS NOT NULL;

-- The fence under which the turn was finished: whoever is told late that its commit succeeded knows it by this.
ALTER TABLE turns ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;

CREATE INDEX inbox_dead ON inbox (id) WHERE state = 'dead';
CREATE INDEX ledger_turn ON ledger (turn) WHERE state = 'reserved';

-- A chat of the page. Its version grows with each change of its board, under the row's lock: whoever reads on from a version
-- misses nothing that was committed late.
CREATE TABLE boards (
    chat    TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    title   TEXT NOT NULL,
    changed REAL NOT NULL
);
INSERT INTO boards (chat, version, title, changed)
SELECT chat, max(version),
    coalesce((SELECT body FROM board AS said WHERE said.chat = board.chat AND said.role = 'person' ORDER BY created LIMIT 1), ''),
    max(created)
FROM board GROUP BY chat;
CREATE INDEX boards_changed ON boards (changed);
DROP INDEX board_version;

-- When the owner was last told of what is wrong.
CREATE TABLE alarms (
    cause TEXT PRIMARY KEY,
    told  REAL NOT NULL
);

-- Pictures, named by their content, where several processes share the store; SQLite has them in DATA_DIR.
CREATE TABLE files (
    name TEXT PRIMARY KEY,
    data BLOB NOT NULL
);
-- postgres: ALTER TABLE files ALTER COLUMN data SET STORAGE EXTERNAL; -- they are compressed already

-- A chat's row is written several times a message.
-- postgres: ALTER TABLE chats SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
-- postgres: ALTER TABLE inbox SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
-- postgres: ALTER TABLE outbox SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
