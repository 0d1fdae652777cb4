"""What is remembered of a line is what matchers and readers say of the whole reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fingerprint import honeypot, products, sshline
from lzr.fingerprint.classifier import Classifier
from lzr.fingerprint.precedence import UNKNOWN
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
    sshline._known.clear()


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
        if not p.last_resort and any((sshline.BEGINNING + key[4:]).startswith(key) for key in p.starts)
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
    assert len(sshline._known) == 1


@pytest.mark.parametrize(
    ("software", "product", "version"),
    [
        (b"9nSampler", "9nSampler", ""),
        (b"3box-server", "3box-server", ""),
        (b"7sampler", "7sampler", ""),
        (b"2.4.1 Sampler Shell", "Sampler Shell", "2.4.1"),
        (b"2.4.1 (trial)", "", ""),
        (b"1.2.22j4rad", "", ""),
        (b"2p1", "", ""),
        (b"1beta2", "", ""),
        (b"2.40", "", ""),
    ],
)
def test_a_number_in_front(software: bytes, product: str, version: str) -> None:
    found = Classifier().identify(b"SSH-2.0-" + software + b"\r\n")
    assert (found.label, found.product, found.version) == ("ssh", product, version)


def test_what_is_remembered_of_strangers_has_a_bound() -> None:
    for i in range(sshline.REMEMBERED + 100):
        found = Classifier().identify(b"SSH-2.0-x_%d\r\n" % i)
        assert (found.product, found.version) == ("x", str(i))
    assert len(sshline._known) == 100
