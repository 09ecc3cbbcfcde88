"""Xorbs and shards as hf_xet makes them, to be sent by hand: each answer then dates a promise.

A plain server takes uploads of the real client; what it stored is what the client sent.
"""

import sqlite3
from collections import namedtuple
from urllib.parse import urlsplit

from harness.clients import Python
from harness.server import Hub
from world import TOKEN, USER, random_bytes, sha256

Piece = namedtuple("Piece", "content sha256 xet xorb body shard")  # one file: one xorb, one shard

ROWS = """SELECT repo_file.sha256, file.hash, xorb.hash, xorb.generation, shard.hash FROM repo_file
    JOIN file ON file.id = repo_file.file_id JOIN file_xorb ON file_xorb.file_id = file.id
    JOIN xorb ON xorb.id = file_xorb.xorb_id JOIN shard_file ON shard_file.file_id = file.id
    JOIN shard ON shard.id = shard_file.shard_id"""


def text(hash):
    """Xet writes a hash as four little-endian numbers."""
    return b"".join(hash[i : i + 8][::-1] for i in range(0, 32, 8)).hex()


def upload_each(api, folder):  # runs inside the client
    api.create_repo("alice/donor")
    for path in sorted(Path(folder).iterdir()):  # noqa: F821
        api.upload_file(path_or_fileobj=str(path), path_in_repo=path.name, repo_id="alice/donor")


def pieces(folder, count, size=60_000):
    """`count` different pieces."""
    contents = {sha256(c): c for c in (random_bytes(size + n, f"piece {n}") for n in range(count))}
    files = folder / "files"
    files.mkdir(parents=True)
    for n, content in enumerate(contents.values()):
        (files / f"{n:04}.bin").write_bytes(content)
    hub = Hub(folder / "data", folder / "log.txt").start()
    try:
        hub.admin("user", "add", USER, "--password-stdin", stdin="correct horse battery\n")
        hub.admin("token", "add", USER, "--name", "all", "--value", TOKEN, "--role", "write")
        Python(hub, folder / "home", HF_HUB_DISABLE_XET=0).run(upload_each, files, timeout=600)
    finally:
        hub.stop()
    db, blob, made = sqlite3.connect(hub.data / "hearth.db"), hub.data / "blob", []
    for sha, file, xorb, generation, shard in db.execute(ROWS):
        body = (blob / "xorb" / text(xorb)[:2] / f"{text(xorb)}.{generation}").read_bytes()
        listing = (blob / "shard" / text(shard)[:2] / text(shard)).read_bytes()
        made.append(Piece(contents[sha.hex()], sha.hex(), text(file), text(xorb), body, listing))
    db.close()
    assert len({p.xorb for p in made}) == len(made) == count, f"{len(made)} pieces of {count}"
    return made


def cas(client, where):
    """Path and token of the CAS for writing: `where` is "models/alice/x" or "buckets/alice/b"."""
    branch = "" if where.startswith("buckets/") else "/main"
    access = client.ask("GET", f"/api/{where}/xet-write-token{branch}").json
    return urlsplit(access["casUrl"]).path.rstrip("/"), {"Authorization": f"Bearer {access['accessToken']}"}


def send(client, where, piece):
    """Uploads a piece as hf_xet does. Its xorb and its content are promised by the two answers."""
    path, headers = cas(client, where)
    headers["Content-Type"] = "application/octet-stream"
    facts = [(("xorb", where, piece.xorb), len(piece.body))]
    client.ask("POST", f"{path}/v1/xorbs/default/{piece.xorb}", piece.body, headers, facts)
    facts = [(("xet", where, piece.xet), (piece.sha256, len(piece.content)))]
    client.ask("POST", f"{path}/v1/shards", piece.shard, headers, facts)
