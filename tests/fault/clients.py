"""Clients that behave badly: heads that drip, bodies that stop, sockets half closed, ten thousand that
say nothing. Others are served meanwhile, and the bad ones are let go of in time."""

import resource
import select
import shutil
import socket
import time

from world import TOKEN, USER, Client, Shimmed

IDLE = 10_000
FAST = 0.5  # seconds that nobody else has to wait, ever


class Watch:
    """Another client, which asks all the time and times its answers."""

    def __init__(self, client):
        self.client, self.slowest, self.problems = client, 0.0, []

    def look(self, count=20, what=""):
        for _ in range(count):
            start = time.monotonic()
            answer = self.client.send("GET", "/alice/served/raw/main/.gitattributes", timeout=20)
            took = time.monotonic() - start
            self.slowest = max(self.slowest, took)
            if answer.status != 200:
                self.problems.append(f"{what}: others get {answer}")
            if took > FAST:
                self.problems.append(f"{what}: others wait for {took:.2f} s")
        self.client.commit("alice/served", {"now.txt": f"{time.monotonic()}\n".encode()})


def dial(hub):
    s = socket.create_connection(("127.0.0.1", hub.port), timeout=20)
    s.setblocking(True)
    return s


def ends(sockets, seconds):
    """How many of the sockets the server ends within this time; answers on the way are read."""
    left, deadline = {s.fileno(): s for s in sockets}, time.monotonic() + seconds
    poll = select.poll()
    for fd in left:
        poll.register(fd, select.POLLIN)
    while left and time.monotonic() < deadline:
        for fd, _ in poll.poll(200):
            try:
                more = left[fd].recv(65536)
            except OSError:
                more = b""
            if not more:
                poll.unregister(fd)
                del left[fd]
    return len(sockets) - len(left)


def slow_heads(hub, watch):
    """A head that arrives byte by byte never takes longer than head_timeout."""
    sockets = [dial(hub) for _ in range(200)]
    for text in ("GET /healthz HTTP/1.1\r\n", "Host: x\r\n", "X-A: "):
        for s in sockets:
            s.sendall(text.encode())
        watch.look(5, "slow heads")
    start = time.monotonic()
    while time.monotonic() - start < 3:
        for s in sockets:
            try:
                s.sendall(b"a")
            except OSError:
                pass
        watch.look(5, "slow heads")
    return sockets, 200


def stopped_bodies(hub, watch):
    """Uploads that stop in the middle: more of them than there are cores."""
    sockets = [dial(hub) for _ in range(100)]
    head = f"POST /api/models/alice/served/commit/main HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += "Content-Type: application/x-ndjson\r\nContent-Length: 100000\r\n\r\n" + '{"key":"header",'
    for s in sockets:
        s.sendall(head.encode())
    watch.look(40, "bodies that stop")
    return sockets, 100


def half_closed(hub, watch):
    """A client that has finished sending still gets its answer; one that sent half a head gets its end."""
    sockets = [dial(hub) for _ in range(100)]
    for n, s in enumerate(sockets):
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" if n % 2 else b"GET /healthz HT")
        s.shutdown(socket.SHUT_WR)
    for s in sockets[1::2]:
        got = s.recv(12)
        if got != b"HTTP/1.1 200":
            watch.problems.append(f"half closed: {got!r} instead of an answer")
            break
    watch.look(20, "half closed")
    return sockets, 100


def idle(hub, watch):
    """Connections that say nothing, as many as this process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(IDLE, hard - 500)
    sockets = [dial(hub) for _ in range(count)]
    watch.look(60, f"{count} idle")
    print(f"{count} idle connections: server at {hub.rss_kib()} KiB", flush=True)
    for s in sockets[:100]:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        if s.recv(12) != b"HTTP/1.1 200":
            watch.problems.append("an idle connection got no answer when it asked")
    return sockets, count - 100


def run(args, work, report):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    times = {"HEARTH_HEAD_TIMEOUT_S": 2, "HEARTH_BODY_TIMEOUT_S": 2, "HEARTH_IDLE_TIMEOUT_S": 8}
    hub = Shimmed(work / "clients", **times)
    hub.start()
    client = Client(hub)
    try:
        hub.add_user(USER, TOKEN)
        client.create("alice/served")
        for story in (slow_heads, stopped_bodies, half_closed, idle):
            watch = Watch(client)
            sockets, expected = story(hub, watch)
            ended = ends(sockets, 25)
            if ended < expected:
                watch.problems.append(f"{len(sockets) - ended} of {len(sockets)} connections are still open")
            for s in sockets:
                s.close()
            name = story.__name__.replace("_", " ")
            print(f"{name}: {ended} of {len(sockets)} ended, others waited for at most {watch.slowest * 1000:.0f} ms", flush=True)
            report.point(name, watch.problems)
        client.close()
        hub.stop()
    finally:
        if hub.process:
            hub.kill()
    shutil.rmtree(work / "clients")
