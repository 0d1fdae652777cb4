"""Real TCP servers on very many addresses: one process, the kernel's own stack behind every one of them.

`python -m tests.lab.peers PORT CLASSES` accepts on PORT of every address that the namespace calls its own
(make it many with ``ip route add local 10.64.0.0/16 dev lo``) and behaves by the letter of the address, as
the responder does: `h` answers a request, `s` greets, `b` greets at length, `q` stays silent, `t` says two
bytes and resets the connection at once. Unlike the responder, the kernel retransmits, reassembles and counts,
so this is the fair peer where segments are lost.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import subprocess
import sys

from tests.lab.net import LabError, Namespace
from tests.lab.responder import HTTP_REPLY, SSH_BANNER, letter_of


def start(namespace: Namespace, port: int, classes: str, network: str) -> subprocess.Popen[bytes]:
    """Serves `network` in a namespace until the lab closes."""
    namespace.ip("route", "add", "local", network, "dev", "lo")
    for key, value in (
        ("net.core.somaxconn", 65535),
        ("net.ipv4.tcp_max_syn_backlog", 65535),
        ("net.ipv4.tcp_syncookies", 0),
    ):
        namespace.sysctl(key, value)
    process = namespace.popen(
        sys.executable, "-m", "tests.lab.peers", str(port), classes, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    if process.stdout.readline() != b"ready\n":
        raise LabError("the servers did not start")
    return process


def main() -> None:
    port, classes = int(sys.argv[1]), sys.argv[2]
    listener = socket.create_server(("0.0.0.0", port), backlog=65535)
    listener.setblocking(False)
    poller = select.epoll()
    poller.register(listener.fileno(), select.EPOLLIN)
    open_ones: dict[int, tuple[socket.socket, str]] = {}
    print("ready", flush=True)
    while True:
        for fd, _ in poller.poll():
            if fd == listener.fileno():
                with contextlib.suppress(BlockingIOError):
                    for _ in range(256):
                        peer, _ = listener.accept()
                        peer.setblocking(False)
                        letter = letter_of(peer.getsockname()[0], classes)
                        if letter == "t":
                            peer.send(b"OK")
                            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                            peer.close()
                            continue
                        open_ones[peer.fileno()] = peer, letter
                        poller.register(peer.fileno(), select.EPOLLIN)
                        if letter in "sb":
                            more = b"b" * 60_000 if letter == "b" else b""
                            with contextlib.suppress(OSError):
                                peer.send(SSH_BANNER.encode() + more)
                continue
            peer, letter = open_ones[fd]
            try:
                data = peer.recv(65536)
                if data and letter == "h":
                    peer.send(HTTP_REPLY.encode())
            except OSError:
                data = b""
            if not data:
                poller.unregister(fd)
                del open_ones[fd]
                peer.close()


if __name__ == "__main__":
    main()
