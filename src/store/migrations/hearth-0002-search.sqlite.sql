-- Substrings of repository names: rowid is repo.id, the text is full_key.
CREATE VIRTUAL TABLE repo_search USING fts5(full_key, tokenize='trigram', content='');
