"""What a checkpoint says, and that it is true whatever is cut off."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator import checkpoint
from coordinator.checkpoint import (
    Checkpoint,
    InputDiffers,
    Progress,
    Saved,
    SavedOutput,
    load,
    open_checkpoint,
    restored,
)
from coordinator.intake import Intake
from coordinator.ledger import Ledger
from lzr.blocklist import Blocklist
from lzr.options import Options
from lzr.targets import ListReader, ZmapReader
from lzr.usage import UsageError

LIST = Options(send_syns=True)


def lines(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


# --- progress ----------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(st.lists(st.lists(st.integers(0, 20_000), max_size=40), max_size=30), st.randoms())
def test_progress_is_a_set(batches: list[list[int]], random: object) -> None:
    progress, truth = Progress(), set()
    for batch in batches:
        progress.add(lines(*batch))
        truth.update(batch)
        asked = [*batch, 0, 1, 19_999, 30_000]
        assert progress.contains(lines(*asked)).tolist() == [line in truth for line in asked]
    assert progress.count == len(truth)
    low = progress.low
    assert low not in truth
    assert all(line in truth for line in range(low))
    saved = Saved.unpack(Saved(LIST, progress).pack())
    everything = lines(*range(20_001))
    assert (saved.progress.contains(everything) == progress.contains(everything)).all()


def test_progress_stays_small() -> None:
    progress = Progress()
    for start in range(0, 2_000_000, 10_000):
        progress.add(
            np.random.default_rng(start).permutation(np.arange(start, start + 10_000, dtype=np.uint64))
        )
    assert progress.low == 2_000_000
    assert len(progress.above()) == 0
    assert len(Saved(LIST, progress).pack()) < 4096


# --- the file ----------------------------------------------------------------------------------------------


def saved(**more: object) -> Saved:
    progress = Progress()
    progress.add(lines(0, 1, 2, 5))
    return Saved(
        LIST.replace(handshakes=("tls", "http"), source_port=(40000, 50000), seed=2**64 - 1),
        progress,
        [SavedOutput("json", 1234, False, 7), SavedOutput("feed", 0, True)],
        {"counters": {"Data": 3}},
        b"192.0.2.1:80\n",
        3,
        **more,  # type: ignore[arg-type]
    )


def test_it_comes_back_whole() -> None:
    before = saved()
    after = Saved.unpack(before.pack())
    assert after.options == before.options
    assert after.outputs == before.outputs
    assert (after.summary, after.prefix, after.runs) == (before.summary, before.prefix, before.runs)


@settings(max_examples=200)
@given(st.data())
def test_damage_is_seen(data: st.DataObject) -> None:
    whole = bytearray(saved().pack())
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    else:
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError, match=r"damaged|no checkpoint"):
        Saved.unpack(bytes(whole))


def test_the_old_one_stands_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever step of saving is the last, what is then in the directory can be read."""
    for broken in ("fsync", "write", "replace"):
        directory = tmp_path / broken
        directory.mkdir()
        made = Checkpoint(directory, LIST)
        made.settled(lines(0))
        assert made.finish([], [], {}) == ""
        made.settled(lines(1))

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(checkpoint.os, broken, fail)
            trouble = made.finish([], [], {})
        assert "No space left on device" in trouble
        found = load(directory)
        assert found is not None
        assert found.progress.low == 1
        assert made.finish([], [], {}) == ""
        found = load(directory)
        assert found is not None
        assert found.progress.low == 2


def test_outputs_are_synced_before_the_checkpoint_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    output = (tmp_path / "out").open("wb")
    fsync, replace = os.fsync, os.replace

    def record_fsync(fd: int) -> None:
        done.append("output" if fd == output.fileno() else "checkpoint")
        fsync(fd)

    def record_replace(a: Path, b: Path) -> None:
        done.append("replace")
        replace(a, b)

    monkeypatch.setattr(checkpoint.os, "fsync", record_fsync)
    monkeypatch.setattr(checkpoint.os, "replace", record_replace)
    with output:
        Checkpoint(tmp_path, LIST).finish([output.fileno()], [], {})
    assert done == ["output", "checkpoint", "replace", "checkpoint"]


def test_a_tick_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    fsync = os.fsync

    def slow(fd: int) -> None:
        assert gate.wait(20)
        fsync(fd)

    monkeypatch.setattr(checkpoint.os, "fsync", slow)
    made = Checkpoint(tmp_path, LIST)
    said: list[str] = []
    for second in range(5):
        made.settled(lines(second))
        made.tick(float(second), [], list, dict, said.append)  # returns though the disk does not
    gate.set()
    assert made.finish([], [], {}) == ""
    found = load(tmp_path)
    assert found is not None
    assert found.progress.low == 5
    assert said == []


# --- the directory and the options -----------------------------------------------------------------------


