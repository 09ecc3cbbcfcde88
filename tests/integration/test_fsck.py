"""`hearth fsck` as an operator sees it: beside a working hub, after damage, with --repair, for programs."""

import json
import subprocess
import threading
from unittest.mock import ANY

from harness import small
from harness.server import BINARY, plain_env


def fsck(hub, *args):
    done = hub.run("fsck", *args, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def bodies(hub):
    return sorted(p for p in (hub.data / "blob" / "xorb").rglob("*") if p.is_file() and p.suffix != ".idx")


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 16
    path.write_bytes(data)


def test_nothing_is_found_beside_a_busy_hub(hub):
    """Commits, uploads and deletions go on while it looks; none of it is taken for damage."""
    made = small.build(hub)
    hub.create("alice/busy")
    done = threading.Event()

    def work():
        n = 0
        while not done.is_set():
            n += 1
            small.commit(hub, made, "model", "alice/busy", {f"{n % 7}.txt": str(n)}, {f"{n % 3}.bin": small.content(30_000 + n, n)})
            if n % 5 == 0:
                hub.create(f"alice/busy{n}")
                hub.ok("DELETE", "/api/repos/delete", body={"name": f"busy{n}", "organization": "alice", "type": "model"})

    worker = threading.Thread(target=work)
    worker.start()
    try:
        said = [fsck(hub, *args) for args in ((), ("--contents",), ("--fast",)) * 3]
    finally:
        done.set()
        worker.join()
    assert [out for code, out in said if code] == []
    assert fsck(hub)[0] == 0


def test_damage_is_named_marked_and_repaired_by_an_upload(hub):
    small.build(hub)
    hub.create("alice/one")
    data = small.content(90_000, 77)
    before = bodies(hub)
    made = small.Small()
    small.commit(hub, made, "model", "alice/one", {}, {"w.bin": data})
    (body,) = set(bodies(hub)) - set(before)
    hub.stop()
    flip(body, 5000)
    code, out = fsck(hub)
    assert code == 2 and f"damaged xorb {body.name}" in out and "  touches models/alice/one main w.bin\n" in out
    code, out = fsck(hub, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 2 and lines[0]["state"] == "damaged" and lines[0]["what"] == "xorb" and lines[-1]["damaged"] == 1
    assert {"touches": {"repo": "models/alice/one", "revision": "main", "path": "w.bin"}} in lines
    assert body.exists()  # nothing changes without --repair
    assert fsck(hub, "--repair")[0] == 2 and not body.exists()
    hub.start()
    answer = hub.http("GET", "/alice/one/resolve/main/w.bin", "alice")
    assert answer.status == 500 and answer.headers["X-Error-Code"] == "DataCorrupt"
    small.put_large(hub, "model", "alice/one", data)
    assert hub.ok("GET", "/alice/one/resolve/main/w.bin").body == data
    assert fsck(hub)[0] == 0


def test_what_can_be_made_anew_is(hub):
    small.build(hub)
    hub.stop()
    for sidecar in (hub.data / "blob").rglob("*.idx"):
        sidecar.unlink()
    code, out = fsck(hub)
    assert code == 1 and out.count("repairable xorb index") == len(bodies(hub))
    code, out = fsck(hub, "--repair", "--quiet")
    assert code == 1 and out.count("repaired xorb index") == len(bodies(hub))
    assert fsck(hub, "--contents") == (0, ANY)


def test_what_is_no_store(hub, tmp_path):
    def run(*args):
        done = subprocess.run([BINARY, "fsck", *args], capture_output=True, text=True, env=plain_env(tmp_path))
        return done.returncode, done.stdout, done.stderr

    assert run("--data", tmp_path)[0] == 64 and not (tmp_path / "hearth.db").exists()
    assert run("--nonsense")[0] == 64 and run("--help")[0] == 0
    hub.stop()
    with open(hub.data / "git.db", "r+b") as f:
        f.write(b"no database at all")
    code, out, _ = run("--data", hub.data)
    assert code == 2 and out.startswith("damaged store ")
