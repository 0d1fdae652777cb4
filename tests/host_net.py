"""Two hosts on one wire: a network namespace for the box under test and one for its peer.

No clock decides. That a segment is *not* answered is shown by one sent after it
that is: the wire between the two keeps order.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

ROOT = Path(__file__).resolve().parent.parent
BOX, BOX_TOO, PEER = "10.91.0.1", "10.91.0.3", "10.91.0.2"
BOX6, PEER6 = "fd91::1", "fd91::2"
BOX_MAC, PEER_MAC = "02:00:00:91:00:01", "02:00:00:91:00:02"
OUTSIDE = 20000
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*words: str, namespace: str | None = None) -> None:
    subprocess.run(["ip", *(["-n", namespace] if namespace else []), *words], check=True, timeout=120)


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Sockets opened and programs started in here belong to the namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
    try:
        if _libc.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        back = _libc.setns(home, CLONE_NEWNET)
        os.close(there)
        os.close(home)
        assert back == 0


class Wire:
    """``box`` and ``peer`` are the names of the two namespaces, joined by ``wire0`` and ``wire1``."""

    def __init__(self, tag: str) -> None:
        self.box, self.peer = f"lzrhost{os.getpid()}{tag}b", f"lzrhost{os.getpid()}{tag}p"

    def __enter__(self) -> Wire:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self) -> None:
        ip("netns", "add", self.box)
        ip("netns", "add", self.peer)
        ip(
            "link",
            "add",
            "wire0",
            "type",
            "veth",
            "peer",
            "name",
            "wire1",
            "netns",
            self.peer,
            namespace=self.box,
        )
        for namespace, link, mac, addresses in (
            (self.box, "wire0", BOX_MAC, (BOX, BOX_TOO, BOX6)),
            (self.peer, "wire1", PEER_MAC, (PEER, PEER6)),
        ):
            ip("link", "set", "lo", "up", namespace=namespace)
            ip("link", "set", link, "address", mac, "up", namespace=namespace)
            for address in addresses:
                more = ["/64", "nodad"] if ":" in address else ["/24"]
                ip("addr", "add", address + more[0], "dev", link, *more[1:], namespace=namespace)
        self.learn()

    def learn(self) -> None:
        """Tell the box its peer's MAC, so that no question for it is in the way."""
        for address in (PEER, PEER6):
            ip("neigh", "replace", address, "lladdr", PEER_MAC, "dev", "wire0", namespace=self.box)

    def __exit__(self, *_: object) -> None:
        for namespace in (self.box, self.peer):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True, timeout=120)

    def answered(self, *targets: tuple[str, int]) -> set[tuple[str, int]]:
        """Send a SYN-ACK to each (address of the box, port); return those that the box reset."""
        with inside(self.peer), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as tap:
            tap.bind(("wire1", 3))
            tap.settimeout(60)
            for address, port in [*targets, (BOX_TOO, OUTSIDE)]:
                tap.send(syn_ack(address, port))
            seen = set()
            while (BOX_TOO, OUTSIDE) not in seen:
                frame = Ether(tap.recv(2048))
                if TCP in frame and frame.src == BOX_MAC and "R" in frame[TCP].flags:
                    seen.add((frame.payload.src, frame[TCP].sport))
        return seen - {(BOX_TOO, OUTSIDE)}

    def rules(self) -> str:
        return self.run("nft", "-s", "list", "ruleset").stdout

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the box, to its end."""
        with inside(self.box):
            return subprocess.run(argv, text=True, capture_output=True, timeout=120, check=False, cwd=ROOT)


def syn_ack(address: str, port: int) -> bytes:
    layer = IPv6(src=PEER6, dst=address) if ":" in address else IP(src=PEER, dst=address)
    segment = TCP(sport=9002, dport=port, flags="SA", seq=1000, ack=2000, window=64000)
    return bytes(Ether(src=PEER_MAC, dst=BOX_MAC) / layer / segment)
