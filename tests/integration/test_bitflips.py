"""One bit of a store flips while nobody looks. `hearth fsck` names it, or it is one of the bytes that
docs/storage-format.md lists as outside the promise; and no road ever gives a wrong byte.

Which values of the databases the promise covers is read from that document: its tables of columns
mark the others with a dagger.
"""

import functools
import hashlib
import io
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest
from harness import small
from harness.server import BINARY, PATIENCE, ROOT, SOAK, TOKENS, Hub, plain_env, seed
from harness.xet import Cas, text

FLIPS = int(os.environ.get("HEARTH_FLIPS", "0")) or (10_000 if SOAK else 200)
READS = int(os.environ.get("HEARTH_READS", "0")) or (300 if SOAK else 12)  # of these flips the server is started on
SEED = int(os.environ.get("HEARTH_FLIP_SEED", "0")) or random.randrange(1 << 30)
WEIGHTS = {"hearth.db": 50, "git.db": 20, "stats.db": 3, "xorb": 15, "idx": 10, "shard": 4}
DOCUMENT = ROOT / "docs" / "storage-format.md"
VOCABULARY = "CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, repo_search, instance)"


def promised():
    """{table: columns that the promise covers}, from the document."""
    tables, table = {}, None
    for line in DOCUMENT.read_text().splitlines():
        if found := re.match(r"#+ `(\w+)`", line):
            table = found[1]
            tables[table] = []
        elif line.startswith("## "):
            table = None
        elif table and (found := re.match(r"\| `(\w+)`( †)? \|", line)) and not found[2]:
            tables[table].append(found[1])
    return tables


