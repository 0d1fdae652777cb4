"""What is written twice, in two places, behind ``--``, or where a flag stands in a value's place."""

from __future__ import annotations

from lzr.errors import UsageError
from lzr.options.parse import parse
from tests.rows import every_row


def said(line: str, toml: bytes = b"") -> str:
    try:
        parse(line.split(" "), read=lambda _: toml)
    except UsageError as error:
        return str(error)
    return ""


@every_row(
    [
        ("-f --no-dashboard", "-f needs a value (FILE), but --no-dashboard is a flag"),
        ("-f -q", "-f needs a value (FILE), but -q is a flag"),
        ("-C -r 5", "-C needs a value (FILE), but -r is a flag"),
        ("-b -- ", "-b needs a value (FILE), but -- ends the flags"),
        ("-p 80 -- -q", "-q stands behind --, where there are no flags any more"),
        ("-- --", "--: flags only"),
        ("-C a -C b", "-C is given twice, with a and b; one file is read"),
        ("-w flow=1,flow=2", "names flow twice"),
        ("-p 80, 443 192.0.2.1", "-p takes its values without blanks: -p 80,443"),
        ("--shards 4 --shard 1, 2", "--shard takes its values without blanks"),
        ("-p - 192.0.2.1", "all ports are -p 0-65535"),
        ("-p all 192.0.2.1", "all ports are -p 0-65535"),
        ("-p http 192.0.2.1", "what is asked there is -handshakes http"),
        ("-p T:80 192.0.2.1", "write the numbers alone, as in -p 80"),
        ("-p 53/udp 192.0.2.1", "write the numbers alone"),
        ("-p 1024- 192.0.2.1", "write both ends: -p 1024-65535"),
        ("-p -1024 192.0.2.1", "write both ends: -p 1-1024"),
        ("-s 1024-", "write both ends: -s 1024-65535"),
        ("-n 1.2345K", "must be a whole number (K, M and G allowed)"),
        ("-n 1T", "must be a whole number (K, M and G allowed)"),
        ("-n 0K", "must be at least 1"),
        ("-N 99999999999G", "must be at most"),
        ("-e 10K", "must be a whole number"),
    ]
)
def test_mistakes(line: str, sentence: str) -> None:
    assert sentence in said(line)


@every_row(
    [
        (b"blocklist-file = 'a'\nblacklist-file = 'b'", "blocklist-file and blacklist-file say the same"),
        (b"blocklist-file = ['a']\nexclude-file = ['b']", "blocklist-file and exclude-file say the same"),
        (b"output-file = 'a'\noutput = 'b'", "output-file and output say the same: leave one out"),
        (b"workers = 'flow=2,collect=2'\ncollect-workers = 3", "workers and collect-workers say the same"),
        (b"output-file = ['a', 'b']", "output-file takes one value, not 2"),
        (b"notes = ['a', 'b']", "notes takes one value, not 2"),
    ]
)
def test_mistakes_of_the_configuration_file(toml: bytes, sentence: str) -> None:
    assert sentence in said("-C x", toml)


def test_behind_two_dashes_are_targets() -> None:
    got = parse(["-p", "80", "--", "192.0.2.1", "192.0.2.2"])
    assert got == parse(["-p", "80", "192.0.2.1", "192.0.2.2"])
    assert parse(["-p", "80", "192.0.2.1", "--"]).targets == ("192.0.2.1",)


def test_counts_have_units() -> None:
    got = parse(["-n", "10k", "-N", "1.5M", "--targets-total", "2G"])
    assert (got.max_targets, got.max_results, got.targets_total) == (10_000, 1_500_000, 2 * 10**9)


def test_lists_of_the_configuration_file_that_are_one_value() -> None:
    toml = (
        b"workers = ['flow=6', 'collect=2']\ntarget-ports = [80, '443-445']\n"
        b"targets = ['192.0.2.1']\nnotes = ['a']"
    )
    got = parse(["-C", "x"], read=lambda _: toml)
    assert (got.flow_workers, got.collect_workers, got.notes) == (6, 2, "a")
    assert got.target_ports == ((80, 80), (443, 445))


def test_the_command_line_chooses_between_a_log_and_its_directory() -> None:
    assert parse(["-C", "x", "-L", "d"], read=lambda _: b"log-file = 'x'").log_file is None
    assert parse(["-l", "f", "-C", "x"], read=lambda _: b"log-directory = 'x'").log_directory is None
    assert "not both" in said("-C x -q", b"log-file = 'x'\nlog-directory = 'y'")
