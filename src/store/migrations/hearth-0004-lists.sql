-- hearth.db, version 4.  Lists in the order of ids, kind by kind.
CREATE INDEX repo_kind ON repo(kind, id) WHERE state = 'live';
