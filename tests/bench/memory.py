"""Rows `memory` and `slow`: what the server holds, and what slow readers do to others.

Memory is anonymous plus shared memory; the page cache and socket buffers are the kernel's.
"""

import base64
import os
import statistics
import time
from pathlib import Path

from lib import (MIB, TOKEN, USER, Hearth, Load, Work, cpu_seconds, options, run_git, run_load, write_random,
                 write_request, write_text)
from commits import commit_request, make_repos


def settle(hub):
    """Memory in KiB once it stands still: the median of some looks."""
    time.sleep(1)
    looks = []
    for _ in range(5):
        looks.append(hub.rss_kib())
        time.sleep(0.1)
    return statistics.median(looks)


def start_times(report, work):
    """From exec to the first answered request, on a directory that exists."""
    times = []
    for _ in range(max(5, options.rounds)):
        hub = Hearth(work)
        start = time.perf_counter()
        hub.start()
        hub.http("GET", "/healthz")
        times.append((time.perf_counter() - start) * 1e3)
        rss = hub.rss_kib()
        cpu = cpu_seconds(hub.pid) * 1e3
        hub.stop()
    report.row("memory", "start to first answered request", statistics.median(times), "<= 100", "ms",
               note=f"{min(times):.0f} to {max(times):.0f} ms; CPU {cpu:.0f} ms", times_ms=times)
    report.row("memory", "memory of the idle server, just started", rss / 1024, "<= 20", "MiB")


def growth(report, hub, what, count, load, target, unit="KiB each"):
    """What `count` connections add while they are held."""
    before = settle(hub)
    with load:
        during = settle(hub)
        threads = len(os.listdir(f"/proc/{hub.pid}/task"))
    report.row("memory", what, (during - before) / count, target, unit,
               note=f"{count} of them; {before / 1024:.1f} to {during / 1024:.1f} MiB, {threads} threads")


def uploads(hub, work, repo, count, size):
    """Requests of `count` LFS uploads that will stop in the middle."""
    requests = []
    for i in range(count):
        link = hub.put_link(repo, f"{i + 1:064x}", size)
        requests.append(write_request(work, f"up-{i}", hub.port, "PUT", link.split(f":{hub.port}", 1)[1], size=size))
    return requests


def footprint(report):
    """Start, idle memory, and what a connection, a download, an upload cost."""
    idle, readers, senders = (4000, 200, 50) if options.quick else (10_000, 500, 100)
    with Work("memory") as work:
        with Hearth(work) as hub:
            repo = hub.new_repo("memory")
            hub.add_large(repo, "random.bin", work / "random", write_random(work / "random", 64 * MIB))
            hub.add_large(repo, "text.bin", work / "text", write_text(work / "text", 64 * MIB))
            hub.commit_files(repo, {"blob.json": (work / "text").read_bytes()[: 8 * MIB]})
        start_times(report, work)
        with Hearth(work) as hub:
            def request(name, path):
                return write_request(work, name, hub.port, "GET", path, TOKEN)

            names = ("random.bin", "text.bin", "blob.json")
            files = {name: request(name, f"/{repo}/resolve/main/{name}") for name in names}
            for file in files.values():  # warm: threads, caches, decoders
                run_load(hub.port, [file], "-n8", "-c4")
            health = write_request(work, "health", hub.port, "GET", "/healthz")
            growth(report, hub, "per idle keep-alive connection", idle,
                   Load(hub.port, [health], "-h", f"-c{idle}", ready=True), "<= 1")
            for name, what, target in (("random.bin", "per download, stored chunks", "<= 256"),
                                       ("text.bin", "per download, compressed chunks", "<= 256"),
                                       ("blob.json", "per download, git blob of 8 MiB", "<= 256")):
                growth(report, hub, what, readers,
                       Load(hub.port, [files[name]], f"-c{readers}", "-s32768", "-e", ready=True), target)
            requests = uploads(hub, work, repo, senders, 32 * MIB)
            growth(report, hub, "per upload, in its middle", senders,
                   Load(hub.port, requests, f"-c{senders}", "-h", "-b", f"{work}/random:{9 * MIB}", ready=True),
                   "<= 1024")
            report.row("memory", "memory after all that, idle again", settle(hub) / 1024, unit="MiB")


