"""The lock: what is settled, who has which shard, and that nothing else is taken for one."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.errors import UsageError
from lzr.fleet.lock import Lock, LockError, blocklist_hash, settled
from lzr.fleet.plan import of_toml
from tests.effort import examples
from tests.unit.lzr.fleet.test_plan import PLAN

SUM = "0" * 64


def made(text: str = PLAN) -> Lock:
    return settled(of_toml(text.encode()), "0.1.0", SUM, SUM, 1000, blocklist_hash([]))


def test_shards_are_dealt_by_weight_and_a_lock_reads_back() -> None:
    lock = made()
    assert [(run.box, run.generation, len(run.shards)) for run in lock.runs] == [
        ("fra1", 1, 43),
        ("ams1", 1, 21),
    ]
    assert Lock.of_json(lock.to_json()) == lock
    assert lock.run_of(0).box == lock.owner[0] == "fra1"
    assert [run.name for run in lock.runs_of("ams1")] == ["ams1-g1"]


def test_the_id_is_of_what_was_settled_not_of_who_scans_it() -> None:
    lock = made()
    again = lock.assigned("fra1", ["ams1"], "fra1 has burnt down")
    assert again.id == lock.id
    assert again.generation == 2
    assert made(PLAN.replace("rate = 60000", "rate = 60001")).id != lock.id


def test_a_box_gives_up_all_its_shards_and_the_others_keep_theirs() -> None:
    lock = made()
    again = lock.assigned("fra1", ["ams1"], "fra1 has burnt down")
    assert set(again.owner) == {"ams1"}
    assert [run.name for run in again.runs] == ["fra1-g1", "ams1-g1", "ams1-g2"]
    assert [run.name for run in again.current] == ["ams1-g1", "ams1-g2"]
    assert again.runs_of("fra1") == ()
    assert again.run_of(0) == again.run_named("ams1", 2)
    assert again.run_of(0).source == ("203.0.113.0/30",)
    assert Lock.of_json(again.to_json()) == again
    back = again.assigned("ams1", ["fra1"], "")
    assert Lock.of_json(back.to_json()) == back
    assert [run.name for run in back.current] == ["fra1-g3"]


def test_what_cannot_be_assigned() -> None:
    lock = made()
    for source, to in (("fra1", ["fra1"]), ("fra1", ["nope"]), ("nope", ["fra1"])):
        with pytest.raises(UsageError):
            lock.assigned(source, to, "")
    with pytest.raises(UsageError, match="ams1 is named twice"):
        lock.assigned("fra1", ["ams1", "ams1"], "")
    with pytest.raises(UsageError, match="no shard to give up"):
        lock.assigned("fra1", ["ams1"], "").assigned("fra1", ["ams1"], "")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 2),
        ("version", None),
        ("version", "9.9"),
        ("plan", {}),
        ("plan_sha256", "x"),
        ("input_lines", -1),
        ("id", "0" * 16),
        ("generation", 2),
        ("runs", []),
        ("runs", [{"box": "fra1", "generation": 1, "shards": "0-63", "source": ["192.0.2.1"]}]),
        ("runs", [{"box": "fra1", "generation": 1, "shards": "0-64", "source": ["198.51.100.10"]}]),
        ("runs", [{"box": "fra1", "generation": 1, "shards": "0-62", "source": ["198.51.100.10"]}]),
        ("runs", [{"box": "fra1", "generation": 1, "shards": "5-3", "source": ["198.51.100.10"]}]),
        ("runs", [{"box": "x", "generation": 1, "shards": "0-63", "source": ["198.51.100.10"]}]),
        ("runs", [{"box": "fra1", "generation": 1, "shards": "0-63", "source": ["198.51.100.10"]}] * 2),
        ("more", 1),
    ],
)
def test_what_is_no_lock_is_refused(key: str, value: Any) -> None:
    table = made().as_dict()
    table[key] = value
    with pytest.raises(UsageError):
        Lock.of_json(json.dumps(table).encode())


def test_part_of_a_run_cannot_be_given_up() -> None:
    table = made().as_dict()
    table["generation"] = 2
    table["runs"].append({"box": "ams1", "generation": 2, "shards": "0", "source": ["203.0.113.0/30"]})
    with pytest.raises(LockError, match="torn"):
        Lock.of_json(json.dumps(table).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"[" * 100_000, b"\xff"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(LockError):
        Lock.of_json(data)


def test_as_many_boxes_and_shards_as_may_be_are_quick() -> None:
    count = examples(1000)
    boxes = "".join(f'[[box]]\nname = "b{n}"\nsource = "10.{n // 250}.{n % 250}.7"\n' for n in range(count))
    shards = examples(65535)
    text = f'name = "x"\nresponsible = "x"\nseed = 1\nrate = 9\nshards = {shards}\ninput = "x"\n{boxes}'
    lock = made(text)
    assert Lock.of_json(lock.to_json()) == lock
    assert len(lock.current) == count
    after = lock.assigned("b7", ["b8", "b9"], "")
    assert [run.generation for run in after.runs_of("b8")] == [1, 2]


@given(st.data())
def test_whatever_is_changed_in_a_lock_it_is_one_or_refused(data: st.DataObject) -> None:
    table = made().assigned("fra1", ["ams1"], "why").as_dict()
    junk = (
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
    )
    where: Any = data.draw(st.sampled_from([table, table["plan"], table["plan"]["box"][0], *table["runs"]]))
    where[data.draw(st.sampled_from(sorted(where)))] = data.draw(junk | st.just(where))
    try:
        text = json.dumps(table).encode()
    except ValueError:
        return
    with contextlib.suppress(UsageError):
        assert Lock.of_json(text).id == table["id"]
