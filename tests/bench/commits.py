"""Rows `group`, `commit` and `push`: commits that share disk syncs, a large one, many beside a push."""

import json
import os
import shutil
import statistics
import time

from lib import (TOKEN, USER, Hearth, Load, Sample, Side, Work, cpu_seconds, fdatasync_p50_ms, measured, options,
                 run_git, run_load, write_request)


def commit_request(work, hub, prefix):
    """A commit of one small file; connection N commits to the repository PREFIX-N, content changes each time."""
    lines = [
        {"key": "header", "value": {"summary": "step @@COUNT@"}},
        {"key": "file", "value": {"path": "state.txt", "encoding": "utf-8", "content": "state @@COUNT@"}},
    ]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path = f"/api/models/{USER}/{prefix}-@@CONN@@/commit/main"
    return write_request(work, f"commit-{prefix}", hub.port, "POST", path, TOKEN,
                         ["Content-Type: application/x-ndjson"], body)


def make_repos(hub, prefix, count):
    for i in range(count):
        hub.new_repo(f"{prefix}-{i:08d}")


def group(report):
    """50 committers on 50 repositories, with and without group commit, under a slow disk sync."""
    seconds, delay, writers = (3 if options.quick else 10), 3, 50
    with Work("group") as work:
        report.row("group", "this disk's fdatasync, p50", fdatasync_p50_ms(work), unit="ms",
                   note=f"each sync of the servers below takes {delay} ms more")
        runs = {"on": [], "off": []}
        delayed = ["--sync-delay-ms", str(delay)]
        with (
            Hearth(work, *delayed, preload=True, name="on") as on,
            Hearth(work, *delayed, "--group-commit=off", preload=True, name="off") as off,
        ):
            sides = {"on": on, "off": off}
            requests = {}
            for name, hub in sides.items():
                (work / f"{name}.d").mkdir()
                make_repos(hub, "w", writers)
                requests[name] = commit_request(work / f"{name}.d", hub, "w")
                run_load(hub.port, [requests[name]], f"-c{writers}", f"-n{writers * 2}")
            for _ in range(min(options.rounds, 3)):
                for name, hub in sides.items():
                    before, cpu = hub.syncs(), hub.cpu()
                    result = run_load(hub.port, [requests[name]], f"-c{writers}", f"-t{seconds}")
                    syncs = [b - a for a, b in zip(before, hub.syncs())]
                    runs[name].append((result, syncs, hub.cpu() - cpu))

    def median(name, value):
        return statistics.median(value(*run) for run in runs[name])

    rate = {name: median(name, lambda r, s, c: r["answers"] / r["wall"]) for name in runs}
    for name in runs:
        note = (f"p50 {median(name, lambda r, s, c: r['p50_us']) / 1e3:.1f} ms, "
                f"p99 {median(name, lambda r, s, c: r['p99_us']) / 1e3:.1f} ms, "
                f"CPU {1e3 * median(name, lambda r, s, c: c / r['answers']):.2f} ms/commit")
        report.row("group", f"commits per second, grouping {name}", rate[name], unit="/s wall", note=note)
    per = {file: median("on", lambda r, s, c, i=i: r["answers"] / max(1, s[i]))
           for i, file in enumerate(("hearth.db", "git.db"))}
    report.row("group", "commits per WAL sync, the worse of the two files", min(per.values()), ">= 4",
               note=", ".join(f"{k} {v:.1f}" for k, v in per.items())
               + f"; stats.db and others: {runs['on'][-1][1][2:]} syncs")
    report.row("group", "commits/s with grouping, without = 1", rate["on"] / rate["off"], ">= 5", "x off")


