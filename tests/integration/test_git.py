"""Stock git and git-lfs: clone, fetch, push, branches, tags, mirrors; fsck is clean every time."""

import hashlib
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.clients import Git, Peak, random_bytes


@pytest.fixture
def model(hub):
    """alice/m with a history of five commits and two folders."""
    hub.create("alice/m")
    for n in range(4):
        hub.commit("alice/m", {f"{n}.txt": f"file {n}\n", "sub/deep/a.txt": f"version {n}\n"}, summary=f"commit {n}")
    return "alice/m"


def put_lfs(hub, repo, path, content):
    """One LFS file through the API."""
    digest = hashlib.sha256(content).hexdigest()
    thing = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": digest, "size": len(content)}]}
    (entry,) = hub.ok("POST", f"/{repo}.git/info/lfs/objects/batch", body=thing).json["objects"]
    if "actions" in entry:
        assert hub.http("PUT", entry["actions"]["upload"]["href"], body=content).status in (200, 201, 204)
    value = f'"path":"{path}","algo":"sha256","oid":"{digest}","size":{len(content)}'
    body = f'{{"key":"header","value":{{"summary":"add {path}"}}}}\n{{"key":"lfsFile","value":{{{value}}}}}\n'
    return hub.ok("POST", f"/api/models/{repo}/commit/main", body=body.encode(), headers={"Content-Type": "application/x-ndjson"})


def test_clone(hub, git, model):
    """Every REST commit is a real commit, with its author, title and tree."""
    clone = git.clone(model)
    git.fsck(clone)
    assert git("log", "--format=%s|%an", cwd=clone).splitlines() == [
        *(f"commit {n}|alice" for n in (3, 2, 1, 0)),
        "initial commit|alice",
    ]
    assert (clone / "sub/deep/a.txt").read_text() == "version 3\n"
    head = hub.ok("GET", f"/api/models/{model}").json["sha"]
    assert git("rev-parse", "HEAD", cwd=clone) == head
    assert git("status", "--porcelain", cwd=clone) == ""


@pytest.mark.parametrize("suffix", ["", ".git"])
@pytest.mark.parametrize("prefix", ["", "models/"])
def test_clone_urls(hub, git, model, suffix, prefix):
    assert "HEAD" in git("ls-remote", f"{hub.url}/{prefix}{model}{suffix}")


def test_clone_of_a_dataset(hub, git):
    hub.create("alice/data", "dataset")
    hub.commit("alice/data", {"rows.csv": "a,b\n1,2\n"}, "dataset")
    clone = git.clone("alice/data", kind="dataset")
    assert (clone / "rows.csv").read_text() == "a,b\n1,2\n"
    git.fsck(clone)


@pytest.mark.parametrize("version", ["0", "2"])
def test_shallow_and_partial_clones(hub, git, model, version):
    """--depth, --filter=blob:none, --single-branch, in both protocol versions; then deepened."""
    config = ("-c", f"protocol.version={version}")
    shallow = git.home / "shallow"
    git(*config, "clone", "-q", "--depth", "1", git.remote(model), shallow)
    assert git("rev-list", "--count", "HEAD", cwd=shallow) == "1"
    git.fsck(shallow)
    git(*config, "fetch", "-q", "--deepen", "2", cwd=shallow)
    assert git("rev-list", "--count", "HEAD", cwd=shallow) == "3"
    git(*config, "fetch", "-q", "--unshallow", cwd=shallow)
    assert git("rev-list", "--count", "HEAD", cwd=shallow) == "5"
    git.fsck(shallow)

    partial = git.home / "partial"
    git(*config, "clone", "-q", "--filter=blob:none", "--no-checkout", git.remote(model), partial)
    missing = git("rev-list", "--objects", "--all", "--missing=print", cwd=partial)
    assert any(line.startswith("?") for line in missing.splitlines()), "nothing was left out"
    git(*config, "checkout", "-q", "main", cwd=partial)
    assert (partial / "sub/deep/a.txt").read_text() == "version 3\n"

    hub.ok("POST", f"/api/models/{model}/branch/side", body={})
    single = git.home / "single"
    git(*config, "clone", "-q", "--single-branch", "-b", "side", git.remote(model), single)
    assert git("branch", "-r", cwd=single).split() == ["origin/side"]


