-- name: keep_file
INSERT INTO files (name, data) VALUES (:name, :data) ON CONFLICT (name) DO NOTHING;

-- name: file
SELECT data FROM files WHERE name = :name;

-- name: names_after
SELECT name FROM files WHERE name > :after ORDER BY name LIMIT :most;
