"""Compressed bytes into plain ones: gzip, bzip2, xz and zstd, known by their first bytes.

What goes in may be hostile, so no call gives more than some megabytes however small its input, and
what is damaged or cut short is said in a sentence while everything before it is given. Several compressed
members one after the other (``cat a.gz b.gz``) are one text, as their own tools have it.

zstd is read by Python itself since 3.14, before that by the package ``zstandard``, which need not be there.
"""

from __future__ import annotations

from typing import Any, Protocol

MAGICS: dict[str, bytes] = {
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
}
"""How each begins: RFC 1952 §2.3.1, bzip2's file format, the .xz file format §2.1.1.1, RFC 8878 §3.1.1."""

MOST = 1 << 22
"""About how many bytes one `read` gives at most."""

_SKIPPED = frozenset(bytes((0x50 + number,)) + b"\x2a\x4d\x18" for number in range(16))
"""How frames begin that hold nothing of the text (RFC 8878 §3.1.2); pzstd puts one before each frame."""
_ZSTD_STEP = 128  # bytes taken at once: a block of 4 bytes may stand for 128 KiB (RFC 8878 §3.1.1.2.4)
_ZSTD_WINDOW = 1 << 27  # what `zstd --long` writes, and no more memory than that
_ZSTD_HEADER = 18  # bytes of the longest header of a frame (RFC 8878 §3.1.1.1)


class NotHere(Exception):
    """This Python cannot read that format; the sentence says what to do."""


class _Decoder(Protocol):
    """One interface over the decoders of zlib, bz2 and lzma, which differ."""

    eof: bool

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """(plain bytes, what is left of `data`); nothing is left unless much came out or the member ended."""


class _Zlib:
    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(31)  # a gzip header and trailer
        self.eof = False

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        plain = self._inner.decompress(data, MOST)
        self.eof = self._inner.eof
        return plain, self._inner.unused_data if self.eof else self._inner.unconsumed_tail


class _Bounded:
    """bz2, lzma, and zstd from Python 3.14 on: the decoder itself keeps output that was not taken yet."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.eof = False

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Some of what comes out, after these bytes."""
        parts = [self._inner.decompress(data, MOST)]
        while not self._inner.eof and not self._inner.needs_input and len(parts[-1]):
            parts.append(self._inner.decompress(b"", MOST))
            if sum(map(len, parts)) > MOST:
                break
        self.eof = self._inner.eof
        return b"".join(parts), self._inner.unused_data if self.eof else b""

    @property
    def more(self) -> bool:
        """Whether there is output that needs no further input."""
        return not self._inner.eof and not self._inner.needs_input


