"""What every row of the benchmark uses: servers, the load client, CPU accounting, rounds, the report.

A figure is server CPU-seconds per unit of work. Server and client sit on one core, the same client
drives both sides, rounds of the two sides alternate, and the median and the spread are printed; wall
time stands beside. Everything runs on loopback, in BUILD/bench-*, and is stopped by its process id.
"""

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("HEARTH_BENCH_BUILD", ROOT / "build")).resolve()
os.environ.setdefault("HEARTH_BIN", str(BUILD / "src" / "hearth"))
sys.path.insert(0, str(ROOT / "tests"))

from harness.server import Hub, plain_env  # noqa: E402  (needs the path and HEARTH_BIN)

TOOLS = BUILD / "tests" / "bench"
TOKEN = "hf_OwnerOfTheBench"
USER = "owner"
MIB = 1 << 20
CORES = sorted(os.sched_getaffinity(0))
TICKS = os.sysconf("SC_CLK_TCK")


class Options:
    quick = False
    rounds = 5
    repos = 1_000_000
    tree_files = 100_000

    @property
    def big(self):
        """Size of the large file."""
        return 128 * MIB if self.quick else 1024 * MIB


options = Options()


def say(text):
    print(text, flush=True)


# -- CPU time ---------------------------------------------------------------------------------------


def cpu_seconds(pid):
    """CPU of a process with all its threads, those that ended too, in nanosecond steps."""
    return time.clock_gettime((~pid << 3) | 2)


def stat_fields(pid):
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def reaped_seconds(pid):
    """CPU of the children that a process has waited for, and of theirs."""
    fields = stat_fields(pid)
    return (int(fields[13]) + int(fields[14])) / TICKS


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def tree_seconds(pid):
    """CPU of a process, its children alive and its children waited for."""
    return cpu_seconds(pid) + reaped_seconds(pid) + sum(tree_seconds(p) for p in children(pid))


