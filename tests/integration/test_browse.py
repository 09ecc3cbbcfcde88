"""Reading a hub without a client library: info, lists, trees, paths, history, comparisons, people."""

import json
import struct
from urllib.parse import quote

CARD = "---\nlicense: mit\nlanguage: en\ntags:\n- tiny\nbase_model: alice/base\n---\n# Hello\nhttps://arxiv.org/abs/1810.04805\n"


def safetensors(**tensors):
    head = json.dumps({n: {"dtype": d, "shape": s, "data_offsets": [0, 0]} for n, (d, s) in tensors.items()}).encode()
    return struct.pack("<Q", len(head)) + head


def pages(hub, path, user=None):
    """All items, and how many pages they came in."""
    items, count = [], 0
    while path:
        answer = hub.ok("GET", path, user)
        items += answer.json
        count += 1
        link = answer.headers.get("Link")
        path = link.split(">")[0][1:] if link else None
    return items, count


def test_info_of_a_model(hub):
    hub.create("alice/base")
    hub.create("alice/m")
    hub.commit("alice/m", {"README.md": CARD, "config.json": '{"model_type":"bert","architectures":["BertForMaskedLM"]}'})
    hub.create("alice/show", "space", sdk="gradio")
    hub.commit("alice/show", {"README.md": "---\nsdk: gradio\nmodels:\n- Alice/M\n---\n"}, "space")
    info = hub.ok("GET", "/api/models/alice/m", None).json
    assert info["id"] == info["modelId"] == "alice/m" and info["author"] == "alice" and len(info["sha"]) == 40
    assert info["tags"] == [
        "transformers", "bert", "fill-mask", "tiny", "en", "arxiv:1810.04805", "base_model:alice/base",
        "base_model:finetune:alice/base", "license:mit", "region:us",
    ]  # fmt: skip
    assert info["pipeline_tag"] == "fill-mask" and info["library_name"] == "transformers"
    assert info["config"] == {"architectures": ["BertForMaskedLM"], "model_type": "bert"}
    assert info["transformersInfo"]["auto_model"] == "AutoModelForMaskedLM"
    assert info["cardData"]["license"] == "mit" and info["model-index"] is None
    assert info["spaces"] == ["alice/show"]
    assert info["gated"] is False and info["disabled"] is False and info["usedStorage"] == 0
    assert [s["rfilename"] for s in info["siblings"]] == [".gitattributes", "README.md", "config.json"]
    expanded = hub.ok("GET", "/api/models/alice/m?expand=baseModels&expand=trendingScore&expand=evalResults", None).json
    base = hub.ok("GET", "/api/models/alice/base", None).json["_id"]
    assert expanded == {
        "_id": info["_id"], "id": "alice/m", "trendingScore": 0,
        "baseModels": {"relation": "finetune", "models": [{"_id": base, "id": "alice/base"}]},
    }  # fmt: skip
    head = hub.http("HEAD", "/api/models/alice/m")
    assert head.status == 200 and head.body == b"" and head.headers["X-Repo-Commit"] == info["sha"]
    assert hub.http("GET", "/api/models/gpt2", "alice").headers["X-Error-Code"] == "RepoNotFound"
    assert "securityRepoStatus" in hub.ok("GET", "/api/models/alice/m?securityStatus=true", None).json


def test_info_of_an_older_commit_describes_that_commit(hub):
    hub.create("alice/m")
    first = hub.commit("alice/m", {"README.md": CARD})
    hub.commit("alice/m", {"README.md": CARD.replace("mit", "apache-2.0"), "more.txt": "x"})
    old = hub.ok("GET", f"/api/models/alice/m/revision/{first}?blobs=true", None).json
    assert old["sha"] == first and "license:mit" in old["tags"] and old["cardData"]["license"] == "mit"
    assert [(s["rfilename"], s["size"]) for s in old["siblings"]][1] == ("README.md", len(CARD))
    new = hub.ok("GET", "/api/models/alice/m/revision/HEAD", None).json
    assert "license:apache-2.0" in new["tags"] and len(new["siblings"]) == 3
    assert hub.http("GET", "/api/models/alice/m/revision/none").headers["X-Error-Code"] == "RevisionNotFound"


