-- Migration 4 for PostgreSQL: the tables of SQLite's migration 4, which says what each is for.

CREATE TABLE report_case (
  case_id text COLLATE "C" PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('open', 'closed', 'rejected', 'erased')),
  domain text COLLATE "C" NOT NULL,
  created_at_us bigint NOT NULL,
  expires_at_us bigint NOT NULL,
  idempotency_key text COLLATE "C",
  request_sha256 bytea NOT NULL,
  record text NOT NULL,
  subject text NOT NULL,
  keep_subject text NOT NULL
);

CREATE UNIQUE INDEX report_case_by_key ON report_case (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX report_case_by_time ON report_case (created_at_us, case_id);
CREATE INDEX report_case_by_expiry ON report_case (expires_at_us) WHERE state <> 'erased';

CREATE TABLE delivery (
  delivery_id text COLLATE "C" PRIMARY KEY,
  case_id text COLLATE "C" NOT NULL REFERENCES report_case,
  outlet text COLLATE "C" NOT NULL,
  environment text NOT NULL CHECK (environment IN ('test', 'production')),
  format text NOT NULL,
  state text NOT NULL CHECK (state IN ('held', 'queued', 'sending', 'waiting', 'delivered', 'dead', 'unsure', 'cancelled')),
  attempt bigint NOT NULL,
  due_at_us bigint NOT NULL,
  taken_by text NOT NULL,
  dedup_key text COLLATE "C" NOT NULL UNIQUE,
  recipient text NOT NULL,
  with_file bigint NOT NULL,
  document text NOT NULL,
  sha256 bytea NOT NULL,
  progress text NOT NULL,
  external_id text NOT NULL,
  reason text NOT NULL,
  requested_by text NOT NULL,
  released_by text NOT NULL,
  created_at_us bigint NOT NULL,
  changed_at_us bigint NOT NULL
);

CREATE INDEX delivery_of_case ON delivery (case_id, created_at_us);
CREATE INDEX delivery_due ON delivery (outlet, due_at_us) WHERE state IN ('queued', 'sending', 'waiting');

CREATE TABLE case_event (
  event_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  case_id text COLLATE "C" NOT NULL REFERENCES report_case,
  delivery_id text COLLATE "C" NOT NULL,
  at_us bigint NOT NULL,
  actor text NOT NULL,
  what text NOT NULL,
  reason text NOT NULL
);

CREATE INDEX case_event_of_case ON case_event (case_id, event_key);

CREATE TRIGGER case_event_is_never_changed BEFORE UPDATE OR DELETE ON case_event
FOR EACH ROW EXECUTE FUNCTION refuse('events are never changed and never deleted');

CREATE TRIGGER nothing_is_emptied_of_case_events BEFORE TRUNCATE ON case_event
FOR EACH STATEMENT EXECUTE FUNCTION refuse('events are never changed and never deleted');

CREATE TABLE hold (
  hold_id text COLLATE "C" PRIMARY KEY,
  case_id text COLLATE "C" NOT NULL REFERENCES report_case,
  handle text NOT NULL,
  deadline_us bigint NOT NULL,
  released_at_us bigint,
  created_at_us bigint NOT NULL
);

CREATE INDEX hold_of_case ON hold (case_id);
CREATE INDEX hold_due ON hold (deadline_us) WHERE released_at_us IS NULL;

CREATE TABLE counted (
  day text COLLATE "C" NOT NULL,
  counter text COLLATE "C" NOT NULL,
  set_name text COLLATE "C" NOT NULL,
  algorithm text COLLATE "C" NOT NULL,
  domain text COLLATE "C" NOT NULL,
  outlet text COLLATE "C" NOT NULL,
  bucket bigint NOT NULL,
  count bigint NOT NULL,
  PRIMARY KEY (day, counter, set_name, algorithm, domain, outlet, bucket)
);
