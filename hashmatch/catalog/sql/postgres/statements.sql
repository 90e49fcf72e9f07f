-- Statements that PostgreSQL needs in other words than SQLite; all others are those of ../statements.sql. Written with
-- the same placeholders, ? and :name. A statement that begins with COPY takes many rows at once.

-- name: lock
-- The beginning of every write: one writer at a time, until it commits. Sequences are given out under this lock, so they
-- become visible in order, and no follower can see a later change without all earlier ones.
SELECT sequence FROM catalog FOR UPDATE;

-- name: counts
-- What the whole catalog holds.
SELECT count(*), coalesce(sum(entries), 0)::bigint, coalesce(sum(withdrawn), 0)::bigint FROM hash_set;

-- name: orphans
-- Values of entries, entries of sets and events of either that do not exist: what the references make impossible.
SELECT 'values', count(*) FROM value AS v WHERE NOT EXISTS (SELECT 1 FROM entry AS e WHERE e.entry_key = v.entry_key)
UNION ALL
SELECT 'entries', count(*) FROM entry AS e WHERE NOT EXISTS (SELECT 1 FROM hash_set AS s WHERE s.set_key = e.set_key)
UNION ALL
SELECT 'events', count(*) FROM event AS t WHERE NOT EXISTS (SELECT 1 FROM hash_set AS s WHERE s.set_key = t.set_key);

-- name: entries_of_set
-- Every value of every entry of a set, in entry_id order.
SELECT e.entry_id, e.status, e.status_reason, e.labels, e.source, e.list_version, e.external_id, e.terms,
  e.jurisdiction, e.opinions, e.received_at_us, e.sequence, e.set_key, v.algorithm, v.value, v.quality, v.view
FROM entry AS e JOIN value AS v ON v.entry_key = e.entry_key
WHERE e.set_key = ?
ORDER BY e.entry_id, v.algorithm, v.value;

-- name: entries_since
-- Every value of every entry that changed after a sequence, oldest change first.
SELECT e.entry_id, e.status, e.status_reason, e.labels, e.source, e.list_version, e.external_id, e.terms,
  e.jurisdiction, e.opinions, e.received_at_us, e.sequence, e.set_key, v.algorithm, v.value, v.quality, v.view
FROM entry AS e JOIN value AS v ON v.entry_key = e.entry_key
WHERE e.sequence > ?
ORDER BY e.sequence, v.algorithm, v.value;

-- name: entry_by_key
-- Every value of one entry.
SELECT e.entry_id, e.status, e.status_reason, e.labels, e.source, e.list_version, e.external_id, e.terms,
  e.jurisdiction, e.opinions, e.received_at_us, e.sequence, e.set_key, v.algorithm, v.value, v.quality, v.view
FROM entry AS e JOIN value AS v ON v.entry_key = e.entry_key
WHERE e.entry_key = ?
ORDER BY v.algorithm, v.value;

-- name: entry_ids_near
-- The entry ids around one that does not exist, for a suggestion.
(SELECT entry_id FROM entry WHERE set_key = :set_key AND entry_id >= :entry_id ORDER BY entry_id LIMIT 20)
UNION ALL
(SELECT entry_id FROM entry WHERE set_key = :set_key AND entry_id < :entry_id ORDER BY entry_id DESC LIMIT 20);

-- name: create_facts
-- Import: what rows say of their entries apart from the values; rows in succession that say the same share one.
CREATE TEMP TABLE IF NOT EXISTS facts (
  facts_key bigint PRIMARY KEY,
  status text NOT NULL,
  status_reason text NOT NULL,
  labels text NOT NULL,
  source text NOT NULL,
  list_version text NOT NULL,
  external_id text NOT NULL,
  terms text NOT NULL,
  jurisdiction text NOT NULL,
  opinions text NOT NULL,
  received_at_us bigint
);

