-- Migration 3: opinions, terms and a jurisdiction per entry, the status 'quarantined', what a set was last imported
-- from, and bookmarks.
--
-- SQLite cannot alter a CHECK, so the table of entries is written anew; `migrate` holds the foreign keys off meanwhile
-- and checks them all before it commits. A million entries took 6 s of CPU time where it was measured, three times as
-- long by the clock of a busy machine, and until the commit as much room on disk as the table has.

-- opinions is JSON, [[who, stance, reason, microseconds since 1970 UTC, algorithm], ...] in the order of who and
-- algorithm, or empty: the opinions that hold. All that ever held are events.
CREATE TABLE entry_new (
  entry_key INTEGER PRIMARY KEY,
  set_key INTEGER NOT NULL REFERENCES hash_set,
  entry_id TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('active', 'disputed', 'quarantined', 'withdrawn')),
  status_reason TEXT NOT NULL,
  labels TEXT NOT NULL,
  source TEXT NOT NULL,
  list_version TEXT NOT NULL,
  external_id TEXT NOT NULL,
  terms TEXT NOT NULL,
  jurisdiction TEXT NOT NULL,
  opinions TEXT NOT NULL,
  received_at_us INTEGER NOT NULL,
  sequence INTEGER NOT NULL
) STRICT;

INSERT INTO entry_new (entry_key, set_key, entry_id, status, status_reason, labels, source, list_version, external_id,
  terms, jurisdiction, opinions, received_at_us, sequence)
SELECT entry_key, set_key, entry_id, status, status_reason, labels, source, list_version, external_id,
  '', '', '', received_at_us, sequence
FROM entry
ORDER BY entry_key;

DROP TABLE entry;

ALTER TABLE entry_new RENAME TO entry;

CREATE UNIQUE INDEX entry_by_id ON entry (set_key, entry_id);
CREATE UNIQUE INDEX entry_by_sequence ON entry (sequence);

CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
BEGIN
  SELECT RAISE(ABORT, 'entries are withdrawn, never deleted');
END;

-- An event that is an opinion: before and after are stances, who holds it, actor recorded it; said_at_us is when it was
-- given, at_us when it came here. who is empty for all other events.
ALTER TABLE event ADD COLUMN who TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN algorithm TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN said_at_us INTEGER;

-- What the last import that changed the set said of its list's version, and when that was; null before the first.
ALTER TABLE hash_set ADD COLUMN list_version TEXT NOT NULL DEFAULT '';
ALTER TABLE hash_set ADD COLUMN received_at_us INTEGER;

-- Small texts that other parts keep beside the entries: how far a synchronisation came, for example.
CREATE TABLE bookmark (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
