"""Buckets with the real clients: `hf buckets`, `hf sync`, hf:// paths in fsspec and pandas, @huggingface/hub."""

import hashlib
import json
import os
import re
import time

import pytest
from harness.clients import Peak, random_bytes
from harness.tap import Tap

BUCKET = "/api/buckets/alice/b"
EMPTY = "0" * 64


def batch(hub, lines, bucket=BUCKET, user="alice", **headers):
    body = "\n".join(json.dumps(line) for line in lines).encode()
    return hub.http("POST", f"{bucket}/batch", user, body, {"Content-Type": "application/x-ndjson", **headers})


def add(path, xet_hash=EMPTY, **more):
    return {"type": "addFile", "path": path, "xetHash": xet_hash, **more}


def delete(path):
    return {"type": "deleteFile", "path": path}


def tree(hub, query="", bucket=BUCKET, user="alice"):
    """Every item of a listing, page by page."""
    items, url = [], f"{bucket}/tree{query}"
    while url:
        answer = hub.ok("GET", url, user)
        items += answer.json
        link = re.match(r'<([^>]+)>; rel="next"', answer.headers.get("Link") or "")
        url = link and link[1]
    return items


def names(items):
    return [item["path"] for item in items]


def fill(hub, client, files, bucket="alice/b"):
    """Uploads {path: bytes} with the Python client."""

    def story(api, bucket, folder):
        api.create_bucket(bucket, exist_ok=True)
        root = Path(folder)
        paths = [p for p in root.rglob("*") if p.is_file()]
        api.batch_bucket_files(bucket, add=[(str(p), p.relative_to(root).as_posix()) for p in paths])

    root = client.home / f"fill-{time.monotonic_ns()}"
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    client.run(story, bucket, root)
    return {f["path"]: f["xetHash"] for f in tree(hub, bucket=f"/api/buckets/{bucket}")}


# --- the command line -----------------------------------------------------------------------------


def test_the_command_line(hub, newest, tmp_path):
    """hf buckets create, list, info, cp, ls, rm, move, delete."""
    data, back = tmp_path / "data.bin", tmp_path / "back.bin"
    data.write_bytes(random_bytes(700_000, "bucket"))
    assert "alice/cli" in newest.hf("buckets", "create", "cli", "--private").stdout
    newest.hf("buckets", "create", "alice/cli", "--exist-ok")
    assert newest.hf("buckets", "create", "alice/cli", check=False).returncode != 0
    assert "alice/cli" in newest.hf("buckets", "list", "-q").stdout
    assert newest.hf("buckets", "list", "-q", "--search", "nothing").stdout.strip() == ""
    info = json.loads(newest.hf("buckets", "info", "alice/cli", "--json").stdout)
    assert info["private"] is True and info["total_files"] == 0

    newest.hf("buckets", "cp", data, "hf://buckets/alice/cli/sub/data.bin")
    newest.hf("buckets", "cp", data, "hf://buckets/alice/cli/top.bin")
    newest.hf("buckets", "cp", "hf://buckets/alice/cli/sub/data.bin", back)
    assert back.read_bytes() == data.read_bytes()
    newest.hf("buckets", "cp", "hf://buckets/alice/cli/sub", "hf://buckets/alice/cli/copy/")
    listed = newest.hf("buckets", "ls", "alice/cli", "-R", "-q").stdout.split()
    assert listed == ["copy/data.bin", "sub/data.bin", "top.bin"], listed
    shown = newest.hf("buckets", "ls", "alice/cli", "-q").stdout.split()
    assert {s.rstrip("/") for s in shown} == {"copy", "sub", "top.bin"}

    newest.hf("buckets", "rm", "alice/cli/copy", "-R", "-y")
    newest.hf("buckets", "rm", "alice/cli/top.bin", "-y")
    assert newest.hf("buckets", "ls", "alice/cli", "-R", "-q").stdout.split() == ["sub/data.bin"]
    newest.hf("buckets", "move", "alice/cli", "acme/moved")
    assert json.loads(newest.hf("buckets", "info", "alice/cli", "--json").stdout)["id"] == "acme/moved"
    newest.hf("buckets", "settings", "acme/moved", "--public")
    assert hub.ok("GET", "/api/buckets/acme/moved", None).json["private"] is False
    newest.hf("buckets", "delete", "acme/moved", "-y")
    newest.hf("buckets", "delete", "acme/moved", "-y", "--missing-ok")
    assert newest.hf("buckets", "info", "acme/moved", check=False).returncode != 0


