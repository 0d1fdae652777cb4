"""Runs a classic-BPF program as the kernel would, for the tests."""

from __future__ import annotations

import operator
import struct

ARITHMETIC = {
    0x00: operator.add,
    0x20: operator.mul,
    0x50: operator.and_,
    0x60: operator.lshift,
    0x70: operator.rshift,
    0xA0: operator.xor,
}
TESTS = {0x10: operator.eq, 0x20: operator.gt, 0x30: operator.ge, 0x40: operator.and_}


def run_bpf(program: bytes, packet: bytes) -> int:
    """What the kernel makes of a classic-BPF program (linux/filter.h) and a packet, network header first."""
    code = [struct.unpack("=HBBI", program[at : at + 8]) for at in range(0, len(program), 8)]
    a = x = at = 0
    memory = [0] * 16

    def load(offset: int, size: int) -> int | None:
        if offset == 0xFFFFF000:
            return {4: 0x0800, 6: 0x86DD}.get(packet[0] >> 4, 0) if packet else 0
        start = (offset & 0xFFFFFFFF) - 0xFFF00000
        assert start >= 0, "not relative to the network header"
        data = packet[start : start + size]
        return int.from_bytes(data, "big") if len(data) == size else None

    sizes = {0x00: 4, 0x08: 2, 0x10: 1}
    for _ in range(4 * len(code)):
        op, jt, jf, k = code[at]
        at += 1
        kind, mode = op & 7, op & 0xE0
        if kind == 0 and mode in (0x20, 0x40):
            value = load(k + (x if mode == 0x40 else 0), sizes[op & 0x18])
            if value is None:
                return 0  # a load beyond the packet drops it
            a = value
        elif op in (0x00, 0x60):
            a = k if op == 0x00 else memory[k]
        elif op in (0x01, 0x61):
            x = k if op == 0x01 else memory[k]
        elif op == 0xB1:
            value = load(k, 1)
            if value is None:
                return 0
            x = (value & 15) * 4
        elif op in (0x02, 0x03):
            memory[k] = a if op == 0x02 else x
        elif kind == 4:
            operand = x if op & 8 else k
            a = ARITHMETIC[op & 0xF0](a, operand) & 0xFFFFFFFF
        elif op == 0x05:
            at += k
        elif kind == 5:
            operand = x if op & 8 else k
            at += jt if TESTS[op & 0xF0](a, operand) else jf
        elif op in (0x07, 0x87):
            a, x = (a, a) if op == 0x07 else (x, x)
        elif kind == 6:
            return a if op == 0x16 else k
        else:
            raise AssertionError(f"unknown instruction {op:#x}")
    raise AssertionError("it does not end")
