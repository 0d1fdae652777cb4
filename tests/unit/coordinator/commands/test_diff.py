"""`lzr diff`: planted changes found, nothing else; gone only what was asked for."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.commands import diff
from lzr.targets.lists import ListReader
from tests import forking, madescans
from tests.effort import examples
from tests.lab.net import run as run_command
from tests.unit.lzr.analysis.test_asked import SWEEP, metadata

Record = dict[str, Any]
Run = Callable[..., tuple[int, list[dict[str, Any]], str]]


def a_record(
    address: str, port: int, label: str = "http", data: str = "HTTP/1.1 200 OK\r\n\r\n", **more: Any
) -> Record:
    return {
        "saddr": address, "daddr": "192.0.2.7", "sport": port, "dport": 40000, "seqnum": 1, "acknum": 1,
        "window": 100, "ttl": 64, "Counter": 0, "ACK": True, "ACKed": True, "SYN": False, "RST": False,
        "FIN": False, "PUSH": True, "HandshakeNum": 0, "fingerprint": label,
        "Timestamp": "2026-11-22T09:26:01.201934127Z", "expectedRToLZR": "data",
        **({"data": data} if data else {}), **more,
    }  # fmt: skip


def silent(address: str, port: int, expected: str = "data", **more: Any) -> Record:
    return a_record(address, port, "unknown", "", **{"expectedRToLZR": expected, **more})


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Two scans into the command with --json: its status, its objects, what it said."""

    def do(old: list[Record], new: list[Record], *words: str, meta: Any = None, before: Any = None) -> Any:
        for name, records, told in (("old", old, before), ("new", new, meta)):
            (tmp_path / f"{name}.json").write_text("".join(map(madescans.line, records)))
            place = tmp_path / f"{name}.metadata.json"
            place.unlink(missing_ok=True)
            if told is not None:
                place.write_text(json.dumps(told))
        status = diff.main([str(tmp_path / "old.json"), str(tmp_path / "new.json"), "--json", *words])
        out, trouble = capsys.readouterr()
        return status, [json.loads(line) for line in out.splitlines()], trouble

    return do


def found(objects: list[dict[str, Any]]) -> dict[tuple[str, int], tuple[str, Any]]:
    return {
        (one["saddr"], one["sport"]): (one["change"], one.get("kinds") or one.get("how"))
        for one in objects
        if "change" in one
    }


def test_planted_changes_are_found_and_nothing_else(run: Run) -> None:
    rng = random.Random(5)
    old = list(madescans.records(4000, seed=3))
    new: list[Record] = []
    planted: dict[tuple[str, int], str] = {}
    for number, record in enumerate(old):
        key = record["saddr"], record["sport"]
        changed = dict(record)
        service = "data" in record
        kind = rng.choice(
            ("protocol", "version", "product", "gone", "unasked", "appeared", "reply", "", "", "", "")
        )
        if kind == "protocol" and service:
            changed["fingerprint"] = "telnet" if record["fingerprint"] != "telnet" else "ssh"
        elif kind in ("version", "product") and "product" in record:
            changed[kind] = record[kind] + "x"
        elif kind == "gone" and service:
            del changed["data"]
            changed["fingerprint"] = "unknown"
        elif kind == "unasked":
            if service:
                planted[key] = "not_asked"
            continue
        elif kind == "appeared" and not service and "ackingFirewall" not in record:
            changed.update(madescans.record(number, rng, data=b"hello"), saddr=key[0], sport=key[1])
        elif kind == "reply" and record["fingerprint"] == "ssh":
            changed["data"] = "SSH-2.0-OpenSSH_99.9 New\r\n"
        else:  # noise
            if record["fingerprint"] == "http":
                changed["data"] = record.get("data", "").replace(" 10:", " 11:")
            new.append(changed)
            continue
        planted[key] = kind
        new.append(changed)
    rng.shuffle(new)
    status, objects, _ = run(old, new, "--not-asked")
    told = {key: how[0] if change == "changed" else change for key, (change, how) in found(objects).items()}
    assert told == planted
    assert status == 1
    assert {"protocol", "version", "product", "gone", "not_asked", "appeared", "reply"} == set(
        planted.values()
    )


