"""Lines that name many, in the real program: bounded, interrupted, resumed, compressed, from a file."""

from __future__ import annotations

import gzip
import signal
import subprocess
from pathlib import Path

import pytest

from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, parse
from tests.system.test_advice_running import lzr

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

QUICK = ("-sendSYNs", "-handshakes", "http", "-rt", "0.3", "-t", "6", "-w", "flow=1,collect=1")


def peak(pid: int) -> int:
    """The most memory that a process has had, in KiB."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in line]
    return int(line.split()[1])


def coordinator(process: subprocess.Popen[bytes]) -> int:
    """`ip netns exec` and the shell script become the program: the process keeps its number."""
    return process.pid


def test_a_line_of_a_trillion_is_streamed_and_can_be_interrupted(arena: Range) -> None:
    arena.respond(first=FIRST, count=4, port=PORT, source=SCANNER, classes="h")
    out, err = arena.lab.directory / "out", arena.lab.directory / "err"
    with err.open("w") as said:
        process = subprocess.Popen(
            arena.scanner.command(LZR, *QUICK, "-rate", "3000", "-f", out, "--no-dashboard"),
            stdin=subprocess.PIPE,
            stderr=said,
        )
        assert process.stdin is not None
        process.stdin.write(b"10.0.0.0/8:1-65535\n" * 50)
        process.stdin.close()
        wait_for(
            lambda: "read: " in err.read_text() and out.exists() and out.stat().st_size > 10_000, "it", 60
        )
        assert peak(coordinator(process)) < 400 << 10
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 128 + signal.SIGINT
    text = err.read_text()
    assert "(agree)" in text
    assert "interrupted" in text


def test_max_targets_ends_a_network(arena: Range) -> None:
    arena.respond(first=FIRST, count=256, port=PORT, source=SCANNER, classes="h")
    done = lzr(arena, *QUICK, "-n", "100", "-f", "-", data=f"{FIRST}/8:{PORT},1-65535\n".encode())
    assert done.returncode == 0, done.stderr
    assert len({(r["saddr"], r["sport"]) for r in parse(done.stdout)[0]}) == 100
    assert "100 recorded" in done.stderr
    assert "(agree)" in done.stderr


def test_an_interrupted_network_is_resumed_where_it_was(arena: Range) -> None:
    count = 2048
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes="h")
    where, out = arena.lab.directory / "state", arena.lab.directory / "found.json"
    text = (
        f"nonsense\n{FIRST}/22:{PORT}\n{FIRST}:{PORT}\nnowhere.invalid:80\n10.64.4.0-10.64.7.255:{PORT}\n"
    ).encode()
    process = subprocess.Popen(
        arena.scanner.command(
            LZR, *QUICK, "-rate", "400", "--checkpoint", where, "-f", out, "--no-dashboard", "-q"
        ),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.close()
    process.stdin = None
    wait_for(lambda: out.exists() and out.read_bytes().count(b"\n") > 300, "some results", 60)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT, said
    before = len(parse(out.read_text())[0])
    assert 300 < before < count
    done = lzr(arena, "--resume", str(where), data=text)
    assert done.returncode == 0, done.stderr
    assert "(agree)" in done.stderr
    records, torn = parse(out.read_text())
    assert not torn
    assert len(records) == count
    assert len({record["saddr"] for record in records}) == count


@pytest.mark.parametrize("how", ["stdin", "file"])
def test_a_compressed_list(arena: Range, how: str) -> None:
    arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER, classes="h")
    data = gzip.compress(f"{FIRST}/26:{PORT}\r\n".encode("utf-16"))
    if how == "stdin":
        done = lzr(arena, *QUICK, "-f", "-", data=data)
    else:
        path = arena.lab.directory / "list.gz"
        path.write_bytes(data)
        done = lzr(arena, *QUICK, "-f", "-", "-I", str(path))
    assert done.returncode == 0, done.stderr
    assert len(parse(done.stdout)[0]) == 64


def test_a_list_that_is_cut_short_is_said(arena: Range) -> None:
    arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER, classes="h")
    plain = "".join(f"10.64.0.{at}:{PORT}\n" for at in range(64)) + "# a remark\n" * 90_000
    data = gzip.compress(plain.encode(), 1)
    done = lzr(arena, *QUICK, "-f", "-", data=data[:-30])
    assert done.returncode == 1, done.stderr
    assert (
        done.stderr.splitlines()[-1] == "lzr: the input was not read to its end: the gzip data is cut short"
    )
    assert len(parse(done.stdout)[0]) == 64
    assert lzr(arena, *QUICK, "-f", "-", data=data[:40]).returncode == 2
