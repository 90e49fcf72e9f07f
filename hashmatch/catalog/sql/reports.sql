-- Statements over cases, deliveries, holds and counters, by name, as in statements.sql.

-- name: insert_case
-- A new case; none where its idempotency key was used meanwhile.
INSERT INTO report_case (case_id, state, domain, created_at_us, expires_at_us, idempotency_key, request_sha256, record,
  subject, keep_subject)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING;

-- name: case_by_id
-- One case.
SELECT case_id, state, domain, created_at_us, expires_at_us, record, subject, keep_subject
FROM report_case
WHERE case_id = ?;

-- name: case_by_key
-- The case that an idempotency key was used for.
SELECT case_id, request_sha256 FROM report_case WHERE idempotency_key = ?;

-- name: cases_page
-- Cases after a place, oldest first; empty state or domain means any.
SELECT case_id, state, domain, created_at_us, expires_at_us, record, subject, keep_subject
FROM report_case
WHERE (created_at_us, case_id) > (:created_at_us, :case_id) AND state <> 'erased'
  AND (:state = '' OR state = :state) AND (:domain = '' OR domain = :domain)
ORDER BY created_at_us, case_id
LIMIT :most;

-- name: keep_case
-- Where a case stands, which stays so until the transaction ends.
SELECT state FROM report_case WHERE case_id = ?;

-- name: update_case_state
-- Where a case stands, if it stood there.
UPDATE report_case SET state = ? WHERE case_id = ? AND state = ?;

-- name: forget_subject
-- Whom a case is about is kept no longer.
UPDATE report_case SET subject = '' WHERE case_id = ?;

-- name: erase_case
-- Nothing of a case is left but that there was one.
UPDATE report_case SET state = 'erased', record = '', subject = '', idempotency_key = NULL WHERE case_id = ?;

-- name: expired_cases
-- Cases whose time has come, none of them with a delivery under way or a hold that runs. What is unsure holds nothing up.
SELECT case_id
FROM report_case AS c
WHERE expires_at_us <= ? AND state <> 'erased'
  AND NOT EXISTS (SELECT 1 FROM owed_opinion AS w WHERE w.case_id = c.case_id)
  AND NOT EXISTS (SELECT 1 FROM delivery_case AS o JOIN delivery AS d ON d.delivery_id = o.delivery_id
    WHERE o.case_id = c.case_id AND d.state IN ('held', 'queued', 'sending', 'waiting'))
  AND NOT EXISTS (SELECT 1 FROM hold AS h WHERE h.case_id = c.case_id AND h.released_at_us IS NULL)
ORDER BY expires_at_us
LIMIT ?;

-- name: overwrite_deleted
-- What is deleted on this connection is overwritten with zeros.
PRAGMA secure_delete = ON;

-- name: insert_case_event
-- Something happened to a case or to one of its deliveries.
INSERT INTO case_event (case_id, delivery_id, at_us, actor, what, reason) VALUES (?, ?, ?, ?, ?, ?);

-- name: case_events
-- Everything that happened to a case, oldest first.
SELECT at_us, actor, what, reason, delivery_id FROM case_event WHERE case_id = ? ORDER BY event_key;

-- name: insert_delivery
-- A new delivery; none where one was queued under its key meanwhile.
INSERT INTO delivery (delivery_id, case_id, outlet, environment, format, state, attempt, due_at_us, taken_by, dedup_key,
  recipient, with_file, document, sha256, progress, external_id, reason, requested_by, released_by, created_at_us,
  changed_at_us)
VALUES (?, ?, ?, ?, ?, ?, 0, ?, '', ?, ?, ?, ?, ?, '{}', '', '', ?, '', ?, ?)
ON CONFLICT DO NOTHING;

-- name: insert_delivery_case
-- Another case that a delivery tells.
INSERT INTO delivery_case (delivery_id, position, case_id) VALUES (?, ?, ?);

-- name: delivery_by_id
-- One delivery.
SELECT delivery_id, case_id, outlet, environment, format, state, attempt, due_at_us, taken_by, dedup_key, recipient,
  with_file, document, sha256, progress, external_id, reason, requested_by, released_by, created_at_us, changed_at_us,
  further_case_ids
FROM delivery_told
WHERE delivery_id = ?;

-- name: delivery_by_key
-- The delivery that was queued before under the same key.
SELECT delivery_id FROM delivery WHERE dedup_key = ?;

