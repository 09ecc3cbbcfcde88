"""The same running server, directly and through nginx with TLS and the configuration we ship."""

import json
import re
import socket
import ssl
import subprocess
import time
import urllib.request

import pytest
from harness.clients import Git, Peak, Python, node, random_bytes, random_file
from harness.server import ROOT, plain_env

SHIPPED = ROOT / "docs" / "guide" / "nginx.conf"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def make_certificate(folder):
    """An authority, and a certificate for this machine that it signed: some clients take nothing that signed itself."""

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=folder)

    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(*new, "-x509", "-keyout", "authority.key", "-out", "authority.pem", "-days", "2", "-subj", "/CN=test authority")
    openssl(*new, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", "request.pem", "-CA", "authority.pem", "-CAkey", "authority.key", "-days", "2",
            "-extfile", "names", "-out", "certificate.pem")
    return folder / "certificate.pem", folder / "key.pem"


class Front:
    """nginx with docs/guide/nginx.conf; only ports, names and certificate paths are replaced."""

    def __init__(self, hub, folder):
        self.folder, self.port = folder, free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        folder.mkdir()
        self.authority = folder / "authority.pem"
        chain, key = make_certificate(folder)
        shipped = SHIPPED.read_text()
        ours, changes = shipped, 0
        for pattern, value in (
            (r"127\.0\.0\.1:7877;", f"127.0.0.1:{hub.port};"),
            (r"listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
            (r"listen 80;", f"listen 127.0.0.1:{free_port()};"),
            (r"/etc/ssl/\S+/fullchain\.pem", str(chain)),
            (r"/etc/ssl/\S+/privkey\.pem", str(key)),
        ):
            ours, count = re.subn(pattern, value, ours)
            changes += count == 1
        assert changes == 5, "the shipped configuration has changed its form"
        ours = re.sub(r"^\s*listen \[::\].*\n", "", ours, flags=re.M)
        (folder / "site.conf").write_text(ours)
        (folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
            "events { worker_connections 512; }\n"
            f"http {{\naccess_log {folder}/access.log;\nclient_body_temp_path {folder}/body;\n"
            f"proxy_temp_path {folder}/proxy;\nfastcgi_temp_path {folder}/f;\nuwsgi_temp_path {folder}/u;\n"
            f"scgi_temp_path {folder}/s;\ninclude {folder}/site.conf;\n}}\n"
        )
        self.process = subprocess.Popen(
            ["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"],
            env=plain_env(folder),
            stderr=subprocess.PIPE,
        )
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                assert self.process.poll() is None, self.process.stderr.read().decode()
                assert time.monotonic() < end, "nginx does not listen"
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stderr.close()

    @property
    def trust(self):
        """What makes each client believe the certificate."""
        path = self.authority
        return {
            "SSL_CERT_FILE": path,
            "REQUESTS_CA_BUNDLE": path,
            "CURL_CA_BUNDLE": path,
            "GIT_SSL_CAINFO": path,
            "NODE_EXTRA_CA_CERTS": path,
        }


@pytest.fixture
def front(hub, tmp_path):
    front = Front(hub, tmp_path / "nginx")
    yield front
    front.stop()


def test_upload_and_download(hub, client, front, folder, fingerprint, tmp_path):
    """Up through TLS, down directly, and the other way round."""
    through = Python(front, tmp_path / "through", client.name, **front.trust)
    through.hf("upload", "alice/one", folder)
    client.hf("upload", "alice/two", folder)
    client.hf("download", "alice/one", "--local-dir", tmp_path / "one")
    through.hf("download", "alice/two", "--local-dir", tmp_path / "two")
    for name in ("one", "two"):
        got = fingerprint(tmp_path / name)
        got.pop(".gitattributes")
        assert got == fingerprint(folder)


def test_addresses_are_those_of_the_front(hub, front):
    """Absolute URLs take scheme, host and port from what the client sees; spoofed headers change nothing."""
    for n in range(3):
        hub.create(f"alice/m{n}")
    context = ssl.create_default_context(cafile=str(front.authority))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    reply = opener.open(f"{front.url}/api/models?author=alice&limit=1")
    assert reply.headers["Link"].startswith(f"<{front.url}/api/models?")
    body = json.dumps({"operation": "upload", "transfers": ["basic"], "objects": [{"oid": "1" * 64, "size": 5}]}).encode()
    request = urllib.request.Request(f"{front.url}/alice/m0.git/info/lfs/objects/batch", body)
    request.add_header("Authorization", "Bearer hf_AliceMayWrite")
    request.add_header("Content-Type", "application/vnd.git-lfs+json")
    request.add_header("X-Forwarded-Host", "evil.example.org")
    entry = json.loads(opener.open(request).read())["objects"][0]
    assert entry["actions"]["upload"]["href"].startswith(front.url + "/")


def test_list_paging(hub, newest, front, tmp_path):
    """The Link header leads through the front, page after page."""

    def story(api):
        from huggingface_hub.utils import build_hf_headers, paginate

        params = {"author": "alice", "limit": 2, "sort": "createdAt"}
        return [m["id"] for m in paginate(f"{api.endpoint}/api/models", params=params, headers=build_hf_headers())]

    for n in range(5):
        hub.create(f"alice/m{n}")
    through = Python(front, tmp_path / "through", **front.trust)
    assert through.run(story) == newest.run(story) == [f"alice/m{n}" for n in (4, 3, 2, 1, 0)]


def test_large_upload_streams_through(hub, front, tmp_path):
    """Nothing is stored in front: the body goes to the hub while it comes."""
    through = Python(front, tmp_path / "through", **front.trust)
    hub.create("alice/big")
    digest = random_file(tmp_path / "big.bin", 120 << 20, "proxy")
    with Peak(hub) as peak:
        through.hf("upload", "alice/big", tmp_path / "big.bin", "big.bin", timeout=600)
    assert peak.grown_mib < 24
    buffered = [p for p in (front.folder / "body").rglob("*") if p.is_file()]
    assert not buffered and "buffered to a temporary file" not in (front.folder / "error.log").read_text()
    entry = hub.ok("GET", "/api/models/alice/big/tree/main").json[-1]
    assert entry["lfs"]["oid"] == digest


def test_git(hub, git, front, tmp_path):
    """Clone and push through TLS, fetch directly, with an LFS file."""
    through = Git(hub, tmp_path / "through", "alice", url=front.url, **front.trust)
    hub.create("alice/m")
    clone = through.clone("alice/m")
    content = random_bytes(3 << 20, "proxy git")
    (clone / "weights.bin").write_bytes(content)
    for n in range(50):
        (clone / f"{n}.txt").write_text(f"{n}\n" * 1000)
    through("add", ".", cwd=clone)
    through("commit", "-qm", "through TLS", cwd=clone)
    through("push", "-q", cwd=clone)
    direct = git.clone("alice/m")
    assert (direct / "weights.bin").read_bytes() == content
    (direct / "back.txt").write_text("directly")
    git("add", ".", cwd=direct)
    git("commit", "-qm", "directly", cwd=direct)
    git("push", "-q", cwd=direct)
    through("pull", "-q", "--ff-only", cwd=clone)
    assert (clone / "back.txt").read_text() == "directly"
    through.fsck(clone)
    git.fsck(direct)


def test_javascript(hub, front, tmp_path):
    home = tmp_path / "node"
    home.mkdir()
    got = node(front, home, "life", **front.trust)
    assert got["repoUrl"] == f"{front.url}/alice/js"
