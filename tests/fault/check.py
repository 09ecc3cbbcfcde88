"""Is everything that was promised on this disk? Starts a server on it and looks.

    problems = Check(folder, facts, answered).run(clone=True)

`folder` holds `data`, and what the check leaves behind. `facts` in order; `answered`: the ids of the
requests whose answers were out when the power went. For each key the last answered value must be
there, or one that was asked for after it; a key of which nothing was answered is free.
"""

import re
import sqlite3
import subprocess
from http.client import HTTPException
from pathlib import Path

import donor
from harness.server import BINARY, Hub, plain_env
from world import TOKEN, USER, Client, Refused, sha256

OPENING = ("hearth.db", "git.db", "stats.db")


class Check:
    def __init__(self, folder, facts, answered, contents=None):
        self.folder, self.contents = Path(folder), contents or {}
        self.allowed, self.problems = settle(facts, answered), []
        self.hub = Hub(self.folder / "data", self.folder / "check.txt", env={"HEARTH_LFS_MULTIPART_ABOVE": 1 << 20, "HEARTH_LOOPS": 1})
        self.clones, self.sets = 0, {}

    def run(self, clone=False):
        try:
            self.hub.start()
        except (RuntimeError, OSError) as e:
            return [f"the server does not start: {e}"]
        self.client = Client(self.hub)
        try:
            self._facts()
            self._large_files()
            if clone:
                self._clones()
        except (OSError, HTTPException) as e:
            self.problems.append(f"the server broke off: {e!r}\n{self.hub.log_tail(8)}")
        finally:
            self.client.close()
            self.hub.kill()
        self._databases()
        self._fsck()
        return self.problems

    # -- promises --------------------------------------------------------------------------------

    def _facts(self):
        gone = set()
        for key, values in self.allowed.items():
            if key[0] == "repo":
                seen = self._repo(key)
                if seen == "gone":
                    gone.add(key[2])
                if seen not in values:
                    self.problems.append(f"repository {key[1]} {key[2]} is {seen}, promised: {values}")
        uploads = {}
        for key, values in self.allowed.items():
            if key[0] == "repo" or key[1] in gone:
                continue
            if key[0] == "token" and self._whoami(values[0]) != key[1]:
                self.problems.append(f"the token of {key[1]} is not good any more")
            if key[0] == "file":
                self._file(key, values)
            elif key[0] == "lfs":
                self._large(key, values[0])
            elif key[0] == "ref":
                self._ref(key, values)
            elif key[0] == "xorb":
                self._xorb(key, values[-1])
            elif key[0] == "xet":
                self._content(key, *values[-1])
            elif key[0] == "bucket":
                self._bucket(key, values)
            elif key[0] == "part":
                uploads.setdefault(key[1:3], {})[key[3]] = values[-1] if len(values) == 1 else None
        for bucket, seen in self.sets.items():
            if len(seen) > 1:
                self.problems.append(f"half a batch of {bucket}: {seen}")
        for (repo, oid), parts in uploads.items():
            if ("lfs", repo, oid) not in self.allowed:
                self._resume(repo, oid, parts)

    def _whoami(self, token):
        answer = self.client.send("GET", "/api/whoami-v2", headers={"Authorization": f"Bearer {token}"})
        return answer.json["name"] if answer.status == 200 else None

    def _repo(self, key):
        status = self.client.send("GET", f"/{prefix(key[1])}{key[2]}/raw/main/.gitattributes").status
        return {200: "here", 404: "gone"}.get(status, f"answering {status}")

    def _file(self, key, values):
        answer = self.client.send("GET", f"/{key[1]}/resolve/{key[2]}/{key[3]}")
        seen = sha256(answer.body) if answer.status == 200 else None if answer.status == 404 else str(answer)
        if seen not in values:
            self.problems.append(f"{key[1]}@{key[2]}:{key[3]} is {seen} ({answer.status}), promised: {values}")

    def _cas(self, where, method, path):
        prefix, headers = donor.cas(self.client, where)
        return self.client.send(method, prefix + path, headers=headers)

    def _xorb(self, key, size):
        """A xorb whose upload was answered may be left out by the next upload."""
        answer = self._cas(key[1], "HEAD", f"/v1/xorbs/default/{key[2]}")
        if answer.status != 200:
            self.problems.append(f"xorb {key[2][:12]} of {size} bytes was promised: {answer.status}")

    def _content(self, key, sum, size):
        """A content whose shard was answered can be put together from what the CAS gives."""
        answer = self._cas(key[1], "GET", f"/v1/reconstructions/{key[2]}")
        if answer.status != 200 or sum_of_terms(answer.json) != size:
            self.problems.append(f"content {sum[:12]} of {key[1]} was promised: {answer}")

    def _bucket(self, key, values):
        answer = self.client.send("GET", f"/buckets/{key[1]}/resolve/{key[2]}")
        seen = sha256(answer.body) if answer.status == 200 else None if answer.status == 404 else str(answer)
        if seen not in values:
            self.problems.append(f"{key[1]}:{key[2]} is {seen} ({answer.status}), promised: {values}")
        if key[2].startswith("set/"):
            self.sets.setdefault(key[1], set()).add(seen)

    def _ref(self, key, values):
        """A ref as git sees it in the advertisement."""
        answer = self.client.send("GET", f"/{key[1]}.git/info/refs?service=git-upload-pack")
        seen = {name: oid for oid, name in re.findall(r"([0-9a-f]{40}) (refs/[^\0\n]+)", answer.text)}.get(key[2])
        if seen not in values:
            self.problems.append(f"{key[1]} {key[2]} is {seen}, promised: {values}")

    def _large(self, key, size):
        try:
            content = self.client.download(key[1], key[2], size)
        except (Refused, HTTPException) as e:
            self.problems.append(f"large file {key[2][:12]} of {key[1]} was promised: {e!r}")
            return
        if sha256(content) != key[2]:
            self.problems.append(f"large file {key[2][:12]} of {key[1]} has other bytes")

    def _resume(self, repo, oid, parts):
        """A client that had these parts acknowledged sends the others and completes."""
        content = self.contents[oid]
        try:
            upload = self.client.begin_parts(repo, content)
            for n in sorted(upload.urls) if upload else ():
                if parts.get(n):
                    upload.etags[n] = parts[n]["etag"]
                else:
                    upload.send(n)
            if upload:
                upload.complete()
        except Refused as e:
            self.problems.append(f"upload {oid[:12]} of {repo} with parts {sorted(parts)} cannot go on: {e}")
            return
        self._large(("lfs", repo, oid), len(content))

    # -- what must hold on any disk --------------------------------------------------------------

    def _query(self, name, sql):
        db = sqlite3.connect(f"file:{self.hub.data / name}?mode=ro", uri=True, timeout=10)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def _large_files(self):
        """Nothing refers to a missing blob, and every large file that a repository has is whole."""
        blobs = self.hub.data / "blob" / "xorb"
        for hash, generation in self._query("hearth.db", "SELECT hash, generation FROM xorb WHERE state = 'live'"):
            name = hub_hex(hash)
            at = blobs / name[:2] / f"{name}.{generation}"
            for path in (at, Path(f"{at}.idx")):
                if not path.exists():
                    self.problems.append(f"a row refers to {path.name[:16]}…{path.suffix}, which is missing")
        promised = {key[1:3] for key in self.allowed if key[0] == "lfs"}
        rows = self._query("hearth.db", REPO_FILES)
        for repo, oid, size in rows:
            if (repo, oid.hex()) not in promised:
                self._large(("lfs", repo, oid.hex()), size)

    def _databases(self):
        for name in OPENING:
            path = self.hub.data / name
            said = sqlite3.connect(path, timeout=10).execute("PRAGMA integrity_check").fetchall()
            if said != [("ok",)]:
                self.problems.append(f"{name}: {said[:3]}")

    def _fsck(self):
        """What a power cut leaves is clean: blobs without rows are too young to be told."""
        done = subprocess.run(
            [BINARY, "fsck", "--quiet", "--data", self.hub.data],
            env=plain_env(self.folder),
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode:
            self.problems.append(f"fsck: {done.returncode} {done.stdout[-600:]}{done.stderr[-300:]}")

    def _clones(self):
        """git fsck of every repository that is here; promised commits are in the history."""
        for key in [k for k in self.allowed if k[0] == "repo" and k[1] == "model"]:
            if self._repo(key) != "here":
                continue
            self.clones += 1
            into = self.folder / f"clone{self.clones}"
            url = f"http://{USER}:{TOKEN}@127.0.0.1:{self.hub.port}/{key[2]}"
            done = self._git("clone", "--quiet", "--mirror", url, into)
            if done.returncode:
                self.problems.append(f"git clone of {key[2]}: {done.stderr}")
                continue
            done = self._git("-C", into, "fsck", "--strict", "--full", "--no-dangling")
            said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(("Checking ", "notice:"))]
            if done.returncode or said:
                self.problems.append(f"git fsck of {key[2]}: {said}")
            self._history(key[2], into)

    def _history(self, repo, clone):
        for key, values in self.allowed.items():
            if key[0] == "commits" and key[1] == repo:
                said = set(self._git("-C", clone, "rev-list", f"refs/heads/{key[2]}").stdout.split())
                missing = [oid for oid in values if oid not in said]
                if missing:
                    self.problems.append(f"{repo}@{key[2]}: {len(missing)} promised commits are not in its history")

    def _git(self, *args):
        env = plain_env(self.folder, GIT_CONFIG_NOSYSTEM=1, GIT_TERMINAL_PROMPT=0, GIT_LFS_SKIP_SMUDGE=1)
        return subprocess.run(["git", *map(str, args)], env=env, capture_output=True, text=True, timeout=120)


REPO_FILES = """SELECT repo.full_name, sha256, repo_file.size FROM repo_file JOIN repo ON repo.id = repo_id
    WHERE repo_file.state = 'verified' AND repo.state = 'live' AND repo.kind = 0"""


def hub_hex(hash):
    """Xorb hashes are written as four little-endian numbers."""
    return b"".join(hash[i : i + 8][::-1] for i in range(0, 32, 8)).hex()


def sum_of_terms(reconstruction):
    return sum(term["unpacked_length"] for term in reconstruction["terms"])


def prefix(kind):
    return "" if kind == "model" else kind + "s/"


def settle(facts, answered):
    """{key: values that may be there}, for keys of which something was answered.

    ("commit", repo, branch) facts add up to one ("commits", repo, branch): all answered ones.
    """
    last, later = {}, {}
    commits = {}
    for fact in facts:
        if fact.key[0] == "commit":
            if fact.id in answered:
                commits.setdefault(("commits", *fact.key[1:]), []).append(fact.value)
        elif fact.id in answered:
            last[fact.key], later[fact.key] = [fact.value], []
        elif fact.key in last:
            later[fact.key].append(fact.value)
    return {**{key: value + later[key] for key, value in last.items()}, **commits}
