"""Rows `lists` and `tree`: pages of many repositories and of many files.

The repositories are written straight into hearth.db while the server is down. Server time is what the
server's own access line says (`us=`), the median of some requests; the first one and CPU stand beside.
"""

import base64
import random
import sqlite3
import statistics
import time
from urllib.parse import quote, urlencode

from lib import TOKEN, Hearth, Work, one_core, options, run_load, say, write_request

NOW = 1_750_000_000_000
# Shares of the repositories that have a tag; the rarest is a fixed number.
TAGS = {
    "transformers": 0.6, "pytorch": 0.5, "license:mit": 0.4, "language:en": 0.3, "text-generation": 0.2,
    "safetensors": 0.1, "language:de": 0.03, "gguf": 0.01, "middling": 0.003,
}
FILES = (b".gitattributes", b"README.md", b"config.json")  # what stands in each
RARE = 30  # repositories with the tag "seldom", and with the word "xylograph" in their name
SORTS = {"trendingScore": "trending", "lastModified": "updated_at", "createdAt": "created_at",
         "downloads": "downloads", "likes": "likes", "num_parameters": "num_parameters", "id": "id"}


def words(source):
    letters = "bcdfghjkmnprstvwz", "aeiou"
    return ["".join(source.choice(letters[i % 2]) for i in range(source.choice((4, 6, 8)))) for _ in range(500)]


