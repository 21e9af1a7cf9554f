-- name: letters
-- What nobody wants answered is none, as in backlog.sql: its chat was left, or it was a press that means nothing.
SELECT id, platform, chat, author, payload, received, error FROM inbox
WHERE state = 'dead' AND error NOT IN ('left', 'no command') ORDER BY id;

-- name: revive
UPDATE inbox SET state = 'queued', turn = NULL, error = NULL WHERE id = :id AND state = 'dead'
RETURNING chat, lane;
