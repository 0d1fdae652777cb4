"""`coordinator.guard.early` on a real system: as root, in namespaces, with the real `lzr`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.guard import tablenames
from coordinator.guard.early import put_up_early
from coordinator.guard.guard import put_up
from tests.host_net import BOX, BOX6, ROOT, Wire, inside
from tests.lab.net import wait_for

HERE = os.stat("/proc/self/ns/pid").st_ino


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Wire("e") as made:
        yield made


@pytest.mark.root
@pytest.mark.root
def test_a_wrong_guess_is_put_right(wire: Wire) -> None:
    with inside(wire.box):
        up = put_up_early(["--source-ip", "nonsense"])
        assert up is not None
        with up:
            assert wire.answered((BOX, 40000), (BOX6, 40000)) == set()
            up.change([BOX])
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
up.change(["10.91.0.1"])
names = [one.name for one in guard.standing()]
print(up.mode, up.ways == ("resets", "unclaimed"), *up.notes, names == [up.name])
sys.stdin.read()
up.remove()
assert not any(name.startswith("LZR_GUARD") for name in os.environ)
' "$@"
"""


@pytest.mark.root
@pytest.mark.root
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
            assert process.stdout.readline().startswith(f"adopted {ports} lzr_{HERE}_{process.pid}_")
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
            wait_for(lambda: "drop" in wire.rules(), "its nft")  # for which the program would wait
            assert wire.answered((BOX, 40000), (BOX6, 40000), (BOX, 80)) == {(BOX, 80)}
            with inside(wire.box), put_up([BOX]) as up:
                assert not up.notes
            assert name in wire.rules()
            process.kill()
        with inside(wire.box), put_up([BOX]) as up:
            assert name in up.notes[0]
        assert wire.rules() == ""

    def test_one_of_another_container_is_never_taken_for_dead(self, wire: Wire, launcher: str) -> None:
        """They share the network and not the processes: none sees whether the other's lives."""
        (Path(launcher).resolve().parent / "lzr-run").write_text("#!/bin/sh\necho $LZR_GUARD; read line")
        apart = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
        script = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
            "from coordinator.guard.guard import put_up\n"
            f"with put_up([{BOX!r}]) as up: print(up.notes)"
        )
        other = (*apart, sys.executable, "-c", script)
        with self.start(wire, *apart, launcher) as process:
            assert process.stdout is not None
            name = process.stdout.readline().strip()
            assert name.startswith("lzr_")
            assert not name.startswith((f"lzr_{HERE}_", "lzr_0_"))
            wait_for(lambda: "drop" in wire.rules(), "its nft")
            with self.start(wire, *other) as second:
                assert second.communicate(timeout=120)[0] == "[]\n"
            with inside(wire.box), put_up([BOX]) as up:
                assert not up.notes
            assert name in wire.rules()
            process.kill()
        with self.start(wire, *other) as second:
            assert second.communicate(timeout=120)[0] == "[]\n"
        assert name in wire.rules()
        if HERE == 0xEFFFFFFC:  # who sees all processes sees that it is dead
            wait_for(lambda: tablenames.is_stale(name), "its end")
            with inside(wire.box), put_up([BOX]) as up:
                assert name in up.notes[0]

    def test_without_a_namespace_it_lives_for_a_minute_where_not_all_is_seen(self) -> None:
        """As a shell on an old kernel names it."""
        script = (
            f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n"
            "from coordinator.guard import tablenames\n"
            "now = int(float(open('/proc/uptime').read().split()[0]) * os.sysconf('SC_CLK_TCK'))\n"
            "young, old = now, max(1, now - 6100 * os.sysconf('SC_CLK_TCK') // 100)\n"
            "print([tablenames.is_stale(f'lzr_0_999999_{start}_0') for start in (young, old)])"
        )
        apart = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
        done = subprocess.run(
            [*apart, sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
        )
        assert done.stdout == "[False, True]\n"

    @pytest.mark.parametrize(
        "flags", [["guard", "status"], ["--help"], ["-list-handshakes"], ["--guard=none"]]
    )
    def test_no_scan_no_guard(self, wire: Wire, launcher: str, flags: list[str]) -> None:
        (Path(launcher).resolve().parent / "lzr-run").write_text('#!/bin/sh\necho "<$LZR_GUARD>"')
        with self.start(wire, launcher, *flags) as process:
            assert process.communicate(timeout=120)[0] == "<>\n"

    def test_somebody_elses_guard_is_not_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LZR_GUARD", "lzr_0_1_5_0")
        assert put_up_early(["--help"]) is None
        assert "LZR_GUARD" not in os.environ
