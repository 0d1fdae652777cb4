"""One table of first words: the shell script, help, man page and completions know the same."""

from __future__ import annotations

import re

from lzr.options import completion, helptext, manpage
from lzr.options.parse import parse
from lzr.options.subcommands import ALL, NAMES, SUBCOMMANDS
from lzr.options.table import TABLE
from lzr.sourceports import DEFAULT_PORTS, DEFAULT_RANGE
from tests import ROOT

LAUNCHER = (ROOT / "bin" / "lzr").read_text()


def test_the_launcher_puts_no_guard_up_for_them() -> None:
    (found,) = re.findall(r"case \$\{1-\} in (.*?)\)", LAUNCHER)
    assert set(found.split(" | ")) == set(NAMES)


def test_the_launcher_guards_the_ports_that_are_the_default() -> None:
    assert "{}-{}".format(*DEFAULT_PORTS) == DEFAULT_RANGE
    assert set(re.findall(r"\d{5}-\d{5}", LAUNCHER)) == {DEFAULT_RANGE}
    assert parse([]).source_port is None
    (row,) = (row for row in TABLE if row.attr == "source_port")
    assert row.shown_default == DEFAULT_RANGE


def test_each_is_in_help_man_page_and_completions() -> None:
    short, man = helptext.usage(everything=False), manpage.man()
    commands = man[man.index(".SH COMMANDS") : man.index(".SH OPTIONS")]
    for row in ALL:
        form = f"lzr {row.name} {row.takes}".rstrip()
        assert re.search(rf"^ *{re.escape(form)} +{re.escape(row.brief)}$", short, re.M), row.name
        assert f"\\fBlzr {row.name}\\fR" in man[: man.index(".SH DESCRIPTION")]
        assert f"\\fBlzr {row.name}\\fR" in commands
    for made in (completion.bash(), completion.zsh()):
        assert " ".join(NAMES) in made
    assert len({row.name for row in ALL}) == len(ALL) == len(SUBCOMMANDS) + 2


def test_help_knows_each_topic_it_completes() -> None:
    (row,) = (row for row in ALL if row.name == "help")
    own = {command.name for command in SUBCOMMANDS}
    for word in row.words.split():
        assert word in own or word in helptext.TOPICS, word