def test_nothing_changed_is_status_0(run: Run) -> None:
    scan = list(madescans.records(300))
    noisy = [
        {**one, "data": one["data"].replace(" 10:", " 11:")} if one["fingerprint"] == "http" else one
        for one in scan
    ]
    assert run(scan, noisy)[0] == 0


HERE = "10.0.0.1", 80
FEW = {"TotalResponses": 1, "Data": 1}


@pytest.mark.parametrize(
    ("new", "meta", "expected"),
    [
        ([silent(*HERE)], None, ("gone", "silent")),
        ([silent(*HERE, "sa")], None, ("gone", "no_syn_ack")),
        ([silent(*HERE, "", RST=True)], None, ("gone", "rst")),
        ([silent(*HERE, reason="send_refused")], None, ("not_asked", "refused by the scanner's own "
        "firewall")),
        ([silent(*HERE, "sa")], metadata(reasons={"send_refused": 1}), ("not_asked", "refused by the "
        "scanner's own firewall")),
        ([a_record(*HERE, ackingFirewall=True)], None, ("gone", "acking_firewall")),
        ([silent(*HERE, sa_only=True)], None, ("not_asked", "open, and asked nothing")),
        ([], None, ("not_asked", "no record")),
        ([], metadata(counters=FEW), ("gone", "no answer")),
        ([], metadata(**SWEEP, counters=FEW), ("gone", "no answer")),
        ([], metadata(**{**SWEEP, "ending": {"status": 1}}), ("not_asked", "no record")),
        ([], metadata(input={"sha256": "other"}), ("not_asked", "no record")),
        ([silent(*HERE)], metadata(scan={"handshakes": ["tls"]}), ("not_asked", "not asked with http")),
        ([silent(*HERE, "sa")], metadata(scan={"handshakes": ["tls"]}), ("gone", "no_syn_ack")),
        ([], metadata(scan={"handshakes": ["tls"]}, options__only_data_record=True, counters=FEW),
         ("not_asked", "not asked with http")),
    ],
)  # fmt: skip
def test_gone_only_where_it_was_asked_for(
    run: Run, new: list[Record], meta: Any, expected: tuple[str, str]
) -> None:
    other = a_record("10.0.0.2", 80)
    status, objects, _ = run(
        [a_record(*HERE), other], [other, *new], "--not-asked", meta=meta, before=metadata()
    )
    assert found(objects) == {HERE: expected}
    assert status == (1 if expected[0] == "gone" else 0)


def test_a_file_that_lost_records_calls_nothing_gone(run: Run, tmp_path: Path, capsys: Any) -> None:
    """However whole its metadata say that the scan was."""
    old, new = [a_record("10.0.0.1", 80), a_record("10.0.0.2", 80)], [a_record("10.0.0.2", 80)]
    whole = metadata(**SWEEP, counters={"TotalResponses": 1})
    status, objects, _ = run(old, new, meta=whole)
    assert (status, found(objects)) == (1, {HERE: ("gone", "no answer")})
    status, objects, _ = run(old, new, meta=metadata(**SWEEP, counters={"TotalResponses": 2}))
    assert (status, found(objects)) == (0, {})
    assert "fewer records" in objects[-1]["summary"]["notes"][0]
    (tmp_path / "asked").write_text("10.0.0.0/8\n")
    (tmp_path / "new.metadata.json").write_text(json.dumps(whole))
    with (tmp_path / "new.json").open("a") as file:
        file.write('{"saddr":"10.0.0.1","da')
    words = ("--asked", str(tmp_path / "asked"), str(tmp_path / "old.json"), str(tmp_path / "new.json"))
    assert diff.main(list(words)) == 3
    assert "damaged" in capsys.readouterr().out


