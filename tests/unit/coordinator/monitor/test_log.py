"""The log: ZMap's form, one place, as much as was asked for, and never the end of a scan."""

from __future__ import annotations

import contextlib
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.monitor import log
from coordinator.monitor.log import Log, open_log
from lzr.errors import UsageError
from lzr.options.table import Options

FORM = re.compile(r"[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d\.\d{3} \[(\w+)\] lzr: (.*)")


def parts(text: str) -> list[tuple[str, str]]:
    """(level, sentence) of each line."""
    found = [FORM.fullmatch(line) for line in text.splitlines()]
    return [(match[1], match[2]) for match in found if match] if all(found) else []


def say_all(made: Log) -> None:
    for say in (made.error, made.warn, made.info, made.debug, made.trace):
        say(say.__name__)


@pytest.mark.parametrize("verbosity", range(6))
def test_as_much_as_was_asked_for(verbosity: int, capsys: pytest.CaptureFixture[str]) -> None:
    with open_log(Options(verbosity=verbosity)) as made:
        say_all(made)
    told = [sentence for _, sentence in parts(capsys.readouterr().err)]
    assert told == ["error", "warn", "info", "debug", "trace"][:verbosity]


def test_debugging_tells_everything(capsys: pytest.CaptureFixture[str]) -> None:
    with open_log(Options(debug=True)) as made:
        say_all(made)
    assert len(parts(capsys.readouterr().err)) == 5


def test_a_file_takes_it_from_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lzr.log"
    path.write_text("what was there\n")
    with open_log(Options(log_file=str(path), verbosity=5)) as made:
        say_all(made)
        assert len(path.read_text().splitlines()) == 6  # each line is there when it has been said
    assert capsys.readouterr().err == ""
    first, *rest = path.read_text().splitlines()
    assert first == "what was there"
    assert [level for level, _ in parts("\n".join(rest))] == ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"]


def test_a_directory_gets_a_file_named_after_the_time(tmp_path: Path) -> None:
    with open_log(Options(log_directory=str(tmp_path))) as made:
        made.info("hello")
    (path,) = tmp_path.iterdir()
    assert re.fullmatch(r"lzr-\d{4}-\d\d-\d\dT\d{6}[+-]\d{4}\.log", path.name)
    assert parts(path.read_text()) == [("INFO", "hello")]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_scans_of_the_same_second_have_each_a_log(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(open_log(Options(log_directory=str(tmp_path)))).info("hello")
    assert [parts(path.read_text()) for path in tmp_path.iterdir()] == [[("INFO", "hello")]] * 6


@pytest.mark.parametrize("options", [{"log_file": "/no/such/dir/x.log"}, {"log_directory": "/no/such/dir"}])
def test_what_cannot_be_written_is_the_users_mistake(options: dict[str, str]) -> None:
    with (
        pytest.raises(UsageError, match="cannot write the log /no/such/dir"),
        open_log(Options().replace(**options)),
    ):
        pass


def test_how_it_failed_is_the_last_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lzr.log"
    options = Options(log_file=str(path))
    with pytest.raises(UsageError), open_log(options):
        raise UsageError("the wrong way")
    with pytest.raises(ZeroDivisionError), open_log(options):
        raise ZeroDivisionError("of ours")
    with pytest.raises(UsageError), open_log(Options()):
        raise UsageError("said on stderr by who catches it")
    assert [level for level, _ in parts(path.read_text())] == ["FATAL", "FATAL"]
    assert "the wrong way" in path.read_text()
    assert capsys.readouterr().err == ""


def test_nothing_on_a_screen_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Log(log.TRACE)
    made.screen_taken = True
    say_all(made)
    made.screen_taken = False
    made.warn("now")
    assert parts(capsys.readouterr().err) == [("WARN", "now")]


def test_a_full_disk_is_no_end(capsys: pytest.CaptureFixture[str]) -> None:
    with open_log(Options(log_file="/dev/full")) as made:
        made.warn("one")
        made.warn("two")
    told = parts(capsys.readouterr().err)
    assert [sentence for _, sentence in told][-2:] == ["one", "two"]
    assert told[0][0] == "ERROR"


@given(st.text(max_size=300), st.integers(0, 5), st.floats(0, 4e9))
def test_any_sentence_is_one_printable_line(sentence: str, level: int, wall: float) -> None:
    text = log.line(level, sentence, wall)
    assert text.isascii()
    assert text.isprintable()
    assert FORM.fullmatch(text)
