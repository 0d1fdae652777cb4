"""What one process packs, another unpacks; what is no message is refused and never believed."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.messages import VERSION, SchemaError, pack, unpack
from lzr.rows import FLOW, OUTCOME, TARGET

headers = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.text(max_size=9)
        | st.binary(max_size=9),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    dtype = draw(st.sampled_from([TARGET, OUTCOME, FLOW, np.dtype("<u4")]))
    count = draw(st.integers(0, 4))
    raw = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    return np.frombuffer(raw, dtype)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=10), headers, st.lists(arrays() | st.binary(max_size=20), max_size=3))
def test_there_and_back(kind: str, header: dict[str, Any], columns: list[Any]) -> None:
    message = unpack([bytes(part) for part in pack(kind, header, *columns)])
    assert (message.kind, message.header) == (kind, header)
    assert len(message.arrays) == len(columns)
    for found, sent in zip(message.arrays, columns, strict=True):
        if isinstance(sent, bytes):
            assert found.tobytes() == sent
        else:
            assert found.dtype == sent.dtype
            assert found.tobytes() == sent.tobytes()


def test_every_second_row() -> None:
    """Rows that do not lie side by side are copied on the way, not misread."""
    rows = np.zeros(10, TARGET)
    rows["line"] = np.arange(10)
    assert unpack(pack("targets", None, rows[::2])).arrays[0]["line"].tolist() == [0, 2, 4, 6, 8]


def test_arrays_are_views_of_what_was_received() -> None:
    parts = [bytes(part) for part in pack("targets", None, np.zeros(3, TARGET))]
    assert np.shares_memory(unpack(parts).arrays[0], np.frombuffer(parts[1], np.uint8))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=3))
def test_junk_is_refused(parts: list[bytes]) -> None:
    with pytest.raises(SchemaError):
        unpack(parts)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.just(VERSION) | anything, st.text(max_size=4) | anything, headers | anything, anything)
    | anything,
    st.lists(st.binary(max_size=30), max_size=2),
)
def test_a_header_of_any_shape(head: Any, rest: list[bytes]) -> None:
    """Well-formed msgpack of another shape is refused like noise."""
    try:
        message = unpack([msgpack.packb(head), *rest])
    except SchemaError:
        return
    assert isinstance(message.kind, str)
    assert isinstance(message.header, dict)
    assert len(message.arrays) == len(rest)


@pytest.mark.parametrize(
    "parts",
    [
        [msgpack.packb([VERSION + 1, "stop", {}, []])],
        [msgpack.packb([VERSION, "stop", {}, ["target"]])],
        [msgpack.packb([VERSION, "stop", {}, []]), b""],
        [msgpack.packb([VERSION, "stop", {}, ["target"]]), b"1234567"],
        [msgpack.packb([VERSION, "stop", {}, ["no such"]]), b""],
        [msgpack.packb([VERSION, "stop", {}])],
        [],
    ],
    ids=["version", "array missing", "array too many", "half a row", "unknown dtype", "short", "nothing"],
)
def test_another_installation_is_told_so(parts: list[bytes]) -> None:
    with pytest.raises(SchemaError):
        unpack(parts)
