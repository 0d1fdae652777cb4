"""What a transmit ring makes of the kernel's answers; on a real wire, see tests/system/test_ring.py."""

from __future__ import annotations

import errno
import os
from typing import Any

import numpy as np
import pytest

from lzr.layout import FRAME_SIZE
from lzr.packet.segments import Builder, LinkHeader
from lzr.rows import ACK, FRAME, NO_PROBE
from workers.flow import transmitring
from workers.flow.transmitring import TransmitRing

BUILDER = Builder(LinkHeader(bytes(6), bytes(6), bytes(6)), ())


@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.EAGAIN, errno.ENETDOWN, errno.ENOMEM])
def test_what_passes_is_waited_for(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    rows = np.zeros((8, FRAME_SIZE), np.uint8)
    answers = [code] * 5

    def offer(*_: object) -> Any:
        def send() -> None:
            if answers:
                raise OSError(answers.pop(), os.strerror(code))
            rows.view(np.uint32)[:, 0] = 0

        return send

    monkeypatch.setattr(transmitring, "_PAUSES", (0, 0))
    monkeypatch.setattr(transmitring.Offer, "by", offer)
    ring = TransmitRing(None, rows, np.zeros(1, np.int64))  # type: ignore[arg-type]
    burst = np.zeros(3, FRAME)
    burst["flags"], burst["probe"] = ACK, NO_PROBE
    assert ring.send(burst, BUILDER) == 3
    for _ in range(10):
        if ring.flush():
            break
    assert (ring.sent, ring.stuck, ring.empty) == (3, False, True)
    assert set(ring.errors) == {errno.errorcode[code]}
