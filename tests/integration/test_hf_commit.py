"""Commits through huggingface_hub: add, delete, copy, pull request, conflict, large folders."""

import hashlib

import pytest
from harness.clients import Peak, random_bytes
from harness.inside import fingerprint


def test_add_delete_and_copy_in_one_commit(hub, client):
    def story(api):
        from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete

        api.create_repo("alice/m")
        first = [CommitOperationAdd(p, c) for p, c in (("a.txt", b"a"), ("dir/b.txt", b"b"), ("big.bin", b"\0" * 5000))]
        api.create_commit("alice/m", first, commit_message="first", commit_description="three files")
        second = [
            CommitOperationDelete("a.txt"),
            CommitOperationDelete("dir/"),
            CommitOperationCopy("big.bin", "copy.bin"),
            CommitOperationAdd("c.txt", b"c"),
        ]
        info = api.create_commit("alice/m", second, commit_message="second")
        commits = [(c.title, c.message) for c in api.list_repo_commits("alice/m")]
        path = api.hf_hub_download("alice/m", "copy.bin")
        return sorted(api.list_repo_files("alice/m")), commits, info.oid, info.commit_url, sha256(path)

    files, commits, oid, url, digest = client.run(story)
    assert files == [".gitattributes", "big.bin", "c.txt", "copy.bin"]
    assert commits == [["second", ""], ["first", "three files"], ["initial commit", ""]]
    assert url == f"{hub.url}/alice/m/commit/{oid}"
    assert digest == hashlib.sha256(b"\0" * 5000).hexdigest()


@pytest.mark.since("0.30")
def test_copy_of_a_small_file(hub, client):
    """Copies of regular files arrive as their content."""

    def story(api):
        from huggingface_hub import CommitOperationAdd, CommitOperationCopy

        api.create_repo("alice/m")
        api.create_commit("alice/m", [CommitOperationAdd("config.json", b"{}")], commit_message="one")
        copies = [CommitOperationCopy("config.json", "sub/config.json")]
        api.create_commit("alice/m", copies, commit_message="two")
        return [(f.path, f.blob_id) for f in api.get_paths_info("alice/m", ["config.json", "sub/config.json"])]

    (_, first), (_, second) = client.run(story)
    assert first == second


def test_pull_request(hub, client):
    """create_pr opens refs/pr/N from main's head; a stranger may, main does not move."""

    def story(api):
        from huggingface_hub import CommitOperationAdd

        change = [CommitOperationAdd("proposal.txt", b"please")]
        info = api.create_commit("alice/m", change, commit_message="A proposal", create_pr=True)
        files = api.list_repo_files("alice/m", revision="refs/pr/1")
        more = [CommitOperationAdd("second.txt", b"too")]
        api.create_commit("alice/m", more, commit_message="More", revision="refs/pr/1")
        titles = [c.title for c in api.list_repo_commits("alice/m", revision="refs/pr/1")]
        return info.pr_url, info.pr_num, info.pr_revision, sorted(files), titles, sorted(api.list_repo_files("alice/m"))

    hub.create("alice/m")
    url, number, revision, files, titles, on_main = client.run(story, user="bob")
    assert (url, number, revision) == (f"{hub.url}/alice/m/discussions/1", 1, "refs/pr/1")
    assert files == [".gitattributes", "proposal.txt"]
    assert titles == ["More", "A proposal", "initial commit"]
    assert on_main == [".gitattributes"]


def test_pull_request_of_a_large_file(hub, client):
    """A stranger's upload is accepted, by Xet and by LFS, whose batch for a pull request names no ref."""

    def story(api, repo):
        return api.upload_file(
            path_or_fileobj=b"\0" * 20000, path_in_repo="x.bin", repo_id=repo, create_pr=True
        ) and [f.size for f in api.get_paths_info(repo, ["x.bin"], revision="refs/pr/1") if f.lfs]

    for repo, off in (("alice/by-xet", None), ("alice/by-lfs", 1)):
        hub.create(repo)
        assert client.run(story, repo, user="bob", HF_HUB_DISABLE_XET=off) == [20000]


def test_parent_commit_conflict(hub, client):
    """412, with the sentence that clients know, and nothing written."""

    def story(api, parent):
        from huggingface_hub import CommitOperationAdd

        def commit(content):
            add = [CommitOperationAdd("a.txt", content)]
            return api.create_commit("alice/m", add, commit_message="m", parent_commit=parent)

        commit(b"one")
        failed = failure(commit, b"two")
        return failed, Path(api.hf_hub_download("alice/m", "a.txt")).read_text()

    hub.create("alice/m")
    head = hub.ok("GET", "/api/models/alice/m").json["sha"]
    failed, content = client.run(story, head)
    assert failed["status"] == 412
    assert "The branch was updated since you opened this page. Please refresh and try again." in failed["text"]
    assert content == "one"


