"""Builds the disks that a power cut may leave behind, from the log of shim.c.

The state of a disk is a graph: directories map names to files or directories, files are lists of
writes and truncations. Each change remembers its place in the log. A sync that ended before the cut
makes certain what stood in the log before it began: an fsync or fdatasync of a file its bytes and its
size, an fsync of a directory its names. Everything else may be lost, whole or in part; see Policy.

    log = read_log(path)
    disk = Disk()                  # the log begins with the creation of the directory
    disk.run(log, cut)             # applies log[:cut]; may go on later
    disk.write(target, policy)     # one of the possible results

Names are strict: a synced file without a synced name is gone. `lenient=True` makes the fsync of a new
file keep its name as well, as most journalling file systems do.
"""

import os
import random
import struct
from pathlib import Path

RECORD = struct.Struct("<IIIIQQII")  # shim.c struct record
CREATE, TRUNCATE, WRITE, RENAME, LINK, UNLINK, MKDIR, RMDIR, SYNC_BEGIN, SYNC_END, SYNC_FAIL, ANSWER, UNKNOWN, ANONYMOUS = range(1, 15)
SECTOR = 512
SHARED = 256 << 10  # files from this size on are linked, not copied, from image to image
DATABASES = ("hearth.db", "git.db", "stats.db")
LOST = 1 << 62  # "synced" at this place: after a failed sync, never


class Event:
    __slots__ = ("type", "ino", "a", "pid", "kind", "path", "path2", "data")

    def __repr__(self):
        names = "? create truncate write rename link unlink mkdir rmdir sync( )sync sync! answer unknown anonymous".split()
        size = len(self.data) if self.data else 0
        return f"{names[self.type]} {self.path} {self.path2} ino={self.ino} a={self.a} {size} bytes"


def read_log(path):
    """The events in order. The shim says in LOG.ctl where the last whole record ends."""
    raw = memoryview(Path(path).read_bytes())
    end = struct.unpack_from("<Q", Path(f"{path}.ctl").read_bytes(), 32)[0]
    events, at = [], 0
    while at < end:
        e = Event()
        e.type, len1, len2, size, e.ino, e.a, e.pid, e.kind = RECORD.unpack_from(raw, at)
        at += RECORD.size
        e.path = bytes(raw[at : at + len1]).decode()
        at += len1
        e.path2 = bytes(raw[at : at + len2]).decode()
        at += len2
        e.data = raw[at : at + size]
        at += size
        events.append(e)
    assert at == end, "the log is torn"
    return events


class Policy:
    """What happens to effects that were not synced: none, all or a random half of them survives.

    A half is drawn write by write; a drawn write may be torn at sectors. Truncations and names are
    drawn as wholes.
    """

    def __init__(self, kind, seed=0, lenient=False):
        self.kind, self.lenient = kind, lenient
        self.random = random.Random(seed)

    def keeps(self):
        return self.kind == "all" or (self.kind == "half" and self.random.random() < 0.5)

    def pieces(self, offset, data):
        """The parts (offset, bytes) of an un-synced write that reach the disk."""
        if self.kind == "none":
            return
        if self.kind == "all":
            yield offset, data
            return
        lot = self.random.random()
        if lot < 0.4:
            yield offset, data
        elif lot > 0.6 and len(data) > SECTOR:  # torn
            at = 0
            while at < len(data):
                step = SECTOR - (offset + at) % SECTOR
                if self.random.random() < 0.5:
                    yield offset + at, data[at : at + step]
                at += step


class File:
    """`content` is certain; `changes` are (place, WRITE, offset, data) and (place, TRUNCATE, size)."""

    def __init__(self):
        self.content, self.changes = bytearray(), []
        self.syncs = {}  # number of a running sync -> its place
        self.name_synced = False
        self.pooled = None  # a path with this content: large files are linked from image to image

    def settle(self, begin):
        """A sync that began at `begin` is done. What an earlier sync failed to write stays lost."""
        rest = []
        for change in self.changes:
            if change[0] <= begin:
                apply(self.content, change)
            elif change[0] != LOST:
                rest.append(change)
        self.changes = rest

    def fail(self):
        self.changes = [(LOST, *c[1:]) for c in self.changes]

    def image(self, policy):
        if not self.changes:
            return self.content
        content = bytearray(self.content)
        for change in self.changes:
            if change[1] == WRITE:
                for offset, data in policy.pieces(change[2], change[3]):
                    apply(content, (0, WRITE, offset, data))
            elif policy.keeps():
                apply(content, change)
        return content


def apply(content, change):
    if change[1] == TRUNCATE:
        size = change[2]
        if size < len(content):
            del content[size:]
        else:
            content.extend(bytes(size - len(content)))
        return
    offset, data = change[2], change[3]
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class Directory:
    """`names` is certain, `now` is what programs see; `changes` are the Change objects between."""

    def __init__(self):
        self.names, self.changes, self.now = {}, [], {}
        self.syncs = {}

    def settle(self, begin):
        """An fsync that began at `begin` is done. A rename that is certain on one side is on the other."""
        done = [c for c in self.changes if c.place <= begin]
        self.changes = [c for c in self.changes if begin < c.place < LOST]
        for change in done:
            change.apply(self, self.names)
        for change in done:
            for other, _, _ in change.steps:
                if change in other.changes:
                    other.settle(change.place)

    def fail(self):
        for change in self.changes:
            change.place = LOST

    def image(self, kept):
        names = dict(self.names)
        for change in self.changes:
            if change in kept:
                change.apply(self, names)
        return names


