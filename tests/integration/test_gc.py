"""hearth gc and hearth scrub: what goes, what stays, beside a running server and without one."""

import hashlib
import json
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.clients import random_bytes
from harness.server import PATIENCE

DAY = 86400_000
# Nothing is waited for, no promise holds: only for a hub on which nobody works.
AT_ONCE = ("--grace-ms", "0", "--wait-ms", "0", "--orphan-ms", "0", "--lease-cut-ms", str(40 * DAY))
# Beside uploads: what is being taken in stays, everything else goes and is packed at once.
BESIDE = ("--grace-ms", "600000", "--wait-ms", "0", "--lease-cut-ms", str(40 * DAY))


def put_large(hub, repo, path, content, patient=False):
    """One LFS file through the API, then its commit."""
    digest = hashlib.sha256(content).hexdigest()
    thing = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": digest, "size": len(content)}]}
    for _ in range(20 if patient else 1):
        (entry,) = hub.ok("POST", f"/{repo}.git/info/lfs/objects/batch", body=thing).json["objects"]
        if "actions" not in entry:
            break
        action = entry["actions"]["upload"]
        sent = hub.http("PUT", action["href"], body=content, headers=action.get("header"))
        assert sent.status in (200, 201, 204) or (patient and sent.status == 503), sent
        if sent.status != 503:
            break
    value = f'"path":"{path}","algo":"sha256","oid":"{digest}","size":{len(content)}'
    body = f'{{"key":"header","value":{{"summary":"add {path}"}}}}\n{{"key":"lfsFile","value":{{{value}}}}}\n'
    headers = {"Content-Type": "application/x-ndjson"}
    hub.ok("POST", f"/api/models/{repo}/commit/main", body=body.encode(), headers=headers)


def get(hub, repo, path):
    answer = hub.http("GET", f"/{repo}/resolve/main/{path}", "alice")
    if answer.status == 302:
        answer = hub.http("GET", answer.headers["Location"], "alice")
    assert answer.status == 200, answer
    return answer.body


def gc(hub, *args):
    return json.loads(hub.run("gc", "--json", *args).stdout)


def rows(hub, sql, name="hearth.db"):
    with sqlite3.connect(hub.data / name, timeout=30) as db:
        found = db.execute(sql).fetchall()
    db.close()
    return found


def change(hub, sql, name="hearth.db"):
    db = sqlite3.connect(hub.data / name, timeout=30)
    with db:
        db.execute("PRAGMA synchronous = FULL")
        db.execute(sql)
    db.close()


def wait_until_cleared(hub):
    """The rows of deleted repositories go in the background."""
    for _ in range(int(100 * PATIENCE)):
        if not rows(hub, "SELECT 1 FROM repo WHERE state <> 'live'"):
            return
        time.sleep(0.2)
    raise AssertionError("a deleted repository was not cleared")


def check_fsck(hub):
    assert hub.run("fsck").returncode == 0


@pytest.fixture
def stories(hub):
    """alice/kept, alice/gone and what is in alice/kept; the first 2 MiB of all are the same."""
    shared = random_bytes(2 << 20, "gc shared")
    files = {f"f{i}.bin": shared + random_bytes(300_000 + 1000 * i, f"gc {i}") for i in range(6)}
    hub.create("alice/kept")
    hub.create("alice/gone")
    for path, content in files.items():
        put_large(hub, "alice/kept", path, content)
    put_large(hub, "alice/gone", "only.bin", shared + random_bytes(5_000_000, "gc gone"))
    put_large(hub, "alice/gone", "f0.bin", files["f0.bin"])
    return files


