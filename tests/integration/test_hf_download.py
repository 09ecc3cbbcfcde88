"""Downloads through huggingface_hub: cache, absence, errors, odd names, ranges, file system."""

import hashlib

import pytest
from harness.clients import random_bytes
from harness.tap import Tap

FILES = {"config.json": '{"a": 1}', "sub/notes.txt": "line\n" * 1000}


@pytest.fixture
def model(hub):
    """alice/m with two small files."""
    hub.create("alice/m")
    hub.commit("alice/m", FILES)
    return "alice/m"


def test_second_download_is_answered_by_the_cache(hub, client, model):
    """One HEAD instead of a GET, as long as the etag is the same; a new commit brings new bytes."""

    def story(api, phase):
        from huggingface_hub import hf_hub_download

        path = Path(hf_hub_download("alice/m", "config.json"))
        return path.read_text(), path.parent.name, path.resolve().name

    tap = Tap(hub)
    client.hub = tap
    content, first_commit, blob = client.run(story, 1)
    assert content == FILES["config.json"]
    assert blob == hashlib.sha1(b"blob 8\0" + content.encode()).hexdigest()  # the etag is the git blob
    gets = len(tap.seen("GET", "/resolve/"))
    assert client.run(story, 2) == [content, first_commit, blob]
    assert len(tap.seen("GET", "/resolve/")) == gets, "the file was sent again"
    hub.commit("alice/m", {"config.json": "{}"})
    content, second_commit, _ = client.run(story, 3)
    assert content == "{}" and second_commit != first_commit
    tap.close()


def test_absence_is_remembered(hub, client, model):
    """A missing file leaves a mark under .no_exist, which transformers relies on."""

    def story(api):
        from huggingface_hub import hf_hub_download, try_to_load_from_cache, _CACHED_NO_EXIST

        failed = failure(hf_hub_download, "alice/m", "absent.json")
        return failed, try_to_load_from_cache("alice/m", "absent.json") is _CACHED_NO_EXIST

    failed, remembered = client.run(story, user=None)
    assert "EntryNotFoundError" in failed["is"] and failed["status"] == 404 and failed["code"] == "EntryNotFound"
    assert remembered is True


def test_errors_have_their_names(hub, client, model):
    def story(api):
        from huggingface_hub import hf_hub_download

        hidden = failure(hf_hub_download, "alice/nothing", "config.json")
        return {
            "repository": hidden["is"],
            "revision": failure(hf_hub_download, "alice/m", "config.json", revision="nowhere")["is"],
            "entry": failure(hf_hub_download, "alice/m", "absent.json")["is"],
            "info": failure(api.model_info, "alice/nothing")["is"],
            "info revision": failure(api.model_info, "alice/m", revision="nowhere")["is"],
            "tree": failure(lambda: list(api.list_repo_tree("alice/m", "nowhere")))["is"],
            "snapshot": failure(__import__("huggingface_hub").snapshot_download, "alice/nothing")["is"],
            "exists": [
                api.repo_exists("alice/m"),
                api.repo_exists("alice/nothing"),
                api.file_exists("alice/m", "config.json"),
                api.file_exists("alice/m", "absent.json"),
                api.file_exists("alice/nothing", "config.json"),
            ],
        }

    for user in ("bob", None):
        got = client.run(story, user=user)
        assert "RepositoryNotFoundError" in got["repository"]
        assert "RevisionNotFoundError" in got["revision"]
        assert "EntryNotFoundError" in got["entry"]
        assert "RepositoryNotFoundError" in got["info"]
        assert "RevisionNotFoundError" in got["info revision"]
        assert "EntryNotFoundError" in got["tree"]
        assert "RepositoryNotFoundError" in got["snapshot"]
        assert got["exists"] == [True, False, True, False, False]