def thousand_files(report):
    """One commit of 1,000 small files, by wall time; a local git beside it."""
    with Work("commit") as work, Hearth(work) as hub:
        samples = {"hearth": [], "git": []}
        for n in range(options.rounds + 1):
            repo = hub.new_repo(f"many-{n}")
            files = {f"data/part{i % 10}/file-{i:04d}.json": (f'{{"n": {i}, "round": {n}}}' + " " * 500).encode()
                     for i in range(1000)}
            taken = []
            with measured(hub, 1, taken):
                hub.commit_files(repo, files)
            local = work / "local"
            shutil.rmtree(local, ignore_errors=True)
            run_git(work, "init", "-q", "-b", "main", local)
            for path, content in files.items():
                (local / path).parent.mkdir(parents=True, exist_ok=True)
                (local / path).write_bytes(content)
            start, used = time.perf_counter(), os.times()
            run_git(work, "-C", local, "add", "-A")
            run_git(work, "-C", local, "commit", "-q", "-m", "all")
            wall, end = time.perf_counter() - start, os.times()
            cpu = end.children_user - used.children_user + end.children_system - used.children_system
            if n > 0:
                samples["hearth"] += taken
                samples["git"].append(Sample(cpu, wall, 1))
        done = {name: Side(s) for name, s in samples.items()}
        report.row("commit", "commit of 1,000 files, wall", done["hearth"].wall * 1e3, "<= 300", "ms",
                   note=f"CPU {done['hearth'].cpu * 1e3:.0f} ms; git add + commit: wall {done['git'].wall * 1e3:.0f}, "
                   f"CPU {done['git'].cpu * 1e3:.0f} ms", sides={k: v.as_json() for k, v in done.items()})


def make_objects(work, blobs):
    """A packed repository of `blobs` blobs in folders of 99, one commit."""
    import random

    source, stream = random.Random(11), []
    stream.append("commit refs/heads/main\ncommitter bench <bench@localhost> 1700000000 +0000\ndata 3\nall\n")
    for i in range(blobs):
        text = "".join(f"{source.getrandbits(64):016x}\n" for _ in range(30))
        stream.append(f"M 100644 inline d{i // 99:04d}/f{i:06d}.txt\ndata {len(text)}\n{text}\n")
    bare = work / "objects.git"
    run_git(work, "init", "-q", "--bare", "-b", "main", bare)
    run_git(work, "-C", bare, "fast-import", "--quiet", input="".join(stream).encode())
    run_git(work, "-C", bare, "repack", "-adq")
    return bare


def push_beside(report):
    """What one push of 15,000 objects does to 20 committers; servers and clients may use all cores."""
    writers, seconds = 20, (4 if options.quick else 10)
    with Work("push") as work, Hearth(work) as hub:
        bare = make_objects(work, 14_850)  # and 150 folders, the root, the commit
        make_repos(hub, "w", writers)
        request = commit_request(work, hub, "w")
        run_load(hub.port, [request], f"-c{writers}", f"-n{writers * 4}")
        alone, beside, pushes, quiet = [], [], [], []

        def push(name):
            repo = hub.new_repo(name)
            start, cpu = time.perf_counter(), cpu_seconds(hub.pid)
            run_git(work, "-C", bare, "push", "-q", "--force",
                    f"http://{USER}:{TOKEN}@127.0.0.1:{hub.port}/{repo}", "main:main")
            return time.perf_counter() - start, cpu_seconds(hub.pid) - cpu

        for n in range(min(options.rounds, 3)):
            quiet.append(push(f"quiet-{n}"))
            alone.append(run_load(hub.port, [request], f"-c{writers}", f"-t{seconds}"))
            with Load(hub.port, [request], f"-c{writers}", "-e") as load:
                pushes.append(push(f"push-{n}"))
            beside.append(load.result)

    def p99(runs):
        return statistics.median(r["p99_us"] for r in runs) / 1e3

    def rate(runs):
        return statistics.median(r["answers"] / r["wall"] for r in runs)

    took, took_alone = (statistics.median(p[0] for p in runs) for runs in (pushes, quiet))
    note = (f"p99 alone {p99(alone):.1f} ms, beside {p99(beside):.1f} ms; "
            f"max beside {max(r['max_us'] for r in beside) / 1e3:.0f} ms; "
            f"commits/s {rate(alone):.0f} and {rate(beside):.0f}; the push took {took:.2f} s "
            f"(alone {took_alone:.2f} s, server CPU {statistics.median(p[1] for p in quiet):.2f} s)")
    report.row("push", "p99 of 20 committers beside a push of 15,000", p99(beside) / p99(alone), "<= 2", "x alone",
               note=note)
