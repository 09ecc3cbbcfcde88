-- hearth.db, version 1.  Words, not bits, decide access: a value that is not exactly one of the
-- words listed means the least (private, no role, disabled), so a flipped bit never opens a door
-- (docs/adr/0009-flipped-bits.md).  Times are Unix milliseconds, hashes are raw bytes.

CREATE TABLE account(
  id INTEGER PRIMARY KEY,
  oid TEXT NOT NULL UNIQUE,              -- 24 hex digits, as clients see it
  name TEXT NOT NULL,
  name_key TEXT NOT NULL UNIQUE,         -- lower case
  kind TEXT NOT NULL,                    -- user | org
  role TEXT NOT NULL DEFAULT '',         -- site-admin | (empty)
  state TEXT NOT NULL DEFAULT 'active',  -- active | disabled
  full_name TEXT NOT NULL DEFAULT '',
  email TEXT,
  password_hash TEXT,                    -- Argon2id string; NULL: no password login
  private_by_default INTEGER NOT NULL DEFAULT 0,
  quota_bytes INTEGER,                   -- NULL: none
  created_at INTEGER NOT NULL
);

CREATE TABLE member(
  org_id INTEGER NOT NULL,
  user_id INTEGER NOT NULL,
  role TEXT NOT NULL,                    -- read | contributor | write | admin
  created_at INTEGER NOT NULL,
  PRIMARY KEY(org_id, user_id)
) WITHOUT ROWID;
CREATE INDEX member_user ON member(user_id);

CREATE TABLE token(
  id INTEGER PRIMARY KEY,
  user_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,                    -- read | write | fineGrained
  hash BLOB NOT NULL UNIQUE,             -- SHA-256 of the token's text
  hint TEXT NOT NULL,                    -- its first and last characters, for lists
  scopes TEXT,                           -- JSON, fineGrained only
  created_at INTEGER NOT NULL,
  last_used_at INTEGER,
  expires_at INTEGER
);
CREATE INDEX token_user ON token(user_id);

CREATE TABLE repo(
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
  oid TEXT NOT NULL UNIQUE,
  kind INTEGER NOT NULL,                 -- 0 model, 1 dataset, 2 space
  owner_id INTEGER NOT NULL,
  full_name TEXT NOT NULL,               -- ns/name
  full_key TEXT NOT NULL,                -- lower case
  name_key TEXT NOT NULL,                -- lower case, after the slash
  visibility TEXT NOT NULL,              -- public | private
  state TEXT NOT NULL,                   -- live | deleted
  creator_id INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,           -- last commit on main
  head BLOB NOT NULL,                    -- commit of refs/heads/main
  pristine INTEGER NOT NULL DEFAULT 1,   -- only our own initial commit so far
  card TEXT,                             -- front matter of README.md as JSON, NULL: none
  tags TEXT NOT NULL DEFAULT '[]',       -- JSON array, derived from card and files
  meta TEXT NOT NULL DEFAULT '{}',       -- JSON: config, safetensors, gguf, sdk …
  pipeline_tag TEXT,
  library_name TEXT,
  description TEXT,
  num_parameters INTEGER NOT NULL DEFAULT 0,
  used_storage INTEGER NOT NULL DEFAULT 0,
  likes INTEGER NOT NULL DEFAULT 0,
  downloads INTEGER NOT NULL DEFAULT 0,      -- last 30 days
  downloads_all INTEGER NOT NULL DEFAULT 0,
  trending INTEGER NOT NULL DEFAULT 0,
  last_number INTEGER NOT NULL DEFAULT 0     -- of discussions and pull requests
);
CREATE UNIQUE INDEX repo_name ON repo(kind, full_key) WHERE state = 'live';
CREATE INDEX repo_owner ON repo(owner_id, kind, id) WHERE state = 'live';
CREATE INDEX repo_short ON repo(kind, name_key, id) WHERE state = 'live';
CREATE INDEX repo_updated ON repo(kind, updated_at, id) WHERE state = 'live';
CREATE INDEX repo_created ON repo(kind, created_at, id) WHERE state = 'live';
CREATE INDEX repo_downloads ON repo(kind, downloads, id) WHERE state = 'live';
CREATE INDEX repo_likes ON repo(kind, likes, id) WHERE state = 'live';
CREATE INDEX repo_trending ON repo(kind, trending, id) WHERE state = 'live';
CREATE INDEX repo_parameters ON repo(kind, num_parameters, id) WHERE state = 'live';
CREATE INDEX repo_dead ON repo(id) WHERE state <> 'live';

-- Old names after a move; a new repository of that name takes the row away.
CREATE TABLE repo_alias(
  kind INTEGER NOT NULL,
  full_key TEXT NOT NULL,
  repo_id INTEGER NOT NULL,
  PRIMARY KEY(kind, full_key)
);

CREATE TABLE repo_tag(
  kind INTEGER NOT NULL,
  tag TEXT NOT NULL,                     -- lower case
  repo_id INTEGER NOT NULL,
  PRIMARY KEY(kind, tag, repo_id)
);
CREATE INDEX repo_tag_repo ON repo_tag(repo_id);
CREATE TABLE tag_count(
  kind INTEGER NOT NULL,
  tag TEXT NOT NULL,
  repos INTEGER NOT NULL,
  PRIMARY KEY(kind, tag)
);

