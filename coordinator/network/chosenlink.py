"""The interface that the user has chosen, followed while a scan runs: it may be renamed, or made anew."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from coordinator.network.neighbours import NetworkError
from coordinator.network.netlink import Netlink
from coordinator.network.raw_sockets import bind_to
from coordinator.network.survey import LOOPBACK, Hardware, links


class ChosenLink:
    """index: by which the kernel knows it; None where the user has chosen none. bound: sockets that send by
    it only.
    """

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.index: int | None = None
        self.bound: Sequence[socket.socket] = ()

    def find(self, kernel: Netlink, *, usable: bool) -> None:
        """Find its index anew. What is gone keeps its index: for that the kernel has no ways.

        usable: whether a scan is to begin by it now; raises NetworkError if it cannot. Raises OSError.
        """
        if self.name is None:
            return
        hardware = links(kernel)
        link = hardware.get(self.index or 0) or next(
            (one for one in hardware.values() if one.name == self.name), None
        )
        if usable:
            _check(link, self.name)
        if link is not None and link.index != self.index:
            self.index = link.index
            bind_to(self.bound, link.name)


def _check(link: Hardware | None, name: str) -> None:
    if link is None:
        raise NetworkError(f"there is no network interface {name!r}: see ip link, or --interface")
    if not link.up:
        raise NetworkError(f"interface {name} is down: ip link set {name} up")
    if not link.running and link.kind != LOOPBACK:
        raise NetworkError(f"interface {name} has no carrier: is its cable in, or its other end up?")