def test_info_of_a_dataset_and_a_space(hub):
    hub.create("alice/d", "dataset")
    hub.commit("alice/d", {"README.md": "---\nlanguage: de\n---\n# Data\n\nSome *facts*.\n", "a.parquet": "x"}, "dataset")
    info = hub.ok("GET", "/api/datasets/alice/d", None).json
    assert info["description"] == "Data Some facts." and info["tags"] == ["language:de", "format:parquet", "region:us"]
    assert "modelId" not in info and info["downloads"] == 0
    hub.create("alice/My_App", "space", sdk="static")
    info = hub.ok("GET", "/api/spaces/alice/My_App", None).json
    assert info["sdk"] == "static" and info["subdomain"] == "alice-my-app" and info["runtime"]["stage"] == "STOPPED"
    assert info["runtime"]["hardware"] == {"current": None, "requested": None} and info["models"] == []
    item = hub.ok("GET", "/api/spaces?author=alice", None).json[0]
    assert item["sdk"] == "static" and "siblings" not in item


def test_parameters_are_counted_in_the_weights(hub, client):
    """The weights are a large file: their header is read through the store."""

    def story(api, big):
        api.upload_file(path_or_fileobj=bytes(big), path_in_repo="model.safetensors", repo_id="alice/m")
        shown = api.model_info("alice/m").safetensors
        return shown["total"] if isinstance(shown, dict) else shown.total  # 0.20 keeps the JSON

    hub.create("alice/m")
    weights = safetensors(a=("F32", [10, 20]), b=("I64", [3])) + b"\0" * 20000
    assert client.run(story, list(weights)) == 203
    info = hub.ok("GET", "/api/models/alice/m", None).json
    assert info["safetensors"] == {"parameters": {"F32": 200, "I64": 3}, "total": 203}
    assert info["usedStorage"] == len(weights) and "safetensors" in info["tags"]
    found = lambda query: [m["id"] for m in hub.ok("GET", f"/api/models?{query}", None).json]  # noqa: E731
    assert found("num_parameters=min:100,max:1K") == ["alice/m"]
    assert found("num_parameters=min:1B") == [] and found("num_parameters=max:202") == []


def test_lists_take_every_filter(hub):
    hub.create("alice/m")
    hub.commit("alice/m", {"README.md": CARD + "\n", "x.gguf": "GGUF"})
    hub.create("alice/n")
    hub.create("alice/show", "space", sdk="gradio")
    hub.commit("alice/show", {"README.md": "---\nsdk: gradio\nmodels:\n- alice/m\n---\n"}, "space")
    found = lambda kind, query: [m["id"] for m in hub.ok("GET", f"/api/{kind}?{query}", None).json]  # noqa: E731
    for query in (
        "filter=license:mit,tiny", "filter=license:mit&filter=EN", "filter[]=tiny", "language=en", "filter=language:en",
        "search=ALICE/M", "search=alice&search=e/m", "apps=llama.cpp", "license=mit", "filter=base_model:quantized:alice/base",
        "filter=arxiv:1810.04805", "filter=tiny&gated=false",
    ):  # fmt: skip
        assert found("models", query) == ["alice/m"], query
    for query in ("filter=nothing", "gated=true", "inference=warm", "inference_provider=all", "apps=vllm", "pipeline_tag=x", "author=alic"):
        assert found("models", query) == [], query
    assert found("spaces", "models=Alice/M") == ["alice/show"] == found("spaces", "linked=true") == found("spaces", "filter=gradio")
    assert found("spaces", "linked=false") == ["alice/show"]
    for sort in ("lastModified", "createdAt", "trendingScore", "downloads", "likes", "likes30d", "num_parameters", "id", "last_modified"):
        assert sorted(found("models", f"sort={sort}&direction=-1")) == ["alice/m", "alice/n"]
    assert found("models", "sort=id&direction=1") == ["alice/m", "alice/n"]
    for bad in ("sort=beauty", "limit=many", "num_parameters=big", "expand=nonsense"):
        assert hub.http("GET", f"/api/models?{bad}").status == 400, bad
    assert found("models", "cursor=nonsense!") == []
    item = hub.ok("GET", "/api/models?full=true&cardData=true&config=true&search=e/m", None).json[0]
    assert item["cardData"]["license"] == "mit" and {"sha", "author", "siblings", "gated"} <= set(item)
    item = hub.ok("GET", "/api/models?expand[]=cardData&expand[]=siblings&search=e/m", None).json[0]
    assert set(item) == {"_id", "id", "cardData", "siblings"}
    items, count = pages(hub, "/api/models?limit=1&full=true&author=alice")
    assert count == 2 and len(items) == 2