def test_fetch_after_rest_commits(hub, git, model):
    """Only what is new travels, and history fits together."""
    clone = git.clone(model)
    for n in range(3):
        hub.commit(model, {f"new{n}.txt": f"{n}"}, summary=f"later {n}")
    git("pull", "-q", "--ff-only", cwd=clone)
    assert git("log", "-1", "--format=%s", cwd=clone) == "later 2"
    assert git("fetch", cwd=clone, check=False).stderr.strip() == "", "a second fetch found something"
    git.fsck(clone)


def test_push_is_visible_to_rest(hub, git, model):
    """A push of 300 files in two commits: tree, commits and files of the API show it at once."""
    clone = git.clone(model)
    (clone / "many").mkdir()
    for n in range(300):
        (clone / "many" / f"{n:03}.txt").write_text(f"pushed {n}\n" * (n % 50 + 1))
    git("add", ".", cwd=clone)
    git("commit", "-qm", "three hundred\n\nwith a body", cwd=clone)
    (clone / "0.txt").unlink()
    git("commit", "-qam", "one less", cwd=clone)
    git("push", "-q", cwd=clone)

    head = git("rev-parse", "HEAD", cwd=clone)
    assert hub.ok("GET", f"/api/models/{model}").json["sha"] == head
    commits = hub.ok("GET", f"/api/models/{model}/commits/main").json
    assert [c["title"] for c in commits[:2]] == ["one less", "three hundred"]
    assert commits[1]["message"] == "with a body"
    tree = hub.ok("GET", f"/api/models/{model}/tree/main/many").json
    assert len(tree) == 300
    expanded = hub.ok("GET", f"/api/models/{model}/tree/main?expand=true").json
    assert {e["path"]: e["lastCommit"]["title"] for e in expanded}["many"] == "three hundred"
    assert hub.http("GET", f"/{model}/resolve/main/many/017.txt").text == "pushed 17\n" * 18
    assert hub.http("HEAD", f"/{model}/resolve/main/0.txt").status == 404
    git.fsck(git.clone(model))


def test_push_of_an_lfs_file(hub, git, newest):
    """*.bin goes through git-lfs; the other side gets it through git-lfs and through resolve."""
    hub.create("alice/m")
    clone = git.clone("alice/m")
    content = random_bytes(9 << 20, "lfs push")
    (clone / "weights.bin").write_bytes(content)
    git("add", ".", cwd=clone)
    assert git("cat-file", "blob", ":weights.bin", cwd=clone).startswith("version https://git-lfs")
    git("commit", "-qm", "weights", cwd=clone)
    pushed = git("push", cwd=clone, check=False)
    assert pushed.returncode == 0, pushed.stderr
    other = git.clone("alice/m")
    assert (other / "weights.bin").read_bytes() == content
    git("lfs", "fsck", cwd=other)
    git.fsck(other)
    assert hub.http("GET", "/alice/m/resolve/main/weights.bin").body == content

    def story(api):
        from huggingface_hub import hf_hub_download

        return sha256(hf_hub_download("alice/m", "weights.bin"))

    assert newest.run(story) == hashlib.sha256(content).hexdigest()


def test_lfs_file_from_rest_to_git(hub, git):
    content = random_bytes(300_000, "rest to git")
    hub.create("alice/m")
    put_lfs(hub, "alice/m", "model.safetensors", content)
    clone = git.clone("alice/m")
    assert (clone / "model.safetensors").read_bytes() == content
    git.fsck(clone)


