"""The life of repositories through huggingface_hub: create, settings, move, duplicate, lists, references."""

import pytest
from harness.clients import NEWEST, Python


def test_create_and_delete(hub, client):
    def story(api):
        url = api.create_repo("alice/m")
        again = failure(api.create_repo, "alice/m")
        same = api.create_repo("alice/m", exist_ok=True)
        out = {
            "url": [str(url), url.repo_id, url.repo_type],
            "again": again,
            "same": str(same),
            "files": api.list_repo_files("alice/m"),
            "commits": [c.title for c in api.list_repo_commits("alice/m")],
        }
        api.delete_repo("alice/m")
        out["gone"] = failure(api.delete_repo, "alice/m")
        api.delete_repo("alice/m", missing_ok=True)
        api.create_repo("alice/m")  # the name is free at once
        return out

    got = client.run(story)
    assert got["url"] == [f"{hub.url}/alice/m", "alice/m", "model"]
    assert got["again"]["status"] == 409 and "You already created this model repo" in got["again"]["text"]
    assert got["same"] == got["url"][0]
    assert got["files"] == [".gitattributes"] and got["commits"] == ["initial commit"]
    assert "RepositoryNotFoundError" in got["gone"]["is"] and "Request ID" in got["gone"]["text"]


def test_every_kind(hub, client):
    def story(api):
        out = []
        for kind, more in (("model", {}), ("dataset", {}), ("space", {"space_sdk": "static"})):
            url = api.create_repo("alice/thing", repo_type=kind, **more)
            api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="alice/thing", repo_type=kind)
            info = api.repo_info("alice/thing", repo_type=kind)
            out.append([str(url), info.id, info.author, "x.txt" in [s.rfilename for s in info.siblings]])
        return out

    kinds = client.run(story)
    assert [k[0] for k in kinds] == [f"{hub.url}/{p}alice/thing" for p in ("", "datasets/", "spaces/")]
    assert [k[1:] for k in kinds] == [["alice/thing", "alice", True]] * 3


def test_create_in_a_foreign_namespace(hub, client):
    def story(api):
        return failure(api.create_repo, "alice/planted")["status"], failure(api.create_repo, "acme/planted")["status"]

    assert client.run(story, user="bob") == [403, 403]
    assert client.run(story, user="alice-read") == [403, 403]


def test_create_exist_ok_of_a_readable_repository(hub, client):
    """exist_ok by somebody who may only read succeeds, since the repository is there."""

    def story(api):
        return str(api.create_repo("alice/m", exist_ok=True))

    hub.create("alice/m")
    assert client.run(story, user="bob") == f"{hub.url}/alice/m"


def test_move_leaves_a_redirect(hub, client):
    """The old name works for reading and writing until somebody takes it."""

    def story(api):
        from huggingface_hub import hf_hub_download

        api.move_repo("alice/old", "alice/new")
        out = {
            "info": api.model_info("alice/old").id,
            "file": Path(hf_hub_download("alice/old", "config.json")).read_text(),
            "files": api.list_repo_files("alice/old"),
        }
        api.upload_file(path_or_fileobj=b"more", path_in_repo="more.txt", repo_id="alice/old")
        out["through"] = api.list_repo_files("alice/new")
        out["taken"] = failure(api.move_repo, "alice/other", "alice/new")
        out["missing"] = failure(api.move_repo, "alice/nothing", "alice/x")
        out["foreign"] = failure(api.move_repo, "alice/new", "bob/new")["status"]
        api.create_repo("alice/old")
        out["fresh"] = api.list_repo_files("alice/old")
        return out

    hub.create("alice/old")
    hub.create("alice/other")
    hub.commit("alice/old", {"config.json": "{}"})
    got = client.run(story)
    assert got["info"] == "alice/new" and got["file"] == "{}"
    assert "config.json" in got["files"] and "more.txt" in got["through"]
    assert got["taken"]["status"] in (400, 409) and "already exists" in got["taken"]["text"]
    # 404 RepoNotFound, which the client may dress up as its own text
    assert got["missing"]["status"] == 404 or "Not Found" in got["missing"]["text"]
    assert got["foreign"] in (403, 404, None)
    assert got["fresh"] == [".gitattributes"]


