"""A browser without a screen or scripts: cookies, forms and their tokens, as people with JavaScript off have it."""

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request
from html import unescape

PASSWORD = "correct horse battery"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Browser:
    def __init__(self, hub):
        self.hub, self.jar = hub, http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(NoRedirect, urllib.request.ProxyHandler({}),
                                                  urllib.request.HTTPCookieProcessor(self.jar))

    def open(self, method, path, fields=None, **headers):
        data = None if fields is None else urllib.parse.urlencode(fields).encode()
        return self.send(method, path, data, **headers)

    def send(self, method, path, data, **headers):
        request = urllib.request.Request(self.hub.url + path, data, method=method)
        request.add_header("Accept", "text/html")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            answer = self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as e:
            answer = e
        answer.body = answer.read()
        answer.text = answer.body.decode(errors="replace")
        return answer

    def get(self, path):
        return self.open("GET", path)

    def hidden(self, page):
        """The hidden fields of a page's last form."""
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.get(page).text)
        return {name: unescape(value) for name, value in found}

    def post(self, path, page=None, site="same-origin", **fields):
        """Posts the hidden fields of `page` and `fields`, as if its form had been sent."""
        return self.open("POST", path, {**self.hidden(page or path), **fields}, Sec_Fetch_Site=site)

    def login(self, name="alice", password=PASSWORD):
        return self.post("/login", name=name, password=password)


def with_password(hub, name="alice"):
    """Gives a user of the prepared data a password, and logs a browser in."""
    hub.admin("user", "passwd", name, "--password-stdin", stdin=PASSWORD + "\n")
    browser = Browser(hub)
    assert browser.login(name).status == 303
    return browser
