"""`lzr predict` over files: its list, what it leaves out, what it says, and mistakes."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from coordinator.commands.predict import main
from coordinator.prediction.loop import Troubles
from lzr.targets.lists import ListReader


def record(saddr: str, sport: int, data: str = "", **more: Any) -> dict[str, Any]:
    found = {"saddr": saddr, "sport": sport, "window": 64240, "ttl": 60, "fingerprint": "unknown", **more}
    return {**found, "fingerprint": more.get("fingerprint", "http"), "data": data} if data else found


def web(host: int, *, product: str = "nginx") -> list[dict[str, Any]]:
    """A host with 80 and, if it is nginx, 8443."""
    address = f"10.{host % 5}.{host // 5}.7"
    records = [record(address, 80, f"HTTP/1.1 200 OK\r\nServer: {product}\r\n", product=product)]
    also = (
        record(address, 8443, "\x15\x03", fingerprint="tls") if product == "nginx" else record(address, 8443)
    )
    return [*records, also]


def written(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    """60 hosts, half of them nginx with 8443; and two hosts of which only port 80 is known."""
    records = [one for host in range(60) for one in web(host, product=("nginx", "IIS")[host % 2])]
    records += [record("10.9.9.9", 80, "HTTP/1.1 200 OK\r\nServer: nginx\r\n", product="nginx")]
    records += [record("2001:db8::9", 80, "HTTP/1.1 200 OK\r\nServer: nginx\r\n", product="nginx")]
    records += [record("10.9.9.10", 80, "HTTP/1.1 200 OK\r\nServer: IIS\r\n", product="IIS")]
    return written(tmp_path / "seed.json", records)


def ran(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, list[str], str]:
    status = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err


SPACE = ("--space", "10.0.0.0/8,2001:db8::/32", "--budget", "50")


def test_hosts_like_others_come_first_and_nothing_that_was_asked(
    seed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, lines, said = ran(capsys, seed, *SPACE)
    assert status == 0, said
    assert set(lines[:2]) == {"10.9.9.9:8443", "[2001:db8::9]:8443"}
    assert len(lines) == len(set(lines))
    asked = {(one["saddr"], one["sport"]) for one in map(json.loads, seed.read_text().splitlines())}
    assert not {(host.strip("[]"), int(port)) for host, _, port in (x.rpartition(":") for x in lines)} & asked
    assert "probes are expected to find" in said
    assert re.search(r"\d+ hosts of the seed tell: a tenth of them may be off by some 0\.\d\d\n", said)


def test_reasons_are_comments_that_a_list_may_have(seed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, lines, _ = ran(capsys, seed, *SPACE, "--explain")
    first = next(line for line in lines if line.startswith("10.9.9.9:8443"))
    assert "it answers on 80 with" in first
    assert "30 of 3" in first
    reader = ListReader()
    batch = reader.feed("".join(f"{line}\n" for line in lines).encode())
    assert len(batch.rows) == len(lines)
    _, objects, _ = ran(capsys, seed, *SPACE, "--json")
    told = json.loads(objects[0])
    assert told["sport"] == 8443
    assert told["because"] == "host"
    assert (told["port"], told["answered"]) == (80, 30)
    assert 0.5 < told["chance"] <= 1


def test_the_space_and_the_lists_hold(seed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("10.9.9.9\n2001:db8::/32\n")
    lines = ran(capsys, seed, *SPACE, "-b", blocked)[1]
    assert not any(line.startswith(("10.9.9.9:", "[2001")) for line in lines)
    only = ran(capsys, seed, "--space", "10.9.9.8/31", "--budget", "9")[1]
    assert only == ["10.9.9.9:8443"]
    allowed = tmp_path / "allowed"
    allowed.write_text("10.9.9.9\n")
    assert all(x.startswith("10.9.9.9:") for x in ran(capsys, seed, *SPACE, "-w", allowed)[1])


def test_who_was_asked_makes_strangers_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """40 of 200 addresses of a network have 8080; nobody in another has."""
    seed = written(
        tmp_path / "seed.json",
        [record(f"10.1.1.{host}", 8080, "HTTP/1.1 200 OK\r\n") for host in range(1, 41)],
    )
    asked = tmp_path / "asked"
    asked.write_text("10.1.1.0-10.1.1.199:8080,9090\n10.2.2.0-10.2.2.199:8080\n")
    status, lines, said = ran(
        capsys, seed, "--space", "10.1.1.0/24,10.2.2.0/24", "--budget", "40", "--asked", asked
    )
    assert status == 0
    assert {line.rpartition(":")[2] for line in lines} == {"8080"}
    assert all(line.startswith("10.1.1.2") for line in lines)  # 200 to 255: the others have been asked
    assert "the seed cost 600 probes" in said
    assert "may be off" not in said  # it lists nobody who has answered
    around = ran(capsys, seed, "--space", "10.1.0.0/16", "--budget", "60", "--asked", asked, "--explain")[1]
    assert len(around) == 60
    others = [line for line in around if not line.startswith("10.1.1.")]
    assert others
    assert all("nobody was asked there, it counts as the networks around it do" in line for line in others)
    silent = ran(capsys, seed, "--space", "10.1.1.0/24", "--budget", "40")
    assert silent[1] == []
    assert "nothing says who was asked" in silent[2]


def test_who_was_asked_may_come_from_stdin_and_compressed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = written(
        tmp_path / "seed.json",
        [record(f"10.1.1.{host}", 8080, "HTTP/1.1 200 OK\r\n") for host in range(1, 41)],
    )
    words = (seed, "--space", "10.1.1.0/24", "--budget", "40")
    text = b"10.1.1.0-10.1.1.199:8080,9090\n"
    asked = tmp_path / "asked.gz"
    asked.write_bytes(gzip.compress(text))
    expected = ran(capsys, *words, "--asked", asked)
    assert len(expected[1]) == 40
    read, write = os.pipe()
    os.write(write, text)
    os.close(write)
    with os.fdopen(read) as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        assert ran(capsys, *words, "--asked", "-") == expected
    asked.write_bytes(gzip.compress(text * 1000)[:-20])
    status, lines, said = ran(capsys, *words, "--asked", asked)
    assert (status, lines) == (2, [])
    assert "only up to where" in said


def test_firewalls_and_printers_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [
        one
        for host in range(40)
        for one in (record(f"10.1.{host}.1", 80, "HTTP/1.1\r\n"), record(f"10.1.{host}.1", 9100, "x"))
    ]
    records += [
        record("10.7.7.7", 80, "HTTP/1.1\r\n"),
        record("10.7.7.8", 80, "HTTP/1.1\r\n", ackingFirewall=True),
    ]
    records += [record("10.7.7.8", 81)]
    seed = written(tmp_path / "seed.json", records)
    assert ran(capsys, seed, *SPACE)[1] == []
    assert ran(capsys, seed, *SPACE, "--allow-printers")[1] == ["10.7.7.7:9100"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--space", "10.0.0.0/33"], "is no network"),
        (["--budget", "many"], "--budget wants a number"),
        (["--budget", "0"], "--budget wants a number"),
        (["--space", "224.0.0.0/4"], "nothing is left of the space"),
        (["--asked", "/nowhere"], "cannot read /nowhere"),
        (["--asked", "-", "--asked", "-"], "cannot both come from stdin"),
        (["--json", "--explain"], "leave --explain out"),
        (["--loop", "--json"], "--loop prints no list"),
        (["--loop", "--stop-at", "2"], "--stop-at wants a share"),
        (["--loop", "--", "-f", "x"], "is not for the scans of a loop"),
        (["--", "-rate", "5"], "they need --loop"),
        (["--nonsense"], "unknown flag"),
        (["--budget", "٣"], "--budget wants a number"),
    ],
)
def test_mistakes_are_a_sentence(
    seed: Path, tmp_path: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--space": "10.0.0.0/8", "--budget": "5", "--state": str(tmp_path / "state")}
    base = [word for name, value in given.items() if name not in words for word in (name, value)]
    status, lines, said = ran(capsys, seed, *base, *words)
    assert (status, lines) == (2, [])
    assert sentence in said
    assert said.count("\n") == 1


def test_a_seed_that_is_none_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / "odd"
    odd.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
    assert ran(capsys, odd, *SPACE)[0] == 2
    empty = tmp_path / "empty.json"
    empty.write_text("")
    status, lines, said = ran(capsys, empty, *SPACE)
    assert (status, lines) == (0, [])
    assert "no reason to ask anybody" in said


def test_a_seed_of_which_a_line_is_lost_ends_with_3(seed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = ran(capsys, seed, *SPACE)
    with seed.open("a") as file:
        file.write("{nothing\n")
    status, lines, said = ran(capsys, seed, *SPACE)
    assert (whole[0], status) == (0, 3)
    assert lines == whole[1]
    assert said.count("could not be read") == 1


@pytest.mark.parametrize("broken", [False, True])
def test_a_loop_says_with_its_status_that_lines_of_the_seed_could_not_be_read(
    broken: bool, seed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a space of nobody the seed knows, nothing is left to ask, and no packet is sent."""
    with seed.open("a") as file:
        file.write('{"saddr": "10.\n' * broken)
    space = ("--space", "198.51.100.0/24", "--budget", "50")
    status, lines, said = ran(capsys, seed, *space, "--loop", "--state", tmp_path / "state")
    assert (status, lines) == (3 if broken else 0, []), said
    assert said.count("could not be read") == broken
    assert "nothing is left to ask" in said


def test_troubles_of_a_loop_are_said_once() -> None:
    said: list[str] = []
    troubles = Troubles(said.append)
    assert not troubles.any
    for sentence in ("one", "two", "one"):
        troubles.add(sentence)
    assert (said, troubles.any) == (["one", "two"], True)