-- name: create_staged
-- Import: one row per value, as it came. Temporary tables are not logged, and nothing here locks the catalog. A row
-- without value, of a withdrawn entry, has an empty algorithm.
CREATE TEMP TABLE IF NOT EXISTS staged (
  row_number bigint GENERATED ALWAYS AS IDENTITY,
  position bigint NOT NULL,
  facts_key bigint NOT NULL,
  quality integer,
  entry_id text COLLATE "C" NOT NULL,
  algorithm text COLLATE "C" NOT NULL,
  value bytea NOT NULL,
  view text NOT NULL
);

-- name: create_fresh
-- Import: the values of the plain case; entries are numbered in the order of their ids, and first marks one row of each.
CREATE TEMP TABLE IF NOT EXISTS fresh (
  number bigint NOT NULL,
  facts_key bigint NOT NULL,
  quality integer,
  first boolean NOT NULL,
  entry_id text COLLATE "C" NOT NULL,
  algorithm text COLLATE "C" NOT NULL,
  value bytea NOT NULL,
  view text NOT NULL
);

-- name: create_fresh_order
-- Import: by which ranges of numbers are found.
CREATE INDEX IF NOT EXISTS fresh_by_number ON fresh (number);

-- name: create_rest
-- Import: staged rows that are not the plain case, numbered so that those of one entry are side by side by position.
CREATE TEMP TABLE IF NOT EXISTS rest (
  row_number bigint PRIMARY KEY,
  position bigint NOT NULL,
  facts_key bigint NOT NULL,
  quality integer,
  entry_id text COLLATE "C" NOT NULL,
  algorithm text COLLATE "C" NOT NULL,
  value bytea NOT NULL,
  view text NOT NULL
);

-- name: create_refused
-- Import: rows that the catalog itself refuses, kept until the write lock is given back.
CREATE TEMP TABLE IF NOT EXISTS refused (position bigint NOT NULL, field text NOT NULL, reason text NOT NULL);

-- name: empty_staging
-- Import: a connection is used for many imports; its temporary tables stay, what they held does not.
TRUNCATE facts, staged, fresh, rest, refused RESTART IDENTITY;

-- name: insert_facts
-- Import: what the following rows say.
COPY facts (facts_key, status, status_reason, labels, source, list_version, external_id, terms, jurisdiction, opinions,
  received_at_us) FROM STDIN;

-- name: insert_staged
-- Import: one value.
COPY staged (entry_id, position, facts_key, algorithm, value, quality, view) FROM STDIN;

-- name: index_staged
-- Import: find single rows by id, while rows of blocks are held against them.
CREATE INDEX staged_by_id ON staged (entry_id);

-- name: forget_index_staged
-- Import: sorting is faster without.
DROP INDEX pg_temp.staged_by_id;

-- name: known_ids
-- Import: those of a JSON array of ids that the set has.
SELECT e.entry_id FROM json_array_elements_text(CAST(:entry_ids AS json)) AS wanted (entry_id) JOIN entry AS e
  ON e.set_key = :set_key AND e.entry_id = wanted.entry_id;

-- name: staged_ids
-- Import: those of a JSON array of ids of which single rows speak.
SELECT s.entry_id FROM json_array_elements_text(CAST(:entry_ids AS json)) AS wanted (entry_id) JOIN staged AS s
  ON s.entry_id = wanted.entry_id;

-- name: insert_spooled_entries
-- Import: copy the plain case that came in blocks; `postgres_columns` writes the columns in this order, the id last, as
-- only that differs in length. The rows that join the single ones have the facts of the key 0, which are these.
COPY entry (entry_key, set_key, received_at_us, sequence, status, status_reason, labels, source, list_version,
  external_id, terms, jurisdiction, opinions, entry_id) FROM STDIN (FORMAT binary);

-- name: insert_spooled_values
-- Import: the values of the same entries.
COPY value (entry_key, quality, algorithm, value, view) FROM STDIN (FORMAT binary);

-- name: analyse_staged
-- Import: what was staged decides how it is merged; nobody else counts the rows of temporary tables.
ANALYZE staged, facts;