class _Zstandard:
    def __init__(self, package: Any) -> None:
        self._inner = package.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        self.eof = False

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Some of what comes out, after these bytes."""
        parts, size, at = [], 0, 0
        while at < len(data) and size < MOST:
            parts.append(self._inner.decompress(data[at : at + _ZSTD_STEP]))
            size += len(parts[-1])
            at += _ZSTD_STEP
            if self._inner.eof:
                self.eof = True
                return b"".join(parts), self._inner.unused_data + data[at:]
        return b"".join(parts), data[at:]


def _decoder(form: str) -> _Decoder:
    """Raises NotHere."""
    try:
        if form == "gzip":
            return _Zlib()
        if form == "bzip2":
            import bz2

            return _Bounded(bz2.BZ2Decompressor())
        if form == "xz":
            import lzma

            return _Bounded(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << 28))
    except ImportError as error:
        raise NotHere(
            f"{_lacks(error, f'this Python cannot read {form}')}; decompress it: {form} -dc FILE | lzr ..."
        ) from None
    return _zstd()


def _lacks(error: ImportError, missing: str) -> str:
    """`missing`, or that what is there cannot be loaded, for which memory is the usual reason."""
    if isinstance(error, ModuleNotFoundError):
        return missing
    return "what decompresses it cannot be loaded: is there memory enough (ulimit -v)?"


def _zstd() -> _Decoder:
    try:
        from compression import zstd

        options = {zstd.DecompressionParameter.window_log_max: 27}
        return _Bounded(zstd.ZstdDecompressor(options=options))
    except ImportError:
        pass
    try:
        import zstandard
    except ImportError as error:
        lacks = _lacks(error, "zstd needs the Python package zstandard (pip install zstandard)")
        raise NotHere(f"{lacks}; or decompress it: zstd -dc FILE | lzr ...") from None
    return _Zstandard(zstandard)


def zstd_window(head: bytes) -> int:
    """Bytes that must be held to read a zstd frame that begins with these bytes (RFC 8878 §3.1.1.1); 0 where
    they do not say it."""
    if not head.startswith(MAGICS["zstd"]) or len(head) < 6:
        return 0
    descriptor = head[4]
    if not descriptor & 0x20:
        exponent, mantissa = head[5] >> 3, head[5] & 7
        return (1 << 10 + exponent) // 8 * (8 + mantissa)
    # One segment: all of the frame is held, whose size stands behind the number of the dictionary.
    at, size = 5 + (0, 1, 2, 4)[descriptor & 3], (1, 2, 4, 8)[descriptor >> 6]
    if len(head) < at + size:
        return 0
    return int.from_bytes(head[at : at + size], "little") + (256 if size == 2 else 0)


def compression(head: bytes) -> str:
    """The name of the compression that bytes begin with; empty: none."""
    if head[:4] in _SKIPPED:
        return "zstd"
    return next((form for form, magic in MAGICS.items() if head.startswith(magic)), "")


def may_begin(head: bytes) -> bool:
    """Whether more bytes have to be seen to tell whether these begin compressed data."""
    return any(len(head) < len(start) and start.startswith(head) for start in (*MAGICS.values(), *_SKIPPED))


class Decompressor:
    """Feed it bytes; `read` gives what comes out, a piece at a time. When it gives nothing it needs more
    input.

    trouble: a sentence, once the input turns out to be damaged; nothing more comes out then.
    """

    def __init__(self, form: str) -> None:
        """form: one of MAGICS. Raises NotHere."""
        self.form = form
        self.trouble = ""
        self._decoder = _decoder(form)
        self._left = b""
        self._head = b""  # how the member begins
        self._between = False  # a member has ended; another may begin

    @property
    def pending(self) -> bool:
        """Whether `read` may give something without more input."""
        return not self.trouble and (bool(self._left) or bool(getattr(self._decoder, "more", False)))

    def feed(self, data: bytes) -> None:
        self._left += data

    def read(self) -> bytes:
        """Plain bytes, some megabytes at most; empty when more input is needed."""
        while self.pending:
            if self._between and not self._begin():
                return b""
            data, self._left = self._left, b""
            self._head += data[: _ZSTD_HEADER - len(self._head)]
            try:
                plain, self._left = self._decoder.take(data)
            except Exception as error:  # each library has errors of its own, and MemoryError is one here
                if isinstance(error, AssertionError):
                    raise
                self.trouble = self._why()
                self._left = b""
                return b""
            self._between = self._decoder.eof
            if plain:
                return plain
        return b""

    def finish(self) -> None:
        """The input has ended: sets `trouble` if that was in the middle of something."""
        if self._between:
            self._begin(last=True)
        elif not self.trouble and not self._decoder.eof:
            self.trouble = f"the {self.form} data is cut short"

    def _begin(self, *, last: bool = False) -> bool:
        """Whether another compressed member begins. Zeros that pad a file are passed over."""
        self._left = self._left.lstrip(b"\0")
        starts = (MAGICS[self.form], *(_SKIPPED if self.form == "zstd" else ()))
        short = any(len(self._left) < len(start) and start.startswith(self._left) for start in starts)
        if not self._left or (short and not last):
            return False
        if not self._left.startswith(starts):
            self.trouble = f"what follows the {self.form} data is something else"
            self._left = b""
            return False
        self._decoder = _decoder(self.form)
        self._head = b""
        self._between = False
        return True

    def _why(self) -> str:
        """What is wrong with data that the decoder does not take."""
        window = zstd_window(self._head) if self.form == "zstd" else 0
        if not _ZSTD_WINDOW < window <= 1 << 31:  # zstd itself writes no larger one
            return f"the {self.form} data is damaged"
        return (
            f"the zstd data wants a window of {window / (1 << 20):,.0f} MiB, and {_ZSTD_WINDOW >> 20} MiB "
            "are held at most: zstd -dc --long=31 FILE | lzr ... reads it"
        )