def test_what_a_list_says_was_asked_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "asked").write_text("10.0.0.0/8:80\n")
    old = [a_record("10.0.0.1", 80), a_record("10.0.0.1", 81)]
    status, objects, _ = run(old, [a_record("10.0.0.9", 80)], "--asked", str(tmp_path / "asked"))
    assert found(objects) == {("10.0.0.1", 80): ("gone", "no answer"), ("10.0.0.9", 80): ("appeared", None)}
    assert objects[-1]["summary"]["not_asked"] == 1
    assert status == 1
    (tmp_path / "more").write_text("10.0.0.1:81\n")
    both = ("--asked", str(tmp_path / "more"), "--asked", str(tmp_path / "asked"))
    assert run(old, [a_record("10.0.0.9", 80)], *both)[1][-1]["summary"]["not_asked"] == 0


def test_of_several_records_of_a_service_the_best_counts(run: Run) -> None:
    http, tls = a_record(*HERE), a_record(*HERE, "tls", "\x16\x03\x01", HandshakeNum=1)
    nothing = silent(*HERE, HandshakeNum=2)
    assert run([nothing, http, tls], [tls, nothing, http])[0] == 0
    assert run([http, tls], [nothing, tls])[0] == 0, "the same name is there in both"
    unknown = a_record(*HERE, "unknown", "??", HandshakeNum=0)
    assert run([unknown, tls], [tls])[0] == 0
    _, objects, _ = run([http], [nothing, a_record(*HERE, "ssh", "SSH-2.0-x\r\n", HandshakeNum=1)])
    assert found(objects) == {HERE: ("changed", ["protocol"])}


def test_the_order_of_the_records_changes_nothing(run: Run) -> None:
    """Of records that are equally good the same one is compared, wherever it stands in the file."""
    rng = random.Random(11)
    scans: list[list[Record]] = [[], []]
    for host in range(200):
        for records in scans:
            for _ in range(rng.randrange(1, 5)):
                label, answer = rng.choice(["http", "ssh", "ftp"]), rng.choice("abc")
                records.append(
                    a_record(f"10.0.0.{host}", 80, label, answer, product=answer, version=rng.choice("12"))
                    if rng.random() < 0.7
                    else silent(f"10.0.0.{host}", 80, RST=rng.random() < 0.5)
                )
    status, first, _ = run(*scans)
    assert status == 1
    assert {one["change"] for one in first[:-1]} == {"appeared", "gone", "changed"}
    for _ in range(3):
        for records in scans:
            rng.shuffle(records)
        assert run(*scans) == (1, first, "")


def test_spellings_of_an_address_are_one(run: Run) -> None:
    old = [a_record("2001:0db8:0000:0000:0000:0000:0000:0001", 80), a_record("::ffff:10.0.0.1", 80)]
    status, objects, _ = run(old, [a_record("2001:db8::1", 80), a_record("10.0.0.1", 80)])
    assert (status, found(objects)) == (0, {})


def test_a_scan_with_enrich_beside_one_without_changes_no_product(run: Run) -> None:
    plain, told = a_record(*HERE), a_record(*HERE, product="nginx", cpe="cpe:/a:nginx:nginx")
    status, objects, _ = run([plain], [told])
    assert status == 0
    assert "--enrich" in objects[-1]["summary"]["notes"][0]


def test_kinds_can_be_ignored(run: Run) -> None:
    old, new = (
        a_record(*HERE, product="a", version="1"),
        a_record(*HERE, product="a", version="2", data="x\r\n"),
    )
    assert found(run([old], [new])[1]) == {HERE: ("changed", ["version"])}
    assert run([old], [new], "--ignore", "version,reply")[0] == 0
    status, _, trouble = run([old], [new], "--ignore", "colour")
    assert (status, trouble) == (2, "lzr diff: --ignore: no change is called colour; there are protocol, "
    "product, version, certificate, reply\n")  # fmt: skip