@pytest.mark.since("1.6")
def test_removing_a_folder_takes_its_neighbours_not(hub, client):
    """`hf buckets rm -R` deletes what a listing of the prefix says: nothing but the folder."""
    fill(hub, client, {"logs/a": b"1", "logs_old/a": b"2", "logs.txt": b"3"})
    client.hf("buckets", "rm", "alice/b/logs", "-R", "-y")
    assert names(tree(hub)) == ["logs.txt", "logs_old/a"]


@pytest.mark.since("1.6")
def test_sync_up_and_down(hub, client, folder, tmp_path, fingerprint):
    """hf sync both ways, with --delete, filters and plans; a second time nothing is sent."""
    there, back = "hf://buckets/alice/b/run", tmp_path / "back"
    client.hf("buckets", "create", "alice/b")
    client.hf("sync", folder, there)
    uploaded = hub.ok("GET", BUCKET).json
    assert uploaded["totalFiles"] == len(fingerprint(folder))
    client.hf("sync", folder, there)
    assert hub.ok("GET", BUCKET).json["updatedAt"] == uploaded["updatedAt"]

    client.hf("sync", there, back)
    assert fingerprint(back) == fingerprint(folder)
    (folder / "sub" / "notes.txt").unlink()
    (folder / "new é.txt").write_text("new")
    os.utime(folder / "config.json", (time.time() + 60, time.time() + 60))
    plan = tmp_path / "plan.jsonl"
    client.hf("sync", folder, there, "--delete", "--plan", plan)
    header, *operations = [json.loads(line) for line in plan.read_text().splitlines()]
    assert header["summary"]["uploads"] == 2 and header["summary"]["deletes"] == 1
    assert {o["path"]: o["reason"] for o in operations if o["action"] != "skip"} == {
        "sub/notes.txt": "not in source (--delete)",
        "new é.txt": "new file",
        "config.json": "local newer",
    }
    client.hf("sync", "--apply", plan)
    assert names(tree(hub, "/run")) == sorted(f"run/{name}" for name in fingerprint(folder))

    client.hf("sync", there, back, "--delete", "--exclude", "*.bin")
    assert fingerprint(back) == fingerprint(folder)
    (back / "extra").write_text("x")
    client.hf("sync", there, back, "--delete")
    assert fingerprint(back) == fingerprint(folder)


# --- Python ---------------------------------------------------------------------------------------


def test_batches_from_python(hub, newest):
    """batch_bucket_files: add, copy and delete at once; bytes identical, sizes and times as sent."""
    content = {"a.bin": random_bytes(2_500_000, "batch"), "sub/b.txt": b"text", "empty": b""}
    fill(hub, newest, content)

    def story(api, content):
        files = {f.path: f for f in api.list_bucket_tree("alice/b", recursive=True)}
        api.batch_bucket_files(
            "alice/b",
            add=[(b"more", "more.txt")],
            copy=[("bucket", "alice/b", files["a.bin"].xet_hash, "copy/a.bin")],
            delete=["sub/b.txt", "was never there"],
        )
        names = [f.path for f in api.list_bucket_tree("alice/b", recursive=True)]
        api.download_bucket_files("alice/b", [(n, n.replace("/", "_")) for n in names])
        info = list(api.get_bucket_paths_info("alice/b", ["more.txt", "copy", "nothing"]))
        wrong = failure(api.batch_bucket_files, "alice/b", copy=[("bucket", "alice/b", "9" * 64, "x")])
        return {n: sha256(n.replace("/", "_")) for n in names}, [(f.path, f.size) for f in info], wrong

    got, info, wrong = newest.run(story, None)
    digest = lambda b: hashlib.sha256(b).hexdigest()  # noqa: E731
    assert got == {
        "a.bin": digest(content["a.bin"]),
        "copy/a.bin": digest(content["a.bin"]),
        "empty": digest(b""),
        "more.txt": digest(b"more"),
    }
    assert info == [["more.txt", 4]]
    assert wrong["status"] == 422
    for item in tree(hub):
        assert abs(time.time() - time.mktime(time.strptime(item["mtime"], "%Y-%m-%dT%H:%M:%S.%fZ"))) < 3600
    assert hub.ok("GET", BUCKET).json["size"] == 2 * 2_500_000 + 4