def test_a_new_scan_does_not_overwrite_an_old_one(tmp_path: Path) -> None:
    options = LIST.replace(checkpoint=str(tmp_path / "new"))
    with open_checkpoint(options) as made:
        assert made is not None
        made.finish([], [], {})
    with pytest.raises(UsageError, match="--resume"), open_checkpoint(options):
        pass


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "none"):
        options = LIST.replace(checkpoint=str(directory), resume=str(directory))
        with pytest.raises(UsageError, match="no checkpoint"), open_checkpoint(options):
            pass
    (tmp_path / "lock").touch()
    (tmp_path / "checkpoint").write_bytes(b"rubbish")
    options = LIST.replace(checkpoint=str(tmp_path), resume=str(tmp_path))
    with pytest.raises(UsageError, match="cannot resume"), open_checkpoint(options):
        pass


def test_one_scan_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_PATIENCE", 0.1)
    options = LIST.replace(checkpoint=str(tmp_path))
    with open_checkpoint(options), pytest.raises(UsageError, match="another scan"), open_checkpoint(options):
        pass


def test_options_come_back() -> None:
    then = LIST.replace(
        handshakes=("tls",), rate=50.0, source_port=(40000, 41000), output_file="/tmp/out.json"
    )
    now = Options(resume="d", checkpoint="d", rate=99.0, verbosity=5)
    found = restored(now, then)
    assert (found.handshakes, found.rate, found.source_port) == (("tls",), 99.0, (40000, 41000))
    assert (found.output_file, found.verbosity, found.resume) == ("/tmp/out.json", 5, "d")
    with pytest.raises(UsageError, match="--handshakes cannot change"):
        restored(now.replace(handshakes=("ssh",)), then)


def test_half_open_connections_are_not_resumed() -> None:
    with pytest.raises(UsageError, match=r"cannot be resumed.*--reopen"):
        restored(Options(), Options())
    assert restored(Options(reopen=True), Options()).reopen
    with pytest.raises(UsageError, match="list"):
        restored(Options(reopen=True), LIST)


# --- the input -------------------------------------------------------------------------------------------


def text(*hosts: int, port: int = 80) -> bytes:
    return b"".join(b"198.51.100.%d:%d\n" % (host, port) for host in hosts)


def taken(data: bytes, done: tuple[int, ...], **more: object) -> tuple[Intake, list[int]]:
    progress = Progress()
    progress.add(lines(*done))
    resumed = Checkpoint(Path("/nowhere"), LIST, Saved(LIST, progress, prefix=data[:4096]))
    intake = Intake(ListReader(), Ledger(), checkpoint=resumed, **more)  # type: ignore[arg-type]
    for at in range(0, len(data), 7):
        intake.feed(data[at : at + 7])
    intake.finish()
    return intake, [int(line) for rows in intake.backlog for line in rows["line"]]


def test_what_has_its_fate_is_skipped() -> None:
    intake, rest = taken(text(*range(10)), (0, 1, 2, 5))
    assert rest == [3, 4, 6, 7, 8, 9]
    assert intake.fates.resumed == 4
    assert intake.fates.read == 10


def test_duplicates_of_what_is_skipped_are_still_duplicates() -> None:
    intake, rest = taken(text(1, 2, 1, 3, 3, 2), (0, 3))
    assert rest == [1]
    assert (intake.fates.resumed, intake.fates.duplicates) == (2, 3)


def test_every_line_keeps_the_kind_of_its_fate() -> None:
    data = b"rubbish\n" + text(1, 2) + text(3, port=9100) + text(200, 4)
    blocked = Blocklist.parse("198.51.100.200", None)
    intake, rest = taken(data, (0, 1, 3, 4), blocklist=blocked)
    fates = intake.fates
    assert rest == [2, 5]
    assert (fates.rejected, fates.printers, fates.blocklisted, fates.resumed) == (1, 1, 1, 1)


def test_max_targets_counts_those_before() -> None:
    intake, rest = taken(text(*range(10)), (0, 1, 2), max_targets=5)
    assert rest == [3, 4]
    assert intake.full


def test_another_input_is_noticed() -> None:
    resumed = Checkpoint(Path("/nowhere"), LIST, Saved(LIST, prefix=text(1, 2, 3)))
    for chunk in (text(1)[:5], text(1)[5:], text(2)):
        resumed.watch_input(chunk)
    with pytest.raises(InputDiffers):
        resumed.watch_input(text(4))


def test_reopened_connections_are_our_own_from_the_same_address() -> None:
    line = b'{"saddr":"198.51.100.1","daddr":"192.0.2.9","sport":80,"dport":7,'
    line += b'"seqnum":5,"acknum":6,"window":7}\n'
    intake = Intake(ZmapReader(), Ledger(), reopen=True)
    intake.ports = (40000, 50000)
    intake.feed(line)
    (rows,) = intake.backlog
    row = rows[0]
    assert (row["syn"], row["seq"], row["ack"], row["window"]) == (1, 0, 0, 0)
    assert row["own_lo"] & 0xFFFFFFFF == 0xC0000209
