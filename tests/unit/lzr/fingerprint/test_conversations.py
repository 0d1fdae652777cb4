"""First answers out of TCP segments: order, gaps, growth, who serves."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lzr.fingerprint.conversations import ACK, FIN, RST, SYN, Endpoint, Segment, first_answers

CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.2", 22)


def from_client(seq: int, flags: int, data: bytes = b"", time: float = 0.0) -> Segment:
    return Segment(CLIENT, SERVER, seq, flags, data, time)


def from_server(seq: int, flags: int, data: bytes = b"", time: float = 0.0) -> Segment:
    return Segment(SERVER, CLIENT, seq, flags, data, time)


OPENING = [from_client(100, SYN), from_server(500, SYN | ACK), from_client(101, ACK)]


def answers(*segments: Segment) -> list[bytes]:
    return [said.answer for said in first_answers(segments)]


def test_the_first_line_is_the_answer() -> None:
    banner = b"SSH-2.0-x\r\n"
    found = first_answers([*OPENING, from_server(501, ACK, banner), from_server(512, ACK, b"more", 0.1)])
    assert [(said.server, said.client, said.asked, said.answer) for said in found] == [
        (SERVER, CLIENT, b"", banner)
    ]


def test_pieces_grow_until_there_is_a_line() -> None:
    pieces = [from_server(501, ACK, b"S"), from_server(502, ACK, b"SH-2.0-x\r\n", 0.1)]
    assert answers(*OPENING, *pieces) == [b"SSH-2.0-x\r\n"]


def test_a_line_that_announces_more_is_no_end() -> None:
    for pieces in (
        (b"HTTP/1.0 400 Bad Request\r\n", b"Server: x\r\n", b"\r\n"),
        (b"220-one of two\r\n", b"220 box ready\r\n"),
    ):
        sent, at = [], 501
        for piece in pieces:
            sent.append(from_server(at, ACK, piece))
            at += len(piece)
        later = from_server(at, ACK, b"500 what?\r\n")
        assert answers(*OPENING, *sent, later) == [b"".join(pieces)]


def test_a_repeated_syn_ack_begins_nothing_anew() -> None:
    first, again = from_server(501, ACK, b"220 m"), from_server(500, SYN | ACK)
    assert answers(*OPENING, first, again, first, from_server(506, ACK, b"x ESMTP\r\n")) == [
        b"220 mx ESMTP\r\n"
    ]


def test_pieces_grow_only_for_a_moment() -> None:
    assert answers(*OPENING, from_server(501, ACK, b"220"), from_server(504, ACK, b" x\r\n", 0.3)) == [b"220"]


def test_reordered_and_repeated() -> None:
    first, second = from_server(501, ACK, b"SSH-"), from_server(505, ACK, b"2.0-x\r\n")
    assert answers(*OPENING, second, first, first) == [b"SSH-2.0-x\r\n"]
    overlapping = from_server(503, ACK, b"H-2.0-x\r\n")
    assert answers(*OPENING, first, overlapping) == [b"SSH-2.0-x\r\n"]


def test_what_the_client_says_next_ends_it() -> None:
    later = from_client(106, ACK, b"more", 0.01)
    asked = from_client(101, ACK, b"GET /")
    found = first_answers(
        [*OPENING, asked, from_server(501, ACK, b"HT"), later, from_server(503, ACK, b"TP/")]
    )
    assert [(said.asked, said.answer) for said in found] == [(b"GET /", b"HT")]


def test_sequence_numbers_wrap() -> None:
    opening = [from_client(1, SYN), from_server(2**32 - 3, SYN | ACK)]
    pieces = [from_server(2**32 - 2, ACK, b"220"), from_server(1, ACK, b" hello\r\n")]
    assert answers(*opening, *pieces) == [b"220 hello\r\n"]


def test_silent_conversations_leave_no_trace() -> None:
    assert answers(*OPENING, from_server(501, RST | ACK), from_server(501, FIN | ACK)) == []


def test_a_port_used_again_is_another_conversation() -> None:
    again = [from_client(9000, SYN), from_server(7000, SYN | ACK), from_server(7001, ACK, b"second\r\n")]
    assert answers(*OPENING, from_server(501, ACK, b"number 1\r\n"), *again) == [
        b"number 1\r\n",
        b"second\r\n",
    ]
    repeated = [from_client(100, SYN), *OPENING, from_server(501, ACK, b"number 1\r\n")]
    assert answers(*repeated) == [b"number 1\r\n"]


def test_without_a_handshake_the_lower_port_serves() -> None:
    said = first_answers([from_client(7, ACK, b"?"), from_server(8, ACK, b"220 late\r\n")])
    assert [(one.server, one.asked, one.answer) for one in said] == [(SERVER, b"?", b"220 late\r\n")]


def test_conversations_keep_their_order() -> None:
    other = ("10.0.0.3", 25)
    first, second = from_client(1, SYN), Segment(CLIENT, other, 2, SYN, b"", 0)
    late = from_server(1, ACK, b"first begun\r\n")
    soon = Segment(other, CLIENT, 1, ACK, b"first to speak\r\n", 0)
    assert answers(first, second, soon, late) == [b"first begun\r\n", b"first to speak\r\n"]


ends: st.SearchStrategy[Endpoint] = st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 2))
segments = st.builds(
    Segment,
    ends,
    ends,
    st.integers(0, 12) | st.integers(0, 2**32 - 1),
    st.integers(0, 255),
    st.binary(max_size=5),
    st.floats(0, 1),
)


@given(st.lists(segments, max_size=30))
def test_anything_may_be_in_a_capture(found: list[Segment]) -> None:
    said = first_answers(found)
    sent = sum(len(segment.data) for segment in found)
    assert sum(len(one.answer) for one in said) <= sent


@given(st.binary(min_size=1, max_size=63), st.data())
def test_any_cut_in_any_order_gives_the_same(data: bytes, draw: st.DataObject) -> None:
    """While no line ends in between, the pieces add up to the whole."""
    data = data.replace(b"\n", b".")
    cuts = sorted({0, *draw.draw(st.lists(st.integers(0, len(data)), max_size=5)), len(data)})
    pieces = [from_server(501 + a, ACK, data[a:b]) for a, b in pairwise(cuts) if b > a]
    order = draw.draw(st.permutations(pieces))
    assert answers(*OPENING, *order) == [data]
