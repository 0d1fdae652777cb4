"""Encoders: ASCII lines from any bytes, reversible, the same in C and in Python; the table of fields."""

from __future__ import annotations

import csv
import datetime
import io
import ipaddress
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lzr.protocols._protocol import Identity
from lzr.records import encoders, fields
from lzr.records.encoders import CsvEncoder, JsonEncoder, Named, ZgrabEncoder
from lzr.records.escape import csv_cell, time_text
from lzr.rows import ACK, FIN, OUTCOME, PSH, RST, SYN, V4_MAPPED, Expected, Reason
from tests import ROOT
from tests.effort import examples
from tests.wire import kernels_of

REFERENCE = [
    *("saddr", "daddr", "sport", "dport", "seqnum", "acknum", "window", "ttl"),
    *("Counter", "ACK", "ACKed", "SYN", "RST", "FIN", "PUSH", "HandshakeNum"),
    *("fingerprint", "Timestamp", "expectedRToLZR", "data", "ackingFirewall"),
]
EVERY_BYTE = bytes(range(256))


def outcome(**columns: Any) -> Any:
    row = np.zeros(1, OUTCOME)
    row["peer_lo"], row["own_lo"] = V4_MAPPED | 0x0A000001, V4_MAPPED | 0x0A000002
    row["peer_port"], row["own_port"], row["record"], row["final"] = 80, 40000, 1, 1
    row["ts"] = 1_700_000_000_123_456_789
    row["flags"], row["reason"] = ACK | PSH, Reason.SILENT
    for name, value in columns.items():
        row[name] = value
    return row


@pytest.mark.usefixtures("kernels")
def test_a_record_as_the_reference_writes_it() -> None:
    row = outcome(
        data_len=2,
        reason=Reason.DATA,
        acked=1,
        counter=1,
        handshake=1,
        seq=2**32 - 1,
        ack=7,
        window=9,
        ttl=64,
    )
    assert JsonEncoder().encode(row, b"hi", ["http"]) == (
        b'{"saddr":"10.0.0.1","daddr":"10.0.0.2","sport":80,"dport":40000,"seqnum":4294967295,"acknum":7,'
        b'"window":9,"ttl":64,"Counter":1,"ACK":true,"ACKed":true,"SYN":false,"RST":false,"FIN":false,'
        b'"PUSH":true,"HandshakeNum":1,"fingerprint":"http","Timestamp":"2023-11-14T22:13:20.123456789Z",'
        b'"data":"hi"}\n'
    )


@pytest.mark.usefixtures("kernels")
def test_every_reference_field_in_its_order() -> None:
    row = outcome(data_len=1, firewall=1, expected=Expected.DATA, flags=SYN | RST | FIN)
    record = orjson.loads(JsonEncoder().encode(row, b"x", [None]))
    assert list(record) == REFERENCE
    assert record["expectedRToLZR"] == "data"
    assert record["fingerprint"] == "unknown"
    assert record["ackingFirewall"] is True
    assert [record[name] for name in ("ACK", "SYN", "RST", "FIN", "PUSH")] == [False, True, True, True, False]
    assert list(fields.DEFAULT[:21]) == REFERENCE


