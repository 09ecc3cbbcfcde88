"""Plays every dialogue below this folder against a fresh server. README.md tells the format."""

import base64
import fnmatch
import json
import re
import socket
from pathlib import Path

import pytest
from harness.server import PATIENCE, TOKENS

HERE = Path(__file__).parent
STORIES = sorted(HERE.glob("*/*.http"))


class Mismatch(AssertionError):
    pass


# -- reading a dialogue ----------------------------------------------------------------------------


class Step:
    def __init__(self, kind, title, line):
        self.kind, self.title, self.line, self.lines = kind, title, line, []


def parse(path):
    """Returns (directives, steps)."""
    directives, steps = [], []
    in_body = False
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        mark = re.match(r"(>>>\+?|<<<)(?: +(.*))?$", line)
        if mark:
            steps.append(Step(mark[1], (mark[2] or "").strip(), number))
            in_body = False
        elif not steps and line.startswith("@"):
            directives.append(line[1:])
        elif line.startswith("#") and not in_body:
            continue
        elif steps:
            in_body = in_body or (line == "" and bool(steps[-1].lines))
            steps[-1].lines.append(line)
    for step in steps:
        while step.lines and step.lines[-1] == "":
            step.lines.pop()
    return directives, steps


def expand(text, variables):
    """{x*N}, {name|path} and {name}; anything else in braces (JSON) stays."""
    text = re.sub(r"\{(\\x[0-9a-f]{2}|\\?.)\*(\d+)\}", lambda m: m[1] * int(m[2]), text)
    path = lambda m: re.sub(r"^https?://[^/]+", "", variables[m[1]])  # noqa: E731
    text = re.sub(r"\{([A-Za-z_][A-Za-z0-9_-]*)\|path\}", path, text)
    return re.sub(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}", lambda m: str(variables.get(m[1], m[0])), text)


def unescape(text):
    plain = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\", "{": "{", "}": "}"}

    def one(m):
        return chr(int(m[2], 16)).encode("latin-1") if m[2] else plain[m[1]].encode()

    out, at = b"", 0
    for m in re.finditer(r"\\(?:([rnt0\\{}])|x([0-9a-fA-F]{2}))", text):
        out += text[at : m.start()].encode() + one(m)
        at = m.end()
    return out + text[at:].encode()


def bytes_to_send(step, variables):
    if step.title.split(" ")[0] == "raw":
        return unescape(expand("".join(step.lines), variables))
    lines = step.lines
    gap = lines.index("") if "" in lines else len(lines)
    body = unescape(expand("\n".join(lines[gap + 1 :]), variables))
    variables = {**variables, "length": len(body)}
    head = [unescape(expand(line, variables)) for line in lines[:gap]]
    return b"".join(line + b"\r\n" for line in head) + b"\r\n" + body


# -- one connection --------------------------------------------------------------------------------


