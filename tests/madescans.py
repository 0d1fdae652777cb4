"""Made scans: records as `lzr` would have written them, of any number, with hostile banners among them.

The same arguments give the same records. `records` gives dicts, `write` a file of them; both make 100,000 and
more a second.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lzr.records.escape import csv_cell, time_text

Record = dict[str, Any]
START = 1_795_000_000_000_000_000
"""Nanoseconds since the epoch at which a made scan begins."""

HOSTILE: tuple[bytes, ...] = (
    bytes(range(256)),
    b"\x00",
    b"\x00" * 300,
    b"\xff\xfe\xfd\xfc",
    b"<script>alert(1)</script><img src=x onerror=alert(2)>",
    b"</script><!--<script>",
    b"=cmd|'/c calc'!A0",
    b"'; DROP TABLE records; --",
    b'"},{"saddr":"1.2.3.4"}\\u0000\\',
    b"\x1b[2J\x1b]0;owned\x07",
    "\u202eelif\u2066 \u4f60\u597d".encode(),
    b"{{7*7}}${7*7}%s%n",
    b"\\x41\\u0041\\n\\\\",
    b"http://attacker.example/?" + b"A" * 3000,
)
"""Replies that something which reads them might stumble over."""

# label, usual port, product, replies: %d is a version's number, the next two are what always differs
_SERVICES: tuple[tuple[str, int, str, bytes], ...] = (
    (
        "http",
        80,
        "nginx",
        b"HTTP/1.1 200 OK\r\nServer: nginx/1.%d\r\nDate: Mon, 23 Nov 2026 10:%02d:%02d GMT\r\n"
        b"Content-Type: text/html\r\nContent-Length: 153\r\n\r\n<html><head><title>Welcome</title></head>",
    ),
    (
        "http",
        8080,
        "Apache",
        b"HTTP/1.1 403 Forbidden\r\nDate: Mon, 23 Nov 2026 10:%02d:%02d GMT\r\n"
        b"Server: Apache/2.4.%d\r\n\r\n<h1>Forbidden</h1>",
    ),
    ("ssh", 22, "OpenSSH", b"SSH-2.0-OpenSSH_9.%dp%d Debian-%d\r\n"),
    ("ftp", 21, "vsftpd", b"220 (vsFTPd 3.0.%d) %02d%02d\r\n"),
    ("smtp", 25, "Postfix", b"220 mail.example.net ESMTP Postfix 3.%d.%d.%d\r\n"),
    ("tls", 443, "", b"\x16\x03\x03\x00\x3d\x02\x00\x00\x39\x03\x03\x80\xff%d\x00%d\xe9%d\xc0\x2f\x00"),
    ("mysql", 3306, "MySQL", b"J\x00\x00\x00\n8.0.%d\x00\x08\x00\x00\x00%02d\x7f\xff\xf7%02d\x00"),
    ("redis", 6379, "", b"-DENIED Redis %d.%d.%d\r\n"),
)


def address(number: int) -> str:
    """The address of host `number`: IPv4 within 10/8, every eleventh IPv6 within 2001:db8::/32."""
    if number % 11 == 10:
        return f"2001:db8:{number >> 16 & 0xFFFF:x}::{number & 0xFFFF or 1:x}".replace(":0::", "::")
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def record(number: int, rng: random.Random, *, data: bytes | None = None, enrich: bool = False) -> Record:
    """One record: 60 % services (1 in 50 of them hostile), the rest silent, refused or an ACKing firewall."""
    label, port, product, reply = _SERVICES[rng.randrange(len(_SERVICES))]
    if rng.random() < 0.3:
        port = rng.choice((80, 443, 8443, 9000, rng.randrange(1024, 65536)))
    found: Record = {
        "saddr": address(number), "daddr": "192.0.2.7", "sport": port, "dport": rng.randrange(32768, 61001),
        "seqnum": rng.getrandbits(32), "acknum": rng.getrandbits(32), "window": rng.randrange(1, 65536),
        "ttl": rng.choice((49, 52, 57, 64, 113, 128, 241, 255)), "Counter": 0,
        "ACK": True, "ACKed": True, "SYN": False, "RST": False, "FIN": False, "PUSH": True, "HandshakeNum": 0,
        "fingerprint": label, "Timestamp": time_text(START + number * 12_345_678 + rng.randrange(1000)),
    }  # fmt: skip
    kind = rng.random()
    if data is not None or kind < 0.6:
        numbers = rng.randrange(30), rng.randrange(10), rng.randrange(60)
        said = reply % numbers
        if data is not None or rng.random() < 0.02:
            said = data if data is not None else HOSTILE[rng.randrange(len(HOSTILE))]
            found["fingerprint"] = label = "unknown"
        found["expectedRToLZR"] = "data"
        found["data"] = said.decode("latin-1")
        if product and label != "unknown":
            found["product"], found["version"] = product, f"{numbers[0]}.{numbers[1]}"
            if enrich:
                found["device"], found["os"] = "Web server", "Linux"
                found["cpe"] = f"cpe:/a:{product.lower()}:{product.lower()}:{numbers[0]}.{numbers[1]}"
        return found
    found["fingerprint"], found["PUSH"] = "unknown", False
    if kind < 0.8:
        found["expectedRToLZR"] = "data"
    elif kind < 0.9:
        found["RST"], found["window"] = True, 0
    elif kind < 0.97:
        found["expectedRToLZR"], found["ACKed"] = "ack", False
    else:
        found["ackingFirewall"] = True
    return found


def records(count: int, *, seed: int = 1, first: int = 0, enrich: bool = False) -> Iterator[Record]:
    """`count` records of the hosts from `first` on."""
    rng = random.Random(seed)
    for number in range(first, first + count):
        yield record(number, rng, enrich=enrich)


def hostile(*, seed: int = 1) -> Iterator[Record]:
    """A record for each of HOSTILE, and one whose texts are hostile too."""
    rng = random.Random(seed)
    for number, data in enumerate(HOSTILE):
        found = record(number, rng, data=data)
        found["product"] = data.decode("latin-1")[:200]
        yield found


def line(found: Record) -> str:
    """As `lzr` writes it: printable ASCII."""
    return json.dumps(found, separators=(",", ":")) + "\n"


def as_csv(found: Iterable[Record], fields: tuple[str, ...]) -> str:
    """As ``-O csv --output-fields`` writes them."""
    lines = [",".join(fields)]
    for one in found:
        cells = (one.get(name, "") for name in fields)
        lines.append(",".join(csv_cell(c) if isinstance(c, str) else str(c).lower() for c in cells))
    return "\n".join(lines) + "\n"


def write(path: Path, count: int, *, seed: int = 1, first: int = 0, enrich: bool = False) -> Path:
    """A file of JSON lines; compressed where its name ends so (.gz)."""
    made = records(count, seed=seed, first=first, enrich=enrich)
    with gzip.open(path, "wt", 1) if path.suffix == ".gz" else open(path, "w", encoding="ascii") as file:
        file.writelines(map(line, made))
    return path
