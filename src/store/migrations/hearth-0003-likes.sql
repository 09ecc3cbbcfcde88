-- hearth.db, version 3.  Who likes which repository; repo.likes is the count of these rows.
CREATE TABLE repo_like(
  repo_id INTEGER NOT NULL,
  user_id INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY(repo_id, user_id)
);
CREATE INDEX repo_like_newest ON repo_like(repo_id, created_at, user_id);
CREATE INDEX repo_like_user ON repo_like(user_id, created_at, repo_id);
