"""What the fault tests share: a server under the shim, its control page, and a client that remembers
what it was promised."""

import hashlib
import http.client
import itertools
import json
import mmap
import os
import random
import struct
import subprocess
import threading
from pathlib import Path

from harness import server
from harness.server import Hub, plain_env

SHIM = Path(os.environ.get("HEARTH_FAULT_SHIM", server.BUILD / "fault" / "shim.so"))
TOKEN = "hf_AliceMayWrite"
USER = "alice"
CALLS = ["", "write", "fsync", "link", "rename", "open", "mkdir", "unlink", "truncate", "recv", "step", "alloc", "checkpoint"]
ENOSPC, EIO = 28, 5
WAL, FOLDER, FILE, DB = 1, 2, 4, 8  # shim.c enum synced


class Control:
    """The page that the shim of a running server reads; see struct control."""

    def __init__(self, log):
        with open(f"{log}.ctl", "r+b") as f:
            self.page = mmap.mmap(f.fileno(), 4096)

    def fail(self, call, n, error=EIO, sticky=False):
        """The n-th such call from now on fails."""
        struct.pack_into("<I", self.page, 24, int(sticky))
        struct.pack_into("<i", self.page, 4, error)
        struct.pack_into("<q", self.page, 8, n)
        struct.pack_into("<I", self.page, 0, CALLS.index(call))

    def calm(self):
        struct.pack_into("<I", self.page, 0, 0)

    @property
    def hits(self):
        return struct.unpack_from("<Q", self.page, 16)[0]

    def no_sync(self, mask):
        struct.pack_into("<I", self.page, 28, mask)


RUNNING = []  # every server under the shim, so that none is left behind


class Shimmed(Hub):
    """A server under the shim. Its log begins before the data directory exists."""

    def __init__(self, folder, data=None, sync_us=400, **env):
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True)
        data = Path(data).resolve() if data else self.folder / "data"
        self.events = self.folder / "events"
        shim = {
            "LD_PRELOAD": SHIM,
            "HEARTH_FAULT_DIR": data,
            "HEARTH_FAULT_LOG": self.events,
            "HEARTH_FAULT_SYNC_US": sync_us,
        }
        RUNNING.append(self)
        super().__init__(data, self.folder / "log.txt", env={**shim, **env})

    def add_user(self, name, token):
        """`hearth admin` beside the server, under the shim as well."""
        env = plain_env(self.folder, **self.env)
        for args, said in (
            (["user", "add", name, "--password-stdin"], "correct horse battery\n"),
            (["token", "add", name, "--name", "all", "--value", token, "--role", "write"], None),
        ):
            done = subprocess.run(
                [server.BINARY, "admin", *args, "--data", self.data], input=said, capture_output=True, text=True, env=env
            )
            assert done.returncode == 0, f"admin {args}: {done.stdout}{done.stderr}"

    def command(self, *args):
        """Another command beside the server, under the shim as well."""
        env = plain_env(self.folder, **self.env)
        done = subprocess.run([server.BINARY, *args, "--data", self.data], capture_output=True, text=True, env=env, timeout=120)
        assert done.returncode == 0, f"{args}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout

    @property
    def control(self):
        return Control(self.events)


class Fact:
    """One promise: `key` had `value` once the answer `id` was out. Facts of a key come in order."""

    __slots__ = ("key", "value", "id")

    def __init__(self, key, value, id):
        self.key, self.value, self.id = key, value, id


class Refused(Exception):
    def __init__(self, what, answer):
        super().__init__(f"{what}: {answer}")
        self.answer = answer


