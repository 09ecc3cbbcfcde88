"""Large files listed, deleted from the whole history, given to another repository, with real clients."""

import hashlib
import random

from harness.clients import random_bytes


def put(api, files, revision):
    """A story: one commit of large files ({path: seed}) to a branch, or with revision None to a new pull request."""
    from huggingface_hub import CommitOperationAdd

    operations = [CommitOperationAdd(path, b"\0" + bytes([seed]) * 9999) for path, seed in files.items()]
    done = api.create_commit(
        "alice/m", operations, commit_message="add " + " ".join(files), revision=revision, create_pr=revision is None
    )
    return [done.oid, done.pr_revision]


def listed(api):
    """A story: what list_lfs_files says."""
    found = api.list_lfs_files("alice/m")
    return sorted([f.filename, f.ref or "", f.size, f.file_oid, (f.pusher if isinstance(f.pusher, dict) else vars(f.pusher))["user"]] for f in found)


def delete(api, names, rewrite):
    """A story: files deleted by name."""
    chosen = [f for f in api.list_lfs_files("alice/m") if f.filename in names]
    api.permanently_delete_lfs_files("alice/m", chosen, rewrite_history=rewrite)
    return sorted(f.filename for f in api.list_lfs_files("alice/m"))


def sha_of(seed):
    return hashlib.sha256(b"\0" + bytes([seed]) * 9999).hexdigest()


def test_listed_and_deleted_from_the_history(hub, newest, git):
    hub.create("alice/m")
    first = hub.commit("alice/m", {"README.md": "# one\n"})
    newest.run(put, {"keep.bin": 1, "sub/gone.bin": 2, "only/gone-too.bin": 3}, "main")
    hub.ok("POST", "/api/models/alice/m/branch/other", body={})
    newest.run(put, {"other.bin": 4}, "other")
    _, proposal = newest.run(put, {"proposed.bin": 5}, None)
    clone = git.clone("alice/m", GIT_LFS_SKIP_SMUDGE=1)
    git("tag", "-a", "-m", "annotated", "v1", cwd=clone)
    git("tag", "light", first, cwd=clone)
    git("mv", "sub/gone.bin", "sub/moved.bin", cwd=clone)
    git("commit", "-qm", "moved", cwd=clone)
    git("push", "-q", "origin", "main", "v1", "light", cwd=clone, GIT_LFS_SKIP_PUSH=1)
    before = dict(line.split()[::-1] for line in git("ls-remote", cwd=clone).splitlines())

    main = "refs/heads/main"
    assert newest.run(listed) == [
        ["keep.bin", main, 10000, sha_of(1), "alice"],
        ["only/gone-too.bin", main, 10000, sha_of(3), "alice"],
        ["other.bin", "refs/heads/other", 10000, sha_of(4), "alice"],
        ["proposed.bin", proposal, 10000, sha_of(5), "alice"],
        ["sub/moved.bin", main, 10000, sha_of(2), "alice"],
    ]
    left = newest.run(delete, ["sub/moved.bin", "only/gone-too.bin"], True)
    assert left == ["keep.bin", "other.bin", "proposed.bin"]

    tree = hub.http("GET", "/api/models/alice/m/tree/main?recursive=1").json
    assert [e["path"] for e in tree] == [".gitattributes", "README.md", "keep.bin"]
    tree = hub.http("GET", "/api/models/alice/m/tree/other?recursive=1&expand=1").json
    assert [e["path"] for e in tree] == [".gitattributes", "README.md", "keep.bin", "other.bin"]
    assert [e["lastCommit"]["title"] for e in tree][1:] == ["change", "add keep.bin sub/gone.bin only/gone-too.bin", "add other.bin"]
    titles = [c["title"] for c in hub.http("GET", "/api/models/alice/m/commits/main").json]
    assert titles == ["moved", "add keep.bin sub/gone.bin only/gone-too.bin", "change", "initial commit"]
    assert hub.http("GET", "/api/models/alice/m?expand=usedStorage").json["usedStorage"] == 30000

    fresh = git.clone("alice/m", "--mirror")
    git.fsck(fresh)
    after = dict(line.split()[::-1] for line in git("ls-remote", cwd=fresh).splitlines())
    assert after.keys() == before.keys()
    assert {ref for ref in after if after[ref] == before[ref]} == {"refs/tags/light"}
    assert git("cat-file", "-t", "v1", cwd=fresh) == "tag"
    assert "annotated" in git("cat-file", "-p", "v1", cwd=fresh)
    for ref in after:
        everything = git("log", "--format=", "--name-only", ref.removesuffix("^{}"), cwd=fresh).split()
        assert not {"sub/gone.bin", "sub/moved.bin", "only/gone-too.bin"} & set(everything), ref
        history = git("rev-list", "--objects", ref.removesuffix("^{}"), cwd=fresh)
        assert "only" not in {line.partition(" ")[2] for line in history.splitlines()}
    assert hub.http("GET", f"/alice/m/resolve/{before[main]}/sub/moved.bin").status == 404


