"""Which conditions of the matchers came out only one way under the examples, the rejects and the corpus?

    python -m benchmarks.branches [FILE] [--mutate]

The suite asks that every line be reached; this asks it of every condition in a line, which takes a while. A
condition that is always true or never may be right (a guard against bytes that nobody sent so far); one that
contradicts another is a mistake. What turns them and is no example stands in
tests/unit/lzr/protocols/turns.py. FILE is that of `benchmarks.corpus`.

With --mutate the examples are cut, grown and changed byte by byte, and their own matcher is asked where its
keys let them through: a condition that nothing turns is worth a look. Eight are left with the corpus and
--mutate, each for a reason: the first pass of a loop over what is known to be there (five), protocols without
a matcher or a key (two), and a number past the end, whose length every matcher has checked (one).
"""

from __future__ import annotations

import dis
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from benchmarks.corpus import DEFAULT, load
from lzr import protocols
from lzr.fingerprint.classifier import Classifier
from lzr.protocols import BY_NAME, PROTOCOLS
from tests.unit.lzr.protocols.turns import NOT, YES

ROOT = protocols.__path__[0]
DEEP = 64
"""Bytes of a reply that are changed one by one, and the greatest length it is cut to."""

CONDITIONAL = ("POP_JUMP", "JUMP_IF")


def traced(calls: list[tuple[Callable[[bytes], object], bytes]]) -> dict[CodeType, set[tuple[int, int]]]:
    """The steps from instruction to instruction that the calls took, by function."""
    steps: dict[CodeType, set[tuple[int, int]]] = defaultdict(set)

    def watch(frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(ROOT):
            return None
        frame.f_trace_opcodes = True
        taken, last = steps[frame.f_code], -1

        def step(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal last
            if event == "opcode":
                taken.add((last, frame.f_lasti))
                last = frame.f_lasti
            return step

        return step

    sys.settrace(watch)
    try:
        for call, reply in calls:
            call(reply)
    finally:
        sys.settrace(None)
    return steps


def one_way(code: CodeType, steps: set[tuple[int, int]]) -> list[tuple[int, int, int, str]]:
    """Conditions that were met and came out one way only, and which: line, columns where the condition begins
    and ends (the end in its last line), how."""
    after: dict[int, set[int]] = defaultdict(set)
    for place, following in steps:
        after[place].add(following)
    found = []
    previous = None
    for instruction in dis.get_instructions(code):
        condition, previous = previous, instruction
        if not any(word in instruction.opname for word in CONDITIONAL) or not after[instruction.offset]:
            continue
        if len(after[instruction.offset]) == 1:
            jumped = instruction.argval in after[instruction.offset]
            at = condition.positions if condition is not None else None
            line, start, end = (at.lineno, at.col_offset, at.end_col_offset) if at else (0, 0, 0)
            found.append((line or 0, start or 0, end or 0, "always jumps" if jumped else "never jumps"))
    return found


def mutated(data: bytes) -> Iterator[bytes]:
    """The reply cut, grown, and changed in each of its first bytes."""
    yield from (data[:end] for end in range(1, min(len(data), DEEP)))
    yield from (data + more for more in (b"\0", b"x", b"\r\n", b" " * 600))
    for at in range(min(len(data), DEEP)):
        for byte in {
            0,
            1,
            0x20,
            0x39,
            0x41,
            0x80,
            0xFF,
            data[at] ^ 1,
            data[at] + 1 & 255,
            data[at] - 1 & 255,
        }:
            yield data[:at] + bytes((byte,)) + data[at + 1 :]
    for mark in (b" ", b":", b"\n", b'"', b"."):
        yield data.replace(mark, b"")
        yield data.replace(mark, b"\t")


def main(argv: list[str]) -> int:
    mutate = "--mutate" in argv
    argv = [word for word in argv if word != "--mutate"]
    path = Path(argv[0] if argv else os.environ.get("LZR_CORPUS", DEFAULT))
    path = path / "replies.jsonl" if path.is_dir() else path
    replies = [row["data"] for row in load(path)] if path.is_file() else []
    calls: list[tuple[Callable[[bytes], object], bytes]] = [
        (p.match, e) for p in PROTOCOLS if p.match for e in (*p.examples, *p.rejects)
    ]
    calls += [(Classifier().classify, reply) for reply in replies]
    calls += [(match, reply) for name, reply in (*NOT, *YES) if (match := BY_NAME[name].match)]
    if mutate:
        replies = [e for p in PROTOCOLS if p.match for e in (*p.examples, *p.rejects)]
        calls += [(Classifier().classify, reply) for reply in replies]
        calls += [(p.match, e[:end]) for p in PROTOCOLS if p.match for e in p.examples for end in range(DEEP)]
        calls += [
            (p.matches, m)
            for p in PROTOCOLS
            if p.match
            for e in (*p.examples, *p.rejects)
            for m in mutated(e)
        ]
    total = 0
    for code, steps in sorted(
        traced(calls).items(), key=lambda item: (item[0].co_filename, item[0].co_firstlineno)
    ):
        source = Path(code.co_filename).read_text().split("\n")
        for line, start, end, how in sorted(set(one_way(code, steps))):
            total += 1
            text = source[line - 1].encode()
            part = (text[start:end] or text[start:]).decode().strip()
            print(f"{Path(code.co_filename).name}:{line} {code.co_name}: {how}: {part}")
    print(f"{total} conditions came out one way only")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
