"""Xet keeps what it was told to keep: strangers, guessed hashes, expired and forged tokens, shards that lie."""

import base64
import hashlib
import json
import time
from urllib.parse import urlsplit

import pytest
from harness import xet
from harness.clients import Python, random_bytes
from harness.server import PATIENCE
from harness.xet import Cas, OneChunk, text, token_of


def commit(hub, repo, path, one, user="alice", sha256=None, rev="main", query=""):
    """A commit that names a large file, whatever was uploaded."""
    oid = sha256 or hashlib.sha256(one.content).hexdigest()
    lines = (
        {"key": "header", "value": {"summary": path}},
        {"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": oid, "size": len(one.content)}},
    )
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path = f"/api/models/{repo}/commit/{rev}{query}"
    return hub.http("POST", path, user, body, {"Content-Type": "application/x-ndjson"})


@pytest.fixture
def secret(hub):
    """A content of alice's private repository, put there as a client would."""
    hub.create("alice/secret", private=True)
    one = OneChunk(random_bytes(6000, "secret"))
    assert Cas(hub, "alice/secret", "alice").send(one).json == {"result": 1}
    assert commit(hub, "alice/secret", "a.bin", one).status == 200
    return one


def test_what_was_sent_by_hand_is_there(hub, secret):
    """First of all the tools of this file are right: the content comes back, and its hash is what we computed."""
    got = hub.ok("GET", "/alice/secret/resolve/main/a.bin")
    assert got.body == secret.content and got.headers["X-Xet-Hash"] == text(secret.file)
    plan = Cas(hub, "alice/secret", "alice", "read")("GET", f"/v2/reconstructions/{text(secret.file)}").json
    assert [term["hash"] for term in plan["terms"]] == [text(secret.xorb)]
    url = plan["xorbs"][text(secret.xorb)][0]["url"]
    ends = plan["xorbs"][text(secret.xorb)][0]["ranges"][0]["bytes"]
    piece = hub.http("GET", url, headers={"Range": f"bytes={ends['start']}-{ends['end']}"})
    assert piece.status == 206 and piece.body == secret.xorb_body()


def test_a_stranger_who_guessed_every_hash_gets_nothing(hub, secret):
    hub.create("bob/m", user="bob")
    for right in ("read", "write"):
        assert hub.http("GET", f"/api/models/alice/secret/xet-{right}-token/main", "bob").status == 404
        assert hub.http("GET", f"/api/models/alice/secret/xet-{right}-token/main").status == 401
    bob = Cas(hub, "bob/m", "bob")
    for version in ("/v2/reconstructions/", "/v1/reconstructions/", "/reconstructions/", "/reconstruction/"):
        assert bob("GET", version + text(secret.file)).status == 404
    assert text(secret.file) not in bob("GET", f"/v1/reconstructions?file_id={text(secret.file)}").text
    assert bob("GET", f"/v1/chunks/default/{text(secret.chunk)}").status == 404
    assert bob("GET", f"/v2/file-chunk-hashes/{text(secret.file)}", X_Range_Dirty="bytes=0-9").status == 404
    # the hash of a file is not its content: neither a shard with a made-up proof nor a commit makes it bob's
    refused = bob("POST", "/v1/shards", secret.shard(proof=bytes(32), with_xorb=False))
    assert refused.status == 400 and refused.json["error"]
    assert commit(hub, "bob/m", "a.bin", secret, "bob").status == 422
    assert bob("GET", f"/v2/reconstructions/{text(secret.file)}").status == 404
    # nor can anything be had where the bytes are
    assert hub.http("GET", f"{bob.path}/fetch/{text(secret.xorb)}", headers={"Range": "bytes=0-9"}).status == 403