def test_ids_in_another_case(hub, client):
    def story(api):
        api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="ALICE/mixed")
        return api.model_info("alice/MIXED").id, api.list_repo_files("Alice/Mixed")

    hub.create("alice/Mixed")
    name, files = client.run(story)
    assert name == "alice/Mixed" and "x.txt" in files


def test_private_and_public(hub, client):
    def story(api):
        change = getattr(api, "update_repo_visibility", None) or api.update_repo_settings
        change("alice/m", private=True)
        hidden = api.model_info("alice/m").private
        change("alice/m", private=False)
        return hidden, api.model_info("alice/m").private

    hub.create("alice/m")
    assert client.run(story) == [True, False]


def test_gated_is_refused_with_a_sentence(hub, newest):
    """Access requests are not built yet: nobody must believe that a repository is gated."""

    def story(api):
        return failure(api.update_repo_settings, "alice/m", gated="auto")

    hub.create("alice/m")
    failed = newest.run(story)
    assert 400 <= failed["status"] < 500 and "gated" in failed["text"].lower()


def test_duplicate(hub, newest):
    """A copy with its files, large ones included, without sending a byte."""

    def story(api):
        from huggingface_hub import hf_hub_download

        api.upload_file(path_or_fileobj=b"\0" * 30000, path_in_repo="x.bin", repo_id="alice/m")
        url = api.duplicate_repo("alice/m", "bob/copy", token="hf_BobIsAStranger")
        again = failure(api.duplicate_repo, "alice/m", "bob/copy", token="hf_BobIsAStranger")["status"]
        api.duplicate_repo("alice/m", "bob/copy", exist_ok=True, token="hf_BobIsAStranger")
        return str(url), again, os.path.getsize(hf_hub_download("bob/copy", "x.bin")), api.list_repo_files("bob/copy")

    hub.create("alice/m")
    url, again, size, files = newest.run(story)
    assert url == f"{hub.url}/bob/copy" and again == 409 and size == 30000 and "x.bin" in files


def test_lists(hub, client):
    """list_models, list_datasets: author, search, filter, sort, paging, private ones for their owner only."""

    def story(api):
        ids = lambda items: [i.id for i in items]  # noqa: E731
        return {
            "author": sorted(ids(api.list_models(author="alice"))),
            "search": ids(api.list_models(search="LARGE")),
            "filter": sorted(ids(api.list_models(filter=["license:mit", "en"]))),
            "none": ids(api.list_models(filter="license:gpl-3.0")),
            "limit": len(ids(api.list_models(author="alice", limit=2))),
            "updated": ids(api.list_models(author="alice", sort="last_modified")),
            "datasets": ids(api.list_datasets(author="alice")),
            "full": [i.sha is not None and len(i.siblings) for i in api.list_models(search="large", full=True)],
            "card": [i.card_data["license"] for i in api.list_models(search="large", cardData=True, full=True)],
        }

    card = "---\nlicense: {}\nlanguage: en\n---\n"
    for name, licence in (("small", "mit"), ("large", "mit"), ("odd", "apache-2.0")):
        hub.create(f"alice/{name}")
        hub.commit(f"alice/{name}", {"README.md": card.format(licence)})
    hub.create("alice/hidden", private=True)
    hub.create("bob/small", user="bob")
    hub.create("alice/data", "dataset")
    hub.commit("alice/small", {"a.txt": "the newest change"})

    got = client.run(story, user=None)
    assert got["author"] == ["alice/large", "alice/odd", "alice/small"]
    assert got["search"] == ["alice/large"]
    assert got["filter"] == ["alice/large", "alice/small"]
    assert got["none"] == []
    assert got["limit"] == 2
    assert got["updated"] == ["alice/small", "alice/odd", "alice/large"]
    assert got["datasets"] == ["alice/data"]
    assert got["full"] == [2] and got["card"] == ["mit"]
    assert "alice/hidden" in client.run(story)["author"]
    assert "alice/hidden" not in client.run(story, user="bob")["author"]


