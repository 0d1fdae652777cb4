"""The metadata: enough to repeat a scan and to judge it, written however it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from coordinator.input.fates import Fates
from coordinator.monitor.snapshot import Snapshot
from coordinator.network.discover import Network
from coordinator.results.metadata import Metadata, open_metadata
from lzr import __version__
from lzr.errors import UsageError
from lzr.ipc.job import Job
from lzr.options import parse
from lzr.options.table import TABLE, Options
from lzr.records.summary import Summary
from lzr.secrets import Secrets

NETWORK = Network(
    interface="eth0",
    index=2,
    mtu=1500,
    loopback=False,
    own_mac=b"\2\0\0\0\0\1",
    source_v4=("192.0.2.1",),
    source_v6=(),
    gateway_v4="192.0.2.254",
    gateway_v6=None,
    gateway_mac_v4=b"\2\0\0\0\0\2",
    gateway_mac_v6=None,
)


def full(made: Metadata) -> None:
    made.network = NETWORK
    made.job = Job(
        options=made.options,
        directory="/tmp/x",
        shards=4,
        frames=(1024, 512),
        own_mac=NETWORK.own_mac,
        gateway_v4=b"\2\0\0\0\0\2",
        gateway_v6=bytes(6),
        ports=(40000, 40010),
        seed=7,
        secrets=Secrets.derive(8),
    )
    made.snapshot = Snapshot(
        now=9, started=1, read=10, done=7, rejected=2, blocklisted=1, tx=30, rx=20, drops=3
    )
    made.summary = Summary()
    made.summary.fingerprints["http"] = 7
    made.fates = Fates(read=10, rejected=2, blocklisted=1)
    made.status = 0


@pytest.mark.parametrize(
    ("begun", "now", "took"), [(100.0, 109.5, 9.5), (None, 109.5, -7190.0), (100.0, None, -7190.0)]
)
def test_how_long_it_took_is_by_a_clock_that_nobody_sets(
    begun: float | None, now: float | None, took: float
) -> None:
    made = Metadata(Options(), [], 1_700_007_200.0, begun)
    times = made.as_dict(1_700_000_010.0, now)["times"]  # the time was set back by two hours
    assert times["seconds"] == took
    assert (times["start"], times["end"]) == ("2023-11-15T00:13:20.000Z", "2023-11-14T22:13:30.000Z")


def test_everything_is_there(tmp_path: Path) -> None:
    path = tmp_path / "scan.meta"
    options = parse.parse(["--notes", "a remark", "-sendSYNs", "--metadata-file", str(path), "-r", "50"])
    with open_metadata(options, ["lzr", "-r", "50"], 1_700_000_000.25) as made:
        full(made)
        made.write(1_700_000_008.5)
    found = json.loads(path.read_text())
    assert found["version"] == found["versions"]["lzr"] == __version__
    assert found["notes"] == "a remark"
    assert found["command_line"] == ["lzr", "-r", "50"]
    assert found["options"].keys() == {row.attr for row in TABLE}
    assert found["options"]["rate"] == 50
    assert found["times"] == {
        "start": "2023-11-14T22:13:20.250Z", "end": "2023-11-14T22:13:28.500Z", "seconds": 8.25,
    }  # fmt: skip
    assert found["ending"]["how"] == "done"
    assert found["inputs"]["read"] == 10
    assert found["inputs"]["agree"] is True
    assert found["inputs"]["fates"]["blocklisted"] == 1
    assert found["packets"]["sent"] == 30
    assert found["packets"]["drops"] == 3
    assert found["network"]["gateway_mac_v4"] == "02:00:00:00:00:02"
    assert found["network"]["gateway_mac_v6"] is None
    assert found["scan"]["seed"] == 7
    assert found["fingerprints"] == {"http": 7}
    assert found["counters"]["TotalResponses"] == 0
    assert found["host"]["cores_allowed"] == len(os.sched_getaffinity(0))
    assert {"python", "numpy", "pyzmq"} <= found["versions"].keys()


def test_sides_that_disagree_are_said(tmp_path: Path) -> None:
    made = Metadata(Options(), [], 0)
    full(made)
    made.snapshot = Snapshot(read=10, done=9)
    assert made.as_dict(1)["inputs"]["agree"] is False


@pytest.mark.parametrize(
    ("status", "how"),
    [
        (0, "done"),
        (1, "failed"),
        (3, "done, a file beside the results not whole"),
        (130, "interrupted"),
        (None, "unknown"),
    ],
)
def test_how_it_ended(status: int | None, how: str) -> None:
    made = Metadata(Options(), [], 0, status=status, failure="x")
    assert made.as_dict(1)["ending"] == {"status": status, "how": how, "failure": "x", "unfinished": False}
    json.dumps(made.as_dict(1))


def test_what_keeps_the_file_from_being_written_is_a_sentence(tmp_path: Path) -> None:
    options = Options(metadata_file=str(tmp_path / "scan.meta"))
    with open_metadata(options, [], 0) as made:
        (tmp_path / "scan.meta").unlink()
        assert " was deleted before the metadata was in it" in made.write(1)
    with open_metadata(Options(metadata_file="/dev/full"), [], 0) as made:
        assert made.write(1) == "cannot write /dev/full: No space left on device"
    with open_metadata(options, [], 0) as made:
        assert made.write(1) == ""


def test_an_older_file_is_kept_until_the_end_and_then_replaced(tmp_path: Path) -> None:
    path = tmp_path / "scan.meta"
    path.write_text("x" * 100_000)
    options = Options(metadata_file=str(path))
    with open_metadata(options, [], 0):
        assert path.stat().st_size == 100_000
    with open_metadata(options, [], 0) as made:
        made.write(1)
    assert json.loads(path.read_text())["program"] == "lzr"


def test_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    with open_metadata(Options(metadata_file="-"), [], 0) as made:
        made.write(1)
    assert json.loads(capfd.readouterr().out)["program"] == "lzr"
    print("stdout is still there")
    assert capfd.readouterr().out


def test_what_cannot_be_written_is_the_users_mistake() -> None:
    options = Options(metadata_file="/no/such/dir/meta")
    with pytest.raises(UsageError, match="cannot write /no/such/dir/meta"), open_metadata(options, [], 0):
        pass


def test_without_a_file_nothing_is_written() -> None:
    with open_metadata(Options(), [], 0) as made:
        made.write(1)
