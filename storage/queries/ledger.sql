-- name: turn_over
SELECT id FROM turns WHERE id = :turn AND state <> 'running';

-- name: add_within
-- One statement, so that no two calls find the same money.
INSERT INTO days (day, cost) VALUES (:day, :cost)
ON CONFLICT (day) DO UPDATE SET cost = days.cost + excluded.cost WHERE days.cost + excluded.cost <= :limit
RETURNING cost;

-- name: give_up_calls
-- Nobody will settle them: what was held back for them stays counted.
UPDATE ledger SET state = 'estimated' WHERE turn = :turn AND state = 'reserved';

-- name: spent
SELECT cost FROM days WHERE day = :day;

-- name: cost_of_turns
SELECT coalesce(sum(cost), 0) AS cost FROM ledger WHERE turn IN (:turn, :job);

-- name: insert_call
INSERT INTO ledger (day, chat, turn, model, cost, created) VALUES (:day, :chat, :turn, :model, :cost, :now) RETURNING id;

-- name: add_to_day
INSERT INTO days (day, cost) VALUES (:day, :cost) ON CONFLICT (day) DO UPDATE SET cost = days.cost + excluded.cost;

-- name: call
SELECT day, cost, state FROM ledger WHERE id = :call;

-- name: settle_call
UPDATE ledger SET cost = :cost, state = :state WHERE id = :call;
