-- hearth.db, version 7.  What happened to a pull request.
ALTER TABLE discussion ADD COLUMN merge_commit BLOB;   -- of a merged one
ALTER TABLE discussion ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
CREATE TABLE discussion_event(
  id INTEGER PRIMARY KEY,
  oid TEXT NOT NULL UNIQUE,
  discussion_id INTEGER NOT NULL,
  author_id INTEGER NOT NULL,
  type TEXT NOT NULL,                    -- status-change | comment
  body TEXT NOT NULL,                    -- the new status, or the comment
  at INTEGER NOT NULL
);
CREATE INDEX discussion_event_of ON discussion_event(discussion_id, id);
