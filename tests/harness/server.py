"""A real `hearth serve` on a private data directory, and raw HTTP to it.

The server picks its port (`--listen 127.0.0.1:0`) and says so in its one line on stdout.
It is stopped by its process id, with SIGTERM, and is expected to leave in good order.
"""

import http.client
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
BINARY = Path(os.environ.get("HEARTH_BIN", BUILD / "src" / "hearth"))

# Everyone the tests know. A name with a dash is a second token of the same user.
TOKENS = {
    "alice": "hf_AliceMayWrite",
    "alice-read": "hf_AliceMayRead",
    "bob": "hf_BobIsAStranger",
    "carol": "hf_CarolContributesToAcme",
    "dave": "hf_DaveReadsAcme",
}
ORG = "acme"  # alice is its admin, carol a contributor, dave a reader, bob nobody

# What a slow machine or a sanitizer build needs before a test calls it a failure.
PATIENCE = float(os.environ.get("HEARTH_TEST_PATIENCE", "1"))

# The large file of the upload story: whole in `make soak`, short in `make test`.
SOAK = bool(os.environ.get("HEARTH_SOAK"))
SIZE_LARGE = (5 << 30) if SOAK else (300 << 20)
SOAK = bool(os.environ.get("HEARTH_SOAK"))

# A file to which routes are appended that clients called with success ("GET /api/{kind}"), for
# tools/api-coverage. Requests that tests make by themselves (Hub.http) do not count.
ROUTES = os.environ.get("HEARTH_TEST_ROUTES")
BY_HAND = "by-hand"
ACCESS = re.compile(r' msg=request id="?(.*?)"? m=(\w+) route="?(/.*?)"? path=.* st=(\d+) ')

LISTENING = re.compile(r"hearth listening on (http://(\S+):(\d+))\s*$")


def plain_env(home, **more):
    """An environment in which nothing of this machine's configuration shows, and nothing leaves it.

    The proxy address leads nowhere: whoever tries to reach beyond loopback fails at once.
    """
    keep = ("ASAN_", "UBSAN_", "TSAN_", "LSAN_", "GCOV_", "LD_PRELOAD")
    env = {k: v for k, v in os.environ.items() if k.startswith(keep)}
    env.update(
        PATH=os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin") + ":/usr/sbin",
        HOME=str(home),
        TMPDIR=str(home),
        LANG="C.UTF-8",
        LC_ALL="C.UTF-8",
        TZ="UTC",
        http_proxy="http://127.0.0.1:9",
        https_proxy="http://127.0.0.1:9",
        no_proxy="127.0.0.1,localhost",
    )
    env.update({k: str(v) for k, v in more.items() if v is not None})
    return env


