"""`lzr doctor` in namespaces where one thing is wrong, and the scan itself there, before a packet."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.doctor import doctor, probing
from coordinator.doctor.checks import FAULT, NOTE, WARNING, ScanNeeds
from coordinator.guard.firewall import GuardError, make_cover
from coordinator.guard.guard import Guard
from coordinator.network.neighbours import NotAllowedError
from coordinator.processes import rights
from lzr.errors import UsageError
from lzr.options.table import Options
from tests.lab.net import run
from tests.private import Installation


@pytest.fixture(scope="module")
def everybodys() -> Iterator[Path]:
    """`lzr` where every user can read it, wherever this checkout lies."""
    with tempfile.TemporaryDirectory(prefix="lzr-everybodys-") as directory:
        os.chmod(directory, 0o755)
        yield Installation(Path(directory) / "i", 0o755).lzr


# --- the guard, with a tool that only pretends ------------------------------------------------------------


class Pretended(Guard):
    """Stands by its own word, and does nothing."""

    there = True

    def __init__(self) -> None:
        super().__init__(None, "lzr_x", make_cover([], (1, 2)), ("resets",))

    def status(self) -> Any:
        return Guard.status(self) or (type("Seen", (), {"tool": "nft"}) if self.there else None)


def test_a_guard_that_does_not_work_is_a_fault() -> None:
    wanted = ScanNeeds(sources=("127.0.0.1",))
    found = probing.guarding(Options(), wanted, lambda *_: Pretended())
    assert found.level == FAULT
    assert "the kernel resets all the same" in found.sentence


def test_a_guard_that_is_flushed_away_at_once_is_a_fault() -> None:
    gone = Pretended()
    gone.there = False
    found = probing.guarding(Options(), ScanNeeds(sources=("127.0.0.1",)), lambda *_: gone)
    assert found.level == FAULT
    assert "gone at once" in found.sentence


def test_a_guard_that_is_refused_is_a_fault_unless_done_without() -> None:
    def refuse(*_: object) -> Guard:
        raise GuardError("no")

    assert probing.guarding(Options(), ScanNeeds(), refuse).level == FAULT
    assert probing.guarding(Options(without_guard=True), ScanNeeds(), refuse).level == WARNING
    assert probing.guarding(Options(guard="none"), ScanNeeds(), refuse).level == WARNING


@pytest.mark.parametrize(("missing", "level"), [("needs root", NOTE), (None, FAULT)])
def test_that_root_is_missing_is_one_fault(
    monkeypatch: pytest.MonkeyPatch, missing: str | None, level: str
) -> None:
    def refuse(*_: object) -> None:
        raise NotAllowedError("finding the MAC needs root")

    monkeypatch.setattr(probing, "_look_up", refuse)
    monkeypatch.setattr(rights, "why_not_root_enough", lambda **_: missing)
    assert probing.route(Options(), None)[0].level == level


# --- its words --------------------------------------------------------------------------------------------


def test_words_are_a_scans_flags_a_target_and_json() -> None:
    assert doctor._split(["-i", "eth0", "192.0.2.7", "--json", "-S=192.0.2.1"]) == (
        ["-i", "eth0", "-S=192.0.2.1"],
        "192.0.2.7",
        True,
    )
    assert doctor._split(["--sendSYNs", "x"]) == (["--sendSYNs"], "x", False)
    assert doctor._split(["-h"])[0] is None
    with pytest.raises(UsageError, match="one target is enough"):
        doctor._split(["a", "b"])
    sweep = (["-p", "80", "192.0.2.0/24", "192.0.2.1"], "192.0.2.0/24", False)
    assert doctor._split(["-p", "80", "192.0.2.0/24", "192.0.2.1"]) == sweep


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:80", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:80", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("localhost:80", ("127.0.0.1", "::1")),
        ("192.0.2.0/24", "192.0.2.1"),
        ("192.0.2.7-192.0.2.7", "192.0.2.7"),
    ],
)
def test_a_target(text: str, address: Any) -> None:
    assert doctor._address(text) in address


def test_a_name_that_does_not_resolve(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert doctor.main(["no.such.name.invalid"]) == 2
    assert doctor.main(["--no-such-flag"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "lzr doctor: no.such.name.invalid is neither an address nor a name that resolves"
    assert told[1].startswith("lzr doctor: unknown flag --no-such-flag")
    assert doctor.main(["--help"]) == 0
    assert "usage: lzr doctor" in capsys.readouterr().out


def test_who_is_not_root_is_told_so(everybodys: Path) -> None:
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    done = run(*(() if os.geteuid() else become), everybodys, "doctor", check=False)
    assert done.returncode == 2
    assert "fault    capabilities  raw packets and firewall rules need root" in done.stdout


def test_where_nothing_can_be_tried_there_is_a_port_all_the_same() -> None:
    assert probing._free_port("192.0.2.77") == 65535
