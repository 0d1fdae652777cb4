"""`lzr doctor` in namespaces where one thing is wrong, and the scan itself there, before a packet."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.doctor import doctor, probing
from coordinator.doctor.checks import FAULT, OK, WARNING, Wanted
from coordinator.guard.firewall import GuardError
from coordinator.guard.guard import Guard, make_cover
from lzr.errors import UsageError
from lzr.options.table import Options
from tests.lab.net import Lab, Namespace, run, wait_for
from tests.lab.scan import LZR
from tests.private import Installation

HERE, FAR = "10.9.1.1", "10.9.1.2"
BEYOND = "203.0.113.7"


@pytest.fixture
def home(lab: Lab) -> Namespace:
    """A host with one link, a default route over it, and the far end."""
    made, far = lab.namespace("home"), lab.namespace("far")
    lab.link(made, far, a_addresses=[f"{HERE}/24"], b_addresses=[f"{FAR}/24"])
    made.ip("route", "add", "default", "via", FAR)
    return made


def findings(home: Namespace, *words: str | Path, **more: Any) -> tuple[int, dict[str, dict[str, str]]]:
    done = home.run(LZR, "doctor", "--json", *words, check=False, **more)
    assert done.stderr == ""
    told = json.loads(done.stdout)
    found = {one["check"]: one for one in told["findings"]}
    assert len(found) == len(told["findings"])
    levels = [OK, WARNING, FAULT]
    assert done.returncode == levels.index(told["level"])
    assert told["level"] == max((one["level"] for one in found.values()), key=levels.index)
    return done.returncode, found


def scan(home: Namespace, *words: str | Path, line: str = f"{FAR}:9\n", **more: Any) -> Any:
    return home.run(LZR, "-sendSYNs", "--no-dashboard", "-f", "-", *words, input=line, check=False, **more)


@pytest.mark.root
def test_a_host_that_is_well(home: Namespace) -> None:
    before = home.state()
    _, found = findings(home, BEYOND)
    for check, one in found.items():
        # The clock and other scans are this machine's, which we did not make.
        assert one["level"] == OK or check in ("clock", "scans"), one
    assert set(found) == set(doctor._ORDER)
    assert f"to {BEYOND} by eth0; the gateway {FAR} has" in found["route"]["sentence"]
    assert found["source"]["sentence"] == f"{HERE} on eth0"
    assert f"nft keeps the kernel quiet (resets and unclaimed; tried at {HERE}" in found["guard"]["sentence"]
    assert home.state() == before
    shown = home.run(LZR, "doctor", check=False).stdout.splitlines()
    assert len(shown) == len(doctor._ORDER) + 1
    assert all(line.split()[0] in (OK, WARNING) for line in shown[:-1])
    assert "on the same link" in findings(home, f"{FAR}:443")[1]["route"]["sentence"]
    assert "is this host itself" in findings(home, "127.0.0.1")[1]["route"]["sentence"]


@pytest.mark.root
def test_nothing_is_sent_to_the_target(home: Namespace, lab: Lab) -> None:
    far = next(one for one in lab._namespaces if one.short == "far")
    far.nft(
        "table inet count { chain in { type filter hook prerouting priority -400; "
        "ip protocol { tcp, udp, icmp } counter; }; }"
    )
    findings(home, BEYOND)
    findings(home, FAR)
    assert "packets 0 " in far.rules()


Break = Callable[[Namespace], object]


@pytest.mark.root
@pytest.mark.parametrize(
    ("spoil", "words", "check", "says"),
    [
        (lambda home: home.ip("route", "del", "default"), (), "route", "no IPv4 route to"),
        (lambda home: home.ip("link", "set", "eth0", "down"), ("-i", "eth0"), "route", "eth0 is down"),
        (lambda home: None, ("-i", "eth7"), "route", "there is no network interface 'eth7'"),
        (
            lambda home: home.ip("route", "replace", "default", "via", "10.9.1.77"),
            (),
            "route",
            "the gateway 10.9.1.77 does not answer ARP on eth0: give --gateway-mac",
        ),
        (lambda home: None, ("--user", "no-such-user"), "installation", "there is no such user"),
        (lambda home: None, ("--user", "root"), "installation", "do not run as root"),
        (lambda home: None, ("-f", "/no/such/place/found"), "room", "cannot write /no/such/place/found"),
    ],
    ids=["no route", "down", "no interface", "no gateway", "no user", "root", "no place"],
)
def test_a_fault_is_found_and_ends_a_scan_too(
    home: Namespace, spoil: Break, words: tuple[str, ...], check: str, says: str
) -> None:
    spoil(home)
    status, found = findings(home, BEYOND, *words)
    assert status == 2
    assert found[check]["level"] == FAULT
    assert says in found[check]["sentence"]
    done = scan(home, *words, line=f"{BEYOND}:9\n")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    if check != "room":  # the scan opens its files, and says why they did not open
        assert says in done.stderr


@pytest.mark.root
def test_a_source_that_is_not_ours_is_warned_of_by_both(home: Namespace, lab: Lab) -> None:
    lab.link(home, lab.namespace("side"), names=("other", "eth0"), a_addresses=["192.0.2.9/24"])
    for address, says in (
        ("198.51.100.1", "198.51.100.1 is not an address of this host"),
        ("192.0.2.9", "192.0.2.9 is an address of other, not of eth0"),
    ):
        status, found = findings(home, FAR, "-S", address, "-i", "eth0")
        assert status == 1
        assert found["source"]["level"] == WARNING
        assert says in found["source"]["sentence"]
        done = scan(home, "-S", address, "-i", "eth0")
        assert f"[WARN] lzr: {says}" in done.stderr
        assert done.returncode == 0
    assert "[WARN]" not in scan(home).stderr


def without(lab: Lab, *tools: str) -> dict[str, str]:
    """An environment in whose PATH these programs are not."""
    place = lab.directory / "programs"
    place.mkdir()
    for directory in [*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin"]:
        with contextlib.suppress(OSError):
            for name in os.listdir(directory):
                if name not in tools:
                    with contextlib.suppress(FileExistsError):
                        (place / name).symlink_to(f"{directory}/{name}")
    return {**lab.environment, "PATH": str(place)}


@pytest.mark.root
def test_no_guard_without_a_firewall_tool(home: Namespace, lab: Lab) -> None:
    # The program looks where system tools live besides PATH, so that is shadowed too.
    env = without(lab, "nft", "iptables", "iptables-nft", "iptables-legacy")
    hidden = "mount -t tmpfs none /usr/sbin && " + " ".join(
        f"'{word}'" for word in (str(LZR), "doctor", "--json")
    )
    words = ["unshare", "-m", "sh", "-c", hidden]
    real = shutil.which("unshare")
    assert real
    done = home.run(real, *words[1:], env=env, check=False)
    told = {one["check"]: one for one in json.loads(done.stdout)["findings"]}
    assert done.returncode == 2
    assert told["guard"]["level"] == FAULT
    assert "neither nft nor iptables is installed" in told["guard"]["sentence"]


@pytest.mark.root
def test_a_container_that_lacks_rights(home: Namespace) -> None:
    """What `--cap-drop` takes away is named, and a scan ends with it; what `docker run` leaves is enough."""

    def with_rights(rights: str, *words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
        drop = ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}")
        return home.run(*drop, *words, check=False, **more)

    for rights, names in (
        ("-net_raw", "CAP_NET_RAW missing"),
        ("-setuid,-setgid", "become nobody: CAP_SETGID and CAP_SETUID missing"),
        ("-chown", "CAP_CHOWN missing"),
        ("-setpcap", "CAP_SETPCAP missing"),
    ):
        done = with_rights(rights, LZR, "doctor")
        assert done.returncode == 2
        line = next(line for line in done.stdout.splitlines() if " capabilities " in line)
        assert line.startswith(FAULT)
        assert names in line
        done = with_rights(rights, LZR, "-sendSYNs", "--no-dashboard", "-f", "-", input=f"{FAR}:9\n")
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert names in done.stderr
    container = (
        "-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+net_admin,+setgid,+setuid,+setfcap,+setpcap,"
        "+net_bind_service,+sys_chroot,+kill,+audit_write"
    )
    done = with_rights(container, LZR, "-sendSYNs", "--no-dashboard", "-f", "-", input=f"{FAR}:9\n")
    assert done.returncode == 0, done.stderr
    assert '"saddr"' in done.stdout
    assert "without CAP_SYS_NICE" in with_rights(container, LZR, "doctor").stdout


@pytest.fixture(scope="module")
def everybodys() -> Iterator[Path]:
    """`lzr` where every user can read it, wherever this checkout lies."""
    with tempfile.TemporaryDirectory(prefix="lzr-everybodys-") as directory:
        os.chmod(directory, 0o755)
        yield Installation(Path(directory) / "i", 0o755).lzr


@pytest.mark.root
def test_an_ordinary_user_with_the_two_rights_scans(home: Namespace, everybodys: Path) -> None:
    two = "-all,+net_raw,+net_admin"
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"--inh-caps={two}")
    words = (*become, f"--ambient-caps={two}", everybodys)
    done = home.run(*words, "-sendSYNs", "--no-dashboard", "-f", "-", input=f"{FAR}:9\n", check=False)
    assert done.returncode == 0, done.stderr
    assert '"saddr"' in done.stdout
    told = home.run(*words, "doctor", "--json", check=False)
    found = {one["check"]: one["level"] for one in json.loads(told.stdout)["findings"]}
    assert FAULT not in found.values()


@pytest.mark.root
def test_too_few_descriptors(home: Namespace) -> None:
    limited = ("sh", "-c", 'ulimit -n 40; exec "$@"', "sh", LZR)
    done = home.run(*limited, "-sendSYNs", "-f", "-", "--no-dashboard", input=f"{FAR}:9\n", check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "40 may be open at once, and about" in done.stderr
    assert home.rules() == ""


@pytest.mark.root
def test_another_scan_is_named(home: Namespace, lab: Lab, tmp_path: Path) -> None:
    other = home.popen(
        LZR, "-sendSYNs", "-f", tmp_path / "found", stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert other.stdin is not None
    other.stdin.write(f"{FAR}:9\n".encode())
    other.stdin.flush()
    name = f"pid {other.pid}"
    wait_for(lambda: name in findings(home)[1]["scans"]["sentence"], "the other scan is found", 60)
    other.stdin.close()
    other.wait(60)
    assert name not in findings(home)[1]["scans"]["sentence"]


# --- the guard, with a tool that only pretends ------------------------------------------------------------


class Pretended(Guard):
    """Stands by its own word, and does nothing."""

    there = True

    def __init__(self) -> None:
        super().__init__(None, "lzr_x", make_cover([], (1, 2)), ("resets",))

    def status(self) -> Any:
        return Guard.status(self) or (type("Seen", (), {"tool": "nft"}) if self.there else None)


def test_a_guard_that_does_not_work_is_a_fault() -> None:
    wanted = Wanted(sources=("127.0.0.1",))
    found = probing.guarding(Options(), wanted, lambda *_: Pretended())
    assert found.level == FAULT
    assert "the kernel resets all the same" in found.sentence


def test_a_guard_that_is_flushed_away_at_once_is_a_fault() -> None:
    gone = Pretended()
    gone.there = False
    found = probing.guarding(Options(), Wanted(sources=("127.0.0.1",)), lambda *_: gone)
    assert found.level == FAULT
    assert "gone at once" in found.sentence


def test_a_guard_that_is_refused_is_a_fault_unless_done_without() -> None:
    def refuse(*_: object) -> Guard:
        raise GuardError("no")

    assert probing.guarding(Options(), Wanted(), refuse).level == FAULT
    assert probing.guarding(Options(without_guard=True), Wanted(), refuse).level == WARNING
    assert probing.guarding(Options(guard="none"), Wanted(), refuse).level == WARNING


@pytest.mark.root
def test_a_guard_stands_and_works(home: Namespace, tmp_path: Path) -> None:
    (tmp_path / "bridge-nf-call-iptables").write_text("1\n")
    found = home.call(lambda: probing.guarding(Options(), Wanted(sources=(HERE,)), bridges=tmp_path))
    assert found.level == OK
    assert HERE in found.sentence
    assert "net.bridge.bridge-nf-call-iptables is 1" in found.remedy
    # An address that this host does not have is tried on the loopback; one that refuses nothing is not tried.
    found = home.call(lambda: probing.guarding(Options(), Wanted(sources=("203.0.113.1",)), bridges=tmp_path))
    assert "tried at 127.0.0.1" in found.sentence
    home.nft(
        f"table inet deaf {{ chain o {{ type filter hook output priority 0; ip daddr {HERE} drop; }}; }}"
    )
    found = home.call(lambda: probing.guarding(Options(), Wanted(sources=(HERE,)), bridges=Path("/none")))
    assert found.level == OK
    assert "refuses no connection anyway" in found.sentence
    assert "lzr_" not in home.rules()


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


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:80", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:80", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("localhost:80", ("127.0.0.1", "::1")),
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
