"""Whatever reaches a terminal has passed `lzr.safetext`: every place that prints is looked at in the source,
and the program is called with names that a terminal would obey."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from lzr import safetext
from tests import forking
from tests.sources import nodes

pytestmark = pytest.mark.attack

ROOT = Path(__file__).parents[3]
SAFE = {"line", "lines", "plain", "printable", "row"}
OWN_TEXT = {"json.dumps", "_parser().format_help", "table"}
"""Calls that give nothing but ASCII of our own: json escapes all else."""
EVIL = "a\x1b]0;owned\x07\x9b31m\u202e\nlzr: all is well\udcff"
WRITES_SAFE_TEXT = {
    # The dashboard's cells are made by lzr.safetext (tests of its own), its escapes are the dashboard's.
    "coordinator/dashboard/dashboard.py",
    "coordinator/dashboard/terminal.py",
    # Help and lists: none of it is anybody else's.
    "lzr/options/parse.py",
}


PRINTING = ("print", "sys.stdout.write", "sys.stderr.write")


def printing(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, ast.expr]]:
    """Line and argument of each call of print, and of each write to a standard stream."""
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        if ast.unparse(node.func) in PRINTING:
            for argument in node.args:
                yield node.lineno, argument


def is_safe(argument: ast.expr) -> bool:
    match argument:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name.isupper()
        case ast.Attribute(attr=name):
            return name.isupper()
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return is_safe(left) and is_safe(right)
        case ast.IfExp(body=one, orelse=other):
            return is_safe(one) and is_safe(other)
        case ast.Call(func=function):
            name = ast.unparse(function)
            return name in OWN_TEXT or name.rpartition(".")[2] in SAFE
    return False


def test_all_that_is_printed_is_made_harmless() -> None:
    found = []
    seen = 0
    for path in sorted([*(ROOT / "coordinator").rglob("*.py"), *(ROOT / "lzr").rglob("*.py")]):
        name = path.relative_to(ROOT).as_posix()
        if name in WRITES_SAFE_TEXT or not any(f"{word}(" in path.read_text() for word in PRINTING):
            continue
        for number, argument in printing(nodes(path)):
            seen += 1
            if not is_safe(argument):
                found.append(f"{name}:{number}: {ast.unparse(argument)}")
    assert seen > 30
    assert not found, "print safetext.line(…) or safetext.lines(…) instead:\n" + "\n".join(found)


@pytest.mark.parametrize("bad", ["print(error)", 'print(f"lzr: {path}")', "sys.stderr.write(text)"])
def test_what_is_not_is_found(bad: str) -> None:
    ((_, argument),) = printing(ast.walk(ast.parse(bad)))
    assert not is_safe(argument)


def test_one_line_and_nothing_that_a_terminal_obeys() -> None:
    assert safetext.line("naïve — 漢字") == "naïve — 漢字"
    for text in (safetext.line(EVIL), safetext.lines(EVIL).replace("\n", "")):
        assert text.isprintable()
        assert "\\x1b]0;owned\\x07" in text
    assert "\n" not in safetext.line(EVIL)


GUARDLESS = ("-guard", "none", "-sendSYNs")


@pytest.mark.parametrize(
    "words",
    [
        ["identify", EVIL],
        ["ctl", EVIL],
        ["ctl", "--socket", EVIL, "status"],
        ["guard", "on", EVIL],
        ["guard", "on", "-s", EVIL],
        ["guard", "on", "--guard", EVIL],
        ["doctor", "-f", f"{EVIL}/x", "--user", EVIL],
        [EVIL],
        ["-C", EVIL],
        ["-f", f"/nowhere/{EVIL}/x", *GUARDLESS],
        ["-l", f"/nowhere/{EVIL}/x", *GUARDLESS],
        ["-b", EVIL, *GUARDLESS],
        ["-i", EVIL, *GUARDLESS],
    ],
)
def test_words_that_a_terminal_would_obey(words: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*forking.program(), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=tmp_path,
        check=False,
        timeout=120,
    )
    assert done.returncode in (1, 2), done
    said = (done.stdout + done.stderr).decode()
    assert "Traceback" not in said
    assert said.replace("\n", "").isprintable(), said
    assert not any(line.startswith("lzr: all is well") for line in said.splitlines())
