"""Calls that fail: the n-th write, sync, link … of each kind of work, and a disk that is full.

Each time the client gets a clear answer (or a clean abort ends the server, where it may not go on),
the next attempt succeeds, and what was acknowledged before is there after a kill -9.
"""

import collections
import os
import random
import re
import shutil
import subprocess
from http.client import HTTPException

import donor
import replay
from check import Check
from stories import Clone
from world import EIO, ENOSPC, TOKEN, USER, Client, Refused, Shimmed, random_bytes, sha256

# What may end the server: a sync of a database that failed, and memory that is not there.
MAY_ABORT = ("fsync", "alloc", "open")
PIECES = 260  # of which each attempt to upload through Xet takes a new one
TRIES = [*range(1, 13), 15, 19, 24, 30, 38, 48, 60, 80, 110, 150, 200, 300]


class Work:
    """The kinds of work, each on fresh names: work.NAME(n) does it once."""

    KINDS = ("create", "commit", "put", "parts", "push", "delete", "xet", "batch")
    PIECES = {}  # made once

    def __init__(self, client, folder):
        self.client, self.folder = client, folder
        self.number = 0
        client.create("alice/base")
        client.create("alice/code")
        self.clone = Clone(client, folder, "alice/code")
        self.contents = {}
        if not self.PIECES:
            self.PIECES.update(enumerate(donor.pieces(folder.parent / "donor", PIECES)))
        client.ask("POST", "/api/buckets/alice/b", {})
        self.known = [(p.xet, p.sha256) for p in self._new_pieces("buckets/alice/b", 2)]

    def _new_pieces(self, where, count):
        self.used = getattr(self, "used", 0) + count
        sent = [self.PIECES[n] for n in range(self.used - count, self.used)]
        for piece in sent:
            donor.send(self.client, where, piece)
        return sent

    def has_pieces(self, kind):
        return kind != "xet" or self.used + 2 < PIECES

    def prepare(self, kind):
        """What has to be there first, and is not what is tested."""
        self.number += 1
        if kind == "delete":
            self.client.create(f"alice/d-{self.number}")
        if kind == "push":
            self.clone("fetch", "--quiet", self.remote)
            self.clone("reset", "--quiet", "--hard", "FETCH_HEAD")
            self.clone.change({f"{self.number}.txt": b"%d\n" % self.number}, f"step {self.number}")

    @property
    def remote(self):
        return f"http://{USER}:{TOKEN}@127.0.0.1:{self.client.hub.port}/alice/code"

    def do(self, kind):
        n, client = self.number, self.client
        if kind == "create":
            client.create(f"alice/c-{n}")
        elif kind == "commit":
            client.commit("alice/base", {f"{n}.txt": b"%d\n" % n, "last.txt": b"last is %d\n" % n})
        elif kind == "put":
            content = random_bytes(150_000, f"put {n}")
            client.put("alice/base", content)
            client.commit("alice/base", {}, {f"{n}.bin": content})
        elif kind == "parts":
            content = random_bytes(1_200_000, f"parts {n}")
            self.contents[sha256(content)] = content
            upload = client.begin_parts("alice/base", content)
            upload.send(1)
            upload.complete()
        elif kind == "push":
            head = self.clone("rev-parse", "HEAD")
            facts = [(("ref", "alice/code", "refs/heads/main"), head)]
            client.expect(lambda: self.clone("push", "--quiet", self.remote, "HEAD:main"), facts)
        elif kind == "delete":
            client.delete(f"alice/d-{n}")
        elif kind == "xet":
            (piece,) = self._new_pieces("models/alice/base", 1)
            client.commit("alice/base", {}, {f"xet-{n}.bin": piece.content})
        elif kind == "batch":
            add = {f"of-{n}/{i}.bin": self.known[n % 2] for i in range(5)}
            client.bucket_batch("alice/b", {**add, "last.bin": self.known[n % 2]}, [f"of-{n - 1}/0.bin"])