def test_a_field_that_the_kernels_do_not_know_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were built before it was added: its records are made in Python, others as ever."""
    row, names = outcome(data_len=1, reason=Reason.DATA), ["http"]
    whole = JsonEncoder(fields=["*"]).encode(row, b"x", names)
    monkeypatch.delitem(encoders._PLACES, "reason", raising=False)
    assert JsonEncoder(fields=["*"]).encode(row, b"x", names) == whole
    assert JsonEncoder().encode(row, b"x", names).startswith(b'{"saddr":"10.0.0.1"')


@pytest.mark.usefixtures("kernels")
def test_no_byte_is_lost() -> None:
    made = JsonEncoder().encode(outcome(data_len=256), EVERY_BYTE, ["unknown"])
    assert made.isascii()
    assert made.count(b"\n") == 1
    assert all(byte >= 0x20 for byte in made[:-1])
    assert b"\x7f" not in made
    assert orjson.loads(made)["data"].encode("latin-1") == EVERY_BYTE


@pytest.mark.usefixtures("kernels")
def test_ours_are_there_when_known() -> None:
    name = Identity("http", "grafana", 'a"b\\\x1b[0m\u00fc\U0001f600\ud800', "")
    record = orjson.loads(JsonEncoder().encode(outcome(), b"", [name]))
    assert (record["fingerprint"], record["application"]) == ("http", "grafana")
    assert record["product"] == 'a"b\\\x1b[0m\u00fc\U0001f600\ufffd'
    assert "version" not in record


@pytest.mark.usefixtures("kernels")
def test_a_port_scans_records_say_so_when_asked() -> None:
    encoder = JsonEncoder(fields=("sport", "sa_only", "reason"), handshakes=("none",))
    rows = np.concatenate([outcome(reason=Reason.SA_ONLY, peer_port=80), outcome(peer_port=81)])
    found = encoder.encode(rows, b"", [None, None]).decode().splitlines()
    assert found == [
        '{"sport":80,"sa_only":true,"reason":"sa_only"}',
        '{"sport":81,"reason":"silent"}',
    ]


def test_fields_can_be_chosen_and_ordered() -> None:
    encoder = JsonEncoder(fields=("reason", "sport", "handshake", "saddr"), handshakes=("wait", "http"))
    assert encoder.encode(outcome(handshake=1), b"", [None]) == (
        b'{"reason":"silent","sport":80,"handshake":"http","saddr":"10.0.0.1"}\n'
    )
    for bad in (("nothing",), (), ("saddr", "saddr")):
        with pytest.raises(ValueError, match="--"):
            JsonEncoder(fields=bad)
    assert JsonEncoder(fields=("*",)).fields == tuple(fields.NUMBERS)


@pytest.mark.usefixtures("kernels")
def test_filters() -> None:
    rows = np.concatenate(
        [
            outcome(data_len=1, reason=Reason.DATA, peer_port=1),
            outcome(peer_port=2),
            outcome(record=0, peer_port=3, data_len=2),
            outcome(peer_port=4, data_len=1, reason=Reason.DATA),
        ]
    )
    names: list[Named] = ["http", None, None, "ssh"]

    def ports(**options: Any) -> list[int]:
        encoder = JsonEncoder(**options)
        records = [orjson.loads(line) for line in encoder.encode(rows, b"abcd", names).splitlines()]
        assert encoder.lines == len(records)
        assert [record.get("data") for record in records if record["sport"] == 4] in ([], ["d"])
        return [record["sport"] for record in records]

    assert ports() == [1, 2, 4]
    assert ports(only_data=True) == [1, 4]
    assert ports(wanted=lambda record: record["fingerprint"] == "ssh") == [4]
    assert ports(wanted=lambda record: not record["data"]) == [2]


@pytest.mark.usefixtures("kernels")
def test_rows_that_promise_too_much_are_our_fault() -> None:
    encoder = JsonEncoder()
    for rows, blob, names in (
        (outcome(data_len=5), b"1234", [None]),
        (outcome(data_len=2**32 - 1), b"1234", [None]),
        (outcome(), b"", []),
    ):
        with pytest.raises(ValueError, match="rows"):
            encoder.encode(rows, blob, names)


@pytest.mark.usefixtures("kernels")
def test_addresses() -> None:
    row = outcome(peer_hi=0x20010DB8 << 32, peer_lo=1)
    for expanded, text in ((False, "2001:db8::1"), (True, "2001:0db8:0000:0000:0000:0000:0000:0001")):
        record = orjson.loads(JsonEncoder(expanded=expanded).encode(row, b"", [None]))
        assert (record["saddr"], record["daddr"]) == (text, "10.0.0.2")


halves = st.lists(st.sampled_from([0, 0, 0, 1, 0xFFFF, 0x20, 0xAB0]), min_size=8, max_size=8)


@pytest.mark.usefixtures("kernels")
@given(groups=halves, expanded=st.booleans())
def test_ipv6_text(groups: list[int], expanded: bool) -> None:
    number = int("".join(f"{group:04x}" for group in groups), 16)
    address = ipaddress.IPv6Address(number)
    text = str(address.ipv4_mapped or (address.exploded if expanded else address.compressed))
    row = outcome(peer_hi=number >> 64, peer_lo=number & (1 << 64) - 1)
    made = JsonEncoder(expanded=expanded, fields=("saddr",)).encode(row, b"", [None])
    assert orjson.loads(made) == {"saddr": text}


labels = st.one_of(
    st.none(),
    st.sampled_from(["http", "smtp-ftp"]),
    st.text(max_size=8),
    st.builds(Identity, st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8)),
)


@pytest.mark.native
@settings(max_examples=examples(200), deadline=None)
@given(data=st.data())
def test_native_and_python_agree(data: st.DataObject) -> None:
    raw = data.draw(arrays.arrays(np.uint8, (data.draw(st.integers(0, 6)), OUTCOME.itemsize)))
    rows = raw.view(OUTCOME).reshape(-1).copy()
    rows["data_len"] %= 50
    blob = data.draw(st.binary(min_size=int(rows["data_len"].sum()), max_size=400))
    names = data.draw(st.lists(labels, min_size=len(rows), max_size=len(rows)))
    chosen = tuple(data.draw(st.lists(st.sampled_from(list(fields.NUMBERS)), min_size=1, unique=True)))
    options = {"fields": chosen, "handshakes": ("a", 'b"'), "expanded": data.draw(st.booleans())}
    native = JsonEncoder(**options).encode(rows, blob, names)
    with kernels_of("python"):
        assert native == JsonEncoder(**options).encode(rows, memoryview(blob), names)
    for line in native.splitlines():
        orjson.loads(line)


@given(st.integers(0, 2**63))
def test_time(ns: int) -> None:
    seconds, fraction = divmod(ns, 10**9)
    whole = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    assert time_text(ns) == f"{whole.isoformat()}.{fraction:09}Z"
    made = orjson.loads(JsonEncoder(fields=("Timestamp",)).encode(outcome(ts=ns), b"", [None]))
    assert made == {"Timestamp": time_text(ns)}


# --- CSV ---------------------------------------------------------------------------------------------------


def test_csv_is_read_back_whole() -> None:
    encoder = CsvEncoder()
    rows = np.concatenate([outcome(data_len=256, reason=Reason.DATA), outcome(firewall=1)])
    text = (encoder.header() + encoder.encode(rows, EVERY_BYTE, ["http", None])).decode("ascii")
    assert text.count("\n") == 3
    first, second = csv.DictReader(io.StringIO(text))
    assert list(first) == list(fields.DEFAULT)
    assert first["data"].encode().decode("unicode_escape").encode("latin-1") == EVERY_BYTE
    assert (first["saddr"], first["sport"], first["ACK"], first["fingerprint"]) == (
        "10.0.0.1",
        "80",
        "true",
        "http",
    )
    assert (second["data"], second["ackingFirewall"], second["fingerprint"]) == ("", "true", "unknown")


@given(
    st.one_of(
        st.binary(max_size=40), st.lists(st.sampled_from([b"=", b'"', b";", b",", b"\t", b"@"])).map(b"".join)
    )
)
def test_a_cell_is_never_a_formula_and_never_more_than_a_cell(data: bytes) -> None:
    cell = csv_cell(data.decode("latin-1"))
    assert cell.isascii()
    assert cell.isprintable()
    assert ";" not in cell
    (row,) = csv.reader([f"x,{cell},y"])
    assert len(row) == 3
    assert row[1][:1] not in tuple("=+-@|\t\r\n ;")
    assert row[1].encode().decode("unicode_escape").encode("latin-1") == data


# --- ZGrab -------------------------------------------------------------------------------------------------


def test_zgrab_feed() -> None:
    rows = np.concatenate(
        [outcome(), outcome(peer_hi=0x20010DB8 << 32, peer_lo=1, peer_port=22), outcome(record=0), outcome()]
    )
    names: list[Named] = ["http", Identity("ssh"), "ftp", None]
    assert ZgrabEncoder().encode(rows, b"", names) == (
        b"10.0.0.1,,http,80\n2001:db8::1,,ssh,22\n10.0.0.1,,unknown,80\n"
    )
    assert ZgrabEncoder(known_only=True).encode(rows, b"", names).count(b"\n") == 2


# --- the table ---------------------------------------------------------------------------------------------


def test_the_page_on_output_is_current() -> None:
    page = (ROOT / "docs" / "output.md").read_text()
    begin, end = "<!-- fields -->\n", "<!-- end of fields -->"
    assert page.split(begin)[1].split(end)[0] == fields.table(), "run: python docs/output.py"


def test_the_listing_names_every_field() -> None:
    listing = fields.listing().splitlines()
    assert [line.split()[0] for line in listing] == [field.name for field in fields.FIELDS]