def beside(report, hub, head, name, what, calm, requests, clients):
    """p99 of HEAD while `clients` read slowly."""
    with Load(hub.port, requests, f"-c{clients}", "-s1024", "-e", ready=True) as load:
        time.sleep(2)
        cpu, start = hub.cpu(), time.perf_counter()
        busy = [run_load(hub.port, [head], "-H", "-c8", "-p20", "-n2000") for _ in range(3)]
        share = (hub.cpu() - cpu) / (time.perf_counter() - start)
        threads = len(os.listdir(f"/proc/{hub.pid}/task"))
        rss = hub.rss_kib() / 1024
    value = statistics.median(r["p99_us"] for r in busy)
    report.row("slow", what, value / calm, "<= 1.5", "x idle",
               note=f"p99 {calm / 1e3:.2f} ms idle, {value / 1e3:.2f} ms beside; p50 {busy[0]['p50_us'] / 1e3:.2f} ms; "
               f"{100 * share:.0f} % of a core, {threads} threads, {rss:.0f} MiB; "
               f"{load.result['answers']} ended early", **{name: busy})


def fetch_request(hub, work, repo):
    """A clone as git sends it (protocol 2): everything of the branch, without delta bases we have."""
    url = f"http://{USER}:{TOKEN}@127.0.0.1:{hub.port}/{repo}"
    head = run_git(work, "ls-remote", url, "refs/heads/main")[:40].decode()
    lines = ["command=fetch\n", None, "ofs-delta\n", f"want {head}\n", "done\n"]
    body = b"".join(b"0001" if text is None else b"%04x" % (len(text) + 4) + text.encode() for text in lines) + b"0000"
    basic = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
    return write_request(work, "fetch", hub.port, "POST", f"/{repo}.git/git-upload-pack", None,
                         [f"Authorization: Basic {basic}", "Git-Protocol: version=2",
                          "Content-Type: application/x-git-upload-pack-request"], body)


def slow_clients(report):
    """2,000 clients at 1 KiB/s on clones, stored and compressed downloads; HEAD and commits beside them."""
    clients = 2000
    with Work("slow") as work, Hearth(work) as hub:
        repo = hub.new_repo("slow")
        hub.add_large(repo, "random.bin", work / "random", write_random(work / "random", 64 * MIB))
        hub.add_large(repo, "text.bin", work / "text", write_text(work / "text", 64 * MIB))
        cloned = hub.new_repo("cloned")
        hub.commit_files(cloned, {f"f{i}.bin": os.urandom(400_000) for i in range(20)})
        hub.commit_files(repo, {"config.json": b"{}"})
        make_repos(hub, "w", 4)
        head = write_request(work, "head", hub.port, "HEAD", f"/{repo}/resolve/main/config.json", TOKEN)
        requests = [
            fetch_request(hub, work, cloned),
            write_request(work, "random", hub.port, "GET", f"/{repo}/resolve/main/random.bin", TOKEN),
            write_request(work, "text", hub.port, "GET", f"/{repo}/resolve/main/text.bin", TOKEN),
        ]
        run_load(hub.port, [head], "-H", "-c8", "-n2000")
        idle = [run_load(hub.port, [head], "-H", "-c8", "-p20", "-n2000") for _ in range(5)]
        calm = statistics.median(r["p99_us"] for r in idle)
        beside(report, hub, head, "beside", f"p99 of HEAD beside {clients} slow readers", calm, requests, clients)

        # Commits beside them: a read transaction held by a reader would keep the log from being reset.
        commits = commit_request(work, hub, "w")
        largest = {}
        with Load(hub.port, requests, f"-c{clients}", "-s1024", "-e", ready=True):
            with Load(hub.port, [commits], "-c4", "-e") as writing:
                end = time.monotonic() + (10 if options.quick else 60)
                while time.monotonic() < end:
                    for wal in Path(hub.data).glob("*.db-wal"):
                        largest[wal.name] = max(largest.get(wal.name, 0), wal.stat().st_size)
                    time.sleep(0.1)
        report.row("slow", "largest WAL beside them and 4 committers", max(largest.values()) / MIB, "<= 64", "MiB",
                   note=", ".join(f"{k} {v / MIB:.1f}" for k, v in sorted(largest.items()))
                   + f"; {writing.result['answers']} commits")
