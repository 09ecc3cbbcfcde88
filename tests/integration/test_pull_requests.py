"""`hf upload --create-pr` leads somewhere: reviewed, merged and closed, by API and in the browser."""

import re

from harness.browser import with_password


def propose(client, text, user="bob", path="notes.txt"):
    def story(api, text, path):
        return api.upload_file(path_or_fileobj=text.encode(), path_in_repo=path, repo_id="alice/m",
                               create_pr=True, commit_message="Change <the> notes").pr_num

    return client.run(story, text, path, user=user)


def prepare(hub):
    hub.create("alice/m")
    hub.commit("alice/m", {"notes.txt": b"one\ntwo\nthree\nfour\nfive\nsix\nseven\n", "other.txt": b"x\n"})


def content(hub, path="notes.txt"):
    return hub.ok("GET", f"/alice/m/resolve/main/{path}").text


def test_by_api(hub, client):
    prepare(hub)
    number = propose(client, "one\ntwo\nthree\nfour\nfive\nsix\nSEVEN\n")
    hub.commit("alice/m", {"notes.txt": b"ONE\ntwo\nthree\nfour\nfive\nsix\nseven\n"})

    def review(api, number):
        details = api.get_discussion_details("alice/m", number)
        return [details.status, details.conflicting_files, "+SEVEN" in details.diff, details.author, details.is_pull_request,
                [event.type for event in details.events]]

    assert client.run(review, number) == ["open", [], True, "bob", True, ["comment", "commit"]]

    def merge(api, number):
        api.merge_pull_request("alice/m", number, comment="thank you")
        details = api.get_discussion_details("alice/m", number)
        return [details.status, details.merge_commit_oid, [e.type for e in details.events]]

    status, commit, events = client.run(merge, number)
    assert status == "merged" and events == ["comment", "commit", "comment", "status-change"]
    assert content(hub) == "ONE\ntwo\nthree\nfour\nfive\nsix\nSEVEN\n"
    head = hub.ok("GET", "/api/models/alice/m/commits/main").json[0]
    assert head["id"] == commit and head["title"] == f"Change <the> notes (#{number})"


def test_who_may(hub, newest):
    prepare(hub)
    number = propose(newest, "one\n")
    base = f"/api/models/alice/m/discussions/{number}"
    assert hub.http("POST", f"{base}/merge", "bob", {}).status == 403
    assert hub.http("POST", f"{base}/merge", "alice-read", {}).status == 403
    assert hub.http("POST", f"{base}/merge", None, {}).status == 401
    assert hub.http("POST", f"{base}/status", "carol", {"status": "closed"}).status == 403
    assert hub.http("POST", f"{base}/status", "bob", {"status": "closed"}).status == 200  # its author
    assert hub.http("POST", f"{base}/merge", "alice", {}).status == 409
    assert hub.http("POST", f"{base}/status", "alice", {"status": "open"}).status == 200
    assert hub.http("POST", f"{base}/merge", "alice", {}).status == 200
    assert hub.http("POST", f"{base}/status", "alice", {"status": "open"}).status == 409
    assert hub.http("GET", "/api/models/alice/m/discussions/99", "alice").status == 404


def test_conflict_names_the_files(hub, newest):
    prepare(hub)
    number = propose(newest, "bob's\n")
    hub.commit("alice/m", {"notes.txt": b"alice's\n"})
    answer = hub.http("POST", f"/api/models/alice/m/discussions/{number}/merge", "alice", {})
    assert answer.status == 409 and "notes.txt" in answer.text and answer.headers["X-Error-Code"] == "MergeConflict"
    assert content(hub) == "alice's\n"
    browser = with_password(hub)
    page = browser.get(f"/alice/m/discussions/{number}").text
    assert "This cannot be merged" in page and "notes.txt" in page and 'value="merge"' not in page


def test_in_the_browser(hub, newest):
    prepare(hub)
    number = propose(newest, "better\n")
    browser = with_password(hub)
    listed = browser.get("/alice/m/discussions").text
    assert "Change &lt;the&gt; notes" in listed
    page = browser.get(f"/alice/m/discussions/{number}").text
    assert "<ins>+better</ins>" in page and "by bob" in page
    assert browser.post(f"/alice/m/discussions/{number}", action="merge", comment="fine").status == 303
    page = browser.get(f"/alice/m/discussions/{number}").text
    assert "merged as" in page and "fine" in page and 'value="merge"' not in page
    assert content(hub) == "better\n"
    assert "Change" in browser.get("/alice/m/discussions?status=closed").text
    second = propose(newest, "worse\n")
    assert browser.post(f"/alice/m/discussions/{second}", action="close").status == 303
    assert 'value="open"' in browser.get(f"/alice/m/discussions/{second}").text
    assert content(hub) == "better\n"


def test_twins(hub, newest):
    prepare(hub)
    number = propose(newest, "better\n")
    text = hub.ok("GET", f"/alice/m/discussions/{number}.md").text
    assert "status: open" in text and "+better" in text
    assert hub.ok("GET", f"/alice/m/discussions/{number}.json").json["num"] == number
    assert "+better" in hub.ok("GET", f"/alice/m/discussions/{number}.diff").text


def test_large_files_are_never_mixed(hub, newest):
    """Two different changes of one large file are a conflict, not a merged pointer."""
    prepare(hub)

    def upload(api, fill, create_pr):
        return api.upload_file(path_or_fileobj=bytes([fill]) * 100_000, path_in_repo="w.bin", repo_id="alice/m",
                               create_pr=create_pr).pr_num

    newest.run(upload, 1, False)
    number = newest.run(upload, 2, True)
    newest.run(upload, 3, False)
    answer = hub.http("POST", f"/api/models/alice/m/discussions/{number}/merge", "alice", {})
    assert answer.status == 409 and "w.bin" in answer.text
