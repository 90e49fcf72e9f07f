-- Migration 5: a delivery may tell several cases, and a finding owes its opinions until the entries have them.

-- Every case that a delivery tells, in the order of the document; position 0 is delivery.case_id, which the trigger
-- writes, so that a delivery has it whoever inserts.
CREATE TABLE delivery_case (
  delivery_id TEXT NOT NULL REFERENCES delivery,
  position INTEGER NOT NULL,
  case_id TEXT NOT NULL REFERENCES report_case,
  PRIMARY KEY (delivery_id, position),
  UNIQUE (case_id, delivery_id)
) STRICT, WITHOUT ROWID;

INSERT INTO delivery_case (delivery_id, position, case_id) SELECT delivery_id, 0, case_id FROM delivery;

CREATE TRIGGER delivery_has_its_first_case AFTER INSERT ON delivery
BEGIN
  INSERT INTO delivery_case (delivery_id, position, case_id) VALUES (new.delivery_id, 0, new.case_id);
END;

-- A delivery, and the other cases that it tells: their ids with spaces between.
CREATE VIEW delivery_told AS
SELECT d.*, coalesce((
  SELECT group_concat(case_id, ' ')
  FROM (SELECT o.case_id FROM delivery_case AS o WHERE o.delivery_id = d.delivery_id AND o.position > 0 ORDER BY o.position)
), '') AS further_case_ids
FROM delivery AS d;

-- What a person found about a case, until each entry that it met has been given the opinion; a later finding takes its
-- place.
CREATE TABLE owed_opinion (
  case_id TEXT PRIMARY KEY REFERENCES report_case,
  confirmed INTEGER NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What has not come to its end, by where it stands: counted for whoever watches, again and again.
CREATE INDEX delivery_open ON delivery (outlet, state) WHERE state NOT IN ('delivered', 'cancelled');
