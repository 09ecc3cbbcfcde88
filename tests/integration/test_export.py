"""hearth export: what it writes needs nothing but git and git-lfs; it works beside a running server."""

import hashlib
import os

import pytest
from harness.clients import Git, random_bytes

LARGE = random_bytes(3_000_000, "export")
TWIN = random_bytes(200_000, "export twin")


def put_large(hub, repo, path, content, kind="model"):
    """One LFS file through the API; returns its SHA-256."""
    digest = hashlib.sha256(content).hexdigest()
    prefix = "" if kind == "model" else f"{kind}s/"
    thing = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": digest, "size": len(content)}]}
    (entry,) = hub.ok("POST", f"/{prefix}{repo}.git/info/lfs/objects/batch", body=thing).json["objects"]
    if "actions" in entry:
        action = entry["actions"]["upload"]
        sent = hub.http("PUT", action["href"], body=content, headers=action.get("header"))
        assert sent.status in (200, 201, 204), sent
    value = f'"path":"{path}","algo":"sha256","oid":"{digest}","size":{len(content)}'
    body = f'{{"key":"header","value":{{"summary":"add {path}"}}}}\n{{"key":"lfsFile","value":{{{value}}}}}\n'
    url = f"/api/{kind}s/{repo}/commit/main"
    hub.ok("POST", url, body=body.encode(), headers={"Content-Type": "application/x-ndjson"})
    return digest


@pytest.fixture
def model(hub):
    """alice/m, private: small and large files, a branch, two tags, a history."""
    hub.create("alice/m", private=True)
    hub.commit("alice/m", {"README.md": "# One\n", "sub/deep/a.txt": "a\n"})
    put_large(hub, "alice/m", "weights.safetensors", LARGE)
    hub.ok("POST", "/api/models/alice/m/tag/main", body={"tag": "v1", "message": "the first"})
    hub.ok("POST", "/api/models/alice/m/tag/main", body={"tag": "light"})
    hub.ok("POST", "/api/models/alice/m/branch/side", body={})
    hub.commit("alice/m", {"README.md": "# Two\n"})
    put_large(hub, "alice/m", "sub/twin.bin", TWIN)
    return "alice/m"


@pytest.fixture
def alone(hub, tmp_path):
    """git that has no credentials and, once the hub is stopped, nobody to ask."""
    return Git(hub, tmp_path / "alone")


def lfs_files(folder):
    found = {}
    for path in (folder / "lfs" / "objects").rglob("*"):
        if path.is_file():
            assert path.parent == folder / "lfs" / "objects" / path.name[:2] / path.name[2:4]
            found[path.name] = path.read_bytes()
    return found


def test_clone_without_a_server(hub, git, alone, model, tmp_path):
    """A clone of the export is the clone of the hub, large files and all, with the hub gone."""
    there = git("ls-remote", git.remote(model))
    dest = tmp_path / "out" / "m.git"
    said = hub.run("export", f"models/{model}", dest).stdout.splitlines()
    assert said[0].startswith(f"models/{model}: ") and "2 large files" in said[0], said
    assert said[-1].startswith("1 repositories exported, 0 failed"), said
    hub.stop()

    alone.fsck(dest)
    assert alone("ls-remote", dest) == there
    packs = sorted(p.suffix for p in (dest / "objects" / "pack").iterdir())
    assert packs == [".idx", ".pack"]
    alone("verify-pack", next((dest / "objects" / "pack").glob("*.idx")))
    for digest, content in lfs_files(dest).items():
        assert hashlib.sha256(content).hexdigest() == digest
    assert len(lfs_files(dest)) == 2 and not (dest / "lfs" / "tmp").exists()

    clone = tmp_path / "clone"
    alone("clone", "--quiet", dest, clone, GIT_LFS_SKIP_SMUDGE=1)
    assert (clone / "weights.safetensors").read_bytes().startswith(b"version https://git-lfs")
    alone("lfs", "pull", cwd=clone)
    alone("lfs", "checkout", cwd=clone)
    assert (clone / "weights.safetensors").read_bytes() == LARGE
    assert (clone / "sub" / "twin.bin").read_bytes() == TWIN
    assert (clone / "README.md").read_text() == "# Two\n"
    assert alone("status", "--porcelain", cwd=clone) == ""
    assert alone("cat-file", "-t", "v1", cwd=clone) == "tag"
    alone("checkout", "--quiet", "light", cwd=clone)
    assert (clone / "README.md").read_text() == "# One\n"
    assert (clone / "weights.safetensors").read_bytes() == LARGE
    assert alone("branch", "-r", cwd=clone).split()[-1] == "origin/side"
    alone.fsck(clone)

    smudged = tmp_path / "smudged"  # the large files come with the clone, too
    alone("clone", "--quiet", dest, smudged)
    assert (smudged / "weights.safetensors").read_bytes() == LARGE


def test_lfs_checkout_inside_the_export(hub, alone, model, tmp_path):
    """The bare folder itself is a git-lfs storage: a work tree beside it fills up offline."""
    dest, work = tmp_path / "m.git", tmp_path / "work"
    hub.run("export", f"model/{model}", dest)
    work.mkdir()
    alone("--git-dir", dest, "--work-tree", work, "checkout", "--quiet", "main", "--", ".", cwd=work)
    assert (work / "weights.safetensors").read_bytes() == LARGE
    assert "OK" in alone("--git-dir", dest, "lfs", "fsck")


