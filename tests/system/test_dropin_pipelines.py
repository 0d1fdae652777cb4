"""Pipelines made for the reference, and ZMap's habits: each flag watched on a wire or in what is written."""

from __future__ import annotations

import csv
import io
import json
import shlex
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from lzr import __version__
from lzr.records.fields import FIELDS
from tests.lab.capture import Seen, capture
from tests.lab.net import wait_for
from tests.lab.responder import CLASSES, FIRST, PORT, SCANNER, Range, expected, letter_of
from tests.lab.scan import LZR, Scan, parse, scan
from tests.lab.zmaplines import lines

pytestmark = pytest.mark.root

QUICK = ("-rt", "1", "-t", "3")


def address(index: int) -> str:
    return f"10.64.{index >> 8}.{index & 255}"


def services(count: int) -> list[str]:
    return [f"{address(index)}:{PORT}\n" for index in range(count)]


def assert_true(found: Scan, count: int, handshakes: tuple[str, ...] = ("http",)) -> None:
    """One record for each of `count` hosts, and it is right."""
    assert found.returncode == 0, found.stderr
    assert not found.torn
    by_host = {record["saddr"]: record for record in found.records}
    assert sorted(by_host) == sorted(map(address, range(count)))
    assert len(found.records) == count
    wrong = {host: expected(letter_of(host), handshakes).wrong(record) for host, record in by_host.items()}
    assert not any(wrong.values()), {host: what for host, what in wrong.items() if what}


def ours(seen: list[Seen]) -> list[Seen]:
    return [segment for segment in seen if segment.source == SCANNER]


# --- the README's lines ------------------------------------------------------------------------------------


def test_a_list_at_the_pace_of_its_writer(arena: Range) -> None:
    """``<services_list pv -L$PPS … | lzr -handshakes http -sendSYNs -sourceIP $ip -gatewayMac $mac``."""
    arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER)
    directory = arena.lab.directory
    listed, found, gate = directory / "services_list", directory / "found.json", directory / "gate"
    listed.write_text("".join(services(64)))
    slowly = (
        "{ while read -r line; do echo $line; "
        f"[ -e {gate} ] || sleep 0.5; done; read -r _ <{gate}.fifo; }} <{listed}"
    )
    words = ("-handshakes", "http", "-sendSYNs", "-sourceIP", SCANNER, "-gatewayMac", arena.gateway_mac)
    lzr = shlex.join([str(LZR), *words, *QUICK, "-f", str(found)])
    arena.scanner.run("mkfifo", f"{gate}.fifo")
    process = arena.scanner.popen("bash", "-c", f"{slowly} | {lzr}", stderr=subprocess.PIPE, text=True)
    # Records are there while the list is still being written.
    wait_for(lambda: found.exists() and found.read_text().count("\n") >= 5, "records of the first lines")
    assert found.read_text().count("\n") < 64
    gate.touch()
    wait_for(lambda: found.read_text().count("\n") == 64, "all records, while the input is still open")
    assert process.poll() is None
    Path(f"{gate}.fifo").write_text("end\n")
    _, said = process.communicate(timeout=120)
    records, torn = parse(found.read_text())
    assert_true(Scan(process.returncode, records, said, torn=torn), 64)


def test_the_file_of_the_reference(arena: Range) -> None:
    """Without -f, results are in default_YYYYMMDDHHMMSS.json where the program was started."""
    arena.respond(first=FIRST, count=8, port=PORT, source=SCANNER, more=["--premade"], classes="hs")
    place = arena.lab.directory / "place"
    place.mkdir()
    text = "".join(lines(8, classes="hs"))
    done = arena.scanner.run(LZR, *QUICK, input=text, cwd=place, timeout=120)
    (path,) = place.iterdir()
    assert path.name.startswith("default_20")
    assert path.name.endswith(".json")
    assert len(path.name) == len("default_YYYYMMDDHHMMSS.json")
    records, torn = parse(path.read_text())
    assert not torn, done.stderr
    assert {r["saddr"]: r["fingerprint"] for r in records} == {
        address(index): "ssh" if index % 2 else "http" for index in range(8)
    }