def test_pointer_without_its_object_is_refused(hub, git, tmp_path):
    """Also when another repository has the object: a hash is not a key."""
    content = random_bytes(50_000, "elsewhere")
    hub.create("alice/secret", private=True)
    put_lfs(hub, "alice/secret", "x.bin", content)
    hub.create("bob/m", user="bob")
    bob = Git(hub, tmp_path / "bob", "bob")
    clone = bob.clone("bob/m")
    digest = hashlib.sha256(content).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
    oid = bob("hash-object", "-w", "--stdin", cwd=clone, stdin=pointer)
    bob("update-index", "--add", "--cacheinfo", f"100644,{oid},x.bin", cwd=clone)
    bob("commit", "-qm", "claim", cwd=clone)
    refused = bob("push", "--no-verify", cwd=clone, check=False)
    assert refused.returncode != 0 and "x.bin" in refused.stderr
    assert [f["path"] for f in hub.ok("GET", "/api/models/bob/m/tree/main", "bob").json] == [".gitattributes"]


def test_large_plain_file_is_refused(hub, git):
    """More than 10 MB outside of LFS: the push is rejected, the file named, nothing changed."""
    hub.create("alice/m")
    clone = git.clone("alice/m")
    (clone / "huge.txt").write_text("a line of text\n" * 800_000)
    git("add", ".", cwd=clone)
    git("commit", "-qm", "too large", cwd=clone)
    refused = git("push", cwd=clone, check=False)
    assert refused.returncode != 0 and "huge.txt" in refused.stderr and "remote:" in refused.stderr
    assert hub.http("HEAD", "/alice/m/resolve/main/huge.txt").status == 404


def test_branches_and_tags(hub, git, model):
    clone = git.clone(model)
    git("checkout", "-qb", "feature/one", cwd=clone)
    (clone / "feature.txt").write_text("f")
    git("add", ".", cwd=clone)
    git("commit", "-qm", "feature", cwd=clone)
    git("tag", "light", cwd=clone)
    git("tag", "-am", "annotated", "heavy", cwd=clone)
    git("push", "-q", "origin", "feature/one", "light", "heavy", cwd=clone)
    head = git("rev-parse", "HEAD", cwd=clone)
    refs = hub.ok("GET", f"/api/models/{model}/refs").json
    assert {b["name"]: b["targetCommit"] for b in refs["branches"]}["feature/one"] == head
    assert {t["name"]: t["targetCommit"] for t in refs["tags"]} == {"light": head, "heavy": head}
    assert hub.http("GET", f"/{model}/resolve/feature%2Fone/feature.txt").text == "f"

    git("push", "-q", "origin", "--delete", "feature/one", cwd=clone)
    git("push", "-q", "origin", ":refs/tags/light", cwd=clone)
    refs = hub.ok("GET", f"/api/models/{model}/refs").json
    assert [b["name"] for b in refs["branches"]] == ["main"] and [t["name"] for t in refs["tags"]] == ["heavy"]
    kept = git("push", "origin", "--delete", "main", cwd=clone, check=False)
    assert kept.returncode != 0 and "main" in kept.stderr
    git.fsck(git.clone(model))


def test_force_push(hub, git, model):
    """A push that loses commits is refused by git, and accepted with --force from a writer."""
    clone = git.clone(model)
    git("reset", "-q", "--hard", "HEAD~2", cwd=clone)
    (clone / "other.txt").write_text("o")
    git("add", ".", cwd=clone)
    git("commit", "-qm", "another history", cwd=clone)
    assert git("push", cwd=clone, check=False).returncode != 0
    assert hub.ok("GET", f"/api/models/{model}/commits/main").json[0]["title"] == "commit 3"
    git("push", "-q", "--force", cwd=clone)
    assert hub.ok("GET", f"/api/models/{model}/commits/main").json[0]["title"] == "another history"
    assert hub.http("HEAD", f"/{model}/resolve/main/3.txt").status == 404
    git.fsck(git.clone(model))


