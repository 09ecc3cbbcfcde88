"""Rows `xorb`, `bridge`, `answers`, `bucket`, `frames` and `client`: the CAS, and buckets."""

import json
import os
import resource
import statistics
import subprocess
import time
from pathlib import Path

from lib import (BUILD, MIB, ROOT, TOKEN, TOOLS, USER, Hearth, Load, Nginx, Sample, Side, Work, cpu_seconds,
                 forget_pages, measured, one_core, options, rounds_of, run_load, write_random, write_request,
                 write_text)
from harness.server import plain_env
from memory import settle


class Cas:
    """A repository's CAS, spoken to with its writing token."""

    def __init__(self, hub, work, repo, kind="models"):
        self.hub, self.work, self.repo, self.kind = hub, work, repo, kind
        rev = "" if kind == "buckets" else "/main"
        answer = hub.api("GET", f"/api/{kind}/{repo}/xet-write-token{rev}").json
        self.token = answer["accessToken"]
        self.path = answer["casUrl"].split(f":{hub.port}", 1)[1]

    def request(self, name, method, path, headers=(), size=None):
        return write_request(self.work, name, self.hub.port, method, self.path + path, self.token, headers, size=size)

    def post(self, path, file):
        request = self.request("post", "POST", path, size=os.path.getsize(file))
        return run_load(self.hub.port, [request], "-n1", "-b", file)

    def upload(self, made, folder):
        for name, _ in made["xorbs"]:
            self.post(f"/v1/xorbs/default/{name}", folder / f"{name}.xorb")
        self.post("/v1/shards", folder / "shard")

    def get(self, path, headers=None):
        answer = self.hub.http("GET", self.path + path, self.token, headers=headers)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer}")
        return answer

    def fetch_path(self, file, index=0):
        """The address of a range of a xorb, as a reconstruction gives it, and its bytes."""
        xorbs = self.get(f"/v2/reconstructions/{file}").json["xorbs"]
        one = list(xorbs.values())[index][0]
        bytes_ = one["ranges"][0]["bytes"]
        return one["url"].split(f":{self.hub.port}", 1)[1], bytes_["start"], bytes_["end"]


def make(folder, *args):
    """Cuts a file into xorbs and a shard; what bench_xorbs says of them."""
    folder.mkdir()
    return json.loads(subprocess.check_output([TOOLS / "bench_xorbs", *args, folder]))


def plain_commit(hub, repo, path, made):
    hub.commit_lines(repo, [{"key": "lfsFile", "value": {
        "path": path, "algo": "sha256", "oid": made["sha256"], "size": made["size"]}}])


