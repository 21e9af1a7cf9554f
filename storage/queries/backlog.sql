-- name: waiting
-- The age of the oldest counts from when we took it.
SELECT count(*) AS waiting, min(received) AS oldest FROM inbox WHERE state = 'queued' AND lane = 'turn';

-- name: unshown
SELECT count(*) AS unshown FROM outbox WHERE state IN ('queued', 'surplus');

-- name: dead
-- What people left behind (a chat that removed the bot, a press that means nothing) is closed as dead, too; nobody misses it.
SELECT count(*) AS dead FROM inbox WHERE state = 'dead' AND error NOT IN ('left', 'no command');
