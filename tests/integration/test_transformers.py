"""Libraries that load models from the hub: transformers (no torch), tokenizers, safetensors."""

import pytest


@pytest.fixture
def published(hub, newest, minilm):
    """The real model as owner/minilm."""
    newest.hf("upload", "alice/minilm", minilm, timeout=600)
    return "alice/minilm"


def test_auto_tokenizer(newest, published, minilm):
    """AutoTokenizer gives the same ids from the hub as from the folder."""

    def story(api, repo, folder):
        from transformers import AutoConfig, AutoTokenizer

        text = "Hello world, this is an example sentence!"
        there, here = AutoTokenizer.from_pretrained(repo), AutoTokenizer.from_pretrained(folder)
        return there(text)["input_ids"], here(text)["input_ids"], AutoConfig.from_pretrained(repo).model_type

    there, here, kind = newest.run(story, published, str(minilm), user=None)
    assert there == here and len(there) > 3 and kind == "bert"


def test_auto_tokenizer_again_without_the_server(hub, newest, published):
    """What was loaded once is in the cache, absences included: offline it loads again."""

    def story(api, repo):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(repo)("hello")["input_ids"]

    first = newest.run(story, published)
    hub.stop()
    assert newest.run(story, published, HF_HUB_OFFLINE=1) == first
    hub.start()


def test_missing_and_private_models_have_helpful_errors(hub, newest):
    def story(api, repo):
        from transformers import AutoTokenizer

        return failure(AutoTokenizer.from_pretrained, repo)

    hub.create("alice/secret", private=True)
    for repo in ("alice/secret", "alice/absent"):
        failed = newest.run(story, repo, user="bob")
        assert "OSError" in failed["is"] and repo in failed["text"]


def test_tokenizers(newest, published, minilm):
    """The Rust library's own download: Tokenizer.from_pretrained."""

    def story(api, repo, folder):
        from tokenizers import Tokenizer

        text = "Hello world, this is an example sentence!"
        return Tokenizer.from_pretrained(repo).encode(text).ids, Tokenizer.from_file(folder + "/tokenizer.json").encode(text).ids

    there, here = newest.run(story, published, str(minilm), user=None)
    assert there == here


def test_safetensors(newest, published, minilm):
    """The weights load, tensor by tensor, with the same values."""

    def story(api, repo, folder):
        from huggingface_hub import hf_hub_download
        from safetensors import safe_open
        from safetensors.numpy import load_file

        path = hf_hub_download(repo, "model.safetensors")
        there, here = load_file(path), load_file(folder + "/model.safetensors")
        with safe_open(path, framework="np") as f:
            names = list(f.keys())
        same = all((there[n] == here[n]).all() for n in names)
        return len(names), len(here), bool(same)

    count, expected, same = newest.run(story, published, str(minilm), user=None)
    assert count == expected > 0 and same


def test_push_to_hub(hub, newest, minilm):
    """transformers writes, too."""

    def story(api, folder):
        from transformers import AutoTokenizer

        AutoTokenizer.from_pretrained(folder).push_to_hub("alice/pushed")
        return AutoTokenizer.from_pretrained("alice/pushed")("hello")["input_ids"], api.list_repo_files("alice/pushed")

    ids, files = newest.run(story, str(minilm))
    assert ids and "tokenizer.json" in files


def test_info_shows_what_the_files_say(hub, newest, published):
    """Architecture, parameters and tags of the card appear in the model's info and in lists."""

    def story(api, repo):
        info = api.model_info(repo)
        listed = [m.id for m in api.list_models(filter="license:apache-2.0")]
        return info.config, info.safetensors and info.safetensors.total, info.tags, listed

    config, total, tags, listed = newest.run(story, published)
    assert config["architectures"] == ["BertModel"] and config["model_type"] == "bert"
    assert total > 0 and "license:apache-2.0" in tags and "sentence-similarity" in tags
    assert listed == [published]
