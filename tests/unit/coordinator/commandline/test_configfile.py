"""A configuration file that is none: too large, without an end, a FIFO that nobody writes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from coordinator.commandline import configfile
from lzr.errors import UsageError


def test_what_has_no_end_is_not_read_for_ever(tmp_path: Path) -> None:
    large = tmp_path / "large.toml"
    with large.open("wb") as file:
        file.truncate(1 << 40)
    for path in ("/dev/zero", str(large)):
        with pytest.raises(UsageError, match="no configuration: it has more than 16 MiB"):
            configfile.read(path)


def test_a_fifo_is_read_to_its_end_and_a_signal_ends_the_wait(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: Path(path).write_bytes(b"rate = 5"))
    writer.start()
    assert configfile.read(path) == b"rate = 5"
    writer.join()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    had = signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
        with pytest.raises(configfile.SignalError) as ended:
            configfile.read(path)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGHUP, had)
    assert ended.value.number == signal.SIGHUP
    assert "Traceback" not in capsys.readouterr().err
