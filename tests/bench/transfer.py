"""Rows `head`, `get`, `small` and `put`: files out and in."""

import json
import os
import subprocess

from lib import (MIB, TOKEN, TOOLS, Hearth, Nginx, Sample, Side, Work, forget_pages, measured, one_core, options,
                 rounds_of, run_load, write_random, write_request)


def pair(work, hub, nginx, path, file, method="GET", headers=()):
    """The same request to both: a file of a repository, the same file from nginx."""
    ours = write_request(work, f"hub-{method}-{file}", hub.port, method, path, TOKEN, headers)
    theirs = write_request(work, f"nginx-{method}-{file}", nginx.port, method, f"/{file}", None, headers)
    return {"hearth": (hub, ours), "nginx": (nginx, theirs)}


def compare(sides, units, *args, rounds=None, before=None):
    """Rounds of `load` against both; `units` of work in each."""

    def fn(server, request):
        def run(samples):
            if before:
                before()
            with measured(server, units, samples):
                run_load(server.port, [request], *args)

        return run

    return rounds_of({name: fn(*side) for name, side in sides.items()}, rounds)


def head(report):
    """HEAD of a file: token checked, request counted, 32 keep-alive connections."""
    count = 20_000 if options.quick else 100_000
    with Work("head") as work, one_core():
        root = work / "root"
        root.mkdir()
        write_random(root / "1k", 1024)
        oid = write_random(work / "64k", 65536, 1)
        with Hearth(work, "--loops", "1") as hub, Nginx(work, root) as nginx:
            repo = hub.new_repo("head")
            hub.commit_files(repo, {"config.json": b"{}" + b" " * 1022})
            hub.add_large(repo, "model.safetensors", work / "64k", oid)
            for what, path, target in (("HEAD resolve, git file", "config.json", ">= 0.5"),
                                       ("HEAD resolve, LFS file", "model.safetensors", None)):
                sides = pair(work, hub, nginx, f"/{repo}/resolve/main/{path}", "1k", "HEAD")
                done = compare(sides, count, "-H", "-c32", f"-n{count}")
                report.ratio("head", what, done, target, per="request")


def get(report):
    """GET of a large file: one and eight streams, random ranges; warm, cold, and first after start."""
    size, ranges = options.big, 40 if options.quick else 200
    with Work("get") as work, one_core():
        root = work / "root"
        root.mkdir()
        oid = write_random(root / "big", size)
        with Nginx(work, root) as nginx:
            with Hearth(work, "--loops", "1") as hub:
                repo = hub.new_repo("get")
                hub.add_large(repo, "big.safetensors", root / "big", oid)
                path = f"/{repo}/resolve/main/big.safetensors"
                sides = pair(work, hub, nginx, path, "big")
                gib = size / 1024 / MIB
                for what, streams in (("GET, 1 stream, warm", 1), ("GET, 8 streams, warm", 8)):
                    n = max(streams, 4)
                    done = compare(sides, n * gib, f"-c{streams}", f"-n{n}")
                    report.ratio("get", what, done, ">= 0.9", scale=1e3, per="GiB")
                random = pair(work, hub, nginx, path, "big",
                              headers=["Range: bytes=@@@@FIRST@@@@@@-@@@@LAST@@@@@@@"])
                done = compare(random, ranges * 10 / 1024, f"-n{ranges}", "-R", f"{10 * MIB}:{size}")
                report.ratio("get", "GET, random ranges of 10 MiB, warm", done, ">= 0.9", scale=1e3, per="GiB")
                sides = pair(work, hub, nginx, path, "big")
                done = compare(sides, gib, "-n1", before=lambda: forget_pages(root, hub.data / "blob"))
                report.ratio("get", "GET, 1 stream, cold pages", done, scale=1e3, per="GiB")
            samples = {"hearth": [], "nginx": []}
            for _ in range(options.rounds):
                with Hearth(work, "--loops", "1") as hub:
                    sides = pair(work, hub, nginx, path, "big")
                    forget_pages(root, hub.data / "blob")
                    for name, (server, request) in sides.items():
                        with measured(server, gib, samples[name]):
                            run_load(server.port, [request], "-n1")
            done = {name: Side(s) for name, s in samples.items()}
            report.ratio("get", "GET, 1 stream, cold, first after start", done, scale=1e3, per="GiB")


def small(report):
    """GET of 64 KiB: an LFS file and a git blob."""
    count = 5_000 if options.quick else 40_000
    with Work("small") as work, one_core():
        root = work / "root"
        root.mkdir()
        oid = write_random(root / "64k", 65536)
        with Hearth(work, "--loops", "1") as hub, Nginx(work, root) as nginx:
            repo = hub.new_repo("small")
            hub.commit_files(repo, {"blob.json": (root / "64k").read_bytes()})
            hub.add_large(repo, "model.safetensors", root / "64k", oid)
            for what, path, target in (("GET of a 64 KiB LFS file", "model.safetensors", ">= 0.6"),
                                       ("GET of a 64 KiB git blob", "blob.json", None)):
                sides = pair(work, hub, nginx, f"/{repo}/resolve/main/{path}", "64k")
                done = compare(sides, count, "-c8", f"-n{count}")
                report.ratio("small", what, done, target, per="request")


def put(report):
    """LFS PUT against the sum of what it must do, each part measured alone on the same bytes."""
    size = options.big
    gib = size / 1024 / MIB
    with Work("put") as work, one_core(), Hearth(work, "--loops", "1") as hub:
        samples, parts = {"hearth": [], "parts": []}, []
        repo = hub.new_repo("put")
        for i in range(options.rounds + 1):
            source = work / "source"
            oid = write_random(source, size, 100 + i)
            link = hub.put_link(repo, oid, size).split(f":{hub.port}", 1)[1]
            request = write_request(work, "put", hub.port, "PUT", link, size=size)
            os.sync()
            taken = []
            with measured(hub, gib, taken):
                run_load(hub.port, [request], "-n1", "-b", source)
            os.sync()
            out = work / "parts.out"
            each = json.loads(subprocess.check_output([TOOLS / "bench_parts", source, out]))
            each.pop("seen")
            out.unlink()
            if i == 0:
                continue  # a warm round
            parts.append(each)
            samples["hearth"] += taken
            cpu, wall = (sum(p[clock] for p in each.values()) for clock in ("cpu", "wall"))
            samples["parts"].append(Sample(cpu, wall, gib))
        done = {name: Side(s) for name, s in samples.items()}
        report.ratio("put", f"LFS PUT of {size // MIB} MiB", done, ">= 0.8", reference="parts", scale=1e3, per="GiB")
        alone = ", ".join(f"{name} {1e3 * part['cpu'] / gib:.0f}" for name, part in parts[-1].items())
        report.row("put", "  the same by wall time", done["parts"].wall / done["hearth"].wall, unit="x parts",
                   note=f"ms/GiB CPU alone: {alone}")
        # The same bytes into another repository: received and hashed, not written twice.
        other, again = hub.new_repo("put2"), []
        link = hub.put_link(other, oid, size).split(f":{hub.port}", 1)[1]
        request = write_request(work, "again", hub.port, "PUT", link, size=size)
        with measured(hub, gib, again):
            run_load(hub.port, [request], "-n1", "-b", source)
        report.row("put", "  bytes that the store has already", Side(again).cpu * 1e3, unit="CPU ms/GiB")