@pytest.mark.parametrize(("words", "count", "seconds"), [((), 20_000, 1.6), (("-rate", "500"), 1_500, 2.4)])
def test_targets_are_begun_at_the_rate(
    arena: Range, words: tuple[str, ...], count: int, seconds: float
) -> None:
    """By default at ZMap's, 10,000 a second. seconds: four fifths of what that takes."""
    responder = arena.respond(first=FIRST, count=count, port=PORT, source=SCANNER, classes="c")
    with capture(arena.far) as seen:
        found = scan(arena.scanner, "-sendSYNs", *words, *QUICK, lines=services(count))
    syns = [segment for segment in ours(seen.stop()) if segment.letters == "S"]
    assert found.returncode == 0, found.stderr
    assert responder.stop()["addresses"] == len(found.records) == count
    assert len(syns) > count * 0.8  # a capture may miss some
    assert syns[-1].time - syns[0].time > seconds


# --- ZGrab2's feed -----------------------------------------------------------------------------------------


def test_the_feed_is_flushed_and_alone_on_stdout(arena: Range) -> None:
    arena.respond(first=FIRST, count=8, port=PORT, source=SCANNER, more=["--premade"], classes="hq")
    results = arena.lab.directory / "results.json"
    words = (LZR, "-feedZGrab", *QUICK, "-v", "5", "-f", results)
    process = arena.scanner.popen(
        *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    told = []
    for index in range(3):
        process.stdin.write(next(lines(1, skip=index, classes="hq")))
        process.stdin.flush()
        told.append(process.stdout.readline())
    process.stdin.close()
    rest, said = process.stdout.read(), process.stderr.read()
    assert process.wait(120) == 0, said
    assert rest == ""
    assert "TotalResponses" in said
    assert told == [
        f"{address(0)},,http,{PORT}\n", f"{address(1)},,unknown,{PORT}\n", f"{address(2)},,http,{PORT}\n",
    ]  # fmt: skip
    assert results.read_text().count("\n") == 3


def test_the_feed_of_what_is_known(arena: Range) -> None:
    arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER)
    words = ("-sendSYNs", "-feedZGrab", "--zgrab-only-known", *QUICK)
    results = arena.lab.directory / "results.json"
    done = arena.scanner.run(LZR, *words, "-f", results, input="".join(services(64)), timeout=120)
    labels = Counter(line.split(",")[2] for line in done.stdout.splitlines())
    assert labels == {"http": 16, "ssh": 8}
    assert results.read_text().count("\n") == 64


# --- what is written ---------------------------------------------------------------------------------------


def output(arena: Range, *words: str, count: int = 64) -> str:
    text = "".join(services(count))
    done = arena.scanner.run(LZR, "-sendSYNs", "-f", "-", *QUICK, *words, input=text, timeout=120)
    return done.stdout


def test_output_modules_fields_and_filter(arena: Range) -> None:
    arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER)
    whole = list(csv.DictReader(io.StringIO(output(arena, "-O", "csv", "--output-fields", "*"))))
    assert list(whole[0]) == [field.name for field in FIELDS]
    assert Counter(row["fingerprint"] for row in whole) == {"unknown": 40, "http": 16, "ssh": 8}
    feed = output(arena, "-O", "zgrab", "--zgrab-only-known")
    assert Counter(line.split(",")[2] for line in feed.splitlines()) == {"http": 16, "ssh": 8}
    chosen = output(
        arena,
        "--output-fields",
        "sport,saddr",
        "--output-filter",
        "fingerprint = ssh || (RST = 1 && ttl > 0)",
    )
    records = [json.loads(line) for line in chosen.splitlines()]
    assert Counter(letter_of(record["saddr"]) for record in records) == {"s": 8, "r": 8}
    assert all(list(record) == ["saddr", "sport"] or list(record) == ["sport", "saddr"] for record in records)


def test_only_what_sent_data_is_recorded_and_the_rest_counted(arena: Range) -> None:
    arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER)
    found = scan(arena.scanner, "-sendSYNs", "-onlyDataRecord", *QUICK, lines=services(64))
    assert found.labels() == {"http": 16, "ssh": 8}
    summary = found.summary()
    assert (summary["TotalResponses"], summary["Data"], summary["ZeroWindow"]) == (64, 24, 8)


