"""Each check both ways, on hosts that are told of; the readers of facts on hosts that are built of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from coordinator.doctor import checks, facts
from coordinator.doctor.checks import FAULT, MEGABYTE, NOTE, OK, WARNING, Check, Finding, HostFacts, ScanNeeds
from coordinator.network import netlink
from coordinator.processes import rights, users
from coordinator.processes.users import User
from lzr.errors import UsageError
from lzr.options.table import Options
from tests.rows import every_row
from workers import confinement

GOOD = HostFacts(
    directory="/opt/lzr",
    addresses={"192.0.2.1": "eth0", "2001:db8::1": "eth1", "198.51.100.9": "lo"},
    memory=4000 * MEGABYTE,
    synchronised=True,
    wall=1_800_000_000.0,
)
SCAN = ScanNeeds(interface="eth0", sources=("192.0.2.1",))


def test_a_host_as_it_should_be_has_nothing_to_say() -> None:
    found = checks.preflight(GOOD, SCAN)
    assert [one.level for one in found] == [OK] * len(checks.PREFLIGHT)
    assert checks.worst(found) == OK
    assert len({one.check for one in found}) == len(found)
    assert all(one.sentence and not one.sentence.endswith(".") for one in found)


@every_row(
    [
        (
            checks.kernels,
            {"kernels": "kernels in Python (x)", "why_python": "no compiler at installation"},
            WARNING,
            "install gcc",
        ),
        (checks.kernels, {"kernels": "kernels in Python (y)", "why_python": "LZR_PURE=1"}, WARNING, "(y)"),
        (checks.installation, {"closed": "/root"}, OK, "/root is closed to nobody"),
        (checks.installation, {"examples": "/opt/lzr/share"}, OK, "lzr.toml are in /opt/lzr/share"),
        (checks.capabilities, {"not_root_enough": "no raw packets"}, FAULT, "no raw packets"),
        (checks.capabilities, {"not_giving_up": "CAP_SETUID missing"}, FAULT, "--cap-add"),
        (checks.capabilities, {"may_renice": False}, OK, "CAP_SYS_NICE"),
        (checks.capabilities, {"alone": True}, WARNING, "this user namespace has one user"),
        (checks.source, {"addresses": {}}, WARNING, "192.0.2.1 is not an address of this host"),
        (checks.source, {"addresses": {"192.0.2.1": "eth1"}}, WARNING, "an address of eth1, not of eth0"),
        (checks.source, {"addresses": {"192.0.2.1": "lo"}}, OK, "192.0.2.1 on lo"),
        (checks.memory, {"memory": 10 * MEGABYTE}, FAULT, "10 MB left; fewer workers"),
        (
            checks.memory,
            {"memory": 250 * MEGABYTE, "memory_of": "the control group has"},
            WARNING,
            "group has",
        ),
        (checks.memory, {"memory": None}, OK, "160 MB of ring memory"),
        (checks.clock, {"synchronised": False}, NOTE, "Timestamps may be off"),
        (checks.clock, {"synchronised": None}, OK, "runs"),
        (checks.clock, {"wall": 86400.0}, WARNING, "long past"),
        (checks.clock, {"ticks": False}, FAULT, "monotonic"),
        (checks.descriptors, {"descriptors": 64, "most_descriptors": 4096}, OK, "4096 may be open"),
        (checks.descriptors, {"descriptors": 64, "most_descriptors": 64}, FAULT, "ulimit -n 144"),
        (checks.threads, {"threads": 4096}, OK, "ulimit -u leaves 4,096 threads to user nobody, and about"),
        (
            checks.threads,
            {"threads": 5},
            FAULT,
            "5 threads to user nobody, and about 12 are needed; ulimit -u 12",
        ),
        (
            checks.threads,
            {"threads": 0, "threads_of": "the control group leaves"},
            FAULT,
            "the control group leaves 0 threads to user nobody",
        ),
        (checks.room, {"temporary_trouble": "it is full"}, FAULT, "in /run/lzr: it is full; set TMPDIR"),
        (checks.room, {"outputs": (("a", 1 << 40), ("b", 1 << 20))}, WARNING, "b has 1 MB left"),
        (checks.room, {"outputs": (("a", 1 << 40),)}, OK, "a has 1,048,576 MB left"),
        (
            checks.confinement,
            {"landlock": 0},
            WARNING,
            "workers are held less tightly: this kernel has no Land",
        ),
        (checks.confinement, {"no_filter": "no numbers"}, WARNING, "less tightly: no numbers"),
        (checks.confinement, {"landlock": 5}, OK, "Landlock 5, without scopes for signals"),
        (checks.scans, {"scans": ("pid 7", "pid 8")}, WARNING, "also running: pid 7, pid 8"),
    ]
)
def test_what_each_check_makes_of_a_host_that_differs(
    check: Check, change: dict[str, object], level: str, says: str
) -> None:
    found = check(replace(GOOD, **change), SCAN)  # type: ignore[arg-type]
    assert (found.level, says in found.text()) == (level, True), found
    assert check(GOOD, SCAN).level == OK


def test_every_source_is_looked_at_and_a_scan_of_this_host_may_leave_from_any() -> None:
    assert checks.source(GOOD, replace(SCAN, sources=("192.0.2.1", "203.0.113.5"))).level == WARNING
    assert checks.source(GOOD, replace(SCAN, sources=("192.0.2.1", "198.51.100.9"))).level == OK
    assert "and 1 more" in checks.source(GOOD, replace(SCAN, sources=("192.0.2.1", "198.51.100.9"))).sentence
    assert checks.source(GOOD, replace(SCAN, interface="lo")).level == OK
    assert checks.source(GOOD, replace(SCAN, sources=())).level == OK


def test_without_a_guard_a_router_sends_answers_to_foreign_addresses_back() -> None:
    foreign = replace(SCAN, sources=("203.0.113.5",))
    router = replace(GOOD, forwards=True)
    assert "ip_forward=0" in checks.source(router, replace(foreign, guard="none")).remedy
    assert "ip_forward" not in checks.source(router, foreign).remedy
    assert "ip_forward" not in checks.source(GOOD, replace(foreign, guard="none")).remedy


def test_a_list_may_be_reached_over_several_interfaces() -> None:
    elsewhere = replace(GOOD, addresses={"192.0.2.1": "docker0"})
    assert checks.source(elsewhere, SCAN).level == WARNING
    assert checks.source(elsewhere, replace(SCAN, routed=True)).level == OK


def test_the_worst_counts() -> None:
    levels = {OK: 0, NOTE: 1, WARNING: 2, FAULT: 3}
    for many in ([OK], [NOTE, OK], [OK, WARNING, NOTE], [WARNING, FAULT, OK], []):
        found = [Finding("x", level, "y") for level in many]
        assert checks.worst(found) == max(many or [OK], key=levels.__getitem__)
    assert Finding("x", OK, "a", "b").text() == "a; b"
    assert Finding("x", OK, "a").text() == "a"


def test_a_scan_says_warnings_and_no_notes() -> None:
    """That nobody sets the clock is so for each scan of a container: the doctor says it."""
    unset = replace(GOOD, synchronised=False)
    assert [one.check for one in checks.preflight(unset, SCAN) if one.level == NOTE] == ["clock"]
    assert checks.warnings(checks.preflight(unset, SCAN)) == ()
    (told,) = checks.warnings(checks.preflight(replace(unset, scans=("pid 7",)), SCAN))
    assert told.check == "scans"
    with pytest.raises(UsageError, match="monotonic clock"):
        checks.warnings(checks.preflight(replace(unset, ticks=False), SCAN))


# --- the readers ------------------------------------------------------------------------------------------


def test_who_forwards(tmp_path: Path) -> None:
    assert not facts.forwards(tmp_path)
    assert not facts.forwards(host(tmp_path, ipv4__ip_forward="0\n", ipv6__conf__all__forwarding="0\n"))
    assert facts.forwards(host(tmp_path, ipv6__conf__all__forwarding="1\n"))
    assert facts.forwards(host(tmp_path, ipv4__ip_forward="1\n"))


def host(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = "MemTotal:  4000000 kB\nMemAvailable:    1024 kB\n"


def test_memory_is_what_the_host_has(tmp_path: Path) -> None:
    host(tmp_path, proc__meminfo=MEMINFO)
    assert facts.room_in_memory(tmp_path) == (1 << 20, "this host has")
    assert facts.room_in_memory(tmp_path / "nowhere") == (None, "")


def test_memory_is_what_the_tightest_group_has(tmp_path: Path) -> None:
    host(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/outer/inner\n")
    for name, most in (("outer", "900000"), ("outer/inner", "max")):
        folder = tmp_path / "sys/fs/cgroup" / name
        folder.mkdir(parents=True)
        (folder / "memory.max").write_text(most)
        (folder / "memory.current").write_text("500000")
        (folder / "memory.stat").write_text("anon 1\ninactive_file 1000\n")
    assert facts.room_in_memory(tmp_path) == (401_000, "the control group has")


def test_memory_in_the_first_version_of_control_groups(tmp_path: Path) -> None:
    host(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="4:cpu,memory:/job\n3:cpuset:/\n")
    folder = tmp_path / "sys/fs/cgroup/memory/job"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("700000")
    (folder / "memory.usage_in_bytes").write_text("900000")  # over it for a moment
    (folder / "memory.stat").write_text("")
    assert facts.room_in_memory(tmp_path) == (0, "the control group has")
    (folder / "memory.limit_in_bytes").write_text("9223372036854771712")  # none
    assert facts.room_in_memory(tmp_path) == (1 << 20, "this host has")


def test_where_no_file_can_be_made(tmp_path: Path) -> None:
    assert facts.trouble_writing(tmp_path) == ""
    assert facts.trouble_writing(tmp_path / "missing") == "No such file or directory"


def test_sockets_go_where_there_is_room(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert facts.room_for_sockets([missing, tmp_path, missing]) == (tmp_path, "")
    assert facts.room_for_sockets([missing]) == (missing, "No such file or directory")
    assert facts.room_for_sockets([])[1] == "others may rename what is in it"


def test_the_room_of_what_will_be_written(tmp_path: Path) -> None:
    options = Options(output_file=str(tmp_path / "found"), log_file="-")
    assert [path for path, _ in facts.rooms(options)] == [options.output_file]
    assert list(facts.rooms(Options(output_file="/dev/null"))) == []
    assert list(facts.rooms(Options(output_file="/no/such/directory/x"))) == []


def test_facts_of_this_host_are_gathered_whole() -> None:
    found = facts.gather(Options(), users.choose_user())
    assert found.addresses["127.0.0.1"] == "lo"
    assert found.memory
    assert found.ticks
    assert found.descriptors > 0
    assert found.landlock == confinement.version()
    assert found.no_filter == ""


def test_machines_without_a_filter_of_calls() -> None:
    assert facts.no_filter("riscv64").startswith("there is no filter of system calls for riscv64")
    assert facts.no_filter("aarch64") == ""


def test_what_root_lacks_to_become_another_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    user = User("nobody", 65534, 65534)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert rights.why_not_give_up_root(user, ~0) is None
    sentence = rights.why_not_give_up_root(user, ~(1 << 7 | 1 << 8))
    assert sentence == "workers cannot give up root and become nobody: CAP_SETUID and CAP_SETPCAP missing"
    assert not rights.may_renice(~(1 << 23))
    for table, may in (("0 0 4294967295", True), ("0 1000 1", False), ("0 0 65536", False)):
        (tmp_path / "uid_map").write_text(f"{table}\n")
        assert rights.may_renice(1 << 23, str(tmp_path)) is may, table
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert rights.why_not_give_up_root(user, 0) is None  # stays who it is


def test_an_address_of_several_interfaces_is_one_of_the_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a router with unnumbered links."""

    class Kernel:
        def __enter__(self) -> Kernel:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def ask(self, *_: object, **__: object) -> list[netlink.NetlinkMessage]:
            packed = {netlink.IFA_LOCAL: bytes([192, 0, 2, 1])}
            return [
                netlink.NetlinkMessage(netlink.NEWADDR, (2, 32, 0, 0, index), packed) for index in (1, 2, 3)
            ]

    monkeypatch.setattr(facts, "Netlink", Kernel)
    monkeypatch.setattr(facts.socket, "if_indextoname", lambda index: f"eth{index}")
    assert [facts.addresses(name)["192.0.2.1"] for name in ("eth1", "eth2", "eth3", "eth4", None)] == [
        "eth1", "eth2", "eth3", "eth3", "eth3",
    ]  # fmt: skip
