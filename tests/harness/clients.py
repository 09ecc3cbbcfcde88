"""Real clients, each with a home of its own: huggingface_hub in several versions, `hf`, git, node."""

import inspect
import itertools
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

from .server import BUILD, PATIENCE, TOKENS, plain_env

HERE = Path(__file__).resolve().parent
NEWEST = "current"
LIBRARIES = {NEWEST: "venv", **{v: f"venv-{v}" for v in ("1.10", "1.6", "1.0", "0.36", "0.30", "0.20")}}

# Older hf_xet, each with a huggingface_hub of its time.
OLD_XET = {"xet-1.1.3": "0.36", "xet-1.1.9": "0.36", "xet-1.2.0": "0.36", "xet-1.5.1": "1.10"}
LIBRARIES.update({v: f"venv-{v}" for v in OLD_XET})


def as_tuple(version):
    return tuple(int(n) for n in OLD_XET.get(version, version).split(".")[:2])


class Failed(AssertionError):
    pass


def finished(command, env, cwd=None, timeout=300, check=True, stdin=None):
    """Runs a command to its end. A failure shows everything that it said."""
    command = [str(c) for c in command]
    try:
        done = subprocess.run(
            command,
            env=env,
            cwd=cwd,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout * PATIENCE,
        )
    except subprocess.TimeoutExpired as e:
        said = (e.stdout or b"").decode(errors="replace") + (e.stderr or b"").decode(errors="replace")
        raise Failed(f"{' '.join(command)}\nwas not done after {e.timeout:.0f} s\n{said}") from None
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(command)}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Python:
    """huggingface_hub of one version. Each instance has a fresh HF_HOME, and in it what hf_xet remembers.

    Where hf_xet is installed, large files go by Xet. `HF_HUB_DISABLE_XET=1` makes it LFS again.
    """

    def __init__(self, hub, home, name=NEWEST, **env):
        self.hub, self.name, self.home, self.more = hub, name, Path(home), env
        self.bin = BUILD / LIBRARIES[name] / "bin"
        self.home.mkdir(parents=True, exist_ok=True)
        self.count = itertools.count()
        if not self.bin.exists():
            raise FileNotFoundError(f"{self.bin} is missing: run `make deps`")

    def has_xet(self):
        return any((BUILD / LIBRARIES[self.name] / "lib").glob("python3*/site-packages/hf_xet"))

    def env(self, user, **more):
        env = plain_env(
            self.home,
            HF_ENDPOINT=self.hub.url,
            HF_HOME=self.home / "hf",
            HF_XET_CLIENT_RETRY_BASE_DELAY="50ms",  # its seconds are for the open sea
            HF_HUB_DISABLE_TELEMETRY=1,
            HF_HUB_DISABLE_PROGRESS_BARS=1,
            HF_HUB_DISABLE_UPDATE_CHECK=1,
            DO_NOT_TRACK=1,
            PYTHONDONTWRITEBYTECODE=1,
            PYTHONWARNINGS="ignore",
            NO_COLOR=1,
            COLUMNS=200,
        )
        if user:
            env["HF_TOKEN"] = TOKENS.get(user, user)
        env.update({k: str(v) for k, v in {**self.more, **more}.items() if v is not None})
        return env

    def start(self, story, *args, user="alice", **env):
        """Starts a story in its own process; see run. Returns a function that waits for its result."""
        number = next(self.count)
        task, result = self.home / f"story-{number}.json", self.home / f"result-{number}.json"
        said = open(self.home / f"said-{number}.txt", "w+")
        source = textwrap.dedent(inspect.getsource(story))
        task.write_text(json.dumps({"source": source, "name": story.__name__, "args": args}, default=str))
        process = subprocess.Popen(
            [self.bin / "python", HERE / "inside.py", task, result],
            env=self.env(user, **env),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )

        def wait(timeout=300):
            try:
                code = process.wait(timeout * PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                code = f"nothing after {timeout} s"
                process.wait()
            said.seek(0)
            text = said.read()
            said.close()
            if code != 0:
                raise Failed(f"story {story.__name__} with huggingface_hub {self.name}: {code}\n{text}")
            return json.loads(result.read_text())

        wait.process = process
        return wait

    def run(self, story, *args, user="alice", timeout=300, **env):
        """Runs a story, a function `story(api, *args)` of this test file, under this version.

        Only its source travels: it may use its arguments, what it imports, and what inside.py gives
        (failure, sha256, fingerprint, hashlib, io, json, os, sys, Path). Its result returns as JSON.
        `user` None means nobody is logged in.
        """
        return self.start(story, *args, user=user, **env)(timeout)

    def hf(self, *args, user="alice", cwd=None, check=True, timeout=300, **env):
        """The command line: `hf`, or `huggingface-cli` where there was no `hf` yet."""
        program = self.bin / "hf"
        if not program.exists():
            program = self.bin / "huggingface-cli"
            args = args[1:] if args[0] == "auth" else args
        return finished([program, *args], self.env(user, **env), cwd or self.home, timeout, check)


class Git:
    """git and git-lfs with a configuration of their own and a file of credentials."""

    def __init__(self, hub, home, user=None, token=None, url=None, **env):
        self.hub, self.home = hub, Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        self.url = url or hub.url
        self.more = env
        (self.home / "gitconfig").write_text(
            "[user]\n\tname = Alice Tester\n\temail = alice@example.org\n"
            "[init]\n\tdefaultBranch = main\n"
            "[advice]\n\tdetachedHead = false\n"
            "[protocol]\n\tversion = 2\n"
            '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n'
            "\tprocess = git-lfs filter-process\n\trequired = true\n"
            f'[credential]\n\thelper = "store --file {self.home}/credentials"\n'
        )
        if user:
            scheme, host = self.url.split("://")
            (self.home / "credentials").write_text(f"{scheme}://{user}:{token or TOKENS[user]}@{host}\n")

    def remote(self, repo, kind="model"):
        return f"{self.url}/{'' if kind == 'model' else kind + 's/'}{repo}"

    def __call__(self, *args, cwd=None, check=True, timeout=300, stdin=None, **env):
        """Returns what it prints (with check=False: the whole CompletedProcess)."""
        full = plain_env(
            self.home,
            GIT_CONFIG_GLOBAL=self.home / "gitconfig",
            GIT_CONFIG_NOSYSTEM=1,
            GIT_TERMINAL_PROMPT=0,
            GIT_ASKPASS="/bin/true",
            **{**self.more, **env},
        )
        done = finished(["git", *args], full, cwd or self.home, timeout, check, stdin)
        return done.stdout.strip() if check else done

    def clone(self, repo, *options, kind="model", into=None, **more):
        into = Path(into or self.home / f"clone-{repo.replace('/', '-')}-{time.monotonic_ns()}")
        self("clone", "--quiet", *options, self.remote(repo, kind), into, **more)
        return into

    def fsck(self, folder):
        """Every object of a clone is well formed and none is missing."""
        done = self("fsck", "--strict", "--full", cwd=folder, check=False)
        said = done.stdout + done.stderr
        lines = [line for line in said.splitlines() if not line.startswith(("Checking ", "dangling ", "notice:"))]
        assert done.returncode == 0 and not lines, f"git fsck: {said}"


def node(hub, home, story, *args, user="alice", **env):
    """Runs tests/integration/js/STORY.mjs; returns what it printed last, as JSON."""
    folder = BUILD / "node"
    if not (folder / "node_modules").exists():
        raise FileNotFoundError(f"{folder}/node_modules is missing: run `make deps`")
    script = folder / f"{story}.{os.getpid()}.mjs"  # beside node_modules, where imports are looked for
    script.write_text((HERE.parent / "integration" / "js" / f"{story}.mjs").read_text())
    try:
        full = plain_env(home, HUB_URL=hub.url, HF_TOKEN=TOKENS.get(user, user) if user else None, **env)
        done = finished(["node", script, *args], full, home)
    finally:
        script.unlink()
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else None


class Peak:
    """Watches the server's memory while a block runs: `with Peak(hub) as p: …; p.grown_mib`."""

    def __init__(self, hub):
        self.hub = hub

    def __enter__(self):
        self.before = self.most = self.hub.rss_kib()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self):
        while not self.done.wait(0.02):
            try:
                self.most = max(self.most, self.hub.rss_kib())
            except (OSError, AttributeError):
                pass  # it is being restarted

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    @property
    def grown_mib(self):
        return (self.most - self.before) / 1024


def random_bytes(size, seed):
    """The same bytes for the same seed, that no compression helps and no other seed shares."""
    import hashlib

    return hashlib.shake_256(f"hearth {seed}".encode()).digest(size)


def random_file(path, size, seed):
    """Writes such bytes to a file in pieces; returns its SHA-256."""
    import hashlib

    digest, piece = hashlib.sha256(), 4 << 20
    with open(path, "wb") as f:
        for n in range(0, size, piece):
            block = random_bytes(min(piece, size - n), f"{seed}/{n}")
            digest.update(block)
            f.write(block)
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit("this is a library")
