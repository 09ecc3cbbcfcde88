"""Large files through LFS: basic and multipart, flat memory, interruptions, who may claim what."""

import hashlib
import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from harness.clients import Peak, Python, random_bytes, random_file
from harness.server import SIZE_LARGE
from harness.tap import Tap


@pytest.fixture
def newest(hub, tmp_path):
    """huggingface_hub without Xet: what it then does is LFS."""
    return Python(hub, tmp_path / "newest", HF_HUB_DISABLE_XET=1)


def batch(hub, repo, objects, user="alice", operation="upload", transfers=("basic", "multipart")):
    body = {"operation": operation, "transfers": list(transfers), "objects": objects, "hash_algo": "sha256"}
    headers = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
    return hub.http("POST", f"/{repo}.git/info/lfs/objects/batch", user, body, headers)


def upload(api, path):
    """A story: one large file into alice/big."""
    api.upload_file(path_or_fileobj=path, path_in_repo="big.bin", repo_id="alice/big")
    (info,) = api.get_paths_info("alice/big", ["big.bin"])
    return info.lfs.sha256 if hasattr(info.lfs, "sha256") else info.lfs["sha256"]


def hash_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(4 << 20):
            digest.update(piece)
    return digest.hexdigest()


@pytest.mark.short_and_long
def test_large_file_up_and_down_with_flat_memory(hub, newest, tmp_path):
    """Multipart; the server needs a few MiB, whatever the size of the file."""

    def fetch(api, folder):
        from huggingface_hub import hf_hub_download

        return hf_hub_download("alice/big", "big.bin", local_dir=folder)

    size = SIZE_LARGE
    hub.create("alice/big")
    digest = random_file(tmp_path / "big.bin", size, "large")
    (asked,) = batch(hub, "alice/big", [{"oid": "0" * 64, "size": size}]).json["objects"]
    header = asked["actions"]["upload"]["header"]
    parts = -(-size // int(header["chunk_size"]))
    assert sorted(int(k) for k in header if k.isdigit()) == list(range(1, parts + 1))

    with Peak(hub) as peak:
        assert newest.run(upload, str(tmp_path / "big.bin"), timeout=3600) == digest
    assert peak.grown_mib < 24, f"an upload took {peak.grown_mib:.1f} MiB"
    with Peak(hub) as peak:
        path = newest.run(fetch, str(tmp_path / "there"), timeout=3600)
    assert peak.grown_mib < 8, f"a download took {peak.grown_mib:.1f} MiB"
    assert hash_of(path) == digest


def test_basic_at_any_size(hub):
    """A client that lists only basic gets basic, also for a file of many gigabytes."""
    hub.create("alice/big")
    answer = batch(hub, "alice/big", [{"oid": "1" * 64, "size": 20 << 30}], transfers=["basic"]).json
    action = answer["objects"][0]["actions"]["upload"]
    assert answer["transfer"] == "basic" and "chunk_size" not in action.get("header", {})
    answer = batch(hub, "alice/big", [{"oid": "1" * 64, "size": 20 << 30}], transfers=["lfs-standalone-file", "basic", "ssh"])
    assert answer.json["transfer"] == "basic"


def test_basic_put_streams(hub, tmp_path):
    """One PUT of a large body, straight to the URL of the batch answer, which needs no token."""
    size = 96 << 20
    digest = random_file(tmp_path / "b.bin", size, "basic")
    hub.create("alice/big")
    (entry,) = batch(hub, "alice/big", [{"oid": digest, "size": size}], transfers=["basic"]).json["objects"]
    with Peak(hub) as peak:
        done = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-T", tmp_path / "b.bin", entry["actions"]["upload"]["href"]],
            capture_output=True,
            text=True,
        )
    assert done.stdout in ("200", "201", "204"), done
    assert peak.grown_mib < 16
    assert "actions" not in batch(hub, "alice/big", [{"oid": digest, "size": size}]).json["objects"][0]


def test_same_file_twice(hub, newest, tmp_path):
    """The second upload succeeds, sends nothing, and stores nothing."""
    hub.create("alice/big")
    digest = random_file(tmp_path / "big.bin", 40 << 20, "twice")
    assert newest.run(upload, str(tmp_path / "big.bin")) == digest
    stored = hub.stored_bytes()
    tap = Tap(hub)
    newest.hub = tap
    assert newest.run(upload, str(tmp_path / "big.bin")) == digest
    assert tap.seen("PUT") == []
    assert hub.stored_bytes() == stored
    tap.close()


