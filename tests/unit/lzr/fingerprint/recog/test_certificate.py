"""Names in a certificate that comes in clear, whatever is sent instead of one."""

from __future__ import annotations

import random

import pytest

from lzr.fingerprint.recog.certificate import names
from tests.recogexamples import certificate, der, name

SUBJECT = rb"CN=device.example,OU=lab\, second floor,O=Example Ltd,L=Town,ST=State,C=GB"
ISSUER = b"CN=Example CA,O=Example Ltd,C=GB"


@pytest.mark.parametrize("version", [b"", der(0xA0, b"\2\1\2")])
def test_subject_and_issuer_are_read_with_and_without_a_version(version: bytes) -> None:
    assert names(certificate(SUBJECT, ISSUER, version)) == (SUBJECT, ISSUER)


def test_the_order_is_always_the_same() -> None:
    assert names(certificate(b"C=GB,O=Example,CN=x", b"O=b,CN=a"))[0] == b"CN=x,O=Example,C=GB"


def test_a_certificate_over_several_records_is_put_together() -> None:
    whole = certificate(SUBJECT, ISSUER)
    hello, rest = whole[: 5 + 42], whole[5 + 42 + 5 :]
    cut = b"".join(b"\x16\3\3" + len(p).to_bytes(2, "big") + p for p in (rest[:90], rest[90:]))
    assert names(hello + cut) == (SUBJECT, ISSUER)


def test_a_cut_reply_gives_what_is_whole_and_never_raises() -> None:
    whole = certificate(SUBJECT, ISSUER)
    seen = set()
    for end in range(len(whole)):
        subject, issuer = names(whole[:end])
        assert subject in (b"", SUBJECT)
        assert issuer in (b"", ISSUER)
        seen.add((bool(subject), bool(issuer)))
    assert seen == {(False, False), (False, True), (True, True)}


def test_changed_bytes_never_raise_and_stay_bounded() -> None:
    source = random.Random(15)
    whole = certificate(SUBJECT, ISSUER)
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(source.randrange(1, 6)):
            data[source.randrange(len(data))] = source.randrange(256)
        assert max(map(len, names(bytes(data)))) < 24 * 512


def test_sets_without_end_are_not_followed() -> None:
    many = der(0x31, der(0x30, der(6, b"\x55\x04\x0b") + der(0x0C, b"x"))) * 500
    assert name(b"CN=x")
    body = der(2, b"\5") + der(0x30, b"") + der(0x30, many) + der(0x30, b"") + name(b"CN=x")
    whole = der(0x30, der(0x30, body))
    message = b"\x0b" + b"".join((len(whole) + more).to_bytes(3, "big") for more in (6, 3, 0)) + whole
    subject, issuer = names(b"\x16\3\3" + len(message).to_bytes(2, "big") + message)
    assert subject == b"CN=x"
    assert issuer.count(b"OU=x") == 24
