"""What a checkpoint says, and that it is true whatever is cut off."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import threading
import tracemalloc
import zlib
from collections import deque
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.checkpoint import cadence, checkpoint
from coordinator.checkpoint.checkpoint import Checkpoint, load, open_checkpoint, restored
from coordinator.checkpoint.hashes import InputDiffers, InputHash
from coordinator.checkpoint.progress import Progress
from coordinator.checkpoint.resumecommand import command
from coordinator.checkpoint.saved import _MAGIC, Saved, SavedOutput
from coordinator.input.intake import Admission, Intake
from coordinator.input.resumedinput import compare
from lzr.errors import UsageError
from lzr.options import resume
from lzr.options.groups.option import CONTENT, FIXED, FREE, OWN
from lzr.options.parse import parse
from lzr.options.table import TABLE, Options
from lzr.ownership.ledger import Ledger
from lzr.sweep import ackfirewalls
from lzr.sweep.scheduler import SETTLED
from lzr.targets.blocklist import Blocklist
from lzr.targets.lists import ListReader
from lzr.targets.zmap import ZmapReader
from tests.effort import examples
from tests.rows import every_row

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
    monkeypatch.setattr(checkpoint, "_TIMEOUT", 0.1)
    options = LIST.replace(checkpoint=str(tmp_path))
    with open_checkpoint(options), pytest.raises(UsageError, match="another scan"), open_checkpoint(options):
        pass


def resumed(*words: str) -> Options:
    return parse(["--resume", "d", *words])


def test_options_come_back() -> None:
    then = LIST.replace(
        handshakes=("tls",), rate=50.0, source_port=(40000, 41000), output_file="/tmp/out.json"
    )
    found = restored(resumed("-rate", "99", "-v", "5"), then)
    assert (found.handshakes, found.rate, found.source_port) == (("tls",), 99.0, (40000, 41000))
    assert (found.output_file, found.verbosity, found.resume) == ("/tmp/out.json", 5, "d")


VALUES = {
    "dryrun": "fast",
    "user_agent": "scan.example.org",
    "source_ips": "192.0.2.7",
    "source_port": "41000-42000",
    "gateway_mac": "02:00:00:00:00:01",
    "interface": "eth7",
    "output_module": "csv",
    "output_filter": "ttl > 3",
    "guard": "output",
    "haf_threshold": "0.5",
    "targets": "192.0.2.0/24",
    "plan_id": "0123456789abcdef",
}
"""Texts for what takes neither a number nor a path."""


def other(row: Any) -> Any:
    """Another value than the default."""
    if row.is_switch:
        return not row.default
    return row.kind.parse(VALUES.get(row.attr, "7" if not row.kind.file else "/tmp/x"))


@every_row(TABLE, lambda row: row.attr)
def test_what_becomes_of_each_option(row: Any) -> None:
    """Each row of the table says what resuming does to it, and that is what happens, default or not."""
    assert row.on_resume in (FIXED, CONTENT, FREE, OWN)
    if row.on_resume == OWN:
        if row.attr not in ("resume", "checkpoint"):
            changed = LIST.replace(**{row.attr: object()})
            assert getattr(resume.restored(resumed(), changed), row.attr) == row.default
        return
    value = other(row)
    before = LIST.replace(**{row.attr: value})

    def now(wanted: object, *forced: str) -> Options:
        chosen = {row.attr: wanted, "resume_changed": forced}
        return Options(**chosen).saying(chosen)  # type: ignore[arg-type]

    assert getattr(resume.restored(resumed(), before), row.attr) == value  # not given: as it was
    assert getattr(resume.restored(now(value), before), row.attr) == value
    for then, wanted in ((Options(), value), (before, row.default)):
        forced: tuple[str, ...] = ()
        if row.on_resume == FIXED:
            with pytest.raises(UsageError, match=rf"{row.flag} decides .* --resume-changed {row.long}"):
                resume.restored(now(wanted), then)
            forced = (row.long,)
        assert getattr(resume.restored(now(wanted, *forced), then), row.attr) == wanted


def test_a_default_can_be_given_anew() -> None:
    then = LIST.replace(rate=50.0, max_targets=7)
    assert restored(resumed("-rate", "10000"), then).rate == 10000
    assert restored(resumed(), then).rate == 50
    haf = LIST.replace(haf=3)
    with pytest.raises(UsageError, match=r"--haf decides .* it was 3;"):
        restored(resumed("-haf", "0"), haf)
    assert restored(resumed("-haf", "0", "--resume-changed", "haf"), haf).haf == 0


def test_only_what_is_kept_can_be_forced() -> None:
    for name in ("rate", "verbosity", "input-file", "nonsense"):
        with pytest.raises(UsageError, match=f"--resume-changed {name}: is no option that is kept"):
            resume.restored(resumed("--resume-changed", name), LIST)
    assert resume.changed(("S", "source-ip", "haf", "--settle")) == {"source_ips", "haf", "settle"}
    with pytest.raises(UsageError, match="needs --resume"):
        parse(["--resume-changed", "haf"])


def test_our_address_is_kept_too(tmp_path: Path) -> None:
    made = Checkpoint(tmp_path, LIST)
    made.compare_sources(["192.0.2.1", "2001:db8::1"], forced=False)
    assert made.finish([], [], {}) == ""
    saved = load(tmp_path)
    again = Checkpoint(tmp_path, LIST, saved)
    again.compare_sources(["192.0.2.1", "2001:db8::2"], forced=False)  # of the other family, a temporary one
    with pytest.raises(UsageError, match=r"begun from 192\.0\.2\.1, and our address is now 192\.0\.2\.2"):
        again.compare_sources(["192.0.2.2"], forced=False)
    with pytest.raises(UsageError, match=r"begun from 192\.0\.2\.1, and our address is now 192\.0\.2\.2"):
        again.compare_sources(["192.0.2.2", "2001:db8::1"], forced=False)
    with pytest.raises(UsageError, match="our address is now 2001:db8::1"):
        again.compare_sources(["2001:db8::1"], forced=False)
    again.compare_sources(["192.0.2.2"], forced=True)


@pytest.mark.parametrize("attr", ["blocklist_file", "allowlist_file", "handshakes_by_port"])
def test_a_list_of_networks_that_has_changed(tmp_path: Path, attr: str) -> None:
    kept, networks, moved = tmp_path / "kept", tmp_path / "networks", tmp_path / "moved"
    networks.write_text("192.0.2.0/24\n")
    flag = Options.rows[attr].flag
    with open_checkpoint(parse(["-sendSYNs", "--checkpoint", str(kept), flag, str(networks)])) as made:
        assert made is not None
        made.finish([], [], {})
    again = ["--resume", str(kept)]
    moved.write_bytes(networks.read_bytes())
    for words in (again, [*again, flag, str(moved)]):
        with open_checkpoint(parse(words)) as made:
            assert made is not None
    networks.write_text("192.0.2.0/24\n198.51.100.0/24\n")
    said = f"{flag} has changed .* --resume-changed {flag[2:]}"
    with pytest.raises(UsageError, match=said), open_checkpoint(parse(again)):
        pass
    with open_checkpoint(parse([*again, "--resume-changed", flag[2:]])) as made:
        assert made is not None
        made.finish([], [], {})  # from now on it is this one
    with open_checkpoint(parse(again)) as made:
        assert made is not None


# --- the command that goes on ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "stdin", "environ", "text"),
    [
        ("-sendSYNs --checkpoint d", "/tmp/list", {}, "lzr --resume d < /tmp/list"),
        ("-sendSYNs --checkpoint d -rate 5 -q", None, {}, "lzr --resume d --quiet=true < INPUT"),
        ("-sendSYNs --checkpoint d -I l", None, {"SUDO_USER": "me"}, "sudo lzr --resume d"),
        ("-sendSYNs --checkpoint d -I l", None, {"DOAS_USER": "me"}, "doas lzr --resume d"),
        ("-sendSYNs --checkpoint d -I l", None, {"PKEXEC_UID": "5"}, "pkexec lzr --resume d"),
        ("--checkpoint d --no-dashboard", "/t", {}, "lzr --resume d --reopen --dashboard=false < /t"),
        ("-sendSYNs --resume d -m m.json", "/t", {}, "lzr --resume d --metadata-file=m.json < /t"),
        ("-sendSYNs --checkpoint d", "/a b'c", {}, "lzr --resume d < '/a b'\"'\"'c'"),
        ("-sendSYNs --checkpoint d", "/\x1b[2J", {}, "lzr --resume d < $'\\x2f\\x1b\\x5b\\x32\\x4a'"),
    ],
)
def test_the_command(words: str, stdin: str | None, environ: dict[str, str], text: str) -> None:
    assert command(parse(words.split()), "lzr", stdin, environ) == text


@pytest.mark.parametrize(
    ("directory", "text"),
    [
        ("/home/me", "pkexec --keep-cwd lzr --resume d"),
        ("/", "pkexec lzr --resume d"),  # where pkexec begins
        ("", "pkexec lzr --resume d"),
    ],
)
def test_pkexec_is_told_to_stay_where_it_was(directory: str, text: str) -> None:
    options = parse(["-sendSYNs", "--checkpoint", "d", "-I", "l"])
    assert command(options, "lzr", None, {"PKEXEC_UID": "5", "HOME": "/"}, directory) == text
    assert command(options, "lzr", None, {"SUDO_USER": "me", "HOME": "/"}, directory) == "sudo lzr --resume d"


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
    intake = Intake(ListReader(), Ledger(), Admission(**more), checkpoint=resumed)  # type: ignore[arg-type]
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
    seen = InputHash(prefix=text(1, 2, 3))
    for chunk in (text(1)[:5], text(1)[5:], text(2)):
        seen.feed(chunk)
    with pytest.raises(InputDiffers):
        seen.feed(text(4))


LONG = b"".join(b"198.51.%d.%d:80\n" % (at >> 8, at & 255) for at in range(30_000))


@settings(max_examples=examples(50), deadline=None)
@given(st.data())
def test_one_changed_byte_is_noticed_wherever_it_is(data: st.DataObject) -> None:
    """And at the latest when what was read before has been read; what follows may be anything."""
    read = data.draw(st.integers(1, len(LONG)))
    seen = InputHash()
    pieces = data.draw(st.lists(st.integers(1, 100_000), max_size=8))
    at = 0
    for piece in (*pieces, read):
        seen.feed(LONG[at : min(at + piece, read)])
        at = min(at + piece, read)
    assert seen.as_dict() == {"bytes": read, "sha256": hashlib.sha256(LONG[:read]).hexdigest()}
    marks, prefix = seen.marks(), seen.prefix
    again = InputHash(marks, prefix)
    again.feed(LONG[:read] + b"more")
    again.finish()
    short = data.draw(st.integers(0, read - 1))
    again = InputHash(marks, prefix)
    again.feed(LONG[:short])
    assert dict(again.marks()).items() >= {length: was for length, was in marks if length > short}.items()
    with pytest.raises(InputDiffers, match="and had more"):
        again.finish()
    wrong = bytearray(LONG)
    wrong[data.draw(st.integers(0, read - 1))] ^= 1
    again = InputHash(marks, prefix)
    with pytest.raises(InputDiffers):
        deque(map(again.feed, (bytes(wrong[at : min(at + 7919, read)]) for at in range(0, read, 7919))), 0)


def test_a_file_is_compared_before_it_is_read(tmp_path: Path) -> None:
    seen = InputHash()
    seen.feed(LONG)
    for content, right in (
        (LONG, True),
        (LONG + b"x", True),
        (gzip.compress(LONG), True),
        (LONG[:-1], False),
    ):
        path = tmp_path / "targets"
        path.write_bytes(content)
        with path.open("rb", buffering=0) as file:
            if right:
                compare(file.fileno(), False, seen.marks(), seen.prefix)
                assert file.tell() == 0
            else:
                with pytest.raises(InputDiffers):
                    compare(file.fileno(), False, seen.marks(), seen.prefix)


def test_reopened_connections_are_our_own_from_the_same_address() -> None:
    line = b'{"saddr":"198.51.100.1","daddr":"192.0.2.9","sport":80,"dport":7,'
    line += b'"seqnum":5,"acknum":6,"window":7}\n'
    intake = Intake(ZmapReader(), Ledger(), Admission(reopen=True))
    intake.listen_on((40000, 50000))
    intake.feed(line)
    (rows,) = intake.backlog
    row = rows[0]
    assert (row["syn"], row["seq"], row["ack"], row["window"]) == (1, 0, 0, 0)
    assert row["own_lo"] & 0xFFFFFFFF == 0xC0000209
