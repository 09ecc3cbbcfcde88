"""Every page has three renderings with the same facts: what stands in the HTML stands in the Markdown, and in the JSON."""

import json
import re
from html import unescape

import pytest

# What only the layout says: labels of columns and buttons, words for people who do not see the page.
CHROME = set("""private lfs raw download history show more filters copy only the first lines are shown has all of it
welcome card files commits community settings take away no use this hf huggingface_hub javascript git curl
facts members member organizations connect trending models datasets spaces buckets your what is here page pages in with and to by not""".split())


def words(text):
    return {w.strip(".") for w in re.findall(r"[\w.@-]{2,}", text.replace("\\", "").lower())}


def facts_of(page):
    """The texts of headings, table cells, facts and notes between <main> and </main>, without forms."""
    main = page.split('<main id="h-main">')[1].split("</main>")[0]
    main = re.sub(r'<(form|nav|article|pre|table class="code")\b.*?</(form|nav|article|pre|table)>', " ", main, flags=re.S)
    found = re.findall(r"<(?:h1|h2|h3|td|dd|li)\b[^>]*>(.*?)</(?:h1|h2|h3|td|dd|li)>", main, re.S)
    return [unescape(re.sub(r"<[^>]+>", " ", text)) for text in found]


@pytest.fixture
def stocked(hub):
    hub.create("alice/thing")
    card = b"---\nlicense: mit\npipeline_tag: fill-mask\nlanguage: [en]\ntags: [odd-tag]\n---\n# Thing\n\nSome words.\n"
    hub.commit("alice/thing", {"README.md": card, "sub/dir/a_b*c.txt": b"one\ntwo\n", "data.json": b"{}"})
    hub.commit("alice/thing", {"sub/dir/a_b*c.txt": b"one\nthree\n"}, summary="Change <two> to `three`")
    hub.ok("POST", "/api/models/alice/thing/tag/main", "alice", {"tag": "v1"})
    hub.create("alice/set", "dataset")
    return hub


PAGES = ["/", "/models", "/models?license=mit", "/datasets", "/spaces", "/buckets", "/alice", "/acme", "/alice/thing",
         "/datasets/alice/set", "/alice/thing/tree/main", "/alice/thing/tree/main/sub/dir", "/alice/thing/blob/main/data.json",
         "/alice/thing/blob/main/sub/dir/a_b%2Ac.txt", "/alice/thing/commits/main", "/alice/thing/refs",
         "/alice/thing/compare/main~..main", "/alice/thing/discussions"]


@pytest.mark.parametrize("path", [p for p in PAGES if "~" not in p] + ["commit", "compare"])
def test_renderings_carry_the_same_facts(stocked, path):
    ids = [c["id"] for c in stocked.ok("GET", "/api/models/alice/thing/commits/main").json]
    path = {"commit": f"/alice/thing/commit/{ids[0]}", "compare": f"/alice/thing/compare/{ids[1]}..{ids[0]}"}.get(path, path)
    query = "&" if "?" in path else "?"
    html, md, js = (stocked.ok("GET", f"{path}{query}format={f}", None) for f in ("html", "md", "json"))
    assert html.headers["Content-Type"].startswith("text/html") and md.headers["Content-Type"].startswith("text/markdown")
    json.loads(js.text)
    known = words(md.text)
    for text in facts_of(html.text):
        missing = {w for w in words(text) if w not in known and w not in CHROME and not re.fullmatch(r"\d+", w)}
        assert not missing, f"{path}: the Markdown lacks {missing} of {text.strip()!r}"
    for word in re.findall(r"\b[\w-]+/[\w.-]+\b", " ".join(facts_of(html.text))):
        if word.startswith("alice/"):
            assert word in js.text.replace("\\/", "/"), f"{path}: the JSON lacks {word}"


@pytest.mark.parametrize("path", ["/models", "/alice/thing", "/alice", "/datasets/alice/set", "/alice/thing/discussions"])
def test_suffix_query_and_accept_agree(stocked, path):
    by_query = stocked.ok("GET", f"{path}?format=md", None).text
    assert stocked.ok("GET", f"{path}.md", None).text == by_query
    accepted = stocked.ok("GET", path, None, headers={"Accept": "text/markdown, text/html;q=0.9"})
    assert accepted.text == by_query and accepted.headers["Content-Location"] == f"{path}.md"
    assert stocked.ok("GET", path, None, headers={"Accept": "text/html, */*;q=0.1"}).text.startswith("<!doctype html>")
    assert stocked.ok("GET", path, None, headers={"Accept": "application/json"}).text == stocked.ok("GET", f"{path}.json", None).text


def test_unchanged_pages_are_304(stocked):
    for path in ("/models", "/alice/thing", "/alice/thing/tree/main"):
        first = stocked.ok("GET", path, None)
        assert "no-cache" in first.headers["Cache-Control"] and "private" in first.headers["Cache-Control"]
        assert stocked.http("GET", path, None, headers={"If-None-Match": first.headers["ETag"]}).status == 304
        assert stocked.ok("GET", path, "alice").headers["Vary"]


def test_every_link_of_a_page_leads_somewhere(stocked):
    """No page links to what this hub does not have (yet)."""
    seen, waiting, dead = set(), ["/"], []
    while waiting and len(seen) < 150:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        answer = stocked.http("GET", path, None)
        if answer.status >= 400:
            dead.append((path, answer.status))
        if not answer.headers["Content-Type"].startswith("text/html"):
            continue
        for href in re.findall(r'href="(/[^"#]*)', answer.text):
            href = unescape(href)
            if href not in seen and not href.startswith("/-/"):
                waiting.append(href)
    assert not dead, dead