@contextlib.contextmanager
def one_core():
    """Whatever is started inside sits on one core, servers and clients alike."""
    os.sched_setaffinity(0, {CORES[-1]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, CORES)


class Sample:
    """One round of one side: CPU of the server, wall time, units of work."""

    def __init__(self, cpu, wall, units):
        self.cpu, self.wall, self.units = cpu, wall, units


@contextlib.contextmanager
def measured(server, units, into):
    cpu, wall = server.cpu(), time.perf_counter()
    yield
    into.append(Sample(server.cpu() - cpu, time.perf_counter() - wall, units))


class Side:
    """The samples of one side of a comparison."""

    def __init__(self, samples):
        self.samples = samples

    def per_unit(self):
        return sorted(s.cpu / s.units for s in self.samples)

    @property
    def cpu(self):
        """CPU-seconds per unit, median."""
        return statistics.median(self.per_unit())

    @property
    def wall(self):
        return statistics.median(s.wall / s.units for s in self.samples)

    def spread(self):
        """(max - min) / median of CPU per unit, in percent."""
        p = self.per_unit()
        return 100 * (p[-1] - p[0]) / self.cpu if self.cpu else 0.0

    def as_json(self):
        return {
            "cpu_per_unit": self.cpu,
            "wall_per_unit": self.wall,
            "spread_percent": round(self.spread(), 1),
            "samples": [{"cpu": round(s.cpu, 6), "wall": round(s.wall, 6), "units": s.units} for s in self.samples],
        }


def rounds_of(sides, rounds=None, warm=True):
    """Runs {name: fn(samples)} in alternation; fn appends a Sample. Returns {name: Side}."""
    samples = {name: [] for name in sides}
    if warm:
        for fn in sides.values():
            fn([])
    for _ in range(rounds or options.rounds):
        for name, fn in sides.items():
            fn(samples[name])
    return {name: Side(s) for name, s in samples.items()}


# -- the report -------------------------------------------------------------------------------------


class Report:
    """One line of text and one line of JSON per figure."""

    def __init__(self, path):
        self.path, self.lines = Path(path), []
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def row(self, row, what, value, target=None, unit="", ok=None, note="", **more):
        """`target`: text such as ">= 0.5"; `ok`: None when the figure is only reported."""
        if target and ok is None:
            sign, bound = target.split()
            ok = value >= float(bound) if sign == ">=" else value <= float(bound)
        verdict = "" if ok is None else "ok" if ok else "MISSED"
        text = f"{row:8} {what:44} {value:10.3f} {unit:18} {('target ' + target) if target else '':16} {verdict:7}"
        say(f"{text} {note}".rstrip())
        line = {"row": row, "what": what, "value": value, "unit": unit, "target": target, "ok": ok, "note": note}
        line.update(quick=options.quick, at=int(time.time()), cores=len(CORES), load=os.getloadavg()[0], **more)
        self.lines.append(line)
        with open(self.path, "a") as out:
            out.write(json.dumps(line) + "\n")
        return ok

    def ratio(self, row, what, sides, target=None, reference="nginx", lower=False, scale=1e6, per="unit"):
        """Throughput of hearth per CPU-second as a share of the reference's; `lower`: cost instead."""
        a, b = sides["hearth"], sides[reference]
        value = a.cpu / b.cpu if lower else b.cpu / a.cpu if a.cpu else float("inf")
        name = {1e6: "us", 1e3: "ms", 1: "s"}[scale]
        note = (
            f"CPU {name}/{per}: hearth {a.cpu * scale:.1f} (±{a.spread():.0f} %), "
            f"{reference} {b.cpu * scale:.1f} (±{b.spread():.0f} %); wall {a.wall * scale:.1f}, {b.wall * scale:.1f}"
        )
        sides_json = {"sides": {name: side.as_json() for name, side in sides.items()}}
        return self.row(row, what, value, target, f"x {reference}", note=note, **sides_json)


# -- files ------------------------------------------------------------------------------------------


class Work:
    """A directory of one row, below BUILD; removed at the end."""

    def __init__(self, name):
        self.path = BUILD / f"bench-{name}-{os.getpid()}"

    def __enter__(self):
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def write_random(path, size, seed=0):
    """Bytes that no compressor shrinks, the same for the same seed; returns their SHA-256 (hex)."""
    import random

    source, digest, done = random.Random(seed), hashlib.sha256(), 0
    with open(path, "wb") as out:
        while done < size:
            piece = source.randbytes(min(4 * MIB, size - done))
            digest.update(piece)
            out.write(piece)
            done += len(piece)
    return digest.hexdigest()


def write_text(path, size, seed=0):
    """Text that shrinks to about a third; returns its SHA-256 (hex)."""
    import random

    source, digest, done = random.Random(seed), hashlib.sha256(), 0
    words = ["%08x " % source.getrandbits(32) for _ in range(4000)]
    with open(path, "wb") as out:
        while done < size:
            piece = "".join(source.choices(words, k=100_000)).encode()[: size - done]
            digest.update(piece)
            out.write(piece)
            done += len(piece)
    return digest.hexdigest()


def forget_pages(*roots):
    """Drops files from the page cache, so that the next read is cold."""
    os.sync()
    for root in roots:
        root = Path(root)
        for path in [root] if root.is_file() else [p for p in root.rglob("*") if p.is_file()]:
            fd = os.open(path, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def fdatasync_p50_ms(directory, count=100):
    """What one small synced append costs on this disk."""
    path, times = Path(directory) / "fdatasync", []
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    for _ in range(count):
        os.write(fd, b"x" * 4096)
        start = time.perf_counter()
        os.fdatasync(fd)
        times.append(time.perf_counter() - start)
    os.close(fd)
    path.unlink()
    return statistics.median(times) * 1000


# -- servers ----------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(check, what, seconds=20):
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not come in {seconds} s")
        time.sleep(0.01)


def answers(port):
    with contextlib.closing(socket.socket()) as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def stop_pid(process):
    """SIGTERM, and SIGKILL for who does not listen."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Hearth(Hub):
    """The server under test, with one user whose token is known."""

    def __init__(self, work, *args, preload=None, name="hearth"):
        self.syncs_path = Path(work) / f"{name}.syncs"
        self.syncs_path.write_bytes(bytes(64))
        env = {"HEARTH_FIRST_USER": USER}
        if preload:
            env.update(LD_PRELOAD=TOOLS / "bench_syncs.so", HEARTH_BENCH_SYNCS=self.syncs_path)
        super().__init__(Path(work) / name, Path(work) / f"{name}.log", args, env)

    def __enter__(self):
        fresh = not (self.data / "hearth.db").exists()
        self.start()
        if fresh:
            self.admin("token", "add", USER, "--name", "bench", "--value", TOKEN, "--role", "write")
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.kill()
        else:
            self.stop()

    def cpu(self):
        return cpu_seconds(self.pid)

    def syncs(self):
        """fdatasync and fsync calls so far: hearth.db-wal, git.db-wal, stats.db-wal, other."""
        raw = self.syncs_path.read_bytes()
        return [int.from_bytes(raw[i * 8 : i * 8 + 8], sys.byteorder) for i in range(4)]

    def log_times_us(self, needle, last):
        """The server's own time of the last requests whose log line holds `needle`."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if needle in line]
        return [int(re.search(r"\bus=(\d+)", line)[1]) for line in lines[-last:]]

    def api(self, method, path, body=None, headers=None, timeout=600):
        answer = self.http(method, path, TOKEN, body, headers, timeout)
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {answer}")
        return answer

    def new_repo(self, name):
        self.api("POST", "/api/repos/create", {"name": name, "type": "model"})
        return f"{USER}/{name}"

    def put_link(self, repo, oid, size):
        """The address to PUT an object to; None: the repository has it."""
        request = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": size}]}
        headers = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
        answer = self.api("POST", f"/{repo}.git/info/lfs/objects/batch", json.dumps(request).encode(), headers)
        actions = answer.json["objects"][0].get("actions")
        return actions and actions["upload"]["href"]

    def commit_lines(self, repo, lines, summary="bench"):
        body = [{"key": "header", "value": {"summary": summary}}, *lines]
        data = "".join(json.dumps(line) + "\n" for line in body).encode()
        return self.api("POST", f"/api/models/{repo}/commit/main", data, {"Content-Type": "application/x-ndjson"})

    def commit_files(self, repo, files, summary="bench"):
        """Small files, {path: bytes}."""
        lines = [
            {"key": "file", "value": {"path": p, "encoding": "base64", "content": base64.b64encode(b).decode()}}
            for p, b in files.items()
        ]
        return self.commit_lines(repo, lines, summary)

    def add_large(self, repo, path, file, oid):
        """Uploads a file through LFS and commits it."""
        size = os.path.getsize(file)
        link = self.put_link(repo, oid, size)
        if link:
            address = link.split(f":{self.port}", 1)[1]
            put = write_request(self.data.parent, "put", self.port, "PUT", address, size=size)
            run_load(self.port, [put], "-n1", "-b", file)
        value = {"path": path, "algo": "sha256", "oid": oid, "size": size}
        self.commit_lines(repo, [{"key": "lfsFile", "value": value}])


NGINX_CONF = """
daemon off;
worker_processes 1;
pid {work}/nginx.pid;
error_log {work}/nginx-error.log;
{user}
events {{ worker_connections 8192; }}
http {{
    access_log {work}/nginx-access.log;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    default_type application/octet-stream;
    client_max_body_size 0;
    client_body_temp_path {work}/nginx-body;
    fastcgi_temp_path {work}/nginx-fastcgi;
    proxy_temp_path {work}/nginx-proxy;
    uwsgi_temp_path {work}/nginx-uwsgi;
    scgi_temp_path {work}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root};
        location ~ ^/git(/.*)$ {{
            fastcgi_pass unix:{work}/fcgi.sock;
            fastcgi_param SCRIPT_FILENAME {tools}/bench_cgi;
            fastcgi_param HEARTH_BENCH_CGI {backend};
            fastcgi_param HEARTH_BENCH_CPU {work}/cgi.cpu;
            fastcgi_param GIT_PROJECT_ROOT {root};
            fastcgi_param GIT_HTTP_EXPORT_ALL 1;
            fastcgi_param GIT_PROTOCOL $http_git_protocol;
            fastcgi_param PATH_INFO $1;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param REMOTE_ADDR $remote_addr;
        }}
    }}
}}
"""


class Nginx:
    """nginx with one worker over the files of `root`; with `git`, also git http-backend through fcgiwrap."""

    def __init__(self, work, root, git=False):
        self.work, self.root, self.git = Path(work), Path(root), git
        self.port, self.process, self.wrap = free_port(), None, None

    def __enter__(self):
        conf = self.work / "nginx.conf"
        backend = Path(subprocess.check_output(["git", "--exec-path"], text=True).strip()) / "git-http-backend"
        user = "user root;" if os.getuid() == 0 else ""
        conf.write_text(NGINX_CONF.format(work=self.work, root=self.root, port=self.port, user=user, backend=backend,
                                          tools=TOOLS))
        (self.work / "cgi.cpu").write_bytes(bytes(8))
        env = plain_env(self.work, GIT_CONFIG_NOSYSTEM="1")
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "env": env}
        if self.git:
            sock = self.work / "fcgi.sock"
            self.wrap = subprocess.Popen(["fcgiwrap", "-c", "1", "-s", f"unix:{sock}"], **quiet)
            wait_for(sock.exists, "fcgiwrap's socket")
        self.process = subprocess.Popen(["nginx", "-e", self.work / "nginx-error.log", "-c", conf], **quiet)
        wait_for(lambda: answers(self.port), "nginx")
        return self

    def __exit__(self, *_):
        stop_pid(self.process)
        if self.wrap:
            stop_pid(self.wrap)

    def cpu(self):
        total = tree_seconds(self.process.pid)
        if self.wrap:  # it does not wait for its children: bench_cgi adds up theirs
            programs = int.from_bytes((self.work / "cgi.cpu").read_bytes(), sys.byteorder) / 1e6
            total += cpu_seconds(self.wrap.pid) + programs
        return total


# -- the load client --------------------------------------------------------------------------------


def write_request(work, name, port, method, path, token=None, headers=(), body=b"", size=None):
    """A file with the bytes of one request; returns its path."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "User-Agent: bench"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if size is not None or body:
        lines.append(f"Content-Length: {len(body) if size is None else size}")
    file = Path(work) / f"{name}.request"
    file.write_bytes("\r\n".join([*lines, *headers, "", ""]).encode() + body)
    return file


def run_load(port, requests, *args, allow=()):
    """Runs the load client to its end; every answer must be good (or a status of `allow`)."""
    done = subprocess.run([TOOLS / "bench_load", *args, str(port), *requests], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=3600)
    if done.returncode != 0:
        raise RuntimeError(f"load: {done.stderr}")
    return check_load(done.stdout.splitlines()[-1], allow)


def check_load(line, allow=()):
    result = json.loads(line)
    if result["errors"] and result["first_bad"] not in allow:
        raise RuntimeError(f"load: {result['errors']} of {result['answers']} answers were bad: {result}")
    return result


class Load:
    """A load client in the background, until the block ends; `result` is there afterwards."""

    def __init__(self, port, requests, *args, ready=False, allow=()):
        self.command = [TOOLS / "bench_load", *args, str(port), *requests]
        self.ready, self.allow, self.result = ready, allow, None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.ready and self.process.stdout.readline().strip() != "ready":
            raise RuntimeError("the load client did not get ready")
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        lines = self.process.stdout.read().splitlines()
        self.process.wait()
        if not kind:
            self.result = check_load(lines[-1], self.allow)


def run_git(work, *args, **more):
    env = plain_env(work, GIT_CONFIG_NOSYSTEM="1", GIT_TERMINAL_PROMPT="0", GIT_LFS_SKIP_SMUDGE="1",
                    GIT_AUTHOR_NAME="bench", GIT_AUTHOR_EMAIL="bench@localhost",
                    GIT_COMMITTER_NAME="bench", GIT_COMMITTER_EMAIL="bench@localhost")
    done = subprocess.run(["git", *map(str, args)], capture_output=True, env=env, timeout=1800, **more)
    if done.returncode != 0:
        raise RuntimeError(f"git {args}: {done.stderr.decode(errors='replace')}")
    return done.stdout
