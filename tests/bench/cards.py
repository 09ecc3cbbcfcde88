"""Row `markdown`: a card becomes HTML (`markdown.c`); no server, CPU time of the functions alone."""

import json
import subprocess
from pathlib import Path

from lib import TOOLS

CARD = Path(__file__).with_name("card.md")


def markdown(report):
    """Megabytes of Markdown per CPU-second, and the same as a share of renderers that do less."""
    took = json.loads(subprocess.check_output([TOOLS / "bench_markdown", CARD]))
    ours = took["hearth"]
    report.row("markdown", f"card of {took['bytes'] // 1000} KB to safe HTML", 1 / ours, ">= 100", "MB/CPU-s")
    for name, what in (("md4c-html", "the same as a share of md4c-html"), ("parser", "  of the parser alone")):
        if name in took:
            report.row("markdown", what, took[name] / ours, unit="x", note=f"{name} {1 / took[name]:.0f} MB/CPU-s")
