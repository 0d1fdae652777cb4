"""The RST guard on real kernels: two namespaces, a wire, and the RSTs that do or do not cross it."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.guard import tablenames
from coordinator.guard.firewall import GuardError, ToolError, canonical, make_cover, run, spans
from tests.host_net import (
    BOX,
    ROOT,
)


@given(st.text())
def test_no_name_confuses_the_judge(name: str) -> None:
    tablenames.is_stale(name)
    assert not tablenames.is_ours("lzr_x" + name)


def test_a_tool_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordinator.guard.firewall.TIMEOUT", 0.01)
    with pytest.raises(ToolError, match="no answer"):
        run(["/bin/sleep", "60"])


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