-- name: deliveries_of_case
-- Deliveries that tell one case, oldest first.
SELECT delivery_id, case_id, outlet, environment, format, state, attempt, due_at_us, taken_by, dedup_key, recipient,
  with_file, document, sha256, progress, external_id, reason, requested_by, released_by, created_at_us, changed_at_us,
  further_case_ids
FROM delivery_told
WHERE delivery_id IN (SELECT delivery_id FROM delivery_case WHERE case_id = ?)
ORDER BY created_at_us, delivery_id;

-- name: deliveries_in_state
-- Deliveries that stand somewhere, oldest first.
SELECT delivery_id, case_id, outlet, environment, format, state, attempt, due_at_us, taken_by, dedup_key, recipient,
  with_file, document, sha256, progress, external_id, reason, requested_by, released_by, created_at_us, changed_at_us,
  further_case_ids
FROM delivery_told
WHERE state = ?
ORDER BY created_at_us, delivery_id
LIMIT ?;

-- name: take_deliveries
-- Take what is due at an outlet: queued, or being sent by somebody whose lease has ended.
UPDATE delivery
SET state = 'sending', attempt = attempt + 1, taken_by = :taken_by, due_at_us = :lease_until_us, changed_at_us = :now_us
WHERE delivery_id IN (
  SELECT delivery_id FROM delivery
  WHERE outlet = :outlet AND state IN ('queued', 'sending') AND due_at_us <= :now_us
  ORDER BY due_at_us
  LIMIT :most
)
RETURNING delivery_id;

-- name: rejected_reports
-- What would be taken at an outlet though the match was rejected; holds are no reports.
SELECT delivery_id FROM delivery AS d
WHERE outlet = ? AND state IN ('queued', 'sending') AND due_at_us <= ? AND format <> 'hold'
  AND EXISTS (SELECT 1 FROM delivery_case AS o JOIN report_case AS c ON c.case_id = o.case_id
    WHERE o.delivery_id = d.delivery_id AND c.state = 'rejected');

-- name: take_delivery
-- Take one that waits for its file.
UPDATE delivery
SET state = 'sending', taken_by = :taken_by, due_at_us = :lease_until_us, changed_at_us = :now_us
WHERE delivery_id = :delivery_id AND state = 'waiting';

-- name: overdue_files
-- Deliveries whose file did not come in time.
SELECT delivery_id FROM delivery WHERE outlet = ? AND state = 'waiting' AND due_at_us <= ?;

-- name: next_due
-- When an outlet next has something to do.
SELECT min(due_at_us) FROM delivery WHERE outlet = ? AND state IN ('queued', 'sending', 'waiting');

-- name: save_progress
-- How far a delivery came, by whoever has it; the lease begins anew.
UPDATE delivery SET progress = ?, due_at_us = ?, changed_at_us = ? WHERE delivery_id = ? AND taken_by = ?
  AND state = 'sending';

-- name: update_delivery
-- What came of a delivery, by whoever has it.
UPDATE delivery
SET state = :state, due_at_us = :due_at_us, taken_by = '', external_id = :external_id, reason = :reason,
  attempt = :attempt, released_by = :released_by, changed_at_us = :now_us
WHERE delivery_id = :delivery_id AND state = :before AND taken_by = :taken_by;

-- name: erase_documents
-- What was sent of a case is kept no longer, also where it tells others as well; its digest is.
UPDATE delivery SET document = '', recipient = ''
WHERE delivery_id IN (SELECT delivery_id FROM delivery_case WHERE case_id = ?);

-- name: unsettled
-- Deliveries of a case that may yet be sent without anybody deciding anew.
SELECT count(*) FROM delivery_case AS o JOIN delivery AS d ON d.delivery_id = o.delivery_id
WHERE o.case_id = ? AND d.state IN ('held', 'queued', 'sending', 'waiting');

-- name: undecided_deliveries
-- Deliveries of cases whose time has come that nobody released, or that were due long ago and have no worker.
SELECT d.delivery_id
FROM delivery AS d
WHERE d.delivery_id IN (SELECT o.delivery_id FROM report_case AS c JOIN delivery_case AS o ON o.case_id = c.case_id
    WHERE c.expires_at_us <= :now_us AND c.state <> 'erased')
  AND (d.state = 'held' OR (d.state IN ('queued', 'sending', 'waiting') AND d.due_at_us <= :stranded_us))
ORDER BY d.due_at_us, d.delivery_id
LIMIT :most;

