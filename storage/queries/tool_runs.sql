-- name: insert_run
INSERT INTO calls (turn, number, name, arguments, state, created) VALUES (:turn, :number, :name, :arguments, :state, :now);

-- name: run
SELECT turn, number, name, arguments, state, result, sources FROM calls WHERE turn = :turn AND number = :number;

-- name: runs
SELECT turn, number, name, arguments, state, result, sources FROM calls WHERE turn = :turn ORDER BY number;

-- name: forget_runs
-- The turn asks anew, and for something else than when it was interrupted.
DELETE FROM calls WHERE turn = :turn AND number >= :number;

-- name: end_run
UPDATE calls SET state = :state, result = :result, sources = :sources WHERE turn = :turn AND number = :number;
