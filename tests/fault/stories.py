"""The stories that are cut off: each does its work on a server under the shim and returns what the
checks need besides the facts. Small, since every image of every story is a server start.

    story(hub, client, folder) -> {sha256: content} of large files, for uploads that go on
"""

import collections
import json
import os
import subprocess
import threading

import donor
from harness.clients import Python
from harness.server import plain_env
from world import TOKEN, USER, Refused, random_bytes, sha256

PART = 16 << 20  # the hub's smallest part


def together(*jobs):
    """Runs jobs in threads; the first exception is ours."""
    failed = []

    def run(job):
        try:
            job()
        except Exception as e:  # noqa: BLE001 - handed on below
            failed.append(e)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def create(hub, client, folder):
    """Repositories of every kind, some at the same moment, and an account made beside the server."""
    client.create("alice/one")
    client.create("alice/data", kind="dataset")
    client.create("alice/app", kind="space", sdk="static")
    client.create("alice/secret", private=True)
    hub.add_user("bob", "hf_BobIsAStranger")
    client.swear((("token", "bob"), "hf_BobIsAStranger"))
    together(*(lambda n=n: client.create(f"alice/many-{n}") for n in range(8)))
    for n in range(6):
        client.create(f"alice/more-{n}")
    try:
        client.create("alice/one")
    except Refused as e:
        assert e.answer.status == 409
    return {}


def commit(hub, client, folder):
    """Files added, changed and deleted; four people at once, on one repository and on their own."""
    client.create("alice/log")
    for n in range(10):
        client.commit("alice/log", {f"step-{n}.txt": b"%d\n" % n, "last.txt": b"last is %d\n" % n})
    client.commit("alice/log", {"step-3.txt": None, "sub/deep/file.bin": random_bytes(90_000, "deep")})

    def person(number):
        mine = f"alice/own-{number}"
        client.create(mine)
        for n in range(5):
            client.commit("alice/log", {f"by-{number}/{n}.txt": b"%d %d\n" % (number, n)})
            client.commit(mine, {"file.txt": b"%d\n" % n, f"{n}.md": os.urandom(3000)})

    together(*(lambda n=n: person(n) for n in range(4)))
    client.commit("alice/log", {f"set/{n:03}.txt": b"%d\n" % n for n in range(60)})
    return {}


def large(hub, client, folder):
    """Large files by plain PUT: empty, small, shared, repeated, at the same moment; then committed."""
    client.create("alice/weights")
    base = random_bytes(700_000, "base")
    files = {
        "empty.bin": b"",
        "tiny.bin": b"0123456789",
        "base.bin": base,
        "longer.bin": base + random_bytes(300_000, "tail"),  # shares chunks
        "zeros.bin": bytes(400_000),
    }
    for name, content in files.items():
        client.put("alice/weights", content)
        client.commit("alice/weights", {}, {name: content}, summary=name)
    client.create("alice/other")
    client.put("alice/other", base)  # nothing new to store
    others = [random_bytes(250_000 + n, n) for n in range(4)]
    together(*(lambda c=c: client.put("alice/other", c) for c in [*others, *others[:2]]))
    client.commit("alice/other", {"README.md": b"# two\n"}, {f"{n}.bin": c for n, c in enumerate(others)})
    return {}


def multipart(hub, client, folder):
    """Files in parts: with a restart, a kill -9, a part sent twice, two completions at once."""
    first, second = random_bytes(PART + 400_000, "first"), random_bytes(PART + 100_000, "second")
    client.create("alice/big")
    a, b = client.begin_parts("alice/big", first), client.begin_parts("alice/big", second)
    a.send(1)
    hub.restart()
    b.send(2)
    together(lambda: a.send(2), lambda: b.send(1))
    b.send(1)
    hub.kill()
    hub.start()
    a.complete()
    together(b.complete, b.complete)
    client.commit("alice/big", {}, {"first.bin": first, "second.bin": second})
    return {sha256(c): c for c in (first, second)}


