-- name: own_lease
-- No row: others have taken this worker for dead and shared out what was its own.
SELECT alive FROM workers WHERE id = :worker;

-- name: beat
UPDATE workers SET alive = :until WHERE id = :worker;

-- name: enrol
INSERT INTO workers (id, alive, host, version) VALUES (:worker, :until, :host, :version);

-- name: dead_workers
-- Also who is alive too long: it has died beside a clock that was ahead.
SELECT id FROM workers WHERE alive < :now OR alive > :horizon
-- postgres: FOR UPDATE SKIP LOCKED
;

-- name: other_workers
SELECT count(*) AS workers FROM workers WHERE id <> :worker;

-- name: chats_of
SELECT chat FROM chats WHERE owner = :worker OR shown_by = :worker ORDER BY chat
-- postgres: FOR UPDATE
;

-- name: free_owned
UPDATE chats SET owner = NULL WHERE owner = :worker;

-- name: free_shown
UPDATE chats SET shown_by = NULL WHERE shown_by = :worker;

-- name: free_strays
-- Taken by a commit that outlived its worker: paused in the middle of it, taken for dead, and then woken.
UPDATE chats SET
    owner = CASE WHEN owner IN (SELECT id FROM workers) THEN owner END,
    shown_by = CASE WHEN shown_by IN (SELECT id FROM workers) THEN shown_by END
WHERE chat IN (
    SELECT chat FROM chats WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM workers)
    UNION SELECT chat FROM chats WHERE shown_by IS NOT NULL AND shown_by NOT IN (SELECT id FROM workers)
);

-- name: free_jobs
UPDATE jobs SET worker = NULL WHERE worker = :worker;

-- name: free_stray_jobs
UPDATE jobs SET worker = NULL WHERE worker IS NOT NULL AND worker NOT IN (SELECT id FROM workers);

-- name: free_duties
DELETE FROM duties WHERE worker = :worker;

-- name: forget_worker
DELETE FROM workers WHERE id = :worker;

-- name: take_duty
INSERT INTO duties (name, worker) VALUES (:name, :worker)
ON CONFLICT (name) DO UPDATE SET worker = excluded.worker
WHERE duties.worker = excluded.worker OR duties.worker NOT IN (SELECT id FROM workers)
RETURNING name;

-- name: leave_duty
DELETE FROM duties WHERE name = :name AND worker = :worker;

-- name: turns_to_end
-- Stopped, or their chat was reset.
SELECT turns.id FROM chats JOIN turns ON turns.id = chats.turn
WHERE chats.owner = :worker AND (chats.stop >= turns.seq OR chats.epoch <> turns.epoch);

-- name: free_all
-- At the start of the only worker, under its lock.
UPDATE chats SET owner = NULL, shown_by = NULL WHERE chat IN (
    SELECT chat FROM chats WHERE owner IS NOT NULL UNION SELECT chat FROM chats WHERE shown_by IS NOT NULL
);

-- name: free_all_jobs
UPDATE jobs SET worker = NULL WHERE worker IS NOT NULL;

-- name: due_alarm
INSERT INTO alarms (cause, told) VALUES (:cause, :now)
ON CONFLICT (cause) DO UPDATE SET told = excluded.told WHERE alarms.told <= :before OR alarms.told > :beyond
RETURNING cause;