def test_metadata_status_and_log(arena: Range) -> None:
    responder = arena.respond(first=FIRST, count=256, port=PORT, source=SCANNER)
    place = arena.lab.directory
    metadata, status, log = place / "meta.json", place / "status.csv", place / "lzr.log"
    words = ("--metadata-file", metadata, "--status-updates-file", status, "--log-file", log, "-v", "4")
    text = ["rubbish\n", *services(256), f"{address(3)}:{PORT}\n"]
    found = scan(
        arena.scanner,
        "-sendSYNs",
        "--notes",
        "first of its kind",
        *QUICK,
        *words,
        lines=text,
    )
    counters = responder.stop()
    assert_true(found, 256)
    told = json.loads(metadata.read_text())
    assert told["version"] == __version__
    assert told["notes"] == "first of its kind"
    assert told["options"]["send_syns"] is True
    assert told["ending"]["status"] == 0
    assert told["inputs"]["agree"] is True
    assert {k: v for k, v in told["inputs"]["fates"].items() if v} == {
        "recorded": 256, "unparsable": 1, "duplicate": 1,
    }  # fmt: skip
    tcp = ("syn", "data", "bare_ack", "rst")
    assert told["packets"]["sent"] == sum(counters[name] for name in tcp)
    assert told["packets"]["received"] >= counters["syn_ack"]
    assert told["packets"]["drops"] == 0
    assert told["counters"] == found.summary()
    assert told["fingerprints"] == dict(found.labels())
    assert told["network"]["gateway_mac_v4"] == arena.gateway_mac
    assert told["network"]["sources"][0] == SCANNER
    rows = list(csv.DictReader(io.StringIO(status.read_text())))
    assert len(rows) >= 2
    assert (rows[-1]["read-total"], rows[-1]["done-total"]) == ("258", "256")
    said = log.read_text()
    for words_ in ("[INFO] lzr: version", "[DEBUG] lzr: ", "line 1", "ended with status 0"):
        assert words_ in said, said
    # The status lines and the summary stay on stderr; the log does not.
    assert "in flight" in found.stderr
    assert "[INFO]" not in found.stderr


