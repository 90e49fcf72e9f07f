-- Migration 4: cases, what is to be delivered of them, holds on what they are about, and counters without persons.
--
-- They lie in the catalog's database so that one backup, one lock and one transaction serve both; nothing here moves the
-- catalog's sequence. Times are microseconds since 1970 UTC.

-- record and subject are JSON; subject is personal data and empty as soon as it may not be kept. expires_at_us is when
-- the case is erased: the row stays, without record, subject and documents. request_sha256 is what an idempotency key
-- was used for.
CREATE TABLE report_case (
  case_id TEXT PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'rejected', 'erased')),
  domain TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  expires_at_us INTEGER NOT NULL,
  idempotency_key TEXT,
  request_sha256 BLOB NOT NULL,
  record TEXT NOT NULL,
  subject TEXT NOT NULL,
  keep_subject TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX report_case_by_key ON report_case (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX report_case_by_time ON report_case (created_at_us, case_id);
CREATE INDEX report_case_by_expiry ON report_case (expires_at_us) WHERE state <> 'erased';

-- document is JSON: the rendered report, frozen when it was queued, and empty once erased; sha256 is of it and stays.
-- due_at_us: when it is to be taken, when its lease ends while it is being sent, or by when a file must have come.
-- taken_by fences: whoever lost the lease can no longer write.
CREATE TABLE delivery (
  delivery_id TEXT PRIMARY KEY,
  case_id TEXT NOT NULL REFERENCES report_case,
  outlet TEXT NOT NULL,
  environment TEXT NOT NULL CHECK (environment IN ('test', 'production')),
  format TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('held', 'queued', 'sending', 'waiting', 'delivered', 'dead', 'unsure', 'cancelled')),
  attempt INTEGER NOT NULL,
  due_at_us INTEGER NOT NULL,
  taken_by TEXT NOT NULL,
  dedup_key TEXT NOT NULL UNIQUE,
  recipient TEXT NOT NULL,
  with_file INTEGER NOT NULL,
  document TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  progress TEXT NOT NULL,
  external_id TEXT NOT NULL,
  reason TEXT NOT NULL,
  requested_by TEXT NOT NULL,
  released_by TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  changed_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_of_case ON delivery (case_id, created_at_us);
CREATE INDEX delivery_due ON delivery (outlet, due_at_us) WHERE state IN ('queued', 'sending', 'waiting');

-- What happened to a case or one of its deliveries, by whom and why; never changed. No personal data but the actor's name.
CREATE TABLE case_event (
  event_key INTEGER PRIMARY KEY,
  case_id TEXT NOT NULL REFERENCES report_case,
  delivery_id TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  actor TEXT NOT NULL,
  what TEXT NOT NULL,
  reason TEXT NOT NULL
) STRICT;

CREATE INDEX case_event_of_case ON case_event (case_id, event_key);

CREATE TRIGGER case_event_is_never_changed BEFORE UPDATE ON case_event
BEGIN
  SELECT RAISE(ABORT, 'events are never changed');
END;

CREATE TRIGGER case_event_is_never_deleted BEFORE DELETE ON case_event
BEGIN
  SELECT RAISE(ABORT, 'events are never deleted');
END;

-- A hold: the caller's store keeps what handle names until the deadline. Never bytes.
CREATE TABLE hold (
  hold_id TEXT PRIMARY KEY,
  case_id TEXT NOT NULL REFERENCES report_case,
  handle TEXT NOT NULL,
  deadline_us INTEGER NOT NULL,
  released_at_us INTEGER,
  created_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX hold_of_case ON hold (case_id);
CREATE INDEX hold_due ON hold (deadline_us) WHERE released_at_us IS NULL;

-- Counters per day; nothing in the key names a person, a picture or an entry.
CREATE TABLE counted (
  day TEXT NOT NULL,
  counter TEXT NOT NULL,
  set_name TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  domain TEXT NOT NULL,
  outlet TEXT NOT NULL,
  bucket INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (day, counter, set_name, algorithm, domain, outlet, bucket)
) STRICT, WITHOUT ROWID;
