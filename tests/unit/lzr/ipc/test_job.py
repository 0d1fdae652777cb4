"""What the fork server is told and tells, there and back."""

from __future__ import annotations

import pytest

from lzr.ipc import job
from lzr.ipc.job import CollectorOutput, Job, Setup, Spawn
from lzr.options.table import Options
from lzr.secrets import Secrets


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
        "collect",
        0,
        "collect-0.1",
        3,
        (CollectorOutput(0, "json", 1 << 40, True),),
        ((1, 2),),
        (4,),
        b"token",
    )
    assert job.unpack_spawn(job.pack(spawn)) == spawn
    with pytest.raises(ValueError, match=r"Expected|required field"):
        job.unpack_setup(job.pack(spawn))
    for event in (job.Event("spawned", "flow-0.1", 7), job.Event("died", "collect-1.2", 7, -9)):
        assert job.Event.unpack(event.pack()) == event


def test_names_that_are_no_utf8_come_through() -> None:
    options = Options(output_file="caf\udce9.json", notes="\udcff", targets=("\udcc3",))
    scan = Job(
        options, "/run/\udcff", 8, b"", b"", b"", (1, 2), (3, 4), 5, Secrets.derive(5), 6, 7, (1, 0), 0.5
    )
    assert job.unpack_setup(job.pack(Setup(scan, 2))) == Setup(scan, 2)
