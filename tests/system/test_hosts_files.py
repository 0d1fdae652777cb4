"""What a scan is given by its caller: closed descriptors, FIFOs without another end, lists of networks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.net import Lab, wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, parse
from tests.system.test_e2e_responder import address, services

pytestmark = pytest.mark.root

QUICK = ("-sendSYNs", "-rt", "0.3", "-t", "6", "-c", "5", "-w", "1", "--no-dashboard")


@pytest.fixture(scope="module")
def here() -> Iterator[Range]:
    with Lab() as lab:
        made = Range(lab)
        made.respond(first=FIRST, count=64, port=PORT, source=SCANNER, classes="h")
        yield made


def start(
    here: Range, directory: Path, *words: str | Path, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    return here.scanner.popen(
        LZR,
        *QUICK,
        *words,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
    )


def test_a_fifo_without_its_other_end(here: Range, tmp_path: Path) -> None:
    """Each says what is awaited, and ends on a signal with its status, without a guard."""
    (tmp_path / "list").write_text(services(1)[0])
    running = {}
    for flag in ("-f", "-m", "-l", "-u", "-I", "-b", "--allowlist-file", "--cpuprofile", "--config"):
        fifo = tmp_path / f"fifo{flag}"
        os.mkfifo(fifo)
        words = ("-f", "-", "-I", "list")
        less = {"-f": words[2:], "-I": words[:2]}.get(flag, words)
        running[flag] = start(here, tmp_path, *less, flag, fifo)
    for flag, process in running.items():
        assert process.stderr is not None
        line = ""
        while "FIFO" not in line:
            line = process.stderr.readline()
            assert line, f"{flag}: ended with {process.wait()}"
        assert "waiting for its" in line, (flag, line)
        process.send_signal(signal.SIGTERM)
    for flag, process in running.items():
        _, said = process.communicate(timeout=120)
        assert (process.returncode, "Traceback" in said) == (128 + signal.SIGTERM, False), (flag, said)
    assert "lzr_" not in here.scanner.rules()


def test_a_fifo_with_its_other_end(here: Range, tmp_path: Path) -> None:
    """A list, the input, the log and the metadata come and go through pipes."""
    words = (
        f"{LZR} {' '.join(QUICK)} -f found -b <(echo {address(0)}) -b <(echo {address(1)}) "
        f"-I <(cat list) -l >(cat > log) -m >(cat > meta)"
    )
    (tmp_path / "list").write_text("".join(services(8)))
    done = here.scanner.run("bash", "-c", words, cwd=tmp_path, timeout=120)
    assert "Traceback" not in done.stderr
    records, torn = parse((tmp_path / "found").read_text())
    assert ({record["saddr"] for record in records}, torn) == ({address(n) for n in range(2, 8)}, [])
    wait_for(lambda: (tmp_path / "meta").read_text().endswith("}\n"), "the metadata")
    found = json.loads((tmp_path / "meta").read_text())
    assert found["inputs"]["fates"]["blocklisted"] == 2
    assert "ended with status 0" in (tmp_path / "log").read_text()


def test_standard_descriptors(here: Range, tmp_path: Path) -> None:
    """Closed, or the wrong way round: a sentence, or the right results, and never a file where stderr was."""
    (tmp_path / "list").write_text("".join(services(8)))
    lzr = f"{LZR} {' '.join(QUICK)}"

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        done = here.scanner.run("sh", "-c", line, cwd=tmp_path, timeout=120, check=False)
        assert "Traceback" not in done.stderr, (line, done.stderr)
        return done

    for line, sentence in (
        (f"{lzr} -f found <&-", "stdin, which is the input, is closed or not open for reading"),
        (f"{lzr} -f found 0>other", "stdin, which is the input, is closed or not open for reading"),
        (f"{lzr} -f found <.", "stdin is a directory"),
        (f"{LZR} identify <.", "stdin is a directory"),
        (f"{lzr} -f - <list >&-", "stdout is closed or not open for writing"),
        (f"{lzr} -f - <list 1<list", "stdout is closed or not open for writing"),
        (f"{lzr} -feedZGrab -f found <list >&-", "stdout is closed or not open for writing"),
        (f"echo x | {LZR} identify >&-", "stdout is closed or not open for writing"),
        (f"{LZR} --help >&-", "stdout is closed or not open for writing"),
        (f"{LZR} guard status >&-", "stdout is closed or not open for writing"),
        (f"{LZR} --help >/dev/full", "stdout cannot be written: No space left on device"),
    ):
        done = shell(line)
        assert sentence in done.stderr, (line, done.stderr)
        assert done.returncode == (1 if "--help" in line else 2), line
        assert done.stderr.count("\n") == 1, done.stderr
    for number, line in enumerate(
        (
            f"{lzr} -I list -f found0 <&- >&- 2>&-",
            f"{lzr} -f found1 <list 2>&-",
            f"{lzr} -f found2 <list 2</dev/null",
        )
    ):
        assert shell(line).returncode == 0, line
        records, torn = parse((tmp_path / f"found{number}").read_text())
        assert (len(records), torn) == (8, []), line
    done = shell(f"{lzr} -f - <list 2>&-")
    records, torn = parse(done.stdout)
    assert (len(records), torn) == (8, [])


def test_few_descriptors(here: Range, tmp_path: Path) -> None:
    """The soft limit is raised as far as need be; where the hard one is too low, a sentence names it."""
    (tmp_path / "list").write_text("".join(services(8)))
    lzr = f"{LZR} {' '.join(QUICK)} -f found <list"
    here.scanner.run("sh", "-c", f"ulimit -Sn 60; {lzr}", cwd=tmp_path, timeout=120)
    assert len(parse((tmp_path / "found").read_text())[0]) == 8
    for limit in (60, 36):
        done = here.scanner.run(
            "sh", "-c", f"ulimit -n {limit}; {lzr}", cwd=tmp_path, timeout=120, check=False
        )
        assert (done.returncode, done.stderr.count("lzr: ")) == (2, 1), (limit, done.stderr)
        assert "ulimit -n" in done.stderr, done.stderr


def test_a_log_that_is_copied_and_emptied(here: Range, tmp_path: Path) -> None:
    """Rotation by copytruncate, of what the shell has opened with >: no zeros where the old text was."""
    names = ("results", "errors", "log", "status")
    line = f"exec {LZR} {' '.join(QUICK)} -f - -l log -u status >results 2>errors"
    process = here.scanner.popen("sh", "-c", line, stdin=subprocess.PIPE, cwd=tmp_path, text=True)
    assert process.stdin is not None
    process.stdin.write("".join(services(8)))
    process.stdin.flush()
    wait_for(
        lambda: all((tmp_path / name).exists() and (tmp_path / name).stat().st_size for name in names),
        "output",
    )
    wait_for(lambda: (tmp_path / "results").read_text().count("\n") == 8, "records")
    for name in names:
        os.truncate(tmp_path / name, 0)
    process.stdin.write("".join(services(16)[8:]))
    process.stdin.close()
    assert process.wait(120) == 0
    for name in names:
        assert b"\0" not in (tmp_path / name).read_bytes(), name
    assert len(parse((tmp_path / "results").read_text())[0]) == 8


def test_lists_as_people_have_them(here: Range, tmp_path: Path) -> None:
    """With a byte-order mark, CR LF, ranges, names; two of them add up."""
    (tmp_path / "one").write_bytes(f"\ufeff{address(0)}\r\n{address(1)}-{address(3)} # some\r\n".encode())
    (tmp_path / "two").write_bytes(f"{address(4)}/32\nlocalhost\n".encode("utf-16"))
    (tmp_path / "lzr.toml").write_text('blocklist-file = ["two"]\n')
    (tmp_path / "list").write_text("".join(services(8)))
    done = here.scanner.run(
        LZR, *QUICK, "-b", "one", "-C", "lzr.toml", "-f", "found", "-I", "list", cwd=tmp_path, timeout=120
    )
    assert "5 blocklisted" in done.stderr
    assert {record["saddr"] for record in parse((tmp_path / "found").read_text())[0]} == {
        address(number) for number in range(5, 8)
    }
    (tmp_path / "bad").write_text("10.0.0.0/8\nno-such-name.invalid\n")
    words = ("env", "RES_OPTIONS=timeout:1 attempts:1", LZR, *QUICK, "-b", "one", "-b", "bad", "-f", "x")
    done = here.scanner.run(*words, "-I", "list", cwd=tmp_path, timeout=120, check=False)
    assert (done.returncode, "bad: line 2: no-such-name.invalid is no network" in done.stderr) == (2, True)


def test_a_result_file_that_is_deleted(here: Range, tmp_path: Path) -> None:
    """What goes into a file without a name is lost: it is said at once, and the status tells."""
    target = tmp_path / "found"
    process = here.scanner.popen(
        *(LZR, *QUICK, "-f", target, "-m", "meta"),
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write("".join(services(8)))
    process.stdin.flush()
    wait_for(lambda: target.exists() and target.read_text().count("\n") == 8, "records")
    target.unlink()
    line = ""
    while "was deleted while it is written" not in line:
        line = process.stderr.readline()
        assert line, process.wait()
    assert f"cp /proc/{process.pid}/fd/" in line
    process.stdin.close()
    process.stdin = None
    _, said = process.communicate(timeout=120)
    assert (process.returncode, "was deleted" in said) == (3, True), said
    assert json.loads((tmp_path / "meta").read_text())["results_lost"]


@pytest.mark.parametrize("name", [b"two\nlines and 'quotes'", "Größe ☃".encode(), b"caf\xe9"])
def test_names_are_bytes(here: Range, tmp_path: Path, name: bytes) -> None:
    """A directory, and what a scan writes in it, may be called as Linux lets it: UTF-8 or not."""
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    called = os.fsdecode(name)
    (folder / called).write_text("".join(services(8)))
    flags = {"-f": "found", "-m": "meta", "-l": "log", "-u": "status", "--trace-pcap": "trace"}
    written = {flag: f"{called}.{kind}" for flag, kind in flags.items()}
    words = [word for pair in written.items() for word in pair]
    process = start(here, folder, "-I", called, *words, "--checkpoint", f"{called}.ck", "-n", "4")
    _, said = process.communicate(timeout=120)
    assert (process.returncode, "Traceback" in said) == (0, False), said
    assert all((folder / file).stat().st_size for file in written.values())
    assert json.loads((folder / written["-m"]).read_text())["options"]["output_file"].endswith(written["-f"])
    process = start(here, folder, "--resume", f"{called}.ck")
    _, said = process.communicate(timeout=120)
    assert "Traceback" not in said
    records, torn = parse((folder / written["-f"]).read_text())
    assert ({record["saddr"] for record in records}, torn) == ({address(n) for n in range(4)}, []), said


def test_an_empty_result_that_cannot_be_written(here: Range, tmp_path: Path) -> None:
    """All there is of a CSV is its heading: a full disk is told, a reader that has gone misses nothing."""
    for out, status in (("> /dev/full", 1), ("| true", 0)):
        words = f"{LZR} {' '.join(QUICK)} -O csv -f - < /dev/null {out}; exit ${{PIPESTATUS[0]}}"
        done = here.scanner.run("bash", "-c", words, cwd=tmp_path, timeout=120, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr
        assert ("cannot write results: No space left on device" in done.stderr) == bool(status)