def test_what_nobody_has_goes_and_the_rest_stays(hub, stories):
    """A deleted repository and squashed history give their space back; nothing else is touched."""
    put_large(hub, "alice/kept", "old.bin", random_bytes(4_000_000, "gc old"))
    hub.commit("alice/kept", {"old.bin": None})
    hub.ok("POST", "/api/models/alice/kept/super-squash/main", body={})
    hub.ok("DELETE", "/api/repos/delete", body={"name": "gone", "organization": "alice", "type": "model"})
    wait_until_cleared(hub)
    before = hub.stored_bytes()

    quiet = gc(hub)
    assert quiet["files"] == quiet["xorbs"] == quiet["repo_files"] == 0, "clients were promised four weeks"
    assert hub.stored_bytes() == before
    dry = gc(hub, "--dry-run", *AT_ONCE)
    assert dry["repo_files"] == 1
    assert hub.stored_bytes() == before

    done = gc(hub, *AT_ONCE)
    assert done["repo_files"] == 1
    assert done["files"] == 2
    assert done["xorbs"] >= 2
    freed = before - hub.stored_bytes()
    assert freed > 8_000_000, f"{freed} bytes came free: {done}"
    for path, content in stories.items():
        assert get(hub, "alice/kept", path) == content
    check_fsck(hub)
    again = gc(hub, *AT_ONCE)
    assert again["files"] == again["repo_files"] == 0
    assert "hearth_gc_last_timestamp_seconds 1" in hub.http("GET", "/metrics").text


def test_small_xorbs_are_packed_and_found_again(hub, stories):
    count = "SELECT count(*) FROM xorb WHERE state = 'live'"
    (before,) = rows(hub, count)[0]
    done = gc(hub, *AT_ONCE)
    assert done["compacted_xorbs"] >= 5 and done["compacted_into"] >= 1
    (after,) = rows(hub, count)[0]
    assert after < before
    for path, content in stories.items():
        assert get(hub, "alice/kept", path) == content
    stored = hub.stored_bytes()
    put_large(hub, "alice/kept", "again.bin", stories["f3.bin"] + b"tail")
    assert hub.stored_bytes() - stored < 200_000, "the packed xorb was not found"
    check_fsck(hub)


def test_without_a_server(hub, stories):
    """The command takes the lock and does the work; a server does not start meanwhile."""
    hub.ok("DELETE", "/api/repos/delete", body={"name": "gone", "organization": "alice", "type": "model"})
    wait_until_cleared(hub)
    hub.stop()
    before = hub.stored_bytes()
    done = hub.run("gc", *AT_ONCE)
    assert "xorbs removed" in done.stdout
    assert before - hub.stored_bytes() > 4_000_000
    assert hub.run("scrub").stdout.startswith(str(rows(hub, "SELECT count(*) FROM xorb")[0][0]))
    check_fsck(hub)
    hub.start()
    for path, content in stories.items():
        assert get(hub, "alice/kept", path) == content


def test_objects_that_no_ref_reaches(hub, git):
    """Branches that went, after two weeks; clones stay whole, and so do pushes on old commits."""
    hub.create("alice/m")
    first = hub.commit("alice/m", {"a.txt": "one"})
    hub.ok("POST", "/api/models/alice/m/branch/side", body={})
    lost = hub.commit("alice/m", {f"d/{i}.txt": f"side {i}" for i in range(50)}, rev="side")
    hub.ok("DELETE", "/api/models/alice/m/branch/side", body={})
    count = "SELECT count(*) FROM object"
    (before,) = rows(hub, count, "git.db")[0]
    assert gc(hub)["git_objects"] == 0, "seen a moment ago"
    change(hub, "UPDATE object SET seen_at = 1000", "git.db")
    change(hub, "UPDATE gc_mark SET due_at = 0")

    hub.ok("POST", "/api/models/alice/m/branch/back", body={"startingPoint": lost})  # by its id
    assert gc(hub)["git_objects"] == 0
    assert hub.http("GET", "/alice/m/resolve/back/d/7.txt", "alice").text == "side 7"
    hub.ok("DELETE", "/api/models/alice/m/branch/back", body={})
    change(hub, "UPDATE object SET seen_at = 1000", "git.db")
    change(hub, "UPDATE gc_mark SET due_at = 0")
    done = gc(hub)
    assert done["git_objects"] == 53  # a commit, two trees, fifty blobs
    assert rows(hub, count, "git.db")[0][0] == before - 53
    answer = hub.http("POST", "/api/models/alice/m/branch/back", "alice", {"startingPoint": lost})
    assert answer.status == 404
    folder = git.clone("alice/m")
    git("fsck", "--strict", cwd=folder)
    assert first in git("log", "--format=%H", cwd=folder)
    check_fsck(hub)


