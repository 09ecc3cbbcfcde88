"""Every route as every person: docs/access.md is the table, `hearth routes` the list, nothing else decides.

The tables of docs/access.md are read as they stand there. A route that has no line in them fails.
"""

import functools
import json
import re
import subprocess
from dataclasses import dataclass
from itertools import chain

import pytest
from harness.server import BINARY, ROOT, TOKENS, plain_env

NOTHING = ("acme/nothing", "no-such-owner/nothing")  # ids that no repository ever had
OID, COMMIT = "0" * 64, "0" * 40
FILL = {
    "user": "alice",
    "org": "acme",
    "ns": "me",
    "name": "--bad--",
    "rev": "main",
    "path*": ".gitattributes",
    "name*": "walk",
    "range*": "main..main",
    "topic*": "walk",
    "oid": OID,
    "commit": COMMIT,
    "upload": "walk",
    "part": "1",
    "id": "walk",
    "num": "1",
    "store": "0" * 16,
    "space": "default",
    "hash": OID,
    "file": OID,
}
MAY_DIFFER = {"date", "x-request-id"}
REPOSITORY = {"read", "contribute", "write", "admin", "absent", "signed"}  # checks that need one


# --- the tables -----------------------------------------------------------------------------------


def rows(text):
    """The rows of the first Markdown table in a text, each a list of cells."""
    found = []
    for line in text.splitlines():
        if line.startswith("|"):
            found.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif found:
            break
    return [row for row in found if not set("".join(row)) <= set("- :")]


@functools.cache
def chapters():
    text = (ROOT / "docs" / "access.md").read_text()
    return {part.split("\n", 1)[0]: part for part in re.split(r"^## ", text, flags=re.M)[1:]}


def table(chapter):
    """{row: {column: word}} of a table of docs/access.md."""
    head, *body = rows(chapters()[chapter])
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in body}


@dataclass(frozen=True)
class Entry:
    method: str
    path: str
    scope: str
    checks: tuple
    query: str
    body: str

    @property
    def deletes(self):
        return self.method == "DELETE" and self.path in ("/api/repos/delete", "/api/buckets/{repo}")

    @property
    def takes_anything(self):
        """Telemetry: clients send the CAS token they have, and nobody looks."""
        return self.scope == "cas" and self.checks == ("open",)

    @property
    def has_repo(self):
        return bool(REPOSITORY & set(self.checks))

    def url(self, repo, kind="model"):
        fill = dict(FILL, kind=f"{kind}s", repo=repo, repo1=repo.split("/")[1])
        path = self.path.replace("/{prefix}", "" if kind == "model" else f"/{kind}s")
        return re.sub(r"\{([a-z0-9]+\*?)\}", lambda m: fill[m[1]], path) + self.query

    def ask(self, hub, repo, token=None, kind="model", method=None):
        namespace, name = repo.split("/")
        body, headers = None, {}
        if self.body:
            body = self.body.replace("{ns}", namespace).replace("{name}", name)
            body = body.replace('"type": "model"', f'"type": "{kind}"').encode()
            headers["Content-Type"] = "application/x-ndjson" if "/commit/" in self.path else "application/json"
        return hub.http(method or self.method, self.url(repo, kind), token, body, headers)


@functools.cache
def entries():
    found = []
    for method, path, scope, checks, asked in rows(chapters()["Routes"])[1:]:
        codes = re.findall(r"`([^`]+)`", asked)
        query = next((c for c in codes if c.startswith("?")), "")
        body = next((c for c in codes if c.startswith("{")), "")
        if body:
            json.loads(body)
        found.append(Entry(method, path.strip("`"), scope, tuple(checks.split(", ")), query, body))
    return found


@functools.cache
def routes():
    """(method, path) → scope, as the program itself says."""
    said = subprocess.run([BINARY, "routes"], capture_output=True, text=True, check=True, env=plain_env("/")).stdout
    return {(method, path.strip("`")): scope for method, path, scope, *_ in rows(said)[1:]}


