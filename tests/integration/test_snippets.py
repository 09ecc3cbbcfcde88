""""Use this": every text on a repository's page runs, unchanged, as it was copied from the page."""

import re
import subprocess
from html import unescape

import pytest

from harness.clients import finished
from harness.server import BUILD, plain_env


def snippets(hub, path):
    """{label: (language, text)} from the page."""
    page = hub.ok("GET", path, None).text
    found = re.findall(r'<code data-snippet="([^"]+)" class="language-(\w+)">(.*?)</code>', page, re.S)
    assert found
    return {label: (language, unescape(text)) for label, language, text in found}


def run(language, text, newest, folder):
    """Runs a snippet as a person would who has the library: in an empty folder, with nothing else set."""
    folder.mkdir()
    env = newest.env(None)
    env.pop("HF_ENDPOINT")
    env["PATH"] = f"{newest.bin}:{env['PATH']}"
    if language == "js":
        script = BUILD / "node" / f"snippet-{folder.name}.mjs"  # beside node_modules, where imports are looked for
        script.write_text(text)
        try:
            return finished(["node", script], plain_env(folder), folder)
        finally:
            script.unlink()
    script = folder / f"snippet.{language}"
    script.write_text(text)
    program = [newest.bin / "python"] if language == "python" else ["sh", "-e"]
    return finished([*program, script], env, folder)


@pytest.mark.parametrize("kind,path,expected", [
    ("model", "/alice/thing", {"transformers", "hf", "huggingface_hub", "JavaScript", "git", "curl"}),
    ("dataset", "/datasets/alice/thing", {"datasets", "hf", "huggingface_hub", "JavaScript", "git", "curl"}),
    ("space", "/spaces/alice/thing", {"hf", "JavaScript", "git", "curl"}),
])
def test_every_snippet_runs(hub, newest, minilm, tmp_path, kind, path, expected):
    if kind == "model":
        newest.hf("upload", "alice/thing", minilm, timeout=600)
        hub.commit("alice/thing", {"README.md": b"---\nlibrary_name: transformers\n---\n# Thing\n"})
    else:
        hub.create("alice/thing", kind, **({"sdk": "static"} if kind == "space" else {}))
        hub.commit("alice/thing", {"README.md": b"# Thing\n", "data.csv": b"a,b\n1,2\n"}, kind)
    found = snippets(hub, path)
    assert set(found) == expected
    for number, (label, (language, text)) in enumerate(found.items()):
        try:
            run(language, text, newest, tmp_path / f"{kind}-{number}")
        except (AssertionError, subprocess.SubprocessError) as e:
            raise AssertionError(f"{label}:\n{text}\n{e}") from None


def test_the_twins_have_the_same_texts(hub):
    hub.create("alice/thing")
    hub.commit("alice/thing", {"README.md": b"# Thing\n"})
    page = snippets(hub, "/alice/thing")
    twin = {s["label"]: (s["language"], s["text"]) for s in hub.ok("GET", "/alice/thing.json", None).json["use"]}
    assert page == twin
    text = hub.ok("GET", "/alice/thing.md", None).text
    assert all(t in text for _, t in page.values()) and "# Thing" in text


def test_cards_are_shown_and_harmless(hub):
    card = b"# Hello\n\n<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n[a](javascript:alert(1)) ![i](pic.png)\n"
    hub.create("alice/card")
    hub.commit("alice/card", {"README.md": card})
    page = hub.ok("GET", "/alice/card", None)
    body = page.text.split('<article class="prose">')[1].split("</article>")[0]
    assert "<script" not in body and "onerror" not in body and "javascript:" not in body
    assert "/alice/card/resolve/main/pic.png" in body and ">Hello<" in body
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]


def test_names_that_end_like_twins(hub):
    hub.create("alice/notes")
    hub.create("alice/notes.md", private=True)
    assert hub.ok("GET", "/alice/notes.md", "bob").text.startswith("# alice/notes\n")
    assert "alice/notes.md" in hub.ok("GET", "/alice/notes.md", "alice").text
