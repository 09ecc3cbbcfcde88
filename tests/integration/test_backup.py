"""hearth backup and hearth restore beside a running server, with real clients on both sides."""

import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.clients import Git, Python, random_bytes
from harness.server import BINARY, PATIENCE, Hub, plain_env
from test_export import put_large

SOAK = bool(os.environ.get("HEARTH_SOAK"))
LARGE = random_bytes(2_500_000, "backup")


@pytest.fixture
def restored(tmp_path):
    """restored(backup, *args): a second server on a restored data directory."""
    hubs = []

    def make(source, *args):
        folder = tmp_path / f"restored{len(hubs)}"
        folder.mkdir()
        hub = Hub(folder / "data", folder / "log.txt")
        hub.run("restore", source, *args)
        hubs.append(hub)
        return hub.start()

    yield make
    for hub in hubs:
        hub.stop()


def fact(hub, name):
    db = sqlite3.connect(f"file:{hub.data}/hearth.db?mode=ro", uri=True)
    try:
        return db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()[0]
    finally:
        db.close()


def fsck(hub):
    done = hub.run("fsck", check=False)
    assert done.returncode == 0, f"fsck: {done.returncode}\n{done.stdout}{done.stderr}"


def tree(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not {".git", ".cache"} & set(p.relative_to(folder).parts)
    }


def test_round_trip(hub, git, restored, tmp_path):
    """History, large files, tokens, settings: the restored hub is the hub at that moment."""
    hub.create("alice/m", private=True)
    hub.commit("alice/m", {"README.md": "# One\n", "sub/a.txt": "a\n"})
    put_large(hub, "alice/m", "weights.bin", LARGE)
    hub.ok("POST", "/api/models/alice/m/tag/main", body={"tag": "v1", "message": "the first"})
    (hub.data / "hearth.conf").write_text("disk_reserve = 2\n")
    there = git("ls-remote", git.remote("alice/m"))
    said = hub.run("backup", tmp_path / "backup").stdout
    assert "pieces of large files" in said, said
    hub.commit("alice/m", {"README.md": "# Later\n"})

    second = restored(tmp_path / "backup")
    fsck(second)
    assert (second.data / "hearth.conf").read_text() == "disk_reserve = 2\n"
    assert fact(second, "store_id") != fact(hub, "store_id") == fact(second, "restored_from")
    other = Git(second, tmp_path / "git", "alice")
    assert other("ls-remote", other.remote("alice/m")) == there
    clone = other.clone("alice/m")
    assert (clone / "weights.bin").read_bytes() == LARGE
    assert (clone / "README.md").read_text() == "# One\n"
    other.fsck(clone)
    assert second.http("GET", "/api/models/alice/m", "bob").status == 404
    second.commit("alice/m", {"new.txt": "life goes on\n"})
    second.stop()
    second.start()
    assert second.ok("GET", "/alice/m/resolve/main/weights.bin").status in (200, 302)


def test_incremental_json_list(hub, restored, tmp_path):
    backup = tmp_path / "backup"
    hub.create("alice/m")
    put_large(hub, "alice/m", "one.bin", LARGE)
    first = json.loads(hub.run("backup", backup, "--json").stdout)
    assert first["new_blobs"] == first["blobs"] > 0 and first["damage"] == []
    put_large(hub, "alice/m", "two.bin", random_bytes(400_000, "two"))
    second = json.loads(hub.run("backup", backup, "--json", "--verify").stdout)
    assert 0 < second["new_blobs"] < second["blobs"]
    listed = json.loads(hub.run("restore", backup, "--list", "--json").stdout)
    assert [s["name"] for s in listed] == [second["snapshot"], first["snapshot"]]
    old = restored(backup, "--snapshot", first["snapshot"])
    assert [f["path"] for f in old.ok("GET", "/api/models/alice/m/tree/main").json] == [".gitattributes", "one.bin"]
    third = json.loads(hub.run("backup", backup, "--json", "--keep", "0").stdout)
    assert third["removed_snapshots"] == 2 and third["new_blobs"] == 0
    assert [p.name for p in backup.glob("SNAPSHOT-*")] == [third["snapshot"]]


def test_damage_is_named(hub, tmp_path):
    """Exit code 2: the damaged file is named, the others are saved."""
    hub.create("alice/m")
    put_large(hub, "alice/m", "hurt.bin", LARGE)
    body = next(p for p in (hub.data / "blob" / "xorb").rglob("*") if p.is_file() and p.suffix != ".idx")
    with open(body, "r+b") as f:
        f.seek(70_000)
        byte = f.read(1)[0]
        f.seek(70_000)
        f.write(bytes([byte ^ 16]))
    put_large(hub, "alice/m", "fine.bin", random_bytes(300_000, "fine"))
    done = hub.run("backup", tmp_path / "backup", check=False)
    assert done.returncode == 2 and "models/alice/m: hurt.bin" in done.stderr, done.stderr
    assert "fine.bin" not in done.stderr
    done = hub.run("backup", tmp_path / "backup", "--json", check=False)
    said = json.loads(done.stdout)
    assert done.returncode == 2 and said["damage"][0]["files"] == ["models/alice/m: hurt.bin"], said


