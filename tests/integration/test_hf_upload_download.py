"""A real model goes up with `hf` and comes down bit for bit."""

from harness.server import TOKENS


def without_attributes(files):
    """The server may add a rule to .gitattributes when it stores a file as LFS."""
    return {name: digest for name, digest in files.items() if name != ".gitattributes"}


def test_login_upload_download(hub, client, minilm, fingerprint, tmp_path):
    """The three commands that `make run` prints."""
    client.hf("auth", "login", "--token", TOKENS["alice"], user=None)
    assert "alice" in client.hf("auth", "whoami", user=None).stdout
    client.hf("upload", "alice/minilm", minilm, user=None, timeout=600)

    client.hf("download", "alice/minilm", "--local-dir", tmp_path / "there", user=None, timeout=600)
    assert without_attributes(fingerprint(tmp_path / "there")) == without_attributes(fingerprint(minilm))

    def cached(api):
        from huggingface_hub import snapshot_download

        return fingerprint(snapshot_download("alice/minilm"))

    assert without_attributes(client.run(cached, user=None)) == without_attributes(fingerprint(minilm))


def test_second_upload_adds_nothing(hub, client, minilm):
    """The same folder again: no change in the tree, and in the store at most a shard that says the same again."""
    client.hf("upload", "alice/minilm", minilm, timeout=600)
    stored = hub.stored_bytes()
    tree = hub.ok("GET", "/api/models/alice/minilm/tree/main?recursive=true").json
    client.hf("upload", "alice/minilm", minilm, timeout=600)
    assert hub.stored_bytes() - stored < 2000
    assert hub.ok("GET", "/api/models/alice/minilm/tree/main?recursive=true").json == tree


def test_same_weights_in_another_repository_are_stored_once(hub, either, minilm):
    either.hf("upload", "alice/minilm", minilm, timeout=600)
    stored = hub.stored_bytes()
    either.hf("upload", "alice/again", minilm, timeout=600)
    assert hub.stored_bytes() - stored < stored / 100


def test_upload_one_file_and_download_it(hub, client, folder, tmp_path):
    client.hf("upload", "alice/one", folder / "weights.bin", "models/renamed.bin")
    client.hf("download", "alice/one", "models/renamed.bin", "--local-dir", tmp_path / "there")
    assert (tmp_path / "there/models/renamed.bin").read_bytes() == (folder / "weights.bin").read_bytes()


def test_upload_with_patterns(hub, client, folder, fingerprint, tmp_path):
    """--include and --exclude, on the way up and on the way down."""
    client.hf("upload", "alice/some", folder, ".", "--include", "*.txt", "--exclude", "empty*")
    assert {f["path"] for f in hub.ok("GET", "/api/models/alice/some/tree/main").json} == {".gitattributes", "sub"}
    client.hf("download", "alice/some", "--include", "*.txt", "--local-dir", tmp_path / "there")
    assert list(fingerprint(tmp_path / "there")) == ["sub/notes.txt"]


def test_upload_as_pull_request(hub, client, folder):
    """--create-pr writes to refs/pr/1 and leaves main alone."""
    hub.create("alice/m")
    client.hf("upload", "alice/m", folder, ".", "--create-pr")
    assert [f["path"] for f in hub.ok("GET", "/api/models/alice/m/tree/main").json] == [".gitattributes"]
    there = hub.ok("GET", "/api/models/alice/m/tree/refs%2Fpr%2F1?recursive=true").json
    assert "sub/deep/vectors.npy" in [f["path"] for f in there]


def test_upload_a_dataset_privately(hub, client, folder, tmp_path):
    client.hf("upload", "alice/data", folder, "--repo-type", "dataset", "--private")
    assert hub.http("GET", "/api/datasets/alice/data", "bob").status == 404
    client.hf("download", "alice/data", "--repo-type", "dataset", "--local-dir", tmp_path / "there")
    assert (tmp_path / "there/weights.bin").read_bytes() == (folder / "weights.bin").read_bytes()


def test_upload_into_an_organization(hub, either, folder):
    """A contributor creates there, and writes what she created; a reader does neither."""
    either.hf("upload", "acme/tool", folder, user="carol")
    assert hub.ok("GET", "/api/models/acme/tool").json["author"] == "acme"
    refused = either.hf("upload", "acme/other", folder, user="dave", check=False)
    assert refused.returncode != 0 and "403" in refused.stderr + refused.stdout


def test_listing_commands(hub, newest, folder):
    """hf repos ls, hf models ls."""
    newest.hf("upload", "alice/listed", folder)
    hub.create("alice/data", "dataset")
    repos = newest.hf("repos", "ls").stdout
    assert "alice/listed" in repos and "alice/data" in repos
    assert "alice/listed" in newest.hf("models", "ls", "--author", "alice", user=None).stdout
    assert "config.json" in newest.hf("models", "ls", "alice/listed", user=None).stdout


def test_command_line_repository_life(hub, newest):
    """hf repos create, settings, move, tag, branch, delete."""
    newest.hf("repos", "create", "alice/life", "--private")
    assert hub.ok("GET", "/api/models/alice/life").json["private"] is True
    newest.hf("repos", "settings", "alice/life", "--public")
    newest.hf("repos", "move", "alice/life", "alice/later")
    newest.hf("repos", "branch", "create", "alice/later", "dev")
    newest.hf("repos", "tag", "create", "alice/later", "v1")
    refs = hub.ok("GET", "/api/models/alice/later/refs", None).json
    assert [b["name"] for b in refs["branches"]] == ["main", "dev"]
    assert [t["name"] for t in refs["tags"]] == ["v1"]
    newest.hf("repos", "delete", "alice/later", "--yes")
    assert hub.http("GET", "/api/models/alice/later", "alice").status == 404


def test_wrong_token_is_refused_at_login(hub, client):
    refused = client.hf("auth", "login", "--token", "hf_nobody_has_this", user=None, check=False)
    assert refused.returncode != 0 and "nvalid" in refused.stdout + refused.stderr
