"""Backup and restore while the power goes, and while calls fail.

Here the shim watches the folder that is written: DEST of `hearth backup`, the new data directory of
`hearth restore`. Promises are exit codes: a run that ended with 0 before the cut is there.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import tempfile
import traceback
from pathlib import Path

import replay
from harness.server import BINARY, Hub, plain_env
from world import SHIM, TOKEN, USER, Client, random_bytes, sha256

POLICIES = ("none",) * 3 + ("half",) * 4 + ("all",)
CALLS = ("write", "fsync", "link", "rename", "open", "mkdir", "unlink", "truncate", "step")
ERRORS = dict.fromkeys(("write", "mkdir", "link", "truncate"), "ENOSPC")


def hearth(folder, *args, shim=None, fail=None, no_sync=False):
    """A command; `shim`: (directory, log) to watch."""
    env = plain_env(folder)
    if shim:
        env.update(LD_PRELOAD=str(SHIM), HEARTH_FAULT_DIR=str(shim[0]), HEARTH_FAULT_LOG=str(shim[1]), HEARTH_FAULT_SYNC_US="200")
    if no_sync:
        env["HEARTH_FAULT_NOSYNC"] = "1"
    if fail:
        env["HEARTH_FAULT_FAIL"] = fail
    return subprocess.run([BINARY, *map(str, args)], env=env, capture_output=True, text=True, timeout=120)


class Made:
    """A hub, and a DEST that was filled by several runs: how many events each took, what it promised."""

    def __init__(self, folder, no_sync=False):
        self.folder, self.no_sync = Path(folder).resolve(), no_sync
        self.folder.mkdir(parents=True)
        self.dest, self.events = self.folder / "dest", self.folder / "events"
        self.hub = Hub(self.folder / "data", self.folder / "log.txt", env={"HEARTH_LFS_MULTIPART_ABOVE": 1 << 30})
        self.hub.start()
        try:
            self.hub.admin("user", "add", USER, "--password-stdin", stdin="correct horse battery\n")
            self.hub.admin("token", "add", USER, "--name", "all", "--value", TOKEN, "--role", "write")
            self.client, self.files, self.promises = Client(self.hub), {}, []
            self._fill()
        finally:
            self.hub.stop()
        self.log = replay.read_log(self.events)

    def _fill(self):
        self.client.create("alice/a")
        shared = random_bytes(300_000, "shared")
        for n, keep in enumerate(("3", "3", "1", "0")):
            content = shared + random_bytes(200_000, n)
            self._commit(f"step-{n}.txt", b"%d\n" % n)
            self.client.put("alice/a", content)
            self._commit("big.bin", content, large=True)
            self._run("--keep", keep)
        self.client.close()

    def _commit(self, path, content, large=False):
        if large:
            self.client.commit("alice/a", {}, {path: content})
        else:
            self.client.commit("alice/a", {path: content})
        self.files = {**self.files, path: sha256(content)}

    def _run(self, *args):
        done = hearth(self.folder, "backup", self.dest, "--data", self.hub.data, "--json", *args, shim=(self.dest, self.events), no_sync=self.no_sync)
        assert done.returncode == 0, done.stderr
        name = json.loads(done.stdout)["snapshot"]
        self.promises.append((len(replay.read_log(self.events)), name, dict(self.files)))


def holds(folder, data, files):
    """Does a server on this directory have these files?  A list of problems."""
    hub = Hub(data, folder / "check.txt", env={"HEARTH_LOOPS": 1})
    try:
        hub.start()
    except (RuntimeError, OSError) as e:
        return [f"the server does not start: {e}"]
    client, problems = Client(hub), []
    try:
        for path, wanted in files.items():
            answer = client.send("GET", f"/alice/a/resolve/main/{path}")
            if answer.status != 200 or sha256(answer.body) != wanted:
                problems.append(f"{path}: {answer.status}, or other bytes")
    finally:
        client.close()
        hub.kill()
    return problems


def check_dest(made, at, cut, deep):
    """A DEST after a power cut: what was promised is restored; the next run works."""
    dest, known = at / "dest", {name: files for _, name, files in made.promises}
    done_before = [name for place, name, _ in made.promises if place <= cut]
    listed = hearth(at, "restore", dest, "--list", "--json")
    if listed.returncode:
        return [f"{done_before[-1]} is gone: {listed.stderr}"] if done_before else []
    names = [s["name"] for s in json.loads(listed.stdout)]
    order = [name for _, name, _ in made.promises]
    if done_before and order.index(names[0]) < order.index(done_before[-1]):
        return [f"the newest is {names[0]}, but {done_before[-1]} was promised"]
    problems = []
    for name in names if deep else names[:1]:
        data = at / f"data-{name}"
        done = hearth(at, "restore", dest, "--snapshot", name, "--data", data)
        if done.returncode:
            problems.append(f"restore of {name}: {done.returncode} {done.stderr}")
        else:
            problems += [f"{name}: {p}" for p in holds(at, data, known[name])]
    if deep:
        problems += next_run(made, at, dest)
    return problems


def next_run(made, at, dest):
    data = at / "live"
    shutil.copytree(made.hub.data, data)
    done = hearth(at, "backup", dest, "--data", data, "--verify", "--json")
    if done.returncode:
        return [f"the next backup: {done.returncode} {done.stderr}"]
    done = hearth(at, "restore", dest, "--data", at / "next")
    if done.returncode:
        return [f"restore of the next backup: {done.stderr}"]
    return holds(at, at / "next", made.files)


def check_data(made, at, cut, deep):
    """A data directory whose restore was cut off: no store, or all of it; and it can go on."""
    data, problems = at / "data", []
    names = {p.name for p in data.iterdir()} if data.is_dir() else set()
    promised = cut >= made.restored_at
    if "RESTORING" in names:
        done = hearth(at, "admin", "user", "list", "--data", data)
        if done.returncode == 0:
            problems.append("half a restore was opened")
        if promised:
            problems.append("a restore that had ended is called unfinished")
    elif names - {"lock"}:
        return holds(at, data, made.files)
    elif promised:
        problems.append("a restore that had ended is gone")
    if deep and not problems:
        done = hearth(at, "restore", made.dest, "--data", data)
        problems = [f"going on: {done.stderr}"] if done.returncode else holds(at, data, made.files)
    return problems


def check_some(made, check, log, name, images, folder, queue):
    """One process: its images in the order of the log."""
    disk = replay.Disk(Path(tempfile.mkdtemp(dir=folder)))
    for number, (cut, kind, seed) in enumerate(images):
        at = Path(tempfile.mkdtemp(dir=folder))
        try:
            disk.run(log, cut).write(at / name, replay.Policy(kind, seed))
            problems = check(made, at, cut, number % 4 == 0)
        except Exception:  # noqa: BLE001 - a broken check is a failed image
            problems = [traceback.format_exc()]
        queue.put((cut, kind, seed, problems))
        shutil.rmtree(at, ignore_errors=True)


def cuts(args, made, check, log, name, folder):
    """Places at every sort of event, most around syncs and renames."""
    folder.mkdir()
    draw = random.Random(args.seed)
    busy = [i + d for i, e in enumerate(log) for d in (0, 1) if e.type in (replay.SYNC_END, replay.RENAME, replay.UNLINK)]
    images = sorted(
        (draw.choice(busy) if draw.random() < 0.6 else draw.randrange(1, len(log) + 1), draw.choice(POLICIES), n)
        for n in range(args.images)
    )
    queue = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(target=check_some, args=(made, check, log, name, images[n :: args.jobs], folder, queue))
        for n in range(args.jobs)
    ]
    for worker in workers:
        worker.start()
    results = [queue.get(timeout=600) for _ in images]
    for worker in workers:
        worker.join()
    return results


def report_cuts(report, what, results, events):
    bad = [r for r in results if r[3]]
    print(f"{what}: {len(results)} images of {events} events, {len(bad)} damaged", flush=True)
    report.point(f"power cuts in {what}", [f"cut {c} {k} seed {s}: {p}" for c, k, s, ps in bad for p in ps])


def gave_up(done):
    """A database whose sync failed ends its process, so that nothing is promised."""
    return done.returncode == -6 and "fatal: cannot sync" in done.stderr


def failing_backups(made, folder):
    """The n-th call fails: exit code 1 and an earlier backup that is whole, or a backup all the same."""
    problems, tried = [], 0
    folder.mkdir()
    for call in CALLS:
        for n in (*range(1, 8), 10, 14, 20, 28, 40, 60, 90):
            at = folder / f"{call}-{n}"
            shutil.copytree(made.dest, at / "dest")
            before = tree(at / "dest")
            fail = f"{call}:{n}:{ERRORS.get(call, 'EIO')}"
            done = hearth(at, "backup", at / "dest", "--data", made.hub.data, "--keep", "9", shim=(at / "dest", at / "events"), fail=fail)
            tried += 1
            if done.returncode not in (0, 1, 2) and not gave_up(done):
                problems.append(f"{fail}: {done.returncode} {done.stderr[-300:]}")
            lost = [name for name, size in before.items() if name.startswith(("SNAPSHOT", "blob")) and tree(at / "dest").get(name) != size]
            if lost:
                problems.append(f"{fail}: exit {done.returncode} and lost {lost[:3]}")
            again = hearth(at, "backup", at / "dest", "--data", made.hub.data, "--keep", "9", "--verify")
            if again.returncode:
                problems.append(f"after {fail}: {again.returncode} {again.stderr[-300:]}")
            shutil.rmtree(at)
    return problems, tried


def failing_restores(made, folder):
    problems, tried = [], 0
    folder.mkdir()
    for call in CALLS:
        for n in (*range(1, 8), 10, 14, 20, 28, 40, 60):
            at = folder / f"{call}-{n}"
            at.mkdir()
            fail = f"{call}:{n}:{ERRORS.get(call, 'EIO')}"
            done = hearth(at, "restore", made.dest, "--data", at / "data", shim=(at / "data", at / "events"), fail=fail)
            tried += 1
            if done.returncode not in (0, 1) and not gave_up(done):
                problems.append(f"{fail}: {done.returncode} {done.stderr[-300:]}")
            failed = done.returncode != 0
            if failed and (at / "data" / "hearth.db").exists() and not (at / "data" / "RESTORING").exists():
                if holds(at, at / "data", made.files):  # only the very last sync may fail behind a whole store
                    problems.append(f"{fail}: a failed restore looks like a store")
            elif failed:
                done = hearth(at, "restore", made.dest, "--data", at / "data")
                if done.returncode or holds(at, at / "data", made.files):
                    problems.append(f"going on after {fail}: {done.stderr[-300:]}")
            shutil.rmtree(at)
    return problems, tried


def tree(folder):
    return {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()}


def run(args, work, report):
    made = Made(work / "backup")
    log = made.log
    results = cuts(args, made, check_dest, log, "dest", work / "dest-images")
    report_cuts(report, "backup", results, len(log))

    careless = Made(work / "careless", no_sync=True)
    args_few = argparse.Namespace(**{**vars(args), "images": 40})
    bad = [r for r in cuts(args_few, careless, check_dest, careless.log, "dest", work / "careless-images") if r[3]]
    print(f"backup without syncs: {len(bad)} of 40 images damaged, as it should be", flush=True)
    report.point("losses are found in a backup without syncs", [] if bad else ["no loss was found"])

    folder = work / "restore"
    folder.mkdir()
    done = hearth(folder, "restore", made.dest, "--data", folder / "data", shim=(folder / "data", folder / "events"))
    assert done.returncode == 0, done.stderr
    log = replay.read_log(folder / "events")
    made.restored_at = len(log)
    results = cuts(args, made, check_data, log, "data", work / "data-images")
    report_cuts(report, "restore", results, len(log))

    for name, story in (("backup", failing_backups), ("restore", failing_restores)):
        problems, tried = story(made, work / f"failing-{name}")
        print(f"failing calls in {name}: {tried} runs, {len(problems)} problems", flush=True)
        report.point(f"failing calls in {name}", problems)
    shutil.rmtree(work / "backup")
