-- name: letters
SELECT id, platform, chat, author, lane, payload, received, error FROM inbox WHERE state = 'dead' ORDER BY id;

-- name: revive
UPDATE inbox SET state = 'queued', turn = NULL, error = NULL WHERE id = :id AND state = 'dead'
RETURNING chat, lane;