def test_a_link_opens_what_it_was_made_for(hub, secret):
    """Any change of a fetch link is 403, the only answer after which clients ask for a new one."""
    other = OneChunk(random_bytes(5000, "other"))
    assert Cas(hub, "alice/secret", "alice").send(other).status == 200
    plan = Cas(hub, "alice/secret", "alice", "read")("GET", f"/v2/reconstructions/{text(secret.file)}").json
    url = plan["xorbs"][text(secret.xorb)][0]["url"]
    last = len(secret.xorb_body()) - 1
    whole = {"Range": f"bytes=0-{last}"}
    assert hub.http("GET", url, headers=whole).status == 206
    parts = urlsplit(url)
    assert "Authorization" not in url and hub.url.endswith(parts.netloc)
    broken = [url.replace(text(secret.xorb), text(other.xorb)), url[:-1], url + "A", url.split("?")[0]]
    for name, value in (pair.split("=", 1) for pair in parts.query.split("&")):
        for changed in (value[:-1] + ("1" if value[-1] != "1" else "2"), value + "0", ""):
            broken.append(url.replace(f"{name}={value}", f"{name}={changed}"))
    for changed in broken:
        assert hub.http("GET", changed, headers=whole).status == 403, changed
    assert hub.http("GET", url, headers={"Range": f"bytes=0-{last + 1}"}).status in (206, 403, 416)


def test_tokens(hub, secret):
    """One repository, one right, one hour; signed by this hub for this purpose."""
    hub.create("bob/m", user="bob")
    path = f"/v2/reconstructions/{text(secret.file)}"
    write, read = Cas(hub, "alice/secret", "alice"), Cas(hub, "alice/secret", "alice", "read")
    assert write("GET", path).status == read("GET", path).status == 200  # writing implies reading
    refused = read("POST", f"/v1/xorbs/default/{text(secret.xorb)}", secret.xorb_body())
    assert refused.status == 403 and "xet-write-token" in refused.json["error"]
    assert read("POST", "/v1/shards", secret.shard()).status == 403

    def status(token, method="GET"):
        return Cas(hub, "alice/secret", "alice", token=token)(method, path)

    for token in ("", "alice", "hf_AliceMayWrite", "hxt1.", read.token[:-1], read.token + "A", read.token.swapcase()):
        answer = status(token or " ")
        assert answer.status == 401 and answer.headers["WWW-Authenticate"], token
    late = status(xet.forge(hub, read.token, expires=time.time() - 1))
    assert late.status == 401 and late.headers["X-Error-Code"] == "ExpiredToken"
    assert status(xet.forge(hub, read.token, expires=xet.in_an_hour())).status == 200  # the forger's tool works …
    assert status(xet.forge(hub, read.token, purpose="lfs")).status == 401  # … so this is about the purpose
    head, rest = read.token.split(".", 1)
    claims = base64.urlsafe_b64decode(rest.split(".")[0] + "==")
    richer = base64.urlsafe_b64encode(b"w" + claims[1:]).decode().rstrip("=")
    assert status(f"{head}.{richer}.{rest.split('.', 1)[1]}").status == 401
    # of another store (a restored backup): not here
    elsewhere = hub.http("GET", "/xet/0123456789abcdef" + path, read.token)
    assert elsewhere.status == 404 and "casUrl" in elsewhere.text


def test_a_token_dies_with_the_access_behind_it(hub, secret):
    hub.create("acme/secret", private=True)
    one = OneChunk(random_bytes(3000, "acme"))
    assert Cas(hub, "acme/secret", "alice").send(one).status == 200
    dave = Cas(hub, "acme/secret", "dave", "read")
    path = f"/v2/reconstructions/{text(one.file)}"
    hub.admin("org", "member", "remove", "acme", "dave")
    assert dave("GET", path).status == 404
    alice = Cas(hub, "alice/secret", "alice")
    path = f"/v2/reconstructions/{text(secret.file)}"
    assert alice("GET", path).status == 200
    hub.admin("user", "disable", "alice")
    assert alice("GET", path).status == 401
    assert alice("POST", "/v1/shards", secret.shard()).status == 401


def test_a_deleted_repository_takes_its_tokens_along(hub, secret):
    alice = Cas(hub, "alice/secret", "alice")
    hub.ok("DELETE", "/api/repos/delete", "alice", {"type": "model", "organization": "alice", "name": "secret"})
    assert alice("GET", f"/v2/reconstructions/{text(secret.file)}").status == 404
    assert alice("POST", "/v1/shards", secret.shard()).status == 404


