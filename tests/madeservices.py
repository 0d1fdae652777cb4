"""A made Internet for the order of handshakes: services of every kind on usual and unusual ports.

What a service answers to which handshake goes by its kind, with the shares of the LZR paper where it gives
any (65 % HTTP and 30 % TLS on unexpected ports; 28 % of what SYN-ACKs never sends data); the rest is made up.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.analysis.order import IDENTIFIED, NOTHING, UNKNOWN

HANDSHAKES = ("http", "tls", "wait", "dns", "smb", "oracle", "pptp", "sip", "redis", "mqtt")
GREETS = dict.fromkeys(HANDSHAKES, IDENTIFIED)
KINDS: dict[str, tuple[tuple[int, ...], dict[str, int]]] = {
    "http": ((80, 8080, 8000, 81), {"http": IDENTIFIED, "sip": IDENTIFIED, "dns": UNKNOWN}),
    "tls": ((443, 8443, 993), {"tls": IDENTIFIED, "http": IDENTIFIED}),
    "strict tls": ((4433,), {"tls": IDENTIFIED}),
    "ssh": ((22, 2222), GREETS),
    "smtp": ((25, 587), GREETS),
    "shy": ((5900,), {"wait": IDENTIFIED, "http": UNKNOWN}),
    "dns": ((53,), {"dns": IDENTIFIED}),
    "smb": ((445,), {"smb": IDENTIFIED}),
    "oracle": ((1521,), {"oracle": IDENTIFIED}),
    "pptp": ((1723,), {"pptp": IDENTIFIED}),
    "redis": ((6379,), {"redis": IDENTIFIED, "sip": IDENTIFIED, "http": UNKNOWN}),
    "mqtt": ((1883,), {"mqtt": IDENTIFIED}),
    "odd": ((7,), {"http": UNKNOWN, "redis": UNKNOWN}),
    "silent": ((9002, 179), {}),
}
NAMES = tuple(KINDS)
_ANYWHERE = {
    "http": 0.45,
    "tls": 0.21,
    "strict tls": 0.02,
    "ssh": 0.02,
    "smtp": 0.01,
    "dns": 0.004,
    "redis": 0.001,
}
_USUAL = {"http": 0.3, "tls": 0.25, "strict tls": 0.02, "ssh": 0.09, "smtp": 0.07, "shy": 0.01, "dns": 0.03}
_USUAL |= {"smb": 0.02, "oracle": 0.002, "pptp": 0.02, "redis": 0.004, "mqtt": 0.004, "odd": 0.01}


def made(
    count: int, seed: int = 1, unusual: float = 0.35
) -> tuple[NDArray[np.uint64], NDArray[np.uint16], NDArray[np.intp], NDArray[np.uint8]]:
    """(hosts, ports, kinds, outcomes) of `count` services. unusual: share of them on any port."""
    random = np.random.default_rng(seed)
    anywhere = random.random(count) < unusual
    kinds = np.where(anywhere, _drawn(random, _ANYWHERE, count), _drawn(random, _USUAL, count))
    ports = random.integers(1, 65536, count)
    for at, name in enumerate(NAMES):
        there = (kinds == at) & ~anywhere
        ports[there] = random.choice(KINDS[name][0], int(there.sum()))
    # Some of what stands on a port is always something else than is usual there.
    strange = ~anywhere & (random.random(count) < 0.05)
    ports[strange] = random.choice(
        [port for usual, _ in KINDS.values() for port in usual], int(strange.sum())
    )
    table = np.array(
        [[KINDS[name][1].get(handshake, NOTHING) for handshake in HANDSHAKES] for name in NAMES], np.uint8
    )
    outcomes = table[kinds]
    outcomes[random.random(outcomes.shape) < 0.002] = NOTHING  # lost on the way
    hosts = random.integers(0, 1 << 32, count).astype(np.uint64)
    return hosts, ports.astype(np.uint16), kinds, outcomes


def _drawn(random: np.random.Generator, shares: dict[str, float], count: int) -> NDArray[np.intp]:
    """Kinds by their shares; what is left of 1 is silent."""
    weights = np.array([shares.get(name, 0.0) for name in NAMES])
    weights[NAMES.index("silent")] = 1 - weights.sum()
    return random.choice(len(NAMES), count, p=weights)


def records(count: int, *, named: bool = False, seed: int = 1) -> list[dict[str, Any]]:
    """What -forceAllHandshakes writes of made services: one for each that got data, else one at the end."""
    hosts, ports, kinds, outcomes = made(count, seed)
    found: list[dict[str, Any]] = []
    for host, port, kind, got in zip(hosts.tolist(), ports.tolist(), kinds, outcomes.tolist(), strict=True):
        label = NAMES[kind].split()[-1]
        base = {"saddr": str(ipaddress.IPv4Address(host)), "sport": port, "window": 64240, "RST": False}
        answered = [at for at, outcome in enumerate(got) if outcome]
        for at in answered or [len(got) - 1]:
            record = {**base, "HandshakeNum": at, "fingerprint": label if got[at] == 2 else "unknown"}
            record |= {"data": "x"} if answered else {}
            record |= {"expectedRToLZR": "data"} | ({"handshake": HANDSHAKES[at]} if named else {})
            found.append(record)
    return found


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
