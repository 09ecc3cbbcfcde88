"""The Xet protocol with the clients that speak it: only what changed travels, all roads lead to the same bytes."""

import contextlib
import hashlib
import json
import mmap
import re
import shutil
import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest
from harness import cdc
from harness.clients import LIBRARIES, NEWEST, Python, finished, random_bytes
from harness.server import BUILD, SOAK, plain_env
from harness.tap import Tap

HARNESS = Path(__file__).resolve().parents[1] / "harness"
MIB = 1 << 20
SIZE = (2 << 30) if SOAK else (256 << 20)


def weights(path, size, seed):
    """A file as safetensors makes them: a header, numbers that compress a little, and some that do not."""
    tensors = {"a": {"dtype": "F32", "shape": [size // 16], "data_offsets": [0, size // 4]}}
    header = json.dumps(tensors).encode()
    numbers = np.random.default_rng(seed)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header)
        for piece in range(size // (16 * MIB)):
            if piece % 4 == 0:
                f.write(numbers.standard_normal(4 * MIB, np.float32).tobytes())
            else:
                f.write(numbers.bytes(16 * MIB))
    return path


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(4 * MIB):
            digest.update(piece)
    return digest.hexdigest()


def upload(api, path, repo, name):
    """A story."""
    api.upload_file(path_or_fileobj=path, path_in_repo=name, repo_id=repo)


def download(api, repo, name, folder):
    """A story: the file's SHA-256 after a download that finds no cache."""
    from huggingface_hub import hf_hub_download

    path, digest = hf_hub_download(repo, name, local_dir=folder, force_download=True), hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(4 << 20):
            digest.update(piece)
    os.unlink(path)
    return digest.hexdigest()


@contextlib.contextmanager
def mapped(path):
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


class Line:
    """Counts what clients send to the server: `with Line(hub) as line: …; line.bytes`."""

    def __init__(self, hub):
        self.hub = hub

    def _received(self):
        text = self.hub.ok("GET", "/metrics", None).text
        return float(re.search(r"^hearth_http_received_bytes_total (\S+)", text, re.M)[1])

    def __enter__(self):
        self.before = self._received()
        return self

    def __exit__(self, *_):
        self.bytes = self._received() - self.before


def routes_called(hub):
    return set(re.findall(r' m=(\w+) route="?(/\S*?)"? path', hub.log.read_text()))


@pytest.fixture
def fresh(hub, tmp_path):
    """fresh(): a client that remembers nothing. Its environment may be given."""
    count = iter(range(1000))
    return lambda name=NEWEST, **env: Python(hub, tmp_path / f"client{next(count)}", name, **env)


# -- only what changed travels --------------------------------------------------------------------------------


@pytest.mark.short_and_long
def test_only_what_changed_travels(hub, fresh, tmp_path):
    """Up and down, again, again without the client's memory, into another repository, with an insertion."""
    path, longer, first = tmp_path / "a.safetensors", tmp_path / "b.safetensors", fresh()
    weights(path, SIZE, 1)
    digest, size = sha256_of(path), path.stat().st_size
    for repo in ("alice/m", "alice/other"):
        hub.create(repo)

    with Line(hub) as line:
        first.run(upload, path, "alice/m", "a.safetensors", timeout=3600)
    assert line.bytes < size * 1.02
    called = routes_called(hub)
    assert ("POST", "/xet/{store}/v1/xorbs/{space}/{hash}") in called
    assert not any("/info/lfs/" in route for _, route in called)
    assert fresh().run(download, "alice/m", "a.safetensors", tmp_path / "there", timeout=3600) == digest
    called = routes_called(hub)
    assert ("GET", "/xet/{store}/fetch/{hash}") in called
    assert not any(method == "GET" and route.endswith("/resolve/{rev}/{path*}") for method, route in called)

    for client, repo, name in (
        (first, "alice/m", "again.safetensors"),  # what it sent an hour ago it knows
        (fresh(), "alice/m", "once-more.safetensors"),  # what it never sent, the server knows
        (fresh(), "alice/other", "a.safetensors"),
    ):
        with Line(hub) as line:
            client.run(upload, path, repo, name, timeout=3600)
        assert line.bytes < size / 1000, f"{name} in {repo} cost {line.bytes} bytes"
    assert fresh().run(download, "alice/other", "a.safetensors", tmp_path / "there", timeout=3600) == digest

    with open(path, "rb") as old, open(longer, "wb") as new:
        new.write(old.read(100 * MIB) + np.random.default_rng(2).bytes(MIB))
        shutil.copyfileobj(old, new, 16 * MIB)
    with mapped(path) as old, mapped(longer) as new:
        changed, digest = cdc.new_bytes(old, new), sha256_of(longer)
    assert MIB < changed < 2 * MIB
    with Line(hub) as line:
        first.run(upload, longer, "alice/m", "longer.safetensors", timeout=3600)
    assert line.bytes <= changed * 1.02, f"{line.bytes} bytes for {changed} changed ones"
    assert fresh().run(download, "alice/m", "longer.safetensors", tmp_path / "there", timeout=3600) == digest


# -- all roads lead to the same bytes -------------------------------------------------------------------------


def by_hf_xet(hub, fresh, git, node, path, name):
    fresh().run(upload, path, "alice/m", name)


def by_hf_lfs(hub, fresh, git, node, path, name):
    fresh(HF_HUB_DISABLE_XET=1).run(upload, path, "alice/m", name)


def by_git_lfs(hub, fresh, git, node, path, name):
    clone = git.clone("alice/m", GIT_LFS_SKIP_SMUDGE=1)
    (clone / name).write_bytes(path.read_bytes())
    git("add", name, cwd=clone)
    git("commit", "-qm", name, cwd=clone)
    git("push", "-q", cwd=clone)


def by_js_xet(hub, fresh, git, node, path, name):
    called = node("xet", "up", path, "alice/m", name, "true")["called"]
    assert any("/xorbs/" in address for address in called), called


def by_js_lfs(hub, fresh, git, node, path, name):
    called = node("xet", "up", path, "alice/m", name, "false")["called"]
    assert not any("/xet/" in address for address in called), called


def by_git_xet(hub, fresh, git, node, path, name):
    """git-lfs with a transfer agent named xet, as git-xet installs one."""
    clone = git.clone("alice/m", GIT_LFS_SKIP_SMUDGE=1)
    agent, python = HARNESS / "xet_agent.py", BUILD / LIBRARIES["0.36"] / "bin" / "python"
    for key, value in (("path", python), ("args", agent), ("concurrent", "false"), ("direction", "upload")):
        git("config", f"lfs.customtransfer.xet.{key}", value, cwd=clone)
    (clone / name).write_bytes(path.read_bytes())
    git("add", name, cwd=clone)
    git("commit", "-qm", name, cwd=clone)
    git("push", "-q", cwd=clone, HF_HOME=path.parent / "agent")
    called = {route for _, route in routes_called(hub)}
    assert "/xet/{store}/v1/xorbs/{space}/{hash}" in called
    assert not any(route.endswith("/objects/{oid}") or route.endswith("/lfs/verify") for route in called), called


@pytest.mark.parametrize("road", [by_hf_xet, by_hf_lfs, by_git_lfs, by_git_xet, by_js_xet, by_js_lfs])
def test_all_roads_agree(hub, fresh, git, node, tmp_path, road):
    """Put in by each, taken out by all: hf_xet, hf without, git-lfs, curl, JavaScript with and without."""
    hub.create("alice/m")
    path = tmp_path / "data.bin"
    content = random_bytes(9 * MIB, road.__name__) + bytes(3 * MIB) + b"a line of text\n" * 200_000
    path.write_bytes(content)
    digest, third = hashlib.sha256(content).hexdigest(), len(content) // 3

    road(hub, fresh, git, node, path, "data.bin")
    (entry,) = [e for e in hub.ok("GET", "/api/models/alice/m/tree/main").json if e["path"] == "data.bin"]
    assert entry["lfs"]["oid"] == digest and re.fullmatch("[0-9a-f]{64}", entry["xetHash"])

    assert fresh().run(download, "alice/m", "data.bin", tmp_path / "xet") == digest
    assert ("GET", "/xet/{store}/fetch/{hash}") in routes_called(hub)
    assert fresh(HF_HUB_DISABLE_XET=1).run(download, "alice/m", "data.bin", tmp_path / "http") == digest
    clone = git.clone("alice/m")
    assert sha256_of(clone / "data.bin") == digest
    url = f"{hub.url}/alice/m/resolve/main/data.bin"
    env = plain_env(tmp_path)
    finished(["curl", "-sSfL", "-o", tmp_path / "curl", url], env)
    assert sha256_of(tmp_path / "curl") == digest
    finished(["curl", "-sSfL", "-r", f"{third}-{third + 99_999}", "-o", tmp_path / "curl", url], env)
    assert (tmp_path / "curl").read_bytes() == content[third : third + 100_000]
    for xet in ("true", "false"):
        got = node("xet", "down", "alice/m", "data.bin", xet)
        assert (got["size"], got["all"]) == (len(content), digest)
        assert got["middle"] == hashlib.sha256(content[third : third + 100_000]).hexdigest()
        assert any("/reconstructions/" in address for address in got["called"]) == (xet == "true")


def test_a_folder_as_pull_request(hub, fresh, tmp_path, folder, fingerprint):
    """A stranger proposes large files through Xet; main does not change, the owner downloads the proposal."""
    hub.create("alice/m")
    (folder / "more.bin").write_bytes(random_bytes(5 * MIB, "proposal"))

    def propose(api, folder):
        return api.upload_folder(repo_id="alice/m", folder_path=folder, create_pr=True).pr_num

    def fetch(api, folder):
        from huggingface_hub import snapshot_download

        snapshot_download("alice/m", revision="refs/pr/1", local_dir=folder)

    assert fresh().run(propose, folder, user="bob") == 1
    assert ("POST", "/xet/{store}/v1/xorbs/{space}/{hash}") in routes_called(hub)
    assert [f["path"] for f in hub.ok("GET", "/api/models/alice/m/tree/main").json] == [".gitattributes"]
    fresh().run(fetch, tmp_path / "there")
    there = fingerprint(tmp_path / "there")
    assert {k: v for k, v in there.items() if k != ".gitattributes"} == fingerprint(folder)


@pytest.mark.since("1.0")
@pytest.mark.until("2.0")
def test_a_large_folder(hub, client, tmp_path):
    """upload_large_folder: many files, small and large, in commits of its own choosing."""
    hub.create("alice/m")
    root = tmp_path / "many"
    root.mkdir()
    for n in range(12):
        (root / f"part-{n}.bin").write_bytes(random_bytes(400_000 + n, f"part {n}"))
        (root / f"note-{n}.txt").write_text(f"note {n}")

    def story(api, folder):
        api.upload_large_folder(repo_id="alice/m", folder_path=folder, repo_type="model", print_report=False)

    client.run(story, root)
    tree = hub.ok("GET", "/api/models/alice/m/tree/main?recursive=true").json
    assert {f["path"] for f in tree} - {".gitattributes"} == {p.name for p in root.iterdir() if p.is_file()}
    for f in tree:
        if f["path"].startswith("part-"):
            assert f["lfs"]["oid"] == sha256_of(root / f["path"])


def test_bytes_in_memory(hub, client):
    """upload of bytes goes by Xet, of a file object by LFS: both arrive."""
    hub.create("alice/m")

    def story(api):
        content = os.urandom(700_000)
        api.upload_file(path_or_fileobj=content, path_in_repo="bytes.bin", repo_id="alice/m")
        api.upload_file(path_or_fileobj=io.BytesIO(content[::-1]), path_in_repo="object.bin", repo_id="alice/m")
        return [sha256(content), sha256(content[::-1])]

    sums = client.run(story)
    tree = {f["path"]: f for f in hub.ok("GET", "/api/models/alice/m/tree/main").json}
    assert [tree["bytes.bin"]["lfs"]["oid"], tree["object.bin"]["lfs"]["oid"]] == sums


def test_a_file_is_counted_once(hub, fresh, tmp_path):
    """A download through Xet counts like others: one for the file, however many pieces it came in."""
    hub.create("alice/m")
    (tmp_path / "a.gguf").write_bytes(random_bytes(6 * MIB, "counted"))
    fresh().run(upload, tmp_path / "a.gguf", "alice/m", "a.gguf")

    def story(api):
        from huggingface_hub import snapshot_download

        snapshot_download("alice/m", allow_patterns="*.gguf", local_dir="there")

    fresh(HF_XET_RECONSTRUCTION_MIN_RECONSTRUCTION_FETCH_SIZE="1mb").run(story)
    hub.stop()
    with sqlite3.connect(hub.data / "stats.db") as db:
        got = db.execute("SELECT sum(requests), sum(downloads) FROM file_day WHERE path = ?", (b"a.gguf",)).fetchone()
    assert got == (1, 1)


# -- every dialect --------------------------------------------------------------------------------------------

DIALECTS = {
    "reconstruction v1": ({"HF_XET_CLIENT_RECONSTRUCTION_API_VERSION": 1}, "/xet/{store}/v1/reconstructions/{file}"),
    "shard v1": ({"HF_XET_CLIENT_SHARD_API_VERSION": 1}, "/xet/{store}/v1/shards"),
    "several ranges": ({"HF_XET_CLIENT_ENABLE_MULTIRANGE_FETCHING": 1}, "/xet/{store}/v2/reconstructions/{file}"),
    "small blocks": ({"HF_XET_RECONSTRUCTION_MIN_RECONSTRUCTION_FETCH_SIZE": "1mb"}, "/xet/{store}/fetch/{hash}"),
    "small xorbs": ({"HF_XET_XORB_SIMULATION_MAX_BYTES": 1_000_000}, "/xet/{store}/fetch/{hash}"),
    "in a hurry": ({"HF_XET_HIGH_PERFORMANCE": 1}, "/xet/{store}/v2/shards"),
    "stored": ({"HF_XET_XORB_COMPRESSION_POLICY": "none"}, "/xet/{store}/fetch/{hash}"),
    "lz4": ({"HF_XET_XORB_COMPRESSION_POLICY": "lz4"}, "/xet/{store}/fetch/{hash}"),
    "bg4-lz4": ({"HF_XET_XORB_COMPRESSION_POLICY": "bg4-lz4"}, "/xet/{store}/fetch/{hash}"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(hub, fresh, git, tmp_path, dialect):
    """A file and one that is put together of its pieces in another order, so that xorbs are used in parts."""
    env, route = DIALECTS[dialect]
    hub.create("alice/m")
    numbers = np.random.default_rng(3).standard_normal(2 * MIB, np.float32).tobytes()
    whole = numbers + random_bytes(8 * MIB, "dialect")
    pieces = [whole[i : i + 2 * MIB] for i in range(0, len(whole), 2 * MIB)]
    mixed = b"".join(pieces[i] for i in (5, 0, 7, 2, 2, 6, 1)) + b"the end"
    (tmp_path / "whole.bin").write_bytes(whole)
    (tmp_path / "mixed.bin").write_bytes(mixed)
    client = fresh(**env)
    for name in ("whole.bin", "mixed.bin"):
        client.run(upload, tmp_path / name, "alice/m", name)
    for name, content in (("whole.bin", whole), ("mixed.bin", mixed)):
        digest = hashlib.sha256(content).hexdigest()
        assert fresh(**env).run(download, "alice/m", name, tmp_path / "there") == digest
        assert hashlib.sha256(hub.http("GET", f"/alice/m/resolve/main/{name}").body).hexdigest() == digest
    assert route in {r for _, r in routes_called(hub)}


def test_an_interrupted_upload_is_sent_again(hub, fresh, tmp_path):
    """The line breaks in the middle of a xorb: the client repeats it and the file is whole."""
    hub.create("alice/m")
    (tmp_path / "a.bin").write_bytes(random_bytes(20 * MIB, "interrupted"))
    tap, cuts = Tap(hub), []

    def cut(request, sent):
        if "/xorbs/" in request.target and sent > 2 * MIB and len(cuts) < 2 and request not in cuts:
            cuts.append(request)
            return True
        return False

    tap.cut = cut
    client = fresh()
    client.hub = tap
    client.run(upload, tmp_path / "a.bin", "alice/m", "a.bin")
    tap.close()
    assert cuts
    assert fresh().run(download, "alice/m", "a.bin", tmp_path / "there") == sha256_of(tmp_path / "a.bin")


def test_versions(hub, client, fresh, tmp_path):
    """Each huggingface_hub and hf_xet that `make test` and `make compat` know: up, down, and up again for nothing."""
    for repo in ("alice/m", "alice/other"):
        hub.create(repo)
    content = random_bytes(5 * MIB, "versions") + np.random.default_rng(4).standard_normal(MIB, np.float32).tobytes()
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "a.bin").write_bytes(content)
    client.run(upload, tmp_path / "a.bin", "alice/m", "a.bin")
    assert client.run(download, "alice/m", "a.bin", tmp_path / "there") == digest
    if not client.has_xet():
        return
    called = {route for _, route in routes_called(hub)}
    assert any("/reconstruction" in route for route in called) and any("/xorb" in route for route in called), called
    with Line(hub) as line:
        fresh(client.name).run(upload, tmp_path / "a.bin", "alice/other", "a.bin")
    assert line.bytes < 100_000, line.bytes
    assert fresh(client.name).run(download, "alice/other", "a.bin", tmp_path / "there") == digest
    fresh(client.name, HF_HUB_DISABLE_XET=1).run(upload, tmp_path / "a.bin", "alice/m", "by-lfs.bin")
    assert client.run(download, "alice/m", "by-lfs.bin", tmp_path / "there") == digest