def test_defaults_of_an_organization(hub, newest):
    """An organization's buckets are private when it says so; create_bucket may say otherwise."""
    hub.admin("org", "add", "vault", "--private-by-default")
    hub.admin("org", "member", "add", "vault", "alice", "--role", "admin")

    def story(api):
        api.create_bucket("vault/a")
        api.create_bucket("vault/b", private=False)
        return {b.id: b.private for b in api.list_buckets("vault")}

    assert newest.run(story) == {"vault/a": True, "vault/b": False}
    owned = hub.ok("GET", "/api/organizations/vault/settings/repositories").json
    assert "bucket" in json.dumps(owned)


def test_missing_and_forbidden(hub, newest):
    """BucketNotFoundError for what is not there and for what one may not see."""
    hub.ok("POST", "/api/buckets/alice/secret", body={"private": True})

    def story(api):
        return [failure(api.bucket_info, name) for name in ("alice/secret", "alice/none")]

    for user, status in (("bob", 404), (None, 401)):
        for wrong in newest.run(story, user=user):
            assert wrong["type"] == "BucketNotFoundError" and wrong["status"] == status, wrong
    assert hub.http("GET", "/buckets/alice/secret/resolve/x", "bob").headers["X-Error-Code"] == "RepoNotFound"


def test_file_systems(hub, newest):
    """HfFileSystem and pandas: write, read, parts, glob, walk, remove; a parquet file by columns."""
    fill(hub, newest, {"dir/a.txt": b"0123456789", "dir/sub/b.txt": b"b", "dir2/c.txt": b"c"})

    def story(api):
        import pandas
        from huggingface_hub import HfFileSystem

        fs = HfFileSystem()
        root = "hf://buckets/alice/b"
        with fs.open(f"{root}/new/w.csv", "w") as f:
            f.write("x,y\n1,2\n")
        with fs.open(f"{root}/dir/a.txt", "rb") as f:
            f.seek(3)
            part = f.read(4).decode()
        frame = pandas.DataFrame({"n": range(50_000), "s": [str(i) for i in range(50_000)]})
        frame.to_parquet(f"{root}/tables/t.parquet")
        again = pandas.read_parquet(f"{root}/tables/t.parquet")
        column = pandas.read_parquet(f"{root}/tables/t.parquet", columns=["n"])
        found = sorted(fs.glob(f"{root}/**/*.txt"))
        listed = sorted(fs.ls(f"{root}/dir", detail=False))
        exists = [fs.exists(f"{root}/{p}") for p in ("dir", "dir/a.txt", "di", "dir/none")]
        missing = failure(fs.ls, f"{root}/none")["type"]
        fs.rm(f"{root}/dir2/c.txt")
        fs.invalidate_cache()
        return dict(
            part=part,
            same=bool(again.equals(frame)) and int(column.n.sum()) == sum(range(50_000)),
            csv=pandas.read_csv(f"{root}/new/w.csv").values.tolist(),
            found=found,
            listed=listed,
            exists=exists,
            missing=missing,
            left=sorted(fs.find(root)),
        )

    got = newest.run(story)
    assert got["part"] == "3456" and got["same"] and got["csv"] == [[1, 2]]
    assert got["found"] == [f"buckets/alice/b/{p}" for p in ("dir/a.txt", "dir/sub/b.txt", "dir2/c.txt")]
    assert got["listed"] == ["buckets/alice/b/dir/a.txt", "buckets/alice/b/dir/sub"]
    assert got["exists"] == [True, True, False, False]
    assert got["missing"] in ("EntryNotFoundError", "FileNotFoundError")
    assert "buckets/alice/b/dir2/c.txt" not in got["left"] and len(got["left"]) == 4


