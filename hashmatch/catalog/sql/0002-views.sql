-- Migration 2: what was done to the original before a value was computed (transformations.py lists the names); empty
-- for the picture as it is, which all older values are taken for. Adding a column rewrites no row.
ALTER TABLE value ADD COLUMN view TEXT NOT NULL DEFAULT '';
