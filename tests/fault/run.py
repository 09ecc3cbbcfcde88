"""run.py [STORY…] — the fault tests: power cuts, and calls that fail. See README.md.

    --images N      power-cut images per story (default 150)
    --clone N       clone and fsck every N-th image (default 5)
    --jobs N        images at the same time (default: cores)
    --seed N        another choice of images
    --keep          leave the folder of images that lost something
    --verbose       what the proof lost
    --only WHAT     cuts, proof, errors, clients or backups
"""

import argparse
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for harness

import backups
import clients
import errors
import replay
import stories
from check import Check
from world import FILE, FOLDER, RUNNING, TOKEN, USER, WAL, Client, Shimmed

# Where syncs cost nothing and a thousand disks fit: memory, if there is enough of it.
MEMORY = Path("/dev/shm")


def work_folder():
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 << 30
    return Path(tempfile.mkdtemp(prefix="hearth-fault-", dir=MEMORY if roomy else None))


class Told:
    """A story that was told: the log, where its setup ended, and what was promised."""

    def __init__(self, folder, story, no_sync=0):
        hub = Shimmed(folder, HEARTH_LFS_MULTIPART_ABOVE=1 << 20)
        hub.start()
        client = Client(hub)
        try:
            hub.add_user(USER, TOKEN)
            client.swear((("token", USER), TOKEN))
            setup = client.facts[0].id
            hub.control.no_sync(no_sync)
            self.contents = story(hub, client, hub.folder)
        finally:
            client.close()
            hub.stop()
        self.facts = client.facts
        self.log = replay.read_log(hub.events)
        setup = next(i for i, e in enumerate(self.log) if e.type == replay.ANSWER and e.path == setup)
        self.begin = setup + 1 if story is not stories.create else 0  # one story includes the very first start
        self.hub = hub

    def compare(self, scratch):
        """With everything kept, the image is the directory itself: the shim saw every change."""
        replay.Disk().run(self.log, len(self.log)).write(scratch, replay.Policy("all"))
        found = difference(self.hub.data, scratch)
        shutil.rmtree(scratch)
        assert not found, f"the log does not lead to the directory: {found[:5]}"

    def answered(self, cut):
        return {e.path for e in self.log[:cut] if e.type == replay.ANSWER and 200 <= e.a < 300}


def difference(a, b):
    def tree(root):
        return {
            str(p.relative_to(root)): None if p.is_dir() else p.read_bytes()
            for p in sorted(root.rglob("*"))
            if not p.name.endswith("-shm")
        }

    x, y = tree(Path(a)), tree(Path(b))
    return [name for name in sorted(x.keys() | y.keys()) if x.get(name, 0) != y.get(name, 0)]


def choose(told, count, seed, kinds):
    """Places to cut at, most of them right after an answer or around a sync, and what survives."""
    draw = random.Random(seed)
    events = range(told.begin, len(told.log))
    answers = [i + 1 for i in events if told.log[i].type == replay.ANSWER and told.log[i].a < 300]
    syncs = [i + d for i in events if told.log[i].type == replay.SYNC_END for d in (0, 1)]
    images = []
    for n in range(count):
        lot = draw.random()
        cut = draw.choice(answers if lot < 0.45 else syncs if lot < 0.7 else events)
        images.append((cut, draw.choice(kinds), seed * 1_000_000 + n))
    return sorted(images)


def check_images(told, images, folder, clone_every, keep, queue):
    """One process: builds its images in the order of the log and checks each."""
    pool = Path(tempfile.mkdtemp(dir=folder))
    disk = replay.Disk(pool)
    for number, (cut, kind, seed) in enumerate(images):
        at = folder / f"{cut}-{kind}-{seed}"
        at.mkdir()
        try:
            disk.run(told.log, cut).write(at / "data", replay.Policy(kind, seed))
            clone = clone_every and number % clone_every == 0
            problems = Check(at, told.facts, told.answered(cut), told.contents).run(clone)
        except Exception:  # noqa: BLE001 - a broken check is a failed image, not a lost one
            problems = [traceback.format_exc()]
        if not (problems and keep):
            shutil.rmtree(at, ignore_errors=True)
        queue.put((cut, kind, seed, problems))
    queue.put(None)