def test_deleted_without_rewriting(hub, newest):
    """The pointers stay; the content is gone from this repository and comes back with an upload."""
    hub.create("alice/m")
    oid, _ = newest.run(put, {"a.bin": 1, "b.bin": 2}, "main")
    assert newest.run(delete, ["a.bin"], False) == ["b.bin"]
    assert hub.http("GET", "/api/models/alice/m/commits/main").json[0]["id"] == oid
    assert hub.http("GET", "/alice/m/resolve/main/a.bin").status >= 400
    assert hub.http("GET", "/alice/m/resolve/main/b.bin").status == 200
    newest.run(put, {"again.bin": 1}, "main")
    assert hub.http("GET", "/alice/m/resolve/main/a.bin").status == 200
    # The same file once more, by its id: the history goes with it.
    assert hub.http("DELETE", f"/api/models/alice/m/lfs-files/{sha_of(1)}", "bob").status == 403
    assert hub.ok("DELETE", f"/api/models/alice/m/lfs-files/{sha_of(1)}").json == {}
    assert hub.http("DELETE", f"/api/models/alice/m/lfs-files/{sha_of(1)}", "alice").status == 404
    assert [e["path"] for e in hub.http("GET", "/api/models/alice/m/tree/main").json] == [".gitattributes", "b.bin"]


def test_signatures_do_not_survive(hub, git):
    """A rewritten commit keeps author, dates, message and odd headers; what signed the old one goes."""
    hub.create("alice/m")
    sha, size = hashlib.sha256(random_bytes(5000, "x")).hexdigest(), 5000
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha}\nsize {size}\n"
    objects = [{"oid": sha, "size": size}]
    asked = hub.ok("POST", "/alice/m.git/info/lfs/objects/batch", body={"operation": "upload", "objects": objects})
    href = asked.json["objects"][0]["actions"]["upload"]["href"]
    assert hub.http("PUT", href, body=random_bytes(5000, "x")).status == 200

    clone = git.clone("alice/m")
    blob = git("hash-object", "-w", "--no-filters", "--stdin", cwd=clone, stdin=pointer)
    git("update-index", "--add", "--cacheinfo", f"100644,{blob},pointer.bin", cwd=clone)
    tree, parent = git("write-tree", cwd=clone), git("rev-parse", "HEAD", cwd=clone)
    people = "author Ann <ann@example.org> 1000000000 +0530\ncommitter Bo <bo@example.org> 1100000000 -0800\n"
    signed = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n"
    text = f"tree {tree}\nparent {parent}\n{people}encoding ISO-8859-1\n{signed}\nsubject\n\nbody  \n\n"
    commit = git("hash-object", "-w", "-t", "commit", "--stdin", cwd=clone, stdin=text)
    message = "release\n-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"
    tag = f"object {commit}\ntype commit\ntag v1\ntagger Bo <bo@example.org> 1100000000 -0800\n\n{message}"
    tag = git("hash-object", "-w", "-t", "tag", "--stdin", cwd=clone, stdin=tag)
    outer = f"object {tag}\ntype tag\ntag v2\ntagger Bo <bo@example.org> 1100000000 -0800\n\nouter\n"
    outer = git("hash-object", "-w", "-t", "tag", "--stdin", cwd=clone, stdin=outer)
    git("push", "-q", "origin", f"{commit}:refs/heads/main", f"{tag}:refs/tags/v1", f"{outer}:refs/tags/v2", cwd=clone)

    hub.ok("POST", "/api/models/alice/m/lfs-files/batch", body={"deletions": {"sha": [sha]}})
    fresh = git.clone("alice/m", "--mirror")
    git.fsck(fresh)
    new_tree = git("rev-parse", "main^{tree}", cwd=fresh)
    assert new_tree == git("rev-parse", f"{parent}^{{tree}}", cwd=fresh)
    raw = git("cat-file", "commit", "main", cwd=fresh) + "\n"
    assert raw.rstrip() == f"tree {new_tree}\nparent {parent}\n{people}encoding ISO-8859-1\n\nsubject\n\nbody".rstrip()
    new = git("rev-parse", "main", cwd=fresh)
    assert git("cat-file", "tag", "v1", cwd=fresh).splitlines()[0] == f"object {new}"
    assert "SIGNATURE" not in git("cat-file", "tag", "v1", cwd=fresh)
    assert git("rev-parse", "v2^{commit}", cwd=fresh) == new
    assert git("cat-file", "tag", "v2", cwd=fresh).splitlines()[0] == f"object {git('rev-parse', 'v1', cwd=fresh)}"


