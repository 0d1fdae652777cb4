"""Every fault of preflight, each from the fact that shows it, and none where all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lzr.fleet import lock as locks
from lzr.fleet import plan as plans
from lzr.fleet import preflight
from lzr.fleet.lock import Lock
from lzr.fleet.preflight import EVERYBODY, LEAST_ROOM, BoxFacts, judge, of_plain, unreachable

SUM, OTHER = "0" * 64, "1" * 64
PLAN = """
name = "test"
responsible = "tests"
seed = 1
rate = 3000
input = "services.txt"
controller = "198.18.0.1:8786"
{more}
[[box]]
name = "ams1"
interface = "eth0"
source = "198.51.100.1"
rate-cap = 2000
[[box]]
name = "fra1"
interface = "eth0"
source = ["203.0.113.1", "203.0.113.16/28"]
rate-cap = 2000
"""


def made(more: str = "") -> Lock:
    plan = plans.of_toml(PLAN.replace("{more}", more).encode())
    return locks.settled(plan, "1.0", SUM, SUM, 10, SUM)


LOCK = made()
WELL = {
    name: BoxFacts(
        "1.0", LOCK.id, SUM, SUM, addresses={"127.0.0.1": "lo", address: "eth0", f"198.18.0.{at}": "ctl0"},
        control=f"198.18.0.{at}", room=LEAST_ROOM, speed=1_000_000_000,
    )
    for at, (name, address) in enumerate((("ams1", "198.51.100.1"), ("fra1", "203.0.113.1")), 2)
}  # fmt: skip


def faults(lock: Lock = LOCK, box: str = "fra1", **change: Any) -> dict[str, tuple[str, ...]]:
    facts = {name: replace(one, id=lock.id) for name, one in WELL.items()}
    return judge(lock, facts | {box: replace(facts[box], **change)})


def test_all_is_well() -> None:
    assert faults() == {}


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"version": "0.9"}, "has lzr 0.9, and the plan was settled with 1.0"),
    ({"id": "abc"}, "has another lock than the controller's (abc)"),
    ({"input_sha256": OTHER}, "its services.txt is not the input that was settled"),
    ({"blocklist_sha256": OTHER}, "its blocklist is not the one that was settled"),
    ({"trouble": "cannot read services.txt: gone"}, "cannot read services.txt: gone"),
    (
        {"addresses": {"203.0.113.9": "eth0"}},
        "has no address 203.0.113.1, its source in the plan (it has 203.0.113.9)",
    ),
    ({"addresses": {}}, "has no address 203.0.113.1, its source in the plan (it has none)"),
    ({"addresses": {"203.0.113.1": "eth1"}}, "has its source 203.0.113.1 on eth1, and the plan says eth0"),
    (
        {"offset": 2.26, "error": 0.01},
        "its clock is 2.3 s ahead of the controller's; 0.5 s are the most",
    ),
    (
        {"offset": -0.7, "error": 0.1},
        "its clock is 0.7 s behind the controller's; 0.5 s are the most",
    ),
    (
        {"room": LEAST_ROOM - 1},
        "has 255 MB left where results go, and 256 MB are the least; directory in the plan chooses another "
        "place",
    ),
    (
        {"speed": 1_000_000},
        "is dealt 1,500 targets a second, more than its link of 1 Mbit/s takes; rate-cap bounds it",
    ),
    (
        {"others": {"203.0.113.1": "02:00:00:00:00:01"}},
        "its source 203.0.113.1 is another host's too: 02:00:00:00:00:01 answers for it on eth0",
    ),
    (
        {"others": {"2001:db8::1": ""}},
        "its source 2001:db8::1 is another host's: its kernel has found that on eth0",
    ),
    ({"findings": ("the gateway does not answer",)}, "the gateway does not answer"),
]


@pytest.mark.parametrize(("change", "sentence"), FAULTS)
def test_each_fault(change: dict[str, Any], sentence: str) -> None:
    assert faults(**change) == {"fra1": (sentence,)}


@pytest.mark.parametrize("change", [{"offset": 0.45}, {"offset": 0.9, "error": 0.5}, {"speed": None}])
def test_what_is_no_fault(change: dict[str, Any]) -> None:
    assert faults(**change) == {}


@pytest.mark.parametrize("address", ["203.0.113.1", "203.0.113.20"])
def test_an_address_of_two_boxes(address: str) -> None:
    found = faults(box="ams1", addresses={**WELL["ams1"].addresses, address: "eth7"})
    assert found == {"fra1": (f"its source {address} is an address of ams1 too (eth7 there)",)}


def test_a_guard_that_would_cut_the_channel() -> None:
    lock = made('options = ["--guard", "ingress"]')
    assert faults(lock) == {}
    cut = faults(lock, control="203.0.113.1")["fra1"]
    assert len(cut) == 1
    assert "--guard ingress would cut it off: ports 32768 to 61000 of 203.0.113.1 are the scan's" in cut[0]
    assert "the ports of its connections (32768 to 60999)" in cut[0]
    assert faults(lock, control="203.0.113.1", ephemeral=(10000, 20000)) == {}
    assert faults(LOCK, control="203.0.113.1") == {}
    apart = made('options = ["--guard", "ingress", "--source-port", "62000-64000"]')
    assert faults(apart, control="203.0.113.1") == {}


def test_caps_that_do_not_allow_the_rate() -> None:
    lock = replace(LOCK, plan=replace(LOCK.plan, rate=5000))
    found = faults(lock)
    assert found == {
        EVERYBODY: ("the plan's rate is 5,000/s, and the caps of its boxes allow 4,000/s together",)
    }


def test_a_box_that_is_not_there() -> None:
    assert "is not connected to 198.18.0.1:8786" in unreachable(LOCK.plan, "fra1", "")
    assert "--box fra1" in unreachable(LOCK.plan, "fra1", "")


def test_what_a_box_tells_is_checked() -> None:
    good: dict[str, Any] = {
        "version": "1.0", "id": "x", "addresses": {"192.0.2.1": "eth0"}, "findings": ["a\n\x1b[2Jb"],
        "ephemeral": [1, 2], "room": 5,
    }  # fmt: skip
    facts = of_plain(good, 0.1, 0.2)
    assert (facts.room, facts.ephemeral, facts.offset) == (5, (1, 2), 0.1)
    assert "\x1b" not in facts.findings[0]
    for change in (
        {"version": 5}, {"addresses": []}, {"addresses": {"a": 1}}, {"findings": "x"}, {"findings": [1]},
        {"ephemeral": [1]}, {"ephemeral": ["1", 2]}, {"room": -1}, {"room": "much"}, {"speed": True},
        {"others": 1}, {"others": {"a": 1}}, {"others": None},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"none|no (text|number)"):
            of_plain(good | change, 0, 0)


def test_a_box_of_many_addresses_does_not_hold_the_controller_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each was compared with each source of each box: beside many boxes that took minutes."""
    boxes = "".join(f'[[box]]\nname = "n{n}"\nsource = "10.0.{n}.0/24"\n' for n in range(60))
    plan = plans.of_toml((PLAN.replace("{more}", "shards = 80") + boxes).encode())
    lock = locks.settled(plan, "1.0", SUM, SUM, 10, SUM)
    many = {f"10.0.7.{n}": "eth0" for n in range(256)} | {f"172.16.0.{n}": "x" for n in range(256)}
    facts = {
        box.name: BoxFacts("1.0", lock.id, SUM, SUM, addresses=many if box.name == "ams1" else {})
        for box in plan.boxes
    }
    counted = [0]
    parse = preflight.ip_address

    def counting(text: str) -> object:
        counted[0] += 1
        return parse(text)

    monkeypatch.setattr(preflight, "ip_address", counting)
    found = judge(lock, facts)
    assert "its source 10.0.7.9 is an address of ams1 too (eth0 there)" in found["n7"]
    assert len(found["n7"]) < 110
    assert not any("too" in fault for fault in found.get("n8", ()))
    assert counted[0] < 5 * len(many)
