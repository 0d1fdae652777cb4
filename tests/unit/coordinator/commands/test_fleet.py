"""`lzr fleet`: its words, and what is said of one that is none."""

from __future__ import annotations

from importlib import import_module

import pytest

from coordinator.commands.fleet import WORDS, main
from lzr.options.subcommands import SUBCOMMANDS


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
