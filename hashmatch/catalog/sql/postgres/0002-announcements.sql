-- Migration 2 for PostgreSQL: every commit that moves the sequence tells those who listen. A trigger does so, and not the
-- statements, so that no writer can forget it; PostgreSQL delivers at the commit, and nothing after a rollback.
CREATE FUNCTION announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('hashmatch', NEW.sequence::text);
  RETURN NULL;
END
$$;

CREATE TRIGGER changes_are_announced AFTER UPDATE ON catalog
FOR EACH ROW EXECUTE FUNCTION announce();
