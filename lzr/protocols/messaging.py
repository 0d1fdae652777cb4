"""Message brokers: MQTT, AMQP."""

from __future__ import annotations

from lzr.protocols._bytes import be16, be32
from lzr.protocols._protocol import Protocol


def _mqtt(data: bytes) -> bool:
    """CONNACK of 3.1.1 (MQTT 3.1.1 §3.2: flags, code 0-5) or 5 (§3.2: flags, reason, properties)."""
    if len(data) < 4:
        return False
    size, at = data[1], 2
    if size & 0x80:
        size, at = (size & 0x7F) | data[2] << 7, 3
    if data[at] > 1 or len(data) < at + 2:
        return False
    reason = data[at + 1]
    if size == 2:
        return reason <= 5 or 0x80 <= reason <= 0x9F
    if size < 3 or len(data) < at + 3 or len(data) > at + size + 64:
        return False
    return (reason == 0 or 0x80 <= reason <= 0x9F) and (data[at + 2] & 0x80 != 0 or data[at + 2] == size - 3)


def _amqp(data: bytes) -> bool:
    """A protocol header (AMQP 0-9-1 §4.2.2, 1.0 §2.2), or a method frame with Connection.Start or .Close."""
    if data[:4] == b"AMQP":
        return len(data) >= 8 and data[4] <= 3 and data[5] <= 9 and data[6] <= 9 and data[7] <= 99
    if len(data) < 12 or data[1:3] != b"\0\0" or be32(data, 3) > 1 << 17:
        return False
    return be16(data, 7) == 10 and be16(data, 9) in (10, 50)


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="mqtt",
        spec="MQTT 3.1.1 §3.2, MQTT 5.0 §3.2",
        match=_mqtt,
        probe=b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
        starts=(b"\x20",),
        examples=(
            b"\x20\xcb\1\0\0\xc8\1" + b"\x26" * 200,
            b"\x20\x02\x00\x00",
            b"\x20\x02\x00\x05",
            b"\x20\x03\x00\x84\x00",
            b"\x20\x06\x00\x00\x03\x22\x00\x0a",
        ),
        rejects=(b"\x20\1\0\0\0", b"    ", b"\x20\x02\x20\x02", b" \x02", b"\x20\x02\x00\x77", b"  login: "),
        ports=(1883, 8883),
        zgrab="mqtt",
    ),
    Protocol(
        name="amqp",
        spec="AMQP 0-9-1 §4.2.2, §4.2.3; AMQP 1.0 §2.2",
        match=_amqp,
        probe=b"AMQP\x00\x00\x09\x01",
        starts=(b"AMQP", b"\x01\0\0"),
        examples=(
            b"AMQP\x00\x01\x00\x00",
            b"AMQP\x03\x01\x00\x00",
            b"\x01\0\0\0\0\x01\xff\0\x0a\0\x0a\0\x09\0\0\x01\xdb\x0ccapabilitiesF",
        ),
        rejects=(b"\1\0\0\0\0\1", b"AMQP", b"AMQP is a protocol", b"\x01\0\0\0\0\0\x10" + bytes(10)),
        ports=(5672, 5671),
        zgrab="amqp091",
    ),
)
