"""Batches of columns for DuckDB, through the Arrow C stream interface: without copies and without pyarrow.

A batch is made when DuckDB asks for it, so a file of any size goes through in the memory of a few batches.
The buffers are numpy arrays and bytes; they live until DuckDB says that it has done with them.
https://arrow.apache.org/docs/format/CDataInterface.html, https://arrow.apache.org/docs/format/CStreamInterface.html
"""

from __future__ import annotations

import ctypes as c
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Buffer = NDArray[Any] | bytes | None


class Values(NamedTuple):
    """One column of a batch: its buffers as Arrow lays them out, the first of them which values are there."""

    buffers: tuple[Buffer, ...]
    nulls: int


class ColumnBatch(NamedTuple):
    """So many rows, and a `Values` for each column."""

    rows: int
    columns: list[Values]


class _Schema(c.Structure):
    pass


class _Array(c.Structure):
    pass


class _Stream(c.Structure):
    pass


_RELEASE_SCHEMA = c.CFUNCTYPE(None, c.POINTER(_Schema))
_RELEASE_ARRAY = c.CFUNCTYPE(None, c.POINTER(_Array))
_RELEASE_STREAM = c.CFUNCTYPE(None, c.POINTER(_Stream))
_GET_SCHEMA = c.CFUNCTYPE(c.c_int, c.POINTER(_Stream), c.POINTER(_Schema))
_GET_NEXT = c.CFUNCTYPE(c.c_int, c.POINTER(_Stream), c.POINTER(_Array))
_GET_ERROR = c.CFUNCTYPE(c.c_void_p, c.POINTER(_Stream))
_Schema._fields_ = [
    ("format", c.c_char_p),
    ("name", c.c_char_p),
    ("metadata", c.c_char_p),
    ("flags", c.c_int64),
    ("n_children", c.c_int64),
    ("children", c.POINTER(c.POINTER(_Schema))),
    ("dictionary", c.c_void_p),
    ("release", _RELEASE_SCHEMA),
    ("private_data", c.c_void_p),
]
_Array._fields_ = [
    ("length", c.c_int64),
    ("null_count", c.c_int64),
    ("offset", c.c_int64),
    ("n_buffers", c.c_int64),
    ("n_children", c.c_int64),
    ("buffers", c.POINTER(c.c_void_p)),
    ("children", c.POINTER(c.POINTER(_Array))),
    ("dictionary", c.c_void_p),
    ("release", _RELEASE_ARRAY),
    ("private_data", c.c_void_p),
]
_Stream._fields_ = [
    ("get_schema", _GET_SCHEMA),
    ("get_next", _GET_NEXT),
    ("get_last_error", _GET_ERROR),
    ("release", _RELEASE_STREAM),
    ("private_data", c.c_void_p),
]
_NULLABLE = 2
_EIO = 5

_held: dict[int, object] = {}
"""Objects to which exported structures point, by the number in private_data, until they are released."""
_numbers = itertools.count(1)


def _hold(*things: object) -> int:
    number = next(_numbers)
    _held[number] = things
    return number


def _release(struct: Any, none: Any) -> None:
    """A structure and what hangs on it."""
    for at in range(struct.n_children):
        child = struct.children[at]
        if child.contents.release:
            child.contents.release(child)
    number = struct.private_data
    struct.release = none
    _held.pop(number, None)


_release_schema = _RELEASE_SCHEMA(lambda pointer: _release(pointer.contents, _RELEASE_SCHEMA()))
_release_array = _RELEASE_ARRAY(lambda pointer: _release(pointer.contents, _RELEASE_ARRAY()))


def _children(kind: Any, structs: Sequence[Any]) -> Any:
    pointers = (c.POINTER(kind) * max(len(structs), 1))(*(c.pointer(struct) for struct in structs))
    return pointers, c.cast(pointers, c.POINTER(c.POINTER(kind)))


def _schema(struct: Any, form: str, name: str, parts: Sequence[Any] = ()) -> Any:
    texts = form.encode(), name.encode()
    struct.format, struct.name = texts
    struct.flags, struct.n_children = _NULLABLE, len(parts)
    pointers, struct.children = _children(_Schema, parts)
    struct.release, struct.private_data = _release_schema, _hold(texts, parts, pointers)
    return struct


def _array(struct: Any, rows: int, values: Values, parts: Sequence[Any] = ()) -> Any:
    struct.length, struct.null_count, struct.offset = rows, values.nulls, 0
    struct.n_buffers, struct.n_children = len(values.buffers), len(parts)
    places = (c.c_void_p * len(values.buffers))(*map(_address, values.buffers))
    struct.buffers = c.cast(places, c.POINTER(c.c_void_p))
    pointers, struct.children = _children(_Array, parts)
    struct.release, struct.private_data = _release_array, _hold(values, places, parts, pointers)
    return struct


