"""The pcap that is written: read back by scapy."""

from __future__ import annotations

import io
import os
import socket

from scapy.layers.l2 import Ether
from scapy.utils import RawPcapReader

from workers.pcapwriter import PcapWriter, heading, record


def test_what_is_written_is_a_pcap() -> None:
    frames = [bytes(Ether() / bytes(size)) for size in (46, 1500)]
    file = io.BytesIO(heading(1) + b"".join(record(frame, 7, 8_000) for frame in frames))
    with RawPcapReader(file) as reader:
        assert reader.linktype == 1
        assert [(data, meta.sec, meta.usec) for data, meta in reader] == [(one, 7, 8_000) for one in frames]


def test_a_full_disk_leaves_whole_frames() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        writer = PcapWriter(ours, descriptor)
        writer.begin()
        assert writer.trouble == "the trace cannot be written any more: No space left on device"
    os.close(descriptor)