class Client:
    """Requests with ids of our own. Threads may share one client; each has its own connection.

    Facts are noted before the request goes out, since an effect may reach the disk before its
    answer. A request that was refused takes them back; one that failed (5xx, no answer) may have
    happened, so its facts stay, and their id never counts as answered.
    """

    def __init__(self, hub, user=USER, token=TOKEN):
        self.hub, self.user, self.token = hub, user, token
        self.facts, self.count, self.local = [], itertools.count(1), threading.local()
        self.lock = threading.Lock()  # guards facts
        self.done = set()  # ids of requests that succeeded

    def close(self):
        connection = getattr(self.local, "connection", None)
        if connection:
            connection.close()
        self.local.connection = None

    def send(self, method, path, body=None, headers=None, id=None, token=True, timeout=60):
        """One request; (status, headers, body)."""
        headers = dict(headers or {})
        if token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if id:
            headers["X-Request-Id"] = id
        if body is not None and not isinstance(body, (bytes, bytearray)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        if path.startswith("http"):
            path = "/" + path.split("/", 3)[3]
        where = (self.hub.port, self.hub.pid)
        if getattr(self.local, "connection", None) is None or self.local.where != where:
            self.close()
            self.local.connection, self.local.where = http.client.HTTPConnection("127.0.0.1", self.hub.port, timeout=timeout), where
        try:
            self.local.connection.request(method, path, body=body, headers=headers)
            reply = self.local.connection.getresponse()
            return server.Answer(reply.status, reply.headers, reply.read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def ask(self, method, path, body=None, headers=None, facts=(), token=True):
        """A request that must succeed and that makes `facts` [(key, value), …] certain."""
        id = f"f{next(self.count)}"
        mine = self.note(id, facts)
        answer = self.send(method, path, body, headers, id, token)
        if not 200 <= answer.status < 300:
            if answer.status < 500:
                with self.lock:
                    self.facts = [f for f in self.facts if f not in mine]
            raise Refused(f"{method} {path}", answer)
        self.done.add(id)
        return answer

    def note(self, id, facts):
        mine = [Fact(key, value, id) for key, value in facts]
        with self.lock:
            self.facts += mine
        return mine

    def expect(self, do, facts):
        """`do()` runs another program; what it achieves is certain from the next answer on."""
        id = f"f{next(self.count)}"
        self.note(id, facts)
        do()
        self.send("GET", "/healthz", id=id)
        self.done.add(id)

    def swear(self, *facts):
        """What another program was told becomes a promise, dated by the answer to this request."""
        self.ask("GET", "/healthz", facts=facts)

    # -- what people do --------------------------------------------------------------------------

    def create(self, repo, kind="model", **more):
        namespace, name = repo.split("/")
        body = {"name": name, "organization": namespace, "type": kind, **more}
        self.ask("POST", "/api/repos/create", body, facts=[(("repo", kind, repo), "here")])

    def delete(self, repo, kind="model"):
        namespace, name = repo.split("/")
        body = {"name": name, "organization": namespace, "type": kind}
        self.ask("DELETE", "/api/repos/delete", body, facts=[(("repo", kind, repo), "gone")])

    def commit(self, repo, files, large=(), rev="main", summary="change"):
        """`files`: {path: bytes, None deletes}; `large`: {path: bytes} that were uploaded before."""
        import base64

        lines, facts = [{"key": "header", "value": {"summary": summary}}], []
        for path, content in files.items():
            facts.append((("file", repo, rev, path), None if content is None else sha256(content)))
            if content is None:
                lines.append({"key": "deletedFile", "value": {"path": path}})
            else:
                value = {"path": path, "encoding": "base64", "content": base64.b64encode(content).decode()}
                lines.append({"key": "file", "value": value})
        for path, content in dict(large).items():
            facts.append((("file", repo, rev, path), sha256(content)))
            lines.append({"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": sha256(content), "size": len(content)}})
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        answer = self.ask("POST", f"/api/models/{repo}/commit/{rev}", body, {"Content-Type": "application/x-ndjson"}, facts)
        oid = answer.json["commitOid"]
        at = [(("file", repo, oid, path), sha256(content)) for path, content in files.items() if content is not None]
        self.note(answer.headers["X-Request-Id"], [*at, (("commit", repo, rev), oid)])
        return oid

    def batch(self, repo, operation, objects, transfers=("basic",)):
        body = {"operation": operation, "transfers": list(transfers), "hash_algo": "sha256", "ref": {"name": "main"}}
        body["objects"] = [{"oid": oid, "size": size} for oid, size in objects]
        headers = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
        return self.ask("POST", f"/{repo}.git/info/lfs/objects/batch", json.dumps(body).encode(), headers).json["objects"]

    def put(self, repo, content):
        """A large file by plain PUT."""
        key = ("lfs", repo, sha256(content))
        entry = self.batch(repo, "upload", [(key[2], len(content))])[0]
        if "actions" not in entry:
            return
        upload = entry["actions"]["upload"]
        self.ask("PUT", upload["href"], content, upload.get("header"), [(key, len(content))], token=False)

    def bucket_batch(self, bucket, add, delete=()):
        """`add`: {path: (Xet hash, SHA-256)}; all of it or nothing."""
        lines = [{"type": "addFile", "path": path, "xetHash": xet} for path, (xet, _) in add.items()]
        lines += [{"type": "deleteFile", "path": path} for path in delete]
        body = "\n".join(json.dumps(line) for line in lines).encode()
        facts = [(("bucket", bucket, path), sha) for path, (_, sha) in add.items()]
        facts += [(("bucket", bucket, path), None) for path in delete]
        self.ask("POST", f"/api/buckets/{bucket}/batch", body, {"Content-Type": "application/x-ndjson"}, facts)

    def begin_parts(self, repo, content):
        """None when the hub has the file already."""
        entry = self.batch(repo, "upload", [(sha256(content), len(content))], ["basic", "multipart"])[0]
        return Parts(self, repo, content, entry["actions"]["upload"]) if "actions" in entry else None

    def download(self, repo, oid, size):
        """The content of a large file that this repository has, through LFS."""
        entry = self.batch(repo, "download", [(oid, size)])[0]
        if "actions" not in entry:
            raise Refused(f"download of {oid} in {repo}", entry)
        action = entry["actions"]["download"]
        return self.ask("GET", action["href"], headers=action.get("header"), token="header" not in action).body


class Parts:
    """A multipart upload. Acknowledged parts are promises: they are never sent again."""

    def __init__(self, client, repo, content, action):
        self.client, self.repo, self.content = client, repo, content
        self.step = int(action["header"]["chunk_size"])
        self.urls = {int(k): v for k, v in action["header"].items() if k.isdigit()}
        self.href, self.etags = action["href"], {}

    def part(self, n):
        return self.content[(n - 1) * self.step : n * self.step]

    def send(self, n):
        value = {"etag": None, "size": len(self.content)}
        fact = (("part", self.repo, sha256(self.content), n), value)
        answer = self.client.ask("PUT", self.urls[n], self.part(n), facts=[fact], token=False)
        self.etags[n] = value["etag"] = answer.headers["ETag"]

    def complete(self):
        body = {"oid": sha256(self.content), "parts": [{"partNumber": n, "etag": e} for n, e in sorted(self.etags.items())]}
        headers = {"Content-Type": "application/vnd.git-lfs+json"}
        fact = (("lfs", self.repo, sha256(self.content)), len(self.content))
        self.client.ask("POST", self.href, json.dumps(body).encode(), headers, [fact], token=False)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def random_bytes(size, seed):
    return random.Random(seed).randbytes(size)
