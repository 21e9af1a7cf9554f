-- name: record_preview
INSERT INTO outbox (chat, turn, slot, number, message, state)
VALUES (coalesce((SELECT new FROM moves WHERE old = :chat), :chat), :turn, :slot, :number, :message, 'preview')
ON CONFLICT (turn, slot, number) DO UPDATE SET message = excluded.message;

-- name: shown_pieces
SELECT slot, number, message FROM outbox WHERE turn = :turn AND message <> '' ORDER BY slot, number;

-- name: standing_pieces
SELECT outbox.turn, slot, number, piece, message, generation, outbox.state, turns.state AS finish
FROM outbox JOIN turns ON turns.id = outbox.turn
WHERE outbox.turn = :turn AND outbox.state = 'sent' AND message <> '' AND piece IS NOT NULL ORDER BY slot, number;

-- name: queue_piece
INSERT INTO outbox (chat, turn, slot, number, piece, state) VALUES (:chat, :turn, :slot, :number, :piece, 'queued')
ON CONFLICT (turn, slot, number) DO UPDATE SET piece = excluded.piece, state = 'queued'
RETURNING message, generation;

-- name: rewrite_last
-- The message that bears the buttons, unless a later turn has taken it over. A generation of its own: whoever is showing what it
-- said before must not take this for shown.
UPDATE outbox SET piece = :piece, state = 'queued', generation = generation + 1
WHERE turn = :turn AND slot = 0 AND state IN ('queued', 'sent')
    AND number = (SELECT max(number) FROM outbox AS last WHERE last.turn = :turn AND last.slot = 0);

-- name: final_pieces
SELECT slot, number, piece FROM outbox WHERE turn = :turn AND piece IS NOT NULL ORDER BY slot, number;

-- name: reword_piece
UPDATE outbox SET piece = :piece WHERE turn = :turn AND slot = :slot AND number = :number;

-- name: mark_surplus
-- Previews (also of an earlier answer that this one replaces) for which the final answer has no piece.
UPDATE outbox SET state = 'surplus' WHERE turn = :turn AND piece IS NULL AND state = 'preview'
RETURNING slot, number, message, generation;

-- name: adopt_pieces
UPDATE outbox SET turn = :turn, piece = NULL, state = 'preview' WHERE turn = :earlier AND message <> '' RETURNING slot;

-- name: forget_unsent
-- Pieces of a replaced answer that nobody has seen.
DELETE FROM outbox WHERE turn = :earlier AND message = '';

-- name: piece_shown
UPDATE outbox SET state = CASE WHEN generation = :generation THEN 'sent' ELSE state END, message = :message
WHERE turn = :turn AND slot = :slot AND number = :number;

-- name: piece_removed
DELETE FROM outbox WHERE turn = :turn AND slot = :slot AND number = :number AND state = 'surplus';

-- name: piece_gone
UPDATE outbox SET message = '', generation = generation + 1 WHERE turn = :turn AND slot = :slot AND number = :number;

-- name: piece_dropped
UPDATE outbox SET state = 'dropped', error = :error WHERE turn = :turn AND slot = :slot AND number = :number;

-- name: waiting_pieces
SELECT outbox.turn, slot, number, piece, message, generation, outbox.state, turns.address, turns.state AS finish
FROM outbox JOIN turns ON turns.id = outbox.turn
WHERE outbox.chat = :chat AND outbox.state IN ('queued', 'surplus') ORDER BY outbox.turn, slot, number;

-- name: may_show
SELECT chat FROM chats WHERE chat = coalesce((SELECT new FROM moves WHERE old = :chat), :chat) AND shown_by = :worker
-- postgres: FOR UPDATE OF chats
;

-- name: show_by
-- Whoever shows the chat already goes on to; else this worker does.
UPDATE chats SET shown_by = coalesce(shown_by, :worker) WHERE chat = :chat RETURNING shown_by;

-- name: all_shown
UPDATE chats SET shown_by = NULL WHERE chat = :chat AND owner IS NULL AND NOT EXISTS (
    SELECT 1 FROM outbox WHERE outbox.chat = :chat AND outbox.state IN ('queued', 'surplus')
);

-- name: unshown_chats
SELECT chat FROM chats WHERE shown_by IS NULL AND chat IN (
    SELECT outbox.chat FROM outbox WHERE outbox.state IN ('queued', 'surplus')
)
-- postgres: FOR UPDATE OF chats SKIP LOCKED
;

-- name: chats_to_show
SELECT chat FROM chats WHERE shown_by = :worker AND chat IN (
    SELECT outbox.chat FROM outbox WHERE outbox.state IN ('queued', 'surplus')
);

-- name: piece_waits
SELECT turn, slot, number, piece, message, generation, outbox.state, turns.state AS finish
FROM outbox JOIN turns ON turns.id = outbox.turn
WHERE outbox.turn = :turn AND outbox.state IN ('queued', 'surplus') ORDER BY slot, number;

-- name: drop_chat_pieces
UPDATE outbox SET state = 'dropped', error = :error WHERE chat = :chat AND state IN ('queued', 'surplus');
