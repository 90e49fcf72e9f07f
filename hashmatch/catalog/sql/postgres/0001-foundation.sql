-- Migration 1 for PostgreSQL: the tables of SQLite's migrations 1 to 3, which say what each is for.
--
-- Text that is ordered or looked up is compared byte by byte (COLLATE "C"), as SQLite and Python do it, whatever the
-- database's locale. The order of columns puts what has a fixed length first, which saves eight bytes a row.

CREATE TABLE catalog (
  only_row integer PRIMARY KEY CHECK (only_row = 1),
  sequence bigint NOT NULL
);

INSERT INTO catalog (only_row, sequence) VALUES (1, 0);

CREATE TABLE hash_set (
  set_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  set_id text NOT NULL UNIQUE,
  name text COLLATE "C" NOT NULL UNIQUE,
  domain text NOT NULL,
  owner text NOT NULL,
  source text NOT NULL,
  jurisdiction text NOT NULL,
  terms text NOT NULL,
  description text NOT NULL,
  mode text NOT NULL,
  version bigint NOT NULL,
  entries bigint NOT NULL,
  withdrawn bigint NOT NULL,
  created_at_us bigint NOT NULL,
  list_version text NOT NULL DEFAULT '',
  received_at_us bigint,
  sequence bigint NOT NULL
);

CREATE TABLE entry (
  entry_key bigint PRIMARY KEY,
  set_key bigint NOT NULL REFERENCES hash_set,
  received_at_us bigint NOT NULL,
  sequence bigint NOT NULL,
  entry_id text COLLATE "C" NOT NULL,
  status text NOT NULL CHECK (status IN ('active', 'disputed', 'quarantined', 'withdrawn')),
  status_reason text NOT NULL,
  labels text NOT NULL,
  source text NOT NULL,
  list_version text NOT NULL,
  external_id text NOT NULL,
  terms text NOT NULL,
  jurisdiction text NOT NULL,
  opinions text NOT NULL
);

CREATE UNIQUE INDEX entry_by_id ON entry (set_key, entry_id);
CREATE UNIQUE INDEX entry_by_sequence ON entry (sequence);

CREATE TABLE value (
  entry_key bigint NOT NULL REFERENCES entry,
  quality integer CHECK (quality BETWEEN 0 AND 100),
  algorithm text COLLATE "C" NOT NULL,
  value bytea NOT NULL,
  view text NOT NULL DEFAULT '',
  PRIMARY KEY (entry_key, algorithm, value)
);

CREATE TABLE event (
  event_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  set_key bigint NOT NULL REFERENCES hash_set,
  entry_key bigint REFERENCES entry,
  at_us bigint NOT NULL,
  actor text NOT NULL,
  reason text NOT NULL,
  before text NOT NULL,
  after text NOT NULL,
  set_version bigint NOT NULL,
  who text NOT NULL DEFAULT '',
  algorithm text NOT NULL DEFAULT '',
  said_at_us bigint
);

CREATE INDEX event_by_entry ON event (set_key, entry_key);

CREATE TABLE bookmark (
  kind text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  text text NOT NULL,
  PRIMARY KEY (kind, name)
);

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0];
END
$$;

CREATE TRIGGER event_is_never_changed BEFORE UPDATE OR DELETE ON event
FOR EACH ROW EXECUTE FUNCTION refuse('events are never changed or deleted');

CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
FOR EACH ROW EXECUTE FUNCTION refuse('entries are withdrawn, never deleted');

CREATE TRIGGER nothing_is_emptied_of_entries BEFORE TRUNCATE ON entry
FOR EACH STATEMENT EXECUTE FUNCTION refuse('entries are withdrawn, never deleted');

CREATE TRIGGER nothing_is_emptied_of_events BEFORE TRUNCATE ON event
FOR EACH STATEMENT EXECUTE FUNCTION refuse('events are never changed or deleted');
