"""Every kind of message: which fields it has, and in which range."""

from __future__ import annotations

import numpy as np
import pytest

from lzr.ipc import messages
from lzr.ipc.messages import KINDS
from lzr.ipc.packing import pack, unpack
from lzr.ipc.schema import Message, SchemaError
from lzr.rows import OUTCOME
from tests.messagesamples import SAMPLES, header_of, same, with_header

pytestmark = pytest.mark.attack

kinds = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)


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
    parts = with_header(messages.SendTo("collect-0.1"), {"collector": name})
    if right:
        assert unpack(parts).message == messages.SendTo(name)
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
