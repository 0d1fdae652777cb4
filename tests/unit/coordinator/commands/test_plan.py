"""`lzr plan`: from a file of results to a file of orders, and each mistake in a sentence."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from coordinator.commands import plan
from lzr.options import byport
from tests import forking
from tests.madeservices import HANDSHAKES, records, write

NAMED = ("--handshakes", ",".join(HANDSHAKES))


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    status = plan.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("plan") / "scan.json", records(2_400))


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("few") / "scan.json", records(200))


def test_a_scan_becomes_orders_that_a_scan_takes(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = tmp_path / "order.toml"
    status, out, err = run(capsys, scan, *NAMED, "-o", order)
    assert (status, err) == (0, "")
    found = byport.read([str(order)], lambda path: Path(path).read_bytes())
    by_port = byport.port_orders(found.default, found)
    first = {port: by_port.named(int(by_port.of_port[port]))[0] for port in (80, 443, 53, 445, 1723, 5900)}
    assert (first[53], first[445], first[5900]) == ("dns", "smb", "wait")
    assert first[443] in ("http", "tls")
    assert "2,400 services on" in out
    assert "10 handshakes" in out
    for name in ("this plan", "all handshakes, until data comes", "auto", "iana", "ephemeral"):
        assert f"  {name} " in out
    assert "exists; --overwrite replaces it" in run(capsys, scan, *NAMED, "-o", order)[2]
    status, out, err = run(capsys, scan, *NAMED, "-o", order, "--overwrite", "-json", "--coverage", "99.9%")
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert told["services"] == 2_400
    assert told["held_out"]["identified"] >= 0.99 * told["identified"]
    assert told["held_out"]["packets"] <= 0.5 * told["packets"]
    curve = [(point["identified"], point["packets"]) for point in told["curve"]]
    assert curve == sorted(curve)
    assert sum(order["services"] for order in told["orders"]) == 2_400


def test_an_output_that_cannot_be_written_is_told_before_anything_is_read(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan.learning, "load", None)
    (tmp_path / "there").write_text("")
    for output, sentence in (
        (tmp_path, "it is a directory"),
        ("/nowhere/x", "cannot write /nowhere/x: No such file or directory"),
        (tmp_path / "there", "exists; --overwrite replaces it"),
        (scan, "is the input too"),
    ):
        status, out, err = run(capsys, scan, *NAMED, "-o", output)
        assert (status, out, sentence in err) == (2, "", True), err


def test_the_order_is_kept_where_nobody_reads_the_report(scan: Path, tmp_path: Path) -> None:
    words = ["plan", scan, *NAMED, "-o", tmp_path / "order.toml"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*forking.program(), *map(str, words)],
            stdout=full, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}, timeout=120,
            check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, b"lzr plan: cannot write: No space left on device\n")
    assert (tmp_path / "order.toml").stat().st_size


def test_a_scan_that_is_too_small_for_the_coverage_is_called_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each host of another kind: none tells of the others."""
    rows = [
        {
            "saddr": f"192.0.2.{at}",
            "sport": 80,
            "HandshakeNum": at % 7,
            "fingerprint": f"kind{at}",
            "data": "x",
        }
        for at in range(14)
    ]
    rows += [row | {"HandshakeNum": (row["HandshakeNum"] + 1) % 7} for row in rows[:1]]
    scan = write(tmp_path / "scan", rows)
    status, _, err = run(capsys, scan, *NAMED, "-o", tmp_path / "order.toml")
    assert status == 0
    assert "a larger scan teaches more" in err
    assert err.count("\n") == 1
    assert run(capsys, scan, *NAMED, "-q")[2] == ""


