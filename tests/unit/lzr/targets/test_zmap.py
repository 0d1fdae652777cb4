"""ZMap's rows as they come, unfiltered and in any form: what is no connection is counted as what it is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.input.intake import Intake
from lzr.errors import UsageError
from lzr.options import parse
from lzr.ownership.ledger import Ledger
from lzr.rows import Opening
from lzr.targets import zmapfields
from lzr.targets.zmap import NAMES, ZmapReader
from tests.rows import every_row
from tests.unit.lzr.targets.test_lists_targets import one_fate_each, read, same, zmap
from tests.wire import kernels_of

ROW: dict[str, Any] = {
    "saddr": "10.64.0.4",
    "daddr": "10.1.0.2",
    "sport": 9002,
    "dport": 58589,
    "seqnum": 2864933700,
    "acknum": 3535431704,
    "window": 64240,
}
WHOLE = (
    b'{"saddr":"10.64.0.4","saddr_raw":67125258,"daddr":"10.1.0.2","daddr_raw":33554698,"ipid":0,"ttl":64,'
    b'"sport":9002,"dport":58589,"seqnum":2864933700,"acknum":3535431704,"window":64240,"tcpopt_mss":1460,'
    b'"classification":"synack","success":true,"repeat":false,"cooldown":true,'
    b'"timestamp_str":"2026-11-28T16:43:11.970+0000","timestamp_ts":1795884191,"timestamp_us":970582}\n'
)
"""As ZMap 4.3 prints it with ``-f '*'``."""

RESET = (
    b'{"saddr":"10.64.0.5","daddr":"10.1.0.2","sport":9002,"dport":52163,"seqnum":0,"acknum":2574576159,'
    b'"window":0,"classification":"rst","success":false,"repeat":false}\n'
)
UNREACHABLE = (
    b'{"saddr":"10.9.9.9","daddr":"10.1.0.2","sport":null,"dport":null,"seqnum":null,"acknum":null,'
    b'"window":null,"classification":"icmp","success":false,"icmp_responder":"10.1.0.1"}\n'
)


def openings(lines: list[dict[str, Any]]) -> list[int]:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    batch = zmap(text.encode())
    assert not batch.rejected
    return [int(opening) for opening in batch.rows["syn"]]


@pytest.mark.usefixtures("kernels")
def test_a_whole_row_is_a_target() -> None:
    (row,) = zmap(WHOLE).rows
    assert (row["syn"], row["peer_port"], row["own_port"], row["ttl"]) == (Opening.TAKEN, 9002, 58589, 64)


@pytest.mark.usefixtures("kernels")
@every_row(
    [
        ({}, Opening.TAKEN),
        ({"classification": "synack"}, Opening.TAKEN),
        ({"classification": "SYNACK"}, Opening.TAKEN),
        ({"classification": None, "success": None, "repeat": None}, Opening.TAKEN),
        ({"classification": "rst"}, Opening.NO_SYN_ACK),
        ({"classification": "icmp"}, Opening.NO_SYN_ACK),
        ({"classification": "icmp-unreach"}, Opening.NO_SYN_ACK),
        *[({"success": no}, Opening.UNSUCCESSFUL) for no in (False, 0, "0", "false", "False")],
        *[({"success": yes}, Opening.TAKEN) for yes in (True, 1, "1", "true", "True", "")],
        *[({"repeat": yes}, Opening.REPEATED) for yes in (True, 1, "1", "true", "TRUE")],
        *[({"repeat": no}, Opening.TAKEN) for no in (False, 0, "0", "false", "")],
        ({"classification": "rst", "success": False, "repeat": True}, Opening.NO_SYN_ACK),
        ({"classification": "synack", "success": 0, "repeat": 1}, Opening.UNSUCCESSFUL),
        ({"classification": "synack", "success": 1, "repeat": 1}, Opening.REPEATED),
    ]
)
def test_what_a_row_says_of_itself(said: dict[str, Any], opening: int) -> None:
    assert openings([{**ROW, **said}, {**said, **ROW}]) == [opening, opening]


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"success": 2}, "success is neither true nor false"),
        ({"success": 1.0}, "success is neither true nor false"),
        ({"success": "yes"}, "success is neither true nor false"),
        ({"repeat": -1}, "repeat is neither true nor false"),
        ({"repeat": [0]}, "repeat is neither true nor false"),
        ({"repeat": {}}, "repeat is neither true nor false"),
        ({"classification": 1}, "classification is not a string"),
        ({"classification": True}, "classification is not a string"),
    ],
)
def test_what_it_cannot_say(said: dict[str, Any], reason: str) -> None:
    batch = zmap(json.dumps({**ROW, **said}).encode())
    assert [one.reason for one in batch.rejected] == [reason]


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("name", zmapfields.SAID)
def test_it_says_it_once(name: str) -> None:
    line = json.dumps({**ROW, name: 1 if name != "classification" else "synack"})
    batch = zmap(line.replace("{", f'{{"{name}": 0, ').encode())
    assert [one.reason for one in batch.rejected] == ["a field is given twice"]


@pytest.mark.usefixtures("kernels")
def test_what_is_no_connection_need_not_be_whole() -> None:
    batch = zmap(RESET + UNREACHABLE + WHOLE)
    assert not batch.rejected
    assert batch.rows["syn"].tolist() == [Opening.NO_SYN_ACK, Opening.NO_SYN_ACK, Opening.TAKEN]
    assert batch.rows["line"].tolist() == [0, 1, 2]
    assert not batch.rows["peer_lo"][:2].any()


@pytest.mark.usefixtures("kernels")
def test_port_0_is_a_port() -> None:
    """``zmap -p '*'`` asks it too, and where a host answers there, a connection is half open."""
    (row,) = zmap(json.dumps({**ROW, "sport": 0}).encode()).rows
    assert (row["peer_port"], row["syn"]) == (0, Opening.TAKEN)


# --- CSV ---------------------------------------------------------------------------------------------------

HEADING = b"saddr,daddr,sport,dport,seqnum,acknum,window,classification,success,repeat\n"
CELLS = b"10.64.0.4,10.1.0.2,9002,58589,2864933700,3535431704,64240"


@pytest.mark.usefixtures("kernels")
def test_csv_as_zmap_writes_it() -> None:
    text = HEADING + b"".join(
        CELLS + b"," + said + b"\n" for said in (b"synack,1,0", b"rst,0,0", b"synack,1,1")
    )
    batch = zmap(text + CELLS + b",synack,0,0\n" + CELLS + b",,,\n" + HEADING)
    assert batch.rows["syn"].tolist() == [
        Opening.TAKEN,
        Opening.NO_SYN_ACK,
        Opening.REPEATED,
        Opening.UNSUCCESSFUL,
        Opening.TAKEN,
    ]
    assert [one.reason for one in batch.rejected] == ["the heading once more"]
    (row,) = zmap(json.dumps(ROW).encode()).rows
    assert batch.rows[0].tobytes() == row.tobytes()


@pytest.mark.usefixtures("kernels")
def test_csv_without_a_heading() -> None:
    """In the order of the README's ``-f``; any other cannot be told."""
    batch = zmap(CELLS + b"\n" + CELLS.replace(b".4,", b".5,") + b"\n")
    assert not batch.rejected
    assert batch.rows["line"].tolist() == [0, 1]
    (row,) = zmap(json.dumps(ROW).encode()).rows
    assert batch.rows[0].tobytes() == row.tobytes()


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(
    "line",
    [
        b"10.64.0.4,9002,10.1.0.2,58589,2864933700,3535431704,64240",
        CELLS + b",synack,1",
        b"10.64.0.4,9002",
        b"10.64.0.4,10.1.0.2,9002",
    ],
)
def test_other_csv_without_a_heading_is_refused_with_the_way_out(line: bytes) -> None:
    batch = zmap(line + b"\n" + line + b"\n")
    assert batch.refused.tolist() == [0, 1]
    for one in batch.rejected:
        assert zmapfields.HOW in one.reason or "use -sendSYNs" in one.reason