-- name: select_fresh
-- Import: the plain case: an active entry without opinions that the set does not have, all of whose rows say the same of
-- it and no value twice. Merging such rows onto nothing gives the rows, so that `merge` need not be asked. One sort by
-- entry, algorithm and value serves all windows.
INSERT INTO fresh (number, first, entry_id, facts_key, algorithm, value, quality, view)
SELECT dense_rank() OVER (ORDER BY t.entry_id), t.place = 1, t.entry_id, t.facts_key, t.algorithm, t.value, t.quality,
  t.view
FROM (
  SELECT r.*, bool_or(r.repeated) OVER entries AS repeats, count(*) OVER entries AS size,
    min(r.facts_key) OVER entries AS least, max(r.facts_key) OVER entries AS most
  FROM (
    SELECT s.*, row_number() OVER ordered AS place,
      (lag(s.algorithm) OVER ordered, lag(s.value) OVER ordered) IS NOT DISTINCT FROM (s.algorithm, s.value) AS repeated
    FROM staged AS s
    WINDOW ordered AS (PARTITION BY s.entry_id ORDER BY s.algorithm, s.value)
  ) AS r
  WINDOW entries AS (PARTITION BY r.entry_id)
) AS t
WHERE NOT t.repeats AND t.size <= 256 AND t.least = t.most
  AND EXISTS (SELECT 1 FROM facts AS f WHERE f.facts_key = t.facts_key AND f.status = 'active' AND f.opinions = '')
  AND NOT EXISTS (SELECT 1 FROM entry AS e WHERE e.set_key = :set_key AND e.entry_id = t.entry_id);

-- name: insert_fresh_entries
-- Import: copy the entries of the plain case, one range of numbers at a time.
INSERT INTO entry (entry_key, set_key, entry_id, status, status_reason, labels, source, list_version, external_id,
  terms, jurisdiction, opinions, received_at_us, sequence)
SELECT :entry_key + n.number, :set_key, n.entry_id, f.status, f.status_reason, f.labels, f.source, f.list_version,
  f.external_id, f.terms, f.jurisdiction, f.opinions, coalesce(f.received_at_us, :now_us), :sequence + n.number
FROM fresh AS n JOIN facts AS f ON f.facts_key = n.facts_key
WHERE n.first AND n.number > :after AND n.number <= :upto
ORDER BY n.number;

-- name: select_rest
-- Import: everything staged whose entry was not just copied.
INSERT INTO rest (row_number, entry_id, position, facts_key, algorithm, value, quality, view)
SELECT row_number() OVER (ORDER BY s.entry_id, s.position, s.row_number), s.entry_id, s.position, s.facts_key, s.algorithm, s.value,
  s.quality, s.view
FROM staged AS s
WHERE NOT EXISTS (SELECT 1 FROM fresh AS n WHERE n.entry_id = s.entry_id);

-- name: rest
-- Import: the rows for `merge`.
SELECT r.entry_id, r.position, f.status, f.status_reason, f.labels, f.source, f.list_version, f.external_id, f.terms,
  f.jurisdiction, f.opinions, f.received_at_us, r.algorithm, r.value, r.quality, r.view
FROM rest AS r JOIN facts AS f ON f.facts_key = r.facts_key
ORDER BY r.row_number;

-- name: insert_refused
-- Import: a row refused because of what the catalog holds.
COPY refused (position, field, reason) FROM STDIN;

-- name: known_entries
-- Import: the entries of a set among those named in a JSON array.
SELECT e.entry_id, e.entry_key, e.status, e.status_reason, e.labels, e.source, e.list_version, e.external_id,
  e.terms, e.jurisdiction, e.opinions, e.received_at_us
FROM json_array_elements_text(CAST(:entry_ids AS json)) AS wanted (entry_id) JOIN entry AS e
  ON e.set_key = :set_key AND e.entry_id = wanted.entry_id;

