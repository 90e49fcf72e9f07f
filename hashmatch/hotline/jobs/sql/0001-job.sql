-- A job: one list of addresses, what became of each, and what remains to be done. No image is in here, and none of its
-- bytes. Times are microseconds since 1970 UTC; documents are JSON of model/hotline.py.

-- The list as it was read; the row is there once all of it was.
CREATE TABLE job (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  list_sha256 TEXT NOT NULL,
  listed INTEGER NOT NULL,
  route TEXT NOT NULL,
  created_at_us INTEGER NOT NULL
) STRICT;

-- What may be fetched from a host now: `waiting` submissions, `busy` ones of at most `most`; whose `turn` is lowest is next.
CREATE TABLE host (
  host_key INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  waiting INTEGER NOT NULL DEFAULT 0 CHECK (waiting >= 0),
  busy INTEGER NOT NULL DEFAULT 0 CHECK (busy >= 0),
  most INTEGER NOT NULL DEFAULT 1,
  turn INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX host_open ON host (turn) WHERE waiting > 0 AND busy < most;

-- One line of the list. `address` is what is fetched, `key` what equal ones have in common, both empty where there is
-- nothing to fetch; `same_as` is the first with that key.
CREATE TABLE submission (
  number INTEGER PRIMARY KEY,
  url TEXT NOT NULL,
  extra TEXT NOT NULL,
  address TEXT NOT NULL,
  key TEXT NOT NULL,
  host_key INTEGER REFERENCES host (host_key),
  state TEXT NOT NULL CHECK (state IN ('waiting', 'fetching', 'done')),
  same_as INTEGER REFERENCES submission (number)
) STRICT;

CREATE INDEX submission_key ON submission (key, number) WHERE key <> '';
CREATE INDEX submission_next ON submission (host_key, number) WHERE state = 'waiting' AND same_as IS NULL;
CREATE INDEX submission_fetching ON submission (number) WHERE state = 'fetching';
CREATE INDEX submission_same ON submission (same_as) WHERE same_as IS NOT NULL;

CREATE TABLE item (
  number INTEGER NOT NULL REFERENCES submission (number),
  position INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  host TEXT NOT NULL,
  country TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (number, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE summary (
  number INTEGER PRIMARY KEY REFERENCES submission (number),
  outcome TEXT NOT NULL,
  host TEXT NOT NULL,
  country TEXT NOT NULL,
  checked_at_us INTEGER,
  document TEXT NOT NULL
) STRICT;
