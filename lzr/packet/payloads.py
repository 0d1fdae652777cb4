"""Renders probes: the bytes that each flow sends, for a whole batch at once.

A probe is constant but for a few parts (the peer's address, random bytes). Rows whose variable parts have the
same width share one layout, so rendering means: broadcast the constant, then write the variable columns. The
random parts come from the flow's nonce, so a retransmit carries the same bytes as the first try. They hold no
LF and no CR: whether a server that reads lines answers does not hang on chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr import addresses
from lzr.kernels import NATIVE, in_c
from lzr.packet.sharding import layout, mix64
from lzr.protocols._protocol import Address, Host, Part, Random
from lzr.rows import distinct

Bytes = NDArray[np.uint8]

_DIGITS = np.zeros((256, 3), np.uint8)
_DIGIT_COUNT = np.zeros(256, np.int64)
for _n in range(256):
    _DIGITS[_n, : len(str(_n))] = np.frombuffer(str(_n).encode(), np.uint8)
    _DIGIT_COUNT[_n] = len(str(_n))


@dataclass(frozen=True)
class ProbeTemplate:
    """One handshake's probe, ready to be rendered."""

    parts: tuple[Part, ...]
    constant: Bytes | None = field(init=False)
    fixed_length: int | None = field(init=False)
    """The probe's length for every peer, or None where it depends on the peer's address."""
    program: bytes = field(init=False)
    """The parts as the kernel in C reads them: for each part a byte for its kind, then its arguments."""

    def __post_init__(self) -> None:
        fixed = all(isinstance(part, bytes) for part in self.parts)
        joined = b"".join(part for part in self.parts if isinstance(part, bytes))
        object.__setattr__(self, "constant", np.frombuffer(joined, np.uint8) if fixed else None)
        varies = any(isinstance(part, Host | Address) for part in self.parts)
        size = sum(part.size for part in self.parts if isinstance(part, Random))
        object.__setattr__(self, "fixed_length", None if varies else len(joined) + size)
        object.__setattr__(self, "program", b"".join(map(_instruction, self.parts)))

    def _native_lengths(self, rows: NDArray[Any]) -> NDArray[np.uint32]:
        if self.constant is not None:
            return np.full(len(rows), len(self.constant), np.uint32)
        lengths = np.empty(len(rows), np.uint32)
        rows = np.ascontiguousarray(rows)
        NATIVE.probe_lengths(rows, *layout(rows.dtype), self.program, lengths)
        return lengths

    @in_c(_native_lengths)
    def lengths(self, rows: NDArray[Any]) -> NDArray[np.uint32]:
        """(n,) uint32: bytes the probe has for each of rows (fields peer_hi, peer_lo, peer_port)."""
        if self.constant is not None:
            return np.full(len(rows), len(self.constant), np.uint32)
        total = sum(
            len(part) if isinstance(part, bytes) else part.size
            for part in self.parts
            if isinstance(part, bytes | Random)
        )
        lengths = np.full(len(rows), total, np.uint32)
        for part in self.parts:
            if isinstance(part, Host | Address):
                lengths += _text_lengths(rows, isinstance(part, Host))
        return lengths

    def render(self, rows: NDArray[Any]) -> Iterator[tuple[NDArray[np.intp] | None, Bytes]]:
        """Yield (indices or None for all, (m, length) uint8) until every row is rendered.

        rows: FRAME rows (peer_hi, peer_lo, peer_port, nonce).
        """
        if self.constant is not None:
            yield None, np.broadcast_to(self.constant, (len(rows), len(self.constant)))
            return
        lengths = self.lengths(rows)
        different = distinct(lengths)
        # Several variable texts of different widths could share a total; one text is the rule.
        for length in different:
            indices = np.flatnonzero(lengths == length) if len(different) > 1 else None
            group = rows if indices is None else rows[indices]
            yield indices, self._render_group(group, int(length))

    def _render_group(self, rows: NDArray[Any], length: int) -> Bytes:
        out = np.empty((len(rows), length), np.uint8)
        at: NDArray[np.int64] | int = 0
        salt = 0
        for part in self.parts:
            if isinstance(part, bytes):
                chunk = np.broadcast_to(np.frombuffer(part, np.uint8), (len(rows), len(part)))
                width: NDArray[np.int64] | int = len(part)
            elif isinstance(part, Random):
                words = -(-part.size // 8)
                salted = rows["nonce"][:, None] + np.arange(salt + 1, salt + words + 1, dtype=np.uint64)
                chunk = mix64(salted).astype("<u8").view(np.uint8)[:, : part.size]
                chunk += (chunk == ord("\n")) | (chunk == ord("\r"))
                salt += words
                width = part.size
            else:
                chunk, widths = _texts(rows, isinstance(part, Host))
                width = int(widths[0]) if (widths == widths[0]).all() else widths
            if isinstance(at, int) and isinstance(width, int):
                out[:, at : at + width] = chunk[:, :width]
            else:
                _scatter(out, chunk, at, width)
            at = at + width
        return out


def _instruction(part: Part) -> bytes:
    if isinstance(part, bytes):
        return b"\0" + len(part).to_bytes(4, "little") + part
    if isinstance(part, Random):
        return b"\3" + part.size.to_bytes(4, "little")
    return b"\1" if isinstance(part, Host) else b"\2"


def _scatter(out: Bytes, chunk: Bytes, at: NDArray[np.int64] | int, width: NDArray[np.int64] | int) -> None:
    columns = np.arange(chunk.shape[1])
    keep = columns < np.broadcast_to(np.asarray(width), len(out))[:, None]
    where = np.broadcast_to(np.asarray(at), len(out))[:, None] + columns
    row = np.broadcast_to(np.arange(len(out))[:, None], where.shape)
    out[row[keep], where[keep]] = chunk[keep]


def _text_lengths(rows: NDArray[Any], with_port: bool) -> NDArray[np.uint32]:
    if not _all_v4(rows):
        return _texts(rows, with_port)[1].astype(np.uint32)
    v4 = rows["peer_lo"].astype(np.uint32)
    count = np.full(len(rows), 3, np.int64)
    for shift in (24, 16, 8, 0):
        count += _DIGIT_COUNT[(v4 >> np.uint32(shift)) & np.uint32(255)]
    if with_port:
        port = rows["peer_port"].astype(np.int64)
        digits = 1 + (port >= 10) + (port >= 100) + (port >= 1000) + (port >= 10000)
        count += np.where(port == 80, 0, digits + 1)
    return count.astype(np.uint32)


def _all_v4(rows: NDArray[Any]) -> bool:
    return not rows["peer_hi"].any() and bool((rows["peer_lo"] >> np.uint64(32) == 0xFFFF).all())


def _texts(rows: NDArray[Any], with_port: bool) -> tuple[Bytes, NDArray[np.int64]]:
    """Each peer as text: (n, width) uint8, left-aligned, and (n,) lengths."""
    if _all_v4(rows):
        return _texts_v4(rows, with_port)
    texts = []
    for hi, lo, port in zip(
        rows["peer_hi"].tolist(), rows["peer_lo"].tolist(), rows["peer_port"].tolist(), strict=True
    ):
        text = addresses.text(hi, lo)
        if with_port:
            text = text if addresses.is_v4(hi, lo) else f"[{text}]"
            text = text if port == 80 else f"{text}:{port}"
        texts.append(text.encode())
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    width = int(lengths.max(initial=0))
    joined = b"".join(text.ljust(width, b"\0") for text in texts)
    return np.frombuffer(joined, np.uint8).reshape(len(texts), width), lengths


def _texts_v4(rows: NDArray[Any], with_port: bool) -> tuple[Bytes, NDArray[np.int64]]:
    n = len(rows)
    v4 = rows["peer_lo"].astype(np.uint32)
    out = np.zeros((n, 23), np.uint8)  # 21 bytes at most; a field writes three wide and is overwritten
    row = np.arange(n)
    at = np.zeros(n, np.int64)
    for shift in (24, 16, 8, 0):
        octet = (v4 >> np.uint32(shift)) & np.uint32(255)
        digits = _DIGITS[octet]
        for k in range(3):
            out[row, at + k] = digits[:, k]
        at += _DIGIT_COUNT[octet]
        if shift:
            out[row, at] = 0x2E
            at += 1
    if with_port:
        port = rows["peer_port"].astype(np.int64)
        shown = port != 80
        out[row[shown], at[shown]] = 0x3A
        at += shown
        started = np.zeros(n, bool)
        for power in (10000, 1000, 100, 10, 1):
            digit = port // power % 10
            started |= (digit > 0) | (power == 1)
            write = shown & started
            out[row[write], at[write]] = 0x30 + digit[write]
            at += write
    return out, at
