"""Sixty gigabytes through the stock client: what it refuses to send any other way."""

import os
import shutil

import pytest

from harness.clients import Peak

GB = 10**9
MIB = 1 << 20
SIZE = 60 * GB


def holes_with_stamps(path, size):
    """A sparse file: 32 bytes that no other place has in every 4 MiB, zeros between them."""
    with open(path, "wb") as f:
        f.truncate(size)
        for at in range(0, size - 32, 4 * MIB):
            f.seek(at)
            f.write(at.to_bytes(8, "little") * 4)
    return path


def same(one, other):
    with open(one, "rb") as a, open(other, "rb") as b:
        while True:
            x, y = a.read(16 * MIB), b.read(16 * MIB)
            if x != y:
                return False
            if not x:
                return True


@pytest.mark.soak
def test_sixty_gigabytes_up_and_down(hub, newest, tmp_path):
    """Identical afterwards, with flat memory, and stored in little: chunks once, and compressed."""
    free = shutil.disk_usage(tmp_path).free
    if free < SIZE * 1.2:
        pytest.skip(f"needs {SIZE * 1.2 / GB:.0f} GB of disk, {free / GB:.0f} are free")
    source = holes_with_stamps(tmp_path / "huge.safetensors", SIZE)
    with Peak(hub) as peak:
        newest.hf("upload", "alice/huge", source, timeout=3600)
        assert hub.stored_bytes() < 2 * GB
        newest.hf("download", "alice/huge", "huge.safetensors", "--local-dir", tmp_path / "there", timeout=3600)
    there = tmp_path / "there" / "huge.safetensors"
    assert os.path.getsize(there) == SIZE and same(source, there)
    assert peak.grown_mib < 256