def test_everything_at_once(hub, git, alone, model, tmp_path):
    """--all: every kind, every owner, private ones too; special refs; one line each and a sum."""
    hub.create("acme/data", "dataset", private=True)
    put_large(hub, "acme/data", "rows.parquet", TWIN, "dataset")
    hub.create("bob/page", "space", user="bob", sdk="static")
    hub.create("bob/fresh", user="bob")
    body = b'{"key":"header","value":{"summary":"propose"}}\n{"key":"file","value":{"path":"p.txt","content":"p"}}\n'
    lines = {"Content-Type": "application/x-ndjson"}
    made = hub.ok("POST", f"/api/models/{model}/commit/main?create_pr=1", body=body, headers=lines)
    pull = git("ls-remote", git.remote(model), "refs/pr/*").split()
    assert made.json["pullRequestUrl"] and pull[1].startswith("refs/pr/")

    dest = tmp_path / "all"
    dest.mkdir()  # empty is as good as absent
    said = hub.run("export", "--all", dest).stdout.splitlines()
    names = ["models/alice/m", "models/bob/fresh", "datasets/acme/data", "spaces/bob/page"]
    assert sorted(line.split(": ")[0] for line in said[:-1]) == sorted(names)
    assert said[-1].startswith("4 repositories exported, 0 failed")
    for name in names:
        alone.fsck(dest / f"{name}.git")
        assert alone("symbolic-ref", "HEAD", cwd=dest / f"{name}.git") == "refs/heads/main"
        assert (dest / f"{name}.git" / "description").read_text() == name + "\n"
    assert list(lfs_files(dest / "datasets/acme/data.git").values()) == [TWIN]
    assert alone("ls-remote", dest / "models/alice/m.git", "refs/pr/*").split() == pull
    mirror = tmp_path / "mirror.git"
    alone("clone", "--quiet", "--mirror", dest / "models/alice/m.git", mirror)
    assert alone("rev-parse", pull[1], cwd=mirror) == pull[0]
    hub.ok("GET", f"/api/models/{model}/auth-check")  # the hub never stopped


def test_a_repository_that_only_exists(hub, alone, tmp_path):
    """Nothing but the initial commit; and DEST's parents are made."""
    hub.create("alice/new")
    dest = tmp_path / "a" / "b" / "new.git"
    hub.run("export", "models/alice/new", dest)
    alone.fsck(dest)
    alone("clone", "--quiet", dest, tmp_path / "clone")
    assert alone("rev-list", "--count", "HEAD", cwd=tmp_path / "clone") == "1"
    assert dest.stat().st_mode & 0o077 == 0  # private repositories stay private


@pytest.mark.parametrize(
    "args, code, says",
    [
        (["models/alice/nothing", "OUT"], 1, 'no model "alice/nothing"'),
        (["alice/m", "OUT"], 2, "write it like models/"),
        (["models/alice/m/more", "OUT"], 2, "write it like models/"),
        (["models/alice/m"], 2, "Usage: hearth export"),
        (["--all"], 2, "Usage: hearth export"),
        (["--all", "OUT", "more"], 2, "Usage: hearth export"),
        (["--everything", "OUT"], 2, "--everything"),
        (["models/alice/m", "USED"], 1, "is not empty"),
        (["--all", "USED"], 1, "is not empty"),
        (["models/alice/m", "USED/file"], 1, "is no folder"),
    ],
)
def test_refusals(hub, tmp_path, args, code, says):
    hub.create("alice/m")
    used = tmp_path / "used"
    used.mkdir()
    (used / "file").write_text("mine\n")
    places = {"OUT": tmp_path / "out", "USED": used, "USED/file": used / "file"}
    done = hub.run("export", *(places.get(a, a) for a in args), check=False)
    assert (done.returncode, done.stdout.count("exported, 0 failed")) == (code, 0), done
    assert says in done.stderr and done.stderr.startswith("hearth: ")
    assert [p.name for p in used.iterdir()] == ["file"] and (used / "file").read_text() == "mine\n"
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_hub(hub, tmp_path):
    """A mistyped --data makes no new hub."""
    hub.stop()
    hub.data = tmp_path / "nowhere"
    done = hub.run("export", "--all", tmp_path / "out", check=False)
    assert done.returncode == 1 and "holds no hub" in done.stderr
    assert not hub.data.exists() and not (tmp_path / "out").exists()


def test_damage_costs_one_file_only(hub, alone, model, tmp_path):
    """A flipped bit in the store: that large file is left out and told, everything else is saved."""
    hub.stop()
    (bodies,) = [[p for p in (hub.data / "blob" / "xorb").rglob("*") if p.is_file() and p.suffix != ".idx"]]
    for path in bodies:
        raw = bytearray(path.read_bytes())
        at = raw.find(LARGE[1_000_000:1_000_032])
        if at >= 0:
            raw[at] ^= 1
            os.chmod(path, 0o600)
            path.write_bytes(raw)
    dest = tmp_path / "out"
    done = hub.run("export", "--all", dest, check=False)
    assert done.returncode == 1
    assert hashlib.sha256(LARGE).hexdigest() in done.stderr and "1 failed" in done.stdout, done
    saved = dest / "models" / "alice" / "m.git"
    assert list(lfs_files(saved).values()) == [TWIN]
    alone.fsck(saved)
    hub.start()
