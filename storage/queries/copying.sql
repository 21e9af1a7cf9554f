-- What `copying.py` asks besides the statements that it makes for each table of the schema.

-- name: living_workers
SELECT host FROM workers WHERE alive > :now ORDER BY host;

-- name: forget_progress
DELETE FROM notes WHERE name LIKE 'copying/%';