@pytest.mark.parametrize("who", ["bob", None])
def test_private_looks_like_absent(hub, client, who):
    """For a stranger and for nobody, the errors of a private repository and of none are the same."""

    def story(api, repo):
        from huggingface_hub import hf_hub_download, snapshot_download

        tries = (
            lambda: api.model_info(repo),
            lambda: hf_hub_download(repo, "config.json"),
            lambda: snapshot_download(repo),
            lambda: list(api.list_repo_tree(repo)),
            lambda: api.list_repo_refs(repo),
            lambda: api.list_repo_commits(repo),
            lambda: api.get_paths_info(repo, ["config.json"]),
        )
        return [{k: failure(t)[k] for k in ("type", "status", "code")} for t in tries]

    hub.create("alice/secret", private=True)
    hub.commit("alice/secret", FILES)
    assert client.run(story, "alice/secret", user=who) == client.run(story, "alice/absent", user=who)


def test_private_is_there_for_its_owner(hub, client):
    def story(api):
        from huggingface_hub import snapshot_download

        return fingerprint(snapshot_download("alice/secret"))

    hub.create("alice/secret", private=True)
    hub.commit("alice/secret", FILES)
    assert set(client.run(story)) == {".gitattributes", *FILES}
    assert set(client.run(story, user="alice-read")) == {".gitattributes", *FILES}


def test_message_of_a_missing_repository(hub, newest):
    """The text is the client's own, nothing of ours is appended to it."""

    def story(api):
        return failure(api.model_info, "alice/nothing")["text"]

    text = newest.run(story, user="bob")
    assert "Repository Not Found for url" in text and "Request ID: Root=1-" in text
    assert text.lower().count("repository not found") == 1


NAMES = [
    "a file with spaces.txt",
    "100%.txt",
    "hash#tag.txt",
    "question?.txt",
    "amp&and=equals+plus.txt",
    "colon:comma,.txt",
    "quote'double\".txt",
    "back\\slash.txt",
    "x%2Fy.txt",
    ".hidden/.file",
    "ünïcödé/日本語/🤗.txt",
    "[brackets]{braces}.txt",
    "tilde~star*.txt",
]


def test_odd_file_names(hub, client):
    """Each goes up, is listed, found, and comes down by its own name."""

    def story(api, names):
        from huggingface_hub import CommitOperationAdd, hf_hub_download

        api.create_repo("alice/odd")
        adds = [CommitOperationAdd(n, n.encode()) for n in names]
        api.create_commit("alice/odd", adds, commit_message="odd names")
        got = {n: Path(hf_hub_download("alice/odd", n)).read_text() for n in names}
        listed = api.list_repo_files("alice/odd")
        found = [i.path for i in api.get_paths_info("alice/odd", names)]
        exist = [api.file_exists("alice/odd", n) for n in names]
        return got, sorted(listed), sorted(found), exist

    got, listed, found, exist = client.run(story, NAMES)
    assert got == {n: n for n in NAMES}
    assert listed == sorted([".gitattributes", *NAMES])
    assert found == sorted(NAMES)
    assert exist == [True] * len(NAMES)


def test_folders_with_odd_names_are_listed(hub, client):
    def story(api):
        from huggingface_hub import CommitOperationAdd

        api.create_repo("alice/odd")
        adds = [CommitOperationAdd("sub dir/50% + more/a.txt", b"a"), CommitOperationAdd("sub dir/b.txt", b"b")]
        api.create_commit("alice/odd", adds, commit_message="folders")
        tree = lambda path: [e.path for e in api.list_repo_tree("alice/odd", path)]  # noqa: E731
        return sorted(tree("sub dir")), tree("sub dir/50% + more")

    assert client.run(story) == [["sub dir/50% + more", "sub dir/b.txt"], ["sub dir/50% + more/a.txt"]]


def test_snapshot_by_every_kind_of_revision(hub, client, model):
    """A branch, a tag, a full commit, the beginning of one."""

    def story(api, old):
        from huggingface_hub import snapshot_download

        api.create_tag("alice/m", tag="v1", revision=old)
        api.create_branch("alice/m", branch="dev/one", revision=old)
        revisions = (old, "v1", "dev/one", old[:8], "refs/heads/dev/one")
        return [(Path(snapshot_download("alice/m", revision=r)) / "config.json").read_text() for r in revisions]

    old = hub.ok("GET", "/api/models/alice/m").json["sha"]
    hub.commit("alice/m", {"config.json": "new"})
    assert client.run(story, old) == [FILES["config.json"]] * 5


