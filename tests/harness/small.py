"""A small store with something of everything in it, made through plain HTTP.

    small = build(hub)          # a running server with the users of harness.server
    small.files                 # {(kind, repo, revision, path): bytes}
    small.buckets               # {(bucket, path): bytes}
    small.xet                   # {(kind, repo): [OneChunk, …]}: what was sent as Xet clients do
"""

import hashlib
import json
import random
import re
from dataclasses import dataclass, field

from .xet import Cas, OneChunk, text

LFS = "application/vnd.git-lfs+json"
CARD = """---
license: mit
tags: [small, test]
pipeline_tag: text-classification
---
# Small

A model card.
"""


@dataclass
class Small:
    files: dict = field(default_factory=dict)
    buckets: dict = field(default_factory=dict)
    xet: dict = field(default_factory=dict)


def content(size, seed, text=False):
    r = random.Random(seed)
    if not text:
        return r.randbytes(size)
    words = ("weight ", "bias ", "layer ", "norm ", "token ", "hidden ", "0.125 ", "\n")
    return "".join(r.choice(words) for _ in range(size // 6)).encode()[:size]


def put_large(hub, kind, repo, data, user="alice"):
    """One large file through LFS; the repository has it afterwards."""
    digest = hashlib.sha256(data).hexdigest()
    body = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": digest, "size": len(data)}], "hash_algo": "sha256"}
    prefix = "" if kind == "model" else kind + "s/"
    answer = hub.http("POST", f"/{prefix}{repo}.git/info/lfs/objects/batch", user, json.dumps(body).encode(), {"Content-Type": LFS, "Accept": LFS})
    assert answer.status == 200, answer
    (entry,) = answer.json["objects"]
    if "actions" in entry:
        upload = entry["actions"]["upload"]
        answer = hub.http("PUT", upload["href"], None, data, upload.get("header"))
        assert answer.status in (200, 201), answer
    return digest


def commit(hub, small, kind, repo, files=(), large=(), rev="main", gone=(), user="alice"):
    """Small and large files in one commit, remembered in small.files."""
    import base64

    lines = [{"key": "header", "value": {"summary": f"change {len(small.files)}"}}]
    for path, data in dict(files).items():
        data = data.encode() if isinstance(data, str) else data
        small.files[kind, repo, rev, path] = data
        lines.append({"key": "file", "value": {"path": path, "encoding": "base64", "content": base64.b64encode(data).decode()}})
    for path, data in dict(large).items():
        digest = put_large(hub, kind, repo, data, user)
        small.files[kind, repo, rev, path] = data
        lines.append({"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": digest, "size": len(data)}})
    for path in gone:
        small.files.pop((kind, repo, rev, path))
        lines.append({"key": "deletedFile", "value": {"path": path}})
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    answer = hub.ok("POST", f"/api/{kind}s/{repo}/commit/{rev}", user, body, {"Content-Type": "application/x-ndjson"})
    return answer.json["commitOid"]


def build(hub):
    small = Small()
    shared = content(150_000, 1)
    hub.create("alice/m")
    commit(hub, small, "model", "alice/m", {"README.md": CARD, "config.json": '{"model_type": "bert", "n": 3}', "src/a.py": "print(1)\n"})
    commit(
        hub,
        small,
        "model",
        "alice/m",
        {"src/deep/b.txt": content(30_000, 2, text=True), "raw.dat": content(20_000, 3)},
        {"model.bin": shared, "vocab.bin": content(260_000, 4, text=True)},
    )
    commit(hub, small, "model", "alice/m", {"src/a.py": "print(2)\n"}, gone=["config.json"])
    head = hub.ok("GET", "/api/models/alice/m").json["sha"]
    hub.ok("POST", "/api/models/alice/m/branch/side", body={"startingPoint": head})
    small.files.update({(k, r, "side", p): data for (k, r, v, p), data in list(small.files.items()) if (r, v) == ("alice/m", "main")})
    commit(hub, small, "model", "alice/m", {"only-here.txt": "side\n"}, rev="side")
    hub.ok("POST", "/api/models/alice/m/tag/main", body={"tag": "v1", "message": "first"})
    hub.create("acme/d", kind="dataset", private=True)
    commit(hub, small, "dataset", "acme/d", {"data/x.csv": "a,b\n1,2\n"}, {"data/x.bin": shared, "data/zero.bin": bytes(400_000)})
    hub.ok("POST", "/api/models/alice/m/like", user="bob")
    xet(hub, small, content(5000, 5))
    bucket(hub, small, shared)
    return small


def xet(hub, small, data):
    """A file of alice/m as a Xet client sends it, with its shard."""
    one = OneChunk(data)
    assert Cas(hub, "alice/m", "alice").send(one).status == 200
    small.xet["model", "alice/m"] = [one]
    commit(hub, small, "model", "alice/m", large={"xet.bin": data})


def bucket(hub, small, shared):
    """Files below folders: sent by Xet, copied from a repository, empty; one of them removed again."""
    hub.ok("POST", "/api/buckets/alice/b", body={})
    one = OneChunk(content(3000, 6))
    answer = hub.ok("GET", "/api/buckets/alice/b/xet-write-token").json
    cas = Cas.__new__(Cas)
    cas.hub, cas.token, cas.path = hub, answer["accessToken"], "/" + answer["casUrl"].split("/", 3)[3]
    assert cas.send(one).status == 200
    source = hub.ok("HEAD", "/alice/m/resolve/main/model.bin").headers["X-Xet-Hash"]
    lines = [
        {"type": "addFile", "path": "a/b/one.bin", "xetHash": text(one.file)},
        {"type": "addFile", "path": "a/two.bin", "xetHash": text(one.file)},
        {"type": "addFile", "path": "gone/three.bin", "xetHash": text(one.file)},
        {"type": "addFile", "path": "a/empty", "xetHash": "0" * 64},
        {"type": "copyFile", "path": "top.bin", "xetHash": source, "sourceRepoType": "model", "sourceRepoId": "alice/m"},
    ]
    for some in (lines, [{"type": "deleteFile", "path": "gone/three.bin"}]):
        body = "\n".join(json.dumps(line) for line in some).encode()
        answer = hub.ok("POST", "/api/buckets/alice/b/batch", body=body, headers={"Content-Type": "application/x-ndjson"})
        assert answer.json["success"], answer
    small.buckets = {("alice/b", "a/b/one.bin"): one.content, ("alice/b", "a/two.bin"): one.content, ("alice/b", "a/empty"): b"", ("alice/b", "top.bin"): shared}


def example(document):
    """The program in a page of documentation."""
    return re.search(r"^```python\n(.*?)^```", document.read_text(), re.M | re.S)[1]