class Synthetic:
    """Deterministic repositories: names, tags, figures as skewed as real ones."""

    def __init__(self, count, owners):
        self.count, self.owners = count, owners
        self.source = random.Random(3)
        self.words = words(self.source)
        self.rare = set(self.source.sample(range(count), RARE))
        self.tag_count = {}

    def name(self, i, pick):
        """One in ten begins with "llama", a few hold "xylograph"."""
        first = "llama" if i % 10 == 3 else pick(self.words)
        return f"{first}-{'xylograph' if i in self.rare else pick(self.words)}-{i}"

    def tags(self, i, chance):
        tags = [tag for tag, share in TAGS.items() if chance() < share]
        return tags + ["seldom", "transformers"] * (i in self.rare)

    def repos(self, first_id):
        s = self.source
        for i in range(self.count):
            owner_id, owner = self.owners[i % len(self.owners)]
            name = self.name(i, s.choice)
            full = f"{owner}/{name}"
            tags = sorted(set(self.tags(i, s.random)))
            created = NOW - s.randrange(10**11)
            popular = int(s.paretovariate(0.8)) - 1
            yield (
                first_id + i, f"{i + 1:024x}", owner_id, full, full.lower(), name.lower(), created,
                created + s.randrange(10**9), s.randbytes(20), '["' + '","'.join(tags) + '"]' if tags else "[]",
                tags[0] if tags else None, s.randrange(10**9) if s.random() < 0.4 else 0, min(popular // 7, 10**6),
                min(popular * 31, 10**9), min(popular * 90, 10**9), min(popular // 50, 10**5),
            ), tags


REPO_COLUMNS = ("id, oid, owner_id, full_name, full_key, name_key, created_at, updated_at, head, tags, pipeline_tag, "
                "num_parameters, likes, downloads, downloads_all, trending")


def fill(path, count):
    """Writes accounts, repositories, tags and the search table into hearth.db; returns the synthetic world."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -400000")
    owners = max(10, count // 1000)
    first = db.execute("SELECT coalesce(max(id), 0) + 1 FROM account").fetchone()[0]
    first_repo = db.execute("SELECT coalesce(max(id), 0) + 1 FROM repo").fetchone()[0]
    people = [(first + i, f"maker{i:05d}") for i in range(owners)]
    world = Synthetic(count, people)
    indexes = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
                         "AND tbl_name IN ('repo', 'repo_tag', 'ref', 'branch_file')").fetchall()
    db.execute("BEGIN")
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}")
    db.executemany("INSERT INTO account(id, oid, name, name_key, kind, created_at) VALUES (?, ?, ?, ?, 'user', ?)",
                   [(i, f"{i:024x}", name, name, NOW) for i, name in people])
    batch, tags = [], []

    def flush():
        marks = ", ".join("?" * 16)
        db.executemany(f"INSERT INTO repo({REPO_COLUMNS}, kind, visibility, state, creator_id) "
                       f"VALUES ({marks}, 0, 'public', 'live', 1)", batch)
        db.executemany("INSERT INTO repo_search(rowid, full_key) VALUES (?, ?)", [(r[0], r[4]) for r in batch])
        db.executemany("INSERT OR IGNORE INTO repo_tag(kind, tag, repo_id) VALUES (0, ?, ?)", tags)
        db.executemany("INSERT INTO ref(id, repo_id, name, oid, peeled, updated_at) "
                       "VALUES (?1, ?1, 'refs/heads/main', ?2, ?2, ?3)", [(r[0], r[8], r[7]) for r in batch])
        db.executemany("INSERT INTO branch_file(ref_id, key, parent, mode, oid, size, last_commit) "
                       "VALUES (?, ?, x'', 33188, ?, 1000, ?)",
                       [(r[0], key, r[8], r[8]) for r in batch for key in FILES])
        batch.clear()
        tags.clear()

    for repo, its_tags in world.repos(first_repo):
        batch.append(repo)
        tags += [(tag, repo[0]) for tag in its_tags]
        if len(batch) == 20_000:
            flush()
    flush()
    db.execute("INSERT OR REPLACE INTO tag_count(kind, tag, repos) "
               "SELECT kind, tag, count(*) FROM repo_tag GROUP BY kind, tag")
    for _, sql in indexes:
        db.execute(sql)
    db.execute("COMMIT")
    world.cursors = {}
    for sort, column in SORTS.items():  # a page that ends the list: the cursor of the 100th row from the end
        value, row = db.execute(f"SELECT {column}, id FROM repo WHERE kind = 0 AND state = 'live' "
                                f"ORDER BY {column}, id LIMIT 1 OFFSET 100").fetchone()
        world.cursors[sort] = base64.urlsafe_b64encode(f"{value}:{row}".encode()).decode().rstrip("=")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return world


def queries(world):
    """(what, parameters, is it one of the table's?)"""
    some = world.words[7]
    yield "plain", {}, True
    yield "10 % term", {"search": "llama"}, True
    yield "10 % term, by likes", {"search": "llama", "sort": "likes"}, False
    yield "rare term", {"search": "xylograph"}, True
    yield "absent term", {"search": "quetzalcoatl"}, True
    yield "a word of 0.4 %", {"search": some}, False
    yield "two letters, 10 %", {"search": "ll"}, True
    yield "two letters, some", {"search": some[:2]}, True
    yield "two letters, none", {"search": "qx"}, True
    yield "three filters, one rare", {"filter": ["transformers", "pytorch", "seldom"]}, True
    yield "three filters, common", {"filter": ["transformers", "pytorch", "license:mit"]}, False
    yield "filters of 0.3 % and 40 %", {"filter": ["middling", "license:mit"]}, False
    yield "filters that never meet", {"filter": ["gguf", "language:de", "middling", "safetensors"]}, False
    yield "term and filter", {"search": "llama", "filter": "gguf"}, False
    yield "one author", {"author": world.owners[0][1]}, False
    for sort in SORTS:
        yield f"sort {sort}", {"sort": sort}, True
    for sort in ("trendingScore", "likes", "id"):
        yield f"last page, {sort}", {"sort": sort, "cursor": world.cursors[sort]}, True
    yield "sort likes, ascending", {"sort": "likes", "direction": "1"}, False
    yield "plain, full", {"full": "true"}, False


def page(report, hub, work, row, what, path, target, count=15, token=TOKEN):
    """Server time of one address: the median of `count` requests after the first."""
    request = write_request(work, "page", hub.port, "GET", path, token)
    first = run_load(hub.port, [request], "-n1")["p50_us"] / 1e3
    cpu = hub.cpu()
    result = run_load(hub.port, [request], f"-n{count}")
    cpu = (hub.cpu() - cpu) / count * 1e3
    time.sleep(0.02)  # the last access line
    times = hub.log_times_us("m=GET", count)
    value = statistics.median(times) / 1e3
    report.row(row, what, value, target, "ms server time",
               note=f"CPU {cpu:.2f} ms, first {first:.1f} ms, {result['bytes'] / result['answers'] / 1024:.0f} KiB",
               cpu_ms=cpu, first_ms=first, wall_p50_ms=result["p50_us"] / 1e3, times_us=times)


def lists(report):
    """Pages of a list of many repositories, 100 to a page."""
    with Work("lists") as work:
        with Hearth(work):
            pass
        start = time.perf_counter()
        world = fill(work / "hearth" / "hearth.db", options.repos)
        say(f"lists    {options.repos:,} repositories written in {time.perf_counter() - start:.0f} s")
        with one_core(), Hearth(work, "--loops", "1") as hub:
            for what, parameters, listed in queries(world):
                path = "/api/models?" + urlencode({"limit": 100, **parameters}, doseq=True)
                what = f"{what}, {options.repos // 1000}k repos"
                page(report, hub, work, "lists", what, path, "<= 5" if listed else None)
            page(report, hub, work, "lists", "plain, nobody signed in", "/api/models?limit=100", "<= 5", token=None)
            page(report, hub, work, "lists", "plain, 1,000 to a page", "/api/models", None)


def tree(report):
    """Pages of the tree of a repository with many files: half in one folder, half in folders of 500."""
    count = options.tree_files
    with Work("tree") as work, one_core(), Hearth(work, "--loops", "1") as hub:
        repo = hub.new_repo("tree")
        files = {(f"flat/f{i:06d}.txt" if i % 2 else f"deep/d{i // 1000:03d}/f{i:06d}.txt"): b"%d" % i
                 for i in range(count)}
        start, cpu = time.perf_counter(), hub.cpu()
        hub.commit_files(repo, files)
        report.row("tree", f"one commit of {count:,} files", time.perf_counter() - start, unit="s wall",
                   note=f"CPU {hub.cpu() - cpu:.2f} s")

        def cursor(path):
            return quote(base64.urlsafe_b64encode(b"k:" + path.encode()).decode().rstrip("="))

        base = f"/api/models/{repo}/tree/main"
        middle = cursor(f"flat/f{count // 2 - 1 | 1:06d}.txt")
        for what, path, target in (
            ("root folder", base, "<= 5"),
            ("large folder, 1,000 of it", f"{base}/flat", "<= 5"),
            ("large folder, from the middle", f"{base}/flat?cursor={middle}", "<= 5"),
            ("folder of 500", f"{base}/deep/d001", "<= 5"),
            ("recursive, first 1,000", f"{base}?recursive=true", "<= 5"),
            ("recursive, from the middle", f"{base}?recursive=true&cursor={middle}", "<= 5"),
            ("large folder, expanded, 50", f"{base}/flat?expand=true", "<= 5"),
        ):
            page(report, hub, work, "tree", f"{what}, {count // 1000}k files", path, target)
