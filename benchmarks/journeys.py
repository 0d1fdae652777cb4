"""Which files one follows who follows a line of ZMap's to its record, or what a worker's death sets off.

    sudo .venv/bin/python -m benchmarks.journeys

A function counts if it is called while one more line is scanned (or after a worker has died), and not while
the same scan waits. The files are printed by process, in the order in which the first such function of each
is called, and those functions with them. Where functions run in C, files behind them are not seen.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from dataclasses import dataclass

from benchmarks.callrecord import PLACES, SIZE, VARIABLE
from benchmarks.processes import title, tree
from tests.lab.net import lab, wait_for
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.zmaplines import lines

_FIRST = 50
"""Lines that are scanned before, so that nothing happens for the first time."""
_LINE, _DEATH, _STILL = 1.5, 4.0, 5.0
"""Seconds after which all that a line or a death sets off is over, and for which the scan waits besides."""
_CALL = re.compile(rb"(\d+) (\d+\.\d{6}) (\S+) ([^\n]+)\n")


@dataclass(frozen=True)
class Call:
    """A function that was called."""

    when: float
    pid: int
    file: str
    function: str

    @property
    def what(self) -> tuple[int, str, str]:
        return self.pid, self.file, self.function


def calls(recorded: bytes) -> list[Call]:
    """All that was recorded, in order."""
    found = [
        Call(float(when), int(pid), file.decode(), function.decode())
        for pid, when, file, function in _CALL.findall(recorded)
    ]
    return sorted(found, key=lambda call: call.when)


def show(what: str, found: list[Call], begin: float, length: float, roles: dict[int, str]) -> None:
    """Print the files of one journey. found: all calls."""
    still = {call.what for call in found if begin - _STILL + 1 <= call.when < begin}
    of_process: dict[int, dict[str, list[str]]] = {}
    for call in found:
        if begin <= call.when < begin + length and call.what not in still:
            names = of_process.setdefault(call.pid, {}).setdefault(call.file, [])
            if call.function not in names:
                names.append(call.function)
    print(f"{what}: {len({file for files in of_process.values() for file in files})} files")
    for pid, files in of_process.items():
        print(f"  {roles.get(pid, str(pid))}: {len(files)}")
        for file, names in files.items():
            print(f"    {file}: {', '.join(name for name in names if '<' not in name) or names[0]}")


def walk(arena: Range) -> None:
    arena.respond(first=FIRST, count=256, port=PORT, source=SCANNER, classes="h")
    directory = arena.lab.directory
    record, target = directory / "calls", directory / "out"
    with record.open("wb") as file:
        file.truncate(PLACES * SIZE)
    reads, writes = os.pipe()
    process = arena.scanner.popen(
        sys.executable, "-P", "-m", "benchmarks.callrecord",
        "-w", "1", "--no-dashboard", "-q", "-t", "5", "-f", target,
        stdin=reads, env={**arena.lab.environment, VARIABLE: str(record)},
    )  # fmt: skip
    os.close(reads)
    text = list(lines(_FIRST + 1, classes="h"))

    def send(part: list[str], count: int) -> float:
        begin = time.monotonic()
        os.write(writes, "".join(part).encode())
        wait_for(lambda: target.exists() and target.read_bytes().count(b"\n") >= count, "the records")
        return begin

    send(text[:_FIRST], _FIRST)
    time.sleep(_STILL)
    line = send(text[_FIRST:], _FIRST + 1)
    time.sleep(_LINE + _STILL)
    roles = {pid: title(pid) for pid in tree(process.pid)}
    death = time.monotonic()
    os.kill(next(pid for pid, role in roles.items() if "flow worker" in role), signal.SIGKILL)
    time.sleep(_DEATH)
    roles = {pid: title(pid) for pid in tree(process.pid)} | roles
    os.close(writes)
    process.wait(60)
    found = calls(record.read_bytes())
    show("a line, from a read to its fate", found, line, _LINE, roles)
    show("a worker's death, until its shards are open again", found, death, _DEATH, roles)


def main() -> int:
    with lab() as made:
        walk(Range(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
