"""What is sent is well-formed: each length, count and checksum in a probe is that of what follows.

A server that reads strictly closes on a length that is one too large, and what it is stays unknown. The
readers here are written from the specifications, not from the probes.
"""

from __future__ import annotations

import struct
from zlib import crc32

import pytest

from lzr.protocols import BY_NAME
from lzr.protocols._framing import der_length, varint
from tests.rows import every_row
from tests.unit.lzr.protocols.test_catalogue import render

# name, where the length stands, its form, and what is to be added to it to get the length of the whole
LENGTHS = (
    ("tls", 3, ">H", 5),
    ("tls", 7, ">H", 9),
    ("kubernetes", 3, ">H", 5),
    ("ssl", 0, ">H", 2 - 0x8000),
    ("postgres", 0, ">I", 0),
    ("oracle", 0, ">H", 0),
    ("oracle", 24, ">H", 58),  # of the connect data, which begin there
    ("drda", 0, ">H", 0),
    ("drda", 6, ">H", 6),
    ("mssql", 2, ">H", 0),
    ("mongodb", 0, "<I", 0),
    ("mongodb", 39, "<I", 39),
    ("memcached_binary", 8, ">I", 24),
    ("couchbase", 8, ">I", 24),
    ("cassandra", 5, ">I", 9),
    ("aerospike", 4, ">I", 8),
    ("riak", 0, ">I", 4),
    ("9p", 0, "<I", 0),
    ("mqtt", 1, "B", 2),
    ("kafka", 0, ">I", 4),
    ("pulsar", 0, ">I", 4),
    ("pulsar", 4, ">I", 8),
    ("gearman", 8, ">I", 12),
    ("rabbitmq-stream", 0, ">I", 4),
    ("ignite", 0, "<I", 4),
    ("rdp", 2, ">H", 0),
    ("rdp", 4, "B", 5),
    ("spice", 12, "<I", 16),
    ("radmin", 1, ">I", 9),
    ("smb", 0, ">I", 4),
    ("smb", 37, "<H", 39),
    ("dcerpc", 8, "<H", 0),
    ("netbios-ssn", 2, ">H", 4),
    ("modbus", 4, ">H", 6),
    ("siemens", 2, ">H", 0),
    ("siemens", 4, "B", 5),
    ("mms", 2, ">H", 0),
    ("mms", 4, "B", 5),
    ("s7", 24, ">H", 22),  # the second of two packets
    ("enip", 2, "<H", 24),
    ("ams", 2, "<I", 6),
    ("pcworx", 2, ">H", 0),
    ("fins", 4, ">I", 8),
    ("slmp", 7, "<H", 9),
    ("crimson", 0, ">H", 2),
    ("dns", 0, ">H", 2),
    ("stun", 2, ">H", 20),
    ("iec104", 1, "B", 2),
    ("opcua", 4, "<I", 0),
    ("opcua", 28, "<I", 32),
    ("synphasor", 2, ">H", 0),
    ("hart-ip", 6, ">H", 0),
    ("knxnet-ip", 4, ">H", 0),
    ("kerberos", 0, ">I", 4),
    ("rpc", 0, ">I", 4 - (1 << 31)),
    ("rpcbind", 0, ">I", 4 - (1 << 31)),
    ("epmd", 0, ">H", 2),
    ("openvpn", 0, ">H", 2),
    ("pptp", 0, ">H", 0),
    ("giop", 8, ">I", 12),
    ("ajp13", 2, ">H", 4),
    ("zabbix", 5, "<Q", 13),
    ("apcupsd", 0, ">H", 2),
    ("winbox", 0, "B", 2),
    ("winbox", 2, ">H", 4),
    ("adb", 12, "<I", 24),
    ("tplink-smarthome", 0, ">I", 4),
    ("tuya", 12, ">I", 16),
    ("mikrotik-api", 0, "B", 2),
    ("dicom", 2, ">I", 6),
    ("sap-ni", 0, ">I", 4),
    ("smpp", 0, ">I", 0),
    ("bitcoin", 16, "<I", 24),
    ("levin", 8, "<Q", 33),
    ("libvirt", 0, ">I", 0),
    ("hikvision", 0, ">I", 0),
    ("dvrip", 16, "<I", 20),
    ("landesk", 4, "<I", 12),
)


