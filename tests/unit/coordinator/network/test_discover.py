"""Finding interface, source address and next hop, in namespaces with and without routes."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.network import netlink
from coordinator.network.discover import expand_sources, parse_mac
from coordinator.network.neighbours import NetworkError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["10.0.0.1", "10.0.0.1"], ("10.0.0.1",)),
        (["10.0.0.0/30"], ("10.0.0.1", "10.0.0.2")),
        (["10.0.0.4/31"], ("10.0.0.4", "10.0.0.5")),
        (["10.0.0.4/32", "::/127"], ("10.0.0.4", "::", "::1")),
        (["10.0.0.254-10.0.1.1"], ("10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1")),
        ([" ::ffff:10.0.0.1", "fe80::1%eth0"], ("10.0.0.1", "fe80::1")),
        (["::ffff:10.0.0.0/127", "::ffff:10.0.0.1-::ffff:10.0.0.2"], ("10.0.0.0", "10.0.0.1", "10.0.0.2")),
        ([], ()),
    ],
)
def test_expand_sources(given: list[str], expected: tuple[str, ...]) -> None:
    assert expand_sources(given) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "10.0.0.2-10.0.0.1", "::1-10.0.0.1", "10.0.0.0/33", "2001:db8::/64", "::/0"]
)
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(NetworkError, match="--source-ip"):
        expand_sources([text])


def test_sources_are_bounded() -> None:
    assert len(expand_sources(["10.0.0.0/16"])) == 65534
    with pytest.raises(NetworkError, match="65536"):
        expand_sources(["10.0.0.0/16", "10.1.0.0/24"])


@given(st.text() | st.from_regex(r"[0-9a-f:./-]{1,40}", fullmatch=True))
def test_sources_and_macs_are_parsed_or_refused(text: str) -> None:
    for parse in (lambda: expand_sources([text]), lambda: parse_mac(text)):
        with contextlib.suppress(NetworkError):
            parse()


@given(st.binary(min_size=6, max_size=6))
def test_every_mac_is_read(mac: bytes) -> None:
    assert parse_mac(mac.hex(":")) == parse_mac(mac.hex("-").upper()) == mac


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=300), max_size=8))
def test_attributes_survive_the_round_trip(attributes: dict[int, bytes]) -> None:
    packed = netlink.pack_attributes(attributes)
    assert len(packed) % 4 == 0
    assert netlink.parse_attributes(packed) == attributes


@given(st.binary(max_size=200))
def test_junk_from_the_kernel_never_raises(junk: bytes) -> None:
    netlink.parse_attributes(junk)
    for kind, _, body, _ in netlink.parse_messages(junk):
        netlink.parse_body(kind, body)
    for kind in netlink.FIXED:
        netlink.parse_body(kind, junk)


@given(st.binary(max_size=100), st.integers(0, 120))
def test_a_cut_message_is_left_out(body: bytes, cut: int) -> None:
    whole = netlink.HEADER.pack(16 + len(body), netlink.NEWLINK, 0, 7, 0) + body
    short = whole[: min(cut, len(whole) - 1)]
    assert list(netlink.parse_messages(short)) == []
    assert list(netlink.parse_messages(whole)) == [(netlink.NEWLINK, 7, body, 0)]
    assert struct.unpack_from("=I", whole)[0] == len(whole)