def test_metadata_of_a_scan_that_was_interrupted(arena: Range) -> None:
    arena.respond(first=FIRST, count=16, port=PORT, source=SCANNER, classes="hq")
    metadata, results = arena.lab.directory / "meta.json", arena.lab.directory / "out.json"
    words = ("-sendSYNs", "-rt", "0.3", "-t", "1", "-m", metadata, "-f", results)
    process = arena.scanner.popen(LZR, *words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write("".join(services(16)))
    process.stdin.flush()
    wait_for(lambda: results.exists() and results.read_text().count("\n") >= 8, "those that answer")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT, said
    told = json.loads(metadata.read_text())
    assert told["ending"] == {"status": 130, "how": "interrupted", "failure": "", "unfinished": False}
    assert told["inputs"]["agree"] is True
    assert told["inputs"]["read"] == 16
    assert told["inputs"]["fates"]["recorded"] == results.read_text().count("\n")


def test_quiet_and_log_directory(arena: Range) -> None:
    arena.respond(first=FIRST, count=16, port=PORT, source=SCANNER)
    place = arena.lab.directory / "logs"
    place.mkdir()
    found = scan(arena.scanner, "-sendSYNs", "-q", "-L", place, *QUICK, lines=services(16))
    assert_true(found, 16)
    assert "in flight" not in found.stderr
    (log,) = place.iterdir()
    assert log.name.startswith("lzr-20")
    assert "handshakes http" in log.read_text()


def test_every_step_of_every_flow(arena: Range) -> None:
    arena.respond(first=FIRST, count=8, port=PORT, source=SCANNER)
    found = scan(arena.scanner, "-sendSYNs", "-d", *QUICK, lines=services(8))
    assert_true(found, 8)
    steps = [line.split(" ", 4) for line in found.stderr.splitlines() if f":{PORT} from {SCANNER}:" in line]
    for index in range(8):
        mine = [step[3] for step in steps if step[0] == f"{address(index)}:{PORT}"]
        mine = [step for step, _ in groupby(mine)]  # a SYN may have been sent again
        assert mine[:3] == ["++", "->", "<-"], mine
        assert mine[-1] == "=="


def test_a_configuration_file(arena: Range) -> None:
    arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER)
    config = arena.lab.directory / "lzr.toml"
    config.write_text(
        'send-syns = true\nhandshakes = ["wait", "http"]\nretransmit-wait = 1\ntimeout = 3\n'
        'quiet = true\nnotes = "from a file"\noutput-fields = ["saddr", "fingerprint", "handshake"]\n'
    )
    metadata = arena.lab.directory / "meta.json"
    found = scan(
        arena.scanner, "--config", config, "--notes", "the command line wins", "-m", metadata,
        lines=services(64),
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    by = Counter((record["fingerprint"], record["handshake"]) for record in found.records)
    assert by["http", "http"] == 16
    assert by["ssh", "wait"] == 8
    assert json.loads(metadata.read_text())["notes"] == "the command line wins"


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--list-handshakes", ("wait", "http", "memcached_ascii", "speaks first")),
        ("--list-output-fields", ("saddr", "expectedRToLZR")),
        ("--list-output-modules", ("json", "csv", "zgrab")),
        ("--version", (__version__,)),
        ("--help", ("-sendSYNs", "--handshakes")),
        ("--help-all", ("-memprofile", "Watching")),
    ],
)
def test_texts(flag: str, words: tuple[str, ...]) -> None:
    done = subprocess.run([LZR, flag], capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
    assert not [word for word in words if word.lower() not in done.stdout.lower()]


# --- the same again, elsewhere, from elsewhere -------------------------------------------------------------


def test_a_seed_makes_it_the_same_again(arena: Range) -> None:
    """Same input, same seed: the same source ports, sequence numbers, payloads, and order."""
    runs = []
    for seed in ("7", "7", "8"):
        arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER)
        words = ("-w", "1", "--seed", seed, "-handshakes", "tls,http", "-haf", "2")
        with capture(arena.far) as seen:
            found = scan(arena.scanner, "-sendSYNs", *words, *QUICK, lines=services(64))
        assert found.returncode == 0, found.stderr
        runs.append([segment for segment in ours(seen.stop()) if "R" not in segment.letters])

    def of(run: list[Seen], what: Callable[[Seen], Any]) -> set[Any]:
        return set(map(what, run))  # a host that was held up is sent the same once more

    def syn(segment: Seen) -> tuple[Any, ...]:
        return segment.letters == "S", segment.target, segment.dport, segment.sport, segment.seq

    def data(segment: Seen) -> tuple[Any, ...]:
        return segment.target, segment.sport, segment.data

    first, second, other = runs
    assert len([s for s in first if s.letters == "S"]) > 64
    assert of(first, syn) == of(second, syn) != of(other, syn)
    assert of(first, data) == of(second, data) != of(other, data)
    order = [
        list(dict.fromkeys(s.target for s in run if s.letters == "S" and s.dport == PORT)) for run in runs
    ]
    assert order[0] == order[1] == [address(index) for index in range(64)]


def test_shards_are_disjoint_and_complete(arena: Range) -> None:
    arena.respond(first=FIRST, count=300, port=PORT, source=SCANNER, classes="hsc")
    parts = []
    for shard in range(3):
        words = ("--shards", "3", "--shard", str(shard))
        found = scan(arena.scanner, "-sendSYNs", *words, *QUICK, lines=services(300))
        assert found.returncode == 0, found.stderr
        parts.append([record["saddr"] for record in found.records])
        assert "(agree)" in found.stderr
    assert sorted(host for part in parts for host in part) == sorted(map(address, range(300)))
    assert min(map(len, parts)) > 50


