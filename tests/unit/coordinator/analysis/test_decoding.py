"""Lines into columns: the quick way in C and the one in Python read the same, whatever the lines are."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from coordinator.analysis import decoding
from coordinator.analysis.decoding import Decoder
from coordinator.analysis.reading import connect, transfer
from coordinator.analysis.values import nanoseconds
from lzr.analysis.columns import table
from tests import madescans

LINES = [
    '{"saddr":"192.0.2.1"}', '{}', '{', '', ' ', '{"sport":1}', '{"sport":1,"saddr":"192.0.2.1"}',
    '{"saddr":"192.0.2.01"}', '{"saddr":"192.0.2.256"}', '{"saddr":"::ffff:192.0.2.1","daddr":"::1:1"}',
    '{"saddr":"2001:DB8:0:0:0:0:0:1","daddr":"2001:0db8::0001"}', '{"saddr":"fe80::1%eth0"}',
    '{"saddr":""}', '{"saddr":"::","sport":0,"window":65535,"seqnum":4294967295,"ttl":255}',
    '{"saddr":"::","ttl":256}', '{"saddr":"::","seqnum":4294967296}', '{"saddr":"::","sport":00}',
    '{"saddr":"::","sport":1e1}', '{"saddr":"::","sport":-1}',
    '{"saddr":"::","sport":99999999999999999999}', '{"saddr":"::","ACK":null}', '{"saddr":"::","ACK":True}',
    '{"saddr":"::","ACK":truest}', '{"saddr":"::","ACK":false,"truncated":true}',
    '{"saddr":"::","saddr":"::1"}', '{"saddr":"::","data":"a","data":"\\u00e9"}', '{"saddr":"::","x":1}',
    '{"saddr":"::","product":"\\u00e9\\u0080\\u007f\\u00ff"}', '{"saddr":"::","product":"\\u0100"}',
    '{"saddr":"::","data":"\\u00fF\\/\\b\\f\\n\\r\\t\\"\\\\"}', '{"saddr":"::","data":"\\x"}',
    '{"saddr":"::","data":"\\u00g0"}', '{"saddr":"::","data":"\\u00', '{"saddr":"::","data":"\\',
    '{"saddr":"::","data":"', '{"saddr":"::"}}', '{"saddr":"::"}{"saddr":"::"}', '{"saddr":"::"},',
    '{"saddr":"::","product":"\x7f"}', '{"saddr":"::","product":"\x1f"}', '{"saddr":"::","product":"é"}',
    '{ "saddr":"::"}', '{"saddr" : "::"}', '{"saddr":"::"}\r', '{"saddr":"::","asn":1,"country":"CH"}',
    *(
        f'{{"saddr":"::","Timestamp":"{moment}"}}'
        for moment in (
            "1970-01-01T00:00:00.000000000Z", "1969-12-31T23:59:59.999999999Z",
            "2000-02-29T12:34:56.789012345Z", "1900-02-29T00:00:00.000000000Z",
            "2100-02-29T00:00:00.000000000Z", "2026-02-29T00:00:00.000000000Z",
            "2026-13-01T00:00:00.000000000Z", "2026-00-01T00:00:00.000000000Z",
            "2026-04-31T00:00:00.000000000Z", "2026-04-30T24:00:00.000000000Z",
            "2026-04-30T23:60:00.000000000Z", "2026-04-30T23:59:60.000000000Z",
            "2261-12-31T23:59:59.999999999Z", "2262-04-11T23:47:16.854775807Z",
            "2262-04-11T23:47:16.854775808Z", "0001-01-01T00:00:00.000000000Z",
            "9999-12-31T23:59:59.999999999Z", "2026-04-30T23:59:59Z",
            "2026-04-30T23:59:59.5+02:00", "2026-04-30 23:59:59.123456789Z",
            "2026-04-3xT23:59:59.123456789Z", "",
        )
    ),
]  # fmt: skip


def read(chunk: bytes, *, quick: bool) -> tuple[list[Any], int, int]:
    connection = connect()
    connection.execute(table("records"))
    decoder = Decoder("json")
    with pytest.MonkeyPatch.context() as patch:
        if not quick:
            patch.setattr(decoding, "_QUICK", None)
        transfer(connection, decoder.batches(chunk), "records")
    rows = connection.execute("SELECT * REPLACE (epoch_ns(Timestamp) AS Timestamp) FROM records").fetchall()
    return rows, decoder.counts.records, decoder.counts.unreadable


@pytest.mark.native
def test_both_ways_read_the_same() -> None:
    rng = random.Random(7)
    lines = [line.encode() for line in LINES]
    for record in [*madescans.records(300, enrich=True), *madescans.hostile()]:
        line = madescans.line(record).encode().rstrip()
        lines.append(line)
        for _ in range(3):
            torn = bytearray(line)
            for _ in range(rng.randrange(1, 3)):
                at = rng.randrange(len(torn))
                torn[at] = rng.choice(b'"\\{}:,0123456789tfnu \x00\x7f\xe9/')
            lines.append(bytes(torn).replace(b"\n", b""))
        lines.append(line[: rng.randrange(len(line))])
    for order in range(3):
        rng.shuffle(lines)
        chunk = b"\n".join(lines) + (b"\n" if order else b"")
        quick, slow = read(chunk, quick=True), read(chunk, quick=False)
        assert quick == slow
        assert len(quick[0]) > 300


@pytest.mark.native
def test_each_byte_is_read_the_same_wherever_it_stands() -> None:
    """Eight bytes are looked at at once."""
    lines = []
    for place in range(18):
        for byte in range(256):
            text = b"x" * place + bytes([byte]) + b"yz" * 6
            if byte != 10:
                lines.append(b'{"saddr":"10.0.0.1","product":"%s"}' % text)
            lines.append(b'{"saddr":"10.0.0.1","data":%s}' % json.dumps(text.decode("latin-1")).encode())
    chunk = b"\n".join(lines) + b"\n"
    assert read(chunk, quick=True) == read(chunk, quick=False)


@pytest.mark.native
def test_what_we_write_is_read_the_quick_way() -> None:
    """Or nobody would notice that it is not."""
    chunk = "".join(
        map(madescans.line, [*madescans.records(500, enrich=True), *madescans.hostile()])
    ).encode()
    pieces = list(Decoder("json").pieces(chunk))
    assert [whole for _, _, whole in pieces] == [True]
    assert pieces[0][0] == chunk


@pytest.mark.native
def test_lines_that_end_in_crlf_are_read_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(map(madescans.line, madescans.records(50)))
    wanted = read(lines.encode(), quick=True)
    monkeypatch.delattr(Decoder, "batch")
    assert read(lines.replace("\n", "\r\n").encode(), quick=True) == wanted


def test_times() -> None:
    assert nanoseconds("1970-01-01T00:00:00Z") == 0
    assert nanoseconds("1970-01-01T01:00:00.5+01:00") == 500_000_000
    assert nanoseconds("1969-12-31t23:59:59.999999999z") == -1
    for text in (
        "",
        "now",
        "2026-02-30T00:00:00Z",
        "2026-01-01",
        "9999-01-01T00:00:00Z",
        "2026-01-01T00:00:00+1:0",
    ):
        with pytest.raises(ValueError, match=r"time|range|day|must"):
            nanoseconds(text)


def test_a_long_reply_in_csv() -> None:
    """A byte may take four characters there: a module's limit of 131,072 is less than 33 KB of them."""
    reply = bytes(range(128, 256)) * 300
    text = madescans.as_csv([{"saddr": "10.0.0.1", "data": reply.decode("latin-1")}], ("saddr", "data"))
    assert len(text) > 131_072
    decoder = Decoder("csv")
    (batch,) = decoder.batches(text.encode())
    assert (batch.rows, decoder.counts.unreadable) == (1, 0)


