-- git.db, version 1.  One row per object, data is the zlib stream of its raw content, so that a
-- pack is a concatenation of rows.  At most 128 KiB per row: the rest follows in object_part.
CREATE TABLE object(
  id INTEGER PRIMARY KEY,
  repo_id INTEGER NOT NULL,
  oid BLOB NOT NULL,
  type INTEGER NOT NULL,                 -- 1 commit, 2 tree, 3 blob, 4 tag
  size INTEGER NOT NULL,                 -- of the raw content
  stored INTEGER NOT NULL,               -- length of the whole zlib stream
  seen_at INTEGER NOT NULL,              -- renewed when a new commit relies on it
  data BLOB NOT NULL
);
CREATE UNIQUE INDEX object_oid ON object(repo_id, oid);
CREATE TABLE object_part(
  object_id INTEGER NOT NULL,
  n INTEGER NOT NULL,                    -- 1, 2, 3 …
  data BLOB NOT NULL,
  PRIMARY KEY(object_id, n)
);