class Answer:
    """One HTTP answer: status, headers (a case-insensitive message), body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.text[:300]!r}>"


class Hub:
    """One server and its data directory."""

    def __init__(self, data, log, args=(), env=None):
        self.data, self.log = Path(data), Path(log)
        self.args, self.env = list(args), dict(env or {})
        self.port, self.process = 0, None

    # -- life ------------------------------------------------------------------------------------

    def start(self):
        if not BINARY.exists():
            raise FileNotFoundError(f"{BINARY} is missing: run `make` first")
        self.data.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", *self.args],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=plain_env(self.data.parent, **self.env),
            )
        line = self._first_line(20 * PATIENCE)
        found = LISTENING.match(line)
        if not found:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"the server said {line!r} instead of where it listens\n{self.log_tail()}")
        self.port = int(found[3])
        return self

    def _first_line(self, timeout):
        fd, seen, end = self.process.stdout.fileno(), b"", time.monotonic() + timeout
        while not seen.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                break
            byte = os.read(fd, 1)
            if not byte:
                break
            seen += byte
        return seen.decode("utf-8", "replace")

    def stop(self):
        """SIGTERM; the server must finish by itself and report success."""
        if self.process is None:
            return
        process, self.process = self.process, None
        died_before = process.poll()
        if died_before is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30 * PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"the server ignored SIGTERM\n{self.log_tail()}") from None
        process.stdout.close()
        self._note_routes()
        if died_before is not None:
            raise AssertionError(f"the server died with {died_before} during the test\n{self.log_tail()}")
        if process.returncode != 0:
            raise AssertionError(f"the server left with {process.returncode}\n{self.log_tail()}")

    def kill(self):
        """As a power switch would (only the page cache survives)."""
        process, self.process = self.process, None
        process.kill()
        process.wait()
        process.stdout.close()
        self._note_routes()

    def _note_routes(self):
        if not ROUTES:
            return
        called = set()
        for line in self.log.read_text(errors="replace").splitlines():
            found = ACCESS.search(line)
            if found and found[1] != BY_HAND and int(found[4]) < 400:
                called.add(f"{found[2].replace('HEAD', 'GET')} {found[3]}\n")
        with open(ROUTES, "a+", encoding="utf-8") as routes:
            routes.seek(0)
            routes.write("".join(sorted(called - set(routes))))

    def restart(self):
        self.stop()
        return self.start()

    def log_tail(self, lines=60):
        try:
            return "--- server log ---\n" + "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no server log)"

    # -- what it is ------------------------------------------------------------------------------

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def rss_kib(self):
        """Anonymous plus shared memory of the server, in KiB (the page cache does not count)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return sum(int(n) for n in re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", status, re.M))

    def stored_bytes(self):
        """Bytes of large-file content in the store."""
        root = self.data / "blob"
        return sum(p.stat().st_size for p in root.rglob("*") if p.is_file() and p.suffix != ".idx")

    def admin(self, *args, stdin=None):
        """`hearth admin …` beside the running server; returns what it prints."""
        done = subprocess.run(
            [BINARY, "admin", *args, "--data", self.data],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60 * PATIENCE,
            env=plain_env(self.data.parent),
        )
        if done.returncode != 0:
            raise AssertionError(f"hearth admin {' '.join(args)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def run(self, *args, check=True):
        """Another command of the same program: `hearth ARGS --data DIR`."""
        done = subprocess.run(
            [BINARY, *args, "--data", self.data],
            capture_output=True,
            text=True,
            timeout=120 * PATIENCE,
            env=plain_env(self.data.parent),
        )
        if check and done.returncode != 0:
            raise AssertionError(f"hearth {' '.join(map(str, args))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    # -- raw HTTP --------------------------------------------------------------------------------

    def http(self, method, path, user=None, body=None, headers=None, timeout=60):
        """One request, no redirects followed. `body`: bytes as they are, anything else as JSON."""
        headers = dict(headers or {})
        if ROUTES:
            headers.setdefault("X-Request-Id", BY_HAND)
        if user:
            headers.setdefault("Authorization", f"Bearer {TOKENS.get(user, user)}")
        if body is not None and not isinstance(body, (bytes, bytearray)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        if path.startswith("http"):
            parts = urlsplit(path)
            host, port, path = parts.hostname, parts.port, parts.path + (f"?{parts.query}" if parts.query else "")
        else:
            host, port = "127.0.0.1", self.port
        connection = http.client.HTTPConnection(host, port, timeout=timeout * PATIENCE)
        try:
            connection.request(method, path, body=body, headers=headers)
            reply = connection.getresponse()
            return Answer(reply.status, reply.headers, reply.read())
        finally:
            connection.close()

    def ok(self, method, path, user="alice", body=None, headers=None):
        answer = self.http(method, path, user, body, headers)
        assert answer.status in (200, 201), f"{method} {path}: {answer}"
        return answer

    def create(self, repo, kind="model", user="alice", **more):
        """A fresh repository; `more` is sent as it is (private=True, sdk="static")."""
        namespace, name = repo.split("/")
        body = {"name": name, "organization": namespace, "type": kind, **more}
        return self.ok("POST", "/api/repos/create", user, body).json["url"]

    def commit(self, repo, files, kind="model", user="alice", rev="main", summary="change", **header):
        """One commit of small files ({path: text or bytes, None deletes}); returns its id."""
        import base64

        lines = [{"key": "header", "value": {"summary": summary, **header}}]
        for path, content in files.items():
            if content is None:
                lines.append({"key": "deletedFile", "value": {"path": path}})
                continue
            raw = content.encode() if isinstance(content, str) else content
            value = {"path": path, "encoding": "base64", "content": base64.b64encode(raw).decode()}
            lines.append({"key": "file", "value": value})
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        answer = self.ok(
            "POST",
            f"/api/{kind}s/{repo}/commit/{rev}",
            user,
            body,
            {"Content-Type": "application/x-ndjson"},
        )
        return answer.json["commitOid"]


def seed(data, log):
    """A data directory with the users of TOKENS and the organization ORG in it."""
    hub = Hub(data, log).start()
    try:
        for user in sorted({name.split("-")[0] for name in TOKENS}):
            hub.admin("user", "add", user, "--password-stdin", stdin=f"correct horse {user}\n")
        for name, value in TOKENS.items():
            role = "read" if name.endswith("-read") else "write"
            hub.admin("token", "add", name.split("-")[0], "--name", name, "--value", value, "--role", role)
        hub.admin("org", "add", ORG, "--full-name", "Acme Corporation")
        for user, role in (("alice", "admin"), ("carol", "contributor"), ("dave", "read")):
            hub.admin("org", "member", "add", ORG, user, "--role", role)
    finally:
        hub.stop()


def copy_data(source, target):
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("lock"))
