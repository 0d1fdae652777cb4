"""Files that were asked for beside the results: where one does not hold all, a sentence and status say so."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import lines_in, read
from tests.lab.net import Lab, run, wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR
from tests.system.test_e2e_responder import services

pytestmark = pytest.mark.root

QUICK = ("-sendSYNs", "-rt", "0.3", "-t", "2", "-c", "2", "-w", "1", "--no-dashboard", "-rate", "2000")
COUNT = 64


@pytest.fixture(scope="module")
def here() -> Iterator[Range]:
    with Lab() as lab:
        made = Range(lab)
        made.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
        yield made


def words(place: str) -> list[str]:
    return [
        *("--log-file", f"{place}/log", "--verbosity", "5", "--status-updates-file", f"{place}/status"),
        *("--trace-pcap", f"{place}/trace", "--cpuprofile", f"{place}/profile"),
        *("--dashboard-file", f"{place}/picture.svg", "--checkpoint", f"{place}/kept"),
    ]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64k", "none", place)
    yield place
    run("umount", place)


def start(here: Range, more: list[str], tmp_path: Path) -> subprocess.Popen[str]:
    """A scan that has its first record, and whose input has not ended."""
    process = here.scanner.popen(
        *(LZR, *QUICK, "-f", "found", *more),
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write("".join(services(COUNT)[:1]))
    process.stdin.flush()
    wait_for(lambda: lines_in(tmp_path / "found") == 1, "a record")
    return process


def test_a_disk_that_gets_full(here: Range, tmp_path: Path, small: Path) -> None:
    process = start(here, [*words("small"), "-m", "meta"], tmp_path)
    for name in ("fill", "log", "status", "trace"):  # a file has room for what its last page has
        with (small / name).open("ab", buffering=0) as file:
            for size in (4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"\n" * size):
                        pass
    _, said = process.communicate("".join(services(COUNT)[1:]), timeout=120)
    assert process.returncode == 3, said
    assert len(read(tmp_path / "found")) == COUNT
    found = json.loads((tmp_path / "meta").read_text())
    assert (found["ending"]["status"], found["results_lost"]) == (3, False)
    warnings = "\n".join(found["warnings"])
    for sentence in (
        "the log small/log cannot be written any more: No space left on device",
        "cannot write small/status any more: No space left on device",
        "--trace-pcap: the trace cannot be written any more: No space left on device",
        "a profile is not whole",
        "cannot write small/picture.svg: No space left on device",
        "cannot write the checkpoint in small/kept: No space left on device",
    ):
        assert sentence in warnings
        assert f"warning: {sentence}" in said


def test_a_directory_that_is_removed(here: Range, tmp_path: Path) -> None:
    """Also quietly: what is missing is one sentence each on stderr."""
    place = tmp_path / "gone"
    place.mkdir()
    process = start(here, [*words("gone"), "-m", "gone/meta", "--quiet"], tmp_path)
    run("rm", "-r", place)
    _, said = process.communicate("".join(services(COUNT)[1:]), timeout=120)
    assert process.returncode == 3, said
    assert len(read(tmp_path / "found")) == COUNT
    lines = said.splitlines()
    for part in (
        "the log gone/log is not whole: it was deleted",
        "gone/status does not hold every status: it was deleted",
        "--trace-pcap: the file was deleted",
        "the profile gone/profile was deleted",
        "gone/picture.svg: No such file",
        "cannot write the checkpoint in gone/kept: ",
        "gone/meta was deleted before the metadata was in it",
    ):
        assert sum(part in line for line in lines) == 1, (part, said)
    assert len(lines) == 7, said


def test_a_trace_whose_writer_is_killed(here: Range, tmp_path: Path) -> None:
    process = start(here, ["--trace-pcap", "trace"], tmp_path)
    (writer,) = (pid for pid in descendants(process.pid) if b"workers.pcapwriter" in command_of(pid))
    os.kill(writer, signal.SIGKILL)
    _, said = process.communicate("".join(services(COUNT)[1:]), timeout=60)
    assert process.returncode == 3, said
    assert "warning: --trace-pcap: its writer was ended (-9), and what came then is not in it" in said
    assert len(read(tmp_path / "found")) == COUNT


def descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from descendants(child)


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_metadata_for_which_there_is_no_room_where_nothing_is_scanned(here: Range) -> None:
    done = here.scanner.run(LZR, *QUICK, "-f", "-", "-m", "/dev/full", input="", check=False, timeout=120)
    assert (done.returncode, "cannot write /dev/full: No space left on device" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    "flag", ["--metadata-file", "--log-file", "--trace-pcap", "--cpuprofile", "--dashboard-file", "-u"]
)
def test_a_directory_in_the_place_of_a_file_is_told_before_a_packet(
    here: Range, tmp_path: Path, flag: str
) -> None:
    (tmp_path / "there.svg").mkdir()
    words = (*QUICK, "-f", "found", flag, "there.svg")
    given = "".join(services(1))
    done = here.scanner.run(LZR, *words, input=given, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "there.svg" in done.stderr
    assert "irectory" in done.stderr
    assert not (tmp_path / "found").exists()