def test_beside_uploads(hub):
    """Eight people upload overlapping data, commit and delete while gc and scrub run all the time."""
    shared = [random_bytes(700_000, f"beside {i}") for i in range(6)]
    stop, results, failures = threading.Event(), [], []

    def collect():
        while not stop.is_set():
            try:
                results.append(gc(hub, *BESIDE))
                hub.run("scrub")
            except AssertionError as e:
                failures.append(e)

    def work(n):
        repo, have = f"alice/w{n}", {}
        hub.create(repo)
        for i in range(8):
            content = b"".join(shared[(n + i + k) % 6] for k in range(3)) + random_bytes(200_000, f"{n} {i}")
            put_large(hub, repo, f"{i}.bin", content, patient=True)
            have[f"{i}.bin"] = content
            if i % 3 == 2:
                hub.commit(repo, {f"{i - 1}.bin": None, "note.txt": f"{n} {i}"})
                del have[f"{i - 1}.bin"]
            if i % 4 == 3:
                hub.ok("POST", f"/api/models/{repo}/super-squash/main", body={})
            for path, expected in list(have.items())[-2:]:
                assert get(hub, repo, path) == expected
        return repo, have

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(work, range(8)))
    finally:
        stop.set()
        collector.join()
    assert not failures, failures[0]
    results.append(gc(hub, *AT_ONCE))
    results.append(gc(hub, *AT_ONCE))
    for repo, have in done:
        for path, content in have.items():
            assert get(hub, repo, path) == content
    assert sum(r["compacted_xorbs"] for r in results) > 0
    assert sum(r["xorbs"] for r in results) > 0
    check_fsck(hub)


def test_killed_in_the_middle(hub, stories):
    """kill -9 at any time: the next run goes on, everything is readable."""
    hub.ok("DELETE", "/api/repos/delete", body={"name": "gone", "organization": "alice", "type": "model"})
    wait_until_cleared(hub)
    for pause in (0.0, 0.01, 0.03, 0.06, 0.1):
        asker = threading.Thread(target=hub.run, args=("gc", *AT_ONCE), kwargs={"check": False})
        asker.start()
        time.sleep(1 + pause)
        hub.kill()
        hub.start()
        asker.join()
        for path, content in stories.items():
            assert get(hub, "alice/kept", path) == content
    gc(hub, *AT_ONCE)
    check_fsck(hub)


def test_scrub_finds_damage_and_an_upload_repairs_it(hub, stories):
    def flip(path):
        with open(path, "r+b") as f:
            f.seek(path.stat().st_size // 2)
            byte = f.read(1)
            f.seek(-1, 1)
            f.write(bytes([byte[0] ^ 1]))

    assert hub.run("scrub").returncode == 0
    assert "hearth_xorbs_damaged 0" in hub.http("GET", "/metrics").text
    bodies = [p for p in (hub.data / "blob" / "xorb").rglob("*") if p.is_file() and p.suffix != ".idx"]
    largest = max(bodies, key=lambda p: p.stat().st_size)
    flip(largest)
    found = hub.run("scrub", "--json", "--rate", "100000000", check=False)
    assert found.returncode == 1
    assert json.loads(found.stdout)["damaged"] == 1
    text = hub.http("GET", "/metrics").text
    assert "hearth_xorbs_damaged 1" in text
    oldest = int(text.split("\nhearth_scrub_oldest_timestamp_seconds ")[1].split()[0])
    assert abs(oldest - time.time()) < 600
    hub.create("alice/repair")
    put_large(hub, "alice/repair", "only.bin", random_bytes(2 << 20, "gc shared") + random_bytes(5_000_000, "gc gone"))
    for path, content in stories.items():
        put_large(hub, "alice/kept", path, content)
        assert get(hub, "alice/kept", path) == content
    assert hub.run("scrub").returncode == 0


def test_words_and_exit_codes(hub):
    assert hub.run("gc", "--frobnicate", check=False).returncode == 2
    assert hub.run("gc", "--grace-ms", "soon", check=False).returncode == 2
    assert hub.run("scrub", "--rate", "0", check=False).returncode == 2
    assert "--dry-run" in hub.run("gc", "--help").stdout
    assert "could go now" in hub.run("gc", "--dry-run").stdout
