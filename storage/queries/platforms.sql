-- name: notes
SELECT name, value FROM notes WHERE substr(name, 1, length(:prefix)) = :prefix;

-- name: set_note
INSERT INTO notes (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: keep_note
INSERT INTO notes (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = notes.value RETURNING value;

-- name: next_version
INSERT INTO boards (chat, version, title, changed) VALUES (:chat, 1, :title, :created)
ON CONFLICT (chat) DO UPDATE SET
    version = boards.version + 1,
    title = CASE WHEN boards.title = '' THEN excluded.title ELSE boards.title END,
    changed = CASE WHEN excluded.changed > boards.changed THEN excluded.changed ELSE boards.changed END
RETURNING version;

-- name: turn_shown_by
SELECT chats.shown_by FROM chats JOIN turns ON turns.chat = chats.chat WHERE turns.id = :turn
-- postgres: FOR UPDATE OF chats
;

-- name: put_card
INSERT INTO board (chat, id, version, role, body, media, mime, buttons, files, done, removed, created)
VALUES (:chat, :id, :version, :role, :body, :media, :mime, :buttons, :files, :done, :removed, :created)
ON CONFLICT (chat, id) DO UPDATE SET
    version = excluded.version, body = excluded.body, media = excluded.media, mime = excluded.mime,
    buttons = excluded.buttons, files = excluded.files, done = excluded.done, removed = excluded.removed;

-- name: cards_since
SELECT * FROM board WHERE chat = :chat AND version > :version ORDER BY version LIMIT :limit;

-- name: card
SELECT * FROM board WHERE chat = :chat AND id = :id;

-- name: board_chats
SELECT chat, changed, title FROM boards ORDER BY changed DESC LIMIT 500;

-- name: redirect_moves
-- A chat that moves again is found by its first key in one step.
UPDATE moves SET new = :new WHERE new = :old;

-- name: forget_move
DELETE FROM moves WHERE old = :new;

-- name: insert_move
INSERT INTO moves (old, new) VALUES (:old, :new) ON CONFLICT (old) DO UPDATE SET new = excluded.new;

-- name: all_moves
SELECT old, new FROM moves;