def test_a_public_repository_stays_readable_for_nobody(hub):
    hub.create("alice/open")
    one = OneChunk(random_bytes(4000, "open"))
    assert Cas(hub, "alice/open", "alice").send(one).status == 200
    assert commit(hub, "alice/open", "a.bin", one).status == 200
    nobody = Cas(hub, "alice/open", None, "read")
    assert nobody("GET", f"/v2/reconstructions/{text(one.file)}").status == 200
    hub.ok("PUT", "/api/models/alice/open/settings", "alice", {"private": True})
    assert nobody("GET", f"/v2/reconstructions/{text(one.file)}").status in (401, 404)


# -- a shard says which SHA-256 its file has ------------------------------------------------------------------


def settled(hub, repo, path, seconds=30):
    """The answer to a download once the claim behind it was looked into."""
    deadline = time.monotonic() + seconds * PATIENCE
    while (answer := hub.http("GET", f"/{repo}/resolve/main/{path}", "alice")).status == 200:
        assert time.monotonic() < deadline, "the claim was never refuted"
        time.sleep(0.1)
    return answer


def test_a_lie_about_a_sha256_harms_nobody_else(hub, tmp_path):
    """Bob says that his bytes have the SHA-256 of alice's. Only his own repository believes it, for a while."""
    truth = OneChunk(random_bytes(6000, "truth"))
    lie = OneChunk(random_bytes(6000, "lie"))
    digest = hashlib.sha256(truth.content).hexdigest()
    hub.create("alice/before")
    assert Cas(hub, "alice/before", "alice").send(truth).status == 200
    assert commit(hub, "alice/before", "a.bin", truth).status == 200
    hub.create("bob/m", user="bob")
    assert Cas(hub, "bob/m", "bob").send(lie, sha256=digest).status == 200
    assert commit(hub, "bob/m", "a.bin", lie, "bob", digest).status == 200

    client = Python(hub, tmp_path / "client")
    (tmp_path / "truth.bin").write_bytes(truth.content)

    def put(api, path, repo):
        api.upload_file(path_or_fileobj=path, path_in_repo="a.bin", repo_id=repo)

    for repo, env in (("alice/by-xet", {}), ("alice/by-lfs", {"HF_HUB_DISABLE_XET": 1})):
        hub.create(repo)
        client.run(put, tmp_path / "truth.bin", repo, **env)
    for repo in ("alice/before", "alice/by-xet", "alice/by-lfs"):
        got = hub.ok("GET", f"/{repo}/resolve/main/a.bin", "alice")
        assert got.body == truth.content and got.headers["X-Xet-Hash"] == text(truth.file), repo
    # what nobody proved does not spread, and what is wrong does not stay
    given = hub.http(
        "POST",
        "/api/models/bob/m/lfs-files/duplicate",
        "alice",
        {"target": {"type": "model", "name": "alice/by-lfs"}, "files": [{"xetHash": text(lie.file), "sha256": digest}]},
    )
    assert given.status == 207 and given.json["failed"][0]["sha256"] == digest
    assert settled(hub, "bob/m", "a.bin").status == 404
    for repo in ("alice/before", "alice/by-xet", "alice/by-lfs"):
        assert hub.ok("GET", f"/{repo}/resolve/main/a.bin", "alice").body == truth.content


@pytest.mark.parametrize("road", ["xet", "lfs"])
def test_a_lie_in_the_same_repository(hub, tmp_path, road):
    """Whoever may propose may lie in a repository of others. Its owner's true bytes win, by either road."""
    truth = OneChunk(random_bytes(6000, "truth"))
    lie = OneChunk(random_bytes(4000, "lie"))
    digest = hashlib.sha256(truth.content).hexdigest()
    hub.create("alice/open")
    assert Cas(hub, "alice/open", "bob").send(lie, sha256=digest).status == 200
    (tmp_path / "truth.bin").write_bytes(truth.content)

    def put(api, path):
        api.upload_file(path_or_fileobj=path, path_in_repo="a.bin", repo_id="alice/open")

    client = Python(hub, tmp_path / "client", HF_HUB_DISABLE_XET=1 if road == "lfs" else None)
    client.run(put, tmp_path / "truth.bin")
    assert hub.ok("GET", "/alice/open/resolve/main/a.bin", None).body == truth.content
    time.sleep(2)
    assert hub.ok("GET", "/alice/open/resolve/main/a.bin", None).body == truth.content