-- name: known_values
-- Import: the values of the entries whose keys are named in a JSON array.
SELECT v.entry_key, v.algorithm, v.value, v.quality, v.view
FROM json_array_elements_text(CAST(:entry_keys AS json)) AS wanted (entry_key) JOIN value AS v
  ON v.entry_key = CAST(wanted.entry_key AS bigint);

-- name: insert_entry
-- Import: an entry that the set did not have.
COPY entry (entry_key, set_key, entry_id, status, status_reason, labels, source, list_version, external_id, terms,
  jurisdiction, opinions, received_at_us, sequence) FROM STDIN;

-- name: take_deliveries
-- Take what is due at an outlet; what another process is taking at this moment is left to it.
UPDATE delivery
SET state = 'sending', attempt = attempt + 1, taken_by = :taken_by, due_at_us = :lease_until_us, changed_at_us = :now_us
WHERE delivery_id IN (
  SELECT delivery_id FROM delivery
  WHERE outlet = :outlet AND state IN ('queued', 'sending') AND due_at_us <= :now_us
  ORDER BY due_at_us
  LIMIT :most
  FOR UPDATE SKIP LOCKED
)
RETURNING delivery_id;

-- name: overwrite_deleted
-- PostgreSQL overwrites nothing: VACUUM frees the space, backups and archives have their own retention.
SELECT 1;

-- name: keep_case
-- Where a case stands, which stays so until the transaction ends: nobody erases it or changes its state meanwhile.
SELECT state FROM report_case WHERE case_id = ? FOR SHARE;

-- name: expired_cases
-- Cases whose time has come, locked; one that somebody else is at is left to another time.
SELECT case_id
FROM report_case AS c
WHERE expires_at_us <= ? AND state <> 'erased'
  AND NOT EXISTS (SELECT 1 FROM owed_opinion AS w WHERE w.case_id = c.case_id)
  AND NOT EXISTS (SELECT 1 FROM delivery_case AS o JOIN delivery AS d ON d.delivery_id = o.delivery_id
    WHERE o.case_id = c.case_id AND d.state IN ('held', 'queued', 'sending', 'waiting'))
  AND NOT EXISTS (SELECT 1 FROM hold AS h WHERE h.case_id = c.case_id AND h.released_at_us IS NULL)
ORDER BY expires_at_us
LIMIT ?
FOR UPDATE SKIP LOCKED;

-- name: undecided_deliveries
-- Deliveries of cases whose time has come that nobody released, or that have no worker; locked, unless somebody is at one.
SELECT d.delivery_id
FROM delivery AS d
WHERE d.delivery_id IN (SELECT o.delivery_id FROM report_case AS c JOIN delivery_case AS o ON o.case_id = c.case_id
    WHERE c.expires_at_us <= :now_us AND c.state <> 'erased')
  AND (d.state = 'held' OR (d.state IN ('queued', 'sending', 'waiting') AND d.due_at_us <= :stranded_us))
ORDER BY d.due_at_us, d.delivery_id
LIMIT :most
FOR UPDATE OF d SKIP LOCKED;

-- name: overdue_files
-- Deliveries whose file did not come in time, and that nobody else is giving up on.
SELECT delivery_id FROM delivery WHERE outlet = ? AND state = 'waiting' AND due_at_us <= ? FOR UPDATE SKIP LOCKED;

-- name: rejected_reports
-- What would be taken at an outlet though the match was rejected, and that nobody else is taking.
SELECT delivery_id FROM delivery AS d
WHERE outlet = ? AND state IN ('queued', 'sending') AND due_at_us <= ? AND format <> 'hold'
  AND EXISTS (SELECT 1 FROM delivery_case AS o JOIN report_case AS c ON c.case_id = o.case_id
    WHERE o.delivery_id = d.delivery_id AND c.state = 'rejected')
FOR UPDATE OF d SKIP LOCKED;

-- name: owed_opinions
-- The finding of a case whose opinions are still to be given, by nobody else until the transaction ends.
SELECT confirmed, actor, reason FROM owed_opinion WHERE case_id = ? FOR UPDATE;
