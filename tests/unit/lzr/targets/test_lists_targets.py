"""Input readers: any bytes, cut anywhere, in C and in Python, give the same rows, one fate each."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from lzr import addresses
from lzr.rows import TARGET, V4_MAPPED
from lzr.safetext import EXCERPT
from lzr.targets.dryrun import DryrunReader, FastDryrunReader
from lzr.targets.lines import LONGEST_LINE
from lzr.targets.lists import ListReader
from lzr.targets.reader import SHOWN, UNFOLDED, Batch, Reader
from lzr.targets.zmap import ZmapReader
from tests.effort import examples
from tests.rows import every_row
from tests.wire import kernels_of

LINE = (
    b'{ "saddr": "10.4.0.131", "daddr": "10.99.0.2", "sport": 9002, "dport": 47415,'
    b' "seqnum": -123, "acknum": 4294967295, "window": 29200 }\n'
)
GOOD: dict[str, Any] = {
    "saddr": "10.4.0.131",
    "daddr": "10.99.0.2",
    "sport": 9002,
    "dport": 47415,
    "seqnum": 5,
    "acknum": 6,
    "window": 7,
}
BLOCK = b"""tcp { source: 54638 | dest: 9002 | seq: 3050043809 | checksum: 0X9DB }
ip { saddr: 127.0.0.1 | daddr: 127.0.0.9 | checksum: 0XE99C }
eth { shost: 00:00:00:00:00:00 | dhost: 00:11:22:33:44:55 }
------------------------------------------------------
"""

ENOUGH = 50_000
"""Targets on a line that are too many for a test of many texts."""

READERS: list[Callable[[], Reader]] = [
    ZmapReader,
    ListReader,
    DryrunReader,
    FastDryrunReader,
]


def read(reader: Reader, pieces: Sequence[bytes]) -> Batch:
    """Everything a reader gives for an input, as one batch."""
    batches = []
    for piece in [*pieces, None]:
        batches.append(reader.finish() if piece is None else reader.feed(piece))
        if reader.coming > ENOUGH:
            reject()  # hypothesis has made a huge network
        while reader.pending:
            batches.append(reader.more())
            assert len(batches[-1].rows) <= 4 * UNFOLDED
    whole = Batch(
        np.concatenate([batch.rows for batch in batches]),
        np.sort(np.concatenate([batch.refused for batch in batches])),
        [one for batch in batches for one in batch.rejected],
        names=[one for batch in batches for one in batch.names],
    )
    for batch in batches:
        assert sum(batch.reasons.values()) == len(batch.refused)
        for reason, count in batch.reasons.items():
            whole.reasons[reason] = whole.reasons.get(reason, 0) + count
    return whole


def same(one: Batch, other: Batch) -> None:
    assert one.rows.tobytes() == other.rows.tobytes()
    assert one.refused.tolist() == other.refused.tolist()
    assert one.rejected == other.rejected
    assert one.reasons == other.reasons
    assert one.names == other.names


def one_fate_each(batch: Batch) -> None:
    named = [n for one in batch.names for n in range(one.ordinal, one.ordinal + one.left)]
    fates = sorted(batch.rows["line"].tolist() + batch.refused.tolist() + named)
    assert fates == list(range(len(fates)))
    assert len(batch.rejected) <= min(SHOWN, len(batch.refused))
    assert bool(batch.rejected) == bool(len(batch.refused))
    for rejected in batch.rejected:
        assert len(rejected.excerpt) <= EXCERPT
        assert all(" " <= char <= "~" for char in rejected.excerpt)


def zmap(text: bytes) -> Batch:
    return read(ZmapReader(), [text])


def listed(text: bytes) -> Batch:
    return read(ListReader(), [text])


# --- ZMap JSON ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("kernels")
def test_signed_sequence_numbers_are_masked() -> None:
    (row,) = zmap(LINE).rows
    assert row["seq"] == 2**32 - 123
    assert row["ack"] == 2**32 - 1
    assert (row["peer_hi"], row["peer_lo"]) == addresses.parse("10.4.0.131")
    assert (row["own_hi"], row["own_lo"]) == addresses.parse("10.99.0.2")
    assert (row["peer_port"], row["own_port"], row["window"], row["syn"]) == (9002, 47415, 29200, 0)


def variants() -> list[tuple[str, bytes]]:
    """Lines that must be refused, and why."""
    lines = [("is missing", {**GOOD, name: None}) for name in GOOD]
    lines += [("is missing", {key: value for key, value in GOOD.items() if key != name}) for name in GOOD]
    for name in ("sport", "dport", "seqnum", "acknum", "window"):
        for value in (True, 1.0, "1", [1], {"a": 1}, 2**32, -(2**31) - 1, 10**30):
            lines.append(("whole number", {**GOOD, name: value}))
    lines += [("whole number", {**GOOD, "sport": value}) for value in (65536, 99999, -1)]
    lines += [("whole number", {**GOOD, "window": value}) for value in (-1, 65536)]
    lines += [
        (reason, {**GOOD, "saddr": value})
        for reason, value in [
            ("not an address", "10.0.0.256"),
            ("not an address", "10.0.0.01"),
            ("not an address", "10.0.0"),
            ("not an address", "example.com"),
            ("not an address", ""),
            ("not an address", "fe80::1%eth0"),
            ("strings", 167772161),
            ("unspecified", "0.0.0.0"),
            ("multicast", "224.0.0.1"),
            ("multicast", "::ffff:239.1.2.3"),
            ("broadcast", "255.255.255.255"),
            ("families", "2001:db8::1"),
        ]
    ]
    lines += [
        (reason, {**GOOD, "saddr": value, "daddr": "2001:db8::2"})
        for reason, value in [("unspecified", "::"), ("multicast", "ff02::1"), ("families", "1.2.3.4")]
    ]
    texts = [(reason, json.dumps(line).encode()) for reason, line in lines]
    good = json.dumps(GOOD)
    return [
        *texts,
        ("twice", good.replace('"sport": 9002', '"sport": 9002, "sport": 9002').encode()),
        ("twice", good.replace('"sport": 9002', '"sport": 9002, "\\u0073port": 1').encode()),
        ("not a JSON object", b"[" + good.encode() + b"]"),
        ("not a JSON object", b"null"),
        ("not a JSON object", b"10.0.0.1:80"),
        ("not JSON", good.encode()[:-1]),
        ("not JSON", good.encode() + b"x"),
        ("not JSON", good.encode() + good.encode()),
        ("not JSON", good.encode().replace(b"9002", b"09002")),
        ("not JSON", good.encode().replace(b"9002", b"+9002")),
        ("not JSON", good.encode().replace(b"9002", b"NaN")),
        ("not JSON", b'{"x": "\xff", ' + good.encode()[1:]),
        ("not JSON", b"{" * 5000),
        ("not JSON", b'{"a":' + b"[" * 100000),
        ("is missing", b"{}"),
        ("longer", b'{"x": "' + b"y" * LONGEST_LINE + b'", ' + good.encode()[1:]),
    ]


@pytest.mark.usefixtures("kernels")
@every_row(variants())
def test_a_line_that_is_not_understood_is_refused(reason: str, line: bytes) -> None:
    batch = zmap(line + b"\n" + LINE)
    assert batch.refused.tolist() == [0]
    assert reason in batch.rejected[0].reason or (
        reason == "not JSON" and "longer" in batch.rejected[0].reason
    )
    assert batch.rejected[0].number == 1
    assert batch.rows["line"].tolist() == [1]


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(
    "line",
    [
        json.dumps(dict(reversed(GOOD.items()))),
        json.dumps(GOOD, separators=(",", ":")),
        "\t {" + json.dumps(GOOD)[1:-1].replace(":", "\t: ") + " }\r",
        json.dumps(
            {**GOOD, "x": None, "y": [1, {"sport": 3}], "z": 1.5, "w": "\u00e9\\", "v": True, "u": "a b"}
        ),
        json.dumps(GOOD).replace('"saddr"', '"s\\u0061ddr"'),
        json.dumps({**GOOD, "ttl": "x"}),
    ],
)
def test_order_blanks_and_extra_keys_do_not_matter(line: str) -> None:
    assert zmap(line.encode() + b"\n").rows.tolist() == zmap(json.dumps(GOOD).encode()).rows.tolist()


@pytest.mark.usefixtures("kernels")
def test_ipv6_and_ttl() -> None:
    line = json.dumps({**GOOD, "saddr": "2001:db8::1", "daddr": "2001:DB8:0::2", "ttl": 55})
    (row,) = zmap(line.encode()).rows
    assert (row["peer_hi"], row["peer_lo"]) == (0x20010DB8 << 32, 1)
    assert (row["own_hi"], row["own_lo"], row["ttl"]) == (0x20010DB8 << 32, 2, 55)


@pytest.mark.usefixtures("kernels")
def test_zmap_csv() -> None:
    text = b"\xef\xbb\xbf\nsuccess,saddr,daddr,sport,dport,seqnum,acknum,window\n"
    text += b"1,10.4.0.131,10.99.0.2,9002,47415,5,6,7\n1,10.4.0.131,10.99.0.2,9002,,5,6,7\n1,2\n"
    batch = zmap(text)
    assert batch.rows.tolist() == zmap(json.dumps(GOOD).encode()).rows.tolist()
    assert [one.reason for one in batch.rejected] == [
        "dport is missing",
        "not as many columns as the heading has",
    ]
    assert [one.number for one in batch.rejected] == [4, 5]


# --- lists -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("kernels")
@every_row(
    [
        ("1.2.3.4:80", "1.2.3.4", 80),
        ("1.2.3.4;65535", "1.2.3.4", 65535),
        ("1.2.3.4,1", "1.2.3.4", 1),
        (" 1.2.3.4 , 80 \r", "1.2.3.4", 80),
        ("1.2.3.4:80 # why", "1.2.3.4", 80),
        ("1.2.3.4:80#why", "1.2.3.4", 80),
        ("1.2.3.4:080", "1.2.3.4", 80),
        ("[2001:db8::1]:443", "2001:db8::1", 443),
        ("[::1];443", "::1", 443),
        ("2001:db8::1,443", "2001:db8::1", 443),
        ("2001:db8::1;443", "2001:db8::1", 443),
        ("[::ffff:1.2.3.4]:443", "1.2.3.4", 443),
    ]
)
def test_list_lines(line: str, address: str, port: int) -> None:
    (row,) = listed(line.encode()).rows
    assert (row["peer_hi"], row["peer_lo"]) == addresses.parse(address)
    assert (row["peer_port"], row["syn"], row["own_lo"], row["own_port"]) == (port, 1, 0, 0)


@pytest.mark.usefixtures("kernels")
@every_row(
    [
        ("1.2.3.4", "no port"),
        ("exa mple.com:80", "not an address and a port"),
        ("1.2.3.4:0", "65535"),
        ("1.2.3.4:65536", "65535"),
        ("1.2.3.4:99999999999999999999", "65535"),
        ("1.2.3.4:-1", "65535"),
        ("1.2.3.4:+80", "65535"),
        ("1.2.3.4,80,5", "several ports are written"),
        ("1.2.3.4:8 0", "65535"),
        ("2001:db8::1:80", "brackets"),
        ("[2001:db8::1]", "no port"),
        ("[2001:db8::1:80", "brackets"),
        ("[fe80::1%lo]:80", "not an address"),
        ("0.0.0.0:80", "unspecified"),
        ("255.255.255.255:80", "broadcast"),
        ("224.0.0.1:80", "multicast"),
        ("[ff02::1]:80", "multicast"),
        ('{"saddr": "1.2.3.4"}', "without saddr and sport"),
        ("1.2.3.4:\u0663", "65535"),
    ]
)
def test_list_lines_that_are_refused(line: str, reason: str) -> None:
    batch = listed(line.encode() + b"\n")
    assert not len(batch.rows)
    assert reason in batch.rejected[0].reason


@pytest.mark.usefixtures("kernels")
def test_blank_lines_comments_and_a_heading_are_no_inputs() -> None:
    batch = listed(b"\n# a\nSaddr,sport\n\r\n1.2.3.4,80\n  \n #b\nx\n")
    assert batch.rows["line"].tolist() == [0]
    assert batch.refused.tolist() == [1]
    assert batch.rejected[0].number == 8


@pytest.mark.usefixtures("kernels")
def test_an_endless_line_is_not_kept() -> None:
    reader = ListReader()
    for _ in range(100):
        reader.feed(b"7" * 100_000)
    assert len(reader._tail) <= LONGEST_LINE + 1
    batch = reader.feed(b"\n1.2.3.4:80\n")
    assert batch.refused.tolist() == [0]
    assert batch.rows["line"].tolist() == [1]


@pytest.mark.usefixtures("kernels")
def test_few_texts_are_kept_and_all_are_counted() -> None:
    batch = listed(b"\x1b[2Jx:1\n" * 1000)
    assert len(batch.refused) == sum(batch.reasons.values()) == 1000
    assert len(batch.rejected) == SHOWN
    assert batch.rejected[0].excerpt == ".[2Jx:1"


# --- dry runs ----------------------------------------------------------------------------------------------


def test_dry_run_of_zmap_2_and_4() -> None:
    ip_mode = BLOCK.replace(b"eth { shost: 00:00:00:00:00:00 | dhost: 00:11:22:33:44:55 }\n", b"")
    six = ip_mode.replace(
        b"ip { saddr: 127.0.0.1 | daddr: 127.0.0.9 | checksum: 0XE99C }",
        b"ip6 { saddr: ::1 | daddr: 2001:db8::9 | nxthdr: 6 }",
    )
    batch = read(DryrunReader(), [BLOCK + ip_mode + six])
    assert batch.rows["line"].tolist() == [0, 1, 2]
    assert batch.rows["peer_port"].tolist() == [9002] * 3
    assert batch.rows["peer_lo"].tolist() == [V4_MAPPED | 0x7F000009] * 2 + [9]
    assert batch.rows["syn"].all()
    assert not batch.rows["own_lo"].any()
    assert not batch.rows["own_port"].any()


def test_dry_run_blocks_are_whole_or_refused() -> None:
    lines = BLOCK.splitlines(keepends=True)
    text = b"".join([*lines[1:], *lines, lines[0], lines[3], b"junk\n", *lines[:2]])
    batch = read(DryrunReader(), [text])
    assert batch.rows["line"].tolist() == [1, 4]  # the last one lacks only its dashes
    assert [one.reason for one in batch.rejected] == [
        "a dry-run block without a tcp line",
        "a dry-run block without an ip line",
        "not a line of ZMap's dry run",
    ]
    refused = read(DryrunReader(), [BLOCK.replace(b"127.0.0.9", b"224.0.0.9") + BLOCK.replace(b"9002", b"0")])
    assert not len(refused.rows)
    assert len(refused.refused) == 2


def test_fast_dry_run() -> None:
    batch = read(
        FastDryrunReader(), [b"\x0a\x00\x00\x01\x00\x50", b"\xe0\0\0\1\0\x50\x0a\0\0\2\0\0", b"\1\2"]
    )
    assert batch.rows.tolist() == listed(b"10.0.0.1:80").rows.tolist()
    assert [one.reason for one in batch.rejected] == [
        "not the address of one host",
        "port 0",
        "cut short: a record is six bytes",
    ]


# --- any bytes, cut anywhere -------------------------------------------------------------------------------

_MARKS = b'{ } " : , - 0 9 \\ # ] saddr "ttl":300, "saddr":"::", ::ffff:1.2.3.4'.split()
FORMS = (
    *(b"example.com:80", b"10.0.0.1 80", b"10.0.0.1\t80", b'"10.0.0.1","80"', b"10.0.0.1,,http,80"),
    *(
        b"10.0.0.0/30:80,443,8000-8003",
        b"10.0.0.1-10.0.0.9:80",
        b"[2001:db8::/126]:1-3",
        b"0.0.0.0/30:1-2",
    ),
    *(b"http://10.9.0.10:9002/x", b"https://host/", b"Host: 10.0.0.1 ()\tPorts: 80/open/tcp//http///"),
    *(b"open tcp 80 10.0.0.1 1700000000", b"Host: 10.0.0.1 ()\tStatus: Up", b"[", b"],"),
    b'{"ip": "10.0.0.1", "ports": [{"port": 80, "proto": "tcp", "status": "open"}, {"port": 81}]},',
    *(b"ip,port", b"saddr", b"port;ip", b"success,saddr,sport", b'{"host":"a.b","port":5}'),
)
_words = st.sampled_from(
    [
        *FORMS,
        *(LINE.strip(), json.dumps(GOOD).encode(), b"1.2.3.4:80", b"[::1]:80", b"2001:db8::1,5"),
        *(b" ", b"\r", b"\xff", b"\xef\xbb\xbf", b"a" * 70, b"a" * (LONGEST_LINE + 5)),
        *_MARKS,
        *BLOCK.splitlines(),
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good line with a piece cut out, doubled or replaced."""
    line = draw(
        st.sampled_from([LINE.strip(), json.dumps({**GOOD, "saddr": "::1", "daddr": "::2"}).encode()])
    )
    line = draw(st.sampled_from([line, b"10.20.30.40:8080", b"[2001:db8:0:1::2]:443", b"1::2;3", *FORMS]))
    at = draw(st.integers(0, len(line)))
    to = draw(st.integers(at, min(len(line), at + 12)))
    return line[:at] + draw(st.one_of(st.binary(max_size=4), _words, st.just(line[at:to] * 2))) + line[to:]