def test_datasets_read_a_bucket(hub, newest):
    """load_dataset("json", data_files="hf://buckets/…")."""
    lines = "".join(json.dumps({"n": i}) + "\n" for i in range(100)).encode()
    fill(hub, newest, {"data/part-0.jsonl": lines, "data/part-1.jsonl": lines})

    def story(api):
        from datasets import load_dataset

        loaded = load_dataset("json", data_files="hf://buckets/alice/b/data/*.jsonl", split="train")
        return len(loaded), sum(loaded["n"])

    assert newest.run(story) == [200, 2 * sum(range(100))]


def test_copies_send_no_bytes(hub, newest, tmp_path):
    """A model's large files into a bucket: the hashes travel, the contents do not."""
    hub.create("alice/m", private=True)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(random_bytes(3_000_000, "weights to copy"))

    def upload(api, path):
        api.upload_file(repo_id="alice/m", path_or_fileobj=path, path_in_repo="w/model.safetensors")
        api.create_bucket("alice/b")

    def copy(api):
        api.copy_files("hf://alice/m/w/model.safetensors", "hf://buckets/alice/b/from-model/")
        api.download_bucket_files("alice/b", [("from-model/model.safetensors", "back")])
        return sha256("back")

    newest.run(upload, weights)
    stored, tap = hub.stored_bytes(), Tap(hub)
    try:
        assert newest.run(copy, HF_ENDPOINT=tap.url) == hashlib.sha256(weights.read_bytes()).hexdigest()
        assert not tap.seen("POST", "/xorbs/|/shards") and not tap.seen("GET", "/alice/m/resolve/")
        assert sum(r.sent for method in ("POST", "PUT") for r in tap.seen(method)) < 3000
    finally:
        tap.close()
    assert hub.stored_bytes() == stored
    # somebody who may not read the model gets nothing, though the hash is right
    hub.ok("POST", "/api/buckets/bob/mine", "bob")
    (item,) = tree(hub)
    line = {"type": "copyFile", "path": "x", "xetHash": item["xetHash"]}
    line |= {"sourceRepoType": "model", "sourceRepoId": "alice/m"}
    refused = batch(hub, [line], "/api/buckets/bob/mine", "bob")
    assert refused.status == 422 and refused.json["failed"][0]["path"] == "x"
    refused = batch(hub, [add("x", item["xetHash"])], "/api/buckets/bob/mine", "bob")
    assert refused.status == 422


# --- JavaScript -----------------------------------------------------------------------------------


def test_javascript(hub, node):
    """createRepo, uploadFiles, listFiles, pathsInfo, fileDownloadInfo, downloadFile, copyFile, deleteFiles."""
    got = node("buckets")
    assert got["url"].endswith("/buckets/alice/js")
    assert got["files"] == ["a.txt", "empty", "sub/big.bin"]
    assert got["folder"] == [["a.txt", "file"], ["empty", "file"], ["sub", "directory"]]
    assert got["text"] == "hello" and got["info"]["size"] == 5
    assert got["exists"] == [True, False]
    assert got["big"] == hashlib.sha256(bytes(i % 251 for i in range(1_500_000))).hexdigest()
    assert got["left"] == ["copy.txt", "empty", "sub/big.bin"]
    assert hub.http("GET", "/api/buckets/alice/js", "alice").status == 404


# --- the server's own rules -----------------------------------------------------------------------