def test_a_changed_file_shares_what_is_the_same(hub, newest, tmp_path):
    """Deduplication is by chunk: a few bytes inserted in the middle cost little."""
    hub.create("alice/big")
    content = random_bytes(24 << 20, "dedup")
    (tmp_path / "big.bin").write_bytes(content)
    newest.run(upload, str(tmp_path / "big.bin"))
    stored = hub.stored_bytes()
    (tmp_path / "big.bin").write_bytes(content[: 8 << 20] + b"inserted" + content[8 << 20 :])
    newest.run(upload, str(tmp_path / "big.bin"))
    assert hub.stored_bytes() - stored < 2 << 20


def test_a_hash_is_not_a_key(hub, tmp_path):
    """A stranger who knows the hash of a private file gets an upload action, and 422 at commit."""
    content = random_bytes(50_000, "secret")
    digest = hashlib.sha256(content).hexdigest()
    thing = {"oid": digest, "size": len(content)}
    hub.create("alice/secret", private=True)
    (entry,) = batch(hub, "alice/secret", [thing]).json["objects"]
    assert hub.http("PUT", entry["actions"]["upload"]["href"], body=content).status in (200, 201, 204)
    assert "actions" not in batch(hub, "alice/secret", [thing]).json["objects"][0]

    hub.create("bob/curious", user="bob")
    (entry,) = batch(hub, "bob/curious", [thing], "bob").json["objects"]
    assert "upload" in entry["actions"], "the hash alone told the stranger that the file exists"
    (entry,) = batch(hub, "bob/curious", [thing], "bob", "download").json["objects"]
    assert entry["error"]["code"] == 404
    body = (
        '{"key":"header","value":{"summary":"claim"}}\n'
        f'{{"key":"lfsFile","value":{{"path":"x.bin","algo":"sha256","oid":"{digest}","size":{len(content)}}}}}\n'
    )
    claim = hub.http("POST", "/api/models/bob/curious/commit/main", "bob", body.encode(), {"Content-Type": "application/x-ndjson"})
    assert claim.status == 422

    stored = hub.stored_bytes()
    (entry,) = batch(hub, "bob/curious", [thing], "bob").json["objects"]
    assert hub.http("PUT", entry["actions"]["upload"]["href"], body=content).status in (200, 201, 204)
    assert hub.stored_bytes() == stored, "the same bytes were written twice"
    again = hub.http("POST", "/api/models/bob/curious/commit/main", "bob", body.encode(), {"Content-Type": "application/x-ndjson"})
    assert again.status == 200


def test_wrong_bytes_are_refused(hub):
    """Size and hash are checked while the body streams; a signed URL fits one object only."""
    content = random_bytes(20_000, "right")
    digest = hashlib.sha256(content).hexdigest()
    hub.create("alice/big")
    (entry,) = batch(hub, "alice/big", [{"oid": digest, "size": len(content)}]).json["objects"]
    href = entry["actions"]["upload"]["href"]
    for wrong in (random_bytes(20_000, "wrong"), content[:-1], content + b"x", b""):
        assert 400 <= hub.http("PUT", href, body=wrong).status < 500
    assert 400 <= hub.http("PUT", href[:-1] + ("0" if href[-1] != "0" else "1"), body=content).status < 500
    assert "actions" in batch(hub, "alice/big", [{"oid": digest, "size": len(content)}]).json["objects"][0]
    assert hub.http("PUT", href, body=content).status in (200, 201, 204)
    assert hub.http("PUT", href, body=content).status in (200, 201, 204), "the same PUT again must succeed"


def test_batch_permissions(hub):
    thing = [{"oid": "2" * 64, "size": 10}]
    hub.create("alice/open")
    hub.create("alice/closed", private=True)
    assert batch(hub, "alice/open", thing, None).status == 401
    assert batch(hub, "alice/closed", thing, None).status == 401
    assert batch(hub, "alice/closed", thing, "bob").status == 404
    assert batch(hub, "alice/open", thing, "alice-read").status == 403
    refused = batch(hub, "alice/open", thing, None)
    assert "Basic" in refused.headers.get("LFS-Authenticate", refused.headers.get("WWW-Authenticate", ""))
    assert "message" in refused.json


