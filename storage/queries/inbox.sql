-- name: insert_event
INSERT INTO inbox (platform, bot, event, chat, author, lane, joins, message, digest, payload, said, received)
VALUES (:platform, :bot, :event, coalesce((SELECT new FROM moves WHERE old = :chat), :chat), :author, :lane, :joins, :message, :digest, :payload, :said, :now)
ON CONFLICT (platform, bot, event) DO NOTHING
RETURNING id, chat;

-- name: add_pending
-- A settle time is never prolonged by the pieces that it waits for.
INSERT INTO chats (chat, pending, ready) VALUES (:chat, 1, :ready)
ON CONFLICT (chat) DO UPDATE SET
    pending = chats.pending + 1,
    ready = CASE WHEN chats.pending = 0 OR (:ready > :now AND chats.ready <= :now) THEN :ready ELSE chats.ready END;

-- name: row_of_message
-- The partial index is only found when its condition is repeated.
SELECT id, state, lane, turn, digest FROM inbox
WHERE chat = :chat AND message = :message AND message <> '' AND id <> :id AND state <> 'merged' ORDER BY id DESC LIMIT 1;

-- name: amend_message
-- All its rows: the first is read again when a companion of the message is edited.
UPDATE inbox SET payload = :payload, digest = :digest
WHERE chat = :chat AND message = :message AND message <> '' AND id <> :id AND state <> 'merged';

-- name: companions
-- What was answered together with the message when it was first answered, itself included; nothing of before a reset.
SELECT id, platform, author, joins, payload, said FROM inbox WHERE id IN (
    SELECT min(id) FROM inbox
    WHERE turn IS NOT NULL AND message <> '' AND state <> 'dead' AND turn = (
        SELECT first.turn FROM inbox AS first JOIN turns ON turns.id = first.turn JOIN chats ON chats.chat = first.chat
        WHERE first.chat = :chat AND first.message = :message AND first.message <> '' AND first.id < :id
          AND turns.epoch = chats.epoch ORDER BY first.id LIMIT 1
    )
    GROUP BY message
) ORDER BY id;

-- name: inherit_messages
-- The turn answers them now: an edit of another of them finds it by this.
UPDATE inbox SET turn = :turn WHERE turn = :earlier AND turn IS NOT NULL AND message <> '' AND state = 'done';

-- name: close_row
UPDATE inbox SET state = :state, error = :error WHERE id = :id AND state IN ('queued', 'taken') RETURNING id;

-- name: stop_turn
UPDATE chats SET stop = CASE WHEN stop > seq THEN stop ELSE seq END WHERE chat = :chat AND turn = :turn RETURNING turn;

-- name: clock_set_back
-- No chat waits longer than the longest settle time: a later one was written before the clock was set back.
UPDATE chats SET ready = :now WHERE owner IS NULL AND pending > 0 AND ready > :horizon;

-- name: ready_chats
-- A control event that waits in a chat goes first: what was said after a reset must not meet the old conversation. So does
-- what a dead worker has left to be shown: whoever takes that may claim the chat.
SELECT chat, fence, epoch, seq, stop, turn, head,
  (SELECT value FROM settings WHERE settings.chat = chats.chat AND name = 'model') AS model,
  (SELECT value FROM settings WHERE settings.chat = chats.chat AND name = 'system') AS system,
  (SELECT value FROM settings WHERE settings.chat = chats.chat AND name = 'think') AS think,
  (SELECT value FROM settings WHERE settings.chat = chats.chat AND name = 'voice') AS voice
FROM chats
WHERE owner IS NULL AND pending > 0 AND ready <= :now AND (shown_by = :worker OR (shown_by IS NULL AND NOT EXISTS (
    SELECT 1 FROM outbox WHERE outbox.chat = chats.chat AND outbox.state IN ('queued', 'surplus')
  )))
  AND NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.chat = chats.chat AND state = 'queued' AND lane = 'control')
ORDER BY ready LIMIT :limit
-- postgres: FOR UPDATE OF chats SKIP LOCKED
;

-- name: next_ready
SELECT min(ready) AS ready FROM chats WHERE owner IS NULL AND pending > 0 AND ready > :now;

-- name: own_chat
UPDATE chats SET owner = :worker, shown_by = :worker, fence = :fence, seq = :seq, turn = :turn WHERE chat = :chat;

