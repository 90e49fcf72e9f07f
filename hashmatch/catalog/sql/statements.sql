-- Every statement of the catalog, by name. A block starts with `-- name: NAME`; the comment lines after it say what the
-- statement is for. Times are microseconds since 1970 UTC.

-- name: sequence
-- The last sequence that was given out.
SELECT sequence FROM catalog;

-- name: set_sequence
-- Remember the last sequence that this transaction gave out.
UPDATE catalog SET sequence = ?;

-- name: sets
-- Every set, in name order.
SELECT set_key, set_id, name, domain, owner, source, jurisdiction, terms, description, mode, version, entries,
  withdrawn, created_at_us, list_version, received_at_us, sequence
FROM hash_set
ORDER BY name;

-- name: set_by_name
-- One set.
SELECT set_key, set_id, name, domain, owner, source, jurisdiction, terms, description, mode, version, entries,
  withdrawn, created_at_us, list_version, received_at_us, sequence
FROM hash_set
WHERE name = ?;

-- name: insert_set
-- A new set, empty, at version 1.
INSERT INTO hash_set (set_id, name, domain, owner, source, jurisdiction, terms, description, mode, version, entries,
  withdrawn, created_at_us, sequence)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0, ?, ?);

-- name: update_set_mode
-- Whether hits in the set may change a verdict.
UPDATE hash_set SET mode = ?, version = version + 1, sequence = ? WHERE set_key = ?;

-- name: update_set_counts
-- One committed change: entries and withdrawn grow by the given numbers, version by one.
UPDATE hash_set SET entries = entries + ?, withdrawn = withdrawn + ?, version = version + 1 WHERE set_key = ?;

-- name: update_set_imported
-- One committed import: as above; a list version that it did not state stays.
UPDATE hash_set
SET entries = entries + ?, withdrawn = withdrawn + ?, version = version + 1,
  list_version = coalesce(nullif(?, ''), list_version), received_at_us = ?
WHERE set_key = ?;

-- name: counts
-- What the whole catalog holds.
SELECT count(*), coalesce(sum(entries), 0), coalesce(sum(withdrawn), 0) FROM hash_set;

-- name: recount
-- Entries and withdrawn of each set as the rows say, beside what the set claims; only sets where they differ.
SELECT name, entries, withdrawn, rows_live, rows_withdrawn
FROM (
  SELECT s.name, s.entries, s.withdrawn,
    (SELECT count(*) FROM entry AS e WHERE e.set_key = s.set_key AND e.status <> 'withdrawn') AS rows_live,
    (SELECT count(*) FROM entry AS e WHERE e.set_key = s.set_key AND e.status = 'withdrawn') AS rows_withdrawn
  FROM hash_set AS s
) AS counted
WHERE entries <> rows_live OR withdrawn <> rows_withdrawn;

-- name: entries_of_set
-- Every value of every entry of a set, in entry_id order; CROSS JOIN keeps the index order, so nothing is sorted.
SELECT e.entry_id, e.status, e.status_reason, e.labels, e.source, e.list_version, e.external_id, e.terms,
  e.jurisdiction, e.opinions, e.received_at_us, e.sequence, e.set_key, v.algorithm, v.value, v.quality, v.view
FROM entry AS e CROSS JOIN value AS v ON v.entry_key = e.entry_key
WHERE e.set_key = ?
ORDER BY e.entry_id, v.algorithm, v.value;

-- name: entries_since
-- Every value of every entry that changed after a sequence, oldest change first; read along entry_by_sequence.
SELECT e.entry_id, e.status, e.status_reason, e.labels, e.source, e.list_version, e.external_id, e.terms,
  e.jurisdiction, e.opinions, e.received_at_us, e.sequence, e.set_key, v.algorithm, v.value, v.quality, v.view
FROM entry AS e CROSS JOIN value AS v ON v.entry_key = e.entry_key
WHERE e.sequence > ?
ORDER BY e.sequence, v.algorithm, v.value;

