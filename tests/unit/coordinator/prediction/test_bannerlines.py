"""Which lines of banners are features, over pages of banners."""

from __future__ import annotations

import numpy as np

from coordinator.prediction import bannerlines
from coordinator.prediction.bannerlines import LINES, PAGE, LineCounts


def codes_of(said: list[bytes], number: list[int] | None = None) -> tuple[LineCounts, list[list[int]]]:
    """The codes of banners, one of each host."""
    lines = LineCounts()
    hosts = np.arange(len(said)) if number is None else np.array(number)
    pages = [
        (np.arange(at, min(at + PAGE, len(said))), said[at : at + PAGE]) for at in range(0, len(said), PAGE)
    ]
    lines.count(pages, hosts)
    found = np.full((len(said), LINES), -9)
    for place, codes in lines.chosen(pages):
        found[place] = codes
    return lines, found.tolist()


def names(lines: LineCounts, codes: list[int]) -> list[str]:
    return [lines.name(code) for code in codes if code >= 0]


def test_the_rarest_lines_that_several_hosts_send_come_first() -> None:
    said = [b"HTTP/1.1 200 OK\r\nServer: a\r\n\r\n"] * 5 + [
        b"HTTP/1.1 200 OK\r\nServer: b\r\nonly here 1"
    ] * 2
    lines, codes = codes_of(said)
    assert names(lines, codes[0]) == ["Server: a", "HTTP/1.1 200 OK"]
    assert names(lines, codes[5]) == ["HTTP/1.1 200 OK"]  # two hosts are too few for the others


def test_a_line_that_one_host_sends_on_many_ports_is_none_of_several_hosts() -> None:
    lines, codes = codes_of([b"banner of one host"] * 4 + [b"banner of all"] * 4, [7] * 4 + [1, 2, 3, 4])
    assert codes[0] == [-1] * LINES
    assert names(lines, codes[4]) == ["banner of all"]


def test_lines_that_tell_of_the_moment_and_short_ones_are_left_out() -> None:
    said = [
        b"DATE: Mon, 23 Nov 2026 09:00:00 GMT\r\nset-cookie: s=1\nabc\n \tServer: x \t\r\nDateless: 1"
    ] * 4
    lines, codes = codes_of(said)
    assert sorted(names(lines, codes[0])) == ["Dateless: 1", "Server: x"]


def test_blanks_around_a_line_and_its_place_in_the_page_do_not_matter() -> None:
    said = [b"Server: nginx", b"x" * 900 + b"\n   server: nginx\r\n", b"\n\n\nServer: nginx\t", b"", b"\n"]
    _, codes = codes_of(said)
    assert codes[0][0] == codes[1][0] == codes[2][0] >= 0
    assert codes[3] == codes[4] == [-1] * LINES


def test_of_a_banner_with_the_same_line_twice_it_counts_once() -> None:
    said = [b"again and again\n" * 5 + b"once\n"] * 3
    _, codes = codes_of(said)
    assert len({code for code in codes[0] if code >= 0}) == 2
    assert codes[0][2] == -1


def test_more_than_a_page_of_the_largest_banners_is_counted_page_by_page() -> None:
    rng = np.random.default_rng(3)
    said = [rng.bytes(bannerlines.LOOK - 12) + b"\nshared line" for _ in range(PAGE + 3)]
    lines, codes = codes_of(said)
    assert names(lines, codes[0])[-1] == names(lines, codes[-1])[-1] == "shared line"