-- name: free_chat
-- It stays with the worker that has something to show in it.
UPDATE chats SET owner = NULL, turn = NULL, head = :head,
    pending = CASE WHEN pending > :done THEN pending - :done ELSE 0 END,
    ready = CASE WHEN ready > :now THEN ready ELSE :now END,
    shown_by = CASE WHEN EXISTS (
        SELECT 1 FROM outbox WHERE outbox.chat = :chat AND outbox.state IN ('queued', 'surplus')
    ) THEN shown_by END
WHERE chat = :chat;

-- name: count_pending
UPDATE chats SET pending = (
    SELECT count(*) FROM inbox WHERE inbox.chat = :chat AND inbox.state = 'queued' AND inbox.lane = 'turn'
) WHERE chat = :chat;

-- name: less_pending
UPDATE chats SET pending = CASE WHEN pending > :done THEN pending - :done ELSE 0 END WHERE chat = :chat;

-- name: waiting_rows
-- A reset may have come while the chat was being claimed.
SELECT id, platform, author, joins, payload, said FROM inbox
WHERE chat = :chat AND state = 'queued' AND lane = 'turn'
  AND NOT EXISTS (SELECT 1 FROM inbox AS first WHERE first.chat = :chat AND first.state = 'queued' AND first.lane = 'control')
ORDER BY id LIMIT :limit;

-- name: take_row
UPDATE inbox SET state = 'taken', turn = :turn WHERE id = :id;

-- name: taken_rows
SELECT id, platform, joins, payload, said FROM inbox WHERE turn = :turn AND state = 'taken' ORDER BY id;

-- name: insert_turn
INSERT INTO turns (chat, seq, epoch, author, stop_key, model, started)
VALUES (:chat, :seq, :epoch, :author, :stop_key, :model, :now) RETURNING id;

-- name: reopen_turn
SELECT seq, epoch, attempts + 1 AS attempts, stop_key, model FROM turns WHERE id = :turn;

-- name: count_attempt
UPDATE turns SET attempts = :attempt WHERE id = :turn;

-- name: chat_state
-- By the key under which it is kept now.
SELECT chat, fence, epoch, stop, seq, turn, head FROM chats
WHERE chat = coalesce((SELECT new FROM moves WHERE old = :chat), :chat)
-- postgres: FOR UPDATE OF chats
;

-- name: finish_rows
UPDATE inbox SET state = :state, error = :error WHERE turn = :turn AND state = 'taken' RETURNING id;

-- name: finish_turn
UPDATE turns SET state = :state, address = :address, question = :question, answer = :answer, report = :report,
    fence = :fence, ended = :now
WHERE id = :turn;

-- name: control_rows
-- The plus keeps SQLite from walking the whole table by its key instead of the few rows of the partial index.
SELECT id, platform, chat, payload, said FROM inbox
WHERE state = 'queued' AND lane = 'control' ORDER BY +id LIMIT :limit;

-- name: running_turn
SELECT turns.id, turns.seq FROM turns JOIN chats ON chats.turn = turns.id
WHERE chats.chat = :chat AND (:key = '' OR turns.stop_key = :key) AND (:person = '' OR turns.author = :person);

-- name: close_waiting
-- Not the ends of background work: what was made and paid is shown, and answers of the old conversation are not told anyway.
UPDATE inbox SET state = 'closed'
WHERE chat = :chat AND state = 'queued' AND lane = 'turn' AND id < :before AND payload NOT LIKE 'job %' RETURNING id;

-- name: begin_epoch
INSERT INTO chats (chat, epoch) VALUES (:chat, 1)
ON CONFLICT (chat) DO UPDATE SET
    epoch = chats.epoch + 1, head = NULL, pending = CASE WHEN chats.pending > :closed THEN chats.pending - :closed ELSE 0 END,
    stop = CASE WHEN chats.turn IS NOT NULL AND chats.seq > chats.stop THEN chats.seq ELSE chats.stop END;

-- name: next_seq
INSERT INTO chats (chat, seq) VALUES (:chat, 1)
ON CONFLICT (chat) DO UPDATE SET seq = chats.seq + 1 RETURNING seq, epoch;

-- name: insert_done_turn
INSERT INTO turns (chat, seq, epoch, state, stop_key, address, started, ended)
VALUES (:chat, :seq, :epoch, 'command', '', :address, :now, :now) RETURNING id;

-- name: owned_chats
SELECT chat, turn FROM chats WHERE owner = :worker;

-- name: disown_chat
-- It may be another worker's by now.
UPDATE chats SET owner = NULL WHERE chat = :chat AND owner = :worker;

-- name: finished_turn
SELECT id FROM turns WHERE id = :turn AND fence = :fence AND ended IS NOT NULL;
