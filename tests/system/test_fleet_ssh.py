"""lzr fleet up and down, through a real sshd on every box."""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import alive
from tests.lab.boxes import Boxes, packets
from tests.lab.daemons import install
from tests.lab.fleet_core import CORE
from tests.lab.net import Lab, lab, run, wait_for
from tests.lab.responder import PORT
from tests.lab.scan import LZR

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

TARGETS = 1 << 15
"""A minute at the rate of the plan: scans that nothing hurries go on while a box is cut off and back."""


@pytest.fixture
def made() -> Iterator[Lab]:
    with lab() as found:
        yield found


def sshd() -> tuple[tuple[str | Path, ...], str]:
    """What begins the command that starts sshd, and more of its configuration.

    It is that of the root with the lab's daemons, with the libraries there: no server is installed here.
    """
    root = install([daemon for daemon in CORE if daemon.name == "openssh"]).path
    libraries = [path.parent for path in root.glob("usr/lib/*/libcrypto.so.3")]
    assert libraries, "the root has OpenSSH"
    helpers = {"SshdSessionPath": "sshd-session", "SshdAuthPath": "sshd-auth"}  # of OpenSSH 9.8, and of 10
    found = {word: root / "usr/lib/openssh" / name for word, name in helpers.items()}
    more = "".join(f"{word} {path}\n" for word, path in found.items() if path.exists())
    return ("env", f"LD_LIBRARY_PATH={libraries[0]}", root / "usr/sbin/sshd"), more


def with_user(directory: Path) -> tuple[str | Path, ...]:
    """What begins a command where there is a user sshd, on a host that may have none."""
    try:
        pwd.getpwnam("sshd")
    except KeyError:
        passwd = directory / "passwd"
        passwd.write_text(
            Path("/etc/passwd").read_text() + "sshd:x:65530:65534::/run/sshd:/usr/sbin/nologin\n"
        )
        return ("sh", "-c", 'mount --bind "$1" /etc/passwd && shift && exec "$@"', "sh", passwd)
    return ()


def keys(boxes: Boxes) -> Path:
    """A key that opens every box, a host key of each, and the configuration of ssh that goes by them."""
    own = boxes.directory / "id"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", own)
    known = boxes.directory / "known_hosts"
    command, more = sshd()
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for box in boxes.boxes:
        host = box.directory / "host"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host)
        with known.open("a") as out:
            out.write(f"{box.address} {host.with_suffix('.pub').read_text()}")
        (box.directory / "authorized").write_text(own.with_suffix(".pub").read_text())
        (box.directory / "sshd").write_text(
            f"ListenAddress {box.address}\nHostKey {host}\nAuthorizedKeysFile {box.directory}/authorized\n"
            f"PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\n"
            f"PasswordAuthentication no\n{more}"
            f'ForceCommand cd {box.directory} && exec sh -c "$SSH_ORIGINAL_COMMAND"\n'  # its home here
        )
        boxes.inside(box, *with_user(boxes.directory), *command, "-D", "-e", "-f", box.directory / "sshd")
    config = boxes.directory / "ssh"
    config.write_text(f"Host *\nUser root\nIdentityFile {own}\nUserKnownHostsFile {known}\nBatchMode yes\n")
    return config


def test_up_and_down(made: Lab) -> None:
    plan = f'targets = ["10.64.0.0/17"]\ntarget-ports = "{PORT}"\nseed = 7\nrate = 500\n'
    boxes = Boxes(made, 2, plan + 'options = ["-handshakes", "http", "-c", "5", "-t", "6"]\n')
    boxes.settle()
    boxes.respond("10.64.0.0", TARGETS)
    config = keys(boxes)
    ssh = ("--ssh", f"ssh -F {config} -o ConnectTimeout=10", "--remote-lzr", str(LZR))
    for box in boxes.boxes:
        wait_for(
            lambda box=box: box.address in box.namespace.run("ss", "-Hltn").stdout, f"sshd of {box.name}"
        )
    told = boxes.lzr("fleet", "up", boxes.plan, *ssh, check=False)
    assert told.returncode == 1
    assert (
        "fra1: lzr fleet worker: this takes orders over the network and does not run as root" in told.stderr
    )
    told = boxes.lzr("fleet", "up", boxes.plan, *ssh, "--allow-root")
    pids = [int(line.partition("(pid ")[2].rstrip(")")) for line in told.stdout.splitlines()]
    assert len(pids) == 2
    assert all(map(alive, pids))
    again = boxes.lzr("fleet", "up", boxes.plan, *ssh, "--allow-root")
    assert again.stdout == told.stdout.replace("runs", "runs already")
    where = next(boxes["fra1"].directory.glob(".local/state/lzr/worker/*/fra1"))
    names = sorted(str(path.relative_to(where)) for path in where.rglob("*.pem"))
    assert names == ["certs/controller-ca.pem", "certs/fra1.pem"]
    assert {path.stat().st_mode & 0o77 for path in where.rglob("*.pem")} == {0}
    controller = boxes.start()
    boxes.until(lambda: all(packets(box)[0] > 50 for box in boxes.boxes), "both boxes scan")
    boxes["fra1"].namespace.run("ip", "link", "set", "ctl0", "down")
    gone = boxes.lzr("fleet", "down", boxes.plan, *ssh, check=False)
    assert gone.returncode == 1
    assert "ams1: the worker" in gone.stdout
    assert "fra1: " in gone.stderr
    boxes["fra1"].namespace.run("ip", "link", "set", "ctl0", "up")
    before = [packets(box)[0] for box in boxes.boxes]
    boxes.until(
        lambda: all(packets(box)[0] > had + 50 for box, had in zip(boxes.boxes, before, strict=True)),
        "scans go on",
    )
    boxes.lzr("fleet", "up", boxes.plan, *ssh, "--allow-root")
    boxes.hurry()
    boxes.until(lambda: controller.poll() is not None, "all is done")
    assert controller.returncode == 0, boxes.said()
    assert sum(len(boxes.results(box.name)) for box in boxes.boxes) == TARGETS
    boxes.lzr("fleet", "down", boxes.plan, *ssh)
    assert not any(map(alive, pids))
    last = boxes.lzr("fleet", "down", boxes.plan, *ssh)
    assert last.stdout == "ams1: no worker runs\nfra1: no worker runs\n"
    boxes.lzr("fleet", "up", boxes.plan, *ssh, "--allow-root")
    boxes.plan.write_text(boxes.plan.read_text().replace("rate = 500", "rate = 600"))
    boxes.lzr("fleet", "check", boxes.plan, "--overwrite")
    other = boxes.lzr("fleet", "down", boxes.plan, *ssh)  # by the plan as it is now
    assert other.stdout.count("has ended") == 2, other
