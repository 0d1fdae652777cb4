"""What one process packs, another unpacks; what is no message is refused and never believed."""

from __future__ import annotations

import resource
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzr.ipc import job, messages
from lzr.ipc.job import Job, Output, Setup, Spawn
from lzr.ipc.messages import KINDS, MOST_PARTS, VERSION, Message, SchemaError, pack, unpack
from lzr.options.table import Options
from lzr.rows import FLOW, HELD, OUTCOME, TARGET
from lzr.secrets import Secrets
from tests.effort import examples
from tests.messagesamples import SAMPLES, header_of, mutated, same, with_header

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
            assert list(map(bytes, pack(message)[1:])) == parts[1:]
            assert header_of(message) == msgpack.unpackb(parts[0])[4]
    assert refused >= 20


@kinds
def test_no_field_may_be_missing_or_too_many(sample: Message) -> None:
    header = header_of(sample)
    for name in header.keys() - {"gone"}:
        with pytest.raises(SchemaError):
            unpack(with_header(sample, {key: value for key, value in header.items() if key != name}))
    for name in ("more", *type(sample).columns):
        if name not in type(sample).columns:
            with pytest.raises(SchemaError):
                unpack(with_header(sample, header | {name: 1}))
        else:  # a column cannot be replaced by what the header says
            assert same(unpack(with_header(sample, header | {name: 1})).message, sample)


@kinds
def test_a_kind_comes_only_where_it_may(sample: Message) -> None:
    others = [kind for kind in KINDS.values() if kind is not type(sample)]
    with pytest.raises(SchemaError, match="does not come this way"):
        unpack(pack(sample), others)


def test_numbers_have_their_ranges() -> None:
    for wrong in (True, -1, 1 << 16, 3.0, "3"):
        with pytest.raises(SchemaError):
            unpack(with_header(messages.Release(1), {"shard": wrong}))
    assert unpack(with_header(messages.Release(1), {"shard": 65535})).message == messages.Release(65535)


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("flow-0.1", True),
        ("collect-12.345", True),
        ("", False),
        ("flow-0.1\n", False),
        ("tcp://10.0.0.1:1", False),
    ],
)
def test_a_collector_is_called_by_name(name: str, right: bool) -> None:
    parts = with_header(messages.Resend("collect-0.1"), {"collector": name})
    if right:
        assert unpack(parts).message == messages.Resend(name)
    else:
        with pytest.raises(SchemaError):
            unpack(parts)


def test_rows_that_would_lead_astray_are_refused() -> None:
    """States, places and lengths that the next process would use as indices."""
    right = next(sample for sample in SAMPLES if isinstance(sample, messages.Released))
    names = list(right.columns)

    def changed(name: str, field: str, value: int) -> Message:
        column = getattr(right, name).copy()
        column[field][0] = value
        return messages.Released(
            right.shard, *(column if each == name else getattr(right, each) for each in names)
        )

    assert same(unpack(pack(changed("flows", "una", 9))).message, changed("flows", "una", 9))
    for name, field, value in (
        ("flows", "state", 0),
        ("flows", "state", 200),
        ("timers", "place", 2),
        ("timers", "place", -1),
        ("asked", "place", 1 << 30),
        ("held", "place", 2),
        ("held", "length", 4),
    ):
        with pytest.raises(SchemaError):
            unpack(pack(changed(name, field, value)))
    outcomes = np.zeros(1, OUTCOME)
    for name, value in (("reason", 99), ("expected", 99), ("data_len", 1 << 31)):
        wrong = outcomes.copy()
        wrong[name] = value
        with pytest.raises(SchemaError):
            unpack(pack(messages.Outcomes(1, 1, wrong, b"")))


def test_every_second_row() -> None:
    """Rows that do not lie side by side are copied on the way, not misread."""
    rows = np.zeros(10, TARGET)
    rows["line"] = np.arange(10)
    message = unpack(pack(messages.Targets(rows[::2]))).message
    assert isinstance(message, messages.Targets)
    assert message.rows["line"].tolist() == [0, 2, 4, 6, 8]


def test_columns_are_views_of_what_was_received() -> None:
    parts = [bytes(part) for part in pack(messages.Targets(np.zeros(3, TARGET)))]
    message = unpack(parts).message
    assert isinstance(message, messages.Targets)
    assert np.shares_memory(message.rows, np.frombuffer(parts[1], np.uint8))


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
    [[0] * (40 << 20), [[]] * (8 << 20), {"a": [None] * (30 << 20)}],
    ids=["numbers", "lists", "nothings"],
)
def test_a_large_header_is_refused_before_it_is_unpacked(bomb: Any) -> None:
    """An element of one byte would become an object of eight or more."""
    envelope = msgpack.packb([VERSION, "Ready", "flow-0.1", b"token", 0])[:-1]
    head = envelope + msgpack.packb(bomb)
    del bomb
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SchemaError, match="a header of") as caught:
        unpack([head])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 14  # kB
    assert (caught.value.sender, caught.value.token) == ("flow-0.1", b"token")


def test_pieces_as_columns() -> None:
    from lzr.flow.handover import ShardFlows

    pieces = {0: (b"in order", {}), 3: (b"", {70: b"early", 4000000000: b"x"}), 9: (b"both", {1: b"y"})}
    nothing = np.empty(0, FLOW)
    rows, octets = ShardFlows(nothing, nothing, nothing, pieces).plain_held()
    assert rows.dtype == HELD
    assert ShardFlows.held_of(rows, octets) == pieces


def test_what_the_fork_server_is_told() -> None:
    options = Options(
        source_port=(40000, 50000), handshakes=("wait", "http"), rate=7.5, output_fields=("saddr",)
    )
    secrets = Secrets.derive(5)
    scan = Job(
        options, "/run/x", 8, b"123456", b"234567", b"345678", (1, 2), (3, 4), 5, secrets, 6, 7, (1, 0), 0.5
    )
    assert job.unpack_setup(job.pack(Setup(scan, 2))) == Setup(scan, 2)
    spawn = Spawn(
        "collect", 0, "collect-0.1", 3, (Output(0, "json", 1 << 40, True),), ((1, 2),), (4,), b"token"
    )
    assert job.unpack_spawn(job.pack(spawn)) == spawn
    with pytest.raises(ValueError, match=r"Expected|required field"):
        job.unpack_setup(job.pack(spawn))
    for event in (job.Event("spawned", "flow-0.1", 7), job.Event("died", "collect-1.2", 7, -9)):
        assert job.Event.unpack(event.pack()) == event
