-- Migration 5 for PostgreSQL: the tables of SQLite's migration 5, which says what each is for.

CREATE TABLE delivery_case (
  delivery_id text COLLATE "C" NOT NULL REFERENCES delivery,
  position bigint NOT NULL,
  case_id text COLLATE "C" NOT NULL REFERENCES report_case,
  PRIMARY KEY (delivery_id, position),
  UNIQUE (case_id, delivery_id)
);

INSERT INTO delivery_case (delivery_id, position, case_id) SELECT delivery_id, 0, case_id FROM delivery;

CREATE FUNCTION delivery_has_its_first_case() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO delivery_case (delivery_id, position, case_id) VALUES (NEW.delivery_id, 0, NEW.case_id);
  RETURN NULL;
END
$$;

CREATE TRIGGER delivery_has_its_first_case AFTER INSERT ON delivery
FOR EACH ROW EXECUTE FUNCTION delivery_has_its_first_case();

CREATE VIEW delivery_told AS
SELECT d.*, coalesce((
  SELECT string_agg(o.case_id, ' ' ORDER BY o.position)
  FROM delivery_case AS o WHERE o.delivery_id = d.delivery_id AND o.position > 0
), '') AS further_case_ids
FROM delivery AS d;

CREATE TABLE owed_opinion (
  case_id text COLLATE "C" PRIMARY KEY REFERENCES report_case,
  confirmed bigint NOT NULL,
  actor text NOT NULL,
  reason text NOT NULL
);

-- What has not come to its end, by where it stands: counted for whoever watches, again and again.
CREATE INDEX delivery_open ON delivery (outlet, state) WHERE state NOT IN ('delivered', 'cancelled');
