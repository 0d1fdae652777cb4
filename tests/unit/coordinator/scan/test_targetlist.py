"""The dry run of a sweep, by the program itself: nobody need be root, and nothing but stdout is written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lzr.addresstext import ranges_of
from lzr.ranges import size
from tests import ROOT, forking

WORDS = ("-p", "80,443", "192.0.2.0/28", "2001:db8::/126", "--dryrun", "-e", "7")


def begun(*words: str, **more: Any) -> subprocess.Popen[bytes]:
    """`lzr WORDS`, without a right of root's."""
    return subprocess.Popen(
        [*forking.program(_without_capabilities if os.geteuid() == 0 else None), *words],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        **{"stdout": subprocess.PIPE, **more},
    )


def lzr(*words: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    process = begun(*words, **more)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess([], process.returncode, out, err)


def _without_capabilities() -> None:
    import ctypes

    libc = ctypes.CDLL(None)
    for capability in range(64):
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP: root's program begins without it


def test_each_pair_once_in_the_order_of_the_seed(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("192.0.2.4/30\n")
    results = tmp_path / "results"
    done = lzr(*WORDS, "-b", str(blocked), "-f", str(results), "-m", str(tmp_path / "meta"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.decode() == (
        "lzr: 32 pairs: 16 addresses, 2 ports; 4 blocked, not allowed or nobody's are left out; "
        "nothing is sent\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blocked"]
    found = done.stdout.decode().splitlines()
    hosts = [f"192.0.2.{last}" for last in range(16) if last // 4 != 1] + [
        f"[2001:db8::{last}]" for last in ("", "1", "2", "3")
    ]
    assert sorted(found) == sorted(f"{host}:{port}" for host in hosts for port in (80, 443))
    assert found != sorted(found)
    # The first five; and, of two boxes, every other.
    few = lzr(*WORDS, "-b", str(blocked), "-n", "5", "-q")
    assert few.stdout.decode().splitlines() == found[:5]
    assert few.stderr == b""
    dealt = (("2", "0"), ("2", "1"), ("5", "0,3-4"), ("5", "2,1"))
    boxes = [
        lzr(*WORDS, "-b", str(blocked), "--shards", many, "--shard", mine).stdout.decode().splitlines()
        for many, mine in dealt
    ]
    assert boxes[:2] == [found[::2], found[1::2]]
    assert boxes[2] == [pair for at, pair in enumerate(found) if at % 5 in (0, 3, 4)]
    assert boxes[3] == [pair for at, pair in enumerate(found) if at % 5 in (1, 2)]


def test_six_bytes_each() -> None:
    done = lzr("-p", "80", "192.0.2.0/24", "-dryrun=fast")
    assert done.returncode == 0, done.stderr
    found = {done.stdout[at : at + 6] for at in range(0, len(done.stdout), 6)}
    assert found == {bytes([192, 0, 2, last, 0, 80]) for last in range(256)}
    done = lzr("-p", "80", "192.0.2.0/24", "2001:db8::1", "-dryrun=fast")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"six bytes hold no IPv6 address" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("10.0.0.0/7",), "--blocklist-file FILE"),
        (("192.0.2.0/24", "--handshakes", "htpp"), "htpp"),
        (("192.0.2.0/24", "-b", "/nonexistent"), "/nonexistent"),
        (("192.0.2.0/24", "--resume", "state"), "leave --resume out"),
        (("2001:db8::/64",), "more than can be swept"),
    ],
)
def test_what_the_scan_would_refuse_is_refused(words: tuple[str, ...], sentence: str) -> None:
    done = lzr("-p", "80", "--dryrun", *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert sentence in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_goes_away_ends_it_quietly_and_a_full_disk_does_not() -> None:
    large = ("-p", "1-1024", "10.0.0.0/16", "--dryrun", "-q", "-b", os.devnull)
    assert size(ranges_of("10.0.0.0/16")) << 10 > 1 << 24
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "wb") as writer:
        os.set_blocking(writer.fileno(), False)
        process = begun(*large, stdout=writer)
        writer.close()
        assert reader.readline().startswith(b"10.0.")
        reader.close()
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (
        0,
        b"lzr: --blocklist-file /dev/null names no network: nothing is blocked\n",
    )
    with open("/dev/full", "wb") as full:
        done = lzr("-p", "80", "192.0.2.0/24", "--dryrun", "-q", stdout=full)
    assert done.returncode == 1
    assert done.stderr == b"lzr: stdout cannot be written: No space left on device\n"