def test_tree_in_pages(hub):
    hub.create("alice/m")
    first = hub.commit("alice/m", {f"sub dir/{n:04}.txt": str(n) for n in range(1200)} | {"a.txt": "a"}, summary="many")
    hub.commit("alice/m", {"sub dir/0007.txt": "new", "z/é.txt": "z"}, summary="few")
    for rev in ("main", first):
        items, count = pages(hub, f"/api/models/alice/m/tree/{rev}?recursive=true&expand=false")
        assert count == 2 and len(items) == 1203 + (2 if rev == "main" else 0)
        assert [i["path"] for i in items][:3] == [".gitattributes", "a.txt", "sub dir"]
        assert items[2]["type"] == "directory" and items[2]["size"] == 0 and items[3]["size"] == 1
    items, count = pages(hub, f"/api/models/alice/m/tree/main/{quote('sub dir', safe='')}?limit=500&recursive=false")
    assert count == 3 and len(items) == 1200
    top, _ = pages(hub, "/api/models/alice/m/tree/main?expand=true")
    titles = {i["path"]: i["lastCommit"]["title"] for i in top}
    assert titles == {".gitattributes": "initial commit", "a.txt": "many", "sub dir": "few", "z": "few"}
    assert top[0]["securityFileStatus"]["avScan"]["status"] == "unscanned" and "securityFileStatus" not in top[2]
    expanded, count = pages(hub, "/api/models/alice/m/tree/main/sub%20dir?expand=true&limit=1000")
    assert count == 24 and {i["lastCommit"]["title"] for i in expanded} == {"many", "few"}
    for cursor in ("nonsense", "eyJmaWxlX25hbWUiOiJhLnR4dCJ9OjUw", "%20", "azo"):
        assert hub.ok("GET", f"/api/models/alice/m/tree/main?cursor={cursor}", None).json == []
    assert hub.http("GET", "/api/models/alice/m/tree/main/a.txt").headers["X-Error-Code"] == "EntryNotFound"
    assert hub.http("GET", f"/api/models/alice/m/tree/{first}/z").headers["X-Error-Code"] == "EntryNotFound"


def test_last_commits_at_a_revision_that_is_no_branch(hub):
    """Old commits, tags and pull requests: found by walking the history."""
    hub.create("alice/m")
    hub.commit("alice/m", {"a.txt": "1", "sub/b.txt": "1"}, summary="one")
    old = hub.commit("alice/m", {"a.txt": "2"}, summary="two")
    hub.commit("alice/m", {"a.txt": "3", "sub/b.txt": "3"}, summary="three")
    items = hub.ok("GET", f"/api/models/alice/m/tree/{old}?recursive=true&expand=true", None).json
    assert {i["path"]: i["lastCommit"]["title"] for i in items} == {
        ".gitattributes": "initial commit", "a.txt": "two", "sub": "one", "sub/b.txt": "one",
    }  # fmt: skip
    body = {"paths": ["sub", "a.txt", "nothing"], "expand": True}
    items = hub.ok("POST", f"/api/models/alice/m/paths-info/{old}", None, body).json
    assert [(i["path"], i["type"], i["lastCommit"]["title"]) for i in items] == [
        ("sub", "directory", "one"), ("a.txt", "file", "two"),
    ]  # fmt: skip
    assert items[1]["lastCommit"]["id"] == old


