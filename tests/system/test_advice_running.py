"""`lzr.targets.advice` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.net import wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, parse
from tests.lab.zmaplines import lines
from tests.unit.coordinator.input.test_plaintext import STRANGE
from tests.unit.lzr.targets.test_advice import ZMAP


def lzr(
    arena: Range, *options: str, data: bytes | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """`lzr OPTIONS < data`, through a pipe; its packets are seen by nobody unless somebody looks."""
    process = subprocess.Popen(
        arena.scanner.command(LZR, *options, "--no-dashboard"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )
    out, err = process.communicate(data, timeout=120)
    return subprocess.CompletedProcess([], process.returncode, out.decode(), err.decode())


@pytest.fixture
def results(arena: Range) -> Path:
    """A file with results of an earlier scan."""
    path = arena.lab.directory / "results.json"
    path.write_text('{"saddr":"10.9.9.9","daddr":"10.0.0.2","sport":1,"fingerprint":"http"}\n')
    return path


UNUSABLE = {
    "zmap's default": ((), b"10.0.0.1\n10.0.0.2\n", ZMAP),
    "zmap's default as csv": ((), b"saddr\n10.0.0.1\n", ZMAP),
    "zmap's default as json": ((), b'{"saddr":"10.0.0.1"}\n' * 3, ZMAP),
    "a list": ((), b"10.0.0.1:80\n", "-sendSYNs"),
    "no ports": (("-sendSYNs",), b"10.0.0.1\n10.0.0.2\n", "needs a port"),
    "json without ports": (("-sendSYNs",), b'{"saddr":"10.0.0.1"}\n', "needs a port"),
    "junk": (("-sendSYNs",), b"hello there\nyou\n", "10.0.0.1:80"),
    "names": (("-sendSYNs",), b"nowhere.invalid:80\n", "no name in the input has an address"),
    "no -dryrun": (("-sendSYNs",), b"tcp { source: 5 | dest: 80 | seq: 1 | checksum: 0X9DB }\n", "-dryrun"),
    "no dry run": (("-dryrun",), b"10.0.0.1:80\n", "-dryrun is for what zmap --dryrun prints"),
    "nmap xml": (("-sendSYNs",), STRANGE["nmap xml"][0], "-oG"),
    "a capture": (("-sendSYNs",), STRANGE["pcap"][0], "lzr identify"),
    "a page": ((), STRANGE["html"][0], "an HTML page"),
}


@pytest.mark.root
@pytest.mark.parametrize("name", UNUSABLE)
def test_an_input_without_a_target_is_a_mistake(arena: Range, results: Path, name: str) -> None:
    options, data, words = UNUSABLE[name]
    before = results.read_bytes()
    done = lzr(arena, *options, "-f", str(results), data=data)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("lzr: ")
    assert words in last
    assert "brackets" not in done.stderr
    assert results.read_bytes() == before
    assert not done.stdout


@pytest.mark.root
@pytest.mark.parametrize(
    ("options", "data", "words"),
    [
        (
            (),
            b"",
            "the input is empty: nothing to scan; see whether what writes into the pipe (zmap) has failed",
        ),
        (("-sendSYNs",), b"# nothing yet\n\n", "the input is empty: nothing to scan"),
        (("-sendSYNs", "--shards", "2000"), b"10.0.0.1:80\n", "1 for another shard"),
        (("-sendSYNs",), b"10.0.0.1:9100\nnonsense\n", "1 unusable, 1 printer port"),
    ],
)
def test_nothing_to_scan_is_said_and_no_error(
    arena: Range, options: tuple[str, ...], data: bytes, words: str
) -> None:
    done = lzr(arena, *options, "-f", "-", data=data)
    assert done.returncode == 0, done.stderr
    assert words in done.stderr
    assert "(agree)" in done.stderr


@pytest.mark.root
def test_lists_that_keep_out_everybody_are_a_mistake_and_of_zmaps_lines_a_warning(
    arena: Range, results: Path
) -> None:
    block = results.with_name("block")
    block.write_text("10.0.0.0/8\n")
    before = results.read_bytes()
    words = ("--blocklist-file", str(block), "-f", str(results))
    done = lzr(arena, "-sendSYNs", *words, data=b"10.0.0.1:80\n10.0.0.2:80\n10.0.0.1:80\nnonsense\n")
    assert done.returncode == 2, done.stderr
    assert "nothing is left to scan of 4 inputs: 1 unusable, 3 blocklisted (--blocklist-file)" in done.stderr
    assert results.read_bytes() == before
    zmap = b"saddr,daddr,sport,dport,seqnum,acknum,window\n10.0.0.1,10.9.9.9,80,40000,1,2,100\n"
    done = lzr(arena, *words, "--log-file", str(results.with_name("log")), data=zmap)
    assert done.returncode == 0, done.stderr
    assert "warning: nothing is left to scan of 1 input: 1 blocklisted" in done.stderr
    assert "[WARN] lzr: nothing is left to scan" in results.with_name("log").read_text()


@pytest.mark.root
def test_a_few_bad_lines_are_shown_and_counted(arena: Range, results: Path) -> None:
    arena.respond(first=FIRST, count=4, port=PORT, source=SCANNER, classes="h")
    text = f"nonsense\n{FIRST}/30:{PORT}\n10.0.0.1\n".encode()
    out = str(results.with_name("new.json"))
    done = lzr(arena, "-sendSYNs", "-f", out, "-rt", "0.3", "-t", "2", data=text)
    assert done.returncode == 0, done.stderr
    assert "line 1: no port: nonsense" in done.stderr
    assert "line 3: no port: 10.0.0.1" in done.stderr
    assert "6 read = 4 recorded + 2 unparsable (agree)" in done.stderr
    assert len(parse(Path(out).read_text())[0]) == 4
    assert "nobody answered" not in done.stderr


@pytest.mark.root
def test_records_of_a_scan_are_scanned_again(arena: Range) -> None:
    """Ours, as JSON and as CSV; and ZMap's records where -sendSYNs is given."""
    arena.respond(first=FIRST, count=4, port=PORT, source=SCANNER, classes="h")
    quick = ("-sendSYNs", "-rt", "0.3", "-t", "2", "-f", "-")
    first = lzr(arena, *quick, data=f"{FIRST}/30:{PORT}\n".encode())
    hosts = {record["saddr"] for record in parse(first.stdout)[0]}
    assert len(hosts) == 4
    as_csv = lzr(arena, *quick, "-O", "csv", data=first.stdout.encode())
    assert as_csv.stdout.count("\n") == 5
    again = lzr(arena, *quick, data=as_csv.stdout.encode())
    assert {record["saddr"] for record in parse(again.stdout)[0]} == hosts
    assert "half-open" not in again.stderr
    of_zmap = lzr(arena, *quick, data="".join(lines(4, classes="h")).encode())
    assert "-sendSYNs opens them anew" in of_zmap.stderr
    assert {record["saddr"] for record in parse(of_zmap.stdout)[0]} == hosts


