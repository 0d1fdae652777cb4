"""The options of a plan: each in one form, with whole names of files."""

from __future__ import annotations

from lzr.fleet.planoptions import DECIDED, REFUSED, flags, lists
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