class Line:
    """A connection that reads answers strictly."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=20 * PATIENCE)
        self.buffer, self.heads = b"", []

    def send(self, data, is_head):
        self.heads.append(is_head)
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the answer may be there already

    def more(self, timeout=None):
        self.sock.settimeout(timeout or 20 * PATIENCE)
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            raise Mismatch(f"the server reset the connection (read so far: {self.buffer!r})") from None
        except TimeoutError:
            raise Mismatch(f"no answer in time (read so far: {self.buffer!r})") from None
        self.buffer += data
        return data

    def take(self, count):
        while len(self.buffer) < count:
            if not self.more():
                raise Mismatch(f"the connection ended inside a body: {self.buffer!r}")
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def take_line(self):
        while b"\r\n" not in self.buffer:
            if not self.more():
                raise Mismatch(f"the connection ended instead of an answer (read: {self.buffer!r})")
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        if b"\n" in line or b"\r" in line:
            raise Mismatch(f"a bare CR or LF in the answer: {line!r}")
        return line.decode("latin-1")

    def answer(self):
        status = re.fullmatch(r"HTTP/1\.1 (\d{3}) [ -~]*", self.take_line())
        if not status:
            raise Mismatch("the status line is malformed")
        headers = []
        while line := self.take_line():
            header = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?(.*)", line)
            if not header:
                raise Mismatch(f"a malformed header line: {line!r}")
            headers.append((header[1], header[2]))
        code = int(status[1])
        fields = {name.lower(): value for name, value in headers}
        is_head = self.heads.pop(0) if self.heads and code >= 200 else False
        if is_head or code in (204, 304) or code < 200:
            return code, headers, b""
        if fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.take_line().split(";")[0], 16):
                body += self.take(size)
                self.take(2)
            while self.take_line():
                pass
            return code, headers, body
        if "content-length" in fields:
            return code, headers, self.take(int(fields["content-length"]))
        while self.more():
            pass
        body, self.buffer = self.buffer, b""
        return code, headers, body

    def closed(self):
        if self.buffer:
            raise Mismatch(f"expected the end of the connection, got {self.buffer!r}")
        try:
            self.sock.settimeout(20 * PATIENCE)
            if rest := self.sock.recv(65536):
                raise Mismatch(f"expected the end of the connection, got {rest!r}")
        except ConnectionResetError:
            pass
        except TimeoutError:
            raise Mismatch("the connection stays open") from None

    def silent(self):
        try:
            self.sock.settimeout(1)
            rest = self.buffer or self.sock.recv(65536)
        except TimeoutError:
            return
        raise Mismatch(f"expected silence, got {rest!r}")


# -- comparing -------------------------------------------------------------------------------------


def same_text(want, got, variables, what):
    take = re.fullmatch(r"\{=(\w+)\}", want)
    if take:
        if not got:
            raise Mismatch(f"{what} is empty")
        variables[take[1]] = got
        return
    want = expand(want, variables)
    if len(want) > 2 and want[0] == want[-1] == "/":
        good = re.fullmatch(want[1:-1], got, re.S)
    elif "*" in want and what != "the body":
        good = fnmatch.fnmatchcase(got, want.replace("[", "[[]"))
    else:
        good = got == want
    if not good:
        raise Mismatch(f"{what} is {got!r}, expected {want!r}")


def same_json(want, got, variables, where="the body"):
    if isinstance(want, dict):
        if not isinstance(got, dict):
            raise Mismatch(f"{where} is {got!r}, expected an object")
        for key, value in want.items():
            if key.startswith("!"):
                if key[1:] in got:
                    raise Mismatch(f"{where}.{key[1:]} must not be there")
            elif key not in got:
                raise Mismatch(f"{where}.{key} is missing in {got!r}")
            else:
                same_json(value, got[key], variables, f"{where}.{key}")
    elif isinstance(want, list):
        if not isinstance(got, list) or len(want) != len(got):
            raise Mismatch(f"{where} is {got!r}, expected {len(want)} elements")
        for n, (one, other) in enumerate(zip(want, got)):
            same_json(one, other, variables, f"{where}[{n}]")
    elif want == "*":
        return
    elif isinstance(want, str) and isinstance(got, str):
        same_text(want, got, variables, where)
    elif type(want) is not type(got) or want != got:
        raise Mismatch(f"{where} is {got!r}, expected {want!r}")


def same_body(want, got, variables):
    want = want.strip("\n")
    if not want:
        return
    if want == "(empty)":
        if got:
            raise Mismatch(f"the body is {got!r}, expected none")
    elif want[0] in "{[" and not re.fullmatch(r"\{=\w+\}", want):
        try:
            got = json.loads(got)
        except ValueError:
            raise Mismatch(f"the body is no JSON: {got!r}") from None
        same_json(json.loads(want), got, variables)
    else:
        same_text(want, got.decode("utf-8", "replace").rstrip("\n"), variables, "the body")


def same_answer(step, answer, variables):
    code, headers, body = answer
    wanted = step.title.split(" ")[0].split("|")
    if not any(w == str(code) or w == f"{code // 100}xx" for w in wanted):
        raise Mismatch(f"status {code}, expected {step.title}\n{headers}\n{body[:500]!r}")
    gap = step.lines.index("") if "" in step.lines else len(step.lines)
    for line in step.lines[:gap]:
        if line.startswith("!"):
            if any(name.lower() == line[1:].lower() for name, _ in headers):
                raise Mismatch(f"{line[1:]} must not be there")
            continue
        name, value = (part.strip() for part in line.split(":", 1))
        got = [v for n, v in headers if n.lower() == name.lower()]
        if not got:
            raise Mismatch(f"{name} is missing in {headers}\n{body[:500]!r}")
        same_text(value, got[0] if len(got) == 1 else ", ".join(got), variables, name)
    same_body("\n".join(step.lines[gap + 1 :]), body, variables)


# -- playing ---------------------------------------------------------------------------------------


def prepare(directives, hub):
    for directive in directives:
        word, rest = directive.split(" ", 1)
        if word == "repo":
            parts = rest.split(" ")
            kind = parts.pop(0)[:-1] if parts[0] in ("models", "datasets", "spaces") else "model"
            more = {"sdk": "static"} if kind == "space" else {}
            hub.create(parts[0], kind, private="private" in parts[1:], **more)
        elif word == "file":
            repo, name, content = rest.split(" ", 2)
            hub.commit(repo, {name: unescape(content)}, summary=f"add {name}")
        else:
            raise ValueError(f"@{word} is no directive")


def play(path, hub):
    directives, steps = parse(path)
    prepare(directives, hub)
    variables = {"host": f"127.0.0.1:{hub.port}", "base": hub.url, **TOKENS}
    for name, token in TOKENS.items():
        variables[f"{name}_basic"] = base64.b64encode(f"{name.split('-')[0]}:{token}".encode()).decode()
    line = None
    try:
        for step in steps:
            try:
                if step.kind == "<<<":
                    what = step.title.split(" ")[0]
                    if what == "closed":
                        line.closed()
                    elif what == "silence":
                        line.silent()
                    else:
                        same_answer(step, line.answer(), variables)
                    continue
                if step.kind == ">>>":
                    if line:
                        line.sock.close()
                    line = Line(hub.port)
                data = bytes_to_send(step, variables)
                line.send(data, data.startswith(b"HEAD "))
            except Mismatch as e:
                raise Mismatch(f"{path.relative_to(HERE)}:{step.line}: {step.kind} {step.title}\n{e}") from None
    finally:
        if line:
            line.sock.close()


@pytest.mark.parametrize("story", STORIES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_dialogue(story, hub):
    play(story, hub)
    assert hub.http("GET", "/healthz").status == 200, "the server does not answer any more"
