"""tools/template: a hole is escaped by where it stands, and one that cannot be is a build error."""

import subprocess
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "template"


def compiled(tmp_path, *lines):
    source, out = tmp_path / "t.html", tmp_path / "t.c"
    source.write_text("\n".join(["%template t(str x)", *lines, "%end", ""]))
    done = subprocess.run([TOOL, out, source], capture_output=True, text=True)
    return done, out.read_text() if out.exists() else ""


@pytest.mark.parametrize("line,writer", [
    ("<p>{{x}}</p>", "html_text"),
    ('<p title="{{x}}">', "html_attr"),
    ('<a href="{{x}}">', "html_url"),
    ('<a href="/{{x}}">', "html_path"),
    ('<a href="/a?q={{x}}">', "html_query"),
    ('<a href="{{x}}/{{x}}">', "html_path"),
    ("<title>{{x}}</title>", "html_text"),
])
def test_context_decides(tmp_path, line, writer):
    done, code = compiled(tmp_path, line)
    assert done.returncode == 0, done.stderr
    assert f"{writer}(out, x)" in code


@pytest.mark.parametrize("lines,why", [
    (["<p {{x}}>"], "quoted attribute"),
    (["<p title={{x}}>"], "quoted attribute"),
    (["<p title='{{x}}'>"], "double quotes"),
    (['<p onclick="{{x}}">'], "no holes in onclick"),
    (['<p style="{{x}}">'], "no holes in style"),
    (["<script>{{x}}</script>"], "must stand in text"),
    (["<style>{{x}}</style>"], "must stand in text"),
    (["<!-- {{x}} -->"], "must stand in text"),
    (["% if (x.len) {", '<p class="', "% }"], "the context where it began"),
    (["% if (x.len) {"], "ends inside a branch"),
    (["<p"], "ends inside"),
])
def test_what_cannot_be_safe_does_not_build(tmp_path, lines, why):
    done, _ = compiled(tmp_path, *lines)
    assert done.returncode != 0
    assert why in done.stderr
