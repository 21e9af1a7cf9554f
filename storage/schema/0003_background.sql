-- Work in the background: it bears the number of the turn that ordered it.
CREATE TABLE jobs (
    id      INTEGER PRIMARY KEY,
    chat    TEXT NOT NULL,
    epoch   INTEGER NOT NULL,
    author  TEXT NOT NULL,
    kind    TEXT NOT NULL,                  -- chat, image, video
    model   TEXT NOT NULL,
    state   TEXT NOT NULL DEFAULT 'queued', -- queued, submitting, running, cancelling; done, failed, cancelled, unsure
    ordered TEXT NOT NULL,                  -- what it is about, as bot/messages/orders.py writes it
    task    TEXT NOT NULL DEFAULT '',       -- the vendor's name for it
    call    INTEGER,                        -- in the ledger
    tries   INTEGER NOT NULL DEFAULT 0,     -- steps in a row that came to nothing
    result  TEXT NOT NULL DEFAULT '',
    due     REAL NOT NULL,                  -- of its next step
    patience REAL NOT NULL,                 -- seconds of waiting that it has left: no clock that jumps ends it
    worker  TEXT,                           -- that is at a step
    fence   INTEGER NOT NULL DEFAULT 0,     -- grows with each claim
    created REAL NOT NULL,
    ended   REAL
);
CREATE INDEX jobs_due ON jobs (due) WHERE worker IS NULL AND ended IS NULL;
CREATE INDEX jobs_held ON jobs (worker) WHERE worker IS NOT NULL;
CREATE INDEX jobs_chat ON jobs (chat, id);

-- Functions that a model asked for: each before it runs, and its result after it.
CREATE TABLE calls (
    turn      INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    name      TEXT NOT NULL,
    arguments TEXT NOT NULL,
    state     TEXT NOT NULL,             -- begun, done, failed; asked (a person is to consent to it)
    result    TEXT NOT NULL DEFAULT '',
    created   REAL NOT NULL,
    PRIMARY KEY (turn, number)
);

-- Shown to no model any more: a vendor refuses what it says.
ALTER TABLE messages ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