@every_row(LENGTHS)
def test_a_length_is_that_of_what_follows(name: str, at: int, form: str, more: int) -> None:
    probe = render(BY_NAME[name])
    assert struct.unpack_from(form, probe, at)[0] + more == len(probe)


def test_a_status_is_asked_for_in_two_whole_packets() -> None:
    """A handshake with a byte too many ends the connection: "larger than I expected, found 1 bytes extra"."""
    probe = render(BY_NAME["minecraft"])
    size, at = varint(probe, 0)
    shake, rest = probe[at : at + size], probe[at + size :]
    assert shake[0] == 0
    _, at = varint(shake, 1)
    host, at = varint(shake, at)
    assert shake[at + host :] == b"\x63\xdd\1"  # port 25565, then the status is what we are after
    assert rest == b"\1\0"


def test_an_iscsi_login_is_padded_behind_its_data() -> None:
    probe = render(BY_NAME["iscsi"])
    size = int.from_bytes(probe[5:8], "big")
    assert len(probe) == 48 + size + -size % 4
    assert probe[47 + size] == 0
    assert all(b"=" in pair for pair in probe[48 : 47 + size].split(b"\0"))


def test_checksums_are_right() -> None:
    nrpe = render(BY_NAME["nrpe"])
    assert crc32(nrpe[:4] + bytes(4) + nrpe[8:]) == struct.unpack_from(">I", nrpe, 4)[0]
    tuya = render(BY_NAME["tuya"])
    assert crc32(tuya[:-8]) == struct.unpack_from(">I", tuya, len(tuya) - 8)[0]
    debugger = render(BY_NAME["gdbserver"])
    assert sum(debugger[2:-3]) & 0xFF == int(debugger[-2:], 16)


def test_an_s7_pdu_fills_its_packet() -> None:
    second = render(BY_NAME["s7"])[22:]
    parameters, data = struct.unpack_from(">HH", second, 13)
    assert 7 + 10 + parameters + data == len(second)


def test_der_is_definite_to_its_end() -> None:
    """LDAP's and Kerberos' questions: each element ends where its parent says."""

    def walk(data: bytes) -> None:
        at = 0
        while at < len(data):
            size, start = der_length(data, at + 1)
            assert 0 <= size <= len(data) - start
            if data[at] & 0x20:
                walk(data[start : start + size])
            at = start + size

    walk(render(BY_NAME["ldap"]))
    walk(render(BY_NAME["kerberos"])[4:])


def test_an_association_is_asked_for_with_what_it_must_name() -> None:
    """The items of an A-ASSOCIATE-RQ end where their lengths say; the last one says which implementation asks
    (DICOM PS3.8 §9.3.2, PS3.7 §D.3.3)."""

    def items(data: bytes) -> dict[int, bytes]:
        found, at = {}, 0
        while at < len(data):
            kind, size = struct.unpack_from(">BxH", data, at)
            found[kind] = data[at + 4 : at + 4 + size]
            at += 4 + size
        assert at == len(data)
        return found

    outer = items(render(BY_NAME["dicom"])[74:])
    assert list(outer) == [0x10, 0x20, 0x50]
    assert list(items(outer[0x20][4:])) == [0x30, 0x40]
    user = items(outer[0x50])
    assert user[0x51] == (0x4000).to_bytes(4, "big")
    assert len(user[0x52]) <= 64
    assert all(part.isdigit() and (part == b"0" or part[:1] != b"0") for part in user[0x52].split(b"."))


def test_no_attribute_of_diameter_is_marked_as_it_may_not_be() -> None:
    """Product-Name must not be mandatory (RFC 6733 §4.5): else the bits are wrong (§7.1.3)."""
    probe = render(BY_NAME["diameter"])
    assert int.from_bytes(probe[1:4], "big") == len(probe)
    flags, at = {}, 20
    while at < len(probe):
        code, size = struct.unpack_from(">I", probe, at)[0], int.from_bytes(probe[at + 5 : at + 8], "big")
        flags[code] = probe[at + 4]
        at += size + -size % 4
    assert at == len(probe)
    assert flags.pop(269) == 0
    assert set(flags.values()) == {0x40}


@pytest.mark.parametrize("name", ["http", "ipp", "rtsp", "sip", "icap", "websocket"])
def test_a_request_has_a_whole_head_and_the_body_it_announces(name: str) -> None:
    head, end, body = render(BY_NAME[name]).partition(b"\r\n\r\n")
    assert end
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert len(body) == int(fields.get(b"Content-Length", b"0"))