texts = st.lists(st.one_of(_words, mutated(), st.binary(max_size=30)), max_size=12).flatmap(
    lambda words: st.lists(
        st.sampled_from([b"\n", b"\n", b"\r\n", b"", b" ", b"\n\n"]),
        min_size=len(words),
        max_size=len(words),
    ).map(lambda ends: b"".join(word + end for word, end in zip(words, ends, strict=True)))
)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("make", READERS, ids=["zmap", "list", "dry", "fast"])
@settings(max_examples=examples(100), deadline=None)
@given(text=texts, cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_any_cut_gives_the_same(make: Callable[[], Reader], text: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    pieces = [text[start:stop] for start, stop in itertools.pairwise(edges)]
    whole = read(make(), [text])
    same(read(make(), pieces), whole)
    one_fate_each(whole)
    assert (whole.rows["peer_port"] > 0).all()


@pytest.mark.native
@pytest.mark.parametrize("kind", [ZmapReader, ListReader])
@settings(max_examples=examples(250), deadline=None)
@given(text=texts)
def test_native_and_python_agree(kind: type[ZmapReader] | type[ListReader], text: bytes) -> None:
    native = read(kind(), [text])
    with kernels_of("python"):
        same(native, read(kind(), [text]))


_ipv6ish = st.lists(
    st.sampled_from([":", "::", "0", "1", "ffff", "12345", "1.2.3.4", "01", "g", "%1"]), max_size=18
)


@pytest.mark.native
@settings(max_examples=examples(250), deadline=None)
@given(parts=_ipv6ish)
def test_ipv6_text_is_read_alike(parts: list[str]) -> None:
    line = f"[{''.join(parts)}]:80\n".encode()
    native = listed(line)
    with kernels_of("python"):
        same(native, listed(line))


def test_rows_have_the_agreed_form() -> None:
    for make in READERS:
        assert make().feed(b"").rows.dtype == TARGET