class Change:
    """One change of names, whole or not at all: a rename across directories has two steps."""

    __slots__ = ("place", "steps")

    def __init__(self, place, *steps):
        self.place, self.steps = place, steps

    def apply(self, directory, names):
        for where, name, node in self.steps:
            if where is directory:
                if node is None:
                    names.pop(name, None)
                else:
                    names[name] = node


class Disk:
    def __init__(self, pool=None):
        """`pool`: an empty folder on the same file system as the images."""
        self.root, self.place, self.inodes, self.pool = Directory(), 0, {}, pool

    def _parent(self, path):
        *folders, name = path.split("/")
        node = self.root
        for folder in folders:
            node = node.now[folder]
        return node, name

    def _change(self, *steps):
        """Names as they are now change at once; on disk they change when a directory is synced."""
        change = Change(self.place, *steps)
        for directory, name, node in steps:
            if node is None:
                directory.now.pop(name, None)
            else:
                directory.now[name] = node
        for directory in {id(s[0]): s[0] for s in steps}.values():
            directory.changes.append(change)

    def run(self, log, cut):
        for place in range(self.place, cut):
            self.place = place
            self._event(log[place])
        self.place = max(self.place, cut)
        return self

    def _event(self, e):
        if e.type == WRITE:
            self._bytes(e.ino, WRITE, e.a, e.data)
        elif e.type == TRUNCATE:
            self._bytes(e.ino, TRUNCATE, e.a)
        elif e.type in (CREATE, MKDIR):
            if not e.path:  # the directory itself
                self.inodes[e.ino] = self.root
                return
            node = self.inodes[e.ino] = File() if e.type == CREATE else Directory()
            self._change((*self._parent(e.path), node))
        elif e.type == LINK:
            parent, name = self._parent(e.path)
            self._change((*self._parent(e.path2), parent.now[name]))
        elif e.type == RENAME:
            parent, name = self._parent(e.path)
            self._change((*self._parent(e.path2), parent.now[name]), (parent, name, None))
        elif e.type in (UNLINK, RMDIR):
            self._change((*self._parent(e.path), None))
        elif e.type == SYNC_BEGIN:
            self.inodes[e.ino].syncs[e.a] = self.place
        elif e.type == ANONYMOUS:
            self.inodes[e.ino] = File()
        elif e.type == UNKNOWN and not self._is_scratch(e.ino):
            raise AssertionError(f"the shim cannot express this: {e.path}")
        elif e.type in (SYNC_END, SYNC_FAIL):
            self._sync(e, self.inodes[e.ino])

    def _bytes(self, ino, *change):
        node = self.inodes[ino]
        node.changes.append((self.place, *change))
        node.pooled = None

    def _is_scratch(self, ino):
        """A file that has no name, or one in tmp/, which every start empties."""
        node, tmp = self.inodes.get(ino), self.root.now.get("tmp")
        named = [n for d in self._directories(self.root, set()) if d is not tmp for n in d.now.values()]
        return node is not None and not any(n is node for n in named)

    def _sync(self, e, node):
        begin = node.syncs.pop(e.a, None)
        if e.type == SYNC_FAIL:
            node.fail()
            return
        node.settle(begin)
        node.name_synced = True

    def write(self, target, policy):
        """Lays the disk out as a fresh directory."""
        kept = set()
        for directory in self._directories(self.root, set()):
            for change in directory.changes:
                if change not in kept and (self._lenient(change, policy) or policy.keeps()):
                    kept.add(change)
        self._write(Path(target), self.root, kept, policy, {})

    def _lenient(self, change, policy):
        return policy.lenient and any(isinstance(n, File) and n.name_synced for _, _, n in change.steps)

    def _directories(self, directory, seen):
        """All directories that may be on the disk, parents first."""
        if id(directory) in seen:
            return
        seen.add(id(directory))
        yield directory
        nodes = list(directory.names.values()) + [n for c in directory.changes for _, _, n in c.steps]
        for node in nodes:
            if isinstance(node, Directory):
                yield from self._directories(node, seen)

    def _write(self, path, directory, kept, policy, written):
        path.mkdir(mode=0o700, exist_ok=True)
        for name, node in sorted(directory.image(kept).items()):
            at = path / name
            if isinstance(node, Directory):
                self._write(at, node, kept, policy, written)
            elif id(node) in written:
                os.link(written[id(node)], at)
            else:
                self._write_file(at, node, policy)
                written[id(node)] = at

    def _write_file(self, at, node, policy):
        """Large files are only ever read and unlinked by a server, so images may share them."""
        if node.pooled:
            os.link(node.pooled, at)
            return
        content = node.image(policy)
        at.write_bytes(content)
        at.chmod(0o600)
        if self.pool and not node.changes and len(content) > SHARED and not at.name.startswith(DATABASES):
            node.pooled = self.pool / str(len(os.listdir(self.pool)))
            os.link(at, node.pooled)