def test_packets_bound_it(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spent = {}
    for most in ("8k", "1M"):
        status, out, err = run(capsys, scan, *NAMED, "-q", "--max-packets", most)
        assert (status, err) == (0, "")
        orders = [tomllib.loads(out)["default"], *tomllib.loads(out)["ports"].values()]
        spent[most] = sum(map(len, orders))
    assert spent["8k"] < spent["1M"]
    status, out, err = run(capsys, scan, *NAMED, "--max-packets", "2400")
    assert (status, out) == (2, "")
    assert "--max-packets 2400: one handshake with each of these services takes" in err


def test_names_from_the_records_and_from_the_metadata(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, meta = write(tmp_path / "plain", records(600)), tmp_path / "meta"
    named = write(tmp_path / "named", records(600, named=True))
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    about: dict[str, Any] = {"program": "lzr", "format": 1, "scan": {"handshakes": list(HANDSHAKES)}}
    about["options"] = {"retransmit_number": 1, "force_all_handshakes": True}
    meta.write_text(json.dumps(about))
    results = [
        run(capsys, *words)
        for words in (
            (plain, *NAMED),
            (named,),
            (packed, "-m", meta),
            (named, *NAMED, "--retransmit-number", "1"),
        )
    ]
    assert {status for status, _, _ in results} == {0}
    assert len({out for _, out, _ in results}) == 1
    meta.write_text(json.dumps(about | {"options": {"retransmit_number": 1, "force_all_handshakes": False}}))
    assert "without -forceAllHandshakes" in run(capsys, plain, "-m", meta)[2]
    by_port = {"handshakes": list(HANDSHAKES), "orders": [{"ports": "0-65535", "handshakes": ["http"]}]}
    meta.write_text(json.dumps(about | {"scan": by_port}))
    status, _, err = run(capsys, plain, "-m", meta, "-q")
    assert (status, err.count("\n"), "counts as unanswered there" in err) == (0, 1, True)
    for strange in ("[]", '{"scan": [], "options": {}}', "\0"):
        meta.write_text(strange)
        assert "is no metadata of lzr" in run(capsys, plain, "-m", meta)[2]
    for strange in ([], {"handshakes": 1}, {"handshakes": ["htpt"]}):
        meta.write_text(json.dumps(about | {"scan": strange}))
        assert "does not say which handshakes" in run(capsys, plain, "-m", meta)[2]


def test_a_network_has_orders_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = records(2_000)
    base = {"sport": 80, "window": 1, "HandshakeNum": 8, "fingerprint": "redis", "data": "x"}
    rows += [base | {"saddr": f"198.51.100.{last}"} for last in range(40)]
    scan = write(tmp_path / "scan", rows)
    status, out, _ = run(capsys, scan, *NAMED, "--network", "198.51.100.0/24", "--json", "-o", tmp_path / "o")
    assert status == 0
    told = json.loads(out)
    assert (told["services"], told["ports"]) == (40, 1)
    (own,) = [order["handshakes"] for order in told["orders"] if order["services"] == 40]
    assert own[0] == "redis"
    _, out, _ = run(capsys, scan, *NAMED, "-q")
    orders = {
        port: order for ports, order in tomllib.loads(out)["ports"].items() for port in ports.split(",")
    }
    assert orders["80"][0] in ("http", "sip")


def test_what_is_no_service_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = records(600)
    one = {"window": 64000, "HandshakeNum": 0, "fingerprint": "unknown", "sport": 9}
    rows += [
        one | {"saddr": "192.0.2.1", "expectedRToLZR": "sa"},  # no SYN-ACK
        one | {"saddr": "192.0.2.2", "RST": True},  # refused
        one | {"saddr": "192.0.2.3", "window": 0},
        one | {"saddr": "192.0.2.4", "ackingFirewall": True},
        one | {"saddr": "192.0.2.5", "HandshakeNum": 9, "RST": True},  # it took all, and reset each
    ]
    status, out, _ = run(capsys, write(tmp_path / "scan", rows), *NAMED, "--json", "-o", tmp_path / "o")
    assert (status, json.loads(out)["services"], json.loads(out)["left_out"]) == (0, 601, 4)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "the records do not name their handshakes"),
        (("--handshakes", "http,tls"), "a record has HandshakeNum 9, and --handshakes names 2"),
        (("--handshakes", "htpt"), "htpt is not a handshake; did you mean http?"),
        (("-m", "/nowhere"), "cannot read /nowhere"),
        (("-m", "/dev/null"), "is no metadata of lzr"),
        ((*NAMED, "--network", "300.1.1.1"), "is no network"),
        ((*NAMED, "--network", "203.0.113.0/31"), "no service of the scan is in it"),
        ((*NAMED, "--coverage", "101%"), "must be a share"),
        ((*NAMED, "--max-packets", "many"), "must be a number of packets"),
        ((*NAMED, "-o", "/nowhere/x"), "cannot write /nowhere/x"),
    ],
)
def test_a_mistake_is_one_sentence(
    few: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    status, out, err = run(capsys, few, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("lzr plan: ")
    assert sentence in err


@pytest.mark.parametrize("words", [("--network", "300.1.1.1"), ("--handshakes", "htpt")])
def test_a_mistake_on_the_line_is_told_before_anything_is_read(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan.learning, "load", None)
    assert run(capsys, "scan.json", *words)[0] == 2


def test_scans_from_which_no_order_can_be_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first: dict[tuple[str, int], dict[str, Any]] = {}
    for row in records(300):
        first.setdefault((row["saddr"], row["sport"]), row)
    silent = [row for row in records(300) if "data" not in row]
    nameless = [
        {name: value for name, value in row.items() if name not in ("handshake", "HandshakeNum")}
        for row in records(300)
    ]
    for rows, sentence in (
        (list(first.values()), "no service in it has answers to two handshakes"),
        (silent, "no service in it sent data"),
        (nameless, "its records do not say to which handshake"),
        ([], "there is no record in it"),
        ([{"saddr": "x" * 5000, "sport": 1, "fingerprint": "http"}] * 3, "holds no results of lzr"),
    ):
        status, out, err = run(capsys, write(tmp_path / "scan", rows), *NAMED)
        assert (status, out, err.count("\n")) == (2, "", 1), err
        assert sentence in err
    only = write(tmp_path / "scan", [row for row in records(99) if not row["HandshakeNum"]])
    assert "did one handshake only" in run(capsys, only, "--handshakes", "http")[2]


def test_what_could_not_be_read_makes_the_status(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.json"
    cut.write_bytes(few.read_bytes() + b'{"saddr":"10.0')
    status, out, err = run(capsys, cut, *NAMED)
    assert (status, "1 line of" in err, "default" in out) == (3, True, True)


def test_one_port_is_no_ports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [{**record, "sport": 80} for record in records(400)]
    status, out, _ = run(capsys, write(tmp_path / "one.json", made), *NAMED, "-o", tmp_path / "order.toml")
    assert status == 0
    assert "services on 1 port," in out or "services on 1 port (" in out
    assert "services on 1 port." in (tmp_path / "order.toml").read_text()


def test_nothing_is_read_from_a_terminal_without_a_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = os.openpty()
    with open(theirs) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        assert run(capsys, *NAMED) == (
            2,
            "",
            "lzr plan: name a file of results, as in: lzr plan scan.json -o order.toml\n",
        )
    os.close(ours)


def test_numbers_are_of_plain_digits(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("--max-packets", "\u0663\u0660\u0660"), ("--coverage", "\u0661"), ("--coverage", "9_9")):
        assert run(capsys, scan, *NAMED, *words)[0] == 2
