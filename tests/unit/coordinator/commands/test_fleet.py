"""`lzr fleet`: its words, and what is said of one that is none."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from coordinator.commands.fleet import WORDS, main
from lzr.options.subcommands import SUBCOMMANDS
from tests import madefleet


def test_each_word_has_its_module_and_its_completion() -> None:
    (row,) = (row for row in SUBCOMMANDS if row.name == "fleet")
    assert {word.name for word in WORDS} == set(row.words.split())
    for word in WORDS:
        if word.where:
            module, _, function = word.where.partition(":")
            assert callable(getattr(import_module(module), function)), word.name
            assert word.takes
            assert word.brief


def test_help_and_a_word_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "check PLAN" in capsys.readouterr().out
    assert main([]) == 2
    assert main(["chekc"]) == 2
    assert "unknown command chekc; did you mean check?" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["start", "worker", "certs", "up"])
def test_without_the_extra_it_says_what_is_missing(word: str, tmp_path: Path) -> None:
    """In a process of its own, where Dask, cryptography and DuckDB cannot be imported."""
    plan = madefleet.written(tmp_path / "plan.toml")
    program = (
        "import sys; sys.modules.update(dict.fromkeys(('cryptography', 'dask', 'distributed', 'duckdb')))\n"
        "from coordinator.commands import fleet; sys.exit(fleet.main(sys.argv[1:]))"
    )
    more = ["--box", "fra1"] if word == "worker" else []
    words = [sys.executable, "-c", program, word, str(plan), *more]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert f"{sys.executable} -m pip install 'lzr[fleet]'" in done.stderr  # not whatever pip comes first


def test_who_is_interrupted_while_modules_are_loaded_ends_without_a_word() -> None:
    """Modules in C make an ImportError of a KeyboardInterrupt."""
    program = (
        "import os, signal\nfrom coordinator.commands import fleet\n"
        "before = signal.getsignal(signal.SIGINT)\n"
        "with fleet._ended_at_once():\n    pass\n"
        "assert signal.getsignal(signal.SIGINT) is before\n"
        "with fleet._ended_at_once():\n    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
