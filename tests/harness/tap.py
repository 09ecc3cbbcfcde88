"""A tap on the line: forwards TCP to the server, notes each request, and can cut the connection.

Clients use `tap.url` as their endpoint. The server builds its absolute URLs from the Host header, so
upload and completion URLs lead through the tap as well.
"""

import re
import socket
import struct
import threading


class Request:
    def __init__(self, method, target):
        self.method, self.target = method, target
        self.sent = 0  # body bytes that went through
        self.complete = False  # … and they were all of them

    def __repr__(self):
        return f"{self.method} {self.target} ({self.sent} bytes{'' if self.complete else ', cut'})"


class Tap:
    def __init__(self, hub):
        self.hub, self.requests, self.lock = hub, [], threading.Lock()
        self.before = None  # called with each Request once its head is known, before it is forwarded
        self.cut = None  # called with (Request, body bytes so far); true resets the connection
        self.cut_answers_after = 0  # when set: the first answers longer than this are cut there, once
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self.listener.close()

    def seen(self, method, pattern=""):
        with self.lock:
            return [r for r in self.requests if r.method == method and re.search(pattern, r.target)]

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.hub.port))
        except OSError:
            return reset(client)
        threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
        try:
            self._requests(client.makefile("rb"), server)
        except OSError:
            pass
        reset(client)
        reset(server)

    def _answers(self, server, client):
        passed = 0
        try:
            while data := server.recv(256 << 10):
                client.sendall(data)
                passed += len(data)
                if 0 < self.cut_answers_after < passed:
                    self.cut_answers_after = 0
                    reset(server)
                    return reset(client)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            reset(client)

    def _requests(self, stream, server):
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = stream.readline(65536)
                if not line:
                    return
                head += line
            method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            request = Request(method, target)
            with self.lock:
                self.requests.append(request)
            if self.before:
                self.before(request)
            server.sendall(head)
            if not self._body(head.lower(), stream, server, request):
                return
            request.complete = True

    def _body(self, head, stream, server, request):
        length = re.search(rb"\r\ncontent-length: *(\d+)", head)
        if length:
            return self._forward(int(length[1]), stream, server, request)
        if b"\r\ntransfer-encoding: chunked" not in head:
            return True
        while True:
            line = stream.readline(65536)
            server.sendall(line)
            size = int(line.split(b";")[0], 16)
            if not self._forward(size, stream, server, request):
                return False
            server.sendall(stream.readline(65536))
            if size == 0:
                return True

    def _forward(self, count, stream, server, request):
        while count > 0:
            data = stream.read1(min(count, 256 << 10))
            if not data:
                return False
            server.sendall(data)
            request.sent += len(data)
            count -= len(data)
            if self.cut and self.cut(request, request.sent):
                return False
        return True


def reset(sock):
    """Closes with RST: the other side learns that something was lost."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()
