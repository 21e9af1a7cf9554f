-- name: insert_call
INSERT INTO calls (turn, number, name, arguments, state, created) VALUES (:turn, :number, :name, :arguments, :state, :now);

-- name: call
SELECT turn, number, name, arguments, state, result, sources FROM calls WHERE turn = :turn AND number = :number;

-- name: calls
SELECT turn, number, name, arguments, state, result, sources FROM calls WHERE turn = :turn ORDER BY number;

-- name: forget_calls
-- The turn asks anew, and for something else than when it was interrupted.
DELETE FROM calls WHERE turn = :turn AND number >= :number;

-- name: end_call
UPDATE calls SET state = :state, result = :result, sources = :sources WHERE turn = :turn AND number = :number;
