"""A small real TCP service in a namespace, served by threads of the test: it greets whoever asks."""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.lab.net import Lab, Namespace

ANSWER = b"HTTP/1.0 200 OK\r\nServer: greeter/1.0\r\nContent-Length: 2\r\n\r\nhi"


class Greeter:
    """Listens on a port of all addresses of a namespace, both families. asked: what came, by connection."""

    def __init__(self, lab: Lab, where: Namespace, port: int, answer: bytes = ANSWER) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        self._socket = where.call(lambda: _listen(port))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        lab.on_close(self.close)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._greet, args=(peer,), daemon=True).start()

    def _greet(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            peer.settimeout(20)
            self.asked.append(peer.recv(65536))
            peer.sendall(self.answer)
            peer.recv(1)


def _listen(port: int) -> socket.socket:
    with contextlib.suppress(OSError):
        return _bound(socket.AF_INET6, "::", port)
    return _bound(socket.AF_INET, "0.0.0.0", port)


def _bound(family: int, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind((host, port))
    sock.listen(256)
    return sock