def test_deleting_what_is_not_there(hub, client):
    def story(api):
        return failure(api.delete_file, "nothing.txt", "alice/m")

    hub.create("alice/m")
    failed = client.run(story)
    assert "EntryNotFoundError" in failed["is"] and failed["status"] == 404
    assert "A file with this name doesn't exist" in failed["text"]


def test_delete_folder_and_patterns(hub, client):
    def story(api):
        api.delete_folder("logs", "alice/m")
        left = sorted(api.list_repo_files("alice/m"))
        return left

    hub.create("alice/m")
    hub.commit("alice/m", {"logs/a/1.txt": "1", "logs/b/2.txt": "2", "keep.txt": "k"})
    assert client.run(story) == [".gitattributes", "keep.txt"]


def test_upload_folder_that_replaces(hub, client, folder):
    """delete_patterns: what the folder no longer has goes away in the same commit."""

    def story(api, folder):
        api.create_repo("alice/m")
        api.upload_folder(repo_id="alice/m", folder_path=folder)
        (Path(folder) / "sub" / "notes.txt").unlink()
        (Path(folder) / "config.json").write_text("{}")
        api.upload_folder(repo_id="alice/m", folder_path=folder, delete_patterns="*.txt", commit_message="Replace")
        return sorted(api.list_repo_files("alice/m")), [c.title for c in api.list_repo_commits("alice/m")]

    files, titles = client.run(story, str(folder))
    assert files == [".gitattributes", "README.md", "config.json", "empty.txt", "sub/deep/vectors.npy", "weights.bin"]
    assert titles[0] == "Replace" and len(titles) == 3


@pytest.mark.since("0.30")
@pytest.mark.until("2.0")
def test_upload_large_folder(hub, client, tmp_path):
    """The resumable uploader: many files, several workers, many commits; then once more, nothing to do."""

    def story(api, folder):
        api.create_repo("alice/large", repo_type="model")
        api.upload_large_folder("alice/large", folder, repo_type="model", num_workers=4, print_report=False)
        api.upload_large_folder("alice/large", folder, repo_type="model", num_workers=4, print_report=False)
        from huggingface_hub import snapshot_download

        return fingerprint(snapshot_download("alice/large"))

    root = tmp_path / "many"
    for n in range(120):
        (root / f"part{n % 7}").mkdir(parents=True, exist_ok=True)
        (root / f"part{n % 7}" / f"{n}.txt").write_text(f"text {n}\n" * (n + 1))
    for n in range(8):
        (root / f"{n}.bin").write_bytes(random_bytes(50_000 + n, f"large {n}"))
    got = client.run(story, str(root), timeout=600)
    got.pop(".gitattributes")
    assert got == fingerprint(root)


def test_folder_of_three_hundred_files(hub, client, tmp_path):
    """upload_folder of more files than one preupload request takes."""

    def story(api, folder):
        api.create_repo("alice/many")
        api.upload_folder(repo_id="alice/many", folder_path=folder)
        return len(api.list_repo_files("alice/many"))

    root = tmp_path / "many"
    root.mkdir()
    for n in range(300):
        (root / f"{n:03}.txt").write_text(f"{n}\n")
    assert client.run(story, str(root), timeout=600) == 301


def test_empty_files(hub, client, folder):
    """Empty files are regular, also where the name says LFS."""

    def story(api):
        api.create_repo("alice/m")
        for name in ("empty.txt", "empty.pkl"):
            api.upload_file(path_or_fileobj=b"", path_in_repo=name, repo_id="alice/m")
        infos = api.get_paths_info("alice/m", ["empty.txt", "empty.pkl"])
        sizes = [os.path.getsize(api.hf_hub_download("alice/m", n)) for n in ("empty.txt", "empty.pkl")]
        return [(i.path, i.size, i.lfs) for i in infos], sizes

    assert client.run(story) == [[["empty.txt", 0, None], ["empty.pkl", 0, None]], [0, 0]]


def test_commit_of_nothing(hub, client):
    """No operations that change anything: never an error."""

    def story(api):
        from huggingface_hub import CommitOperationAdd

        api.create_repo("alice/m")
        add = [CommitOperationAdd("a.txt", b"same")]
        api.create_commit("alice/m", add, commit_message="one")
        api.create_commit("alice/m", [CommitOperationAdd("a.txt", b"same")], commit_message="two")
        return api.list_repo_files("alice/m")

    assert "a.txt" in client.run(story)