def test_download_resumes(hub, client, tmp_path):
    """A connection that is reset in the middle of a large file without Xet: the client gives up (it retries
    only timeouts), and its next call goes on by range where the first one stopped."""
    def story(api):
        from huggingface_hub import hf_hub_download

        try:
            hf_hub_download("alice/big", "big.bin")
        except Exception as e:
            print("first call:", type(e).__name__)
        return sha256(hf_hub_download("alice/big", "big.bin"))

    content = random_bytes(12 << 20, "resume")
    (tmp_path / "big.bin").write_bytes(content)
    hub.create("alice/big")
    client.hf("upload", "alice/big", tmp_path / "big.bin", "big.bin")
    tap = Tap(hub)
    tap.cut_answers_after = 5 << 20  # the first answer longer than this is cut there, once
    client.hub = tap
    assert client.run(story, HF_HUB_DISABLE_XET=1) == hashlib.sha256(content).hexdigest()
    assert len(tap.seen("GET", "/resolve/|/lfs|/cdn|/file")) >= 2, "it was not interrupted"
    tap.close()


def test_file_system(hub, client, tmp_path):
    """HfFileSystem: ls, info, glob, walk, read parts, write, copy, remove."""

    def story(api, content):
        from huggingface_hub import HfFileSystem

        fs = HfFileSystem()
        with fs.open("alice/fs/data/new.txt", "w") as f:
            f.write("written through fsspec\n")
        fs.pipe_file("alice/fs/weights.bin", bytes(range(256)) * 400)
        fs.invalidate_cache()
        with fs.open("alice/fs/weights.bin", "rb") as f:
            f.seek(1000)
            part = f.read(8).hex()
            f.seek(-2, 2)
            end = f.read().hex()
        out = {
            "ls": sorted(fs.ls("alice/fs", detail=False)),
            "glob": sorted(fs.glob("alice/fs/**/*.txt")),
            "info": fs.info("alice/fs/weights.bin")["size"],
            "isdir": [fs.isdir("alice/fs/data"), fs.isfile("alice/fs/data"), fs.exists("alice/fs/nothing")],
            "read": fs.read_text("alice/fs/data/new.txt"),
            "range": [part, end, fs.cat_file("alice/fs/weights.bin", start=256, end=260).hex()],
            "walk": [[d.split("alice/fs")[-1], sorted(files)] for d, _, files in fs.walk("alice/fs")],
        }
        fs.rm("alice/fs/data/new.txt")
        fs.invalidate_cache()
        out["after"] = sorted(fs.ls("alice/fs", detail=False))
        return out

    hub.create("alice/fs")
    got = client.run(story, "")
    assert got["ls"] == ["alice/fs/.gitattributes", "alice/fs/data", "alice/fs/weights.bin"]
    assert got["glob"] == ["alice/fs/data/new.txt"]
    assert got["info"] == 102400
    assert got["isdir"] == [True, False, False]
    assert got["read"] == "written through fsspec\n"
    assert got["range"] == ["e8e9eaebecedeeef", "feff", "00010203"]
    assert got["after"] == ["alice/fs/.gitattributes", "alice/fs/weights.bin"]


def test_safetensors_metadata(hub, client, minilm):
    """The header of a weights file is read by range; info shows the parameters."""

    def story(api, model):
        api.create_repo("alice/minilm")
        api.upload_file(
            path_or_fileobj=model + "/model.safetensors", path_in_repo="model.safetensors", repo_id="alice/minilm"
        )
        meta = api.get_safetensors_metadata("alice/minilm")
        shown = api.model_info("alice/minilm").safetensors
        total = shown["total"] if isinstance(shown, dict) else shown.total  # 0.20 keeps the JSON
        return sum(meta.parameter_count.values()), total

    counted, shown = client.run(story, str(minilm), timeout=600)
    assert counted == shown > 0