def _address(buffer: Buffer) -> int | None:
    if buffer is None:
        return None
    if isinstance(buffer, bytes):
        return c.cast(c.c_char_p(buffer), c.c_void_p).value
    return int(buffer.ctypes.data)


class ArrowStream:
    """Batches as DuckDB reads them: ``connection.register(name, Stream(...))``, once.

    columns: (name, Arrow format) of each. trouble: what the batches raised; DuckDB can only call it an error.
    """

    def __init__(self, columns: Sequence[tuple[str, str]], batches: Iterator[ColumnBatch]) -> None:
        self.trouble: BaseException | None = None
        self._columns, self._batches = columns, batches
        self._said = c.create_string_buffer(b"the records could not be read")
        self._struct: Any = _Stream()
        self._struct.get_schema = self._get_schema = _GET_SCHEMA(self._give_schema)
        self._struct.get_next = self._get_next = _GET_NEXT(self._give_next)
        self._struct.get_last_error = self._get_error = _GET_ERROR(lambda _: c.addressof(self._said))
        self._struct.release = self._done = _RELEASE_STREAM(self._released)

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        capsule = c.pythonapi.PyCapsule_New
        capsule.restype, capsule.argtypes = c.py_object, [c.c_void_p, c.c_char_p, c.c_void_p]
        return capsule(c.addressof(self._struct), b"arrow_array_stream", None)

    def _released(self, pointer: Any) -> None:
        pointer.contents.release = _RELEASE_STREAM()

    def _give_schema(self, _: Any, into: Any) -> int:
        _schema(into.contents, "+s", "", [_schema(_Schema(), form, name) for name, form in self._columns])
        return 0

    def _give_next(self, _: Any, into: Any) -> int:
        try:
            batch = next(self._batches, None) if self.trouble is None else None
            if batch is None:
                into.contents.release = _RELEASE_ARRAY()
                return 0 if self.trouble is None else _EIO
            parts = [_array(_Array(), batch.rows, values) for values in batch.columns]
            _array(into.contents, batch.rows, Values((None,), 0), parts)
            return 0
        except BaseException as error:
            self.trouble = error  # no exception goes through C
            return _EIO


# --- columns of a batch -------------------------------------------------------------------------------------


def _there(values: Sequence[Any]) -> tuple[NDArray[Any] | None, int]:
    """Which values are there, as bits, and how many are not."""
    nulls = values.count(None)
    if not nulls:
        return None, 0
    return np.packbits(np.array([value is not None for value in values], np.bool_), bitorder="little"), nulls


def nothing(rows: int, form: str) -> Values:
    """A column without a single value."""
    bits = np.zeros(rows // 8 + 1, np.uint8)
    if form in ("u", "z"):
        return Values((bits, np.zeros(rows + 1, np.int32), b""), rows)
    if form == "b":
        return Values((bits, bits), rows)
    return Values((bits, np.zeros(rows * 16, np.uint8)), rows)


def numbers(values: Sequence[int | None], dtype: Any) -> Values:
    """A column of numbers of that dtype; None where there is none."""
    bits, nulls = _there(values)
    if nulls:
        values = [value or 0 for value in values]
    return Values((bits, np.array(values, dtype)), nulls)


def truths(values: Sequence[bool | None]) -> Values:
    """A column of booleans; None where there is none."""
    bits, nulls = _there(values)
    return Values((bits, np.packbits(np.array(values, np.bool_), bitorder="little")), nulls)


def fixed(values: Sequence[bytes | None], size: int) -> Values:
    """Each of exactly `size` bytes."""
    bits, nulls = _there(values)
    if nulls:
        values = [value or bytes(size) for value in values]
    return Values((bits, b"".join(values)), nulls)  # type: ignore[arg-type]


def texts(values: Sequence[str | None]) -> Values:
    """A column of texts; None where there is no value."""
    bits, nulls = _there(values)
    there: list[str] = [value or "" for value in values] if nulls else list(values)  # type: ignore[arg-type]
    whole = "".join(there)
    if whole.isascii():
        return Values((bits, _offsets(there), whole.encode("ascii")), nulls)
    coded = [value.encode("utf-8", "replace") for value in there]
    return Values((bits, _offsets(coded), b"".join(coded)), nulls)


def blobs(values: Sequence[bytes | None]) -> Values:
    """A column of byte strings; None where there is none."""
    bits, nulls = _there(values)
    there: list[bytes] = [value or b"" for value in values] if nulls else list(values)  # type: ignore[arg-type]
    return Values((bits, _offsets(there), b"".join(there)), nulls)


def _offsets(values: Sequence[str] | Sequence[bytes]) -> NDArray[np.int32]:
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, len(values)), out=offsets[1:])
    return offsets
