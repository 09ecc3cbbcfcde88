"""Signing in: a browser's session and its forms, and `hf auth login` by device code."""

import re
import subprocess
import time
import urllib.parse

import pytest

from harness.browser import PASSWORD, Browser


@pytest.fixture
def people(hub):
    hub.admin("user", "passwd", "alice", "--password-stdin", stdin=PASSWORD + "\n")
    return hub


def test_session(people):
    browser = Browser(people)
    assert browser.login(password="wrong").status == 422
    assert browser.login().status == 303
    assert "Welcome, alice" in browser.get("/").text
    (cookie,) = browser.jar
    assert cookie.has_nonstandard_attr("HttpOnly") and not cookie.secure
    assert browser.post("/logout", "/").status == 303
    assert "Welcome" not in browser.get("/").text


def test_next_stays_on_this_hub(people):
    for bad in ("//evil.example", "https://evil.example/", "/\\evil.example", "javascript:x"):
        browser = Browser(people)
        answer = browser.post("/login", "/login?next=" + urllib.parse.quote(bad), name="alice", password=PASSWORD)
        assert answer.headers["Location"] == people.url + "/"
    answer = Browser(people).post("/login", "/login?next=%2Fsettings%2Ftokens", name="alice", password=PASSWORD)
    assert answer.headers["Location"] == people.url + "/settings/tokens"


def test_changes_come_from_our_own_pages(people):
    browser = Browser(people)
    browser.login()
    made = {"name": "x", "role": "read"}
    assert browser.post("/settings/tokens", site="cross-site", **made).status == 403
    assert browser.post("/settings/tokens", site="same-site", **made).status == 403
    assert browser.open("POST", "/settings/tokens", made, Sec_Fetch_Site="same-origin").status == 403
    assert browser.open("POST", "/settings/tokens", {**made, "form_token": "guess"}, Sec_Fetch_Site="same-origin").status == 403
    assert browser.open("POST", "/api/repos/create", {}, Origin="http://evil.example").status == 403
    assert browser.post("/settings/tokens", **made).status == 200


def test_tokens_are_shown_once(people):
    browser = Browser(people)
    browser.login()
    shown = browser.post("/settings/tokens", name="laptop <b>", role="write").text
    (token,) = re.findall(r"hf_\w{34}", shown)
    assert "laptop &lt;b&gt;" in shown and "no-store" in browser.get("/settings/tokens").headers["Cache-Control"]
    assert token not in browser.get("/settings/tokens").text
    assert people.http("GET", "/api/whoami-v2", token).json["name"] == "alice"
    (number,) = re.findall(r'name="id" value="(\d+)"><button class="danger" aria-label="Take away laptop', shown)
    assert browser.post("/settings/tokens/revoke", "/settings/tokens", id=number).status == 303
    assert people.http("GET", "/api/whoami-v2", token).status == 401


def test_password_change_ends_other_sessions(people):
    here, there = Browser(people), Browser(people)
    here.login(), there.login()
    assert here.post("/settings/account", old=PASSWORD, new="short").status == 422
    assert here.post("/settings/account", old=PASSWORD, new=PASSWORD + "!").status == 303
    assert "Welcome" in here.get("/").text and "Welcome" not in there.get("/").text
    assert there.login().status == 422


def test_guessing_is_slow(people):
    browser = Browser(people)
    for _ in range(10):
        assert browser.login(password="guess").status == 422
    answer = browser.login()
    assert answer.status == 429 and int(answer.headers["Retry-After"]) > 0


def test_accounts_only_where_people_may_join(people, make_hub):
    assert Browser(people).get("/join").status == 404
    browser = Browser(make_hub("--signup"))
    assert browser.post("/join", name="newcomer", password="short").status == 422
    assert browser.post("/join", name="alice", password=PASSWORD).status == 422
    assert browser.post("/join", name="newcomer", password=PASSWORD).status == 303
    assert "Welcome, newcomer" in browser.get("/").text
    for i in range(12):  # many may join from one address, but not without end
        assert Browser(browser.hub).post("/join", name=f"one-more-{i}", password=PASSWORD).status == 303


def test_hf_auth_login_by_device_code(people, newest):
    """In a terminal without a keyboard: the code is read from what hf prints."""
    said = people.data.parent / "hf-login"
    with open(said, "w") as out:
        process = subprocess.Popen([newest.bin / "hf", "auth", "login"], stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, env=newest.env(None, PYTHONUNBUFFERED="1"))
    try:
        end = time.monotonic() + 60
        while not (code := re.search(r"\b[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}\b", said.read_text())):
            assert time.monotonic() < end and process.poll() is None, said.read_text()
            time.sleep(0.1)
        browser = Browser(people)
        answer = browser.get(f"/device?code={code[0]}")
        assert answer.status == 303 and "/login?next=" in answer.headers["Location"]
        browser.login()
        assert "alice" in browser.get(f"/device?code={code[0]}").text
        assert "logged in now" in browser.post("/device", f"/device?code={code[0]}").text
        assert process.wait(60) == 0, said.read_text()
    finally:
        process.kill()
    assert "alice" in newest.hf("auth", "whoami", user=None).stdout
