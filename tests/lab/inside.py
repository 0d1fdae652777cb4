"""Has another process make calls of the C library, as if its own code had been taken over (ptrace(2)).

The main thread is stopped, each call is made on its stack below what it uses, and all its registers are as
before when it goes on; its other threads are left alone. No debugger is needed: one that is older than the
processor may not be able to write the registers it does not know.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_GETREGSET, _SETREGSET = 0x4204, 0x4205
_CONT, _ATTACH, _DETACH = 7, 16, 17
_GENERAL = 1  # NT_PRSTATUS
_OTHERS = {"x86_64": 0x202, "aarch64": 2}  # NT_X86_XSTATE, NT_PRFPREG: vector and floating-point registers
_WALL = 0x40000000  # __WALL
_RED_ZONE = 4096  # bytes below the stack pointer that are left alone; the ABI of x86-64 says 128
_ROOM = 1 << 14  # bytes for texts and structures

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long

Argument = int | str | bytes | Path


@dataclass(frozen=True)
class Call:
    """A function of the C library and at most six arguments: a number; a path or text, whose address is
    given; bytes likewise; the name of something prepared, which begins with a $."""

    name: str
    arguments: tuple[Argument, ...]


def call(name: str, *arguments: Argument) -> Call:
    return Call(name, arguments)


def asked(
    pid: int, calls: Mapping[str, Call], prepare: Mapping[str, Call | int | bytes | str] | None = None
) -> dict[str, tuple[int, int]]:
    """Has a process make these calls, one after the other: what each returned (an int of C), and errno.

    prepare: what stands behind a name with a $, in order: a number, what a call returns, or the address of
    bytes or of what another name stands for.
    """
    with _Inside.of(pid) as inside:
        for name, what in (prepare or {}).items():
            inside.names[name] = inside.value(what) if not isinstance(what, Call) else inside.make(what)
        found = {}
        for name, one in calls.items():
            result = inside.make(one)
            found[name] = ctypes.c_int(result & 0xFFFFFFFF).value, inside.errno()
        return found


class _Inside:
    def __init__(self, pid: int) -> None:
        self.names: dict[str, int] = {}
        self._pid = pid
        self._library = _base(pid) - _base(os.getpid())
        self._before = self._registers(_GENERAL)
        self._vectors = self._registers(_OTHERS[os.uname().machine])
        self._used = 0
        self._room = 0
        self._room = self.make(call("calloc", 1, _ROOM))
        self._errno_at = self.make(call("__errno_location"))
        assert self._room > 0
        assert self._errno_at > 0

    @classmethod
    @contextmanager
    def of(cls, pid: int) -> Iterator[_Inside]:
        _ptrace(_ATTACH, pid)
        inside = None
        try:
            assert _stopped(pid) == signal.SIGSTOP
            inside = cls(pid)
            yield inside
        finally:
            if inside is not None:
                inside._restore()
            _ptrace(_DETACH, pid)

    def value(self, what: Argument) -> int:
        if isinstance(what, int):
            return what
        if isinstance(what, str) and what.startswith("$"):
            return self.names[what]
        data = what if isinstance(what, bytes) else os.fsencode(what) + b"\0"
        place = self._room + self._used
        self._used += (len(data) + 15) // 16 * 16
        assert self._used <= _ROOM
        with open(f"/proc/{self._pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(place)
            assert memory.write(data) == len(data)
        return place

    def errno(self) -> int:
        with open(f"/proc/{self._pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self._errno_at)
            return int.from_bytes(memory.read(4), "little")

    def make(self, what: Call) -> int:
        """What a call returns. It returns to address 0, and the fault there is how we know."""
        kept = self._used
        given = [self.value(argument) & 0xFFFFFFFFFFFFFFFF for argument in what.arguments]
        function = ctypes.cast(getattr(_libc, what.name), ctypes.c_void_p).value
        assert function is not None
        set_up, result = (_x86_64, 10) if os.uname().machine == "x86_64" else (_aarch64, 0)
        registers = list(struct.unpack(f"<{len(self._before) // 8}Q", self._before))
        stack = set_up(registers, function + self._library, given)
        if stack is not None:
            with open(f"/proc/{self._pid}/mem", "r+b", buffering=0) as memory:
                memory.seek(stack)
                memory.write(bytes(8))
        self._set(_GENERAL, struct.pack(f"<{len(registers)}Q", *registers))
        _ptrace(_CONT, self._pid)
        while (number := _stopped(self._pid)) != signal.SIGSEGV:
            _ptrace(_CONT, self._pid, number)
        after = struct.unpack(f"<{len(self._before) // 8}Q", self._registers(_GENERAL))
        assert after[16 if set_up is _x86_64 else 32] == 0, f"{what.name} faulted"
        self._used = kept if what.name != "calloc" else self._used
        return int.from_bytes(after[result].to_bytes(8, "little"), "little", signed=True)

    def _restore(self) -> None:
        self._set(_GENERAL, self._before)
        self._set(_OTHERS[os.uname().machine], self._vectors)

    def _registers(self, kind: int) -> bytes:
        space = ctypes.create_string_buffer(1 << 16)
        vector = (ctypes.c_size_t * 2)(ctypes.addressof(space), len(space))
        _ptrace(_GETREGSET, self._pid, ctypes.addressof(vector), kind)
        return space.raw[: vector[1]]

    def _set(self, kind: int, data: bytes) -> None:
        space = ctypes.create_string_buffer(data, len(data))
        vector = (ctypes.c_size_t * 2)(ctypes.addressof(space), len(data))
        _ptrace(_SETREGSET, self._pid, ctypes.addressof(vector), kind)


def _x86_64(registers: list[int], function: int, given: list[int]) -> int | None:
    """Registers as struct user_regs_struct has them. Returns where the address to return to stands."""
    r9, r8, rax, rcx, rdx, rsi, rdi, original, rip, rsp = 8, 9, 10, 11, 12, 13, 14, 15, 16, 19
    for place, value in zip((rdi, rsi, rdx, rcx, r8, r9), given, strict=False):
        registers[place] = value
    registers[7] = given[3] if len(given) > 3 else 0  # r10, for who calls the kernel by himself
    registers[rax] = 0  # no vector registers among the arguments of a variadic function
    registers[original] = 2**64 - 1  # or the kernel would begin the call of the system anew that it was in
    registers[rip] = function
    registers[rsp] = ((registers[rsp] - _RED_ZONE) & ~15) - 8
    return registers[rsp]


def _aarch64(registers: list[int], function: int, given: list[int]) -> int | None:
    """Registers as struct user_pt_regs has them: x0-x30, sp, pc, pstate."""
    registers[: len(given)] = given
    registers[30] = 0
    registers[31] = (registers[31] - _RED_ZONE) & ~15
    registers[32] = function
    return None


def _base(pid: int) -> int:
    """Where the C library begins in a process."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if line.rpartition("/")[2].startswith("libc.so") or line.rpartition("/")[2].startswith("libc-"):
            return int(line.partition("-")[0], 16)
    raise AssertionError(f"process {pid} has no C library")


def _stopped(pid: int) -> int:
    """Waits until it has stopped; the signal."""
    _, status = os.waitpid(pid, _WALL)
    assert os.WIFSTOPPED(status), f"it has ended: {status:#x}"
    return os.WSTOPSIG(status)


def _ptrace(request: int, pid: int, data: int = 0, address: int = 0) -> None:
    if _libc.ptrace(request, pid, address or None, data or None) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
