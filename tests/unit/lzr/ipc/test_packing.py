"""What one process packs, another unpacks; what is no message is refused and never believed."""

from __future__ import annotations

import resource
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.ipc import messages
from lzr.ipc.messages import KINDS
from lzr.ipc.packing import VERSION, pack, unpack
from lzr.ipc.schema import MOST_PARTS, Message, SchemaError
from lzr.rows import TARGET
from tests.effort import examples
from tests.messagesamples import SAMPLES, header_of, mutated, same

pytestmark = pytest.mark.attack

kinds = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)


@kinds
def test_there_and_back(sample: Message) -> None:
    parts = [bytes(part) for part in pack(sample, "flow-0.1", b"token")]
    message, sender, token = unpack(parts)
    assert type(message) is type(sample)
    assert same(message, sample)
    assert (sender, token) == ("flow-0.1", b"token")
    assert unpack(parts, [type(sample)]).sender == "flow-0.1"


@kinds
def test_every_field_wrong_in_every_way_is_refused_or_means_what_it_says(sample: Message) -> None:
    refused = 0
    for parts in mutated(sample):
        try:
            message = unpack(parts).message
        except SchemaError:
            refused += 1
        else:  # right by chance: an empty list, another sentence, other bytes in a column
            assert list(map(bytes, pack(message, "flow-0.1", b"token")[1:])) == parts[1:]
            assert header_of(message) == msgpack.unpackb(parts[0])[4]
    assert refused >= 20


def test_every_second_row() -> None:
    """Rows that do not lie side by side are copied on the way, not misread."""
    rows = np.zeros(10, TARGET)
    rows["line"] = np.arange(10)
    message = unpack(pack(messages.Targets(rows[::2]))).message
    assert isinstance(message, messages.Targets)
    assert message.rows["line"].tolist() == [0, 2, 4, 6, 8]


def test_a_message_of_columns_only_is_checked_like_any_other() -> None:
    """Its first part is known as it is, and nothing is read of it; all else is looked at."""
    head, *_ = pack(messages.Targets(np.zeros(1000, TARGET)))
    rows = np.ones(3, TARGET).tobytes()
    assert msgpack.unpackb(head) == [VERSION, "Targets", "", b"", {}]
    message, sender, token = unpack([head, rows], [messages.Targets])
    assert isinstance(message, messages.Targets)
    assert (message.rows == np.ones(3, TARGET)).all()
    assert (sender, token) == ("", b"")
    for parts in ([head], [head, rows[1:]], [head, rows, rows]):
        with pytest.raises(SchemaError):
            unpack(parts)
    with pytest.raises(SchemaError, match="does not come this way"):
        unpack([head, rows], [messages.Outcomes])


def test_one_small_column_travels_as_one_part() -> None:
    """Targets, mostly a few: what lies before and behind the rows is checked as in two parts."""
    (part,) = pack(messages.Targets(np.ones(3, TARGET)))
    message, sender, token = unpack([part], [messages.Targets])
    assert isinstance(message, messages.Targets)
    assert (message.rows == np.ones(3, TARGET)).all()
    assert (sender, token) == ("", b"")
    (none,) = pack(messages.Targets(np.empty(0, TARGET)))
    message = unpack([memoryview(none)]).message
    assert isinstance(message, messages.Targets)
    assert len(message.rows) == 0
    strange = none[:-1] + b"\1"
    for parts in ([part[:-1]], [none[:-1]], [strange], [part, part], [part, b""]):
        with pytest.raises(SchemaError):
            unpack(parts)
    with pytest.raises(SchemaError, match="does not come this way"):
        unpack([part], [messages.Outcomes])


@pytest.mark.parametrize("count", [3, 1000])
def test_columns_are_views_of_what_was_received(count: int) -> None:
    parts = [bytes(part) for part in pack(messages.Targets(np.zeros(count, TARGET)))]
    message = unpack(parts).message
    assert isinstance(message, messages.Targets)
    assert np.shares_memory(message.rows, np.frombuffer(parts[-1], np.uint8))


@settings(max_examples=examples(80), deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=3))
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


@settings(max_examples=examples(150), deadline=None)
@given(
    st.tuples(
        st.just(VERSION) | anything,
        st.sampled_from(sorted(KINDS)) | anything,
        st.text(max_size=9) | anything,
        st.binary(max_size=16) | anything,
        anything,
    )
    | anything,
    st.lists(st.binary(max_size=30), max_size=4),
)
def test_a_header_of_any_shape(head: Any, rest: list[bytes]) -> None:
    """Well-formed msgpack of another shape is refused like noise."""
    try:
        message = unpack([msgpack.packb(head), *rest]).message
    except SchemaError:
        return
    assert type(message) is KINDS[head[1]]


@settings(max_examples=examples(150), deadline=None)
@given(st.sampled_from(SAMPLES), st.data())
def test_flipped_bits(sample: Message, data: st.DataObject) -> None:
    parts = [bytearray(part) for part in pack(sample, "flow-0.1", b"token")]
    for _ in range(data.draw(st.integers(1, 4))):
        part = data.draw(st.sampled_from([part for part in parts if part]))
        part[data.draw(st.integers(0, len(part) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        unpack([bytes(part) for part in parts])
    except SchemaError:
        return


@pytest.mark.parametrize(
    "parts",
    [
        [msgpack.packb([VERSION + 1, "Stop", "", b"", {}])],
        [msgpack.packb([VERSION, "Stop", "", b""])],
        [msgpack.packb([VERSION, "Stop", "", b"", {}]), b""],
        [msgpack.packb([VERSION, "Targets", "", b"", {}])],
        [msgpack.packb([VERSION, "Targets", "", b"", {}]), b"1234567"],
        [msgpack.packb([VERSION, "NoSuch", "", b"", {}])],
        [msgpack.packb([VERSION, "Stop", "x" * 500, b"", {}])],
        [msgpack.packb([VERSION, "Stop", "", b"", {}])] * (MOST_PARTS + 1),
        [b"\x91" * 100_000],
        [b"\xdd\xff\xff\xff\xff"],
        [],
    ],
    ids=[
        "version",
        "short",
        "column too many",
        "column missing",
        "half a row",
        "unknown kind",
        "long sender",
        "many parts",
        "deep",
        "said to be long",
        "nothing",
    ],
)
def test_another_installation_is_told_so(parts: list[bytes]) -> None:
    with pytest.raises(SchemaError):
        unpack(parts)


@pytest.mark.parametrize(
    "bomb",
    [(b"", 40 << 20, 0), (b"", 8 << 20, []), (msgpack.packb({"a": None})[:-1], 30 << 20, None)],
    ids=["numbers", "lists", "nothings"],
)
def test_a_large_header_is_refused_before_it_is_unpacked(bomb: tuple[bytes, int, Any]) -> None:
    """An element of one byte would become an object of eight or more."""
    before_it, count, element = bomb
    envelope = msgpack.packb([VERSION, "Ready", "flow-0.1", b"token", 0])[:-1]
    array = b"\xdd" + count.to_bytes(4, "big")  # msgpack's array 32
    head = envelope + before_it + array + msgpack.packb(element) * count
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SchemaError, match="a header of") as caught:
        unpack([head])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 14  # kB
    assert (caught.value.sender, caught.value.token) == ("flow-0.1", b"token")