def test_ranges_and_types(hub, newest):
    """Plain HTTP: ranges, conditions, and no active content on this origin."""
    page = b"<script>alert(1)</script>" * 10
    hashes = fill(hub, newest, {"page.html": page, "data.bin": random_bytes(100_000, "ranges")})
    whole = hub.ok("GET", "/buckets/alice/b/resolve/page.html", None)
    assert whole.body == page and whole.headers["Content-Type"].startswith("text/plain")
    assert whole.headers["X-Content-Type-Options"] == "nosniff" and "sandbox" in whole.headers["Content-Security-Policy"]
    etag = f'"{hashes["data.bin"]}"'
    data = random_bytes(100_000, "ranges")

    def get(**headers):
        sent = {k.replace("_", "-"): v for k, v in headers.items()}
        return hub.http("GET", "/buckets/alice/b/resolve/data.bin", None, headers=sent)

    part = get(Range="bytes=10-19")
    assert part.status == 206 and part.body == data[10:20] and part.headers["ETag"] == etag
    assert part.headers["Content-Range"] == "bytes 10-19/100000"
    assert get(Range="bytes=99990-").body == data[-10:] and get(Range="bytes=-5").body == data[-5:]
    assert get(Range="bytes=100000-").status == 416
    assert get(Range="bytes=0-1", If_Range=etag).status == 206
    assert get(Range="bytes=0-1", If_Range=part.headers["Last-Modified"]).status == 206
    assert get(Range="bytes=0-1", If_Range='"other"').status == 200
    assert get(If_None_Match=etag).status == 304
    assert get(If_Modified_Since=part.headers["Last-Modified"]).status == 304


def test_overwritten_stays_readable_for_a_while(hub, newest):
    """Who reads a file while it is replaced reads it to its end: by its hash, for the grace period."""
    old = fill(hub, newest, {"f.bin": random_bytes(50_000, "old")})["f.bin"]
    new = fill(hub, newest, {"f.bin": random_bytes(50_000, "new")})["f.bin"]
    assert old != new
    assert batch(hub, [add("restored.bin", old)]).status == 200
    back = hub.ok("GET", "/buckets/alice/b/resolve/restored.bin").body
    assert back == random_bytes(50_000, "old")


def test_quota(hub, newest):
    """507 when a namespace is full, with nothing applied; copies count."""
    (content,) = fill(hub, newest, {"f.bin": random_bytes(60_000, "quota")}).values()
    hub.admin("quota", "set", "alice", "100000")
    full = batch(hub, [add("copy.bin", content), add("empty")])
    assert full.status == 507 and full.headers["X-Error-Code"] == "QuotaExceeded"
    assert names(tree(hub)) == ["f.bin"]
    assert batch(hub, [add("copy.bin", content), delete("f.bin")]).status == 200


def test_giving_contents_to_a_repository(hub, newest):
    """lfs-files/duplicate: a bucket's content in a commit of a model, its SHA-256 proved first."""
    data = random_bytes(400_000, "to a model")
    (content,) = fill(hub, newest, {"w.bin": data}).values()
    hub.create("alice/m")
    digest = hashlib.sha256(data).hexdigest()

    def give(sha256, xet=content, user="alice", name="alice/m"):
        file = {"xetHash": xet, "sha256": sha256, "filename": "w.bin"}
        body = {"target": {"type": "model", "name": name}, "files": [file]}
        return hub.http("POST", f"{BUCKET}/lfs-files/duplicate", user, body)

    wrong = give("1" * 64)
    assert wrong.status == 207 and wrong.json["failed"][0]["sha256"] == "1" * 64
    assert give(digest, xet="2" * 64).status == 207
    assert give(digest, user="bob").status == 403
    given = give(digest)
    assert given.status == 200 and given.json["success"] is True
    value = {"path": "w.bin", "algo": "sha256", "oid": digest, "size": len(data)}
    lines = [{"key": "header", "value": {"summary": "given"}}, {"key": "lfsFile", "value": value}]
    body = "\n".join(map(json.dumps, lines)).encode()
    hub.ok("POST", "/api/models/alice/m/commit/main", body=body, headers={"Content-Type": "application/x-ndjson"})
    assert hub.ok("GET", "/alice/m/resolve/main/w.bin").body == data