def multipart(hub, repo, content):
    """Begins a multipart upload by hand; returns its part URLs, part size and completion URL."""
    digest = hashlib.sha256(content).hexdigest()
    (entry,) = batch(hub, repo, [{"oid": digest, "size": len(content)}]).json["objects"]
    action = entry["actions"]["upload"]
    urls = [action["header"][k] for k in sorted((k for k in action["header"] if k.isdigit()), key=int)]
    return digest, urls, int(action["header"]["chunk_size"]), action["href"]


def complete(hub, href, digest, etags):
    parts = [{"partNumber": n, "etag": e} for n, e in enumerate(etags, 1)]
    return hub.http("POST", href, body={"oid": digest, "parts": parts}, headers={"Content-Type": "application/vnd.git-lfs+json"})


def test_parts_survive_restarts(hub):
    """SIGTERM, then kill -9 between parts: what was acknowledged needs no second sending."""
    content = random_bytes(70 << 20, "parts")
    hub.create("alice/big")
    digest, urls, size, href = multipart(hub, "alice/big", content)
    assert len(urls) >= 3
    etags = []
    for n, url in enumerate(urls):
        answer = hub.http("PUT", url, body=content[n * size : (n + 1) * size])
        assert answer.status in (200, 201, 204) and answer.headers["ETag"]
        etags.append(answer.headers["ETag"])
        if n == 0:
            hub.restart()
        if n == 1:
            hub.kill()
            hub.start()
    assert complete(hub, href, digest, etags).status == 200
    assert complete(hub, href, digest, etags).status == 200, "completion again must succeed"
    assert "actions" not in batch(hub, "alice/big", [{"oid": digest, "size": len(content)}]).json["objects"][0]
    (entry,) = batch(hub, "alice/big", [{"oid": digest, "size": len(content)}], operation="download").json["objects"]
    assert hub.http("GET", entry["actions"]["download"]["href"], "alice").body == content


def test_incomplete_multipart_is_refused(hub):
    """A part is missing, or one is damaged: completion says so, and the object does not exist."""
    content = random_bytes(40 << 20, "incomplete")
    hub.create("alice/big")
    digest, urls, size, href = multipart(hub, "alice/big", content)
    etags = [hub.http("PUT", u, body=content[n * size : (n + 1) * size]).headers["ETag"] for n, u in enumerate(urls[:-1])]
    assert 400 <= complete(hub, href, digest, etags).status < 500
    assert 400 <= complete(hub, href, digest, [*etags, '"guessed"']).status < 500
    last = content[(len(urls) - 1) * size :]
    damaged = hub.http("PUT", urls[-1], body=last[:-1] + bytes([last[-1] ^ 1]))
    assert 400 <= complete(hub, href, digest, [*etags, damaged.headers["ETag"]]).status < 500
    assert "actions" in batch(hub, "alice/big", [{"oid": digest, "size": len(content)}]).json["objects"][0]
    right = hub.http("PUT", urls[-1], body=last)
    assert complete(hub, href, digest, [*etags, right.headers["ETag"]]).status == 200


def test_completion_joins_the_one_that_runs(hub):
    """Four completions at once: one does the work, all hear of its success."""
    content = random_bytes(64 << 20, "join")
    hub.create("alice/big")
    digest, urls, size, href = multipart(hub, "alice/big", content)
    etags = [hub.http("PUT", u, body=content[n * size : (n + 1) * size]).headers["ETag"] for n, u in enumerate(urls)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: complete(hub, href, digest, etags).status, range(4)))
    assert answers == [200] * 4


def test_server_dies_while_a_client_uploads(hub, newest, tmp_path):
    """kill -9 and restart between parts: the same client process finishes, finished parts go once."""
    hub.create("alice/big")
    digest = random_file(tmp_path / "big.bin", 120 << 20, "dies")
    tap = Tap(hub)
    newest.hub = tap

    def before(request):
        if request.method == "PUT" and len(tap.seen("PUT")) == 3 and not before.done:
            before.done = True  # two parts were answered, the third is about to begin
            hub.kill()
            hub.start()

    before.done = False
    tap.before = before
    assert newest.run(upload, str(tmp_path / "big.bin"), timeout=600) == digest
    puts = [r for r in tap.seen("PUT") if r.complete]
    assert before.done and len({r.target for r in puts}) == len(puts), f"a part went twice: {puts}"
    tap.close()