def cpu_of(command, **more):
    """CPU and wall seconds of a program that runs to its end."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - start


def xorb(report):
    """Xorbs up: verified and durable. A range of one down."""
    size = options.big
    gib = size / 1024 / MIB
    with Work("xorb") as work, one_core():
        samples = {"hearth": [], "b3sum": []}
        for i in range(min(options.rounds, 3)):
            source = work / "source"
            write_random(source, size, 200 + i)
            made = make(work / f"cut{i}", source)
            with Hearth(work, "--loops", "1", name=f"hearth{i}") as hub:
                cas = Cas(hub, work, hub.new_repo("xorb"))
                os.sync()
                with measured(hub, gib, samples["hearth"]):
                    cas.upload(made, work / f"cut{i}")
                os.sync()
                cpu, wall = cpu_of(["b3sum", "--num-threads", "1", source])
                samples["b3sum"].append(Sample(cpu, wall, gib))
        done = {name: Side(s) for name, s in samples.items()}
        report.ratio("xorb", f"{size // MIB} MiB of xorbs and a shard up, cost", done, "<= 3", reference="b3sum",
                     lower=True, scale=1e3, per="GiB")
        root = work / f"cut{i}"
        with Hearth(work, "--loops", "1", name=f"hearth{i}") as hub, Nginx(work, root) as nginx:
            cas = Cas(hub, work, f"{USER}/xorb")
            path, first, last = cas.fetch_path(made["file"])
            wanted = [f"Range: bytes={first}-{last}"]
            name = next(n for n, _ in made["xorbs"] if n in path)
            ours = write_request(work, "fetch", hub.port, "GET", path, None, wanted)
            theirs = write_request(work, "nginx", nginx.port, "GET", f"/{name}.xorb", None, wanted)
            n = 20 if options.quick else 100
            units = n * (last + 1 - first) / MIB / 1024

            def fn(server, request):
                def run(into):
                    with measured(server, units, into):
                        run_load(server.port, [request], f"-n{n}", "-c4")

                return run

            done = rounds_of({"hearth": fn(hub, ours), "nginx": fn(nginx, theirs)})
            report.ratio("xorb", "range of a xorb down", done, ">= 0.95", scale=1e3, per="GiB")


def read_bytes(pid):
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("read_bytes:"):
            return int(line.split()[1])


def bridge(report):
    """Plain HTTP of files that came as xorbs: stored chunks, packed chunks, and what the disk reads."""
    size, ranges = options.big, 40 if options.quick else 200
    gib = size / 1024 / MIB
    with Work("bridge") as work, one_core():
        root = work / "root"
        root.mkdir()
        write_random(root / "random", size, 300)
        write_text(root / "text", size // 2, 301)
        with Nginx(work, root) as nginx, Hearth(work, "--loops", "1") as hub:
            repo = hub.new_repo("bridge")
            cas = Cas(hub, work, repo)
            for name in ("random", "text"):
                made = make(work / f"cut-{name}", root / name)
                cas.upload(made, work / f"cut-{name}")
                plain_commit(hub, repo, f"{name}.bin", made)
            ours = write_request(work, "hub-random", hub.port, "GET", f"/{repo}/resolve/main/random.bin", TOKEN)
            theirs = write_request(work, "nginx-random", nginx.port, "GET", "/random")

            def fn(server, request, units, n):
                def run(into):
                    with measured(server, units, into):
                        run_load(server.port, [request], f"-n{n}")

                return run

            done = rounds_of({"hearth": fn(hub, ours, 4 * gib, 4), "nginx": fn(nginx, theirs, 4 * gib, 4)})
            report.ratio("bridge", "GET of a file stored as xorbs", done, ">= 0.9", scale=1e3, per="GiB")
            # what the disk gives for random ranges of 10 MiB, pages forgotten before
            request = write_request(work, "ranges", hub.port, "GET", f"/{repo}/resolve/main/random.bin", TOKEN,
                                    ["Range: bytes=@@@@FIRST@@@@@@-@@@@LAST@@@@@@@"])
            forget_pages(hub.data / "blob")
            before = read_bytes(hub.pid)
            count = ranges // 10
            run_load(hub.port, [request], f"-n{count}", "-R", f"{10 * MIB}:{size}")
            read = read_bytes(hub.pid) - before
            report.row("bridge", "bytes from disk per byte, cold 10 MiB ranges", read / (count * 10 * MIB), "<= 1.05",
                       "", note=f"{count} ranges; 0 where the disk is memory")
            packed = work / "text.lz4"
            subprocess.run(["lz4", "-q", "-f", "-B4", root / "text", packed], check=True)
            samples = {"hearth": [], "lz4": []}
            ours = write_request(work, "hub-text", hub.port, "GET", f"/{repo}/resolve/main/text.bin", TOKEN)
            run_load(hub.port, [ours], "-n1")
            for _ in range(options.rounds):
                with measured(hub, gib / 2, samples["hearth"]):
                    run_load(hub.port, [ours], "-n1")
                cpu, wall = cpu_of(["lz4", "-q", "-dc", packed])
                samples["lz4"].append(Sample(cpu, wall, gib / 2))
            report.ratio("bridge", "GET of a file in LZ4 chunks", {n: Side(s) for n, s in samples.items()}, ">= 0.7",
                         reference="lz4", scale=1e3, per="GiB")


def answers(report):
    """The reconstruction of a file of 50 GB, and a deduplication answer."""
    with Work("answers") as work:
        made = make(work / "cut", "-s", "800")
        write_random(work / "source", 256 * MIB, 400)
        real = make(work / "real", work / "source")
        with Hearth(work) as hub:
            cas = Cas(hub, work, hub.new_repo("answers"))
            cas.upload(made, work / "cut")
            cas.upload(real, work / "real")
        with Hearth(work) as hub:  # nothing is warm
            cas = Cas(hub, work, f"{USER}/answers")
            for what in ("first", "again"):
                start = time.perf_counter()
                body = cas.get(f"/v2/reconstructions/{made['file']}").body
                wall = (time.perf_counter() - start) * 1e3
                us = times_us(hub, "/v2/reconstructions/", 1)[0]
                report.row("answers", f"reconstruction of {made['size'] // 10**9} GB, {what}", us / 1e3, "<= 10", "ms",
                           note=f"{len(body) // 1024} KiB of JSON; the client waited {wall:.1f} ms")
            first = first_chunk(work / "real" / "shard")
            for _ in range(20):
                answer = cas.get(f"/v1/chunks/default/{first}")
            times = times_us(hub, "/v1/chunks/", 20)
            report.row("answers", "deduplication answer", statistics.median(times) / 1e3, "<= 2", "ms",
                       note=f"{len(answer.body) // 1024} KiB; {min(times)} to {max(times)} us")


def times_us(hub, needle, last):
    """As log_times_us, but waits for the access lines, which come after the answers."""
    end = time.monotonic() + 5
    while len(found := hub.log_times_us(needle, last)) < last and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.05)
    return hub.log_times_us(needle, last)


def first_chunk(shard):
    """The text form of the first chunk's hash in the xorb section of an upload shard."""
    rows = shard.read_bytes()
    at, bookend = 48, b"\xff" * 32
    while rows[at:at + 32] != bookend:
        flags, count = (int.from_bytes(rows[at + i:at + i + 4], "little") for i in (32, 36))
        at += 48 * (1 + count + (count if flags >> 31 else 0) + (flags >> 30 & 1))
    raw = rows[at + 96:at + 128]
    return "".join(raw[i:i + 8][::-1].hex() for i in (0, 8, 16, 24))


