"""What a scan that goes on takes from its checkpoint: options, the lists and the input as they were."""

from __future__ import annotations

import gzip
import hashlib
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.checkpoint import checkpoint
from coordinator.checkpoint.checkpoint import Checkpoint, load, open_checkpoint, restored
from coordinator.checkpoint.hashes import InputDiffers, InputHash
from coordinator.checkpoint.progress import Progress
from coordinator.checkpoint.resumecommand import command
from coordinator.checkpoint.saved import Saved
from coordinator.input.intake import Admission, Intake
from coordinator.input.resumedinput import compare
from lzr.errors import UsageError
from lzr.options import resume
from lzr.options.groups.option import CONTENT, FIXED, FREE, OWN
from lzr.options.parse import parse
from lzr.options.table import TABLE, Options
from lzr.ownership.ledger import Ledger
from lzr.targets.blocklist import Blocklist
from lzr.targets.lists import ListReader
from lzr.targets.zmap import ZmapReader
from tests.effort import examples
from tests.rows import every_row

LIST = Options(send_syns=True)


def lines(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


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
