"""Inputs of which nothing can be used: the sentence says what they are and what to do; nothing is touched."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.targets.advice import advice, half_open, result
from tests.effort import examples

ZMAP = "zmap for -f saddr,daddr,sport,dport,seqnum,acknum,window"
RECORD = b'{"saddr":"10.0.0.1","daddr":"10.0.0.2","sport":80,"dport":5,"seqnum":1,"acknum":2,"window":3}'

FOR_ZMAP = {
    b"10.0.0.1": ZMAP,
    b"2001:db8::1": ZMAP,
    b"saddr": ZMAP,
    b"saddr,success": ZMAP,
    b'{"saddr":"10.0.0.1"}': ZMAP,
    b'{"saddr":"10.0.0.1","sport":80}': ZMAP,
    b'{"ip":"10.0.0.1","port":80}': "-sendSYNs opens new connections",
    b"10.0.0.1:80": "-sendSYNs opens the connections",
    b"example.com:80": "-sendSYNs opens the connections",
    b"10.0.0.0/24:80": "-sendSYNs opens the connections",
    b"ip,port": "-sendSYNs opens the connections",
    b"http://10.0.0.1/": "-sendSYNs opens the connections",
    b"tcp { source: 5 | dest: 80 | seq: 1 | checksum: 0X9DB }": "-dryrun",
    b"hello there": ZMAP,
}
FOR_LISTS = {
    b"10.0.0.1": "needs a port",
    b"saddr": "needs a port",
    b'{"saddr":"10.0.0.1"}': "needs a port",
    b"tcp { source: 5 | dest: 80 | seq: 1 | checksum: 0X9DB }": "-dryrun",
    b"hello there": "10.0.0.1:80",
}


@pytest.mark.parametrize("line", FOR_ZMAP)
def test_where_zmaps_records_are_awaited(line: bytes) -> None:
    assert FOR_ZMAP[line] in advice(line, send_syns=False)


@pytest.mark.parametrize("line", FOR_LISTS)
def test_where_a_list_is_awaited(line: bytes) -> None:
    assert FOR_LISTS[line] in advice(line, send_syns=True)


@settings(max_examples=examples(300), deadline=None)
@given(st.one_of(st.binary(max_size=40), st.sampled_from([*FOR_ZMAP, RECORD])), st.booleans())
def test_there_is_always_something_to_say(line: bytes, send_syns: bool) -> None:
    said = advice(line, send_syns=send_syns)
    assert said.isprintable()
    assert len(said) > 20


def test_a_record_of_a_scan_is_no_half_open_connection() -> None:
    ours = RECORD[:-1] + b',"HandshakeNum":0,"fingerprint":"http"}'
    assert (half_open(RECORD), result(RECORD)) == (True, False)
    heading = b"saddr,daddr,sport,dport,seqnum,acknum,window"
    assert (half_open(heading), result(heading)) == (True, False)
    assert (
        half_open(heading + b",HandshakeNum,fingerprint"),
        result(heading + b',"HandshakeNum",fingerprint'),
    ) == (
        False,
        True,
    )
    assert (half_open(ours), result(ours)) == (False, True)
    assert not any(told(b"[1]") or told(b"10.0.0.1:80") for told in (half_open, result))