def test_a_true_claim_is_proved_before_it_spreads(hub):
    """lfs-files/duplicate right after the upload: the content is checked, then given."""
    one = OneChunk(random_bytes(7000, "spread"))
    for repo in ("alice/m", "alice/copy"):
        hub.create(repo)
    assert Cas(hub, "alice/m", "alice").send(one).status == 200
    digest = hashlib.sha256(one.content).hexdigest()
    body = {"target": {"type": "model", "name": "alice/copy"}, "files": [{"xetHash": text(one.file), "sha256": digest}]}
    given = hub.http("POST", "/api/models/alice/m/lfs-files/duplicate", "alice", body)
    assert given.status == 200 and given.json["succeeded"] == 1
    assert commit(hub, "alice/copy", "a.bin", one).status == 200
    assert hub.ok("GET", "/alice/copy/resolve/main/a.bin").body == one.content
    body["target"]["type"] = "bucket"
    refused = hub.http("POST", "/api/models/alice/m/lfs-files/duplicate", "alice", body)
    assert refused.status == 400 and "batch" in refused.json["error"]


def test_shards_that_make_no_sense(hub):
    """Each is refused with a reason, and leaves nothing that could be read."""
    hub.create("alice/m")
    alice = Cas(hub, "alice/m", "alice")
    one = OneChunk(random_bytes(5000, "sense"))
    good = one.shard()
    unknown = alice("POST", "/v1/shards", good)
    assert unknown.status == 400 and unknown.headers["X-Error-Code"] == "UnknownXorb"
    bad_name = alice("POST", f"/v1/xorbs/default/{text(bytes(32))}", one.xorb_body())
    assert bad_name.status == 400 and bad_name.headers["X-Error-Code"] == "BadXorb"
    assert alice("POST", f"/v1/xorbs/default/{text(one.xorb)}", one.xorb_body()).json == {"was_inserted": True}
    assert alice("POST", f"/v1/xorbs/default/{text(one.xorb)}", one.xorb_body()).json == {"was_inserted": False}
    for name, shard in {
        "empty": b"",
        "cut": good[:-48],
        "no header": good[48:],
        "another tag": b"X" + good[1:],
        "another file hash": good.replace(one.file, bytes(31) + b"\1"),
        "another proof": one.shard(proof=bytes(32)),
        "a longer term": good.replace((5000).to_bytes(4, "little") + bytes(4), (5001).to_bytes(4, "little") + bytes(4), 1),
    }.items():
        answer = alice("POST", "/v1/shards", shard)
        assert answer.status == 400 and answer.json["error"], f"{name}: {answer}"
        assert alice("GET", f"/v2/reconstructions/{text(one.file)}").status == 404, name
    assert alice("POST", "/v1/shards", good).json == {"result": 1}
    assert alice("POST", "/v1/shards", good).json == {"result": 0}
    frames = alice("POST", "/v2/shards", good)
    assert [json.loads(line) for line in frames.text.splitlines()][-1]["type"] == "result"


def test_moves_and_kinds(hub):
    """Buckets have addresses of their own for everything but moving."""
    for method, path in (("POST", "/api/repos/create"), ("DELETE", "/api/repos/delete")):
        refused = hub.http(method, path, "alice", {"type": "bucket", "organization": "alice", "name": "b"})
        assert refused.status == 400 and "/api/buckets/" in refused.json["error"]
    hub.ok("POST", "/api/buckets/alice/b", "alice", {})
    hub.ok("POST", "/api/repos/move", "alice", {"type": "bucket", "fromRepo": "alice/b", "toRepo": "acme/c"})
    assert hub.ok("GET", "/api/buckets/acme/c").json["id"] == "acme/c"
    for address in ("/api/models/buckets/alice/xet-read-token/main", "/api/buckets/alice/c.git/info/refs"):
        assert hub.http("GET", address, "alice").status == 404