def test_the_list_to_confirm_is_one_that_lzr_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = [a_record("10.0.0.1", 80), a_record("2001:db8::1", 443), a_record("10.0.0.2", 22)]
    (tmp_path / "old.json").write_text("".join(map(madescans.line, old)))
    gone = [silent("10.0.0.1", 80), silent("2001:db8::1", 443)]
    (tmp_path / "new.json").write_text("".join(map(madescans.line, gone)))
    assert diff.main(["--confirm", str(tmp_path / "old.json"), str(tmp_path / "new.json")]) == 1
    out, trouble = capsys.readouterr()
    assert out == "10.0.0.1:80\n[2001:db8::1]:443\n"
    assert "2 gone" in trouble
    batch = ListReader().feed(out.encode())
    assert batch.rows["peer_port"].tolist() == [80, 443]
    assert not len(batch.refused)


def test_the_table_is_printable_whatever_hosts_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("old.json", 1), ("new.json", 2)):
        scan = [
            *madescans.hostile(seed=seed),
            a_record("10.9.9.9", 1, product="\x1b[2J\u202e", version=str(seed)),
        ]
        (tmp_path / name).write_text("".join(map(madescans.line, scan)))
    assert diff.main([str(tmp_path / "old.json"), str(tmp_path / "new.json")]) == 1
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.replace("\n", "").isprintable()
    assert "~ 10.9.9.9:1" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-", "-"), "only one of the two scans can come from stdin"),
        (
            ("a", "-", "--asked", "-"),
            "a scan and who was asked cannot both come from stdin: name a file for one of them",
        ),
        (("none.json", "none.json"), "cannot read none.json: No such file or directory"),
        (
            ("a", "b", "--json", "--confirm"),
            "--confirm prints a list and --json objects: ask for one of them",
        ),
        (("a",), "the following arguments are required: NEW"),
        (("a", "b", "--asked", "none.txt"), "cannot read none.txt: No such file or directory"),
        (("a", "b", "--new-metadata", "none.txt"), "cannot read none.txt: No such file or directory"),
    ],
)
def test_a_mistake_is_a_sentence(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff.main(list(words)) == 2
    out, trouble = capsys.readouterr()
    assert (out, trouble) == ("", f"lzr diff: {sentence}\n")


def test_who_stops_reading_does_not_make_the_scans_the_same(tmp_path: Path) -> None:
    for name, records in (
        ("old", [a_record(f"10.0.{at >> 8}.{at & 255}", 80) for at in range(examples(20_000))]),
        ("new", [a_record("10.0.0.1", 80)]),
    ):
        (tmp_path / name).write_text("".join(map(madescans.line, records)))
    for words, status in ((("old", "new", "--not-asked"), "0"), (("new", "old"), "1")):
        command = [*forking.program(), "diff", *words]
        script = '"$@" | true; echo ${PIPESTATUS[0]}'
        done = run_command("bash", "-c", script, "bash", *command, cwd=tmp_path)
        assert (done.stdout, done.stderr) == (f"{status}\n", "")


def test_reasons_of_as_many_services_stand_in_the_order_of_the_alphabet(run: Run) -> None:
    """In whatever order a database comes upon them."""
    names = ["tls", "ssh", "mqtt", "dns", "smtp", "fox", "redis", "http", "wait", "amqp", "imap", "pop3"]
    old = [a_record(f"192.0.2.{at}", 80, handshake=name) for at, name in enumerate(names, 1)]
    new = [silent(f"192.0.2.{at}", 80, handshake="ftp") for at in range(1, len(names) + 1)]
    _, objects, _ = run(old, new, meta=metadata(scan__handshakes=["ftp"]))
    reasons = list(objects[-1]["summary"]["not_asked_because"])
    assert len(reasons) == len(names)
    assert reasons == sorted(reasons)