def test_connection_breaks_inside_a_part(hub, newest, tmp_path):
    """A reset in the middle of a part: the client sends that part again, and only that one."""
    hub.create("alice/big")
    digest = random_file(tmp_path / "big.bin", 80 << 20, "breaks")
    tap = Tap(hub)
    newest.hub = tap
    cut = []

    def once(request, sent):
        if request.method == "PUT" and len(tap.seen("PUT")) == 2 and sent > 5 << 20 and not cut:
            cut.append(request)
            return True
        return False

    tap.cut = once
    assert newest.run(upload, str(tmp_path / "big.bin"), timeout=600) == digest
    assert len(cut) == 1
    again = [r for r in tap.seen("PUT") if r.target == cut[0].target]
    assert [r.complete for r in again] == [False, True]
    whole = [r for r in tap.seen("PUT") if r.complete]
    assert len({r.target for r in whole}) == len(whole)
    tap.close()


def test_an_upload_that_stops_is_cleaned_up(hub):
    """Half a body, then silence from a dead client: nothing is left that a reader could find."""
    content = random_bytes(1 << 20, "half")
    digest = hashlib.sha256(content).hexdigest()
    hub.create("alice/big")
    (entry,) = batch(hub, "alice/big", [{"oid": digest, "size": len(content)}]).json["objects"]
    url = urlsplit(entry["actions"]["upload"]["href"])
    with socket.create_connection((url.hostname, url.port)) as s:
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {len(content)}\r\n\r\n"
        s.sendall(head.encode() + content[:500_000])
    end = time.monotonic() + 20
    while any(p.is_file() for p in (hub.data / "tmp").rglob("*")) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [p for p in (hub.data / "tmp").rglob("*") if p.is_file()]
    assert "actions" in batch(hub, "alice/big", [{"oid": digest, "size": len(content)}]).json["objects"][0]


def test_locks(hub):
    """git-lfs asks for locks before each push; they persist."""
    hub.create("alice/m")
    url = "/alice/m.git/info/lfs/locks"
    headers = {"Content-Type": "application/vnd.git-lfs+json"}
    assert hub.http("POST", f"{url}/verify", "alice", {"ref": {"name": "refs/heads/main"}}, headers).json == {"ours": [], "theirs": []}
    made = hub.http("POST", url, "alice", {"path": "x.bin"}, headers)
    assert made.status == 201 and made.json["lock"]["path"] == "x.bin"
    assert hub.http("POST", url, "alice", {"path": "x.bin"}, headers).status == 409
    hub.restart()
    assert [k["path"] for k in hub.http("GET", url, "alice", headers=headers).json["locks"]] == ["x.bin"]
    gone = hub.http("POST", f"{url}/{made.json['lock']['id']}/unlock", "alice", {}, headers)
    assert gone.status == 200
    assert hub.http("GET", url, "alice", headers=headers).json["locks"] == []


@pytest.mark.soak
def test_six_gigabytes_by_basic(hub, git, tmp_path):
    """A large LFS file pushed and fetched by stock git-lfs, with flat memory."""
    hub.create("alice/big")
    clone = git.clone("alice/big")
    digest = random_file(clone / "huge.bin", 6 << 30, "huge")
    with Peak(hub) as peak:
        git("add", "huge.bin", cwd=clone, timeout=1800)
        git("commit", "-qm", "huge", cwd=clone)
        git("push", "-q", cwd=clone, timeout=3600)
        other = git.clone("alice/big", timeout=3600)
    assert hash_of(other / "huge.bin") == digest
    assert peak.grown_mib < 24
    os.remove(clone / "huge.bin")


def test_quota_of_a_namespace(hub):
    """The operator's quota counts what is stored, whether by API or git-lfs, and says who decides."""
    content = random_bytes(20_000, "quota")
    digest = hashlib.sha256(content).hexdigest()
    hub.create("alice/big")
    hub.admin("quota", "set", "alice", "30000")
    (entry,) = batch(hub, "alice/big", [{"oid": digest, "size": len(content)}]).json["objects"]
    assert hub.http("PUT", entry["actions"]["upload"]["href"], body=content).status == 200
    assert "uses 20000 of 30000 bytes" in str(hub.admin("quota", "show", "alice"))
    more = batch(hub, "alice/big", [{"oid": "3" * 64, "size": 20_000}])
    assert more.status == 413 and "may store 30000 bytes" in more.json["message"]
    hub.admin("quota", "set", "alice", "none")
    assert batch(hub, "alice/big", [{"oid": "3" * 64, "size": 20_000}]).status == 200