def test_paging_visits_everything_once(hub, client):
    """Pages of two: the Link header leads through all of them, in every order."""

    def story(api, sorts):
        from huggingface_hub.utils import build_hf_headers, paginate

        out = {}
        for sort in sorts:
            params = {"author": "alice", "limit": 2, "sort": sort}
            pages = paginate(f"{api.endpoint}/api/models", params=params, headers=build_hf_headers())
            out[sort] = [m["id"] for m in pages]
        return out

    names = [f"alice/m{n}" for n in range(7)]
    for name in names:
        hub.create(name)
    for sort, got in client.run(story, ["lastModified", "createdAt", "downloads", "likes", "trendingScore"]).items():
        assert sorted(got) == names, f"sorted by {sort}: {got}"


def test_tree(hub, client):
    """list_repo_tree: one level, recursive, with the last commit of each entry, across pages."""

    def story(api):
        flat = [(type(e).__name__, e.path) for e in api.list_repo_tree("alice/m")]
        deep = [e.path for e in api.list_repo_tree("alice/m", recursive=True)]
        below = [e.path for e in api.list_repo_tree("alice/m", "sub")]
        expanded = {}
        for e in api.list_repo_tree("alice/m", recursive=True, expand=True):
            commit = e.last_commit
            expanded[e.path] = commit["title"] if isinstance(commit, dict) else commit.title
        return flat, deep, below, expanded

    hub.create("alice/m")
    hub.commit("alice/m", {"sub/deep/a.txt": "a", "b.txt": "b"}, summary="first")
    hub.commit("alice/m", {f"sub/{n:03}.txt": str(n) for n in range(120)}, summary="many")
    hub.commit("alice/m", {"b.txt": "changed"}, summary="third")
    flat, deep, below, expanded = client.run(story)
    assert flat == [["RepoFile", ".gitattributes"], ["RepoFile", "b.txt"], ["RepoFolder", "sub"]]
    assert len(deep) == 2 + 2 + 120 + 1 and "sub/deep" in deep and "sub/deep/a.txt" in deep
    assert len(below) == 121
    assert expanded["b.txt"] == "third" and expanded["sub/deep/a.txt"] == "first"
    assert expanded["sub/007.txt"] == "many" and expanded["sub"] == "many"
    assert expanded[".gitattributes"] == "initial commit" and len(expanded) == len(deep)


def test_branches_and_tags(hub, client):
    def story(api, first):
        out = {}
        api.create_branch("alice/m", branch="dev")
        api.create_branch("alice/m", branch="old", revision=first)
        out["twice"] = failure(api.create_branch, "alice/m", branch="dev")
        api.create_branch("alice/m", branch="dev", exist_ok=True)
        out["from nowhere"] = failure(api.create_branch, "alice/m", branch="x", revision="nowhere")["is"]
        out["bad name"] = failure(api.create_branch, "alice/m", branch="refs/pr/5")["status"]
        api.create_tag("alice/m", tag="v1", revision=first[:7])
        api.create_tag("alice/m", tag="v2", tag_message="annotated")
        out["tag twice"] = failure(api.create_tag, "alice/m", tag="v1")["status"]
        api.create_tag("alice/m", tag="v1", exist_ok=True)
        out["tag nowhere"] = failure(api.create_tag, "alice/m", tag="no good", revision="nowhere")["is"]
        refs = api.list_repo_refs("alice/m")
        out["branches"] = {b.name: b.target_commit for b in refs.branches}
        out["first branch"] = refs.branches[0].name
        out["tags"] = {t.name: t.target_commit for t in refs.tags}
        api.delete_branch("alice/m", branch="dev")
        api.delete_tag("alice/m", tag="v1")
        out["main stays"] = failure(api.delete_branch, "alice/m", branch="main")["text"]
        out["no branch"] = failure(api.delete_branch, "alice/m", branch="v2")["is"]
        out["no tag"] = failure(api.delete_tag, "alice/m", tag="v1")["is"]
        refs = api.list_repo_refs("alice/m")
        out["left"] = [b.name for b in refs.branches] + [t.name for t in refs.tags]
        return out

    hub.create("alice/m")
    first = hub.ok("GET", "/api/models/alice/m").json["sha"]
    second = hub.commit("alice/m", {"a.txt": "a"})
    got = client.run(story, first)
    assert got["twice"]["status"] == 409 and "already exists" in got["twice"]["text"]
    assert "RevisionNotFoundError" in got["from nowhere"] and got["bad name"] == 400
    assert got["tag twice"] == 409 and "RevisionNotFoundError" in got["tag nowhere"]
    assert got["branches"] == {"main": second, "dev": second, "old": first} and got["first branch"] == "main"
    assert got["tags"] == {"v1": first, "v2": second}
    assert "Cannot delete refs/heads/main" in got["main stays"]
    assert "RevisionNotFoundError" in got["no branch"] and "RevisionNotFoundError" in got["no tag"]
    assert got["left"] == ["main", "old", "v2"]