-- name: undecided_before
-- Deliveries that wait for a person and of which a case is erased before a time, and when the first is.
SELECT d.delivery_id, min(c.expires_at_us)
FROM report_case AS c JOIN delivery_case AS o ON o.case_id = c.case_id JOIN delivery AS d ON d.delivery_id = o.delivery_id
WHERE c.expires_at_us <= ? AND c.state <> 'erased' AND d.state IN ('held', 'unsure')
GROUP BY d.delivery_id
ORDER BY min(c.expires_at_us), d.delivery_id
LIMIT ?;

-- name: outlets_waited_for
-- Outlets that deliveries wait for, and how many.
SELECT outlet, count(*)
FROM delivery
WHERE state IN ('held', 'queued', 'sending', 'waiting')
GROUP BY outlet
ORDER BY outlet;

-- name: outbox_depths
-- How many deliveries of each outlet stand at each state that is not the end.
SELECT outlet, state, count(*)
FROM delivery
WHERE state NOT IN ('delivered', 'cancelled')
GROUP BY outlet, state
ORDER BY outlet, state;

-- name: untold
-- What may still be reported of a case: deliveries that are not at their end, and whether there were any but holds.
SELECT coalesce(sum(CASE WHEN state IN ('delivered', 'cancelled') THEN 0 ELSE 1 END), 0),
  coalesce(sum(CASE WHEN format = 'hold' THEN 0 ELSE 1 END), 0)
FROM delivery
WHERE delivery_id IN (SELECT delivery_id FROM delivery_case WHERE case_id = ?);

-- name: told_subjects
-- Cases whose subject is kept until everything is delivered, and of which something was to be delivered.
SELECT case_id FROM report_case AS c
WHERE keep_subject = 'delivered' AND subject <> ''
  AND (state <> 'open' OR EXISTS (SELECT 1 FROM delivery_case AS o JOIN delivery AS d ON d.delivery_id = o.delivery_id
    WHERE o.case_id = c.case_id AND d.format <> 'hold'))
  AND NOT EXISTS (SELECT 1 FROM delivery_case AS o JOIN delivery AS d ON d.delivery_id = o.delivery_id
    WHERE o.case_id = c.case_id AND d.state NOT IN ('delivered', 'cancelled'))
ORDER BY case_id
LIMIT ?;

-- name: running_holds
-- Holds of a case that have not ended.
SELECT count(*) FROM hold WHERE case_id = ? AND released_at_us IS NULL;

-- name: insert_hold
-- The caller's store keeps something; nothing is done where that was asked for before.
INSERT INTO hold (hold_id, case_id, handle, deadline_us, released_at_us, created_at_us) VALUES (?, ?, ?, ?, NULL, ?)
ON CONFLICT DO NOTHING;

-- name: holds_of_case
-- Holds of one case, oldest first.
SELECT hold_id, case_id, handle, deadline_us, released_at_us, created_at_us
FROM hold
WHERE case_id = ?
ORDER BY created_at_us, hold_id;

-- name: holds_due
-- Holds whose deadline has passed and that were not released.
SELECT hold_id, case_id, handle, deadline_us, released_at_us, created_at_us
FROM hold
WHERE released_at_us IS NULL AND deadline_us <= ?
ORDER BY deadline_us
LIMIT ?;

-- name: release_hold
-- The caller's store need not keep it any longer.
UPDATE hold SET released_at_us = ? WHERE hold_id = ? AND released_at_us IS NULL;

-- name: owe_opinions
-- A finding whose opinions are still to be given, in the place of the one before.
INSERT INTO owed_opinion (case_id, confirmed, actor, reason) VALUES (?, ?, ?, ?)
ON CONFLICT (case_id) DO UPDATE SET confirmed = excluded.confirmed, actor = excluded.actor, reason = excluded.reason;

-- name: owed_opinions
-- The finding of a case whose opinions are still to be given.
SELECT confirmed, actor, reason FROM owed_opinion WHERE case_id = ?;

-- name: opinions_given
-- The opinions of a finding were given.
DELETE FROM owed_opinion WHERE case_id = ?;

-- name: cases_owing
-- Cases whose opinions are still to be given, at most so many.
SELECT case_id FROM owed_opinion ORDER BY case_id LIMIT ?;

-- name: count_up
-- Add to a counter.
INSERT INTO counted (day, counter, set_name, algorithm, domain, outlet, bucket, count) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (day, counter, set_name, algorithm, domain, outlet, bucket) DO UPDATE SET count = counted.count + excluded.count;

-- name: counted_between
-- Counters of some days, both ends included.
SELECT day, counter, set_name, algorithm, domain, outlet, bucket, count
FROM counted
WHERE day BETWEEN ? AND ?
ORDER BY day, counter, set_name, algorithm, domain, outlet, bucket;
