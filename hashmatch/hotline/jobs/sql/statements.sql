-- Every statement of a job file, by name. A block starts with `-- name: NAME`; the comment lines after it say what the
-- statement is for.

-- name: insert_job
-- The list was read to its end.
INSERT INTO job (id, list_sha256, listed, route, created_at_us) VALUES (1, ?, ?, ?, ?);

-- name: job
-- What the job is about; no row: its list was never read to its end.
SELECT list_sha256, listed, route, created_at_us FROM job;

-- name: insert_host
INSERT INTO host (name) VALUES (?) ON CONFLICT DO NOTHING;

-- name: insert_submission
INSERT INTO submission (number, url, extra, address, key, host_key, state)
VALUES (?, ?, ?, ?, ?, (SELECT host_key FROM host WHERE name = ?), ?);

-- name: mark_same
-- Addresses that were submitted before.
UPDATE submission
SET same_as = (SELECT min(number) FROM submission AS first WHERE first.key = submission.key AND first.key <> '')
WHERE key <> ''
  AND number > (SELECT min(number) FROM submission AS first WHERE first.key = submission.key AND first.key <> '');

-- name: count_waiting
-- Count anew what waits at each host; nobody is busy.
UPDATE host SET busy = 0, most = ?, turn = host_key, waiting =
  (SELECT count(*) FROM submission
   WHERE submission.host_key = host.host_key AND state = 'waiting' AND same_as IS NULL);

-- name: move
-- One submission moves from one state to another.
UPDATE submission SET state = ? WHERE number = ? AND state = ?;

-- name: move_same
-- What was submitted again is done with the first.
UPDATE submission SET state = ? WHERE same_as = ?;

-- name: move_all
-- Every submission of one state moves to another.
UPDATE submission SET state = ? WHERE state = ?;

-- name: open_hosts
-- Hosts that may be asked for more, those that waited longest first.
SELECT host_key FROM host WHERE waiting > 0 AND busy < most ORDER BY turn LIMIT ?;

-- name: next_of_host
SELECT number, url, extra, address FROM submission
WHERE host_key = ? AND state = 'waiting' AND same_as IS NULL
ORDER BY number LIMIT 1;

-- name: host_begins
UPDATE host SET waiting = waiting - 1, busy = busy + 1, turn = ? WHERE host_key = ?;

-- name: host_ends
UPDATE host SET busy = busy - 1 WHERE host_key = (SELECT host_key FROM submission WHERE number = ?);

-- name: insert_item
INSERT INTO item (number, position, outcome, host, country, document) VALUES (?, ?, ?, ?, ?, ?);

-- name: insert_summary
INSERT INTO summary (number, outcome, host, country, checked_at_us, document) VALUES (?, ?, ?, ?, ?, ?);

-- name: items
-- Every item from a submission and a position on, in order.
SELECT number, position, document FROM item WHERE (number, position) > (?, ?) ORDER BY number, position LIMIT ?;

-- name: items_of
SELECT document FROM item WHERE number = ? ORDER BY position;

-- name: summaries
-- Every submission after a number with what became of it, or of the one before with the same address.
SELECT number, url, extra, state, same_as, document
FROM submission LEFT JOIN summary USING (number)
WHERE number > ? ORDER BY number LIMIT ?;

-- name: summary_of
SELECT document FROM summary WHERE number = ?;

-- name: extra_of
SELECT url, extra FROM submission WHERE number = ?;

-- name: states
SELECT state, count(*) FROM submission GROUP BY state;

-- name: tally
-- How often each outcome stands in the summaries, those of addresses that were submitted again included.
SELECT outcome, count(*)
FROM submission JOIN summary ON summary.number = coalesce(submission.same_as, submission.number)
WHERE state = 'done' GROUP BY outcome;

-- name: item_tally
SELECT outcome, count(*) FROM item GROUP BY outcome;

-- name: top_hosts
-- Hosts of items, those with most matches first, then those with most items.
SELECT host, count(*) AS items, sum(outcome IN ('match', 'possible_match')) AS matches
FROM item WHERE host <> '' GROUP BY host ORDER BY matches DESC, items DESC, host LIMIT ?;

-- name: countries
-- Countries of items, likewise.
SELECT country, count(*) AS items, sum(outcome IN ('match', 'possible_match')) AS matches
FROM item GROUP BY country ORDER BY matches DESC, items DESC, country LIMIT ?;

-- name: span
-- When the first and the last address was checked.
SELECT min(checked_at_us), max(checked_at_us) FROM summary WHERE host <> '';

-- name: over_time
-- Addresses checked, and those that matched, per stretch of time.
SELECT (checked_at_us - ?1) / ?2 AS stretch, count(*), sum(outcome IN ('match', 'possible_match'))
FROM summary WHERE checked_at_us IS NOT NULL AND host <> '' GROUP BY stretch ORDER BY stretch;
