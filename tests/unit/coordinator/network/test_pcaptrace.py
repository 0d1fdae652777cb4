"""The writer of a trace, which is a process of its own; tests/system/test_hosts_trace.py has whole traces."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from coordinator.network import pcaptrace
from lzr.errors import UsageError


def test_a_writer_that_does_not_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is not memory enough for one more process."""
    false = shutil.which("false")
    assert false is not None
    monkeypatch.setattr(sys, "executable", false)
    monkeypatch.setattr(pcaptrace, "open_tap", lambda *_: socket.socket(socket.AF_UNIX))
    descriptor = os.open(tmp_path / "trace.pcap", os.O_RDWR | os.O_CREAT)
    with pytest.raises(UsageError, match="its writer did not start"):
        pcaptrace.Trace("trace.pcap", descriptor, (), (40000, 40001), (0, 0))
    os.close(descriptor)
