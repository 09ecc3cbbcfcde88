"""docs/storage-format.md is true: its program reads every file of a store, and it names every column."""

import os
import re
import sqlite3
import subprocess
import sys

import pytest
from harness import small
from harness.server import ROOT, Hub, plain_env, seed

DOCUMENT = ROOT / "docs" / "storage-format.md"
KINDS = {"model": 0, "dataset": 1, "space": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("format")
    seed(folder / "data", folder / "log.txt")
    hub = Hub(folder / "data", folder / "log.txt").start()
    made = small.build(hub)
    hub.stop()
    return folder / "data", made


def test_its_program_reads_every_file(store, tmp_path):
    data, made = store
    reader = {"__name__": "reader"}
    exec(small.example(DOCUMENT), reader)
    for (kind, repo, rev, path), content in made.files.items():
        assert reader["read_file"](data, KINDS[kind], repo, rev, path) == content, path
    script = tmp_path / "read.py"
    script.write_text(small.example(DOCUMENT))
    done = subprocess.run([sys.executable, script, data, "0", "alice/m", "main", "model.bin"], capture_output=True, env=plain_env(tmp_path), timeout=60)
    assert done.stdout == made.files["model", "alice/m", "main", "model.bin"], done.stderr


def documented():
    """{table: columns} as the document has them."""
    tables, table = {}, None
    for line in DOCUMENT.read_text().splitlines():
        if found := re.match(r"#+ `(\w+)`", line):
            table = tables[found[1]] = []
        elif table is not None and (found := re.match(r"\| `(\w+)`", line)):
            table.append(found[1])
        elif line.startswith("## "):
            table = None
    return tables


def test_it_names_every_table_and_column(store):
    data, _ = store
    here, there = documented(), {}
    for name in ("hearth.db", "git.db", "stats.db"):
        db = sqlite3.connect(f"file:{data / name}?mode=ro", uri=True)
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'repo_search%'").fetchall():
            there[table] = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        db.close()
    assert sorted(here) == sorted(there)
    for table, columns in there.items():
        assert sorted(here[table]) == sorted(columns), table


def test_it_names_every_file(store):
    data, _ = store
    text = DOCUMENT.read_text()
    for folder, _, files in os.walk(data):
        for name in files:
            kind = re.sub(r"^[0-9a-f]{64}", "HASH", re.sub(r"\d{15,}", "GEN", name))
            kind = re.sub(r"^\w+(\.db-\w+)$", r"*\1", kind)
            assert kind in text, f"{folder}/{name}"
