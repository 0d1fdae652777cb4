"""What a checkpoint says, and that it is true whatever is cut off."""

from __future__ import annotations

import hashlib
import math
import os
import threading
import tracemalloc
import zlib
from itertools import pairwise
from pathlib import Path

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.checkpoint import cadence, checkpoint
from coordinator.checkpoint.checkpoint import Checkpoint, load
from coordinator.checkpoint.progress import Progress
from coordinator.checkpoint.saved import _MAGIC, Saved, SavedOutput
from lzr.errors import UsageError
from lzr.options.table import Options
from lzr.sweep import ackfirewalls
from lzr.sweep.scheduler import SETTLED
from tests.effort import examples

LIST = Options(send_syns=True)


def lines(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


# --- progress ----------------------------------------------------------------------------------------------


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.lists(st.integers(0, 20_000), max_size=40), max_size=30), st.randoms())
def test_progress_is_a_set(batches: list[list[int]], random: object) -> None:
    progress, truth = Progress(), set()
    for batch in batches:
        if len(batch) % 3:
            progress.add(lines(*batch))
        elif batch:  # as a stretch of them
            done = np.zeros(max(batch) - min(batch) + 1, np.bool_)
            done[np.array(batch) - min(batch)] = True
            progress.add_from(min(batch), done)
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


def test_what_is_presumed_holds_for_one_checkpoint(tmp_path: Path) -> None:
    """The next one goes by what has become of it since."""
    made = Checkpoint(tmp_path, LIST)
    made.settled(lines(0, 1))
    made.presume(2, np.array([True, True, False, True]))
    for done in ({0, 1, 2, 3, 5}, {0, 1}):
        assert made.finish([], [], {}) == ""
        kept = load(tmp_path)
        assert kept is not None
        assert set(np.flatnonzero(kept.progress.among(0, 10)).tolist()) == done
    made.presume(2, np.array([True, True]))
    made.settled(lines(2))
    assert made.finish([], [], {}) == ""
    kept = load(tmp_path)
    assert kept is not None
    assert kept.progress.low == 4


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


def test_names_that_are_no_utf8_come_back() -> None:
    before = Saved(Options(output_file="/caf\udce9/found.json", notes="\udcff"), Progress())
    assert Saved.unpack(before.pack()).options == before.options


def test_it_comes_back_whole() -> None:
    before = saved()
    after = Saved.unpack(before.pack())
    assert after.options == before.options
    assert after.outputs == before.outputs
    assert (after.summary, after.prefix, after.runs) == (before.summary, before.prefix, before.runs)


def with_hosts(found: object, **options: object) -> bytes:
    """A checkpoint with this in place of its hosts that answer on any port; None: with nothing there."""
    whole = Saved(LIST.replace(haf=3, **options), Progress()).pack()
    content = msgpack.unpackb(whole[len(_MAGIC) + 32 :])
    del content["ackfirewalls"]
    if found is not None:
        content["ackfirewalls"] = found
    body: bytes = msgpack.packb(content)
    return b"".join((_MAGIC, hashlib.sha256(body).digest(), body))


def test_hosts_that_answer_on_any_port_are_kept_and_old_checkpoints_have_none() -> None:
    hosts = np.array([[0, 0xFFFF_C000_0201], [0, 0xFFFF_C000_0207]], np.uint64)
    kept = Saved(LIST.replace(haf=3), Progress(), ackfirewalls=ackfirewalls.pack(hosts)).pack()
    before = Saved.unpack(kept)
    assert np.array_equal(before.hosts(LIST.replace(haf=3)), hosts)
    for other in ({"haf": 0}, {"haf": 5}, {"haf": 3, "haf_threshold": 0.5}):  # they might not be found so
        assert len(before.hosts(LIST.replace(**other))) == 0
    assert len(Saved.unpack(with_hosts(None)).hosts(LIST.replace(haf=3))) == 0


@pytest.mark.parametrize("found", [b"junk", "text", 7, [b""]])
def test_what_can_be_no_hosts_is_refused(tmp_path: Path, found: object) -> None:
    (tmp_path / "checkpoint").write_bytes(with_hosts(found))
    with pytest.raises(UsageError, match="cannot resume from"):
        load(tmp_path)


@settings(max_examples=examples(200), deadline=None)
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

        def fail(*_: object, **__: object) -> None:
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

    def record_replace(a: str, b: str, **directories: int) -> None:
        done.append("replace")
        replace(a, b, **directories)

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


def test_a_thread_that_cannot_be_started_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    made = Checkpoint(tmp_path, LIST)
    said: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for second in range(2):
            made.tick(float(second), [], list, dict, said.append)
    assert said == [f"cannot write the checkpoint in {tmp_path}: can't start new thread"]
    assert made.finish([], [], {}) == ""