def check_all(told, images, folder, jobs, clone_every=0, keep=False):
    folder.mkdir(parents=True)
    queue = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(target=check_images, args=(told, images[n::jobs], folder, clone_every, keep, queue))
        for n in range(jobs)
    ]
    for worker in workers:
        worker.start()
    results, running = [], jobs
    while running:
        result = queue.get(timeout=600)
        if result is None:
            running -= 1
        else:
            results.append(result)
    for worker in workers:
        worker.join()
    return results


class Report:
    def __init__(self):
        self.passed, self.failed = 0, []

    def point(self, name, problems):
        if problems:
            self.failed.append(name)
            print(f"not ok: {name}", flush=True)
            for problem in problems[:8]:
                print("    " + "\n    ".join(str(problem).splitlines()[:14]), flush=True)
        else:
            self.passed += 1


def power_cuts(args, work, report):
    for name in args.stories:
        start = time.monotonic()
        told = Told(work / name, stories.ALL[name])
        told.compare(work / name / "again")
        images = choose(told, args.images, args.seed, ("none",) * 3 + ("half",) * 4 + ("all",))
        began = time.monotonic()
        results = check_all(told, images, work / name / "images", args.jobs, args.clone, args.keep)
        seconds = time.monotonic() - began
        bad = [r for r in results if r[3]]
        print(
            f"{name}: {len(results)} images of {len(told.log)} events, {len(told.facts)} promises, "
            f"{len(bad)} damaged; {len(results) / seconds:.1f} images/s, {time.monotonic() - start:.0f} s",
            flush=True,
        )
        report.point(
            f"power cuts in {name}", [f"cut {c} {k} seed {s}: {p}" for c, k, s, problems in bad for p in problems]
        )
        if not (bad and args.keep):
            shutil.rmtree(work / name)


def proof(args, work, report):
    """Without syncs of one sort, the same checks must find losses; else they prove nothing."""
    for sort, mask, name in (("the WAL", WAL, "commit"), ("folders", FOLDER, "large"), ("files", FILE, "large")):
        told = Told(work / "proof", stories.ALL[name], mask)
        images = choose(told, 40, args.seed, ("none", "half"))
        results = check_all(told, images, work / "proof" / "images", args.jobs)
        bad = [r for r in results if r[3] and not r[3][0].startswith("Traceback")]
        print(f"without syncs of {sort}: {len(bad)} of {len(results)} images of {name} damaged, as it should be", flush=True)
        if args.verbose:
            print("\n".join(f"    {r[:3]} {r[3][0]}" for r in bad if r[3]))
        report.point(f"losses are found without syncs of {sort}", [] if bad else ["no loss was found"])
        shutil.rmtree(work / "proof")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("stories", nargs="*", choices=[*stories.ALL, []], default=[])
    p.add_argument("--images", type=int, default=150)
    p.add_argument("--clone", type=int, default=5)
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--keep", action="store_true")
    p.add_argument("--verbose", action="store_true")
    p.add_argument("--only", choices=["cuts", "proof", "errors", "clients", "backups"])
    args = p.parse_args()
    args.stories = args.stories or list(stories.ALL)
    work, report = work_folder(), Report()
    try:
        if args.only in (None, "cuts"):
            power_cuts(args, work, report)
        if args.only in (None, "proof"):
            proof(args, work, report)
        if args.only in (None, "errors"):
            errors.run(args, work, report)
        if args.only in (None, "clients"):
            clients.run(args, work, report)
        if args.only in (None, "backups"):
            backups.run(args, work, report)
    finally:
        for hub in RUNNING:
            if hub.process and hub.process.poll() is None:
                hub.kill()
        if args.keep and report.failed:
            print(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    print(f"{report.passed} passed, {len(report.failed)} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
