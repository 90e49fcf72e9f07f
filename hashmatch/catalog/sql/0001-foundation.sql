-- Migration 1: sets, entries, their values and the record of who changed what.
--
-- Everything that can change carries `sequence`, one counter over the whole catalog, so that a follower asks for "all
-- that is newer than n" and gets each changed row once, in its latest state (docs/adr/0004-catalog.md).

-- One row: the last sequence that was given out.
CREATE TABLE catalog (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  sequence INTEGER NOT NULL
) STRICT;

INSERT INTO catalog (only_row, sequence) VALUES (1, 0);

-- entries and withdrawn are kept by the statements that write entries, so that describing a set reads one row.
CREATE TABLE hash_set (
  set_key INTEGER PRIMARY KEY,
  set_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  domain TEXT NOT NULL,
  owner TEXT NOT NULL,
  source TEXT NOT NULL,
  jurisdiction TEXT NOT NULL,
  terms TEXT NOT NULL,
  description TEXT NOT NULL,
  mode TEXT NOT NULL,
  version INTEGER NOT NULL,
  entries INTEGER NOT NULL,
  withdrawn INTEGER NOT NULL,
  created_at_us INTEGER NOT NULL,
  sequence INTEGER NOT NULL
) STRICT;

-- Times are microseconds since 1970 UTC. labels is JSON, [[scheme, version, value], ...], or empty.
CREATE TABLE entry (
  entry_key INTEGER PRIMARY KEY,
  set_key INTEGER NOT NULL REFERENCES hash_set,
  entry_id TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('active', 'disputed', 'withdrawn')),
  status_reason TEXT NOT NULL,
  labels TEXT NOT NULL,
  source TEXT NOT NULL,
  list_version TEXT NOT NULL,
  external_id TEXT NOT NULL,
  received_at_us INTEGER NOT NULL,
  sequence INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX entry_by_id ON entry (set_key, entry_id);
CREATE UNIQUE INDEX entry_by_sequence ON entry (sequence);

CREATE TABLE value (
  entry_key INTEGER NOT NULL REFERENCES entry,
  algorithm TEXT NOT NULL,
  value BLOB NOT NULL,
  quality INTEGER CHECK (quality BETWEEN 0 AND 100),
  PRIMARY KEY (entry_key, algorithm, value)
) STRICT, WITHOUT ROWID;

-- Never updated, never deleted. entry_key is null for what concerns the whole set.
CREATE TABLE event (
  event_key INTEGER PRIMARY KEY,
  set_key INTEGER NOT NULL REFERENCES hash_set,
  entry_key INTEGER REFERENCES entry,
  at_us INTEGER NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  before TEXT NOT NULL,
  after TEXT NOT NULL,
  set_version INTEGER NOT NULL
) STRICT;

CREATE INDEX event_by_entry ON event (set_key, entry_key);

CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
BEGIN
  SELECT RAISE(ABORT, 'events are never changed');
END;

CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
BEGIN
  SELECT RAISE(ABORT, 'events are never deleted');
END;

CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
BEGIN
  SELECT RAISE(ABORT, 'entries are withdrawn, never deleted');
END;
