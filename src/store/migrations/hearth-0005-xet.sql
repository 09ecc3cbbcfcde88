-- hearth.db, version 5.  Xet uploads, buckets, and what keeps the store true.

ALTER TABLE xorb ADD COLUMN condemned_at INTEGER;              -- set with state 'condemned'
ALTER TABLE xorb ADD COLUMN checked_at INTEGER NOT NULL DEFAULT 0; -- scrub read it whole; 0: never
CREATE INDEX xorb_state ON xorb(state, id) WHERE state <> 'live';
CREATE INDEX xorb_checked ON xorb(checked_at, id);
CREATE INDEX xorb_small ON xorb(disk_bytes, id) WHERE disk_bytes < 4194304;
ALTER TABLE repo_file ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0; -- a client was told it is there
CREATE INDEX repo_file_claimed ON repo_file(pushed_at) WHERE state = 'claimed';

-- What a repository may read and refer to for a while although no row of it names the content: it
-- was registered with its writing token, or a bucket had it until a moment ago.  Roots of gc.
CREATE TABLE file_hold(
  repo_id INTEGER NOT NULL,
  file_id INTEGER NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY(repo_id, file_id)
) WITHOUT ROWID;
CREATE INDEX file_hold_file ON file_hold(file_id);
CREATE INDEX file_hold_until ON file_hold(until);

-- Accepted shards, kept as blobs while one of their files lives: fsck repairs terms from them.
CREATE TABLE shard(
  id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,             -- BLAKE3 of the bytes under the key of chunks
  size INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  checked_at INTEGER NOT NULL DEFAULT 0  -- scrub read it whole; 0: never
);
CREATE INDEX shard_checked ON shard(checked_at, id);
CREATE TABLE shard_file(
  file_id INTEGER NOT NULL,
  shard_id INTEGER NOT NULL,
  PRIMARY KEY(file_id, shard_id)
) WITHOUT ROWID;
CREATE INDEX shard_file_shard ON shard_file(shard_id);

-- A bucket is a row of repo (kind 3) without git, and this.  repo.used_storage is the sum of its
-- files, repo.updated_at grows with every change.
CREATE TABLE bucket(
  repo_id INTEGER PRIMARY KEY,
  file_count INTEGER NOT NULL DEFAULT 0,
  seq INTEGER NOT NULL DEFAULT 0         -- counts changes
);
CREATE TABLE bucket_file(
  repo_id INTEGER NOT NULL,
  path BLOB NOT NULL,
  file_id INTEGER NOT NULL,              -- file.id; 0 for the empty content
  size INTEGER NOT NULL,
  mtime INTEGER NOT NULL,                -- as the uploader says, milliseconds
  mtime_ns INTEGER,                      -- below a millisecond, 0 to 999999
  uploaded_at INTEGER NOT NULL,
  content_type TEXT,
  seq INTEGER NOT NULL,                  -- of the change that wrote it
  PRIMARY KEY(repo_id, path)
) WITHOUT ROWID;
CREATE INDEX bucket_file_uploaded ON bucket_file(repo_id, uploaded_at, path);
CREATE INDEX bucket_file_file ON bucket_file(file_id);
-- Every folder above a file; gone with its last file.  `name` ends with '/', so that byte order is the
-- order of the paths below.
CREATE TABLE bucket_dir(
  repo_id INTEGER NOT NULL,
  parent BLOB NOT NULL,                  -- path of the folder above, empty for the root
  name BLOB NOT NULL,                    -- last part of the path, and '/'
  file_count INTEGER NOT NULL,           -- below it, at any depth
  size INTEGER NOT NULL,
  uploaded_at INTEGER NOT NULL,          -- the latest seen
  PRIMARY KEY(repo_id, parent, name)
) WITHOUT ROWID;

-- What gc knows of a repository's git objects: unchanged refs need no new marking.
CREATE TABLE gc_mark(
  repo_id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL,                  -- of all its refs when it was marked
  due_at INTEGER NOT NULL                -- look again then even if nothing changed
);
-- While somebody copies blobs (backup) nothing is unlinked.  A hold whose beat is old is dead.
CREATE TABLE gc_hold(
  id TEXT NOT NULL PRIMARY KEY,
  beat_at INTEGER NOT NULL
);
-- Work that a command asks the running server to do (store/task.h).
CREATE TABLE task(
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,                    -- gc | scrub
  options TEXT NOT NULL,                 -- JSON object
  state TEXT NOT NULL,                   -- asked | running | done | failed
  progress TEXT NOT NULL DEFAULT '',     -- one line for people
  result TEXT,                           -- JSON object
  asked_at INTEGER NOT NULL,
  beat_at INTEGER NOT NULL
);
