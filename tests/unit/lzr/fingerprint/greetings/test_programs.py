"""The table of names: each line is well formed, and leads to its name."""

from __future__ import annotations

from lzr.fingerprint.greetings.lookup import named
from lzr.fingerprint.greetings.programs import TABLE
from tests.rows import every_row

ROWS = [
    (letter, *line.split(" ", 2)[1:]) for line in TABLE.split("\n") if line for letter in line.split(" ")[0]
]


def test_every_line_is_three_parts_and_none_is_there_twice() -> None:
    for line in filter(None, TABLE.split("\n")):
        letters, words, name = line.split(" ", 2)
        assert set(letters) <= set("fspinct")
        assert len(set(letters)) == len(letters)
        assert words == words.lower()
        assert name == name.strip() != ""
    assert len({(letter, words) for letter, words, _ in ROWS}) == len(ROWS)


@every_row(ROWS)
def test_each_needle_leads_to_its_name(letter: str, words: str, name: str) -> None:
    text = b"220 " + words.replace("_", " ").capitalize().encode() + b" ready"
    found, version = named(letter, text)
    assert (found, version if not words[-1:].isdigit() else "") == (name, "")


@every_row(ROWS)
def test_nothing_is_found_in_the_middle_of_a_word(letter: str, words: str, name: str) -> None:
    needle = words.replace("_", " ").encode()
    assert (
        named(letter, b"220 xx" + needle.replace(b" ", b"xx ") + b"xx ready")[0] != name
        or needle[:1] in b"(!"
    )