def test_a_push_that_comes_too_late(hub, git, model):
    """The head moved since the fetch: rejected, and after a pull it works."""
    clone = git.clone(model)
    hub.commit(model, {"rest.txt": "r"})
    (clone / "push.txt").write_text("p")
    git("add", ".", cwd=clone)
    git("commit", "-qm", "push", cwd=clone)
    late = git("push", cwd=clone, check=False)
    assert late.returncode != 0 and ("rejected" in late.stderr)
    git("pull", "-q", "--rebase", cwd=clone)
    git("push", "-q", cwd=clone)
    paths = [f["path"] for f in hub.ok("GET", f"/api/models/{model}/tree/main").json]
    assert "rest.txt" in paths and "push.txt" in paths


def test_atomic_push(hub, git, model):
    """--atomic: one bad ref, and no ref moves."""
    clone = git.clone(model)
    git("commit", "-q", "--allow-empty", "-m", "empty", cwd=clone)
    pushed = git("push", "--atomic", "origin", "HEAD:refs/heads/good", "HEAD:refs/pr/77", cwd=clone, check=False)
    assert pushed.returncode != 0
    assert [b["name"] for b in hub.ok("GET", f"/api/models/{model}/refs").json["branches"]] == ["main"]


def test_pull_request_ref(hub, git, model):
    """refs/pr/N can be fetched and pushed to by its author, and is not cloned."""
    lines = '{"key":"header","value":{"summary":"proposal"}}\n{"key":"file","value":{"path":"p.txt","content":"p"}}\n'
    made = hub.ok("POST", f"/api/models/{model}/commit/main?create_pr=1", "bob", lines.encode(), {"Content-Type": "application/x-ndjson"})
    assert made.json["pullRequestUrl"].endswith("/discussions/1")
    clone = git.clone(model)
    assert "pr/1" not in git("branch", "-a", cwd=clone)
    git("fetch", "-q", "origin", "refs/pr/1:pr/1", cwd=clone)
    git("checkout", "-q", "pr/1", cwd=clone)
    (clone / "q.txt").write_text("q")
    git("add", ".", cwd=clone)
    git("commit", "-qm", "more", cwd=clone)
    git("push", "-q", "origin", "HEAD:refs/pr/1", cwd=clone)
    tree = hub.ok("GET", f"/api/models/{model}/tree/refs%2Fpr%2F1").json
    assert {"p.txt", "q.txt"} <= {f["path"] for f in tree}
    refused = git("push", "origin", "HEAD:refs/pr/9", cwd=clone, check=False)
    assert refused.returncode != 0


def test_who_may(hub, tmp_path, model):
    """Nobody and strangers clone public repositories only; a wrong token is refused even there."""
    hub.create("alice/secret", private=True)
    nobody, bob = Git(hub, tmp_path / "nobody"), Git(hub, tmp_path / "bob", "bob")
    wrong = Git(hub, tmp_path / "wrong", "alice", "hf_wrong")
    reader = Git(hub, tmp_path / "reader", "alice", "hf_AliceMayRead")
    nobody.clone(model)
    reader.clone("alice/secret")
    for who in (nobody, bob, wrong):
        refused = who("ls-remote", who.remote("alice/secret"), check=False)
        assert refused.returncode != 0
        assert "not found" in refused.stderr or "Authentication failed" in refused.stderr or "could not read" in refused.stderr
    for who in (bob, reader):
        clone = who.clone(model)
        who("commit", "-q", "--allow-empty", "-m", "mine", cwd=clone)
        refused = who("push", cwd=clone, check=False)
        assert refused.returncode != 0 and "403" in refused.stderr
    absent = bob("ls-remote", bob.remote("alice/absent"), check=False)
    secret = bob("ls-remote", bob.remote("alice/secret"), check=False)
    assert absent.stderr.replace("absent", "secret") == secret.stderr, "private and missing look different"


def test_bearer_header(hub, tmp_path):
    hub.create("alice/secret", private=True)
    nobody = Git(hub, tmp_path / "nobody")
    header = "http.extraHeader=Authorization: Bearer hf_AliceMayWrite"
    assert "HEAD" in nobody("-c", header, "ls-remote", nobody.remote("alice/secret"))


