-- Statements about what is watched, by name, in the form of statements.sql.

-- name: insert_watch
INSERT INTO watch (name, number, host, document) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING;

-- name: watches
-- Everything watched after a key, with its submission, the first notice and the last.
SELECT watch_key, watch.document, submission.number, url, extra, address,
  (SELECT min(at_us) FROM notice WHERE notice.watch_key = watch.watch_key),
  (SELECT max(at_us) FROM notice WHERE notice.watch_key = watch.watch_key)
FROM watch JOIN submission USING (number)
WHERE watch_key > ? ORDER BY watch_key LIMIT ?;

-- name: looks
-- Every look at some watches, oldest first.
SELECT watch_key, document FROM look WHERE watch_key BETWEEN ? AND ? ORDER BY watch_key, look_key;

-- name: insert_look
INSERT INTO look (watch_key, document) VALUES (?, ?);

-- name: insert_notice
INSERT INTO notice (watch_key, at_us, who, note) VALUES (?, ?, ?, ?);

-- name: watch_named
SELECT watch_key FROM watch WHERE name = ?;
