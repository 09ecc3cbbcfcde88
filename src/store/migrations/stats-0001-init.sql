-- stats.db, version 1.  kill -9 may lose the last second of these.
CREATE TABLE repo_day(
  repo_id INTEGER NOT NULL,
  day INTEGER NOT NULL,                  -- days since 1970-01-01, UTC
  requests INTEGER NOT NULL,
  downloads INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY(repo_id, day)
);
CREATE INDEX repo_day_day ON repo_day(day);
CREATE TABLE file_day(
  repo_id INTEGER NOT NULL,
  path BLOB NOT NULL,
  day INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  downloads INTEGER NOT NULL,
  PRIMARY KEY(repo_id, path, day)
);
CREATE TABLE token_use(token_id INTEGER NOT NULL PRIMARY KEY, last_used_at INTEGER NOT NULL);