class Bench:
    """A server that is hurt again and again."""

    def __init__(self, folder, data=None, **env):
        self.hub = Shimmed(folder, data=data, sync_us=0, HEARTH_LFS_MULTIPART_ABOVE=1 << 20, **env)
        self.hub.start()
        try:
            self.hub.add_user(USER, TOKEN)
            self.client = Client(self.hub)
            self.work = Work(self.client, folder)
        except Exception:
            self.hub.kill()
            raise
        self.control, self.problems = self.hub.control, []
        self.seen = collections.Counter()

    def once(self, kind, call, n, error=EIO, sticky=False):
        """The n-th `call` during `kind` fails; false when there was none."""
        name = f"{call}:{n}{':ENOSPC' if error == ENOSPC else ''} in {kind}"
        self.work.prepare(kind)
        before = self.control.hits
        self.control.fail(call, n, error, sticky)
        try:
            self.work.do(kind)
            how = "unharmed"
        except Refused as e:
            how = self.refused(name, e.answer, error)
        except (OSError, HTTPException) as e:
            how = "dropped"
            if call != "recv" and self._alive(patience=5):
                self.problems.append(f"{name}: no answer: {e!r}")
        except AssertionError as e:
            how = "dropped" if call == "recv" else self._git_refused(name, str(e))
        self.control.calm()
        hit = self.control.hits > before
        if not self._alive(patience=1 if call == "fsync" and how == "refused" else 0):
            how = "aborted"
            self._died(name, call)
        self.client.close()
        if hit:
            self.seen[how] += 1
            self.seen[f"{how} by {call}"] += how == "aborted"
            self.goes_on(name, kind)
        return hit

    def attempt(self, name, kind, error):
        """False when it was refused."""
        try:
            self.work.do(kind)
            return True
        except Refused as e:
            self.refused(name, e.answer, error)
        except (OSError, HTTPException) as e:
            self.problems.append(f"{name}: no answer: {e!r}")
        return False

    def refused(self, name, answer, error):
        """A status, a sentence, and the same sentence in the header."""
        text = answer.json.get("error") or answer.json.get("message") if answer.body else None
        if answer.status < 400 or not text or not answer.headers.get("X-Error-Message"):
            self.problems.append(f"{name}: an unclear answer: {answer} {dict(answer.headers)}")
        if error == ENOSPC and answer.status != 507:
            self.problems.append(f"{name}: {answer.status} where 507 belongs: {text}")
        if answer.status < 500 and answer.status not in (400, 408):
            self.problems.append(f"{name}: blames the client with {answer.status}: {text}")
        return "refused"

    def _git_refused(self, name, text):
        if not re.search(r"remote:|HTTP 5\d\d|RPC failed|rejected|error: 5\d\d|hung up", text):
            self.problems.append(f"{name}: git does not say why: {text}")
        return "refused"

    def _alive(self, patience=0):
        """After a failed sync of a database the server answers first and then ends."""
        try:
            self.hub.process.wait(max(patience, 0.001))
            return False
        except subprocess.TimeoutExpired:
            return True

    def _died(self, name, call):
        code, log = self.hub.process.wait(), self.hub.log_tail(3)
        self.hub.process.stdout.close()
        if code != -6 or "Assertion" in log.splitlines()[-1] or call not in MAY_ABORT:
            self.problems.append(f"{name}: the server died with {code}\n{log}")
        self.hub.start()

    def goes_on(self, name, kind):
        """Unhurt, the same work succeeds, on the same server."""
        try:
            self.work.prepare(kind)
            self.work.do(kind)
        except (Refused, OSError, HTTPException, AssertionError) as e:
            self.problems.append(f"after {name}: the next one fails: {e!r}")
            if self._alive():
                self.hub.kill()
                self.hub.start()
            else:
                self._died(f"after {name}", "none")

    def summary(self):
        return ", ".join(f"{n} {how}" for how, n in sorted(self.seen.items()) if n)

    def end(self, keep=False):
        self.client.close()
        self.hub.stop()
        if not keep:
            shutil.rmtree(self.hub.folder)

    def check(self, name):
        """kill -9; everything that was acknowledged is there. Goes on afterwards."""
        self.client.close()
        self.hub.kill()
        copy = self.hub.folder / "copy"
        shutil.copytree(self.hub.data, copy / "data", ignore=shutil.ignore_patterns("*-shm"))
        self.problems += [f"after {name}: {p}" for p in Check(copy, self.client.facts, self.client.done, self.work.contents).run(clone=True)]
        shutil.rmtree(copy)
        self.hub.start()


def failing_calls(args, work, report):
    calls = [("write", EIO), ("write", ENOSPC), ("fsync", EIO), ("link", EIO), ("rename", EIO), ("open", EIO), ("mkdir", EIO)]
    calls += [("unlink", EIO), ("truncate", EIO), ("recv", EIO), ("step", EIO), ("alloc", EIO)]
    bench = Bench(work / "errors")
    for kind in Work.KINDS:
        hurt = 0
        for call, error in calls:
            for n in TRIES:
                if not bench.work.has_pieces(kind) or not bench.once(kind, call, n, error):
                    break
                hurt += 1
        bench.check(kind)
        print(f"calls that fail in {kind}: {hurt}; so far {bench.summary()}", flush=True)
        report.point(f"calls that fail in {kind}", bench.problems)
        bench.problems = []
    bench.end()


