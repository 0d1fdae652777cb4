"""Scans under the scheduling policies that chrt(1), a unit's CPUSchedulingPolicy or a shell may set."""

from __future__ import annotations

import os

import pytest

from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import LZR, parse
from tests.lab.zmaplines import lines

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

COUNT = 256


@pytest.mark.parametrize("policy", ["--batch 0", "--idle 0", "--fifo 1", "--rr 1"])
def test_a_scan_runs_under_any_policy(arena: Range, policy: str) -> None:
    if policy.endswith(" 1") and not may_be_real_time():
        pytest.skip("this control group may not have real-time processes")
    arena.respond(first=FIRST, count=COUNT, port=PORT, source=SCANNER, classes="h")
    done = arena.scanner.run(
        *(
            "chrt",
            *policy.split(),
            LZR,
            "-handshakes",
            "http",
            "-rt",
            "5",
            "-t",
            "20",
            "--no-dashboard",
            "-f",
            "-",
        ),
        input="".join(lines(COUNT, classes="h")),
        check=False,
        timeout=400,
        cwd=arena.lab.directory,
    )
    assert done.returncode == 0, done.stderr
    assert "ended with" not in done.stderr
    records, torn = parse(done.stdout)
    assert not torn
    assert [record["fingerprint"] for record in records] == COUNT * ["http"]


def may_be_real_time() -> bool:
    """Where the kernel shares real-time out by control group, ours may have none."""
    had = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, *had)
    return True
