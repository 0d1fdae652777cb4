"""Numbers on which Python, the kernels in C and the rings of the packet sockets agree, each once.

`kernels` compares what the extension was built with; a difference means that it is of another version.
"""

from __future__ import annotations

WINDOW = 65535
"""What we announce, unscaled: how far beyond the awaited byte a segment may lie."""

REPEATED = 500_000_000
"""ns after which a second SYN-ACK is a repetition by the stack (RFC 6298 §2.1), not a duplicate made by the
path."""

AGES = 48
"""How many bits an answer's age has at most: 2^47 ns are 39 hours."""

COOKIE_BITS = 8
"""Low bits of our ISNs that the socket filter checks in a SYN-ACK."""

MSS_V4, MSS_V6 = 1460, 1440
"""What fits an Ethernet frame (RFC 9293 §3.7.1)."""

TTL = 255  # of our packets

MAX_FRAME = 1514  # bytes of an Ethernet frame without its checksum

CUT = 1600
"""Bytes of a packet that are always captured. A packet that claims to be longer than what was captured, of
which less than this was captured, was not truncated by the ring (as merged frames of up to 64 KB are): its
length is wrong."""

MALFORMED = ("truncated", "not_tcp", "fragment", "bad_offset", "bad_checksum")
"""Kinds of frames that are counted and dropped, in the order of the counts."""

# linux/if_packet.h: TPACKET_V2 rings, each frame a row

SOL_PACKET, PACKET_STATISTICS = 263, 6
FRAME_SIZE = 2048  # bytes of a row of a ring: a frame and its headers
TX_DATA = 32
"""Where the frame begins in a transmit row: TPACKET2_HDRLEN less the sockaddr_ll."""
VNET_HEADER = 10
"""sizeof(struct virtio_net_hdr), which comes before each frame that we send."""
STATUS_USER, STATUS_CSUM_NOT_READY, STATUS_CSUM_VALID = 1, 1 << 3, 1 << 7
STATUS_SEND_REQUEST, STATUS_WRONG_FORMAT = 1, 4

NUMBERS = {
    "WINDOW": WINDOW,
    "REPEATED": REPEATED,
    "AGES": AGES,
    "COOKIE_BITS": COOKIE_BITS,
    "MSS_V4": MSS_V4,
    "MSS_V6": MSS_V6,
    "TTL": TTL,
    "MAX_FRAME": MAX_FRAME,
    "CUT": CUT,
    "FRAME_SIZE": FRAME_SIZE,
    "TX_DATA": TX_DATA,
    "VNET_HEADER": VNET_HEADER,
    "STATUS_USER": STATUS_USER,
    "STATUS_CSUM_NOT_READY": STATUS_CSUM_NOT_READY,
    "STATUS_CSUM_VALID": STATUS_CSUM_VALID,
    "STATUS_SEND_REQUEST": STATUS_SEND_REQUEST,
    "STATUS_WRONG_FORMAT": STATUS_WRONG_FORMAT,
}
"""Of the above, what C knows too."""