def test_every_route_has_an_entry():
    here = {(e.method, e.path): e.scope for e in entries()}
    missing = {key: scope for key, scope in routes().items() if key not in here}
    assert not missing, f"add these to the routes of docs/access.md: {missing}"
    gone = [key for key in here if key not in routes()]
    assert not gone, f"docs/access.md has routes that the program has not: {gone}"
    wrong = {key: (here[key], scope) for key, scope in routes().items() if here[key] != scope}
    assert not wrong, f"docs/access.md and routes.def disagree on the scope: {wrong}"


def test_the_words_of_the_tables():
    """Every check that a route names has a row, and every cell a word that is explained."""
    words = {row[0] for row in rows(chapters()["The words"])[1:]}
    private, public, alone = (table(c) for c in ("A private repository", "A public repository", "Without a repository"))
    assert private.keys() == public.keys()
    assert len({tuple(row) for row in chain(private.values(), public.values())}) == 1
    cells = chain(private.values(), public.values(), alone.values(), table("What a token leaves").values())
    assert {word for row in cells for word in row.values()} <= words
    known = private.keys() | alone.keys() | {"absent", "member"}
    assert all(set(e.checks) <= known for e in entries())


# --- the world ------------------------------------------------------------------------------------


class World:
    """One organization with a member of each role, one user for oneself; two repositories of each."""

    people = {
        "nobody": None,
        "stranger": "bob",
        "reader": "dave",
        "contributor": "carol",
        "creator": "carol",
        "writer": "hf_WandaWritesForAcme",
        "admin": "alice",
        "owner": "hf_OlgaOwnsHerOwn",
        "site admin": "hf_SidReadsItAll",
    }
    tokens = {
        "write": people["owner"],
        "read": "hf_OlgaMayRead",
        "fine write": "hf_OlgaMayWriteSome",
        "fine read": "hf_OlgaMayReadSome",
        "fine elsewhere": "hf_OlgaElsewhere",
        "nobody": None,
        "site admin": people["site admin"],
    }

    def __init__(self, hub):
        self.hub = hub
        for name, *more in (("wanda",), ("olga",), ("sid", "--site-admin")):
            hub.admin("user", "add", name, *more)
        hub.admin("org", "member", "add", "acme", "wanda", "--role", "write")
        self.token("wanda", self.people["writer"], "write")
        self.token("sid", self.people["site admin"], "write")
        self.token("olga", self.tokens["write"], "write")
        self.token("olga", self.tokens["read"], "read")
        self.token("olga", self.tokens["fine write"], "fineGrained", "olga", "repo.write")
        self.token("olga", self.tokens["fine read"], "fineGrained", "olga", "repo.content.read")
        self.token("olga", self.tokens["fine elsewhere"], "fineGrained", "olga/elsewhere", "repo.write")
        for visibility in ("private", "public"):
            for person in ("reader", "creator", "owner"):
                self.mend(person, visibility)

    def token(self, user, value, role, entity=None, permission=None):
        scopes = []
        if entity:
            thing = {"entity": {"type": "model", "name": entity}, "permissions": [permission]}
            scopes = ["--scopes", json.dumps({"scoped": [thing], "global": []})]
        self.hub.admin("token", "add", user, "--name", value, "--value", value, "--role", role, *scopes)

    def repo(self, person, visibility):
        if person == "owner":
            return f"olga/{visibility}"
        return f"acme/{'carols-' if person == 'creator' else ''}{visibility}"

    def mend(self, person, visibility, kind="model"):
        """Makes the repository that this person is asked about, if it is not there (any more)."""
        namespace, name = self.repo(person, visibility).split("/")
        maker = {"owner": self.people["owner"], "creator": "carol"}.get(person, "alice")
        body = {"type": kind, "organization": namespace, "name": name, "sdk": "static"}
        body["private"] = visibility == "private"
        for url in ("/api/repos/create", f"/api/buckets/{namespace}/{name}"):  # a bucket of the same name
            made = self.hub.http("POST", url, maker, body)
            assert made.status in (200, 409), made


