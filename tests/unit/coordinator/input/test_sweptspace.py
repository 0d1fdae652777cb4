"""What a command line asks to be swept, and what is refused before a packet is sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from coordinator.checkpoint.resumecommand import command
from coordinator.files.filereader import FileReader
from coordinator.input.awaiting import typed
from coordinator.input.sweptspace import Sweep, limited, swept
from lzr.addresstext import ranges_of
from lzr.errors import UsageError
from lzr.options.parse import parse
from lzr.targets.blocklist import Blocklist
from tests import ROOT

READER = FileReader(lambda seconds: False, lambda sentence: None)


def lookup(name: str) -> list[Any]:
    if name != "www.example.org":
        raise OSError(-2, "Name or service not known")
    return [(2, 1, 6, "", ("192.0.2.7", 0)), (10, 1, 6, "", ("2001:db8::7", 0, 0, 0))]


def made(*words: str, blocklist: str = "", allowlist: str | None = None, begun: bytes = b"") -> Sweep:
    policy = Blocklist.parse(blocklist, allowlist) if blocklist or allowlist is not None else None
    return swept(parse(["-p", "80,443", *words]), READER, policy, 5, begun, lookup)


def test_names_are_told_with_their_addresses() -> None:
    told: list[str] = []
    options = parse(["-p", "80", "www.example.org", "192.0.2.9"])
    assert swept(options, READER, None, 5, b"", lookup, told.append).share.space.addresses == 3
    assert told == ["www.example.org stands for 192.0.2.7, 2001:db8::7"]
    names = ",".join(f"host{number}.example.org" for number in range(25))
    many = [(2, 1, 6, "", (f"198.51.100.{number}", 0)) for number in range(12)]
    told.clear()
    swept(parse(["-p", "80", names]), READER, None, 5, b"", lambda name: many, told.append)
    assert told[0].endswith(" and 2 more")
    assert told[10:] == ["15 names more stand for addresses of their own"]


def test_subnets_ranges_names_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("198.51.100.0/30  # ours\nwww.example.org\n")
    sweep = made("192.0.2.0/29", "192.0.2.4-15", "www.example.org", "--targets-file", str(file))
    assert sweep.total == 2 * (16 + 4 + 1)
    assert sweep.sentence == "42 pairs: 21 addresses, 2 ports"


def test_who_is_blocked_or_not_allowed_is_not_in_it_and_that_is_said() -> None:
    isatap = made("2001:db8::5efe:192.0.2.1,2001:db8::1", blocklist="192.0.2.0/24")
    assert isatap.sentence == "2 pairs: 1 address, 2 ports; 1 blocked, not allowed or nobody's are left out"
    sweep = made("192.0.2.0/24", blocklist="192.0.2.0/28", allowlist="192.0.2.0/27")
    assert sweep.total == 32
    assert (
        sweep.sentence == "32 pairs: 16 addresses, 2 ports; 240 blocked, not allowed or nobody's are left out"
    )
    with pytest.raises(UsageError, match="nothing is left to sweep"):
        made("192.0.2.0/24", blocklist="192.0.0.0/16")


def test_it_is_known_again_by_its_text() -> None:
    first = made("192.0.2.0/24")
    assert first.text == made("192.0.2.0-192.0.2.255").text
    assert first.text != made("192.0.2.0/25").text
    stream = first.stream()
    assert stream.read() == first.text
    assert stream.read() == b""
    os.close(stream.descriptor)
    order = first.share.order
    options = parse(["-p", "80,443", "192.0.2.0/24"])
    other = swept(options, READER, None, 6)
    assert other.share.order != order
    resumed = swept(options, READER, None, 6, begun=first.text)
    assert resumed.text == first.text
    assert resumed.share.order == order


def test_so_many_pairs_and_no_printers() -> None:
    assert made("192.0.2.0/24", "-n", "100").total == 100
    assert made("192.0.2.0/24", "-n", "1000").total == 512
    assert made("192.0.2.0/24", "-n", "12.5%").total == 64
    assert made("192.0.2.0/24", "-n", "0.5%").total == 2
    assert made("192.0.2.0/24", "-n", "100%").total == 512
    assert made("192.0.2.0/24", "-n", "1e-9%").total == 1
    boxes = [
        made("192.0.2.0/24", "-n", "12.5%", "--shards", "3", "--shard", str(box), "-e", "9").total
        for box in range(3)
    ]
    assert boxes == [21, 21, 21]  # of 171, 171 and 170
    blocked = made("192.0.2.0/24", "-n", "50%", blocklist="192.0.2.0/25")
    assert blocked.total == 128


@pytest.mark.parametrize(
    ("total", "limit", "found"),
    [
        (7, None, 7),
        (7, 3, 3),
        (7, 9, 7),
        (1000, "0.1%", 1),
        (1000, "0.7%", 7),
        (1 << 48, "33.3%", (1 << 48) * 333 // 1000),
        (1 << 48, "100%", 1 << 48),
    ],
)
def test_a_share_is_exact(total: int, limit: int | str | None, found: int) -> None:
    assert limited(total, limit) == found


@pytest.mark.parametrize(("more", "pairs"), [((), 2 * 94), (("--allow-printers",), 2 * 102)])
def test_printers_are_spared(more: tuple[str, ...], pairs: int) -> None:
    options = parse(["-p", "80,9100-9200", "192.0.2.0/31", *more])
    sweep = swept(options, READER, None, 5)
    assert sweep.total == pairs
    assert sweep.sentence.endswith("; 8 ports of printers left out") == (not more)
    if not more:
        with pytest.raises(UsageError, match="--allow-printers"):
            swept(parse(["-p", "9100", "192.0.2.0/31"]), READER, None, 5)


def test_boxes_with_one_seed_share_it_out() -> None:
    sweeps = [made("192.0.2.0/24", "--shards", "2", "--shard", str(box), "-e", "9") for box in range(2)]
    assert [sweep.total for sweep in sweeps] == [256, 256]
    assert "of these 256 are ours" in sweeps[0].sentence
    assert sweeps[0].text != sweeps[1].text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("10.0.0.0/8",), "say whom not to contact, with --blocklist-file FILE"),
        (("2001:db8::/64",), "more than can be swept"),
        (("www.example.com",), "www.example.com is no network, and no name that has an address"),
        (("--targets-file", "/nonexistent"), "nonexistent"),
    ],
)
def test_what_is_refused(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        made(*words)


def test_the_list_that_is_shipped_leaves_a_large_sweep_nothing_special() -> None:
    text = (ROOT / "etc/blocklist.conf").read_text()
    options = parse(["-p", "80", "0.0.0.0/0", "-b", str(ROOT / "etc/blocklist.conf")])
    sweep = swept(options, READER, Blocklist.parse(text), 5)
    assert 3_700_000_000 < sweep.total < 3_710_000_000
    public = Blocklist.parse(text)
    for address in ("9.9.9.9", "192.0.0.9", "2620:fe::fe", "2001:4860::8888", "64:ff9b::808:808"):
        (first, _), *_ = ranges_of(address)
        assert public.blocked is not None
        assert not any(low <= first <= high for low, high in public.blocked.ranges()), address


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("-p 80", "which addresses\\?"),
        ("192.0.2.0/24", "on which ports\\?"),
        ("--targets-file x", "on which ports\\?"),
        ("-p 80 -I list 192.0.2.0/24", "a sweep reads no input"),
        ("-p 80 --shards 2 192.0.2.0/24", "the same --seed"),
        ("-p 80-70 192.0.2.0/24", "first port is above its last"),
        ("-p 65536 192.0.2.0/24", "from 0 to 65535"),
        ("-p http 192.0.2.0/24", "as in 80,443,8000-8100"),
        ("-p 80 192.0.2.0/33", "192.0.2.0/33 is no address, network"),
        ("-p 80 192.0.2.1:80", "its ports are said with -p"),
        ("-p 80 networks.txt", "networks.txt"),
        ("-p 80 192.0.2.0/24 -ipv6 true", "-ipv6 takes no separate value"),
        ("-p 80 192.0.2.0/24 -quiet yes", "-quiet takes no separate value"),
        ("-p 80 http", "http: a name on the command line has a dot; any other goes into a --targets-file"),
    ],
)
def test_mistakes_of_a_command_line(line: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse(line.split())


def test_nobody_is_asked_to_type_or_give_an_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda descriptor: True)
    monkeypatch.setattr(os, "ttyname", lambda descriptor: "/dev/pts/0")
    options = parse(["-p", "80", "192.0.2.0/24", "--checkpoint", "state"])
    assert not typed(options)
    assert typed(parse(["-sendSYNs"]))
    assert command(options, "lzr", None) == "lzr --resume state"
    assert command(options, "lzr", "/tmp/list") == "lzr --resume state"


def test_ports_and_subnets_wherever_they_stand() -> None:
    options = parse(["192.0.2.0/24", "-p", "80,8000-8100", "-r", "5K", "2001:db8::/120", "www.example.org"])
    assert options.targets == ("192.0.2.0/24", "2001:db8::/120", "www.example.org")
    assert options.target_ports == ((80, 80), (8000, 8100))
    assert options.send_syns
    assert parse(["-p", "*", "192.0.2.1"]).target_ports == ((0, 65535),)
    assert parse(["--target-port=80", "--targets", "192.0.2.1,192.0.2.2"]).targets == (
        "192.0.2.1",
        "192.0.2.2",
    )
