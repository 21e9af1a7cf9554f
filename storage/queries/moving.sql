-- A chat changes its key. What the new key already has (both may have been seen) stays and is added to.

-- name: chat_row
SELECT * FROM chats WHERE chat = :chat;

-- name: rename_chat
UPDATE chats SET chat = :new WHERE chat = :old;

-- name: merge_chat
-- The fence stays: a turn that runs under the new key goes on, one under the old is told apart by its id.
UPDATE chats SET pending = pending + :pending, head = coalesce(head, :head), seq = seq + :seq,
    shown_by = coalesce(shown_by, :shown_by) WHERE chat = :new;

-- name: delete_chat
DELETE FROM chats WHERE chat = :old;

-- name: move_inbox
UPDATE inbox SET chat = :new WHERE chat = :old;

-- name: move_turns
UPDATE turns SET chat = :new, seq = seq + :shift WHERE chat = :old;

-- name: move_messages
UPDATE messages SET chat = :new WHERE chat = :old;

-- name: move_outbox
UPDATE outbox SET chat = :new WHERE chat = :old;

-- name: move_buttons
UPDATE buttons SET chat = :new WHERE chat = :old;

-- name: move_settings
INSERT INTO settings (chat, name, value) SELECT :new, name, value FROM settings WHERE chat = :old
ON CONFLICT (chat, name) DO NOTHING;

-- name: move_jobs
UPDATE jobs SET chat = :new WHERE chat = :old;

-- name: delete_settings
DELETE FROM settings WHERE chat = :old;

-- name: requeue_rows
UPDATE inbox SET state = 'queued', turn = NULL WHERE turn = :turn AND state = 'taken';

-- name: moved_to
SELECT new FROM moves WHERE old = :chat;

-- name: end_turn
UPDATE turns SET state = 'moved' WHERE id = :turn;
