"""The other side of clients.Python.run: runs one story inside a client's own environment.

`inside.py STORY RESULT`: STORY is a JSON file {source, name, args}; the story's return value is
written to RESULT as JSON. Needs nothing but Python and the client itself.
"""

import hashlib
import io
import json
import os
import sys
import textwrap
from pathlib import Path


def failure(call, *args, **kwargs):
    """What a call that must fail raised: its class and bases, HTTP status, X-Error-Code and text."""
    try:
        got = call(*args, **kwargs)
    except Exception as e:
        response = getattr(e, "response", None)
        return {
            "type": type(e).__name__,
            "is": [c.__name__ for c in type(e).__mro__],
            "status": getattr(response, "status_code", None),
            "code": response.headers.get("X-Error-Code") if response is not None else None,
            "text": str(e),
        }
    raise AssertionError(f"this was expected to fail, but returned {got!r}")


def sha256(content):
    """Of bytes, or of a file given by its path."""
    if not isinstance(content, bytes):
        content = Path(content).read_bytes()
    return hashlib.sha256(content).hexdigest()


def fingerprint(folder):
    """{relative path: sha256} of every file below a folder, without the client's own cache."""
    root = Path(folder)
    files = (p for p in root.rglob("*") if p.is_file())
    names = {p.relative_to(root).as_posix(): p for p in files}
    return {n: sha256(p) for n, p in sorted(names.items()) if not n.startswith((".cache/", ".git/"))}


def main():
    story, result = sys.argv[1:]
    task = json.loads(Path(story).read_text())
    from huggingface_hub import HfApi

    scope = dict(failure=failure, sha256=sha256, fingerprint=fingerprint)
    scope.update(hashlib=hashlib, io=io, json=json, os=os, sys=sys, Path=Path)
    exec(compile(textwrap.dedent(task["source"]), f"<story {task['name']}>", "exec"), scope)
    value = scope[task["name"]](HfApi(), *task["args"])
    Path(result).write_text(json.dumps(value, default=str))


if __name__ == "__main__":
    main()
