"""What fingerprints add to an identity: the goals that they have to meet, and what they must leave alone."""

from __future__ import annotations

import pytest

from lzr.fingerprint.classifier import identify
from lzr.fingerprint.enrichment import EnrichingClassifier
from lzr.fingerprint.recog.facts import told
from lzr.protocols import PROTOCOLS
from lzr.protocols._protocol import Details
from tests.recogexamples import certificate, http, replies, table
from tests.rows import every_row

CLASSIFIER = EnrichingClassifier()


def test_examples_with_a_cpe_give_it_and_no_product_is_wrong() -> None:
    """The goals: at least 95 % of the CPEs, at most 0.5 % of the products wrong."""
    cpes = given = products = wrong = 0
    missed = []
    for example, reply in replies():
        found = CLASSIFIER.identify(reply)
        asked = table(example.table)
        if any(name.endswith("cpe23") for name in asked.rows[example.row].says):
            cpes += 1
            says = told(asked, example.text)
            expected = {says[name] for name in says if name.endswith("cpe23")}
            got = bool(expected) and expected <= set(found.details.cpe.split(" "))
            given += got
            missed += [] if got else [(example.table, example.text[:60])]
        if found.product and example.says:
            # Ours is what the reply itself states, to the letter; else it is what the fingerprint says.
            products += 1
            stated = found.product.encode("latin-1", "replace").lower() in reply.lower()
            names = " ".join(
                value.lower() for value in (*told(asked, example.text).values(), *example.says.values())
            )
            wrong += not stated and not any(word in names for word in found.product.lower().split())
    assert cpes > 2000
    assert given >= 0.985 * cpes, missed
    assert products > 2500
    assert wrong <= 0.005 * products


def test_labels_and_applications_are_the_same_with_and_without() -> None:
    for protocol in PROTOCOLS:
        for example in protocol.examples:
            plain, rich = identify(example), CLASSIFIER.identify(example)
            assert (plain.label, plain.application) == (rich.label, rich.application)
            if plain.product and protocol.name != "mysql":
                assert plain.product == rich.product


@pytest.mark.parametrize(
    ("reply", "product", "version", "details"),
    [
        (
            http(b"Server: Apache/2.4.29 (Ubuntu)"),
            "Apache",
            "2.4.29",
            Details(
                os="Ubuntu Linux", cpe="cpe:/a:apache:http_server:2.4.29 cpe:/o:canonical:ubuntu_linux:-"
            ),
        ),
        (
            http(b"Server: Linux/2.6 UPnP/1.0 miniupnpd/1.0"),
            "MiniUPnP Project MiniUPnPd",
            "1.0",
            None,
        ),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "OpenSSH", "9.2p1", None),
        (b"220 Lexmark X500 FTP server ready\r\n", "Lexmark X500", "", None),
        (b"\r\nMikroTik v6.42.3 (stable)\r\nLogin: ", "MikroTik RouterOS", "6.42.3", None),
        # A version that Recog finds inside of what we took for the name.
        (http(b"Server: ntopng 5.4.220905 (amd64)"), "ntopng", "5.4.220905", None),
        (http(b"Server: Jetty(9.4.z-SNAPSHOT)"), "Jetty", "9.4.z-SNAPSHOT", None),
        (http(b"Server: Lotus-Domino/Release-4.6.7(Intl)"), "Lotus-Domino", "4.6.7", None),
        (b"SSH-2.0-5.17 FlowSsh: Bitvise SSH Server (WinSSHD) 5.59\r\n", "Bitvise WinSSHD", "5.59", None),
    ],
)
def test_products_and_details(reply: bytes, product: str, version: str, details: Details | None) -> None:
    found = CLASSIFIER.identify(reply)
    assert (found.product, found.version) == (product, version)
    assert details is None or found.details == details


def test_the_subject_of_a_certificate_is_told_whatever_it_says() -> None:
    found = CLASSIFIER.identify(certificate(b"CN=h.example,O=Nobody", b"CN=ca"))
    assert found.label == "tls"
    assert found.details == Details(subject="CN=h.example,O=Nobody")


def test_a_head_of_lines_that_end_with_lf_alone_tells_the_same() -> None:
    whole = http(
        b'WWW-Authenticate: Basic realm="RT-N66U"', b"<html><title>Sampler 3</title>\nServer: nginx/1.2\n"
    )
    with_title = http(b"Server: x", b"<html><head><title>ZoneMinder</title></head>")
    for reply in (whole, with_title):
        plain, bare = CLASSIFIER.identify(reply), CLASSIFIER.identify(reply.replace(b"\r\n", b"\n"))
        assert bare == plain
        assert plain.product


@every_row(
    [
        (b"220 mx.example.com ESMTP Postfix\r\n", "smtp", "Postfix"),
        (b"+OK Sampler POP3 server 1.2.3 ready\r\n", "pop3", "Sampler POP3 server"),
        (b"SSH-2.0-Sampler_1.2\r\n", "ssh", "Sampler"),
        (b"HTTP/1.1 200 OK\r\nServer: nginx/1.2.3\r\n\r\n", "http", "nginx"),
        (b"<html><title>x</title>", "http", ""),
    ]
)
def test_a_byte_order_mark_in_front_changes_nothing(reply: bytes, label: str, product: str) -> None:
    plain, marked = CLASSIFIER.identify(reply), CLASSIFIER.identify(b"\xef\xbb\xbf" + reply)
    assert (plain.label, plain.product) == (label, product)
    assert marked == plain
    assert CLASSIFIER.classify(b"\xef\xbb\xbf" + reply) == label


@every_row(
    [
        ("CN=Müller,O=株式会社".encode(), 0x0C, "CN=Müller,O=株式会社"),
        ("CN=Müller".encode("latin-1"), 0x0C, "CN=Müller"),  # not what its tag says
        ("CN=Müller".encode("latin-1"), 0x14, "CN=Müller"),  # TeletexString
        (b"CN=" + "Müller".encode("utf-16-be"), 0x1E, "CN=Müller"),  # BMPString
        (b"CN=" + ("M" * 199 + "ü" * 9).encode(), 0x0C, "CN=" + "M" * 199 + "ü"),  # cut behind a character
    ]
)
def test_a_subject_in_other_letters_reads_as_it_was_written(subject: bytes, tag: int, shown: str) -> None:
    assert CLASSIFIER.identify(certificate(subject, b"CN=ca", tag=tag)).details.subject == shown


def test_one_cpe_each_and_the_exact_one() -> None:
    found = CLASSIFIER.identify(http(b"X-Powered-By: PHP/7.4.3\r\nSet-Cookie: PHPSESSID=1; path=/"))
    assert [cpe for cpe in found.details.cpe.split() if ":php:" in cpe] == ["cpe:/a:php:php:7.4.3"]


def test_what_is_not_known_is_left_as_it_is() -> None:
    assert CLASSIFIER.identify(b"\x01\x02\x03nonsense").details == Details()


def test_a_flood_of_different_texts_does_not_grow_the_memory() -> None:
    classifier = EnrichingClassifier()
    for number in range(5000):
        classifier.identify(http(b"Server: nonsense-%d" % number))
    assert len(classifier._facts._known) <= 4096