def test_no_memory_for_a_checkpoint_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one before it still holds, and the next may find some."""

    def refuse(_: Saved) -> bytes:
        raise MemoryError

    said: list[str] = []
    made = Checkpoint(tmp_path, Options())
    with monkeypatch.context() as patched:
        patched.setattr(Saved, "pack", refuse)
        made.tick(0.0, [], list, dict, said.append)
        assert made.thread is not None
        made.thread.join()
        made.tick(0.5, [], list, dict, said.append)
        assert said == [f"cannot write the checkpoint in {tmp_path}: there is not memory enough"]
        assert "not memory enough" in made.finish([], [], {})
    assert made.finish([], [], {}) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("options", None), ("low", -1), ("low", 2**64 - 1), ("marked", 2**63), ("marked", 10**9),
        ("runs", "x"), ("ended", 5), ("written", None), ("outputs", [["json", -1]]), ("prefix", "text"),
        ("summary", {"reasons": {"data": 1e300}}), ("summary", {"resolved": -5}), ("summary", []),
        ("read", [[1, 2]]), ("lists", []), ("sources", [7]), ("blocks", [5]),
        ("blocks", [{"networks": ["nonsense"], "reason": "", "by": "", "at": 1.0}]),
        ("blocks", [{"networks": ["192.0.2.1"], "reason": "", "by": "", "at": math.nan}]),
        ("blocks", [{"networks": ["192.0.2.1"], "reason": "", "by": "", "at": 1e300}]), ("written", math.inf),
    ],
)  # fmt: skip
def test_what_no_scan_writes_is_refused_in_a_sentence(tmp_path: Path, name: str, value: object) -> None:
    """Though its hash is right: whoever could write the file could write that too."""
    whole = saved(blocks=[{"networks": ["192.0.2.0/24"], "reason": "", "by": "ada", "at": 5.0}]).pack()
    assert Saved.unpack(whole).blocks
    content = msgpack.unpackb(whole[len(_MAGIC) + 32 :])
    assert name in content
    body = msgpack.packb({**content, name: value})
    (tmp_path / "checkpoint").write_bytes(b"".join((_MAGIC, hashlib.sha256(body).digest(), body)))
    with pytest.raises(UsageError, match="cannot resume from"):
        load(tmp_path)


def test_a_tick_packs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep at a million a second has eight million marks, five times a second; and packed is what was so
    when it was called, whatever happens meanwhile.
    """
    may_go, packed = threading.Event(), []

    def pack(self: Saved) -> bytes:
        assert may_go.wait(60)
        packed.append(threading.get_ident())
        return whole(self)

    whole = Saved.pack
    monkeypatch.setattr(Saved, "pack", pack)
    made = Checkpoint(tmp_path, LIST.replace(target_ports=((80, 80),)))
    made.settled(lines(0, 1, 5))
    made.presume(2, np.array([True, False]))
    made.tick(0.0, [], list, dict, lambda _: None)
    made.settled(lines(3, 4, 6))
    made.blocks.append({"networks": ["192.0.2.0/24"], "reason": "", "by": "", "at": 5.0})
    may_go.set()
    assert made.thread is not None
    made.thread.join(60)
    assert len(packed) == 1
    assert packed[0] != threading.get_ident()
    found = load(tmp_path)
    assert found is not None
    assert (found.progress.low, found.progress.above().tolist(), found.blocks) == (
        3,
        [False, False, True],
        [],
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", "x"), ("rate", -1.0), ("probes", -5), ("probes", True), ("cooldown", float("nan")),
        ("handshakes", 7), ("handshakes", []), ("target_ports", "zzz"), ("target_ports", [[1, 99999999]]),
        ("targets", [5]), ("input_file", 5), ("blocklist_file", ["a", 5]), ("shard", [1]), ("guard", "x"),
        ("output_filter", "((("), ("source_port", [5]), ("max_targets", 1e300), ("dashboard", []),
    ],
)  # fmt: skip
def test_options_that_no_command_line_gives_are_refused(tmp_path: Path, name: str, value: object) -> None:
    content = msgpack.unpackb(saved().pack()[len(_MAGIC) + 32 :])
    assert name in content["options"]
    body = msgpack.packb({**content, "options": {**content["options"], name: value}})
    (tmp_path / "checkpoint").write_bytes(b"".join((_MAGIC, hashlib.sha256(body).digest(), body)))
    with pytest.raises(UsageError, match=f"cannot resume from .*{Options.rows[name].flag} has a value"):
        load(tmp_path)


def test_marks_that_grow_without_end_are_not_unpacked(tmp_path: Path) -> None:
    """A few MB of zlib may stand for gigabytes."""
    content = msgpack.unpackb(saved().pack()[len(_MAGIC) + 32 :])
    bomb = zlib.compress(bytes(1 << 26), 9)
    body = msgpack.packb({**content, "marks": bomb, "marked": 80})
    (tmp_path / "checkpoint").write_bytes(b"".join((_MAGIC, hashlib.sha256(body).digest(), body)))
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="not as many marks"):
            load(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def saves(made: Checkpoint, directory: Path, moments: list[float]) -> list[float]:
    """At which of these moments a checkpoint is saved, each on the disk before the next moment."""
    begun: list[float] = []
    for number, now in enumerate(moments):
        made.settled(lines(number))

        def outputs(now: float = now) -> list[SavedOutput]:
            begun.append(now)
            return []

        made.tick(now, [], outputs, dict, lambda _: None)
        if begun and begun[-1] == now:
            assert made.thread is not None
            made.thread.join(60)
            assert on_disk(directory) == number + 1
    return begun


def on_disk(directory: Path) -> int:
    found = load(directory)
    return 0 if found is None else found.progress.low


def test_a_sweep_saves_so_often_that_less_than_a_second_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = [at / 50 for at in range(100)]
    sweep = LIST.replace(target_ports=((80, 80),))
    (tmp_path / "list").mkdir()
    (tmp_path / "sweep").mkdir()
    monkeypatch.setattr(cadence, "_SHARE", 1e9)  # the disk is quick
    assert saves(Checkpoint(tmp_path / "list", LIST), tmp_path / "list", rounds) == [0.0, 1.0]
    often = saves(Checkpoint(tmp_path / "sweep", sweep), tmp_path / "sweep", rounds)
    assert max(after - before for before, after in pairwise(often)) + SETTLED < 1.0


def test_a_slow_disk_is_not_kept_busy_by_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Checkpoint(tmp_path, LIST.replace(target_ports=((80, 80),)))
    monkeypatch.setattr(cadence, "_SHARE", 1e-9)  # each save takes longer than may be
    assert saves(made, tmp_path, [at / 10 for at in range(25)]) == [0.0, 0.2, 1.2, 2.2]
