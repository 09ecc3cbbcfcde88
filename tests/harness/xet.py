"""Xet by hand: hashes, xorbs and shards as a client that means no good would make them.

BLAKE3 in plain Python is slow, so contents are a few kilobytes. Everything follows the description of the
formats, not our code.
"""

import base64
import hashlib
import hmac
import sqlite3
import struct
import time

MASK = 0xFFFFFFFF
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
START, END, PARENT, ROOT, KEYED = 1, 2, 4, 8, 16


def _turn(x, n):
    return (x >> n | x << (32 - n)) & MASK


def _compress(chain, block, counter, length, flags):
    m = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    v = [*chain, *IV[:4], counter & MASK, counter >> 32, length, flags]
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(COLUMNS + DIAGONALS):
            for word, first, second in ((m[2 * i], 16, 12), (m[2 * i + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & MASK
                v[d] = _turn(v[d] ^ v[a], first)
                v[c] = (v[c] + v[d]) & MASK
                v[b] = _turn(v[b] ^ v[c], second)
        m = [m[n] for n in ORDER]
    return [v[i] ^ v[i + 8] for i in range(8)]


def blake3_keyed(key, data):
    """Keyed BLAKE3, 32 bytes."""
    key = struct.unpack("<8I", key)

    def leaf(piece, counter, root):
        chain, blocks = key, [piece[i : i + 64] for i in range(0, len(piece), 64)] or [b""]
        for i, block in enumerate(blocks):
            last = i == len(blocks) - 1
            flags = KEYED | (START if i == 0 else 0) | (END if last else 0) | (root if last else 0)
            chain = _compress(chain, block, counter, len(block), flags)
        return chain

    def tree(piece, counter, root=0):
        if len(piece) <= 1024:
            return leaf(piece, counter, root)
        left = 1024
        while left * 2 < len(piece):
            left *= 2
        both = tree(piece[:left], counter) + tree(piece[left:], counter + left // 1024)
        return _compress(key, struct.pack("<16I", *both), 0, 64, KEYED | PARENT | root)

    return struct.pack("<8I", *tree(data, 0, ROOT))


CHUNK_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
RANGE_KEY = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
TAG = bytes.fromhex("48465265706f4d6574614461746100556967456a7b815783a5bdd95ccdd14aa9")
BOOKEND = b"\xff" * 32 + bytes(16)


def text(raw):
    """A hash as it is written: four little-endian numbers."""
    return "".join(f"{n:016x}" for n in struct.unpack("<4Q", raw))


def raw(written):
    return struct.pack("<4Q", *(int(written[i : i + 16], 16) for i in range(0, 64, 16)))


class OneChunk:
    """A content of one chunk, and so a file of one term and a xorb of one chunk."""

    def __init__(self, content):
        self.content = content
        self.chunk = self.xorb = blake3_keyed(CHUNK_KEY, content)
        self.file = blake3_keyed(bytes(32), self.chunk)
        self.proof = blake3_keyed(RANGE_KEY, self.chunk)

    def xorb_body(self):
        size = len(self.content).to_bytes(3, "little")
        return b"\0" + size + b"\0" + size + self.content

    def shard(self, sha256=None, proof=None, with_xorb=True):
        """`sha256`: what the shard says that the bytes have; other than the truth where a test wants so."""
        if sha256 is None:
            sha256 = hashlib.sha256(self.content).hexdigest()
        size = len(self.content)
        rows = [TAG + struct.pack("<QQ", 2, 0)]
        rows.append(self.file + struct.pack("<IIQ", 0xC0000000 if sha256 else 0x80000000, 1, 0))
        rows.append(self.xorb + struct.pack("<IIII", 0, size, 0, 1))
        rows.append((proof or self.proof) + bytes(16))
        if sha256:
            rows.append(raw(sha256) + bytes(16))
        rows.append(BOOKEND)
        if with_xorb:
            rows.append(self.xorb + struct.pack("<IIII", 0, 1, size, 0))
            rows.append(self.chunk + struct.pack("<IIII", 0, size, 0, 0))
        rows.append(BOOKEND)
        assert all(len(row) == 48 for row in rows)
        return b"".join(rows)


class Cas:
    """The CAS with a token of one user for one repository."""

    def __init__(self, hub, repo, user, right="write", kind="model", token=None):
        self.hub = hub
        if token:
            self.token, self.path = token, token_of(hub, repo, user, "read", kind)["casUrl"]
        else:
            got = token_of(hub, repo, user, right, kind)
            self.token, self.path = got["accessToken"], got["casUrl"]
        self.path = "/" + self.path.split("/", 3)[3]

    def __call__(self, method, path, body=None, **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        return self.hub.http(method, self.path + path, self.token, body, headers)

    def send(self, one, **shard):
        """The xorb and the shard of a OneChunk; the answer to the shard."""
        answer = self("POST", f"/v1/xorbs/default/{text(one.xorb)}", one.xorb_body())
        assert answer.status == 200, answer
        return self("POST", "/v1/shards", one.shard(**shard))


def token_of(hub, repo, user, right="read", kind="model"):
    return hub.ok("GET", f"/api/{kind}s/{repo}/xet-{right}-token/main", user).json


def forge(hub, token, claims=None, expires=None, purpose="xet-token"):
    """The token with other claims or another expiry, signed with the hub's own key."""
    encoded, kid, old, _ = token.removeprefix("hxt1.").split(".")
    plain = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)) if claims is None else claims
    expiry = old if expires is None else str(int(expires * 1000))
    with sqlite3.connect(f"file:{hub.data}/hearth.db?mode=ro", uri=True) as db:
        (secret,) = db.execute("SELECT secret FROM signing_key WHERE kid = ?", (kid,)).fetchone()
    mac = hmac.digest(secret, f"{purpose}\n{expiry}\n".encode() + plain, "sha256")
    return ".".join(("hxt1", _base64(plain), kid, expiry, _base64(mac)))


def _base64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def in_an_hour():
    return time.time() + 3600


# The vectors of the format's description, so that this file is right before it accuses anyone.
_forty = bytes.fromhex("d70d3259e4e1cb631c663cf4d73c4c04022ab1ba804098e6cb293e6770eb3a95da211e6a663bd373")
assert text(blake3_keyed(CHUNK_KEY, _forty)) == "e2ddc900e490e77b1c0c27588788e476cf0069e1462effd7d6dd622830b226ca"