def test_paths_info(hub):
    def form(body):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return hub.http("POST", "/api/models/alice/m/paths-info/main", None, body, headers)

    hub.create("alice/m")
    hub.commit("alice/m", {"a b.txt": "x", "sub/c.txt": "yy"})
    got = form(b"paths=sub%2Fc.txt&paths=a+b.txt&paths=absent&paths=sub/&paths=sub%2Fc.txt&expand=false").json
    assert [(e["path"], e["type"], e["size"]) for e in got] == [("sub/c.txt", "file", 2), ("a b.txt", "file", 1), ("sub", "directory", 0)]
    assert "lastCommit" not in got[0] and "lastCommit" in form(b"paths=a+b.txt&expand=true").json[0]
    assert hub.ok("POST", "/api/models/alice/m/paths-info/main", None, {"paths": "a b.txt"}).json[0]["size"] == 1
    assert hub.ok("POST", "/api/models/alice/m/paths-info/main", None, {"paths": []}).json == []
    assert form(b"&".join(b"paths=%d" % n for n in range(2001))).status == 413
    assert hub.http("POST", "/api/models/alice/m/paths-info/main", None, {"paths": [str(n) for n in range(2001)]}).status == 413
    assert hub.http("POST", "/api/models/alice/m/paths-info/main", None, {"paths": {"a": 1}}).status == 400
    assert hub.ok("GET", "/api/models/alice/m/treesize/main/sub", None).json == {"path": "/sub", "size": 2}
    whole = hub.ok("GET", "/api/models/alice/m/treesize/main", None).json
    assert whole["path"] == "/" and whole["size"] > 1000 and whole == hub.ok("GET", "/api/models/alice/m/treesize/main/", None).json
    assert hub.http("GET", "/api/models/alice/m/treesize/main/none").headers["X-Error-Code"] == "EntryNotFound"


def test_commits(hub):
    hub.create("alice/m")
    for n in range(4):
        hub.commit("alice/m", {"a.txt": str(n)}, summary=f"commit <{n}>", description="Why\nnot & so")
    answer = hub.ok("GET", "/api/models/alice/m/commits/main?limit=2&expand%5B%5D=formatted", None)
    assert answer.headers["X-Total-Count"] == "5"
    first = answer.json[0]
    assert first["title"] == "commit <3>" and first["message"] == "Why\nnot & so"
    assert [a["user"] for a in first["authors"]] == ["alice"]
    assert first["formatted"] == {"title": "commit &lt;3&gt;", "message": "Why<br>\nnot &amp; so"}
    items, count = pages(hub, "/api/models/alice/m/commits/main?limit=2")
    assert count == 3 and [c["title"] for c in items] == [f"commit <{n}>" for n in (3, 2, 1, 0)] + ["initial commit"]
    assert items[-1]["message"] == "" and "formatted" not in items[0]
    assert hub.ok("GET", "/api/models/alice/m/commits/main?p=9", None).json == []
    assert hub.http("GET", "/api/models/alice/m/commits/none").headers["X-Error-Code"] == "RevisionNotFound"


def test_compare(hub):
    hub.create("alice/m")
    one = hub.commit("alice/m", {"a.txt": "one\ntwo\n"})
    two = hub.commit("alice/m", {"a.txt": "one\n2\n"})
    text = hub.ok("GET", f"/api/models/alice/m/compare/{one}..{two}?raw=true", None)
    assert text.headers["Content-Type"].startswith("text/plain") and "-two\n+2\n" in text.text
    assert hub.ok("GET", f"/api/models/alice/m/compare/{one}..main", None).json == text.text
    assert hub.ok("GET", f"/api/models/alice/m/compare/main...{one}", None).json == ""
    assert hub.http("GET", "/api/models/alice/m/compare/main").status == 400
    assert hub.http("GET", "/api/models/alice/m/compare/main..none").headers["X-Error-Code"] == "RevisionNotFound"


def test_refs(hub):
    hub.create("alice/m")
    for n in range(11):
        hub.ok("POST", "/api/models/alice/m/commit/main?create_pr=1", "alice", json.dumps({"key": "header", "value": {"summary": "s"}}).encode()
               + b"\n" + json.dumps({"key": "file", "value": {"path": f"{n}", "content": "eA==", "encoding": "base64"}}).encode(),
               {"Content-Type": "application/x-ndjson"})  # fmt: skip
    hub.ok("POST", "/api/models/alice/m/branch/another", "alice", {})
    plain = hub.ok("GET", "/api/models/alice/m/refs", None).json
    assert [b["name"] for b in plain["branches"]] == ["main", "another"] and plain["converts"] == [] == plain["tags"]
    assert "pullRequests" not in plain
    asked = hub.ok("GET", "/api/models/alice/m/refs?include_prs=1", None).json
    assert [p["name"] for p in asked["pullRequests"]] == [str(n) for n in range(1, 12)]
    assert asked["pullRequests"][0]["ref"] == "refs/pr/1"


