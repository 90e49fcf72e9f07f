-- Migration 3 for PostgreSQL: references of entries and values are checked once per statement in place of once per row,
-- which took more of an import than everything else that the server does for it (docs/adr/0016-postgresql.md).
--
-- A foreign key looks each row's parent up, and locks it against whoever deletes it meanwhile. Nobody does: what is
-- referred to is never deleted and never renumbered, which the triggers below see to, so that a parent that was seen is
-- there for good. The loops over OFFSET 0 look up by index whatever the plan was made for: it is kept as long as the
-- connection, and tables grow. Events keep their foreign keys: they are few.

ALTER TABLE entry DROP CONSTRAINT entry_set_key_fkey;
ALTER TABLE value DROP CONSTRAINT value_entry_key_fkey;

CREATE FUNCTION check_sets() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off AS $$
BEGIN
  IF EXISTS (
    SELECT FROM (SELECT DISTINCT set_key FROM added) AS a
    WHERE NOT EXISTS (SELECT FROM hash_set AS s WHERE s.set_key = a.set_key OFFSET 0)
  ) THEN
    RAISE EXCEPTION 'entries of a set that does not exist' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END
$$;

CREATE FUNCTION check_entries() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off AS $$
BEGIN
  IF EXISTS (
    SELECT FROM added AS a WHERE NOT EXISTS (SELECT FROM entry AS e WHERE e.entry_key = a.entry_key OFFSET 0)
  ) THEN
    RAISE EXCEPTION 'values of an entry that does not exist' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER entries_have_a_set AFTER INSERT ON entry REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION check_sets();

CREATE TRIGGER values_have_an_entry AFTER INSERT ON value REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION check_entries();

CREATE TRIGGER entry_is_never_renumbered BEFORE UPDATE OF entry_key, set_key ON entry
FOR EACH ROW EXECUTE FUNCTION refuse('entries keep their key and their set');

CREATE TRIGGER value_is_never_moved BEFORE UPDATE OF entry_key ON value
FOR EACH ROW EXECUTE FUNCTION refuse('values keep their entry');

CREATE TRIGGER set_is_never_deleted_or_renumbered BEFORE DELETE OR UPDATE OF set_key ON hash_set
FOR EACH ROW EXECUTE FUNCTION refuse('sets are never deleted and keep their key');

CREATE TRIGGER nothing_is_emptied_of_sets BEFORE TRUNCATE ON hash_set
FOR EACH STATEMENT EXECUTE FUNCTION refuse('sets are never deleted and keep their key');
