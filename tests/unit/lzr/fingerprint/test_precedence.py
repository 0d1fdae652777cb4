"""One label out of many: the user's choice, then the rules, then the names joined in a fixed order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fingerprint.classifier import Classifier
from lzr.fingerprint.precedence import RULES, resolve
from lzr.protocols import BY_NAME, PROTOCOLS
from lzr.protocols.__main__ import table
from tests import ROOT

ORDER = list(BY_NAME)


@pytest.mark.parametrize(
    ("found", "preferred", "label"),
    [
        ([], (), "unknown"),
        (["ssh"], ("http",), "ssh"),
        (["smtp", "ftp"], (), "smtp-ftp"),
        (["smtp", "ftp"], ("ftp",), "ftp"),
        (["smtp", "ftp"], ("http", "smtp", "ftp"), "smtp"),
        (["tls", "http"], (), "tls"),
        (["tls", "http"], ("http",), "tls"),  # what it is comes before what the user would like
        (["http", "rtsp"], ("http",), "rtsp"),
        (["http", "ipp"], (), "ipp"),
        (["http", "kubernetes"], ("tls",), "kubernetes"),
    ],
)
def test_resolve(found: list[str], preferred: tuple[str, ...], label: str) -> None:
    assert resolve(found, preferred) == label


def test_rules_name_protocols_that_exist() -> None:
    for winners, losers, why in RULES:
        assert winners <= set(ORDER), winners - set(ORDER)
        assert losers <= set(ORDER), losers - set(ORDER)
        assert why


def test_no_two_rules_contradict() -> None:
    beats = {pair for winners, losers, _ in RULES for pair in itertools.product(winners, losers)}
    assert not {(a, b) for a, b in beats if (b, a) in beats}


@given(st.sets(st.sampled_from(ORDER), min_size=1, max_size=6), st.lists(st.sampled_from(ORDER), max_size=3))
def test_a_label_is_made_of_what_was_found(found: set[str], preferred: list[str]) -> None:
    names = [name for name in ORDER if name in found]
    label = resolve(names, preferred)
    joined = f"-{resolve(names)}-"
    kept = [name for name in names if f"-{name}-" in joined] if len(names) > 1 else []
    chosen = next((name for name in preferred if name in kept), None)
    if chosen:
        assert label == chosen
    assert any(name in label for name in names)
    assert resolve(names, preferred) == label


REFERENCE = {
    "http", "ipp", "kubernetes", "tls", "ssl", "ssh", "smtp", "newlines", "newlines50", "bgp", "redis",
    "memcached_ascii", "memcached_binary", "amqp", "dns", "mongodb", "mqtt", "mssql", "postgres",
    "oracle", "smb", "rdp", "rtsp", "pptp", "x11", "modbus", "dnp3", "fox", "siemens", "ipmi", "wait",
    "ftp", "imap", "pop3", "mysql", "telnet", "vnc",
}  # fmt: skip
SILENT = ("wait", "ftp", "imap", "pop3", "mysql", "telnet", "vnc")


def test_every_handshake_of_the_reference_can_be_chosen() -> None:
    assert set(BY_NAME) >= REFERENCE
    assert not any(BY_NAME[name].probe for name in SILENT)
    assert all(BY_NAME[name].parts for name in REFERENCE if name not in SILENT)
    assert len(PROTOCOLS) >= len(REFERENCE) + 50


@pytest.mark.parametrize("name", [p.name for p in PROTOCOLS if p.solicited])
def test_a_lone_byte_counts_only_where_it_was_asked_for(name: str) -> None:
    classify = Classifier().classify
    for reply in BY_NAME[name].solicited:
        assert classify(reply, BY_NAME[name]) == name
        assert classify(reply, BY_NAME["http"]) == "unknown"


def test_the_table_in_the_docs_is_current() -> None:
    document = ROOT / "docs" / "protocols.md"
    assert document.read_text().endswith(table()), "run: python -m lzr.protocols"


@pytest.mark.parametrize("name", ["mongodb", "hadoop-ipc", "clickhouse", "socks"])
def test_a_page_that_says_that_the_port_is_not_the_webs_is_not_the_webs(name: str) -> None:
    pages = [example for example in BY_NAME[name].examples if example.startswith(b"HTTP/")]
    assert pages
    for page in pages:
        assert Classifier(("http",)).classify(page, BY_NAME["http"]) == name