@pytest.fixture
def world(hub):
    return World(hub)


def word_of(answer, logged_in):
    """What the tables call such an answer."""
    code = answer.headers.get("X-Error-Code")
    if answer.status >= 500:
        return f"broken ({answer.status} {answer.text[:80]})"
    if code == "RepoNotFound":
        return "hidden" if answer.status == (404 if logged_in else 401) else f"hidden with {answer.status}"
    if answer.status == 401 and "CAS" in answer.headers.get("WWW-Authenticate", ""):
        return "CAS token"
    if answer.status == 401:
        return "log in" if not logged_in else "log in, though a good token was sent"
    return "no" if answer.status == 403 else "yes"


def expected(checks, word_for):
    """The first check that does not say yes decides."""
    return next((w for w in map(word_for, checks) if w != "yes"), "yes")


def column(token):
    """The column of a person in the table of what needs no repository."""
    return {None: "nobody", World.people["site admin"]: "site admin"}.get(token, "write")


# --- the walk -------------------------------------------------------------------------------------


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_every_route_as_every_person(hub, world, visibility):
    with_repo = table(f"A {visibility} repository") | table("An organization's own list")
    alone, wrong = table("Without a repository"), []
    for entry in entries():
        for person, token in world.people.items():
            repo = world.repo(person, visibility)

            def word_for(check):
                if check == "absent":
                    return "hidden"
                return with_repo[check][person] if check in with_repo else alone[check][column(token)]

            answer = entry.ask(hub, repo, token)
            want, got = expected(entry.checks, word_for), word_of(answer, token is not None)
            if got != want:
                wrong.append(f"{person}: {entry.method} {entry.url(repo)}: {want} expected, {got}: {answer}")
            if entry.deletes and got == "yes":
                world.mend(person, visibility)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_every_route_with_every_token(hub, world, visibility):
    """The owner of everything, with tokens that may less."""
    left, alone, wrong = table("What a token leaves"), table("Without a repository"), []
    for entry in entries():
        for role in left["private read"]:
            repo, token = world.repo("owner", visibility), world.tokens[role]

            def word_for(check):
                if check == "absent":
                    return "hidden"
                if check == "member":
                    return table("An organization's own list")["member"]["owner"]
                if check in alone:
                    return alone[check]["fine write" if role.startswith("fine") else role]
                return left[f"{visibility} {check}"][role]

            answer = entry.ask(hub, repo, token)
            want, got = expected(entry.checks, word_for), word_of(answer, True)
            if got != want:
                wrong.append(f"{role} token: {entry.method} {entry.url(repo)}: {want} expected, {got}: {answer}")
            if entry.deletes and got == "yes":
                world.mend("owner", visibility)
    assert not wrong, "\n".join(wrong)


def same(answer):
    """All that a client sees, but for the time and the number of the request."""
    headers = sorted((k.lower(), v) for k, v in answer.headers.items() if k.lower() not in MAY_DIFFER)
    return answer.status, headers, answer.body


def differences(hub, entry, repo, token, kind="model", others=NOTHING):
    methods = ("GET", "HEAD") if entry.method == "GET" else (entry.method,)
    for method in methods:
        real = entry.ask(hub, repo, token, kind, method)
        for name in others:
            never = entry.ask(hub, name, token, kind, method)
            if same(real) != same(never):
                yield f"{method} {entry.url(repo, kind)}: {same(real)}\n  but for {name}: {same(never)}"


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_forbidden_is_like_missing(hub, world, kind):
    """What one may not see answers, byte for byte, like what was never there; with every method."""
    for person in ("reader", "owner"):
        world.mend(person, "private", kind)
    wrong = []
    for entry in entries():
        if not entry.has_repo:
            continue
        for token in (None, "bob"):
            for repo in ("acme/private", "ACME/Private"):
                wrong += differences(hub, entry, repo, token, kind)
        wrong += differences(hub, entry, "olga/private", world.tokens["fine elsewhere"], kind)
    assert not wrong, "\n".join(wrong)


