"""Until when a scan may go on, and when nobody can be scanning any more."""

from __future__ import annotations

import json

import pytest

from lzr.fleet import lease
from lzr.fleet.lease import Clock, Lease, free_in


def test_a_scan_without_a_lease_goes_on_for_good() -> None:
    assert not Lease().over(1e12)


def test_it_ends_before_its_lease_and_stays_ended() -> None:
    scan = Lease(100.0)
    assert not scan.over(100 - lease.RESERVE - 0.1)
    assert scan.over(100 - lease.RESERVE)
    scan.renew(1000, None, 99)
    assert scan.until == 100
    assert scan.over(0)


def test_a_machine_that_slept_over_its_end_is_not_saved_by_what_arrives_then() -> None:
    scan = Lease(100.0)
    scan.renew(60, 95.0, 5000.0)
    assert scan.over(5000.0)


def test_a_renewal_counts_from_the_moment_that_was_told_and_never_shortens() -> None:
    scan = Lease(100.0)
    scan.renew(60, 50.0, 90.0)
    assert scan.until == 110
    scan.renew(60, 45.0, 90.0)
    assert scan.until == 110
    scan.renew(60, 1e6, 90.0)  # a moment to come is now
    assert scan.until == 150
    first = Lease()
    first.renew(60, None, 7.0)
    assert first.until == 67


@pytest.mark.parametrize("length", [lease.LEAST, 300, lease.MOST])
@pytest.mark.parametrize("delay", [0.0, 4.0, 1000.0])
def test_the_box_ends_before_the_controller_counts_it_as_free(length: int, delay: float) -> None:
    """However late the box gets the answer, and though its clock runs as slow as is reckoned with."""
    told, granted = 50.0, 50.1
    renewed = Clock(1e9 + granted, "one", granted)
    scan = Lease(told + length)
    scan.renew(length, told, told + delay)
    assert scan.until == told + length
    end = told + length * (1 + lease.DRIFT)  # in true seconds
    before = Clock(1e9 + end, "one", end)
    assert free_in(length, renewed, before) > 0
    after = granted + length * (1 + lease.DRIFT) + lease.MARGIN
    assert free_in(length, renewed, Clock(1e9 + after, "one", after)) <= 1e-3


def test_putting_the_time_forward_frees_nothing_and_a_boot_leaves_the_time() -> None:
    renewed = Clock(1000.0, "one", 50.0)
    assert free_in(60, renewed, Clock(1e6, "one", 51.0)) > 60
    assert free_in(60, renewed, Clock(1e6, "two", 51.0)) <= 0
    assert free_in(60, renewed, Clock(900.0, "one", 1e6)) > 60, "nor does putting it back"


def test_what_is_kept_is_read_back_and_nothing_else() -> None:
    clocks = {"fra1": Clock(1.5, "one", 2.5)}
    data = lease.to_json("abc", clocks)
    assert lease.of_json(data, "abc") == clocks
    assert lease.of_json(data, "other") == {}
    for wrong in (b"", b"[]", b"{}", b'{"plan": "abc", "renewed": []}', data[:-9]):
        assert lease.of_json(wrong, "abc") == {}
    for value in ({"at": -1}, {"at": True}, {"up": "1"}, {"boot": ""}, {"boot": "x" * 65}, {"at": 1e400}):
        table = {"plan": "abc", "renewed": {"fra1": {"at": 1.0, "boot": "one", "up": 2.0} | value}}
        assert lease.of_json(json.dumps(table).encode(), "abc") == {}
    assert lease.clock_of([]) is None