def test_wrong_usage(hub, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for args in (["backup"], ["backup", tmp_path / "mine"], ["backup", tmp_path / "b", "--keep", "x"], ["restore", tmp_path / "mine"]):
        done = hub.run(*args, check=False)
        assert done.returncode == 1 and done.stderr.startswith("hearth: "), done.stderr
    assert hub.run("backup", "--help").stdout.startswith("hearth backup")
    hub.run("backup", tmp_path / "b")
    assert "is in use" in hub.run("restore", tmp_path / "b", check=False).stderr  # the live directory


def spawn(hub, *args):
    return subprocess.Popen(
        [BINARY, *args, "--data", hub.data],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=plain_env(hub.data.parent),
    )


def test_killed_at_any_time(hub, restored, tmp_path):
    """kill -9 and SIGTERM in the middle: the earlier backup is good, the next one completes."""
    backup, draw = tmp_path / "backup", random.Random(7)
    hub.create("alice/m")
    put_large(hub, "alice/m", "first.bin", LARGE)
    first = json.loads(hub.run("backup", backup, "--json").stdout)
    for n in range(12):
        put_large(hub, "alice/m", f"more-{n}.bin", random_bytes(6_000_000, n))
        process = spawn(hub, "backup", backup, "--keep", "100")
        time.sleep(draw.uniform(0.005, 0.12))
        process.send_signal(signal.SIGTERM if n % 3 == 0 else signal.SIGKILL)
        process.communicate()
    names = [s["name"] for s in json.loads(hub.run("restore", backup, "--list", "--json").stdout)]
    assert names[-1] == first["snapshot"]
    last = json.loads(hub.run("backup", backup, "--json", "--verify", "--keep", "100").stdout)
    assert last["damaged"] == 0
    assert len(list(backup.glob("SNAPSHOT-*"))) == len(names) + 1
    second = restored(backup)
    fsck(second)
    for name in names:
        restored(backup, "--snapshot", name)


# --- everything at once ---


def parts(count, size):
    return [random_bytes(size, f"part {n}") for n in range(count)]


def make_folder(root, n, shared, own_size):
    """A folder whose large files share their pieces with those of other people."""
    root.mkdir(parents=True)
    (root / f"notes-{n}.txt").write_text(f"of {n}\n" * 50)
    own = random_bytes(own_size, f"own {n}")
    (root / f"model-{n}.safetensors").write_bytes(shared[n % len(shared)] + own + shared[(n + 1) % len(shared)])
    (root / f"same-{n % 4}.bin").write_bytes(shared[n % 4] * 2)
    return root


class Background:
    """Runs commands again and again until the block ends; each must end with 0."""

    def __init__(self, *jobs):
        self.done, self.failed, self.rounds = threading.Event(), [], [0] * len(jobs)
        self.threads = [threading.Thread(target=self._loop, args=(n, job)) for n, job in enumerate(jobs)]

    def _loop(self, n, job):
        while not self.done.is_set() and not self.failed:
            try:
                job()
                self.rounds[n] += 1
            except Exception as e:  # noqa: BLE001 - reported by the test
                self.failed.append(e)
            self.done.wait(0.2)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.short_and_long
@pytest.mark.parametrize("mode,people", [("lfs", 12), ("xet", 32)])
def test_uploads_while_everything_runs(hub, restored, tmp_path, mode, people):
    """People upload overlapping data while gc, scrub and backup run: nothing is lost anywhere.

    Here gc packs small xorbs at once, not only those of yesterday.
    """
    repos = 4
    shared = parts(6, (16 << 20) if SOAK else 500_000)
    env = {"HF_HUB_DISABLE_XET": 0 if mode == "xet" else 1}
    folders = [make_folder(tmp_path / f"folder{n}", n, shared, len(shared[0]) // 2) for n in range(people)]
    for n in range(repos):
        hub.create(f"alice/r{n}")
    clients = [Python(hub, tmp_path / f"home{n}") for n in range(people)]

    def upload(n):
        clients[n].hf("upload", f"alice/r{n % repos}", folders[n], ".", "--quiet", timeout=300, **env)

    backup = tmp_path / "backup"
    with Background(
        lambda: hub.run("gc", "--wait-ms", "0"),
        lambda: hub.run("scrub"),
        lambda: hub.run("backup", backup, "--keep", "2"),
    ) as background, ThreadPoolExecutor(people) as pool:
        list(pool.map(upload, range(people)))
    assert not background.failed, background.failed[0]
    assert all(background.rounds), background.rounds
    sent = "/shards path=" in hub.log.read_text()
    assert sent == (mode == "xet")
    hub.run("gc", "--wait-ms", "0")
    hub.run("backup", backup, "--verify")
    second = restored(backup)
    for where in (hub, second):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda n: check_repo(where, tmp_path, folders[n::repos], n, env), range(repos)))
    fsck(second)
    fsck(hub)


def check_repo(where, tmp_path, folders, n, env):
    """A fresh client downloads the repository; what is there is what all of its people sent."""
    client = Python(where, tmp_path / f"down-{where.port}-{n}")
    target = client.home / "files"
    client.hf("download", f"alice/r{n}", "--local-dir", target, timeout=300 * PATIENCE, **env)
    wanted = {name: sum for folder in folders for name, sum in tree(folder).items()}
    found = tree(target)
    found.pop(".gitattributes", None)
    assert found == wanted