def bucket(report):
    """A batch of 1,000 operations, a page of 1,000 files, a HEAD."""
    rounds = 5 if options.quick else 15
    with Work("bucket") as work:
        write_random(work / "source", MIB, 500)
        made = make(work / "cut", work / "source")
        with Hearth(work) as hub:
            hub.api("POST", f"/api/buckets/{USER}/bench", {})
            name = f"{USER}/bench"
            Cas(hub, work, name, "buckets").upload(made, work / "cut")
            for i in range(rounds):
                lines = [{"type": "addFile", "path": f"run-{i}/step-{k // 100}/file-{k:05}.bin",
                          "xetHash": made["file"], "mtime": 1790000000000} for k in range(1000)]
                body = "".join(json.dumps(line) + "\n" for line in lines).encode()
                hub.api("POST", f"/api/buckets/{name}/batch", body, {"Content-Type": "application/x-ndjson"})
            walls = [t / 1e3 for t in times_us(hub, "/batch", rounds)]
            report.row("bucket", "batch of 1,000 additions", statistics.median(walls), "<= 30", "ms",
                       note=f"durable; {min(walls):.1f} to {max(walls):.1f} ms")
            for _ in range(rounds):
                hub.api("GET", f"/api/buckets/{name}/tree?limit=1000")
            pages = [t / 1e3 for t in times_us(hub, "/tree", rounds)]
            report.row("bucket", "page of 1,000 files", statistics.median(pages), "<= 5", "ms")
            head = write_request(work, "head", hub.port, "HEAD",
                                 f"/buckets/{name}/resolve/run-1/step-3/file-00321.bin", TOKEN)
            run_load(hub.port, [head], "-H", "-n1000")
            times = times_us(hub, "/resolve/", 1000)
            report.row("bucket", "HEAD resolve", statistics.median(times) / 1e3, "<= 0.5", "ms",
                       note=f"p99 {sorted(times)[989] / 1e3:.2f} ms")


def frames(report):
    """Memory while 200 uploads of xorbs stand in the middle, half of them in frames of 4 MiB blocks."""
    count = 50 if options.quick else 200
    with Work("frames") as work:
        write_text(work / "source", 32 * MIB, 600)
        made = [make(work / "js", "-j", work / "source"), make(work / "own", work / "source")]
        folders = [work / "js", work / "own"]
        with Hearth(work) as hub:
            cas = Cas(hub, work, hub.new_repo("frames"))
            loads = []
            for folder, m in zip(folders, made):
                cas.upload(m, folder)  # warm
                name, size = m["xorbs"][0]
                request = cas.request(f"slow-{folder.name}", "POST", f"/v1/xorbs/default/{name}", size=size)
                loads.append(Load(hub.port, [request], "-h", f"-c{count // 2}", "-b",
                                  f"{folder / name}.xorb:{size // 2}", ready=True))
            before = settle(hub)
            with loads[0], loads[1]:
                during = settle(hub)
            report.row("frames", f"memory of {count} slow xorb uploads", (during - before) / 1024 / count, "<= 1",
                       "MiB each", note=f"{before / 1024:.1f} to {during / 1024:.1f} MiB")


def client(report):
    """Stock `hf download` through Xet against curl of the same file from nginx: the client decides."""
    size = 256 * MIB if options.quick else 2048 * MIB
    with Work("client") as work:
        root = work / "root"
        root.mkdir()
        oid = write_random(root / "big.safetensors", size, 700)
        with Hearth(work) as hub, Nginx(work, root) as nginx:
            repo = hub.new_repo("client")
            hub.add_large(repo, "big.safetensors", root / "big.safetensors", oid)
            env = plain_env(work, HF_ENDPOINT=hub.url, HF_HOME=work / "hf", HF_TOKEN=TOKEN, NO_COLOR=1,
                            HF_HUB_DISABLE_PROGRESS_BARS=1)
            before = cpu_seconds(hub.pid)
            hf = BUILD / "venv" / "bin" / "hf"
            hf = hf if hf.exists() else ROOT / "build" / "venv" / "bin" / "hf"
            cpu, wall = cpu_of([hf, "download", repo, "--local-dir", work / "there"], env=env)
            server = cpu_seconds(hub.pid) - before
            before = nginx.cpu()
            curl_cpu, curl_wall = cpu_of(["curl", "-s", "-o", work / "curl", f"http://127.0.0.1:{nginx.port}/big.safetensors"])
            theirs = nginx.cpu() - before
            report.row("client", f"hf download of {size // MIB} MiB", wall, unit="s wall",
                       note=f"server CPU {server:.2f} s, hf {cpu:.2f} s; curl {curl_wall:.2f} s wall, nginx {theirs:.2f} s, "
                            f"curl {curl_cpu:.2f} s")
