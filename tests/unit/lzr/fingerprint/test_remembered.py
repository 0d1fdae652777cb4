"""What is remembered of replies is what the matchers and readers say of each, whatever else stands in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fingerprint import Classifier, honeypot, products, remembered
from lzr.fingerprint.classifier import UNKNOWN
from lzr.protocols import BY_NAME, PROTOCOLS, Identity

SSH = [e for p in PROTOCOLS for e in (*p.examples, *p.rejects) if e.startswith(b"SSH-")]
BITS = [
    b"\r\n",
    b"\n",
    b"\0",
    b"-",
    b"SSH-1.99-x",
    b"220 ftp",
    b"\n220 x",
    b"+OK ",
    b"\n+OK x\n",
    b"x" * 250,
    b"\xff",
    b" ",
]


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    remembered._ssh.clear()
    remembered._web.clear()


def without_memory(data: bytes) -> Identity:
    """By matchers and readers alone."""
    label = Classifier()._by_matchers(data)
    if label == UNKNOWN:
        return Identity(label, honeypot.NAME if honeypot.like(data) else "")
    return Identity(label, "", *products.of(label, data))


def agrees(data: bytes) -> None:
    for _ in range(2):  # met for the first time, then remembered
        assert Classifier().identify(data) == without_memory(data), data
        assert Classifier().classify(data) == without_memory(data).label, data


def test_only_the_protocols_that_were_thought_of_may_begin_as_ssh_does() -> None:
    """Another one would have to be asked as well; postgres takes nothing longer than its single letter."""
    may = [
        p.name
        for p in PROTOCOLS
        if not p.last_resort and any((remembered.SSH + key[4:]).startswith(key) for key in p.starts)
    ]
    assert may == ["ssh", "postgres"]
    postgres = BY_NAME["postgres"].match
    assert postgres is not None
    assert not any(map(postgres, SSH))


def test_every_example_and_every_cut() -> None:
    for data in SSH:
        for size in range(4, len(data) + 1):
            agrees(data[:size])
        for tail in BITS:
            agrees(data + tail)


@given(
    st.sampled_from(SSH),
    st.integers(4, 40),
    st.lists(st.sampled_from(BITS), max_size=4),
    st.binary(max_size=300),
)
def test_whatever_is_changed(data: bytes, at: int, bits: list[bytes], tail: bytes) -> None:
    for sample in (data + tail, data[:at] + b"".join(bits) + data[at:] + tail, data[:at] + b"".join(bits)):
        agrees(sample)


def test_what_a_server_sends_behind_its_line_makes_it_no_other() -> None:
    for i in range(20):
        data = b"SSH-2.0-OpenSSH_9.6\r\n\0\0\1\xfc\x0a\x14" + bytes((i,)) * 16
        assert Classifier().identify(data) == Identity("ssh", "", "OpenSSH", "9.6")
    assert len(remembered._ssh) == 1
    for i in range(20):
        data = b"HTTP/1.1 200 OK\r\nDate: %d\r\nSet-Cookie: id=%d\r\nServer: nginx/1.2\r\n\r\n%d" % (i, i, i)
        assert Classifier().identify(data) == Identity("http", "", "nginx", "1.2")
    assert len(remembered._web) == 1


def test_what_is_remembered_of_strangers_has_a_bound() -> None:
    for i in range(remembered.REMEMBERED + 100):
        found = Classifier().identify(b"HTTP/1.1 200 OK\r\nServer: x/%d\r\n\r\n" % i)
        assert (found.product, found.version) == ("x", str(i))
        found = Classifier().identify(b"SSH-2.0-x_%d\r\n" % i)
        assert (found.product, found.version) == ("x", str(i))
    assert len(remembered._web) == len(remembered._ssh) == 100


def test_a_response_that_is_an_echo_of_the_probe_is_an_echo() -> None:
    sent = BY_NAME["http"]
    data = b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n"
    mirror = type(sent)(name="mirror", spec="", match=None, probe=data)
    assert Classifier().identify(data, mirror).label == "echo"
    assert Classifier().identify(data[:14], mirror).label == "unknown"
    assert Classifier().identify(data, sent).label == "http"
