"""Asks the kernel to send the frames in a transmit ring."""

from __future__ import annotations

import ctypes
import functools
import os
import socket
import struct

_ETH_P_ALL = 3
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.sendto.restype = ctypes.c_ssize_t
_NOTHING = ctypes.c_size_t(0)
_DONTWAIT = int(socket.MSG_DONTWAIT)


def offer(sock: socket.socket, link: int) -> None:
    """Have the kernel send the frames of a socket's ring, without waiting. Raises OSError.

    link: interface index to send by; 0 where the socket is bound to one.
    """
    if not link:
        sock.send(b"", _DONTWAIT)
        return
    # Python's own sendto wants a name, and looks it up.
    address = _address(link)
    if _LIBC.sendto(sock.fileno(), None, _NOTHING, _DONTWAIT, address, len(address)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@functools.lru_cache
def _address(link: int) -> bytes:
    """A struct sockaddr_ll (packet(7)) that names a link."""
    return struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(_ETH_P_ALL), link, 0, 0, 0, b"")