@pytest.mark.since("0.30")
def test_pull_requests_are_listed_when_asked_for(hub, client):
    def story(api):
        api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="alice/m", create_pr=True)
        without = api.list_repo_refs("alice/m").pull_requests
        asked = api.list_repo_refs("alice/m", include_pull_requests=True).pull_requests
        return without, [(p.name, p.ref) for p in asked]

    hub.create("alice/m")
    assert client.run(story) == [None, [["1", "refs/pr/1"]]]


def test_super_squash(hub, client):
    """One commit remains on the branch, the files stay, the other branch keeps its history."""

    def story(api):
        api.create_branch("alice/m", branch="kept")
        api.super_squash_history("alice/m", branch="main", commit_message="Squashed")
        titles = lambda branch: [c.title for c in api.list_repo_commits("alice/m", revision=branch)]  # noqa: E731
        return titles("main"), titles("kept"), sorted(api.list_repo_files("alice/m"))

    hub.create("alice/m")
    for n in range(3):
        hub.commit("alice/m", {f"{n}.txt": str(n)}, summary=f"commit {n}")
    squashed, kept, files = client.run(story)
    assert squashed == ["Squashed"]
    assert kept == ["commit 2", "commit 1", "commit 0", "initial commit"]
    assert files == [".gitattributes", "0.txt", "1.txt", "2.txt"]


@pytest.mark.since("0.30")
def test_auth_check(hub, client):
    def story(api):
        public = api.auth_check("alice/open")
        try:
            api.auth_check("alice/closed")
            return public, None
        except Exception as e:
            return public, type(e).__name__

    hub.create("alice/open")
    hub.create("alice/closed", private=True)
    assert client.run(story) == [None, None]
    assert client.run(story, user="bob") == [None, "RepositoryNotFoundError"]


def test_whoami(hub, client):
    def story(api):
        me = api.whoami()
        return me["name"], me["type"], [o["name"] for o in me["orgs"]], me["auth"]["accessToken"]["role"]

    assert client.run(story) == ["alice", "user", ["acme"], "write"]
    assert client.run(story, user="alice-read") == ["alice", "user", ["acme"], "read"]
    assert client.run(story, user="bob") == ["bob", "user", [], "write"]


def test_model_info(hub, client, folder):
    """Plain, with file metadata, at a revision, and expanded."""

    def story(api, folder):
        api.upload_folder(repo_id="alice/m", folder_path=folder)
        plain = api.model_info("alice/m")
        full = api.model_info("alice/m", files_metadata=True)
        old = api.model_info("alice/m", revision=[c.commit_id for c in api.list_repo_commits("alice/m")][-1])
        siblings = {s.rfilename: [s.size, s.lfs is not None] for s in full.siblings}
        return {
            "plain": [plain.id, plain.author, plain.private, plain.likes, plain.downloads],
            "tags": plain.tags,
            "dates": [str(plain.created_at)[:4], str(plain.last_modified)[:4]]
            if hasattr(plain, "created_at")
            else ["2", "2"],
            "siblings": siblings,
            "old": [s.rfilename for s in old.siblings],
        }

    hub.create("alice/m")
    got = client.run(story, str(folder))
    assert got["plain"] == ["alice/m", "alice", False, 0, 0]
    assert "license:mit" in got["tags"] and "test" in got["tags"]
    assert all(d.startswith("2") for d in got["dates"])
    assert got["siblings"]["weights.bin"] == [300000, True] and got["siblings"]["config.json"] == [23, False]
    assert got["siblings"]["sub/deep/vectors.npy"] == [70000, True]
    assert got["old"] == [".gitattributes"]


