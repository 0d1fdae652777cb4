"""The guess at the guard, against the options that are read properly a moment later."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.guard import early
from coordinator.guard.early import put_up_early
from coordinator.guard.firewall import make_cover
from coordinator.guard.guard import DEFAULT_PORTS, Guard, GuardError, put_up
from lzr.options.parse import FLAGS, SUBCOMMANDS
from lzr.options.table import ACTIONS
from tests.host_net import BOX, BOX6, ROOT, Wire, inside

Asked = list[tuple[object, ...]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the guess came to; nothing is put up."""
    seen: Asked = []

    def fake(addresses: list[str], *rest: object) -> Guard:
        make_cover(addresses, (1, 2))
        seen.append((addresses, *rest))
        return Guard(None, "", make_cover([], (1, 2)), ())

    monkeypatch.setattr(early, "put_up", fake)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return seen


WIDE: tuple[object, ...] = ([], DEFAULT_PORTS, "auto", None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", WIDE),
        ("--handshakes http,tls -f -", WIDE),
        (
            "-handshakes http -sendSYNs -sourceIP 10.0.0.1 -rate 5",
            (["10.0.0.1"], DEFAULT_PORTS, "auto", None),
        ),
        ("--source-ip=10.0.0.1,::1 --source-port 5-9", (["10.0.0.1", "::1"], (5, 9), "auto", None)),
        ("-S 10.0.0.0/24 -s 7 -i eth9", (["10.0.0.0/24"], (7, 7), "auto", "eth9")),
        ("-sendInterface=eth9 --guard ingress", ([], DEFAULT_PORTS, "ingress", "eth9")),
        ("--guard sideways --source-port x --source-ip", WIDE),
        ("--source-ip nonsense --guard output", WIDE),
    ],
)
def test_a_glance(asked: Asked, line: str, expected: tuple[object, ...]) -> None:
    assert put_up_early(line.split()) is not None
    assert asked == [expected]


@pytest.mark.parametrize("name", [name for row in ACTIONS for name in row.names if row.long != "config"])
def test_no_scan_no_guard(asked: Asked, name: str) -> None:
    assert put_up_early(["-handshakes", "http", f"--{name}"]) is None
    assert put_up_early([f"-{name}"]) is None
    assert asked == []


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_no_guard_for_a_subcommand(asked: Asked, name: str) -> None:
    assert put_up_early([name, "--source-ip", BOX]) is None
    assert asked == []


def test_nor_for_one_who_is_not_root(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert put_up_early([]) is None


@pytest.mark.parametrize("names", [early.SOURCE_IP, early.SOURCE_PORT, early.INTERFACE, early.GUARD])
def test_the_flags_are_those_of_the_command_line(names: tuple[str, ...]) -> None:
    assert set(names) == set(FLAGS[names[0]].names)


@given(
    st.lists(st.text() | st.sampled_from(["--source-ip", "-s", "--guard=", "-i", "9-", "--source-port=9-5"]))
)
def test_no_command_line_is_too_odd(argv: list[str]) -> None:
    def refuse(*_: object) -> Guard:
        raise GuardError("not here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(early, "put_up", refuse)
        assert put_up_early(argv) is None


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Wire("e") as made:
        yield made


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root and network namespaces")
def test_a_wrong_guess_is_put_right(wire: Wire) -> None:
    with inside(wire.box):
        up = put_up_early(["--source-ip", "nonsense"])
        assert up is not None
        with up:
            assert wire.answered((BOX, 40000), (BOX6, 40000)) == set()
            up.settle([BOX])
            assert wire.answered((BOX, 40000), (BOX6, 40000)) == {(BOX6, 40000)}
    assert wire.rules() == ""


STAND_IN = """#!/bin/sh
exec {python} -u -c '
import os, sys
sys.path.insert(0, "{root}")
from coordinator.guard import guard
from coordinator.guard.early import put_up_early
up = put_up_early(sys.argv[1:])
if up is None: print("none"); sys.exit()
print(up.mode, *up.cover.ports, up.name, up.status().resets)
up.settle(["10.91.0.1"])
names = [one.name for one in guard.standing()]
print(up.mode, up.ways == ("resets", "unclaimed"), *up.notes, names == [up.name])
sys.stdin.read()
up.remove()
assert not any(name.startswith("LZR_GUARD") for name in os.environ)
' "$@"
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root and network namespaces")
class TestLauncher:
    """``bin/lzr``, with a stand-in for the program that it becomes."""

    @pytest.fixture
    def launcher(self, tmp_path: Path) -> str:
        shutil.copy(ROOT / "bin" / "lzr", tmp_path / "lzr")
        (tmp_path / "lzr-run").write_text(STAND_IN.format(python=sys.executable, root=ROOT))
        (tmp_path / "lzr-run").chmod(0o755)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "lzr").symlink_to(tmp_path / "lzr")
        return str(tmp_path / "elsewhere" / "lzr")

    def start(self, wire: Wire, *argv: str) -> subprocess.Popen[str]:
        with inside(wire.box):
            return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @pytest.mark.parametrize(
        ("flags", "ports"),
        [([], "32768 61000"), (["-s", "5-9", "a b"], "5 9"), (["--source-port=x;y"], "32768 61000")],
    )
    def test_its_guard_is_taken_over(self, wire: Wire, launcher: str, flags: list[str], ports: str) -> None:
        with self.start(wire, launcher, *flags) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(f"adopted {ports} lzr_0_{process.pid}_")
            assert process.stdout.readline() == "auto True True\n"
            low = int(ports.split(maxsplit=1)[0])
            outer = {(BOX6, 40000), (BOX, low - 1)}
            assert wire.answered((BOX, 40000), *outer) == outer
        assert process.returncode == 0
        assert wire.rules() == ""

    def test_one_that_was_killed_is_stale(self, wire: Wire, launcher: str) -> None:
        (Path(launcher).resolve().parent / "lzr-run").write_text("#!/bin/sh\necho $LZR_GUARD; read line")
        with self.start(wire, launcher) as process:
            assert process.stdout is not None
            name = process.stdout.readline().strip()
            assert wire.answered((BOX, 40000), (BOX6, 40000), (BOX, 80)) == {(BOX, 80)}
            with inside(wire.box), put_up([BOX]) as up:
                assert not up.notes
            assert name in wire.rules()
            process.kill()
        with inside(wire.box), put_up([BOX]) as up:
            assert name in up.notes[0]
        assert wire.rules() == ""

    @pytest.mark.parametrize(
        "flags", [["guard", "status"], ["--help"], ["-list-handshakes"], ["--guard=none"]]
    )
    def test_no_scan_no_guard(self, wire: Wire, launcher: str, flags: list[str]) -> None:
        (Path(launcher).resolve().parent / "lzr-run").write_text('#!/bin/sh\necho "<$LZR_GUARD>"')
        with self.start(wire, launcher, *flags) as process:
            assert process.communicate(timeout=30)[0] == "<>\n"

    def test_somebody_elses_guard_is_not_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LZR_GUARD", "lzr_0_1_5_0")
        assert put_up_early(["--help"]) is None
        assert "LZR_GUARD" not in os.environ
