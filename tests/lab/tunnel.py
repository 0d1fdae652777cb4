"""A link without Ethernet between two namespaces: a tun device at each end, packets carried by a thread."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import threading

from tests.lab.net import Lab, Namespace

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def tunnel(lab: Lab, left: Namespace, right: Namespace, name: str, addresses: tuple[str, str]) -> None:
    """Point to point, as a VPN has it: each end's address, the other's as peer."""
    ends = [where.call(lambda: _open(name)) for where in (left, right)]
    for where, own, other in ((left, *addresses), (right, *addresses[::-1])):
        where.ip("addr", "add", own, "peer", other, "dev", name)
        where.ip("link", "set", name, "up")
    stop_read, stop_write = os.pipe()
    thread = threading.Thread(target=_carry, args=(*ends, stop_read), daemon=True)
    thread.start()

    def close() -> None:
        os.close(stop_write)
        thread.join(5)
        for descriptor in (*ends, stop_read):
            os.close(descriptor)

    lab.on_close(close)


def _open(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor


def _carry(one: int, other: int, stop: int) -> None:
    across = {one: other, other: one}
    while True:
        ready = select.select([one, other, stop], [], [])[0]
        if stop in ready:
            return
        for descriptor in ready:
            with contextlib.suppress(OSError):
                os.write(across[descriptor], os.read(descriptor, 65536))
