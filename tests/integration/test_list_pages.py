"""Lists: facets count what the viewer may see, in any combination, and stay true while repositories change."""

import itertools

import pytest

CARDS = [("mit", "text-generation", ["en"]), ("mit", "fill-mask", ["en", "fr"]), ("apache-2.0", "fill-mask", ["de"]),
         ("apache-2.0", "text-generation", ["fr"]), ("mit", "text-generation", ["fr"])]


def card(license_, task, languages):
    return f"---\nlicense: {license_}\npipeline_tag: {task}\nlanguage: [{', '.join(languages)}]\n---\n".encode()


@pytest.fixture
def stocked(hub):
    for i, (owner, private) in enumerate(itertools.product(("alice", "acme"), (False, True))):
        for k, facts in enumerate(CARDS[: i + 2]):
            name = f"{owner}/m{i}{k}"
            hub.create(name, private=private)
            hub.commit(name, {"README.md": card(*facts)})
    return hub


def seen(hub, user, query=""):
    """What the API lists, and the counts that a page gives, as {(group, label): count}."""
    listed = hub.ok("GET", f"/api/models?limit=1000&full=true&{query}", user).json
    page = hub.ok("GET", f"/models?format=json&{query}", user).json
    assert page["total"] == len(listed)
    assert {row["id"] for row in page["data"]} == {row["id"] for row in listed}
    return listed, {(g["label"], v["label"]): v["count"] for g in page["facets"] for v in g["values"]}


@pytest.mark.parametrize("user", [None, "bob", "dave", "alice"])
def test_counts_are_the_viewers(stocked, user):
    for query in ("", "license=mit", "license=mit&language=fr", "pipeline_tag=fill-mask&license=mit&language=en", "author=acme"):
        listed, counts = seen(stocked, user, query)
        for license_ in ("mit", "apache-2.0"):
            expected = sum(f"license:{license_}" in row["tags"] for row in listed)
            assert counts.get(("License", license_), 0) == expected, (user, query, license_)
        for task in ("text-generation", "fill-mask"):
            assert counts.get(("Task", task), 0) == sum(row.get("pipeline_tag") == task for row in listed)


def test_counts_follow_changes(stocked):
    before = seen(stocked, None)[1]
    stocked.commit("alice/m00", {"README.md": card("apache-2.0", "text-generation", ["en"])})
    after = seen(stocked, None)[1]
    assert after[("License", "mit")] == before[("License", "mit")] - 1
    stocked.ok("PUT", "/api/models/alice/m00/settings", "alice", {"private": True})
    assert seen(stocked, None)[1][("License", "apache-2.0")] == after[("License", "apache-2.0")] - 1
    stocked.ok("DELETE", "/api/repos/delete", "alice", {"type": "model", "name": "m01"})
    stocked.restart()
    seen(stocked, None), seen(stocked, "alice")


def test_a_facet_link_is_a_page_with_that_many(stocked):
    page = stocked.ok("GET", "/models?format=json&license=mit", None).json
    for group in page["facets"]:
        for value in group["values"]:
            url = value["url"] + ("&" if "?" in value["url"] else "?") + "format=json"
            there = stocked.ok("GET", url, None).json
            assert value["active"] or there["total"] == value["count"], value


def test_pages_and_empty_lists(hub):
    for kind in ("models", "datasets", "spaces", "buckets"):
        for end in ("", ".md", ".json"):
            assert hub.ok("GET", f"/{kind}{end}", None).status == 200
    assert "Nothing here yet" in hub.ok("GET", "/datasets", None).text
    assert "Take a filter away" in hub.ok("GET", "/datasets?language=xx", None).text
    assert hub.http("GET", "/models?sort=nonsense", None).status == 400