def test_people(hub):
    hub.create("alice/m")
    hub.create("alice/secret", private=True)
    hub.create("acme/d", "dataset")
    me = hub.ok("GET", "/api/whoami-v2").json
    assert me["type"] == "user" and me["orgs"][0]["roleInOrg"] == "admin" and me["orgs"][0]["fullname"] == "Acme Corporation"
    assert me["auth"]["accessToken"]["displayName"] == "alice" and me["avatarUrl"].startswith(hub.url)
    anonymous = hub.http("GET", "/api/whoami-v2")
    assert anonymous.status == 401 and anonymous.headers["WWW-Authenticate"].startswith("Bearer")
    seen = hub.ok("GET", "/api/users/alice/overview", None).json
    assert (seen["numModels"], seen["type"], seen["orgs"][0]["name"]) == (1, "user", "acme")
    assert hub.ok("GET", "/api/users/alice/overview").json["numModels"] == 2
    moved = hub.http("GET", "/api/users/ALICE/overview")
    assert moved.status == 307 and moved.headers["Location"] == "/api/users/alice/overview"
    for name in ("acme", "nobody"):
        gone = hub.http("GET", f"/api/users/{name}/overview")
        assert gone.status == 404 and gone.json == {"error": "This user does not exist"}
    org = hub.ok("GET", "/api/organizations/ACME/overview", None).json
    assert (org["name"], org["numUsers"], org["numDatasets"]) == ("acme", 3, 1)
    names = [(m["user"], m.get("role")) for m in hub.ok("GET", "/api/organizations/acme/members").json]
    assert names == [("alice", "admin"), ("carol", "contributor"), ("dave", "read")]
    assert "role" not in hub.ok("GET", "/api/organizations/acme/members", None).json[0]
    assert [m["user"] for m in hub.ok("GET", "/api/organizations/acme/members?search=AR", None).json] == ["carol"]
    assert hub.http("GET", "/api/organizations/alice/members").status == 404
    picture = hub.http("GET", me["avatarUrl"])
    assert picture.status == 200 and picture.headers["Content-Type"] == "image/svg+xml" and b">A<" in picture.body


def test_what_somebody_owns(hub):
    hub.create("alice/m")
    hub.create("alice/secret", private=True)
    hub.create("alice/d", "dataset")
    hub.create("acme/m")
    mine = hub.ok("GET", "/api/settings/repositories").json
    assert sorted((r["id"], r["type"], r["visibility"]) for r in mine) == [
        ("alice/d", "dataset", "public"), ("alice/m", "model", "public"), ("alice/secret", "model", "private"),
    ]  # fmt: skip
    assert all(r["storage"] == 0 and "updatedAt" in r and "storagePercent" in r for r in mine)
    assert [r["id"] for r in hub.ok("GET", "/api/settings/repositories?type=dataset").json] == ["alice/d"]
    assert [r["id"] for r in hub.ok("GET", "/api/organizations/acme/settings/repositories", "dave").json] == ["acme/m"]
    assert hub.http("GET", "/api/organizations/acme/settings/repositories", "bob").status == 403
    assert hub.http("GET", "/api/settings/repositories").status == 401
    assert hub.http("GET", "/api/settings/repositories?sort=beauty", "alice").status == 400


def test_validate_yaml(hub):
    def check(content, kind="model"):
        return hub.http("POST", "/api/validate-yaml", None, {"content": content, "repoType": kind})

    assert check("---\nlicense: mit\n---\n").json == {"errors": [], "warnings": []}
    bare = check("# Hello")
    assert bare.status == 200 and len(bare.json["warnings"]) == 1 and bare.json["errors"] == []
    bad = check("---\nlicense: no-such\nmodel-index: 3\n---\n")
    assert bad.status == 400 and len(bad.json["errors"]) == 2
    assert any(e["message"].startswith('"license" must be one of') for e in bad.json["errors"])
    assert check(17).status == 400 and check(17).json["errors"]