def no_space(args, work, report):
    """From the n-th write on, none succeeds: 507 until there is room again, and no restart needed."""
    bench, hurt = Bench(work / "space"), 0
    for kind in Work.KINDS:
        for n in (1, 2, 4, 7, 12, 20, 40):
            hurt += bench.once(kind, "write", n, ENOSPC, sticky=True)
    bench.check("no space")
    print(f"writes find no space from the n-th on: {hurt}; {bench.summary()}", flush=True)
    report.point("no space for any write", bench.problems)
    bench.end()


def checkpoints(args, work, report):
    """The databases themselves cannot grow; what was written before them must not be taken back."""
    bench, failed = Bench(work / "checkpoint"), 0
    for error in (ENOSPC, EIO):
        before = bench.control.hits
        bench.control.fail("checkpoint", 1, error, sticky=True)
        tried = refused = 0
        while tried < 400 and (failed := bench.control.hits - before) < 12:
            for kind in ("commit", "put", "create"):
                bench.work.prepare(kind)
                tried += 1
                try:
                    bench.work.do(kind)
                except Refused as e:
                    refused += 1
                    bench.refused(f"checkpoint:{error} in {kind}", e.answer, error)
        bench.control.calm()
        if not failed:
            bench.problems.append("no checkpoint was reached")
        print(f"checkpoints that fail with {os.strerror(error)}: {failed}, answers that refuse: {refused} of {tried}")
        bench.goes_on("failing checkpoints", "put")
        bench.check("failing checkpoints")
    report.point("checkpoints that fail", bench.problems)
    bench.end()


def cuts_after_errors(args, work, report):
    """Power cuts on a hub whose syncs failed before: what Linux drops then is really gone."""
    bench = Bench(work / "cuts")
    for kind in Work.KINDS:
        for n in range(1, 9):
            bench.once(kind, "fsync", n)
    bench.end(keep=True)
    log = replay.read_log(bench.hub.events)
    cuts = random.Random(args.seed).sample(range(len(log) // 4, len(log)), 60)
    disk, bad = replay.Disk(), []
    for number, cut in enumerate(sorted(cuts)):
        at = work / "cuts" / f"image-{number}"
        at.mkdir()
        disk.run(log, cut).write(at / "data", replay.Policy(("none", "half")[number % 2], number))
        answered = {e.path for e in log[:cut] if e.type == replay.ANSWER and 200 <= e.a < 300}
        bad += [f"cut {cut}: {p}" for p in Check(at, bench.client.facts, answered, bench.work.contents).run()]
        shutil.rmtree(at)
    print(f"power cuts after failed syncs: {len(cuts)} images, {len(bad)} problems", flush=True)
    report.point("power cuts after failed syncs", bench.problems + bad)
    shutil.rmtree(work / "cuts")


def full_disk(args, work, report):
    """A file system that is really full, with and without the reserve that the hub keeps."""
    disk = work / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], capture_output=True, text=True)
    if done.returncode:
        print(f"skipped: a disk that is full ({done.stderr.strip() or 'mount failed'})", flush=True)
        return
    try:
        problems = [p for reserve in (5, 0) for p in fill(work, disk / f"reserve-{reserve}", reserve)]
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    report.point("a disk that is full", problems)


def fill(work, folder, reserve):
    bench = Bench(work / f"full-{reserve}", data=folder, HEARTH_DISK_RESERVE=reserve)
    ballast, refused, tried = folder.parent / "ballast", 0, 0
    for left in (6000, 3000, 1500, 700, 300, 150, 80, 40, 20, 8, 4, 0):  # KiB that are free
        space = os.statvfs(folder)
        with open(ballast, "wb") as f:
            os.posix_fallocate(f.fileno(), 0, max(1, space.f_bavail * space.f_frsize - (left << 10)))
        for kind in Work.KINDS:
            if kind not in ("push", "delete"):
                bench.work.prepare(kind)
                tried += 1
                refused += not bench.attempt(f"{left} KiB left: {kind}", kind, ENOSPC)
        ballast.unlink()
        bench.goes_on(f"{left} KiB left", "put")
    if not refused:
        bench.problems.append("nothing was refused")
    bench.check(f"a full disk (reserve {reserve} %)")
    print(f"a full disk with a reserve of {reserve} %: {refused} of {tried} refused", flush=True)
    bench.end()
    return bench.problems


def run(args, work, report):
    for part in (failing_calls, no_space, checkpoints, cuts_after_errors, full_disk):
        part(args, work, report)