-- name: entry_by_key
-- Every value of one entry.
SELECT e.entry_id, e.status, e.status_reason, e.labels, e.source, e.list_version, e.external_id, e.terms,
  e.jurisdiction, e.opinions, e.received_at_us, e.sequence, e.set_key, v.algorithm, v.value, v.quality, v.view
FROM entry AS e CROSS JOIN value AS v ON v.entry_key = e.entry_key
WHERE e.entry_key = ?
ORDER BY v.algorithm, v.value;

-- name: entry_by_id
-- Where one entry stands.
SELECT entry_key, status, status_reason, opinions FROM entry WHERE set_key = ? AND entry_id = ?;

-- name: entry_ids_near
-- The entry ids around one that does not exist, for a suggestion.
SELECT entry_id FROM (
  SELECT entry_id FROM entry WHERE set_key = :set_key AND entry_id >= :entry_id ORDER BY entry_id LIMIT 20
)
UNION ALL
SELECT entry_id FROM (
  SELECT entry_id FROM entry WHERE set_key = :set_key AND entry_id < :entry_id ORDER BY entry_id DESC LIMIT 20
);

-- name: update_status
-- A person decided.
UPDATE entry SET status = ?, status_reason = ?, sequence = ? WHERE entry_key = ?;

-- name: algorithms_of_entry
-- What the values of one entry are of.
SELECT DISTINCT algorithm FROM value WHERE entry_key = ? ORDER BY algorithm;

-- name: update_opinions
-- Somebody gave an opinion.
UPDATE entry SET opinions = ?, sequence = ? WHERE entry_key = ?;