@pytest.mark.usefixtures("kernels")
def test_a_heading_that_lacks_something() -> None:
    batch = zmap(b"saddr,sport,classification\n10.64.0.4,9002,synack\n10.64.0.5,9002,synack\n")
    assert batch.refused.tolist() == [0, 1]
    assert (
        batch.rejected[0].reason
        == f"the heading has no daddr, dport, seqnum, acknum, window: {zmapfields.HOW}"
    )


# --- C and Python ------------------------------------------------------------------------------------------

SOMETHING = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        2,
        "0",
        "1",
        "true",
        "synack",
        "rst",
        "icmp",
        "",
        "x",
        1.5,
        [],
        "10.0.0.1",
        65536,
    ]
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from([*NAMES, *zmapfields.SAID, "ttl", "x"]), SOMETHING, max_size=4),
        max_size=6,
    ),
    st.booleans(),
)
def test_json_rows_in_c_and_in_python(changes: list[dict[str, Any]], compact: bool) -> None:
    form: dict[str, Any] = {"separators": (",", ":")} if compact else {}
    text = b"".join(json.dumps({**ROW, **change}, **form).encode() + b"\n" for change in changes)
    batch = zmap(text)
    one_fate_each(batch)
    with kernels_of("python"):
        same(batch, zmap(text))


