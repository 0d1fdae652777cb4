"""The RST guard on real kernels: two namespaces, a wire, and the RSTs that do or do not cross it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.guard import iptables, nft, tablenames
from coordinator.guard.firewall import (
    GuardError,
    ToolError,
    canonical,
    default_interface,
    make_cover,
    run,
    spans,
)
from tests.host_net import (
    BOX,
    ROOT,
)
from tests.oddnames import oddly_named


@given(st.text())
def test_no_name_confuses_the_judge(name: str) -> None:
    tablenames.is_stale(name)
    assert not tablenames.is_ours("lzr_x" + name)


def test_a_tool_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordinator.guard.firewall.TIMEOUT", 0.01)
    with pytest.raises(ToolError, match="no answer"):
        run(["/bin/sleep", "60"])


def test_a_default_route_that_refuses_has_no_interface(tmp_path: Path) -> None:
    """As the last resort beside a VPN, or the first while it is down; the kernel shows it as "*"."""
    refuses, default = (
        "* 00000000 00000000 0201 0 0 5 00000000 0 0 0",
        "eth0 00000000 0100010A 0003 0 0 100 00000000 0 0 0",
    )
    (tmp_path / "route").write_text("\n".join(["Iface Destination Gateway", refuses, default]))
    assert default_interface(str(tmp_path)) == "eth0"
    (tmp_path / "route").write_text(refuses)
    nothing = "0" * 32
    rows = [
        f"{nothing} 00 {nothing} 00 {nothing} 00000005 1 0 {flags} {name}"
        for flags, name in (("00200200", "lo"), ("1", "eth1"))
    ]
    (tmp_path / "ipv6_route").write_text("\n".join(rows))
    assert default_interface(str(tmp_path)) == "eth1"


def test_much_input_and_output_cannot_block() -> None:
    text = "x" * 3_000_000
    assert run(["/bin/cat"], text) == text


@pytest.mark.parametrize(("limit", "size"), [("FSIZE", 0), ("FSIZE", 1024), ("NOFILE", 4)])
def test_limits_of_files_are_told(limit: str, size: int) -> None:
    program = (
        f"import resource, sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from coordinator.guard.firewall import ToolError, run\n"
        f"which = resource.RLIMIT_{limit}\n"
        f"resource.setrlimit(which, ({size}, resource.getrlimit(which)[1]))\n"
        "try:\n    run(['/bin/true'], 'x' * 5000)\nexcept ToolError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == f"/bin/true: {'Too many open files' if limit == 'NOFILE' else 'File too large'}\n"
    assert not done.stderr


def test_imports_are_cheap() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import coordinator.guard.guard; print(*sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    dear = {"socket", "subprocess", "typing", "dataclasses", "re", "enum", "json", "argparse", "collections"}
    assert not dear & set(out.stdout.split())


@given(st.text() | st.from_regex(r"[0-9a-f:./-]{1,40}", fullmatch=True))
def test_only_addresses_reach_a_script(text: str) -> None:
    try:
        found = spans(text)
    except GuardError:
        return
    for clean in found:
        assert set(clean) <= set("0123456789abcdef:./")
        assert canonical(clean) == clean


@given(st.integers(0, 2**32 - 1), st.integers(0, 70_000))
def test_a_range_is_covered_exactly(first: int, more: int) -> None:
    last = min(first + more, 2**32 - 1)
    text = "-".join(socket.inet_ntoa(number.to_bytes(4, "big")) for number in (first, last))
    cover = make_cover([text], (1, 2))
    sizes = [1 << 32 - int(part.partition("/")[2] or 32) for part in cover.four]
    assert sum(sizes) == last - first + 1
    for number in (first, last, first - 1, last + 1):
        if 0 <= number < 2**32:
            assert cover.holds(socket.inet_ntoa(number.to_bytes(4, "big"))) is (first <= number <= last)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "10.0.0.1; flush ruleset",
        "10.0.0.1/33",
        "::/129",
        "10.0.0.2-10.0.0.1",
        "1.2.3.4-::1",
        "0.0.0.0/0",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(GuardError):
        make_cover([text], (1, 2))


@pytest.mark.parametrize("ports", [(0, 5), (5, 4), (1, 65536), (-1, 5)])
def test_what_is_no_range_of_ports(ports: tuple[int, int]) -> None:
    with pytest.raises(GuardError):
        make_cover([BOX], ports)


@pytest.mark.parametrize("name", ["", "no such", 'x"; flush', "x" * 16, "../etc", "x\n"])
def test_what_is_no_interface(name: str) -> None:
    with pytest.raises(GuardError, match="no network interface"):
        make_cover([BOX], (1, 2), name)


def test_a_name_of_a_process_may_be_any_bytes() -> None:
    with oddly_named() as process:
        assert tablenames._inner_pid(str(process.pid)) == process.pid


def test_a_mapped_prefix_is_one_of_ipv4() -> None:
    assert make_cover(["::ffff:192.0.2.0/126", "::ffff:192.0.2.9"], (1, 2)).four == (
        "192.0.2.0/30", "192.0.2.9",
    )  # fmt: skip
    assert spans("::ffff:0:0/97") == ["0.0.0.0/1"]
    with pytest.raises(GuardError):
        canonical("::ffff:0:0/96")


FOREIGN = """\
-P OUTPUT ACCEPT
-A OUTPUT -m comment --comment ""
-A OUTPUT -m comment --comment "not --comment" -j ACCEPT
-A OUTPUT -p tcp -m comment --comment {name} -j DROP
"""


@pytest.mark.parametrize("name", ["lzr_manual_1_2", '"lzr_manual_1_2"'])
def test_rules_of_others_are_passed_over(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(iptables, "run", lambda words: FOREIGN.format(name=name) if "OUTPUT" in words else "")
    guards = iptables.Iptables("iptables")
    guards.six = None
    assert guards.names() == ["lzr_manual_1_2"]
    listed = guards.listing("lzr_manual_1_2", make_cover([], (1, 2)), ("resets",))
    assert listed.splitlines() == FOREIGN.format(name=name).splitlines()[3:]


WITHOUT_JSON = """\
table inet lzr_manual_2_3 {
    set four {
        type ipv4_addr
        flags interval
        elements = { 10.0.0.0-10.0.0.6, 10.1.2.3,
                 10.1.2.4/31 }
    }

    set six {
        type ipv6_addr
    }

    chain resets {
        type filter hook output priority raw; policy accept;
        meta skuid != 4294967295 accept
        tcp sport 2-3 tcp flags & rst == rst oifname != "lo" counter packets 5 bytes 200 drop
        tcp sport 2-3 tcp flags & rst == rst ip saddr @four counter packets 2 bytes 80 drop
    }

    chain orphans {
        counter packets 4 bytes 160 drop
    }

    chain unclaimed {
        type filter hook input priority raw; policy accept;
    }
}
"""


def test_a_guard_is_described_by_an_nft_without_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(words: list[str], text: str = "") -> str:
        if "-j" in words:
            raise ToolError("JSON support not compiled-in", forbidden=False)
        if "tables" in words:
            return "table inet lzr_manual_2_3\ntable inet lzr_manual_4_5\n"
        if words[-1] == "lzr_manual_4_5" and not gone:
            raise ToolError("Error: it is odd", forbidden=False)
        return WITHOUT_JSON

    gone = True
    monkeypatch.setattr(nft, "run", run)
    seen = nft.Nft("nft").standing()[0]
    assert seen.addresses == ("10.0.0.0/30", "10.0.0.4/31", "10.0.0.6", "10.1.2.3", "10.1.2.4/31")
    assert (seen.ports, seen.mode, seen.wide, seen.resets, seen.segments) == ((2, 3), "auto", True, 7, 4)
    gone = False
    with pytest.raises(ToolError, match="odd"):
        nft.Nft("nft").standing()
