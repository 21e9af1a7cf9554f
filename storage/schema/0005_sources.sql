-- The pages that a call's result rests on, as JSON: [[number, title, address], ...], or nothing.
ALTER TABLE calls ADD COLUMN sources TEXT NOT NULL DEFAULT '';