@pytest.mark.since("0.30")
def test_expand(hub, client):
    def story(api):
        info = api.model_info("alice/m", expand=["likes", "sha"])
        bad = failure(api.model_info, "alice/m", expand=["likes", "nonsense"])
        return info.likes, len(info.sha), info.siblings, bad

    hub.create("alice/m")
    likes, sha, siblings, bad = client.run(story)
    assert (likes, sha, siblings) == (0, 40, None)
    assert bad["status"] == 400 and '"expand" must be one of [' in bad["text"]


@pytest.mark.since("0.30")
def test_lfs_files_are_listed_and_deleted(hub, client):
    def story(api):
        api.upload_file(path_or_fileobj=b"\0" * 30000, path_in_repo="x.bin", repo_id="alice/m")
        api.upload_file(path_or_fileobj=b"\1" * 40000, path_in_repo="y.bin", repo_id="alice/m")
        before = {f.filename: f.size for f in api.list_lfs_files("alice/m")}
        doomed = [f for f in api.list_lfs_files("alice/m") if f.filename == "x.bin"]
        api.permanently_delete_lfs_files("alice/m", doomed)
        return before, [f.filename for f in api.list_lfs_files("alice/m")], sorted(api.list_repo_files("alice/m"))

    hub.create("alice/m")
    before, after, files = client.run(story)
    assert before == {"x.bin": 30000, "y.bin": 40000}
    assert after == ["y.bin"] and files == [".gitattributes", "y.bin"]


def test_space_without_a_runner(hub, newest):
    def story(api):
        api.create_repo("alice/app", repo_type="space", space_sdk="gradio")
        info = api.space_info("alice/app")
        return info.sdk, info.runtime.stage if info.runtime else api.get_space_runtime("alice/app").stage

    assert newest.run(story) == ["gradio", "STOPPED"]


def test_overviews_and_members(hub, newest):
    def story(api):
        user, org = api.get_user_overview("alice"), api.get_organization_overview("acme")
        members = sorted(m.username for m in api.list_organization_members("acme"))
        return user.username, user.num_models, org.name, org.fullname, members

    hub.create("alice/m")
    assert newest.run(story) == ["alice", 1, "acme", "Acme Corporation", ["alice", "carol", "dave"]]


def test_organization_roles(hub, newest):
    """read reads; contributor creates and writes what she created; admin does all."""

    def story(api, repo):
        tries = {
            "create": lambda: api.create_repo(repo),
            "write": lambda: api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="acme/shared"),
            "read": lambda: api.model_info("acme/shared"),
            "settings": lambda: api.update_repo_settings("acme/shared", private=True),
        }
        out = {}
        for name, call in tries.items():
            try:
                call()
                out[name] = True
            except Exception:
                out[name] = False
        return out

    hub.create("acme/shared", private=True)
    assert newest.run(story, "acme/d", user="dave") == {"create": False, "write": False, "read": True, "settings": False}
    assert newest.run(story, "acme/c", user="carol") == {"create": True, "write": False, "read": True, "settings": False}
    assert newest.run(story, "acme/b", user="bob") == {"create": False, "write": False, "read": False, "settings": False}
    assert newest.run(story, "acme/a", user="alice") == {"create": True, "write": True, "read": True, "settings": True}


def test_request_rates(make_hub, tmp_path):
    """429 with the headers of the protocol, once the limit is switched on and reached."""
    hub = make_hub(HEARTH_RATE_API=40)
    client = Python(hub, tmp_path / "client", NEWEST)

    def story(api):
        statuses = []
        from huggingface_hub.utils import get_session

        for _ in range(60):
            reply = get_session().get(f"{api.endpoint}/api/models?limit=1")
            statuses.append([reply.status_code, reply.headers.get("RateLimit"), reply.headers.get("RateLimit-Policy")])
        return statuses[0], statuses[-1]

    first, last = client.run(story, user=None)
    assert first[0] == 200 and first[1].startswith('"api";r=') and first[2] == '"fixed window";"api";q=40;w=300'
    assert last[0] == 429 and last[1].startswith('"api";r=0;t=')