class Clone:
    """Stock git with a configuration of its own."""

    def __init__(self, client, folder, repo):
        self.client, self.repo, self.home = client, repo, folder / f"git-{repo.replace('/', '-')}"
        self.home.mkdir()
        (self.home / ".gitconfig").write_text(
            "[user]\n\tname = Alice\n\temail = alice@example.org\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
            '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n\tprocess = git-lfs filter-process\n\trequired = true\n'
        )
        self("clone", "--quiet", f"http://{USER}:{TOKEN}@127.0.0.1:{client.hub.port}/{repo}", "work", cwd=self.home)
        self.work = self.home / "work"

    def __call__(self, *args, cwd=None):
        env = plain_env(self.home, GIT_CONFIG_NOSYSTEM=1, GIT_TERMINAL_PROMPT=0)
        done = subprocess.run(["git", *map(str, args)], cwd=cwd or self.work, env=env, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise AssertionError(f"git {args}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def change(self, files, message):
        for path, content in files.items():
            (self.work / path).parent.mkdir(parents=True, exist_ok=True)
            (self.work / path).write_bytes(content)
        self("add", "--all")
        self("commit", "--quiet", "-m", message)

    def push(self, *what, expect=None):
        """`expect`: {ref: its commit after this push, None: gone}. Promised once git has said so."""
        before = [((("ref", self.repo, ref)), oid) for ref, oid in (expect or {}).items()]
        self.client.expect(lambda: self("push", "--quiet", *what), before)


def push(hub, client, folder):
    """git: commits, many files, branch, tag, forced and deleted branches, beside REST commits."""
    client.create("alice/code")
    clone = Clone(client, folder, "alice/code")
    head = lambda: clone("rev-parse", "HEAD")  # noqa: E731
    for n in range(4):
        clone.change({f"src/{n}.c": b"int x%d;\n" % n, "README.md": b"# %d\n" % n}, f"step {n}")
        clone.push("origin", "main", expect={"refs/heads/main": head()})
    clone.change({f"many/{n}.txt": os.urandom(40).hex().encode() for n in range(120)}, "many files")
    clone.push("origin", "main", expect={"refs/heads/main": head()})
    client.create("alice/side")

    def beside():
        for n in range(4):
            client.commit("alice/side", {f"{n}.txt": b"%d\n" % n})

    def pushes():
        clone("checkout", "--quiet", "-b", "dev")
        for n in range(3):
            clone.change({"dev.txt": b"%d\n" % n}, f"dev {n}")
            clone.push("origin", "dev", expect={"refs/heads/dev": head()})
        clone("tag", "v1")
        clone.push("origin", "v1", expect={"refs/tags/v1": head()})

    together(beside, pushes)
    clone("commit", "--quiet", "--amend", "-m", "rewritten")
    clone.push("--force", "origin", "dev", expect={"refs/heads/dev": head()})
    clone.push("origin", ":dev", expect={"refs/heads/dev": None})
    clone("checkout", "--quiet", "main")
    content = random_bytes(120_000, "pushed")
    clone.change({".gitattributes": b"*.bin filter=lfs diff=lfs merge=lfs -text\n", "w.bin": content}, "large")
    clone.push("origin", "main", expect={"refs/heads/main": head()})
    client.swear((("lfs", "alice/code", sha256(content)), len(content)), (("file", "alice/code", "main", "w.bin"), sha256(content)))
    return {}


def delete(hub, client, folder):
    """Repositories deleted, the name used again, at the same moment as commits elsewhere."""
    shared = random_bytes(300_000, "shared")
    for name in ("alice/a", "alice/b", "alice/stays"):
        client.create(name)
        client.commit(name, {f"{n}.txt": b"%s %d\n" % (name.encode(), n) for n in range(20)})
        client.put(name, shared)
        client.commit(name, {}, {"shared.bin": shared})
    client.delete("alice/a")
    together(
        lambda: client.delete("alice/b"),
        lambda: [client.commit("alice/stays", {"more.txt": b"%d\n" % n}) for n in range(4)],
    )
    client.create("alice/again")
    client.commit("alice/again", {"one.txt": b"one\n"})
    client.delete("alice/again")
    client.commit("alice/stays", {"0.txt": None})
    for n in range(4):
        client.create(f"alice/brief-{n}")
        client.delete(f"alice/brief-{n}")
    return {}


def write(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def xet(hub, client, folder):
    """hf_xet: xorbs, shards, commits; shared bytes, the same bytes again, several people at once."""
    base = random_bytes(600_000, "xet base")
    sets = [
        {"base.safetensors": base, "small.txt": b"small\n"},
        {"base.safetensors": base, "longer.safetensors": base[:400_000] + random_bytes(300_000, "xet tail")},
    ]
    sets += [{f"own-{n}.bin": random_bytes(250_000, f"xet {n}") + base[: 100_000 * n]} for n in range(3)]
    for repo in ("alice/x", "alice/y"):
        client.create(repo)

    def upload(n, repo):
        python = Python(hub, folder / f"home-{n}-{repo[-1]}", HF_HUB_DISABLE_XET=0)
        files = write(folder / f"files-{n}-{repo[-1]}", sets[n])
        facts = [(("file", repo, "main", name), sha256(content)) for name, content in sets[n].items()]
        facts += [(("lfs", repo, sha256(c)), len(c)) for name, c in sets[n].items() if not name.endswith(".txt")]
        client.expect(lambda: python.hf("upload", repo, files, ".", "--quiet"), facts)

    upload(0, "alice/x")
    upload(1, "alice/y")
    together(*(lambda n=n: upload(n, "alice/x") for n in (2, 3, 4)))
    assert "/shards path=" in hub.log.read_text(), "the client did not use Xet"
    return {}


def cas(hub, client, folder):
    """The requests of hf_xet one by one: xorb, shard, commit or batch; two people at once."""
    made = donor.pieces(folder / "donor", 14)
    client.create("alice/x")
    client.ask("POST", "/api/buckets/alice/b", {})

    def commits():
        for n, piece in enumerate(made[:7]):
            donor.send(client, "models/alice/x", piece)
            client.commit("alice/x", {}, {f"{n}.bin": piece.content})

    def batches():
        for n, piece in enumerate(made[7:]):
            donor.send(client, "buckets/alice/b", piece)
            client.bucket_batch("alice/b", {f"{n}.bin": (piece.xet, piece.sha256), "last.bin": (piece.xet, piece.sha256)})

    together(commits, batches)
    donor.send(client, "models/alice/x", made[0])  # nothing new
    return {}


def fill_bucket(api, bucket, folder):  # runs inside the client
    api.create_bucket(bucket, exist_ok=True)
    paths = sorted(p for p in Path(folder).rglob("*") if p.is_file())  # noqa: F821
    api.batch_bucket_files(bucket, add=[(str(p), p.name) for p in paths])
    return {f.path: f.xet_hash for f in api.list_bucket_tree(bucket, recursive=True)}


def bucket(hub, client, folder):
    """Buckets: contents through Xet, then batches that add, overwrite and delete; two at once."""
    contents = [random_bytes(150_000 + n, f"bucket {n}") for n in range(6)]
    files = write(folder / "files", {f"{n}.bin": c for n, c in enumerate(contents)})
    python = Python(hub, folder / "home", HF_HUB_DISABLE_XET=0)
    hashes = {}

    def fill():
        hashes.update(python.run(fill_bucket, "alice/b", files))

    client.expect(fill, [(("bucket", "alice/b", f"{n}.bin"), sha256(c)) for n, c in enumerate(contents)])
    known = [(hashes[f"{n}.bin"], sha256(c)) for n, c in enumerate(contents)]
    for turn in range(6):  # all files of the set are of one turn
        client.bucket_batch("alice/b", {f"set/{i}.bin": known[turn] for i in range(12)})

    def person(number):
        for turn in range(6):
            mine = {f"of-{number}/{turn}/file.bin": known[turn], f"of-{number}/last.bin": known[turn]}
            client.bucket_batch("alice/b", mine, [f"of-{number}/{turn - 1}/file.bin"] if turn else [])

    together(lambda: person(1), lambda: person(2))
    client.bucket_batch("alice/b", {}, [f"{n}.bin" for n in range(6)])
    return {}


# No upload runs meanwhile, so nobody is promised anything by these.
AT_ONCE = ("--grace-ms", "0", "--wait-ms", "0", "--orphan-ms", "0", "--lease-cut-ms", "9999999999")


def collect(hub, client, folder):
    """gc, compaction and scrub between uploads and deletions: what is kept stays, what went comes back."""
    base, done = random_bytes(500_000, "collect"), collections.Counter()

    def gc(*args):
        done.update(json.loads(hub.command("gc", "--json", *args, *AT_ONCE)))

    for repo in ("alice/keeps", "alice/goes"):
        client.create(repo)
        for n in range(4):
            content = base[: 100_000 * (n + 1)] + random_bytes(150_000, f"{repo} {n}")
            client.put(repo, content)
            client.commit(repo, {"note.txt": b"%d\n" % n}, {f"{n}.bin": content})
    gc("--compact")
    client.delete("alice/goes")
    gc()
    client.commit("alice/keeps", {"more.txt": b"more\n"})
    gc()
    hub.command("scrub")
    client.create("alice/back")
    content = base + random_bytes(150_000, "alice/goes 3")  # partly of what went
    client.put("alice/back", content)
    client.commit("alice/back", {}, {"back.bin": content})
    gc()
    gc()
    client.commit("alice/keeps", {"last.txt": b"last\n"})
    assert done["xorbs"] and done["compacted_xorbs"] and done["files"], f"gc found nothing to do: {done}"
    return {}


ALL = {f.__name__: f for f in (create, commit, large, multipart, push, delete, cas, xet, bucket, collect)}
