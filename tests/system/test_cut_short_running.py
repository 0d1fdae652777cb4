"""Scans that are cut short on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.faults import Victim, lines_in, read
from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, scan
from tests.system.test_e2e_responder import services

QUICK = ("-rt", "0.3", "-t", "2", "-c", "2")


def respond(arena: Range, count: int, classes: str) -> None:
    arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes=classes)


def ledger(said: str) -> str:
    return next(line for line in said.splitlines() if line.startswith("inputs: "))


@pytest.mark.root
@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (10, ()),
        (1, ("-w", "2", "--collect-workers", "3")),
        (777, ("-w", "2", "--collect-workers", "2", "-onlyDataRecord")),
        (501, ("-O", "csv", "--output-filter", "fingerprint = http || RST")),
        (300, ("-handshakes", "http,tls", "-forceAllHandshakes")),
    ],
    ids=str,
)
def test_exactly_as_many_results(arena: Range, wanted: int, words: tuple[str, ...]) -> None:
    count = 8000
    respond(arena, count, "hsahqhrhfhzhshq")
    found = scan(arena.scanner, "-sendSYNs", *QUICK, "-N", str(wanted), *words, lines=services(count))
    assert found.returncode == 0, found.stderr
    records: list[Any] = found.records
    if "csv" in words:
        text = (arena.lab.directory / "scan.out").read_text().splitlines()
        records = text[1:]
        assert text[0].startswith("saddr,")
    assert len(records) == wanted
    assert len(set(map(str, records))) == wanted
    assert f"results: {wanted} record" in found.stderr
    assert "(agree)" in ledger(found.stderr)
    assert "interrupted" in ledger(found.stderr)
    if not words:
        assert f'"TotalResponses":{wanted}' in found.stderr


@pytest.mark.root
def test_exactly_as_many_in_the_feed_too(arena: Range) -> None:
    respond(arena, 4000, "h")
    target = arena.lab.directory / "out"
    words = (LZR, "-sendSYNs", *QUICK, "-N", "25", "-feedZGrab", "-f", target)
    done = arena.scanner.run(*words, input="".join(services(4000)), timeout=120)
    assert len(read(target)) == 25
    assert done.stdout.splitlines() == [
        f"{r['saddr']},,{r['fingerprint']},{r['sport']}" for r in read(target)
    ]


@pytest.mark.root
def test_as_many_results_although_collectors_die(arena: Range) -> None:
    count, wanted = 30_000, 9001
    respond(arena, count, "h")
    target, source = arena.lab.directory / "out", arena.lab.directory / "targets"
    source.write_text("".join(services(count)))
    words = ("-sendSYNs", *QUICK, "-rate", "1500", "-N", str(wanted), "-w", "2", "--collect-workers", "2")
    victim = Victim(arena.scanner, *words, "-f", target, "-I", source, stdin=subprocess.DEVNULL)
    for more in (1000, 5000):
        wait_for(lambda more=more: lines_in(target) > more, "records")
        assert victim.kill("collector")
    assert victim.wait(120) == 0, victim.said()
    found = read(target)
    assert len(found) == len({record["saddr"] for record in found}) == wanted
    assert "(agree)" in ledger(victim.said())


@pytest.mark.root
def test_as_many_results_over_several_runs(arena: Range) -> None:
    """-N counts the records of a scan, also where it was resumed, and not those of scans before it."""
    count, wanted = 20_000, 6000
    respond(arena, count, "h")
    target, source, kept = (arena.lab.directory / name for name in ("out", "targets", "kept"))
    source.write_text("".join(services(count)))
    words = ("-sendSYNs", *QUICK, "-rate", "1000", "-I", source, "-f", target)
    assert Victim(arena.scanner, *words, "-N", "100", stdin=subprocess.DEVNULL).wait(120) == 0
    words = (*words, "-N", str(wanted), "--checkpoint", kept)
    victim = Victim(arena.scanner, *words, stdin=subprocess.DEVNULL, name="first")
    wait_for(lambda: lines_in(target) > 2000, "records")
    victim.signal(signal.SIGINT)
    assert victim.wait(120) == 130
    for _ in range(2):  # once to the end, and once more, when nothing is to be done
        again = Victim(arena.scanner, "--resume", kept, stdin=subprocess.DEVNULL, name="again")
        assert again.wait(120) == 0, again.said()
        assert lines_in(target) == 100 + wanted


@pytest.mark.root
@pytest.mark.parametrize("words", [("-f", "-"), ("-feedZGrab", "-f", "results")], ids=str)
def test_the_reader_goes_away(arena: Range, words: tuple[str, ...], tmp_path: Path) -> None:
    """What has no record then is interrupted, and the status is that of a program that SIGPIPE ended."""
    respond(arena, 8000, "h")
    source, about = tmp_path / "targets", tmp_path / "about"
    source.write_text("".join(services(8000)))
    with (tmp_path / "log").open("w") as log:
        command = (LZR, "-sendSYNs", "-rate", "3000", *QUICK, *words, "--no-dashboard", "-I", source)
        process = arena.scanner.popen(
            *command, "-m", about, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd=tmp_path
        )
    assert process.stdout is not None
    assert all(process.stdout.readline() for _ in range(5))
    process.stdout.close()
    assert process.wait(120) == 141
    said = (tmp_path / "log").read_text()
    assert "the reader of the output has gone" in said
    assert "interrupted (agree)" in ledger(said)
    assert json.loads(about.read_text())["ending"] == {
        "status": 141,
        "how": "interrupted",
        "failure": "",
        "unfinished": False,
    }


@pytest.mark.root
@pytest.mark.parametrize("input_is", ["file", "pipe"])
def test_interrupted_is_not_done(arena: Range, tmp_path: Path, input_is: str) -> None:
    """It is acknowledged, the share does not jump, and the saved picture does not say that all is done."""
    count = 40_000
    respond(arena, count, "hhhhhhhq")
    text = "".join(services(count))
    (tmp_path / "targets").write_text(text)
    reader, writer = os.pipe()
    stdin: Any = reader
    if input_is == "file":
        stdin = (tmp_path / "targets").open()
    else:
        os.write(writer, text[:60_000].encode())
    words = ("-sendSYNs", "-rate", "600", "-rt", "1", "-t", "2", "-c", "2")
    files = ("-f", tmp_path / "out", "-u", tmp_path / "status", "--dashboard-file", tmp_path / "last.svg")
    victim = Victim(arena.scanner, *words, *files, stdin=stdin)
    wait_for(lambda: lines_in(tmp_path / "out") > 900, "records")
    victim.signal(signal.SIGINT)
    wait_for(lambda: "SIGINT: no more is begun, what is in flight is finished" in victim.said(), "an answer")
    assert victim.wait(120) == 130
    if input_is == "file":
        stdin.close()
    os.close(reader)
    os.close(writer)
    said = victim.said()
    assert "(agree)" in ledger(said)
    assert "lzr: interrupted after" in said
    heading, *rows = [line.split(",") for line in (tmp_path / "status").read_text().splitlines()]
    shares = [row[heading.index("percent-complete")] for row in rows]
    assert len(shares) >= 2
    if input_is == "file":
        assert all(0 <= float(share) < 12 for share in shares[1:]), shares
    else:
        assert set(shares) == {""}
    picture = (tmp_path / "last.svg").read_text()
    assert "interrupted" in picture
    shown = re.sub(r"<[^>]*>", "", picture).replace("&#160;", " ")  # no names of styles
    assert "100" not in shown.split("of")[0][-40:]
    assert ">done<" not in picture