def test_lines_of_csv_and_feed_give_what_json_gives() -> None:
    made = list(madescans.records(50))
    fields = ("saddr", "sport", "fingerprint")
    wanted = [(record["saddr"], record["sport"], record["fingerprint"]) for record in made]
    feed = "".join(f"{record['saddr']},,{record['fingerprint']},{record['sport']}\n" for record in made)
    for form, text in (
        ("csv", madescans.as_csv(made, fields)),
        ("feed", feed),
        ("json", "".join(json.dumps({name: record[name] for name in fields}) + "\n" for record in made)),
    ):
        connection = connect()
        connection.execute(table("records"))
        transfer(connection, Decoder(form).batches(text.encode()), "records")
        assert connection.execute("SELECT saddr, sport, fingerprint FROM records").fetchall() == wanted, form


@pytest.mark.parametrize(
    ("form", "lines", "number"),
    [
        ("json", ['{"saddr":"::"}', "", "", '{"other":1}', '{"saddr":"::"}'], 4),
        ("json", ['{"saddr":"::","x":1}', "", '{"saddr":"::1::"}', '{"saddr":"::"}'], 3),
        ("json", ['{"saddr":"::"}{"saddr":"::"}', '{"saddr":"::"}', '{"saddr":"1.2.3"}'], 3),
        ("csv", ["saddr,sport", "::,1", "", "1.2.3,1"], 4),
        ("feed", ["192.0.2.1,,http,80", "", "192.0.2.256,,http,80"], 3),
    ],
)
@pytest.mark.parametrize("quick", [True, False])
def test_the_line_that_is_none_is_called_by_its_number(
    form: str, lines: list[str], number: int, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not quick:
        monkeypatch.setattr(decoding, "_QUICK", None)
    decoder = Decoder(form)
    list(decoder.batches("\n".join(lines).encode()))
    assert decoder.counts.first.startswith(f"line {number}: ")


@pytest.mark.parametrize("quick", [True, False])
def test_an_empty_text_is_none_as_in_csv(quick: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others write what has no value as an empty text; a comparison must not take that for another value."""
    if not quick:
        monkeypatch.setattr(decoding, "_QUICK", None)
    connection = connect()
    connection.execute(table("records"))
    lines = [
        '{"saddr":"::","fingerprint":"","expectedRToLZR":"","product":"","data":""}',
        '{"saddr":"::","fingerprint":"http","expectedRToLZR":"data","product":"nginx","data":"x"}',
        "",
    ]
    transfer(connection, Decoder("json").batches("\n".join(lines).encode()), "records")
    found = connection.execute('SELECT fingerprint, "expectedRToLZR", product FROM records').fetchall()
    assert found == [(None, None, None), ("http", "data", "nginx")]


@pytest.mark.native
def test_lines_that_are_no_records_take_linear_time() -> None:
    """A hostile box, or a file that is none of ours: all the lines behind were counted before each few."""

    def cost(lines: int) -> float:
        data = b"\n" * lines
        began = time.process_time()
        for _ in Decoder("json").pieces(data):
            pass
        return time.process_time() - began

    # Three times at most: other programs may be at work.
    assert any(cost(2_000_000) < 40 * max(cost(125_000), 1e-3) for _ in range(3))
