"""-handshakes-by-port: what a file of orders says, and every way in which it can be wrong."""

from __future__ import annotations

import contextlib
from itertools import islice, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.errors import UsageError
from lzr.options import byport
from lzr.options.handshakes import EPHEMERAL, IANA, NO_PREFERENCE
from lzr.options.table import Options
from tests.rows import every_row

FILE = b"""\xef\xbb\xbfdefault = ["https", "wait"]   # of all others
[ports]
22 = ["wait"]
"80,8080-8081" = ["http", "tls"]
25 = ["smtp", "wait"]
443 = ["tls", "wait"]
9000 = ["iana"]
"""


def read(*files: bytes) -> byport.ByPort:
    names = [f"file{at}" for at in range(len(files))]
    return byport.read(names, dict(zip(names, files, strict=True)).__getitem__)


def test_the_scan_has_one_list_that_begins_with_the_default() -> None:
    found = read(FILE)
    options, notes = byport.choose_default(Options(handshakes_by_port=("file0",)), found)
    assert (options.handshakes, options.priority_fingerprint) == (("tls", "wait"), NO_PREFERENCE)
    assert "https is tls here" in notes
    by_port = byport.port_orders(options.handshakes, found)
    assert by_port.names == ("tls", "wait", "http", "smtp", "dns", "pptp")
    for port, order in (
        (22, ("wait",)), (80, ("http", "tls")), (8081, ("http", "tls")), (25, ("smtp", "wait")),
        (443, ("tls", "wait")), (9000, IANA), (1, ("tls", "wait")), (65535, ("tls", "wait")),
    ):  # fmt: skip
        assert by_port.named(int(by_port.of_port[port])) == order
    assert by_port.of_port[443] == by_port.of_port[1] == 0  # the same order is one
    assert by_port.ports(int(by_port.of_port[80])) == ((80, 80), (8080, 8081))
    assert byport.shown(by_port) == ("by port: 6 ports with 4 orders of their own, all others tls, wait")


def test_handshakes_on_the_command_line_go_before_the_default() -> None:
    asked = Options(handshakes=("ssh", "http"), handshakes_by_port=("x",)).saying(("handshakes",))
    options, _ = byport.choose_default(asked, read(FILE))
    assert (options.handshakes, options.priority_fingerprint) == (("ssh", "http"), ("ssh", "http"))
    assert byport.port_orders(options.handshakes, read(FILE)).names[:2] == ("ssh", "http")
    options, _ = byport.choose_default(Options(handshakes_by_port=("x",)), read(b"[ports]\n1=['wait']"))
    assert options.handshakes == ("http",)  # no default at all: that of -handshakes
    by_port = byport.port_orders(EPHEMERAL, read(b"default = ['ephemeral']"))
    assert (by_port.names, by_port.orders) == (EPHEMERAL, ((0, 1, 2, 3, 4),))


def test_several_files_add_up() -> None:
    found = read(b"[ports]\n1=['wait']", b"default=['tls']\n[ports]\n2=['wait','http']")
    assert found.default == ("tls",)
    assert [names for _, names in found.orders] == [("wait",), ("wait", "http")]
    assert read() == byport.ByPort()


@every_row([
        ((b"",), "names no port"),
        ((b"[ports]",), "names no port"),
        ((b"\xff",), "is not UTF-8 text"),
        (("80 = ['http']".encode("utf-16"),), "is UTF-16 text"),
        ((b"80 = ",), "is not TOML: Invalid value"),
        ((b"[ports]\n80=['http']\n80=['tls']",), "is not TOML: Cannot overwrite"),
        ((b"80 = ['http']",), "unknown key 80"),
        ((b"port = 1",), "unknown key port; did you mean ports?"),
        ((b"ports = ['http']",), "ports must be a table"),
        ((b"[ports]\n80='http'",), "80 must be a list of handshakes"),
        ((b"[ports]\n80=[]",), "80 must be a list of handshakes"),
        ((b"[ports]\n80=[1]",), "80 must be a list of handshakes"),
        ((b"[ports.80]\nhandshakes=['http']",), "80 must be a list of handshakes"),
        ((b"default = 'http'",), "default must be a list of handshakes"),
        ((b"default = ['htpt']",), "default: htpt is not a handshake; did you mean http?"),
        ((b"[ports]\n161=['snmp']",), "161: snmp is UDP"),
        ((b"[ports]\n80=['none']",), "80: none asks for no handshake"),
        ((b"[ports]\n80=['none','http']",), "80: none asks for no handshake"),
        ((b"[ports]\n70000=['http']",), "70000 must be ports from 0 to 65535"),
        ((b"[ports]\n'90-80'=['http']",), "90-80 has a range whose first port is above its last"),
        ((b"[ports]\n''=['http']",), "'' must be ports"),
        ((b"[ports]\nhttp=['http']",), "http must be ports"),
        ((b"[ports]\n80=['http']\n'70-90'=['tls']",), "port 80 stands in two places"),
        ((b"[ports]\n80=['http']", b"[ports]\n80=['http']"), "file1: port 80 stands in two places"),
        ((b"default=['http']", b"default=['tls']"), "default stands in another of the files"),
    ])  # fmt: skip
def test_a_mistake_is_one_sentence(files: tuple[bytes, ...], sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        read(*files)
    said = str(raised.value)
    assert said.startswith("--handshakes-by-port file")
    assert sentence in said
    assert "\n" not in said


def test_what_cannot_go_together() -> None:
    with pytest.raises(UsageError, match="cannot stand beside --handshakes-by-port"):
        byport.port_orders(("none",), read(FILE))
    with pytest.raises(UsageError, match="printers print a page"):
        byport.choose_default(Options(allow_printers=True), read(b"[ports]\n80=['all']"))
    byport.choose_default(Options(allow_printers=True), read(FILE))


def test_too_many_orders() -> None:
    orders = islice(permutations(("http", "tls", "wait", "ssh", "smtp", "ftp")), 255)
    text = "[ports]\n" + "\n".join(f"{1 + at} = {list(order)}" for at, order in enumerate(orders))
    found = read(text.replace("'", '"').encode())
    with pytest.raises(UsageError, match="more than 255 different orders"):
        byport.port_orders(("http",), found)
    assert len(byport.port_orders(("http", "tls", "wait", "ssh", "smtp", "ftp"), found).orders) == 255


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_file_brings_a_traceback(data: bytes) -> None:
    with contextlib.suppress(UsageError):
        assert byport.port_orders(("http",), read(data)).names[0] == "http"
