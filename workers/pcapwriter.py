"""Writes what was sent and received into a pcap file, in a process of its own that runs as an ordinary user.

It is given, open: a packet socket that the coordinator has bound and filtered, the file, and stdin, at whose
end it ends. It prints on stdout, a line each, what the user should know. Frames are copied; nothing in them
is looked at. Frames that come faster than they can be written are dropped by the kernel, counted, and
reported at the end.

The format is pcap with nanoseconds (magic a1b23c4d), from the IP header on, since links of several kinds may
take part; tcpdump, Wireshark and `lzr identify` read it.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import struct
import sys
import time

from workers import bounded, confinement, privilege

SNAPLEN = 1 << 16  # bytes of a packet that are kept: all of any TCP packet
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_TIMESTAMPNS = 35
_OUTGOING = 4  # PACKET_OUTGOING, packet(7)
_ETHERNET, _LOOPBACK = 1, 772  # ARPHRD_…
_IP = 101  # LINKTYPE_RAW
_BATCH = 512  # frames written together
_PATIENCE = 10.0
"""Seconds for which a pipe may have no room before the trace is given up. A judgement: what comes meanwhile
waits in the socket, which holds 64 MiB."""
_TIME = struct.Struct("@qq")
_RECORD = struct.Struct("=IIII")


def heading(link: int = _IP) -> bytes:
    """The head of a pcap file. link: LINKTYPE_…, of which 101 is bare IP."""
    return struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, SNAPLEN, link)


def record(frame: bytes, seconds: int, nanoseconds: int) -> bytes:
    """A record of the pcap file."""
    return _RECORD.pack(seconds, nanoseconds, len(frame), len(frame)) + frame


class PcapWriter:
    """links: names of those that the scan uses; on links below or above them the same packets are seen again.
    ending: a descriptor that becomes readable when the scan ends.
    """

    def __init__(
        self,
        sock: socket.socket,
        descriptor: int,
        links: frozenset[str] = frozenset(),
        ending: int | None = None,
    ) -> None:
        self._sock = sock
        self._descriptor = descriptor
        self._links = links
        self._ending = ending
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._length = 0
        self.written = 0
        self.trouble = ""

    def begin(self) -> None:
        """Write the heading of the file."""
        self._write([heading()])

    def take(self) -> int:
        """Write the frames that have come, at most `_BATCH`; how many that was."""
        records = []
        for _ in range(_BATCH):
            try:
                frame, extra, _, address = self._sock.recvmsg(SNAPLEN, 64, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError as error:  # the interface is down: it may come up again
                self.trouble = self.trouble or f"nothing is seen of the interface: {error.strerror}"
                break
            link, _, way, kind_of_link, *_ = address
            if link == "lo" and way == _OUTGOING:  # it comes back
                continue
            if self._links and link not in self._links and kind_of_link in (_ETHERNET, _LOOPBACK):
                continue
            when = next((data for _, kind, data in extra if kind == _SO_TIMESTAMPNS), b"")
            seconds, nanoseconds = (
                _TIME.unpack(when) if len(when) == _TIME.size else divmod(time.time_ns(), 10**9)
            )
            records.append(record(frame, seconds, nanoseconds))
        if records and self._descriptor >= 0:
            self._write(records)
        return len(records)

    def dropped(self) -> int:
        """How many frames the kernel has dropped since the last call."""
        packed = self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        return int(struct.unpack("=II", packed)[1])

    def _write(self, records: list[bytes]) -> None:
        try:
            bounded.write(self._descriptor, b"".join(records), _PATIENCE, self._ending)
        except OSError as error:
            if self._regular:  # a full disk takes part of a frame
                os.ftruncate(self._descriptor, self._length)
            self._descriptor = -1
            self.trouble = f"the trace cannot be written any more: {error.strerror}"
            return
        self._length += sum(map(len, records))
        self.written += len(records)


def main() -> None:
    """Arguments: descriptors of socket and file, user and group to run as, names of links."""
    packets, file, uid, gid = map(int, sys.argv[1:5])
    privilege.drop(uid, gid)
    if not confinement.confine() and not uid:
        raise privilege.PrivilegeError("a process that stays user 0 needs Landlock")
    writer = PcapWriter(socket.socket(fileno=packets), file, frozenset(sys.argv[5:]), 0)
    print("ready", flush=True)
    writer.begin()
    poll = select.poll()
    for descriptor in (packets, 0):
        poll.register(descriptor, select.POLLIN)
    ending, said = False, ""
    while True:
        ready = dict(poll.poll(0 if ending else 1000))
        ending |= 0 in ready
        if writer.trouble != said:
            said = writer.trouble
            print(said, flush=True)
        if not writer.take() and ending:
            break
    lost = writer.dropped()
    if lost:
        print(f"{lost:,} packets came faster than they could be written and are not in it", flush=True)


if __name__ == "__main__":
    main()
