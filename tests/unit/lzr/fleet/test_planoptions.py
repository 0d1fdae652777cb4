"""The options of a plan: each in one form, with whole names of files."""

from __future__ import annotations

import pytest

from lzr.errors import UsageError
from lzr.fleet.planoptions import (
    DECIDED,
    REFUSED,
    ZMAP_BARE,
    ZMAP_DECIDED,
    ZMAP_VALUED,
    check_zmap,
    flags,
    lists,
)
from lzr.options.parse import parse
from lzr.options.table import TABLE

WORDS = (
    *(
        "-handshakes",
        "http,tls",
        "-haf=3",
        "--no-pin",
        "-w",
        "flow=2,collect=1",
        "--allowlist-file",
        "a.conf",
    ),
    *("--allowlist-file", "/b.conf", "--enrich", "-rt", "0.5"),
)


def test_they_mean_the_same_and_name_whole_files() -> None:
    made = flags(WORDS, lambda name: name if name.startswith("/") else f"/there/{name}")
    assert parse(made) == parse(WORDS).replace(allowlist_file=("/there/a.conf", "/b.conf"))
    assert all(word.startswith("--") and "=" in word for word in made)
    assert flags(made, str) == made
    assert lists(made) == ("/there/a.conf", "/b.conf")


def test_each_option_is_named_as_the_table_has_it() -> None:
    known = {row.attr for row in TABLE} | {"config"}
    assert known >= REFUSED | set(DECIDED)
    assert not REFUSED & set(DECIDED)


@pytest.mark.parametrize(
    "words",
    [
        ("-p", "80", "192.0.2.0/24", "-P2", "--cores=0,1", "-X", "--probe-args", "-o", "-T", "2"),
        ("--target-port=80", "198.51.100.0/24", "--disable-syslog", "-v0"),
    ],
)
def test_what_zmap_may_be_called_with(words: tuple[str, ...]) -> None:
    check_zmap(words, "plan.toml")


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("--output-fil=/tmp/x", "--output-fil=/tmp/x is no flag"),  # ZMap takes it for --output-file
        ("-Xo/tmp/x", "-Xo/tmp/x is no flag"),  # -X and -o
        ("--vpn=1", "is no flag"),
        ("-l/tmp/x", "is no flag"),
        ("--metadata-file=/tmp/x", "is no flag"),
        ("-w", "-w is no flag"),
        ("-M", "-M is no flag"),
        ("-", "- is no flag"),
        ("--", "-- is no flag"),
        ("-o/tmp/x", "-o is decided by its output"),
        ("-s", "-s is decided by --source-port"),
        ("-P", "-P has no value"),
        ("--probes", "--probes has no value"),
    ],
)
def test_what_zmap_may_not_be_called_with(word: str, why: str) -> None:
    with pytest.raises(UsageError, match=rf"plan.toml: zmap: .*{why}"):
        check_zmap(("-p", "80", word), "plan.toml")


def test_a_flag_of_zmap_is_decided_or_free() -> None:
    assert not (ZMAP_VALUED | ZMAP_BARE) & set(ZMAP_DECIDED)
    assert not ZMAP_VALUED & ZMAP_BARE
