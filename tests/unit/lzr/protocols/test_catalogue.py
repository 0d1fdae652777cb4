"""Every claim of the catalogue with its proof: examples, rejects, and bytes that prove nothing."""

from __future__ import annotations

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lzr.fingerprint.classifier import Classifier, identify
from lzr.protocols import BY_NAME, PROTOCOLS, Address, Host, Protocol, handshake
from tests.effort import examples
from tests.rows import every_row

CLASSIFIER = Classifier()
MATCHED = [p for p in PROTOCOLS if p.match is not None]


def render(protocol: Protocol) -> bytes:
    """The probe as one peer would see it."""
    out = b""
    for part in protocol.parts:
        if isinstance(part, bytes):
            out += part
        elif isinstance(part, Host):
            out += b"192.0.2.7:8080"
        elif isinstance(part, Address):
            out += b"192.0.2.7"
        else:
            out += bytes((i * 89 + 17) & 255 for i in range(part.size))
    return out


@every_row(PROTOCOLS, lambda p: p.name)
def test_an_example_gets_its_own_label_only(protocol: Protocol) -> None:
    for i, example in enumerate(protocol.examples):
        assert CLASSIFIER.classify(example) == protocol.name, f"example {i}"


@every_row(PROTOCOLS, lambda p: p.name)
def test_a_reject_is_refused(protocol: Protocol) -> None:
    for i, reject in enumerate(protocol.rejects):
        assert not protocol.matches(reject), f"reject {i}"
        assert CLASSIFIER.classify(reject) != protocol.name, f"reject {i}"


def test_names_are_unique_and_plain() -> None:
    assert len(BY_NAME) == len(PROTOCOLS)
    for protocol in PROTOCOLS:
        assert set(protocol.name) <= set(string.ascii_lowercase + string.digits + "_-")
        assert handshake(protocol.name) is protocol
        assert protocol.spec


def test_every_matcher_has_proof() -> None:
    assert [p.name for p in MATCHED if not (p.examples and p.rejects)] == []


def test_a_probe_fits_one_packet() -> None:
    assert [p.name for p in PROTOCOLS if len(render(p)) > 1200] == []
    assert [p.name for p in PROTOCOLS if not isinstance(p.probe, bytes) and not p.probe] == []


@every_row([p for p in PROTOCOLS if p.parts], lambda p: p.name)
def test_a_probe_come_back_is_an_echo(protocol: Protocol) -> None:
    sent = render(protocol)
    assert CLASSIFIER.classify(sent, protocol) == "echo"
    if protocol.name != "amqp":  # a broker of another version answers with the very header we send
        assert CLASSIFIER.classify(sent) == "unknown", "a request is no reply"


@every_row(PROTOCOLS, lambda p: p.name)
def test_an_answer_is_no_echo(protocol: Protocol) -> None:
    for i, example in enumerate(protocol.examples):
        if not (protocol.name == "amqp" and example == protocol.probe):
            assert CLASSIFIER.classify(example, protocol) == protocol.name, f"example {i}"


@pytest.mark.parametrize(
    "reply",
    [
        b"GET / HTTP/1.1\r\nHost: [2001:db8::7]:81\r\n",
        b"GET / HTTP/1.1\r\nHost: a",
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\r\r\n",
    ],
)
def test_a_part_of_the_probe_is_an_echo_too(reply: bytes) -> None:
    assert CLASSIFIER.classify(reply, BY_NAME["http"]) == ("echo" if len(reply) >= 16 else "unknown")


@every_row([p for p in PROTOCOLS if p.parts], lambda p: p.name)
def test_however_little_comes_back_it_is_no_other_protocol(protocol: Protocol) -> None:
    sent = render(protocol)
    for end in range(2, len(sent)):
        got = CLASSIFIER.classify(sent[:end], protocol)
        assert got in ("echo", "unknown", protocol.name), (end, got)
        assert end < 16 or got in ("echo", protocol.name), end


def test_empty_lines_are_an_echo_only_of_empty_lines() -> None:
    assert CLASSIFIER.classify(b"\r\n\r\n", BY_NAME["newlines"]) == "echo"
    assert CLASSIFIER.classify(b"\r\n" * 7, BY_NAME["newlines50"]) != "echo"
    assert CLASSIFIER.classify(b"\r\n\r\nlogin: ", BY_NAME["newlines"]) == "telnet"


def test_unknown_handshake_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        handshake("gopherette")


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    for protocol in MATCHED:
        assert protocol.match is not None
        assert isinstance(protocol.match(data), bool)
    for protocol in PROTOCOLS:
        CLASSIFIER.classify(data, protocol)
    identify(data)


@settings(max_examples=examples(400), suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(MATCHED), st.data())
def test_cut_and_mutated_examples_never_raise(protocol: Protocol, draw: st.DataObject) -> None:
    data = bytearray(draw.draw(st.sampled_from(protocol.examples or (b"x",))))
    data = data[: draw.draw(st.integers(0, len(data)))]
    for _ in range(draw.draw(st.integers(0, 4))):
        if data:
            data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    assert protocol.match is not None
    assert isinstance(protocol.match(bytes(data)), bool)
    assert isinstance(identify(bytes(data)).label, str)


@every_row(MATCHED, lambda p: p.name)
def test_every_truncation_of_every_example_is_answered(protocol: Protocol) -> None:
    assert protocol.match is not None
    for example in protocol.examples:
        for end in range(min(len(example), 160) + 1):
            assert isinstance(protocol.match(example[:end]), bool)


@every_row(MATCHED, lambda p: p.name)
def test_a_reply_changed_in_any_byte_or_cut_anywhere_is_answered(protocol: Protocol) -> None:
    """The systematic form of the test above: lengths that point past the end are in there somewhere."""
    assert protocol.match is not None
    for reply in (*protocol.examples, *protocol.rejects):
        for at in range(min(len(reply), 48)):
            for byte in (0, 1, 0x7F, 0xFF):
                changed = reply[:at] + bytes((byte,)) + reply[at + 1 :]
                assert protocol.match(changed) in (True, False)
                assert protocol.match(changed[: at + 4]) in (True, False)