@pytest.mark.since("1.6")
def test_old_names_lead_on(hub, client):
    """After a move the old address redirects, relatively; clients follow."""
    fill(hub, client, {"a/b.txt": b"moved"})
    hub.ok("POST", "/api/repos/move", body={"type": "bucket", "fromRepo": "alice/b", "toRepo": "acme/c"})
    there = hub.http("GET", "/api/buckets/alice/b/tree/a?recursive=false")
    assert there.status == 307 and there.headers["Location"] == "/api/buckets/acme/c/tree/a?recursive=false"

    def story(api):
        api.download_bucket_files("alice/b", [("a/b.txt", "back")])
        return [f.path for f in api.list_bucket_tree("alice/b", recursive=True)], Path("back").read_text()

    assert client.run(story) == [["a/b.txt"], "moved"]


def test_export(hub, newest, tmp_path):
    """hearth export: a bucket is a folder, with its times; names that a folder cannot have are told."""
    content = {"a/b.bin": random_bytes(300_000, "out"), "top.txt": b"top", "empty": b""}
    hashes = fill(hub, newest, content)
    more = [add("a", hashes["top.txt"]), add("x/./y", hashes["top.txt"]), add("n" * 300, hashes["top.txt"])]
    more += [add("dated", hashes["top.txt"], mtime=1_600_000_000_123, mtimeNanos=456789)]
    assert batch(hub, more).status == 200
    out = tmp_path / "out"
    said = hub.run("export", "buckets/alice/b", out, check=False)
    assert said.returncode == 1 and "is left out: File name too long" in said.stderr
    assert f"a is written as {out}/a~file" in said.stderr
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert found == {**content, "a~file": b"top", "x/%2E/y": b"top", "dated": b"top"}
    assert (out / "dated").stat().st_mtime_ns == 1_600_000_000_123_456_789
    batch(hub, [delete("n" * 300)])
    hub.create("alice/m")
    assert "2 repositories exported, 0 failed" in hub.run("export", "--all", tmp_path / "all").stdout
    assert (tmp_path / "all" / "buckets" / "alice" / "b" / "top.txt").read_bytes() == b"top"


def test_a_batch_of_many(hub):
    """200,000 additions and as many removals in one request: memory stays, sums are right."""
    hub.ok("POST", BUCKET)
    count = 200_000
    lines = "\n".join('{"type":"addFile","path":"d%d/f%d","xetHash":"%s"}' % (i % 500, i, EMPTY) for i in range(count))
    with Peak(hub) as peak:
        answer = hub.http("POST", f"{BUCKET}/batch", "alice", lines.encode(), timeout=300)
    assert answer.status == 200 and answer.json["succeeded"] == count, answer
    assert peak.grown_mib < 48, peak.grown_mib
    assert hub.ok("GET", BUCKET).json["totalFiles"] == count
    folders = tree(hub, "?recursive=false&limit=200")
    assert len(folders) == 500 and {f["type"] for f in folders} == {"directory"}
    with Peak(hub) as peak:
        lines = "\n".join('{"type":"deleteFile","path":"d%d/f%d"}' % (i % 500, i) for i in range(count))
        answer = hub.http("POST", f"{BUCKET}/batch", "alice", lines.encode(), timeout=300)
    assert answer.status == 200 and tree(hub, "?recursive=false") == []
    assert peak.grown_mib < 48, peak.grown_mib


def test_after_a_crash(hub, newest):
    """What a batch answered is there after the power went; folders and sums agree."""
    fill(hub, newest, {"a/b.txt": b"kept", "a/c.txt": b"kept too"})
    hub.kill()
    hub.start()
    assert names(tree(hub, "?recursive=false")) == ["a"]
    assert hub.ok("GET", "/buckets/alice/b/resolve/a/c.txt").body == b"kept too"
    assert hub.ok("GET", BUCKET).json["size"] == 12