def test_twenty_clones_at_once(hub, git):
    hub.create("alice/m")
    for n in range(20):
        hub.commit("alice/m", {f"{n}.txt": random_bytes(20_000, f"clone {n}").hex()})
    with ThreadPoolExecutor(20) as pool:
        clones = list(pool.map(lambda n: git.clone("alice/m", into=git.home / f"clone{n}"), range(20)))
    for clone in clones:
        git.fsck(clone)
        assert git("rev-list", "--count", "HEAD", cwd=clone) == "21"


def test_moving_in(hub, git, tmp_path):
    """A repository from elsewhere: push --mirror and lfs push --all into a fresh one; foreign refs/pr are skipped."""
    source = tmp_path / "source"
    git("init", "-q", source)
    git("lfs", "track", "*.bin", cwd=source)
    content = random_bytes(200_000, "moving in")
    (source / "weights.bin").write_bytes(content)
    (source / "README.md").write_text("# Moved\n")
    git("add", ".", cwd=source)
    git("commit", "-qm", "the first of another history", cwd=source)
    git("branch", "side", cwd=source)
    git("tag", "v1", cwd=source)
    git("commit", "-q", "--allow-empty", "-m", "second", cwd=source)
    git("update-ref", "refs/pr/1", "HEAD", cwd=source)
    hub.create("alice/moved")
    git("remote", "add", "origin", git.remote("alice/moved"), cwd=source)
    git("lfs", "push", "--all", "origin", cwd=source)
    pushed = git("push", "--mirror", "origin", cwd=source, check=False)
    assert "refs/heads/main" in git("ls-remote", "origin", cwd=source), pushed.stderr
    assert "remote:" in pushed.stderr and "refs/pr" in pushed.stderr
    refs = hub.ok("GET", "/api/models/alice/moved/refs").json
    assert [b["name"] for b in refs["branches"]] == ["main", "side"] and [t["name"] for t in refs["tags"]] == ["v1"]
    titles = [c["title"] for c in hub.ok("GET", "/api/models/alice/moved/commits/main").json]
    assert titles == ["second", "the first of another history"], "the initial commit was not replaced"
    clone = git.clone("alice/moved")
    assert (clone / "weights.bin").read_bytes() == content
    git.fsck(clone)


def test_mirror_from_hub_to_hub(make_hub, tmp_path):
    """All heads, tags and LFS objects of one hub arrive at another."""
    first, second = make_hub(), make_hub()
    a, b = Git(first, tmp_path / "a", "alice"), Git(second, tmp_path / "b", "alice")
    first.create("alice/m")
    content = random_bytes(150_000, "mirror")
    put_lfs(first, "alice/m", "x.bin", content)
    first.commit("alice/m", {"a.txt": "a"})
    first.ok("POST", "/api/models/alice/m/branch/dev", body={})
    first.ok("POST", "/api/models/alice/m/tag/main", body={"tag": "v1"})
    mirror = tmp_path / "mirror.git"
    a("clone", "-q", "--mirror", a.remote("alice/m"), mirror)
    a("lfs", "fetch", "--all", cwd=mirror)
    second.create("alice/m")
    b("remote", "set-url", "origin", b.remote("alice/m"), cwd=mirror)
    b("lfs", "push", "--all", "origin", cwd=mirror)
    b("push", "-q", "--mirror", "origin", cwd=mirror)
    before, after = (hub.ok("GET", "/api/models/alice/m/refs").json for hub in (first, second))
    assert before == after
    clone = b.clone("alice/m")
    assert (clone / "x.bin").read_bytes() == content
    b.fsck(clone)


