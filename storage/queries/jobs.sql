-- name: insert_job
INSERT INTO jobs (id, chat, epoch, author, kind, model, ordered, due, patience, created)
VALUES (:id, :chat, :epoch, :author, :kind, :model, :ordered, :now, :patience, :now);

-- name: job
SELECT jobs.*, ledger.cost FROM jobs LEFT JOIN ledger ON ledger.id = jobs.call WHERE jobs.id = :id;

-- name: held_job
SELECT jobs.*, ledger.cost FROM jobs LEFT JOIN ledger ON ledger.id = jobs.call
WHERE jobs.id = :id AND jobs.worker = :worker AND jobs.fence = :fence AND jobs.ended IS NULL
-- postgres: FOR UPDATE OF jobs
;

-- name: jobs_of_chat
SELECT jobs.*, ledger.cost FROM jobs LEFT JOIN ledger ON ledger.id = jobs.call
WHERE jobs.chat = :chat ORDER BY jobs.id DESC LIMIT :limit;

-- name: open_jobs_of_chat
SELECT jobs.*, ledger.cost FROM jobs LEFT JOIN ledger ON ledger.id = jobs.call
WHERE jobs.chat = :chat AND jobs.ended IS NULL ORDER BY jobs.id DESC LIMIT :limit;

-- name: due_set_back
-- None waits longer than the longest pause: a later one was written before the clock was set back.
UPDATE jobs SET due = :now WHERE worker IS NULL AND ended IS NULL AND due > :horizon;

-- name: held_chats
SELECT chat FROM jobs WHERE worker > '';

-- name: due_jobs
-- Not those of chats that have their share. (Grouped by no column: the index of who holds what is meant.)
SELECT jobs.*, ledger.cost FROM jobs LEFT JOIN ledger ON ledger.id = jobs.call
WHERE jobs.worker IS NULL AND jobs.ended IS NULL AND jobs.due <= :now
    AND jobs.chat NOT IN (SELECT max(chat) FROM jobs WHERE worker > '' GROUP BY chat || '' HAVING count(*) >= :share)
ORDER BY jobs.due LIMIT :limit
-- postgres: FOR UPDATE OF jobs SKIP LOCKED
;

-- name: next_due
SELECT min(due) AS due FROM jobs WHERE worker IS NULL AND ended IS NULL AND due > :now;

-- name: hold_job
UPDATE jobs SET worker = :worker, fence = :fence WHERE id = :id;

-- name: held_jobs
SELECT id FROM jobs WHERE worker = :worker;

-- name: give_back_job
-- It may be another worker's by now.
UPDATE jobs SET worker = NULL WHERE id = :id AND worker = :worker;

-- name: unwanted_jobs
SELECT id FROM jobs WHERE worker = :worker AND state = 'cancelling';

-- name: submitting_job
-- A job that nobody wants any more is submitted no more.
UPDATE jobs SET state = 'submitting', call = :call
WHERE id = :id AND fence = :fence AND ended IS NULL AND state IN ('queued', 'submitting');

-- name: submittable_job
SELECT id, call FROM jobs WHERE id = :id AND fence = :fence AND ended IS NULL AND state IN ('queued', 'submitting')
-- postgres: FOR UPDATE
;

-- name: free_job
UPDATE jobs SET worker = NULL, due = :due, patience = patience - :waits, task = :task, tries = :tries,
    state = CASE WHEN state = 'cancelling' THEN state ELSE :state END
WHERE id = :id;

-- name: end_job
UPDATE jobs SET worker = NULL, state = :state, result = :result, ended = :now WHERE id = :id;

-- name: cancel_job
UPDATE jobs SET state = 'cancelling', due = :now WHERE id = :id AND chat = :chat AND ended IS NULL RETURNING id;

-- name: latest_open_job
SELECT id FROM jobs WHERE chat = :chat AND ended IS NULL AND state <> 'cancelling' AND (:person = '' OR author = :person)
ORDER BY id DESC LIMIT 1;

-- name: cancel_answers
-- What an old conversation asked for: its answer must not reach the new one.
UPDATE jobs SET state = 'cancelling', due = :now
WHERE chat = :chat AND kind = 'chat' AND ended IS NULL AND state <> 'cancelling' RETURNING id;

-- name: cancel_all
UPDATE jobs SET state = 'cancelling', due = :now WHERE chat = :chat AND ended IS NULL;