@given(
    st.permutations([*NAMES, *zmapfields.SAID, "ttl", "cooldown"]),
    st.lists(st.dictionaries(st.integers(0, 11), SOMETHING, max_size=4), max_size=6),
    st.lists(st.integers(0, 400), max_size=3),
    st.sampled_from(["", " ", "\t", '"']),
)
def test_csv_rows_in_c_and_in_python(
    names: list[str], changes: list[dict[int, Any]], cuts: list[int], around: str
) -> None:
    good = {**ROW, "classification": "synack", "success": 1, "repeat": 0, "ttl": 55, "cooldown": 0}
    lines = [",".join(names)]
    for change in changes:
        cells = [str(change.get(at, good[name])) for at, name in enumerate(names)]
        lines.append(",".join(f"{around}{cell}{around}" for cell in cells))
    text = "\n".join(lines).encode() + b"\n"
    pieces = [text[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(text)], strict=True)]
    batch = read(ZmapReader(), pieces)
    one_fate_each(batch)
    with kernels_of("python"):
        same(batch, read(ZmapReader(), pieces))


# --- their fates -------------------------------------------------------------------------------------------


def test_each_has_a_fate_of_its_own() -> None:
    ledger = Ledger()
    intake = Intake(ZmapReader(), ledger)
    said = [{}, {"classification": "rst", "success": False}, {"success": 0}, {"repeat": 1}, {"repeat": True}]
    intake.feed("".join(json.dumps({**ROW, **each}) + "\n" for each in said).encode())
    assert intake.fates.read == 5
    other = intake.fates.other()
    assert (other["not a SYN-ACK"], other["unsuccessful"], other["repeat"]) == (1, 1, 2)
    assert ledger.open == intake.waiting == 1
    assert sorted(np.concatenate(intake.ended).tolist()) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "fields", ["saddr,sport", "saddr,daddr,sport,dport,seqnum,acknum,window", "*", "saddr"]
)
def test_zmaps_dash_f_typed_to_us(fields: str) -> None:
    with pytest.raises(UsageError, match="-f is the file that results go to") as caught:
        parse.parse(["-f", fields])
    assert f"--output-fields {fields}" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["./saddr,sport", "saddr.json", "results", "data", "a,b", "saddr,sport.json"]
)
def test_a_file_may_be_called_so(name: str) -> None:
    assert parse.parse(["-f", name]).output_file == name
