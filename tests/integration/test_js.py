"""@huggingface/hub from npm, in node: each story is a file in js/ that asserts for itself."""

import hashlib


def test_repository_life(hub, node):
    """createRepo, whoAmI, repoExists, listModels, deleteRepo."""
    got = node("life")
    assert got["repoUrl"] == f"{hub.url}/alice/js"
    assert got["me"] == "alice" and got["exists"] == [True, False]
    assert got["listed"] == ["alice/js"]


def test_upload_list_download_delete(hub, node):
    """uploadFiles, listFiles, downloadFile, fileExists, pathsInfo, deleteFile; small and large files."""
    got = node("files")
    assert got["files"] == [".gitattributes", "large.bin", "sub/note.txt", "sub/odd name 1.txt"]
    assert got["large"] == hashlib.sha256(bytes(i % 251 for i in range(3_000_000))).hexdigest()
    assert got["note"] == "hello" and got["odd"] == "odd" and got["empty"] == 0
    assert got["part"] == "ell"
    assert got["absent"] is None
    assert got["left"] == [".gitattributes", "empty.txt", "large.bin", "sub/odd name 1.txt"]


def test_commits_branches_and_pull_requests(hub, node):
    """commit with additions and deletions, createBranch, listCommits, a pull request, parentCommit."""
    got = node("branches")
    assert got["titles"] == ["second", "first", "initial commit"]
    assert got["onBranch"] == ["a.txt"] and got["pullRequest"].endswith("/alice/js/discussions/1")
    assert got["inPullRequest"] == ["b.txt", "proposal.txt"]
    assert got["conflict"] == 412


def test_errors(hub, node):
    """HubApiError carries status and message; private looks like missing."""
    hub.create("alice/secret", private=True)
    got = node("errors", user="bob")
    assert got["secret"] == got["absent"] and got["secret"]["status"] == 404
    assert got["write"]["status"] == 403
    assert got["revision"]["status"] == 404