-- name: insert_event
-- Who decided what, when and why; the last three say whose opinion, of which algorithm and when it was given.
INSERT INTO event (set_key, entry_key, at_us, actor, reason, before, after, set_version, who, algorithm, said_at_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: events_of_entry
-- The history of one entry, oldest first.
SELECT at_us, actor, reason, before, after, set_version, who, algorithm, said_at_us
FROM event
WHERE set_key = ? AND entry_key = ?
ORDER BY event_key;

-- name: events_of_set
-- The history of the set itself, oldest first.
SELECT at_us, actor, reason, before, after, set_version, who, algorithm, said_at_us
FROM event
WHERE set_key = ? AND entry_key IS NULL
ORDER BY event_key;

-- name: bookmark
-- One text.
SELECT text FROM bookmark WHERE kind = ? AND name = ?;

-- name: bookmarks
-- Every text of one kind, in name order.
SELECT name, text FROM bookmark WHERE kind = ? ORDER BY name;

-- name: upsert_bookmark
-- Keep a text in place of the one before.
INSERT INTO bookmark (kind, name, text) VALUES (?, ?, ?)
ON CONFLICT (kind, name) DO UPDATE SET text = excluded.text;

-- name: delete_bookmark
-- Forget a text.
DELETE FROM bookmark WHERE kind = ? AND name = ?;

-- name: create_facts
-- Import: what rows say of their entries apart from the values; rows in succession that say the same share one.
CREATE TEMP TABLE facts (
  facts_key INTEGER PRIMARY KEY,
  status TEXT NOT NULL,
  status_reason TEXT NOT NULL,
  labels TEXT NOT NULL,
  source TEXT NOT NULL,
  list_version TEXT NOT NULL,
  external_id TEXT NOT NULL,
  terms TEXT NOT NULL,
  jurisdiction TEXT NOT NULL,
  opinions TEXT NOT NULL,
  received_at_us INTEGER
) STRICT;

-- name: create_staged
-- Import: one row per value, as it came, in a private temporary file. Nothing here locks the catalog. A row without
-- value, of a withdrawn entry, has an empty algorithm.
CREATE TEMP TABLE staged (
  row_number INTEGER PRIMARY KEY,
  entry_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  facts_key INTEGER NOT NULL,
  algorithm TEXT NOT NULL,
  value BLOB NOT NULL,
  quality INTEGER,
  view TEXT NOT NULL
) STRICT;

-- name: create_fresh
-- Import: the plain case, numbered in the order of entry ids.
CREATE TEMP TABLE fresh (
  number INTEGER PRIMARY KEY,
  entry_id TEXT NOT NULL,
  facts_key INTEGER NOT NULL,
  algorithm TEXT NOT NULL,
  value BLOB NOT NULL,
  quality INTEGER,
  view TEXT NOT NULL
) STRICT;

-- name: create_rest
-- Import: staged rows that are not the plain case, all rows of one entry side by side in the order of
-- their positions.
CREATE TEMP TABLE rest (
  row_number INTEGER PRIMARY KEY,
  entry_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  facts_key INTEGER NOT NULL,
  algorithm TEXT NOT NULL,
  value BLOB NOT NULL,
  quality INTEGER,
  view TEXT NOT NULL
) STRICT;

-- name: create_refused
-- Import: rows that the catalog itself refuses, kept until the write lock is given back.
CREATE TEMP TABLE refused (position INTEGER NOT NULL, field TEXT NOT NULL, reason TEXT NOT NULL) STRICT;

-- name: insert_facts
-- Import: what the following rows say.
INSERT INTO facts (facts_key, status, status_reason, labels, source, list_version, external_id, terms, jurisdiction,
  opinions, received_at_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_staged
-- Import: one value.
INSERT INTO staged (entry_id, position, facts_key, algorithm, value, quality, view) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: any_entry
-- Import: whether the set has entries.
SELECT EXISTS (SELECT 1 FROM entry WHERE set_key = :set_key);

-- name: index_staged
-- Import: find single rows by id, while rows of blocks are held against them.
CREATE INDEX temp.staged_by_id ON staged (entry_id);

-- name: forget_index_staged
-- Import: sorting is faster without.
DROP INDEX temp.staged_by_id;

-- name: known_ids
-- Import: those of a JSON array of ids that the set has.
SELECT e.entry_id FROM json_each(:entry_ids) AS wanted CROSS JOIN entry AS e
  ON e.set_key = :set_key AND e.entry_id = wanted.value;

-- name: staged_ids
-- Import: those of a JSON array of ids of which single rows speak.
SELECT s.entry_id FROM json_each(:entry_ids) AS wanted CROSS JOIN staged AS s ON s.entry_id = wanted.value;

-- name: insert_spooled_entries
-- Import: copy the plain case that came in blocks: an entry for each of a JSON array of ids. The rows that join the
-- single ones have the facts of the key 0, which are these.
INSERT INTO entry (entry_key, set_key, entry_id, status, status_reason, labels, source, list_version, external_id,
  terms, jurisdiction, opinions, received_at_us, sequence)
SELECT :entry_key + i.key, :set_key, i.value, 'active', '', '', '', '', '', '', '', '', :now_us, :sequence + i.key
FROM json_each(:entry_ids) AS i;

-- name: insert_spooled_values
-- Import: the values of the same entries, which lie end to end; the qualities are a JSON array.
INSERT INTO value (entry_key, algorithm, value, quality, view)
SELECT :entry_key + q.key, :algorithm, substr(:values, 1 + q.key * :size, :size), q.value, ''
FROM json_each(:qualities) AS q;

-- name: select_fresh
-- Import: the plain case: one value, active, without opinions, of an entry that the set does not have. Merging such a
-- row onto nothing gives the row itself, so SQLite may copy it without asking `merge`.
INSERT INTO fresh (entry_id, facts_key, algorithm, value, quality, view)
SELECT s.entry_id, s.facts_key, s.algorithm, s.value, s.quality, s.view
FROM staged AS s
GROUP BY s.entry_id
HAVING count(*) = 1
  AND (SELECT f.status || f.opinions FROM facts AS f WHERE f.facts_key = s.facts_key) = 'active'
  AND NOT EXISTS (SELECT 1 FROM entry AS e WHERE e.set_key = :set_key AND e.entry_id = s.entry_id)
ORDER BY s.entry_id;

-- name: count_fresh
-- Import: how many entries the plain case has, and how many values.
SELECT coalesce(max(number), 0), count(*) FROM fresh;

-- name: insert_fresh_entries
-- Import: copy the plain case, one range of numbers at a time.
INSERT INTO entry (entry_key, set_key, entry_id, status, status_reason, labels, source, list_version, external_id,
  terms, jurisdiction, opinions, received_at_us, sequence)
SELECT :entry_key + n.number, :set_key, n.entry_id, f.status, f.status_reason, f.labels, f.source, f.list_version,
  f.external_id, f.terms, f.jurisdiction, f.opinions, coalesce(f.received_at_us, :now_us), :sequence + n.number
FROM fresh AS n CROSS JOIN facts AS f ON f.facts_key = n.facts_key
WHERE n.number > :after AND n.number <= :upto;

-- name: insert_fresh_values
-- Import: the values of the same range.
INSERT INTO value (entry_key, algorithm, value, quality, view)
SELECT :entry_key + n.number, n.algorithm, n.value, n.quality, n.view
FROM fresh AS n
WHERE n.number > :after AND n.number <= :upto;

-- name: select_rest
-- Import: everything staged whose entry was not just copied.
INSERT INTO rest (entry_id, position, facts_key, algorithm, value, quality, view)
SELECT s.entry_id, s.position, s.facts_key, s.algorithm, s.value, s.quality, s.view
FROM staged AS s
WHERE NOT EXISTS (
  SELECT 1 FROM entry AS e WHERE e.set_key = :set_key AND e.entry_id = s.entry_id AND e.sequence > :sequence
)
ORDER BY s.entry_id, s.position, s.row_number;

-- name: rest
-- Import: the rows for `merge`.
SELECT r.entry_id, r.position, f.status, f.status_reason, f.labels, f.source, f.list_version, f.external_id, f.terms,
  f.jurisdiction, f.opinions, f.received_at_us, r.algorithm, r.value, r.quality, r.view
FROM rest AS r CROSS JOIN facts AS f ON f.facts_key = r.facts_key
ORDER BY r.row_number;

-- name: insert_refused
-- Import: a row refused because of what the catalog holds.
INSERT INTO refused (position, field, reason) VALUES (?, ?, ?);

-- name: refused
-- Import: the rows refused because of what the catalog holds, in the order they came.
SELECT position, field, reason FROM refused ORDER BY position;

-- name: known_entries
-- Import: the entries of a set among those named in a JSON array.
SELECT e.entry_id, e.entry_key, e.status, e.status_reason, e.labels, e.source, e.list_version, e.external_id,
  e.terms, e.jurisdiction, e.opinions, e.received_at_us
FROM json_each(:entry_ids) AS wanted CROSS JOIN entry AS e
  ON e.set_key = :set_key AND e.entry_id = wanted.value;

-- name: known_values
-- Import: the values of the entries whose keys are named in a JSON array.
SELECT v.entry_key, v.algorithm, v.value, v.quality, v.view
FROM json_each(:entry_keys) AS wanted CROSS JOIN value AS v ON v.entry_key = wanted.value;

-- name: last_withdrawal
-- Import: who withdrew an entry, and when.
SELECT at_us, actor FROM event WHERE set_key = ? AND entry_key = ? AND after = 'withdrawn'
ORDER BY event_key DESC LIMIT 1;

-- name: last_entry_key
-- Import: keys of new entries count on from here; entries are never deleted, so none is used twice.
SELECT coalesce(max(entry_key), 0) FROM entry;

-- name: insert_entry
-- Import: an entry that the set did not have.
INSERT INTO entry (entry_key, set_key, entry_id, status, status_reason, labels, source, list_version, external_id,
  terms, jurisdiction, opinions, received_at_us, sequence)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_entry
-- Import: an entry of which a row said something new.
UPDATE entry
SET status = ?, status_reason = ?, labels = ?, source = ?, list_version = ?, external_id = ?, terms = ?,
  jurisdiction = ?, opinions = ?, received_at_us = ?, sequence = ?
WHERE entry_key = ?;

-- name: upsert_value
-- Import: a value of an entry; one that it has already takes the new quality and view.
INSERT INTO value (entry_key, algorithm, value, quality, view) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (entry_key, algorithm, value) DO UPDATE SET quality = excluded.quality, view = excluded.view;
