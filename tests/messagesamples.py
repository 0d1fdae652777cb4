"""One right message of each kind, and what is wrong in any field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack
import numpy as np

from lzr.ipc import messages
from lzr.ipc.counts import Counts, Tally
from lzr.ipc.messages import KINDS
from lzr.ipc.packing import VERSION, pack
from lzr.ipc.schema import Message
from lzr.rows import ASKED, FLOW, HELD, INTERVAL, OUTCOME, TARGET, TIMER, WAY
from lzr.sweep.space import RANGE

TALLY = Tally({"Data": 1}, {"ssh": 1}, {"wait": 1}, {"data": 1}, 1)
COUNTS = Counts(TALLY, 0, [("wait", "ssh", 1)], [("192.0.2.1", 22, "ssh", "wait", b"SSH-2.0")], [1])


def _outcomes() -> Any:
    rows = np.zeros(2, OUTCOME)
    rows["data_len"] = 3, 4
    return rows


def _flows() -> Any:
    flows = np.zeros(2, FLOW)
    flows["state"] = 3
    return flows


def _held() -> Any:
    held = np.zeros(1, HELD)
    held["place"], held["length"] = 1, 5
    return held


_SHARD = (3, _flows(), np.zeros(2, TIMER), np.zeros(1, ASKED), np.zeros(1, TARGET), _held(), b"hello")
_TICKETS = np.array([5, 6], "<u4")

SAMPLES: tuple[Message, ...] = (
    messages.Targets(np.zeros(3, TARGET)),
    messages.Stretch(4, 1000, 12, 5_000_000_000, 9_000_000, b"\0\x10"),
    messages.Swept(
        (1, 1 << 63), b"\1\0\0\0\2\0\0\0", 3, np.zeros(2, RANGE), b"\1\0\2\0", bytes(32), bytes(16)
    ),
    messages.Blocked(2, bytes(64)),
    messages.Firewalls(bytes(32)),
    messages.SweepAnswers([4], np.zeros(2, TARGET), b"\1\2"),
    messages.Release(7),
    messages.ReleaseComing(),
    messages.Adopt(*_SHARD),
    messages.WrittenUpTo(9),
    messages.SendTo("collect-0.1"),
    messages.Fence(4),
    messages.Routes(2, bytes(6), b"\1" * 6, b"\2" * 6, 1500, np.zeros(2, INTERVAL), np.zeros(1, WAY)),
    messages.Stop(),
    messages.Outcomes(2, 1, _outcomes(), b"payload"),
    messages.Lines(2, 1, 2, COUNTS, _TICKETS, _outcomes(), b"payload", (b"a line\n",)),
    messages.Written([(2, 1)], [100], [2], False, [COUNTS], [(2, 2)], _TICKETS),
    messages.Released(*_SHARD),
    messages.Ready(),
    messages.Adopted(3),
    messages.Fenced(4),
    messages.Linked("collect-0.1"),
    messages.Fault("cannot write results: disk full", gone=False),
    messages.FlowStats(False, *range(5), True, *range(13), {"no room": 1}, {"stray": 2}, 1, 3, {}),  # type: ignore[call-arg]
    messages.CollectStats(False, *range(7)),
    messages.RefusedMessage("Outcomes: 3 bytes are no rows", "", 7),
)

WRONG: tuple[Any, ...] = (
    None,
    -1,
    1 << 63,
    1.5,
    float("nan"),
    "x" * 2000,
    "\x1b[31mred",
    "collect-0.1\n",
    "../../etc/passwd",
    b"\xff\x00",
    [],
    [None],
    [[]] * 500,
    {},
    {"a": -1},
    {"\x1b]0;title\x07": 1},
    {"a": {"a": {"a": 1}}},
    [[1]],
    [[1, 2, 3]],
    msgpack.ExtType(4, b"1"),
    msgpack.Timestamp(1),
)


def header_of(message: Message) -> dict[str, Any]:
    head = msgpack.unpackb(bytes(pack(message, "flow-0.1")[0]), raw=False)
    header: dict[str, Any] = head[4]
    return header


def with_header(message: Message, header: Any, sender: Any = "", token: Any = b"") -> list[bytes]:
    """The parts of the message with another header."""
    _, *columns = pack(message, "flow-0.1")
    head = msgpack.packb([VERSION, type(message).__name__, sender, token, header], use_bin_type=True)
    return [head, *map(bytes, columns)]


def _replace(value: Any, wrong: Any) -> Iterator[Any]:
    """The value, and each one within it, replaced."""
    yield wrong
    if isinstance(value, dict):
        for key, inner in value.items():
            for each in _replace(inner, wrong):
                yield {**value, key: each}
        yield dict(list(value.items())[1:]) | {"more": wrong}
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            for each in _replace(inner, wrong):
                yield [*value[:at], each, *value[at + 1 :]]


def mutated(message: Message, sender: Any = "", token: Any = b"") -> Iterator[list[bytes]]:
    """The message with each of its fields, however deep, wrong in each way; with columns that do not fit."""
    header = header_of(message)
    for wrong in WRONG:
        for each in _replace(header, wrong):
            yield with_header(message, each, sender, token)
    head, *columns = with_header(message, header, sender, token)
    yield [head, *columns, b"x" * 7, b""] + [b""] * 40
    if not type(message).rest:
        yield [head, *columns, b""]
    for at, column in enumerate(columns):
        yield [head, *columns[:at]]
        if at < len(type(message).columns):
            for wrong_column in (column + b"x", column * 2, b"\xff" * len(column)):
                yield [head, *columns[:at], wrong_column, *columns[at + 1 :]]


def same(one: Message, other: Message) -> bool:
    """Whether two messages say the same."""
    return list(map(bytes, pack(one))) == list(map(bytes, pack(other)))


assert {type(sample) for sample in SAMPLES} == set(KINDS.values())