def test_export(hub, git, tmp_path):
    """Moving out: a bare repository with its LFS objects, checked out by stock git with the server gone."""
    hub.create("alice/m")
    content = random_bytes(120_000, "export")
    put_lfs(hub, "alice/m", "x.bin", content)
    hub.commit("alice/m", {"a.txt": "a\n"})
    hub.stop()
    hub.run("export", "model/alice/m", tmp_path / "out")
    (bare,) = [p.parent for p in (tmp_path / "out").rglob("HEAD")]
    digest = hashlib.sha256(content).hexdigest()
    assert (bare / "lfs/objects" / digest[:2] / digest[2:4] / digest).read_bytes() == content
    git("-c", "lfs.url=file:///nowhere", "clone", "-q", bare, tmp_path / "clone", GIT_LFS_SKIP_SMUDGE=1)
    git("config", "lfs.url", f"file://{bare}", cwd=tmp_path / "clone")
    git("lfs", "pull", cwd=tmp_path / "clone")
    assert (tmp_path / "clone/x.bin").read_bytes() == content
    git.fsck(tmp_path / "clone")
    hub.start()


def test_a_delta_bomb_is_refused(hub, tmp_path):
    """A pack of a few kilobytes that would unfold to gigabytes must not take the server's memory."""
    def varint(n):
        out = b""
        while True:
            out += bytes([(n & 127) | (128 if n > 127 else 0)])
            n >>= 7
            if not n:
                return out

    def header(kind, size):
        first, rest = (kind << 4) | (size & 15), size >> 4
        return bytes([first | (128 if rest else 0)]) + (varint(rest) if rest else b"")

    base = b"\0" * 65536
    objects = [header(3, len(base)) + zlib.compress(base)]
    size = len(base)
    for _ in range(6):  # each delta copies its base 64 times
        delta = varint(size) + varint(size * 64)
        for _ in range(64):
            whole = min(size, 0xFFFFFF)
            delta += b"\xf0" + struct.pack("<I", whole)[:3]
        size *= 64
        back = len(objects[-1])
        entry = header(6, len(delta)) + bytes([back & 127] if back < 128 else [((back >> 7) - 1) | 128, back & 127])
        objects.append(entry + zlib.compress(delta))
    pack = b"PACK" + struct.pack(">II", 2, len(objects)) + b"".join(objects)
    pack += hashlib.sha1(pack).digest()
    assert len(pack) < 16384
    hub.create("alice/m")
    head = hub.ok("GET", "/api/models/alice/m").json["sha"]
    command = f"{head} {'1' * 40} refs/heads/main\0report-status".encode()
    body = f"{len(command) + 4:04x}".encode() + command + b"0000" + pack
    with Peak(hub) as peak:
        answer = hub.http("POST", "/alice/m.git/git-receive-pack", "alice", body, {"Content-Type": "application/x-git-receive-pack-request"})
    assert answer.status < 500 and b"unpack ok" not in answer.body
    assert peak.grown_mib < 160
    assert hub.ok("GET", "/api/models/alice/m").json["sha"] == head


def test_dumb_protocol_is_not_there(hub, model):
    answer = hub.http("GET", f"/{model}.git/info/refs")
    assert 400 <= answer.status < 500
    assert hub.http("GET", f"/{model}.git/HEAD").status in (400, 401, 403, 404)


def test_gzip_and_chunked_requests(hub, tmp_path, model):
    """git compresses long requests, and sends long packs in chunks."""
    alice = Git(hub, tmp_path / "alice", "alice")
    clone = alice.clone(model)
    for n in range(60):  # many have lines: the next fetch is compressed
        alice("commit", "-q", "--allow-empty", "-m", f"local {n}", cwd=clone)
    hub.commit(model, {"more.txt": "m"})
    alice("fetch", "-q", cwd=clone)
    (clone / "noise.txt").write_text(random_bytes(2 << 20, "noise").hex())
    alice("pull", "-q", "--rebase", cwd=clone)
    alice("add", ".", cwd=clone)
    alice("commit", "-qm", "noise", cwd=clone)
    alice("-c", "http.postBuffer=65536", "push", "-q", cwd=clone)
    assert hub.http("HEAD", f"/{model}/resolve/main/noise.txt").headers["Content-Length"] == str(4 << 20)
    alice.fsck(alice.clone(model))
