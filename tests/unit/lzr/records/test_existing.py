"""What a file holds that results are to be added to."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lzr.records.encoders import ENCODERS, CsvEncoder
from lzr.records.existing import WINDOW, Earlier, NotOurs, is_ours, look
from lzr.rows import OUTCOME

ZMAP = b'{"saddr":"192.0.2.1","daddr":"192.0.2.9","sport":80,"dport":7,"seqnum":5,"acknum":6,"window":7}\n'
REFERENCE = (
    b'{"saddr":"192.0.2.1","daddr":"192.0.2.9","sport":80,"dport":7,"seqnum":5,"acknum":6,"window":7,"ttl":0,'
    b'"Counter":0,"ACK":true,"ACKed":true,"SYN":false,"RST":false,"FIN":false,"PUSH":true,"HandshakeNum":0,'
    b'"fingerprint":"http","Timestamp":"2021-02-03T04:05:06.7Z","expectedRToLZR":"data","data":"HTTP/1.1"}\n'
)


def lines(form: str, count: int = 3, fields: tuple[str, ...] | None = None, data: bytes = b"a\r\n") -> bytes:
    """What this program writes."""
    rows = np.zeros(count, OUTCOME)
    rows["record"], rows["peer_lo"], rows["peer_port"] = 1, 0xFFFF0A000001, 80
    rows["data_len"] = len(data)
    more: dict[str, Any] = {} if form == "zgrab" else {"fields": fields}
    encoder = ENCODERS[form](**more)
    return encoder.header() + encoder.encode(rows, data * count, ["ssh"] * count)


def judged(form: str, content: bytes, fields: tuple[str, ...] | None = None) -> Earlier:
    return look(form, fields, content[:WINDOW], content[-WINDOW:])


@pytest.mark.parametrize("form", ["json", "csv", "zgrab"])
@pytest.mark.parametrize("data", [b"a\r\n", b'","\xff\\', b"\xff" * 60_000])
def test_ours_is_known_wherever_it_was_cut_off(form: str, data: bytes) -> None:
    """Every length that a crash can leave: what is not whole is told to the byte, and nothing else."""
    whole = lines(form, 3, data=data)
    assert judged(form, whole) == Earlier(headed=form == "csv")
    assert is_ours(whole)
    last = whole.rindex(b"\n", 0, -1) + 1
    steps = range(last, len(whole)) if len(whole) < 4000 else range(last, len(whole), 997)
    for end in steps:
        found = judged(form, whole[:end])
        if found.unended:
            assert form == "csv" or end == len(whole) - 1
        else:
            assert found.torn == end - last, end
    for end in range(1, min(len(whole.split(b"\n")[0]), 500)):
        found = judged(form, whole[:end])
        assert found.torn == end or found.unended, end
    assert judged(form, whole + bytes(512)).torn == 512


def test_a_file_of_the_reference_is_ours() -> None:
    assert judged("json", REFERENCE) == Earlier()
    assert judged("json", REFERENCE * 2 + REFERENCE[:90]).torn == 90
    assert judged("json", REFERENCE[:-1]) == Earlier(unended=True)


def test_only_what_is_asked_for_may_look_like_zmaps() -> None:
    fields = ("saddr", "sport")
    assert judged("json", lines("json", 2, fields), fields) == Earlier()
    with pytest.raises(NotOurs):
        judged("json", lines("json", 2, fields))


@pytest.mark.parametrize(
    "content",
    [
        b"192.0.2.1:80\n192.0.2.2:80\n",
        b"192.0.2.1\n",
        ZMAP * 3,
        json.dumps({"name": "a", "data": "b"}).encode() + b"\n",
        json.dumps([1, 2]).encode() + b"\n",
        b"Nov 22 09:31:00.123 [INFO] lzr: sentence\n",
        b"\x7fELF\x02\x01\x01\0\0\0",
        b"\x1f\x8b\x08" + bytes(range(256)) * 20,
        b"\n",
        bytes(5000),
        b"saddr,daddr,sport\n192.0.2.1,192.0.2.2,80\n",
        b'{"saddr":"192.0.2.1"',
        b"x" * (WINDOW + 10),
        b"hello, world, this, 80\n",
        b"192.0.2.1,,http," + b"8" * 5000 + b"\n",
        b"{" * 200_000,
        REFERENCE + b"192.0.2.1:80\n",
        REFERENCE + b"and a remark",
        REFERENCE + ZMAP,
    ],
)
@pytest.mark.parametrize("form", ["json", "csv", "zgrab"])
def test_what_is_not_ours(form: str, content: bytes) -> None:
    if form == "json" and content == b'{"saddr":"192.0.2.1"':
        assert judged(form, content).torn == len(content)  # a first line that was cut off
        return
    with pytest.raises(NotOurs):
        judged(form, content)


def test_other_columns_are_named() -> None:
    with pytest.raises(NotOurs, match=r"other columns than asked for \(saddr,fingerprint\)"):
        judged("csv", lines("csv", 2, ("saddr", "fingerprint")))
    with pytest.raises(NotOurs, match="no results of lzr in CSV"):
        judged("csv", lines("json"))
    assert is_ours(lines("csv", 2, ("saddr", "fingerprint")))


def test_a_heading_alone() -> None:
    heading = CsvEncoder().header()
    assert judged("csv", heading) == Earlier(headed=True)
    assert judged("csv", heading[:-1]) == Earlier(unended=True, headed=True)
    assert judged("csv", heading[:10]) == Earlier(torn=10)


@pytest.mark.parametrize("content", [ZMAP, b"saddr\n192.0.2.1\n", b"192.0.2.1:80\n", b"", b"\0\0", b"[1]\n"])
def test_a_target_list_is_never_taken_for_results(content: bytes) -> None:
    assert not is_ours(content)
