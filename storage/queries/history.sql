-- name: insert_message
INSERT INTO messages (chat, epoch, parent, turn, role, author, text, files, created)
VALUES (:chat, :epoch, :parent, :turn, :role, :author, :text, :files, :now) RETURNING id;

-- name: line
-- The way back by keys alone: the texts, which may be long, are read once and not carried along.
WITH RECURSIVE line (id, parent, depth) AS (
    SELECT id, parent, 1 FROM messages WHERE id = :tip
    UNION ALL
    SELECT messages.id, messages.parent, line.depth + 1 FROM messages JOIN line ON messages.id = line.parent WHERE line.depth < :limit
)
SELECT messages.id, messages.parent, turn, epoch, role, author, text, files FROM line JOIN messages ON messages.id = line.id
WHERE left_out = 0 ORDER BY line.depth DESC;

-- name: entry
SELECT id, parent, turn, epoch, role, author, text, files FROM messages WHERE id = :id;

-- name: turn_of_question
-- The last turn that kept the message as its question: the turn of an edit that is only now being answered has none yet.
SELECT turn FROM inbox JOIN turns ON turns.id = inbox.turn
WHERE inbox.chat = :chat AND message = :message AND message <> '' AND turns.question IS NOT NULL ORDER BY inbox.id DESC LIMIT 1;

-- name: turn_of_answer
SELECT turn, slot, number FROM outbox WHERE chat = :chat AND message = :message AND message <> '' ORDER BY turn DESC LIMIT 1;

-- name: turn_entries
SELECT id, question, answer FROM turns WHERE id = :turn;

-- name: turn_of_entry
SELECT turn FROM messages WHERE id = :id;

-- name: latest_question
SELECT id FROM turns WHERE chat = :chat AND question IS NOT NULL ORDER BY id DESC LIMIT 1;

-- name: last_turn_of_question
SELECT id FROM turns WHERE chat = :chat AND question = :question ORDER BY id DESC LIMIT 1;

-- name: latest_report
SELECT id, report FROM turns WHERE chat = :chat AND report IS NOT NULL ORDER BY id DESC LIMIT 1;

-- name: button
SELECT id, chat, person, action, expires, used FROM buttons WHERE id = :id;

-- name: insert_button
INSERT INTO buttons (id, chat, person, action, expires) VALUES (:id, :chat, :person, :action, :expires)
ON CONFLICT (id) DO NOTHING;

-- name: leave_out
UPDATE messages SET left_out = 1 WHERE id = :id;

-- name: answers_of
-- In the order in which they were made.
SELECT id, parent, turn, epoch, role, author, text, files FROM messages
WHERE id > (SELECT question FROM turns WHERE turns.id = :turn) AND id <= (SELECT answer FROM turns WHERE turns.id = :turn)
  AND turn = :turn AND role = 'assistant' ORDER BY id;

-- name: spend_button
UPDATE buttons SET used = 1 WHERE id = :id;

-- name: set_setting
INSERT INTO settings (chat, name, value) VALUES (:chat, :name, :value)
ON CONFLICT (chat, name) DO UPDATE SET value = excluded.value;

-- name: unset_setting
DELETE FROM settings WHERE chat = :chat AND name = :name;
