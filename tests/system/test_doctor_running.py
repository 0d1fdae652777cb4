"""`coordinator.doctor` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.doctor import doctor, probing
from coordinator.doctor.checks import FAULT, LEVELS, NOTE, OK, WARNING, ScanNeeds
from coordinator.processes import rights
from lzr.options.table import Options
from tests.lab.net import Lab, Namespace, wait_for
from tests.lab.scan import LZR
from tests.unit.coordinator.doctor.test_doctor import everybodys  # noqa: F401  # fixtures

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
    assert done.returncode == {OK: 0, NOTE: 0, WARNING: 1, FAULT: 2}[told["level"]]
    assert told["level"] == max((one["level"] for one in found.values()), key=LEVELS.index)
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
    assert all(line.split()[0] in (OK, NOTE, WARNING) for line in shown[:-1])
    assert "on the same link" in findings(home, f"{FAR}:443")[1]["route"]["sentence"]
    assert "is this host itself" in findings(home, "127.0.0.1")[1]["route"]["sentence"]
    hook = "type filter hook egress device eth0 priority 0"
    home.nft(f"table netdev t {{ chain c {{ {hook}; ip daddr {FAR} drop; }}; }}")
    warned = findings(home, BEYOND)[1]["egress"]
    assert warned["level"] == WARNING
    assert "netdev t c (egress)" in warned["sentence"]
    home.ip("rule", "add", "ipproto", "udp", "dport", "53", "table", "99")
    assert findings(home, BEYOND)[1]["rules"]["level"] == OK
    home.ip("rule", "add", "ipproto", "tcp", "dport", "80-90", "table", "99")
    warned = findings(home, BEYOND)[1]["rules"]
    assert (warned["level"], "(dport: ip rule)" in warned["sentence"]) == (WARNING, True)


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

    for without, names in (
        ("-net_raw", "CAP_NET_RAW missing"),
        ("-setuid,-setgid", "become nobody: CAP_SETGID and CAP_SETUID missing"),
        ("-chown", "CAP_CHOWN missing"),
        ("-setpcap", "CAP_SETPCAP missing"),
    ):
        done = with_rights(without, LZR, "doctor")
        assert done.returncode == 2
        line = next(line for line in done.stdout.splitlines() if " capabilities " in line)
        assert line.startswith(FAULT)
        assert names in line
        done = with_rights(without, LZR, "-sendSYNs", "--no-dashboard", "-f", "-", input=f"{FAR}:9\n")
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


CAP_SYS_RESOURCE = 24


@pytest.mark.root
def test_few_threads(home: Namespace, tmp_path: Path) -> None:
    """The caller's `ulimit -u` is raised where that is allowed; where it is not, a sentence names it."""
    scan = ("-sendSYNs", "-t", "0.5", "-rt", "0.3", "-f", tmp_path / "found", "--overwrite", "--no-dashboard")
    limited = ("prlimit", "--nproc=5:5")
    if rights.capabilities() >> CAP_SYS_RESOURCE & 1:
        assert home.run(*limited, LZR, *scan, input=f"{FAR}:9\n", check=False).returncode == 0
    may_not = (*limited, "setpriv", "--bounding-set=-sys_resource", LZR)
    done = home.run(*may_not, *scan, input=f"{FAR}:9\n", check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "ulimit -u leaves 5 threads to user " in done.stderr
    assert home.rules() == ""
    told = home.run(*may_not, "doctor", "--json", check=False)
    found = {one["check"]: one["level"] for one in json.loads(told.stdout)["findings"]}
    assert (told.returncode, found["threads"]) == (2, FAULT)


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
    other.wait(120)
    assert name not in findings(home)[1]["scans"]["sentence"]


@pytest.mark.root
def test_a_guard_stands_and_works(home: Namespace, tmp_path: Path) -> None:
    (tmp_path / "bridge-nf-call-iptables").write_text("1\n")
    found = home.call(lambda: probing.guarding(Options(), ScanNeeds(sources=(HERE,)), bridges=tmp_path))
    assert found.level == OK
    assert HERE in found.sentence
    assert "net.bridge.bridge-nf-call-iptables is 1" in found.remedy
    # An address that this host does not have is tried on the loopback; one that refuses nothing is not tried.
    found = home.call(
        lambda: probing.guarding(Options(), ScanNeeds(sources=("203.0.113.1",)), bridges=tmp_path)
    )
    assert "tried at 127.0.0.1" in found.sentence
    home.nft(
        f"table inet deaf {{ chain o {{ type filter hook output priority 0; ip daddr {HERE} drop; }}; }}"
    )
    found = home.call(lambda: probing.guarding(Options(), ScanNeeds(sources=(HERE,)), bridges=Path("/none")))
    assert found.level == OK
    assert "refuses no connection anyway" in found.sentence
    assert "lzr_" not in home.rules()
