-- What is watched after the check: pictures at addresses, who was told of them, and every look that was taken since. What
-- state a picture is in stands nowhere: it is folded from the looks (hotline/recheck.py).

CREATE TABLE watch (
  watch_key INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  number INTEGER NOT NULL REFERENCES submission (number),
  host TEXT NOT NULL,
  document TEXT NOT NULL
) STRICT;

-- Somebody was told; the first counts.
CREATE TABLE notice (
  notice_key INTEGER PRIMARY KEY,
  watch_key INTEGER NOT NULL REFERENCES watch (watch_key),
  at_us INTEGER NOT NULL,
  who TEXT NOT NULL,
  note TEXT NOT NULL
) STRICT;

CREATE INDEX notice_of_watch ON notice (watch_key, at_us);

CREATE TABLE look (
  look_key INTEGER PRIMARY KEY,
  watch_key INTEGER NOT NULL REFERENCES watch (watch_key),
  document TEXT NOT NULL
) STRICT;

CREATE INDEX look_of_watch ON look (watch_key, look_key);