@pytest.mark.since("0.30")  # older clients do not ask before they commit
def test_readme_is_validated_and_shown(hub, client):
    """The card is checked before the commit, and its front matter becomes tags."""

    def story(api):
        api.create_repo("alice/m")
        good = b"---\nlicense: mit\nlanguage: en\ntags:\n- tiny\npipeline_tag: text-classification\n---\n# Hello\n"
        api.upload_file(path_or_fileobj=good, path_in_repo="README.md", repo_id="alice/m")
        bad = b"---\nlicense: no-such-license\n---\n"
        failed = failure(api.upload_file, path_or_fileobj=bad, path_in_repo="README.md", repo_id="alice/m")
        info = api.model_info("alice/m")
        card = info.card_data.to_dict() if hasattr(info, "card_data") and info.card_data else dict(info.cardData or {})
        return failed, info.tags, info.pipeline_tag, card

    failed, tags, pipeline, card = client.run(story)
    assert '"license" must be one of' in failed["text"] and "ValueError" in failed["is"]
    assert {"license:mit", "tiny", "en", "text-classification"} <= set(tags)
    assert pipeline == "text-classification"
    assert card["license"] == "mit"


def test_a_file_marked_as_text_becomes_lfs_and_is_recorded(hub, client):
    """Binary content without a rule goes to LFS; the path is added to .gitattributes, escaped."""

    def story(api):
        api.create_repo("alice/m")
        content = bytes(range(256)) * 100
        api.upload_file(path_or_fileobj=content, path_in_repo="odd name.dat", repo_id="alice/m")
        (info,) = api.get_paths_info("alice/m", ["odd name.dat"])
        rules = Path(api.hf_hub_download("alice/m", ".gitattributes")).read_text()
        return info.lfs is not None, info.size, rules.splitlines()[-1]

    assert client.run(story) == [True, 25600, "odd[[:space:]]name.dat filter=lfs diff=lfs merge=lfs -text"]


def test_gitignore_is_respected(hub, client):
    def story(api):
        from huggingface_hub import CommitOperationAdd

        add = [CommitOperationAdd("keep.txt", b"k"), CommitOperationAdd("drop.log", b"d")]
        api.create_commit("alice/m", add, commit_message="both")
        return sorted(api.list_repo_files("alice/m"))

    hub.create("alice/m")
    hub.commit("alice/m", {".gitignore": "*.log\n"})
    assert client.run(story) == [".gitattributes", ".gitignore", "keep.txt"]


def test_twelve_times_nine_megabytes_in_one_commit(hub, newest):
    """A commit body of 144 MB of base64 is read as it comes: memory stays flat."""
    def story(api):
        from huggingface_hub import CommitOperationAdd

        api.create_repo("alice/m")
        content = [(f"{n}.txt", (f"{n} line of text\n" * 700_000)[: 9 << 20].encode()) for n in range(12)]
        api.create_commit("alice/m", [CommitOperationAdd(p, c) for p, c in content], commit_message="big")
        return sorted(i.size for i in api.list_repo_tree("alice/m") if i.path.endswith(".txt"))

    with Peak(hub) as peak:
        sizes = newest.run(story, timeout=600)
    assert sizes == [9 << 20] * 12
    assert peak.grown_mib < 64


def test_parallel_commits_all_land(hub, newest):
    """Without a parent commit nobody loses: each is replayed on the new head."""

    def story(api):
        from concurrent.futures import ThreadPoolExecutor

        from huggingface_hub import CommitOperationAdd

        def commit(n):
            add = [CommitOperationAdd(f"{n}.txt", str(n).encode())]
            return api.create_commit("alice/m", add, commit_message=f"commit {n}").oid

        with ThreadPoolExecutor(8) as pool:
            oids = list(pool.map(commit, range(24)))
        return len(set(oids)), len(api.list_repo_files("alice/m")), len(api.list_repo_commits("alice/m"))

    hub.create("alice/m")
    assert newest.run(story) == [24, 25, 25]


@pytest.mark.parametrize("who", ["alice-read", "bob", None])
def test_writing_without_permission(hub, client, who):
    def story(api):
        return failure(api.upload_file, path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="alice/m")

    hub.create("alice/m")
    failed = client.run(story, user=who)
    assert failed["status"] == (403 if who else 401)
    assert [f["path"] for f in hub.ok("GET", "/api/models/alice/m/tree/main").json] == [".gitattributes"]