def test_given_to_another_repository(hub, newest):
    hub.create("alice/m", private=True)
    hub.create("alice/d", "dataset")
    newest.run(put, {"a.bin": 1}, "main")

    def give(files, user="alice", target="alice/d", source="models/alice/m"):
        body = {"target": {"type": "dataset", "name": target}, "files": files}
        return hub.http("POST", f"/api/{source}/lfs-files/duplicate", user, body)

    answer = give([{"sha256": sha_of(1)}, {"sha256": sha_of(9)}, {"sha256": sha_of(1), "xetHash": "0" * 64}])
    assert answer.status == 207
    assert (answer.json["success"], answer.json["processed"], answer.json["succeeded"]) == (False, 3, 1)
    assert [f["sha256"] for f in answer.json["failed"]] == [sha_of(9), sha_of(1)]
    answer = give([{"sha256": sha_of(1), "filename": "x.bin"}])
    assert (answer.status, answer.json["success"], answer.json["failed"]) == (200, True, [])
    assert give([{"sha256": sha_of(1)}], "bob").status == 404, "the source is private"
    assert give([{"sha256": sha_of(1)}], target="alice/none").status == 404
    assert give([{"sha256": sha_of(1)}], "alice-read").status == 403
    assert give([]).status == give([{"sha256": sha_of(1)}] * 1001).status == 400
    line = '{"key":"lfsFile","value":{"path":"b.bin","algo":"sha256","oid":"%s","size":10000}}' % sha_of(1)
    body = ('{"key":"header","value":{"summary":"copied"}}\n' + line + "\n").encode()
    hub.ok("POST", "/api/datasets/alice/d/commit/main", body=body, headers={"Content-Type": "application/x-ndjson"})
    assert hub.http("GET", "/datasets/alice/d/resolve/main/b.bin").body == b"\0" + b"\1" * 9999
    assert hub.http("GET", "/api/datasets/alice/d?expand=usedStorage").json["usedStorage"] == 10000


def test_pages(hub, newest):
    hub.create("alice/m")
    newest.run(put, {f"{n}.bin": n for n in range(7)}, "main")
    url, seen = "/api/models/alice/m/lfs-files?limit=3", []
    while url:
        answer = hub.http("GET", url)
        seen.append([f["filename"] for f in answer.json])
        url = (answer.headers.get("Link") or "").partition(">")[0].removeprefix("<")
    assert [len(page) for page in seen] == [3, 3, 1]
    assert sorted(sum(seen, [])) == [f"{n}.bin" for n in range(7)]
    assert hub.http("GET", "/api/models/alice/m/lfs-files?cursor=x").status == 400


def test_likes(hub, newest):
    def story(api):
        before = api.list_liked_repos("bob").models
        api.unlike("alice/m")
        return [before, api.model_info("alice/m").likes, [u.username for u in api.list_repo_likers("alice/m")]]

    hub.create("alice/m")
    for user in ("alice", "bob", "bob"):
        hub.ok("POST", "/api/models/alice/m/like", user)
    assert hub.http("POST", "/api/models/alice/m/like").status == 401
    assert hub.http("POST", "/api/models/alice/m/like", "alice-read").status == 403
    assert hub.http("GET", "/api/models/alice/m").json["likes"] == 2
    assert newest.run(story, user="alice") == [["alice/m"], 1, ["bob"]]
    hub.ok("PUT", "/api/models/alice/m/settings", body={"private": True})
    assert hub.http("GET", "/api/users/bob/likes", "alice").json == []
    assert hub.http("GET", "/api/users/nobody-here/likes").status == 404


