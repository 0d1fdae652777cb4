"""Decodes what a ZeroMQ PUSH socket sends over a stream into messages, with bounds that PULL does not have.

ZeroMQ limits the bytes of one part and the number of waiting messages of each connection, but it takes a
message of endlessly many parts until memory is gone. Here a message is bounded in bytes and in parts, and
nothing is kept but the message that is not complete yet. The protocol is ZMTP 3.0 with the mechanism NULL
(https://rfc.zeromq.org/spec/23). There is no I/O here: bytes in, messages out, and bytes to answer with.
"""

from __future__ import annotations

import struct

from lzr.ipc.limits import MOST_PARTS
from lzr.ipc.schema import SchemaError

_GREETING = 64
_SIGNATURE = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f"
_MECHANISM = b"NULL".ljust(20, b"\0")
_MORE, _LONG, _COMMAND = 1, 2, 4
_LONGEST_COMMAND = 512  # bytes of a command of ZMTP; READY has fewer than 100
_READY = b"\x05READY"
_IS_PULL = b"\x0bSocket-Type" + struct.pack(">I", 4) + b"PULL"


class Decoder:
    """One connection. answer: bytes to send to the other side as soon as it has connected."""

    answer = (
        _SIGNATURE
        + b"\x03\x00"
        + _MECHANISM
        + bytes(32)
        + bytes([_COMMAND, len(_READY) + len(_IS_PULL)])
        + _READY
        + _IS_PULL
    )

    def __init__(self) -> None:
        self._held = bytearray()
        self._parts: list[bytes] = []
        self._octets = 0  # of the parts
        self._greeted = self._ready = False

    @property
    def begun(self) -> bool:
        """Whether a message is read in part."""
        return bool(self._held or self._parts)

    def feed(self, data: bytes, most: int) -> list[list[bytes]]:
        """The messages that are complete with these bytes. most: bytes that one message may have.

        Raises SchemaError where the stream is not ZMTP or exceeds a bound; nothing may be fed after that.
        """
        self._held += data
        found: list[list[bytes]] = []
        if not self._greeted and not self._greet():
            return found
        while (frame := self._frame(most)) is not None:
            flags, body = frame
            if flags & _COMMAND:
                if self._ready or not body.startswith(_READY):
                    raise SchemaError("a command of ZeroMQ's that is not expected")
                self._ready = True
                continue
            if not self._ready:
                raise SchemaError("a message before the handshake")
            self._parts.append(body)
            self._octets += len(body)
            if not flags & _MORE:
                found.append(self._parts)
                self._parts, self._octets = [], 0
            elif len(self._parts) >= MOST_PARTS:
                raise SchemaError(f"a message of more than {MOST_PARTS} parts")
        return found

    def _greet(self) -> bool:
        held = self._held
        if held and held[0] != _SIGNATURE[0]:
            raise SchemaError("no greeting of ZeroMQ's")
        if len(held) < _GREETING:
            return False
        if held[9] != _SIGNATURE[9] or held[10] < 3 or held[12:32] != _MECHANISM:
            raise SchemaError("a greeting of another version or mechanism")
        del held[:_GREETING]
        self._greeted = True
        return True

    def _frame(self, most: int) -> tuple[int, bytes] | None:
        """Flags and body of the next frame, if all of it is there."""
        held = self._held
        if not held:
            return None
        flags = held[0]
        if flags & ~(_MORE | _LONG | _COMMAND):
            raise SchemaError("a frame with flags that there are not")
        start = 9 if flags & _LONG else 2
        if len(held) < start:
            return None
        length = struct.unpack_from(">Q", held, 1)[0] if flags & _LONG else held[1]
        room = _LONGEST_COMMAND if flags & _COMMAND else most - self._octets
        if length > room:  # before any of it is awaited
            raise SchemaError(f"a message of more than {most:,} bytes")
        if len(held) < start + length:
            return None
        with memoryview(held) as view:
            body = bytes(view[start : start + length])
        del held[: start + length]
        return flags, body
