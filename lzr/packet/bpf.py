"""Classic BPF (linux/filter.h, linux/bpf_common.h): its instructions, and an assembler for programs.
Our programs, a shard's share of the 4-tuples among them, are in `lzr.packet.bpfprograms`.
"""

from __future__ import annotations

import struct

LD_W_ABS, LD_H_ABS, LD_B_ABS = 0x20, 0x28, 0x30
LD_W_IND, LD_H_IND, LD_B_IND = 0x40, 0x48, 0x50
LDX_IMM, LDX_MSH, LDX_MEM, LD_MEM, LD_IMM = 0x01, 0xB1, 0x61, 0x60, 0x00
ST, STX, TAX, TXA = 0x02, 0x03, 0x07, 0x87
ADD_K, ADD_X, MUL_K, XOR_K, XOR_X, RSH_K, LSH_K, AND_K = (
    0x04,
    0x0C,
    0x24,
    0xA4,
    0xAC,
    0x74,
    0x64,
    0x54,
)
JA, JEQ, JGT, JGE, JSET, JEQ_X = 0x05, 0x15, 0x25, 0x35, 0x45, 0x1D
RET_A, RET_K = 0x16, 0x06


class Program:
    """A classic-BPF program under construction; labels are resolved at the end."""

    def __init__(self) -> None:
        self.code: list[tuple[int, str | int, str | int, int]] = []
        self.labels: dict[str, int] = {}

    def op(self, code: int, k: int = 0) -> None:
        """Append an instruction without a jump."""
        self.code.append((code, 0, 0, k & 0xFFFFFFFF))

    def jump(self, code: int, k: int, then: str | int = 0, otherwise: str | int = 0) -> None:
        """Append a conditional jump; then, otherwise: a label, or how many instructions to skip."""
        self.code.append((code, then, otherwise, k & 0xFFFFFFFF))

    def label(self, name: str) -> None:
        """Name the place of the next instruction."""
        self.labels[name] = len(self.code)

    def assemble(self) -> bytes:
        """struct sock_filter[]: u16 code, u8 jt, u8 jf, u32 k."""
        out = bytearray()
        for at, (code, then, otherwise, k) in enumerate(self.code):
            target = {t: self.labels[t] - at - 1 if isinstance(t, str) else t for t in (then, otherwise)}
            if code == JA:
                out += struct.pack("=HBBI", code, 0, 0, target[then])
            else:
                out += struct.pack("=HBBI", code, target[then], target[otherwise], k)
        return bytes(out)