def test_pull_requests_are_listed(hub, newest):
    def story(api):
        return [[d.num, d.title, d.author, d.status, d.is_pull_request] for d in api.get_repo_discussions("alice/m")]

    hub.create("alice/m")
    assert newest.run(story) == []
    newest.run(put, {"a.bin": 1}, None, user="bob")
    assert newest.run(story) == [[1, "add a.bin", "bob", "open", True]]
    for query, count in (("author=alice", 0), ("author=bob", 1), ("status=closed", 0), ("type=discussion", 0), ("search=A.B", 1), ("search=_", 0), ("p=1", 1)):
        assert hub.http("GET", f"/api/models/alice/m/discussions?{query}").json["count"] == count, query




def random_history(git, clone, chance, pointers):
    """Sixty commits on four branches, with merges, moves and removals; pointers come and go."""
    branches = ["main", "b1", "b2", "b3"]
    for branch in branches[1:]:
        git("branch", branch, cwd=clone)
    for n in range(60):
        branch, other = chance.choice(branches), chance.choice(branches)
        git("checkout", "-q", "-f", branch, cwd=clone)
        if n % 7 == 6 and other != branch:
            git("merge", "-q", "--no-ff", "-s", "ours", "-m", f"merge {n}", other, cwd=clone)
            continue
        folder = chance.choice(["", "d/", "d/e/", "f/g/h/"])
        if n % 3 == 0:
            name = chance.choice(sorted(pointers))
            entry = f"100644,{pointers[name]},{folder}{name}"
        else:
            blob = git("hash-object", "-w", "--stdin", cwd=clone, stdin=f"text {chance.randrange(9)}\n")
            entry = f"100644,{blob},{folder}t{chance.randrange(5)}.txt"
        git("update-index", "--add", "--cacheinfo", entry, cwd=clone)
        there = git("ls-files", cwd=clone).splitlines()
        if n % 5 == 4 and len(there) > 2:
            git("update-index", "--force-remove", chance.choice(there), cwd=clone)
        git("commit", "-q", "--allow-empty", "-m", f"commit {n}\n\nwith a body", cwd=clone)
        git("reset", "-q", "--hard", cwd=clone)
        if n % 10 == 9:
            git("tag", "-a", "-m", f"tag {n}", f"v{n}", cwd=clone)
            git("tag", f"l{n}", cwd=clone)


def test_the_history_is_what_git_would_write(hub, git):
    """Commit by commit, byte by byte: the same ids as `git filter-branch` gives."""
    hub.create("alice/m")
    contents = {f"p{n}.bin": random_bytes(2000 + n, f"p{n}") for n in range(4)}
    shas = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    objects = [{"oid": shas[name], "size": len(contents[name])} for name in contents]
    asked = hub.ok("POST", "/alice/m.git/info/lfs/objects/batch", body={"operation": "upload", "objects": objects})
    for name, answer in zip(contents, asked.json["objects"], strict=True):
        assert hub.http("PUT", answer["actions"]["upload"]["href"], body=contents[name]).status == 200

    clone, pointers = git.clone("alice/m"), {}
    for name, content in contents.items():
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{shas[name]}\nsize {len(content)}\n"
        pointers[name] = git("hash-object", "-w", "--no-filters", "--stdin", cwd=clone, stdin=text)
    (clone / ".git" / "info" / "attributes").write_text("* -filter\n")  # pointers stay pointers
    random_history(git, clone, random.Random(7), pointers)
    git("push", "-q", "origin", "--all", cwd=clone)
    git("push", "-q", "origin", "--tags", cwd=clone)

    doomed = ["p1.bin", "p3.bin"]
    hub.ok("POST", "/api/models/alice/m/lfs-files/batch", body={"deletions": {"sha": [shas[n] for n in doomed]}})
    remove = "git rm -q --cached --ignore-unmatch -- " + " ".join(f"'{n}' '*/{n}'" for n in doomed)
    options = ["-f", "--index-filter", remove, "--tag-name-filter", "cat"]
    git("filter-branch", *options, "--", "--branches", "--tags", cwd=clone, FILTER_BRANCH_SQUELCH_WARNING=1)
    mine = dict(line.split()[::-1] for line in git("show-ref", "--heads", "--tags", "-d", cwd=clone).splitlines())
    theirs = dict(line.split()[::-1] for line in git("ls-remote", "--heads", "--tags", "origin", cwd=clone).splitlines())
    assert theirs == mine
    git.fsck(git.clone("alice/m", "--mirror"))
    for branch in ("main", "b1", "b2", "b3"):  # what the hub lists is what is there
        tree = hub.http("GET", f"/api/models/alice/m/tree/{branch}?recursive=1").json
        there = git("ls-tree", "-r", "-t", "--name-only", branch, cwd=clone).splitlines()
        assert [e["path"] for e in tree] == there, branch