def test_several_source_addresses_and_a_range_of_ports(arena: Range) -> None:
    arena.scanner.ip("addr", "add", "10.1.0.65/26", "dev", "eth0")
    arena.scanner.ip("addr", "add", "10.1.0.70/26", "dev", "eth0")
    before = arena.scanner.rules()
    runs = []
    for given, pool in (("10.1.0.65,10.1.0.70", {"10.1.0.65", "10.1.0.70"}), ("10.1.0.64/29", None)):
        arena.respond(first=FIRST, count=256, port=PORT, classes="hs")
        words = ("--source-ip", given, "--source-port", "40000-40009", "-handshakes", "tls,http")
        with capture(arena.far) as seen:
            found = scan(arena.scanner, "-sendSYNs", *words, *QUICK, lines=services(256))
        assert found.returncode == 0, found.stderr
        assert found.labels() == {"http": 128, "ssh": 128}
        sent = [s for s in seen.stop() if s.source.startswith("10.1.0.")]
        used = {segment.source for segment in sent}
        assert used == pool if pool else len(used) >= 5
        assert {segment.sport for segment in sent} == set(range(40000, 40010))
        by_target: dict[str, set[str]] = {}
        for segment in sent:
            by_target.setdefault(segment.target, set()).add(segment.source)
        assert all(len(sources) == 1 for sources in by_target.values())  # a host sees one of our addresses
        # Nobody's kernel has torn anything down: every RST is ours, one for each connection.
        resets = Counter((s.source, s.sport, s.target) for s in sent if "R" in s.letters)
        opened = {(s.source, s.sport, s.target) for s in sent if s.letters == "S"}
        assert set(resets) <= opened
        runs.append(used)
    assert arena.scanner.rules() == before
    assert runs[1] <= {f"10.1.0.{last}" for last in range(64, 72)}


def test_a_follow_up_may_be_delayed(arena: Range) -> None:
    arena.respond(first=FIRST, count=16, port=PORT, source=SCANNER, classes="hr")
    words = ("-sendSYNs", "-handshakes", "http,tls", *QUICK)
    gaps = []
    for delay in ("0", "6"):
        with capture(arena.far) as seen:
            found = scan(arena.scanner, *words, "--probe-delay", delay, lines=services(16))
        assert found.returncode == 0, found.stderr
        times: dict[str, dict[int, float]] = {}
        for segment in ours(seen.stop()):
            if segment.letters == "S":  # the first of each connection
                times.setdefault(segment.target, {}).setdefault(segment.sport, segment.time)
        gaps.append([max(at.values()) - min(at.values()) for at in times.values() if len(at) > 1])
        assert len(gaps[-1]) == 8  # those that answered with RST
        assert found.labels() == {"http": 8, "unknown": 8}
    assert min(gaps[1]) >= 6 > max(gaps[0])


# --- identify, on what a scan has written ------------------------------------------------------------------


def test_identify_says_what_the_scan_said(arena: Range) -> None:
    arena.respond(first=FIRST, count=64, port=PORT, source=SCANNER, classes=CLASSES + "eg")
    target = arena.lab.directory / "scan.out"
    with capture(arena.scanner) as seen:  # which sees what came; what we send bypasses it
        found = scan(arena.scanner, "-sendSYNs", *QUICK, lines=services(64))
    assert found.returncode == 0, found.stderr
    done = subprocess.run(
        [LZR, "identify", "--format", "jsonl", "--handshakes", "http", "--json", target],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["label"] for one in told] == [record["fingerprint"] for record in found.records]
    assert [one["saddr"] for one in told] == [record["saddr"] for record in found.records]
    # And what it makes of the packets themselves.
    seen.stop()
    (path,) = arena.lab.directory.glob("*.pcap")
    done = subprocess.run(
        [LZR, "identify", "--handshakes", "http", "--json", path],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    captured = {one["saddr"]: one["label"] for one in map(json.loads, done.stdout.splitlines())}
    assert captured == {r["saddr"]: r["fingerprint"] for r in found.records if "data" in r}


FORMS: tuple[tuple[str, ...], ...] = (
    ("-handshakes", "http", "-sendSYNs", "-sourceIP", SCANNER, "-rate", "5000", "-w", "1"),
    ("--handshakes=http", "--send-syns", f"--source-ip={SCANNER}", "--rate=5K", "--workers=1"),
    ("-handshakes=http", "-sendSYNs=true", f"--sourceIP={SCANNER}", "--rate", "5000", "-w=flow=1,collect=1"),
)


@pytest.mark.parametrize("words", FORMS)
def test_one_dash_or_two(arena: Range, words: tuple[str, ...]) -> None:
    arena.respond(first=FIRST, count=32, port=PORT, source=SCANNER)
    assert_true(scan(arena.scanner, *words, *QUICK, lines=services(32)), 32)
