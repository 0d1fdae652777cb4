"""The filter of system calls, in a machine of our own that runs it; the kernel's is in `test_confinement`."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from lzr import syscalls
from lzr.syscalls import (
    ALLOW,
    ALLOWED,
    AND,
    ARCHITECTURES,
    JUMP,
    JUMP_EQUAL,
    KILL,
    LOAD,
    REFUSE,
    RETURN,
    Limits,
    program,
    scheduling,
    sending,
)
from tests.conftest import cannot_run

REFUSED = REFUSE | errno.EPERM


def verdict(
    machine: str,
    number: int,
    *arguments: int,
    architecture: int | None = None,
    more: dict[str, Limits] | None = None,
) -> int:
    """What the program returns for a call, as the kernel runs it."""
    padded = (*arguments, *[0] * 6)[:6]
    audit = ARCHITECTURES[machine][0] if architecture is None else architecture
    data = struct.pack("=iIQ6Q", number, audit, 0x1234, *padded)
    code = program(machine, more)
    assert code is not None
    lines = list(struct.iter_unpack("=HBBI", code))
    at = accumulator = 0
    while True:
        operation, then, otherwise, k = lines[at]
        at += 1
        match operation:
            case syscalls.LOAD:
                (accumulator,) = struct.unpack_from("=I", data, k)
            case syscalls.AND:
                accumulator &= k
            case syscalls.JUMP:
                at += k
            case syscalls.JUMP_EQUAL:
                at += then if accumulator == k else otherwise
            case syscalls.RETURN:
                return int(k)


@pytest.fixture(params=sorted(ARCHITECTURES))
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def call(machine: str, name: str, *arguments: int) -> int:
    return verdict(machine, ARCHITECTURES[machine][1][name], *arguments)


def test_the_program_is_one_that_the_kernel_takes(machine: str) -> None:
    code = program(machine)
    assert code is not None
    lines = list(struct.iter_unpack("=HBBI", code))
    assert len(lines) < 4096
    for at, (operation, then, otherwise, k) in enumerate(lines):
        assert operation in (LOAD, AND, JUMP, JUMP_EQUAL, RETURN)
        if operation == LOAD:
            assert k % 4 == 0
            assert k < 64
        if operation == JUMP_EQUAL:
            assert at + max(then, otherwise) + 1 < len(lines)
    assert lines[-1][0] == RETURN


def test_every_number_that_is_not_listed_is_refused(machine: str) -> None:
    numbers = ARCHITECTURES[machine][1]
    listed = {numbers[name] for name in ALLOWED if name in numbers}
    for number in range(1024):
        if number not in listed | {numbers["clone3"]}:
            assert verdict(machine, number) == REFUSED
        assert verdict(machine, number | 0x40000000) == REFUSED, "x32"
    assert verdict(machine, -1) == REFUSED
    assert call(machine, "clone3") == REFUSE | errno.ENOSYS


def test_the_calls_of_another_machine_kill(machine: str) -> None:
    assert verdict(machine, 1, architecture=0x40000003) == KILL  # int 0x80 on x86_64: other numbers


def test_what_is_allowed_whatever_is_asked(machine: str) -> None:
    numbers = ARCHITECTURES[machine][1]
    for name, only in ALLOWED.items():
        if name in numbers and not only:
            assert verdict(machine, numbers[name], *[0xFFFFFFFFFFFFFFFF] * 6) == ALLOW


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        (
            "socket",
            [(1, 1, 0), (1, 0o2000001, 0)],
            [(2, 1, 0), (10, 2, 0), (17, 3, 768), (1, 2, 0), (1, 5, 0)],
        ),
        ("clone", [(0x3D0F00,)], [(0x11,), (0x1200011,), (0x10000011 - 0x11,), (0x4000,)]),
        (
            "mmap",
            [(0, 4096, 3, 0x22), (0, 4096, 0, 0x4022), (0, 4096, 3, 0x2001), (0, 4096, 1, 2)],
            [
                *((0, 4096, code, 0x22) for code in (7, 4, 5)),
                *((0, 4096, 3, memory) for memory in (0x21, 0x23, 0x40022, 0x40001)),
            ],
        ),
        ("mprotect", [(0, 4096, 3)], [(0, 4096, 5)]),
        ("fcntl", [(5, 3), (5, 4, 0o4000), (5, 1030)], [(5, 6), (5, 8, 1), (5, 10), (5, 1026), (5, 1032)]),
        ("sendto", [(5, 1, 9, 0, 0, 0)], [(5, 1, 9, 0, 4096, 20), (5, 1, 9, 0, 1 << 32, 20)]),
        ("prctl", [(15,)], [(1, 0), (4, 1), (22,), (38,), (1499557217, 0xFFFFFFFFFFFFFFFF)]),
        ("sched_setscheduler", [(0, 0)], [(0, 1), (0, 2)]),
        ("newfstatat", [(5, 4096, 0, 0x1000)], [(0xFFFFFF9C, 4096, 0, 0), (5, 4096, 0, 0x100)]),
    ],
)
def test_arguments(
    machine: str, name: str, allowed: list[tuple[int, ...]], refused: list[tuple[int, ...]]
) -> None:
    for arguments in allowed:
        assert call(machine, name, *arguments) == ALLOW, arguments
        noise = [number | 0xABCD << 32 if number < 1 << 31 else number for number in arguments]
        if name not in ("sendto", "mmap", "mprotect", "clone"):  # int: the kernel does not look further
            assert call(machine, name, *noise) == ALLOW, noise
    for arguments in refused:
        assert call(machine, name, *arguments) == REFUSED, arguments


def test_what_a_flow_worker_may_besides(machine: str) -> None:
    """Frames by a link, and messages by its raw IP sockets; descriptors go to nobody."""
    numbers = ARCHITECTURES[machine][1]
    more = sending([7, 8])
    for name, allowed, refused in (
        ("sendto", [(5, 0, 0, 64, 4096, 20), (5, 1, 9, 0, 0, 0)], [(5, 1, 9, 0, 4096, 110)]),
        ("sendmsg", [(7, 4096, 64), (8, 4096, 0)], [(1, 4096, 0), (9, 4096, 0)]),
        ("close", [(0,), (6,), (9,), (1 << 20,)], [(7,), (8,), (8 | 1 << 32,)]),
    ):
        for arguments in allowed:
            assert verdict(machine, numbers[name], *arguments, more=more) == ALLOW
        for arguments in refused:
            assert verdict(machine, numbers[name], *arguments, more=more) == REFUSED


@pytest.mark.parametrize("policy", [0, 1, 2, 3, 5])
def test_a_process_may_ask_for_the_scheduling_policy_that_it_has(machine: str, policy: int) -> None:
    number = ARCHITECTURES[machine][1]["sched_setscheduler"]
    for other in (0, 1, 2, 3, 5, 6):
        found = verdict(machine, number, 0, other, more=scheduling(policy))
        assert found == (ALLOW if other == policy else REFUSED)


def test_other_machines_have_none() -> None:
    assert program("riscv64") is None


HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


def test_the_numbers_are_those_of_the_headers(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        cannot_run(f"{header} is not there")
    there = {
        name: int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", header.read_text())
    }
    there |= {"newfstatat": there.get("newfstatat", there.get("fstatat", -1))}
    numbers = ARCHITECTURES[machine][1]
    assert {name: there.get(name) for name in numbers} == numbers
    # What the machine has of the list is in its table; the older calls only x86_64 has.
    missing = [name for name in ALLOWED if name not in numbers]
    assert missing == ([] if machine == "x86_64" else ["poll", "select", "epoll_wait"])
