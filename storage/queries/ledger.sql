-- name: spent
SELECT cost FROM days WHERE day = :day;

-- name: insert_call
INSERT INTO ledger (day, chat, turn, model, cost, created) VALUES (:day, :chat, :turn, :model, :cost, :now) RETURNING id;

-- name: add_to_day
INSERT INTO days (day, cost) VALUES (:day, :cost) ON CONFLICT (day) DO UPDATE SET cost = days.cost + excluded.cost;

-- name: call
SELECT day, cost, state FROM ledger WHERE id = :call;

-- name: settle_call
UPDATE ledger SET cost = :cost, state = :state WHERE id = :call;
