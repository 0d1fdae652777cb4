"""`lzr.profiles` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import scan
from tests.lab.zmaplines import lines
from tests.unit.lzr.test_profiles import folded


@pytest.mark.root
def test_every_process_is_in_them(arena: Range, tmp_path: Path) -> None:
    responder = arena.respond(first=FIRST, count=2000, port=PORT, source=SCANNER, more=["--premade"])
    cpu, memory = tmp_path / "cpu", tmp_path / "mem"
    words = ("-rt", "0.5", "-t", "1", "-w", "2", "--pin", "-cpuprofile", cpu, "-memprofile", memory)
    found = scan(arena.scanner, *words, lines=lines(2000))
    responder.stop()
    assert found.returncode == 0, found.stderr
    assert len(found.records) == 2000
    processes = {"lzr:_coordinator", "lzr:_collect_0", "lzr:_flow_0", "lzr:_flow_1"}
    for path in (cpu, memory):
        stacks = folded(path.read_text())
        assert {stack[0] for stack in stacks} == processes
        assert all(weight > 0 for weight in stacks.values())
    spent = folded(cpu.read_text())
    assert any(name.endswith("FlowWorker._loop") for stack in spent for name in stack)
    assert any(name.endswith("Collector._loop") for stack in spent for name in stack)