CREATE TABLE ref(
  id INTEGER PRIMARY KEY,
  repo_id INTEGER NOT NULL,
  name TEXT NOT NULL,                    -- refs/heads/main …
  oid BLOB NOT NULL,                     -- commit, or the tag object of an annotated tag
  peeled BLOB NOT NULL,                  -- always the commit
  updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX ref_name ON ref(repo_id, name);
CREATE INDEX ref_target ON ref(repo_id, peeled);

-- What stands on a branch (refs/heads/*), kept in the transaction that moves it.
-- key: the path, with '/' behind it for a folder, so that byte order is git's order.
CREATE TABLE branch_file(
  id INTEGER PRIMARY KEY,                -- of no meaning; see entry.c
  ref_id INTEGER NOT NULL,
  key BLOB NOT NULL,
  parent BLOB NOT NULL,                  -- path of the folder, empty for the root
  mode INTEGER NOT NULL,                 -- 16384 folder, 33188, 33261, 40960 link, 57344 submodule
  oid BLOB NOT NULL,                     -- git id of the blob or tree
  size INTEGER NOT NULL,                 -- real size (of the LFS object), 0 for folders
  sha256 BLOB,                           -- LFS only
  pointer_size INTEGER,                  -- LFS only
  last_commit BLOB NOT NULL
);
CREATE UNIQUE INDEX branch_file_key ON branch_file(ref_id, key);
CREATE INDEX branch_file_parent ON branch_file(ref_id, parent, key);
CREATE INDEX branch_file_sha256 ON branch_file(sha256) WHERE sha256 IS NOT NULL;

-- A commit request that succeeded, for clients that repeat it after a lost answer.
CREATE TABLE commit_seen(
  repo_id INTEGER NOT NULL,
  ref TEXT NOT NULL,
  user_id INTEGER NOT NULL,
  digest BLOB NOT NULL,                  -- SHA-256 of the body
  oid BLOB NOT NULL,
  number INTEGER NOT NULL DEFAULT 0,     -- of the pull request it opened
  at INTEGER NOT NULL,
  PRIMARY KEY(repo_id, ref, user_id, digest)
);

CREATE TABLE discussion(
  id INTEGER PRIMARY KEY,
  oid TEXT NOT NULL UNIQUE,
  repo_id INTEGER NOT NULL,
  number INTEGER NOT NULL,
  is_pull_request INTEGER NOT NULL,
  status TEXT NOT NULL,                  -- draft | open | closed | merged
  title TEXT NOT NULL,
  description TEXT NOT NULL,
  author_id INTEGER NOT NULL,
  base TEXT,                             -- refs/heads/… of a pull request
  created_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX discussion_number ON discussion(repo_id, number);

-- --- large files ---

CREATE TABLE xorb(
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
  hash BLOB NOT NULL UNIQUE,
  generation INTEGER NOT NULL,
  chunk_count INTEGER NOT NULL,
  raw_bytes INTEGER NOT NULL,
  disk_bytes INTEGER NOT NULL,
  state TEXT NOT NULL,                   -- live | condemned | damaged
  lease_until INTEGER NOT NULL,
  created_at INTEGER NOT NULL
);

-- Chunks by which an upload finds xorbs it shares data with (xet.md 2.4, 11.6).
CREATE TABLE chunk_key(
  hash BLOB NOT NULL PRIMARY KEY,
  xorb_id INTEGER NOT NULL,
  chunk_index INTEGER NOT NULL
);
CREATE INDEX chunk_key_xorb ON chunk_key(xorb_id);

-- A content by its Xet file hash, and how to put it together.
CREATE TABLE file(
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
  hash BLOB NOT NULL UNIQUE,
  size INTEGER NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE TABLE file_part(
  id INTEGER PRIMARY KEY,                -- of no meaning; see file_source.c
  file_id INTEGER NOT NULL,
  first INTEGER NOT NULL,                -- offset in the file of the first term
  terms BLOB NOT NULL                    -- packed terms, cas/plan.h
);
CREATE UNIQUE INDEX file_part_first ON file_part(file_id, first);
CREATE TABLE file_xorb(
  xorb_id INTEGER NOT NULL,
  file_id INTEGER NOT NULL,
  PRIMARY KEY(xorb_id, file_id)
);
CREATE INDEX file_xorb_file ON file_xorb(file_id);

-- Which contents a repository has: the only thing that batch, verify, commit and push look at.
CREATE TABLE repo_file(
  repo_id INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  size INTEGER NOT NULL,
  file_id INTEGER NOT NULL,              -- file.id; 0 for the empty content
  state TEXT NOT NULL,                   -- verified | claimed
  path BLOB,                             -- where it was last committed
  pusher_id INTEGER,
  pushed_at INTEGER NOT NULL,
  PRIMARY KEY(repo_id, sha256)
) WITHOUT ROWID;
CREATE INDEX repo_file_file ON repo_file(file_id);

-- Unfinished multipart uploads; their bytes are in DATA/upload/.
CREATE TABLE upload(
  id TEXT NOT NULL PRIMARY KEY,
  repo_id INTEGER NOT NULL,
  user_id INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  size INTEGER NOT NULL,
  part_bytes INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  done_at INTEGER                        -- completed; the row stays so that a repeated call succeeds
);
CREATE UNIQUE INDEX upload_object ON upload(repo_id, user_id, sha256);
CREATE TABLE upload_part(
  upload_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  size INTEGER NOT NULL,
  etag TEXT NOT NULL,
  PRIMARY KEY(upload_id, number)
);

CREATE TABLE lfs_lock(
  id TEXT NOT NULL PRIMARY KEY,
  repo_id INTEGER NOT NULL,
  path TEXT NOT NULL,
  owner_id INTEGER NOT NULL,
  ref TEXT,
  locked_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX lfs_lock_path ON lfs_lock(repo_id, path);

CREATE TABLE signing_key(
  kid TEXT NOT NULL PRIMARY KEY,
  secret BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  retired_at INTEGER
);
CREATE TABLE fact(                       -- single values: store id …
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);