def test_old_names_are_hidden_too(hub, world):
    """A private repository that moved tells strangers nothing by redirecting."""
    hub.create("acme/before", private=True)
    hub.ok("POST", "/api/repos/move", body={"type": "model", "fromRepo": "acme/before", "toRepo": "acme/after"})
    assert hub.http("GET", "/api/models/acme/before", "alice").status == 307
    hub.ok("POST", "/api/buckets/acme/before", body={"private": True})
    hub.ok("POST", "/api/repos/move", body={"type": "bucket", "fromRepo": "acme/before", "toRepo": "acme/after"})
    assert hub.http("GET", "/api/buckets/acme/before", "alice").status == 307
    wrong = []
    for entry in entries():
        if entry.has_repo:
            for token in (None, "bob"):
                wrong += differences(hub, entry, "acme/before", token)
    assert not wrong, "\n".join(wrong)


def test_lists_show_what_one_may_read(hub, world):
    readers = {person for person, word in table("A private repository")["read"].items() if word == "yes"}
    for person, token in world.people.items():
        seen = {repo["id"] for repo in hub.http("GET", "/api/models?limit=100", token).json}
        assert world.repo(person, "public") in seen
        assert (world.repo(person, "private") in seen) == (person in readers), person


def test_require_login(make_hub):
    """Nobody sees anything; who is logged in sees what they always see."""
    hub = make_hub("--require-login")
    world, wrong = World(hub), []
    harmless = re.findall(r"`(/api/[a-z-]+/?)…?`", chapters()["With require_login"])
    assert len(harmless) == 3
    for entry in entries():
        if entry.scope == "signed":
            continue
        if entry.takes_anything:
            want = "yes"
        elif entry.checks == ("read",):
            want = "hidden"
        elif entry.scope == "open":
            listed = f"`{entry.path}`" in chapters()["With require_login"]
            closed = (listed or entry.path.startswith("/api/")) and not entry.path.startswith(tuple(harmless))
            want = "log in" if closed or entry.checks == ("login",) else "yes"
        else:
            want = {"cas": "CAS token", "login": "log in", "account": "log in", "site": "log in"}.get(entry.scope, "hidden")
        answer = entry.ask(hub, "acme/public")
        if (got := word_of(answer, False)) != want:
            wrong.append(f"nobody: {entry.method} {entry.url('acme/public')}: {want} expected, {got}: {answer}")
        if want == "hidden":
            wrong += differences(hub, entry, "acme/public", None)
    for token in ("bob", world.people["reader"]):
        assert hub.http("GET", "/api/models/acme/public/auth-check", token).status == 200
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("header", ["Bearer hf_NobodyHasThis", "Basic Ym9iOndyb25n", "Bearer", "Basic !", "Digest x"])
def test_wrong_credentials_are_wrong_everywhere(hub, header):
    """Also where none are needed, and before anything is said about what is there."""
    hub.create("alice/open")
    for entry in entries():
        path = entry.url("alice/open")
        answer = hub.http(entry.method, path, headers={"Authorization": header})
        assert answer.status == (200 if entry.takes_anything else 401), (entry.method, path, answer)
        assert "X-Error-Code" not in answer.headers or entry.scope == "cas", (entry.method, path, answer)


def test_disabled_users_are_nobody(hub, world):
    hub.admin("user", "disable", "dave")
    assert hub.http("GET", "/api/models/acme/private/auth-check", "dave").status == 401
    hub.admin("user", "enable", "dave")
    assert hub.http("GET", "/api/models/acme/private/auth-check", "dave").status == 200
    assert TOKENS["dave"]  # he kept his token
