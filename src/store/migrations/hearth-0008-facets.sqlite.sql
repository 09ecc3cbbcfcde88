-- hearth.db, version 8.  Which repositories changed in a way that lists and facets show, in order;
-- processes that keep an index of them in memory read what is new (store/facets.c).  A job cuts it.
CREATE TABLE repo_change(
  seq INTEGER PRIMARY KEY,
  repo_id INTEGER NOT NULL
);
CREATE TRIGGER repo_change_insert AFTER INSERT ON repo BEGIN
  INSERT INTO repo_change(repo_id) VALUES (new.id);
END;
CREATE TRIGGER repo_change_update AFTER UPDATE OF tags, visibility, state, owner_id ON repo BEGIN
  INSERT INTO repo_change(repo_id) VALUES (new.id);
END;