class Store:
    """A data directory that stands still, and what its promised values are."""

    def __init__(self, folder):
        self.pristine = folder / "pristine"
        seed(self.pristine, folder / "log.txt")
        hub = Hub(self.pristine, folder / "log.txt").start()
        self.small = small.build(hub)
        hub.stop()
        hub.run("fsck")  # fails unless it is clean
        for left in self.pristine.glob("*-shm"):
            left.unlink()
        self.columns, self.reader = promised(), {"__name__": "reader"}
        exec(small.example(DOCUMENT), self.reader)  # the program that the document shows
        self.values = {name: self.dump(self.pristine / name) for name in ("hearth.db", "git.db", "stats.db")}
        blobs = [p for p in (self.pristine / "blob").rglob("*") if p.is_file()]
        self.files = {
            "idx": [p for p in blobs if p.suffix == ".idx"],
            "shard": [p for p in blobs if p.parent.parent.name == "shard"],
            "xorb": [p for p in blobs if p.parent.parent.name == "xorb" and p.suffix != ".idx"],
            **{name: [self.pristine / name] for name in self.values},
        }
        self.files = {kind: paths for kind, paths in self.files.items() if paths}

    def unpacked(self, path):
        """The chunks of a body; packed otherwise they are still the same."""
        try:
            with open(path, "rb") as body:
                return list(self.reader["chunks"](body))
        except (ValueError, subprocess.CalledProcessError) as e:
            return str(e)

    @functools.lru_cache(maxsize=None)
    def bytes_of(self, path):
        return path.read_bytes()

    def dump(self, path):
        """Every promised value, read from the tables and not from their indexes."""
        db = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
        db.text_factory = bytes
        try:
            said = db.execute("PRAGMA integrity_check").fetchall()
            if said != [(b"ok",)]:
                raise sqlite3.DatabaseError(said[0][0])
            tables = [name.decode() for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            values = {"sqlite_master": db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()}
            for table in tables:
                if self.columns.get(table):
                    columns = ", ".join(self.columns[table])
                    values[table] = db.execute(f"SELECT {columns} FROM {table} NOT INDEXED").fetchall()
            if "repo_search" in tables:
                db.execute(VOCABULARY)
                values["repo_search"] = db.execute("SELECT term, doc, offset FROM temp.words").fetchall()
            return values
        finally:
            db.close()

    def choose(self, number):
        """The number-th flip: a file below the directory, and which bit of it."""
        r = random.Random(SEED * 1_000_003 + number)
        kinds = list(self.files)
        (kind,) = r.choices(kinds, [WEIGHTS[k] for k in kinds])
        path = r.choice(sorted(self.files[kind]))
        data = self.bytes_of(path)
        at = r.randrange(len(data))
        while data[at] == 0 and r.random() < 0.8:  # most of a small database is empty pages
            at = r.randrange(len(data))
        return path.relative_to(self.pristine), 8 * at + r.randrange(8)

    def must_be_named(self, flipped, pristine, was_named):
        """What the promise covers of that which this flip changes; empty: nothing."""
        if flipped.suffix == ".idx" or flipped.parent.parent.name == "shard":
            return "bytes of a blob"
        if flipped.suffix != ".db":
            return "chunks of a xorb" if was_named or self.unpacked(flipped) != self.unpacked(pristine) else ""
        try:
            now, then = self.dump(flipped), self.values[flipped.name]
        except (sqlite3.Error, OverflowError, UnicodeError) as e:
            return f"SQLite says {e}"
        changed = [table for table in {*now, *then} if now.get(table) != then.get(table)]
        return "; ".join(f"{table}: {[(x, y) for x, y in zip(then.get(table, ()), now.get(table, ())) if x != y]}"[:3000] for table in changed)


class Place:
    """A copy of the store in which one bit at a time is flipped."""

    def __init__(self, store, folder):
        self.store, self.data = store, folder / "data"
        shutil.copytree(store.pristine, self.data)
        self.home = folder

    def flip(self, number):
        path, bit = self.store.choose(number)
        with open(self.data / path, "r+b") as f:
            f.seek(bit // 8)
            byte = f.read(1)[0]
            f.seek(bit // 8)
            f.write(bytes([byte ^ 1 << bit % 8]))
        return self.data / path, f"flip {number} of seed {SEED}: {path} bit {bit}"

    def restore(self, path):
        for left in self.data.glob("*.db-*"):
            left.unlink()
        shutil.copyfile(self.store.pristine / path.relative_to(self.data), path)

    def renew(self):
        """After a server or a repair, which may have changed anything."""
        shutil.rmtree(self.data)
        shutil.copytree(self.store.pristine, self.data)

    def fsck(self, *args):
        return subprocess.run(
            [BINARY, "fsck", "--data", self.data, *args], capture_output=True, text=True, errors="replace", timeout=20 * PATIENCE, env=plain_env(self.home)
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("flips"))


def check_one(place, number):
    """Flips, checks, restores; returns what is wrong with what fsck said."""
    path, what = place.flip(number)
    try:
        done = place.fsck()
    except subprocess.TimeoutExpired:
        return f"{what}: fsck does not end", "?"
    else:
        must = place.store.must_be_named(path, place.store.pristine / path.relative_to(place.data), done.returncode > 0)
    finally:
        place.restore(path)
    if done.returncode not in (0, 1, 2):
        return f"{what}: fsck left with {done.returncode}\n{done.stdout[-500:]}{done.stderr[-500:]}", must
    if must and (done.returncode == 0 or not re.search(r"^(damaged|repairable) ", done.stdout, re.M)):
        return f"{what}: not named: {must}", must
    return None, must


@pytest.mark.short_and_long
def test_every_promised_flip_is_named(store, tmp_path):
    workers = os.cpu_count() or 1

    def work(worker):
        folder = tmp_path / str(worker)
        folder.mkdir()
        place = Place(store, folder)
        return [check_one(place, n) for n in range(worker, FLIPS, workers)]

    with ThreadPoolExecutor(workers) as pool:
        results = [one for some in pool.map(work, range(workers)) for one in some]
    wrong = [said for said, _ in results if said]
    assert not wrong, f"{len(wrong)} of {FLIPS}\n" + "\n".join(wrong[:20])
    assert sum(bool(must) for _, must in results) > FLIPS // 5  # the promise covers something


# -- reading ------------------------------------------------------------------------------------------


class Reader:
    """Reads everything from a hub by every road; keeps what was wrong."""

    def __init__(self, hub, store, folder):
        self.hub, self.small, self.folder, self.unpack = hub, store.small, folder, store.reader["chunks"]
        self.wrong = []

    def get(self, path, user="alice", **headers):
        """The body of a 200 answer; None for everything else, a broken answer included."""
        try:
            answer = self.hub.http("GET", path, user, headers=headers, timeout=20)
        except (OSError, HTTPException):
            return None
        if answer.status in (301, 302, 307, 308):
            return self.get(answer.headers["Location"], user, **headers)
        return answer.body if answer.status in (200, 206) else None

    def expect(self, road, body, wanted):
        if body is not None and body != wanted:
            self.wrong.append(f"{road}: {len(body)} other bytes")

    def everything(self):
        for (kind, repo, rev, path), data in self.small.files.items():
            prefix = "" if kind == "model" else kind + "s/"
            url = f"/{prefix}{repo}/resolve/{rev}/{path}"
            self.expect(url, self.get(url), data)
            self.expect(url + " (range)", self.get(url, Range=f"bytes=1-{len(data) - 2}"), data[1:-1])
            if kind == "dataset":  # private
                self.expect(url + " (nobody)", self.get(url, None), b"")
        for (bucket, path), data in self.small.buckets.items():
            url = f"/buckets/{bucket}/resolve/{path}"
            self.expect(url, self.get(url), data)
        for path in ("/api/models", "/api/models/alice/m", "/api/models/alice/m/tree/main?recursive=true", "/api/models/alice/m/commits/main", "/api/whoami-v2"):
            self.get(path)
        self.lfs()
        self.xet()
        self.clone()

    def xet(self):
        """As hf_xet does: a token, a reconstruction, a fetch of chunk records, which it trusts."""
        for (kind, repo), ones in self.small.xet.items():
            for one in ones:
                try:
                    cas = Cas(self.hub, repo, "alice", "read", kind)
                    plan = cas("GET", f"/v2/reconstructions/{text(one.file)}")
                except (OSError, HTTPException, AssertionError):
                    continue
                if plan.status == 200:
                    self.expect(f"xet {repo}", self.fetch(plan.json), one.content)

    def fetch(self, plan):
        got = b""
        for term in plan["terms"]:
            (part,) = plan["xorbs"][term["hash"]]
            ends = part["ranges"][0]["bytes"]
            body = self.get(part["url"], None, Range=f"bytes={ends['start']}-{ends['end']}")
            if body is None:
                return None
            got += b"".join(self.unpack(io.BytesIO(body)))
        return got

    def lfs(self):
        for (kind, repo, _, path), data in self.small.files.items():
            prefix, oid = "" if kind == "model" else kind + "s/", hashlib.sha256(data).hexdigest()
            body = json.dumps({"operation": "download", "transfers": ["basic"], "objects": [{"oid": oid, "size": len(data)}]}).encode()
            try:
                answer = self.hub.http("POST", f"/{prefix}{repo}.git/info/lfs/objects/batch", "alice", body, {"Content-Type": small.LFS, "Accept": small.LFS})
            except (OSError, HTTPException):
                continue
            for entry in answer.json.get("objects", ()) if answer.status == 200 else ():
                if "actions" in entry:
                    action = entry["actions"]["download"]
                    self.expect(f"lfs {path}", self.get(action["href"], None, **action.get("header", {})), data)

    def clone(self):
        url = f"http://alice:{TOKENS['alice']}@127.0.0.1:{self.hub.port}/alice/m"
        into = self.folder / "clone"
        shutil.rmtree(into, ignore_errors=True)
        env = plain_env(self.folder, GIT_CONFIG_NOSYSTEM=1, GIT_TERMINAL_PROMPT=0, GIT_LFS_SKIP_SMUDGE=1)
        done = subprocess.run(["git", "clone", "-q", url, into], env=env, capture_output=True, timeout=60 * PATIENCE)
        if done.returncode:
            return
        for (_, repo, rev, path), data in self.small.files.items():
            at = into / path
            if (repo, rev) == ("alice/m", "main") and at.exists() and not path.endswith(".bin"):
                self.expect(f"git {path}", at.read_bytes(), data)


def read_one(place, folder, number):
    """Flips, starts a server, reads; returns what was wrong."""
    _, what = place.flip(number)
    hub = Hub(place.data, folder / f"log{number}.txt", env={"HEARTH_LOOPS": 1})
    try:
        hub.start()
    except (RuntimeError, OSError):
        place.renew()
        return []  # it says why and does not serve: an error
    reader = Reader(hub, place.store, folder)
    try:
        reader.everything()
        if hub.process.poll() is not None:
            reader.wrong.append(f"the server died\n{hub.log_tail(10)}")
    finally:
        if hub.process:
            hub.kill()
    place.renew()
    return [f"{what}: {wrong}" for wrong in reader.wrong]


@pytest.mark.short_and_long
def test_no_road_gives_a_wrong_byte(store, tmp_path):
    place = Place(store, tmp_path)
    whole = Hub(place.data, tmp_path / "log.txt").start()
    reader = Reader(whole, store, tmp_path)
    reader.get = functools.partial(must_get, reader.get)
    reader.everything()  # without a flip every road gives everything
    whole.kill()
    assert not reader.wrong
    place.renew()
    wrong = [one for n in range(FLIPS, FLIPS + READS) for one in read_one(place, tmp_path, n)]
    assert not wrong, "\n".join(wrong)


def must_get(get, path, user="alice", **headers):
    body = get(path, user, **headers)
    assert body is not None or user is None, path
    return body