@pytest.mark.root
def test_while_nothing_of_use_comes_it_is_said(arena: Range) -> None:
    log = arena.lab.directory / "lzr.err"
    with log.open("w") as err:
        process = subprocess.Popen(
            arena.scanner.command(LZR, "-f", "-", "--no-dashboard"), stdin=subprocess.PIPE, stderr=err
        )
        assert process.stdin is not None
        process.stdin.write(b"10.0.0.1\n")
        process.stdin.flush()
        wait_for(lambda: ZMAP in log.read_text(), "the sentence", 60)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(120) == 2


@pytest.mark.root
@pytest.mark.parametrize("form", ["list", "zmap"])
def test_nobody_answered(arena: Range, form: str) -> None:
    """A closing line says what to look at: facts, not everything there is."""
    words = ("-rt", "0.2", "-t", "0.3", "-rn", "0", "-c", "1", "-f", "-", "-gatewayMac", arena.gateway_mac)
    if form == "list":
        done = lzr(
            arena, "-sendSYNs", *words, "-sourceIP", "10.250.0.77", data=f"{FIRST}/30:{PORT}\n".encode()
        )
    else:
        done = lzr(arena, *words, data="".join(lines(4, classes="h")).encode())
    assert done.returncode == 0, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if "nobody answered" in line]
    assert "packets left eth0" in said
    assert "nothing came back" in said
    assert f"is {arena.gateway_mac} the gateway's MAC?" in said
    assert ("10.250.0.77 is no address of this machine" in said) == (form == "list")
    assert ("zmap ... | lzr" in said) == (form == "zmap")
    assert done.stderr.index("inputs: ") < done.stderr.index("nobody answered")


@pytest.mark.root
@pytest.mark.parametrize("flag", ["-l", "-u"])
def test_a_list_is_not_taken_for_a_log(arena: Range, flag: str) -> None:
    path = arena.lab.directory / "list.txt"
    path.write_text("10.0.0.1:80\n")
    done = lzr(arena, "-sendSYNs", flag, str(path), "-f", "-", data=b"10.0.0.1:80\n")
    assert done.returncode == 2, done.stderr
    assert f"-I {path}" in done.stderr.splitlines()[-1]
    assert path.read_text() == "10.0.0.1:80\n"


@pytest.mark.root
def test_a_log_is_appended_to(arena: Range) -> None:
    path = arena.lab.directory / "scan.log"
    for _ in range(2):
        assert lzr(arena, "-l", str(path), "-f", "-", data=b"").returncode == 0
    text = path.read_text()
    assert text.count("ended with status 0") == 2
    other = arena.lab.directory / "zmap.log"
    other.write_text("Nov 22 09:31:00.123 [INFO] zmap: started\n")
    assert lzr(arena, "-l", str(other), "-f", "-", data=b"").returncode == 0
    (arena.lab.directory / "empty").touch()
    assert lzr(arena, "-l", str(arena.lab.directory / "empty"), "-f", "-", data=b"").returncode == 0
