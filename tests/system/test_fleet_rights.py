"""A worker that is not root: with the rights that etc/lzr-fleet@.service leaves, a box does its whole run."""

from __future__ import annotations

import configparser
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.boxes import Boxes, packets
from tests.lab.net import Lab, lab, run
from tests.lab.responder import PORT
from tests.lab.scan import LZR

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

UNIT = Path(__file__).resolve().parents[2] / "etc/lzr-fleet@.service"
NOBODY = 65534
SHOWN = (
    'held=$(mktemp -d) && mount --bind "$1" "$held" && mount -t tmpfs -o mode=755 tmpfs "$2" '
    '&& mkdir -p "$1" && mount --move "$held" "$1" && rmdir "$held" && shift 2 && exec "$@"'
)
"""Has a directory at its place whose way there is open to everybody, in a mount namespace."""


def unit() -> configparser.SectionProxy:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(UNIT)
    return parsed["Service"]


@pytest.fixture
def boxes() -> Iterator[Boxes]:
    with lab() as found:
        yield made(found)


def shown() -> tuple[str | Path, ...]:
    """What begins a command that another user runs of this checkout, which may lie in root's home."""
    checkout = UNIT.parents[1]
    closed = [path for path in reversed(checkout.parents) if not path.stat().st_mode & 0o001]
    return ("sh", "-c", SHOWN, "sh", checkout, closed[0]) if closed else ()


def made(found: Lab) -> Boxes:
    plan = f'targets = ["10.64.0.0/23"]\ntarget-ports = "{PORT}"\nseed = 7\nrate = 1000\n'
    boxes = Boxes(found, 1, plan + 'options = ["-handshakes", "http", "-c", "5", "-t", "6"]\n')
    boxes.settle()
    boxes.respond("10.64.0.0", 512)
    for path in (boxes["ams1"].directory, *boxes["ams1"].directory.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    return boxes


def test_the_unit_is_one(tmp_path: Path) -> None:
    service = unit()
    assert (service["Restart"], service["KillMode"]) == ("always", "process")
    assert service["AmbientCapabilities"] == service["CapabilityBoundingSet"]
    # A mistake is said once; to be ended before it has begun is none.
    assert (service["RestartPreventExitStatus"], service["SuccessExitStatus"]) == ("2", "130")
    if shutil.which("systemd-analyze"):
        text = UNIT.read_text().replace("/usr/local/bin/lzr", str(shutil.which("true")))
        text = text.replace("User=lzr", "User=daemon")
        (tmp_path / "lzr-fleet@.service").write_text(text)
        done = run("systemd-analyze", "verify", "--man=no", tmp_path / "lzr-fleet@.service", check=False)
        assert [line for line in done.stderr.splitlines() if "lzr" in line] == []


@pytest.mark.parametrize("enough", [True, False])
def test_the_rights_of_the_unit_are_enough_and_needed(boxes: Boxes, enough: bool) -> None:
    box = boxes["ams1"]
    names = unit()["AmbientCapabilities"].lower().replace("cap_", "").split()
    rights = ",".join(f"+{name}" for name in names) if enough else "-all"
    user = ("--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--no-new-privs")
    caps = ("--inh-caps", rights, "--ambient-caps", rights)
    with box.log.open("w") as log:
        box.worker = boxes.inside(
            box, *shown(), "setpriv", *user, *caps, "env", "HOME=/nonexistent", LZR, "fleet", "worker",
            box.directory / "plan.toml", "--box", box.name, stdout=log, stderr=log, text=True,
        )  # fmt: skip
    controller = boxes.start()
    status = controller.wait(90)
    told = (boxes.directory / "start.log").read_text()
    if enough:
        assert status == 0, boxes.said()
        assert len(boxes.results("ams1")) == 512
        status = Path(f"/proc/{box.worker.pid}/status").read_text()
        assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}" in status
    else:
        assert status == 2, boxes.said()
        assert "lzr fleet start: ams1: " in told
        assert "CAP_NET_RAW" in told
        assert packets(box) == (0, 0)


def test_a_worker_does_not_run_as_root(boxes: Boxes) -> None:
    box = boxes["ams1"]
    done = box.namespace.run(
        LZR, "fleet", "worker", box.directory / "plan.toml", "--box", box.name, check=False, timeout=120
    )
    assert done.returncode == 2
    assert "does not run as root" in done.stderr
