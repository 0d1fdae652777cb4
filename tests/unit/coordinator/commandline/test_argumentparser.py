"""Help that is not taken raises, whatever Python's version."""

from __future__ import annotations

import argparse
import errno
import io
from typing import Any

import pytest

from coordinator.commandline.argumentparser import ArgumentParser
from coordinator.commandline.running import Parser
from coordinator.commands import guard, identify


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_help_that_is_not_taken_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_from_312_on(self: Any, message: str, file: Any = None) -> None:
        """What argparse does itself there."""

    monkeypatch.setattr(argparse.ArgumentParser, "_print_message", as_from_312_on)
    for kind in (ArgumentParser, Parser, guard._Parser, identify._Parser):
        with pytest.raises(OSError, match="No space left"):
            kind(prog="lzr").print_help(Full())


def test_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    ArgumentParser(prog="lzr").print_help()
    assert capsys.readouterr().out.startswith("usage: lzr")
