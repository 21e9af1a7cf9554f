-- Times are Unix seconds; money is millionths of a CNY; chats are named by str(ChatKey).

-- Every accepted event, named by the platform: a repeated one meets the unique key.
CREATE TABLE inbox (
    id       INTEGER PRIMARY KEY,
    platform TEXT NOT NULL,
    bot      TEXT NOT NULL,
    event    TEXT NOT NULL,
    chat     TEXT NOT NULL,
    author   TEXT NOT NULL,
    lane     TEXT NOT NULL,
    joins    TEXT NOT NULL,
    message  TEXT NOT NULL,
    digest   TEXT NOT NULL,
    payload  TEXT NOT NULL,
    said     REAL NOT NULL,
    received REAL NOT NULL,
    state    TEXT NOT NULL DEFAULT 'queued', -- queued, taken (by `turn`), done, merged (an edit), closed (by a reset), dead
    turn     INTEGER,
    error    TEXT,
    UNIQUE (platform, bot, event)
);
CREATE INDEX inbox_waiting ON inbox (chat, id) WHERE state = 'queued' AND lane = 'turn';
CREATE INDEX inbox_control ON inbox (chat, id) WHERE state = 'queued' AND lane = 'control';
CREATE INDEX inbox_message ON inbox (chat, message, id) WHERE message <> '';
CREATE INDEX inbox_turn ON inbox (turn) WHERE turn IS NOT NULL;

-- One row per conversation: what waits, who works on it, where its history ends.
CREATE TABLE chats (
    chat    TEXT PRIMARY KEY,
    pending INTEGER NOT NULL DEFAULT 0, -- rows of the turn lane that are queued or taken
    ready   REAL NOT NULL DEFAULT 0,    -- not to be claimed before
    owner   TEXT,                       -- the worker that claimed it, NULL when free
    fence   INTEGER NOT NULL DEFAULT 0, -- grows with each claim
    epoch   INTEGER NOT NULL DEFAULT 0, -- grows with each reset
    seq     INTEGER NOT NULL DEFAULT 0, -- the number of its last turn
    stop    INTEGER NOT NULL DEFAULT 0, -- turns up to this one are to end
    turn    INTEGER,                    -- the turn being made; it outlives a crash
    head    INTEGER                     -- the last message of its history
);
CREATE INDEX chats_ready ON chats (ready) WHERE owner IS NULL AND pending > 0;
CREATE INDEX chats_owned ON chats (owner) WHERE owner IS NOT NULL;

CREATE TABLE turns (
    id       INTEGER PRIMARY KEY,
    chat     TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    state    TEXT NOT NULL DEFAULT 'running', -- running, or how it finished
    attempts INTEGER NOT NULL DEFAULT 1,
    author   TEXT NOT NULL DEFAULT '',        -- who may press its [Stop]
    stop_key TEXT NOT NULL,
    model    TEXT NOT NULL DEFAULT '',        -- the chat's choice when it began
    address  TEXT NOT NULL DEFAULT '',        -- where its pieces go
    question INTEGER,
    answer   INTEGER,
    report   TEXT,                            -- how a model answered, for /info
    started  REAL NOT NULL,
    ended    REAL,
    UNIQUE (chat, seq)
);
CREATE INDEX turns_stop ON turns (stop_key);
CREATE INDEX turns_question ON turns (chat, id) WHERE question IS NOT NULL;
CREATE INDEX turns_report ON turns (chat, id) WHERE report IS NOT NULL;

-- The history, a tree: an edit or a retry makes a sibling.
CREATE TABLE messages (
    id      INTEGER PRIMARY KEY,
    chat    TEXT NOT NULL,
    epoch   INTEGER NOT NULL,
    parent  INTEGER,
    turn    INTEGER NOT NULL,
    role    TEXT NOT NULL,
    author  TEXT NOT NULL DEFAULT '',
    text    TEXT NOT NULL,
    files   TEXT NOT NULL DEFAULT '',  -- names, one a line
    created REAL NOT NULL
);

-- What stands at the platform, and what is still to be shown.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY,
    chat       TEXT NOT NULL,
    turn       INTEGER NOT NULL,
    slot       INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    piece      TEXT,                    -- the exact final form; NULL while only previews exist
    message    TEXT NOT NULL DEFAULT '',
    generation INTEGER NOT NULL DEFAULT 0,
    state      TEXT NOT NULL,           -- preview, queued, surplus (to be removed), sent, dropped
    error      TEXT,
    UNIQUE (turn, slot, number)
);
CREATE INDEX outbox_waiting ON outbox (chat, turn, slot, number) WHERE state IN ('queued', 'surplus');
CREATE INDEX outbox_message ON outbox (chat, message) WHERE message <> '';

CREATE TABLE buttons (
    id      TEXT PRIMARY KEY,
    chat    TEXT NOT NULL,
    person  TEXT NOT NULL,
    action  TEXT NOT NULL,
    expires REAL NOT NULL,
    used    INTEGER NOT NULL DEFAULT 0
);

-- Every call of a vendor: reserved before it, settled after it.
CREATE TABLE ledger (
    id      INTEGER PRIMARY KEY,
    day     TEXT NOT NULL,
    chat    TEXT NOT NULL,
    turn    INTEGER NOT NULL,
    model   TEXT NOT NULL,
    cost    INTEGER NOT NULL,
    state   TEXT NOT NULL DEFAULT 'reserved', -- reserved, settled, estimated (a call cut short, from above)
    created REAL NOT NULL
);
CREATE TABLE days (
    day  TEXT PRIMARY KEY,
    cost INTEGER NOT NULL -- the sum of the day's ledger rows
);

CREATE TABLE settings (
    chat  TEXT NOT NULL,
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (chat, name)
);

CREATE TABLE notes (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE moves (
    old TEXT PRIMARY KEY,
    new TEXT NOT NULL
);

-- The page's messages; each change takes the next version.
CREATE TABLE board (
    chat    TEXT NOT NULL,
    id      TEXT NOT NULL,
    version INTEGER NOT NULL,
    role    TEXT NOT NULL,
    body    TEXT NOT NULL,
    media   TEXT NOT NULL,
    mime    TEXT NOT NULL,
    buttons TEXT NOT NULL,
    files   TEXT NOT NULL,
    done    INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    created REAL NOT NULL,
    PRIMARY KEY (chat, id)
);
CREATE UNIQUE INDEX board_version ON board (version);
CREATE INDEX board_chat ON board (chat, version);
