-- hearth.db, version 6.  People in browsers, and programs that log in by a code.

ALTER TABLE account ADD COLUMN password_kind TEXT NOT NULL DEFAULT 'own'; -- own | one-time: to be changed first

CREATE TABLE session(
  id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,             -- SHA-256 of the cookie's value
  user_id INTEGER NOT NULL,
  agent TEXT NOT NULL,                   -- User-Agent when it began
  address TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
);
CREATE INDEX session_user ON session(user_id);
CREATE INDEX session_expires ON session(expires_at);

-- RFC 8628: the program polls with device_code, the person types user_code.
CREATE TABLE device_login(
  hash BLOB NOT NULL PRIMARY KEY,        -- SHA-256 of device_code
  user_code TEXT NOT NULL UNIQUE,
  client_id TEXT NOT NULL,
  address TEXT NOT NULL,                 -- who asked, shown to the person
  state TEXT NOT NULL,                   -- waiting | allowed | denied | used
  user_id INTEGER,                       -- who allowed it
  polled_at INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
);
CREATE INDEX device_login_expires ON device_login(expires_at);
-- A refresh token replaces the access token it belongs to; it changes with every use.
CREATE TABLE refresh_token(
  hash BLOB NOT NULL PRIMARY KEY,
  user_id INTEGER NOT NULL,
  token_id INTEGER NOT NULL,
  client_id TEXT NOT NULL,
  expires_at INTEGER NOT NULL
);
CREATE INDEX refresh_token_token ON refresh_token(token_id);
