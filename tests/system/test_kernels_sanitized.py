"""The native kernels, built with the address and undefined-behaviour sanitizers, on mutated input.

The other tests show that they answer right; this one, that they touch no byte that is not theirs.
LZR_FUZZ_SECONDS makes it longer.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT

pytestmark = pytest.mark.attack

SECONDS = float(os.environ.get("LZR_FUZZ_SECONDS", "3"))
ENDED = "kernels fuzzed"


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The extension built with sanitizers, and the runtime to load before Python."""
    target = tmp_path_factory.mktemp("sanitized") / "_native.so"
    sources = sorted(map(str, (ROOT / "lzr" / "native").glob("*.c")))
    flags = ["-shared", "-fPIC", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    try:
        runtimes = [
            _run("gcc", f"-print-file-name={name}").stdout.strip() for name in ("libasan.so", "libubsan.so")
        ]
        built = _run("gcc", *flags, f"-I{sysconfig.get_paths()['include']}", *sources, "-o", str(target))
    except FileNotFoundError:
        pytest.skip("no gcc")
    if built.returncode or not all(Path(runtime).is_absolute() for runtime in runtimes):
        pytest.skip(f"no sanitizers here: {built.stderr[:200]}")
    return target, ":".join(runtimes)


def test_no_byte_out_of_bounds(sanitized: tuple[Path, str]) -> None:
    library, runtimes = sanitized
    environment = {
        **os.environ,
        "LD_PRELOAD": runtimes,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(ROOT),
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, __file__, str(library), str(SECONDS)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120 + SECONDS
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert ENDED in done.stdout


def _load(library: str) -> None:
    """Put the sanitized build in the place of lzr._native, before anything imports it."""
    import importlib.machinery
    import importlib.util

    loader = importlib.machinery.ExtensionFileLoader("lzr._native", library)
    spec = importlib.util.spec_from_file_location("lzr._native", library, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["lzr._native"] = module
    loader.exec_module(module)
    import lzr

    lzr._native = module  # type: ignore[attr-defined]


def _mutate(draw: random.Random, text: bytes) -> bytes:
    for _ in range(draw.randrange(5)):
        at = draw.randrange(len(text) + 1)
        to = min(len(text), at + draw.randrange(8))
        piece = draw.choice(
            [b"", text[at:to] * 2, draw.randbytes(draw.randrange(4)), b'"', b"\n", b"9" * 25, b":"]
        )
        text = text[:at] + piece + text[to:]
    return text[: draw.randrange(len(text) + 1)] if draw.random() < 0.3 else text


def _fuzz(seconds: float) -> int:
    import numpy as np

    from lzr.kernels import NATIVE
    from lzr.protocols._protocol import Identity
    from lzr.records.encoders import JsonEncoder
    from lzr.records.fields import NUMBERS
    from lzr.rows import OUTCOME
    from lzr.targets.lists import ListReader
    from lzr.targets.zmap import ZmapReader

    assert NATIVE is sys.modules["lzr._native"]
    seed = random.randrange(1 << 32)
    print("seed", seed)
    draw = random.Random(seed)
    zmap = (
        b'{ "saddr": "10.4.0.131", "daddr": "10.99.0.2", "sport": 9002, "dport": 47415, "seqnum": -123,'
        b' "acknum": 1, "window": 29200, "ttl": 3, "x": null, "y": "z" }\n'
    )
    six = zmap.replace(b"10.4.0.131", b"2001:db8::1").replace(b"10.99.0.2", b"::2")
    lists = b"1.2.3.4:80\n[2001:db8::1]:443\n2001:db8::1,5 # a\n#b\n1.2.3.4;5\n"
    rounds = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rounds += 1
        for reader, text in ((ZmapReader(), zmap + six), (ListReader(), lists)):
            reader.feed(_mutate(draw, text) * draw.randrange(4))
            reader.finish()
        rows = np.frombuffer(draw.randbytes(OUTCOME.itemsize * 4), OUTCOME).copy()
        blob = draw.randbytes(draw.randrange(200))
        if draw.random() < 0.9:
            rows["data_len"] %= len(blob) // 4 + 1
        chosen = draw.sample(list(NUMBERS), draw.randrange(1, len(NUMBERS) + 1))
        names = [
            None,
            "a\x00",
            Identity("b", "\ud800\U0001f600" * 9, "\xff" * draw.randrange(500), "1"),
            Identity(""),
        ]
        encoder = JsonEncoder(fields=chosen, handshakes=("a",), expanded=draw.random() < 0.5)
        try:
            encoder.encode(rows, blob, names)
        except ValueError:
            assert int(rows["data_len"].sum(dtype=np.uint64)) > len(blob)
        _fuzz_packets(draw)
        _fuzz_table(draw)
    return rounds


def _fuzz_table(draw: random.Random) -> None:
    """Lines of results, of ours and torn, from anywhere in a block; columns of any kind."""
    import contextlib

    from lzr.kernels import NATIVE

    line = (
        b'{"saddr":"10.4.0.131","daddr":"2001:db8::1","sport":9002,"ttl":64,"ACK":true,"data":"\\u00ff\\n",'
        b'"Timestamp":"2026-11-22T09:26:01.201934127Z","product":"\\u00e9x","truncated":true}\n'
    )
    kinds = [
        ("saddr", "a", 0, 0), ("daddr", "a", 0, 0), ("sport", "n", 2, 65535), ("ttl", "n", 1, 255),
        ("ACK", "b", 0, 0), ("data", "d", 0, 0), ("Timestamp", "w", 0, 0), ("product", "t", 0, 0),
        ("truncated", "B", 0, 0), ("asn", "n", 4, 1 << 32),
    ]  # fmt: skip
    block = b"".join(_mutate(draw, line) if draw.random() < 0.4 else line for _ in range(draw.randrange(12)))
    NATIVE.table_lines(block, draw.randrange(len(block) + 1), tuple(kinds))
    names = [(name, draw.choice("tdanbBwx"), draw.randrange(20), draw.getrandbits(64)) for name, *_ in kinds]
    with contextlib.suppress(ValueError):
        NATIVE.table_lines(block, draw.randrange(-1, len(block) + 3), tuple(names))


def _fuzz_packets(draw: random.Random) -> None:
    """Whole traces, torn packets, and arguments that no caller of ours would give."""
    import contextlib

    import numpy as np

    from lzr.kernels import NATIVE
    from lzr.packet import segments
    from lzr.rows import FLOW, FRAME, OUTCOME, SEGMENT, TARGET
    from tests.unit.lzr.test_kernels import packets, trace

    assert NATIVE is not None
    trace(draw.randrange(1 << 32))
    buffer, at = packets(np.random.default_rng(draw.randrange(1 << 32)), 8)
    exact = buffer[: at[-1]].copy()  # not a byte behind the last packet
    ts, checked = np.zeros(8, np.uint64), np.zeros(8, bool)
    segments.parse(exact, at[:-1], np.diff(at), ts, checked)

    frames = 8
    ring = np.frombuffer(draw.randbytes(2048 * frames), np.uint8).copy()
    heads = ring.reshape(frames, 2048)[:, :32].view(np.uint32)
    heads[:, 0] = draw.choice([1, 9, 129])
    if draw.random() < 0.8:
        heads[:, 2] = draw.randrange(3000)  # captured
        heads[:, 3] = draw.randrange(2100) << 16 | draw.randrange(100)  # where the headers start
        ring.reshape(frames, 2048)[:, 64:] = exact[:1984] if len(exact) >= 1984 else 0x45
    out, faults = np.empty(frames, SEGMENT), np.zeros(5, np.int64)
    first = draw.randrange(frames + 3)
    with contextlib.suppress(ValueError):
        payloads = np.empty(draw.randrange(6000), np.uint8)
        room = out[: draw.randrange(frames + 1)]
        NATIVE.take_frames(ring, first, draw.randrange(20), room, faults, payloads, draw.randrange(50))
    rows = np.frombuffer(draw.randbytes(FRAME.itemsize * 4), FRAME).copy()
    rows["probe"] %= draw.choice([1, 3, 255])
    programs = (draw.randbytes(draw.randrange(12)), b"\0\4\0\0\0abcd\1\2", b"\3\11\0\0\0")
    ring.reshape(frames, 2048)[:, :4] = 0
    with contextlib.suppress(ValueError):
        NATIVE.fill_ring(ring, first, rows, bytes(22), programs)
    ring.reshape(frames, 2048)[:, :4] = 0
    with contextlib.suppress(ValueError):
        ends = np.sort(np.array([draw.randrange(6) for _ in range(3)]))
        NATIVE.spread_frames(
            *(ring, np.array([draw.randrange(-1, frames + 2)]), rows, bytes(22), programs, ends, ends * 0),
            *(0, draw.choice([lambda: None, (-1, b""), (-1, b"link")])),
        )
    with contextlib.suppress(ValueError):
        NATIVE.unsent(ring, first, draw.randrange(12))
    table = np.zeros(4, FLOW)
    slots = np.array([draw.randrange(-2, 6) for _ in range(4)], np.int32)
    secrets = draw.randbytes(draw.choice((48, 48, 48, 0, 96, 47)))  # right, none, two, not whole
    index, outcomes = NATIVE.Index(), np.empty(draw.randrange(3, 5), OUTCOME)
    program = draw.choice([None, draw.randrange(1 << 33), *programs])
    generations = draw.choice([None, np.empty(draw.randrange(3, 5), np.uint32)])
    targets = np.frombuffer(draw.randbytes(TARGET.itemsize * 4), TARGET).copy()
    for same in (slots, np.arange(4, dtype=np.int32)):
        with contextlib.suppress(IndexError, ValueError):
            number, probe = draw.randrange(6), draw.choice((0, 255))
            NATIVE.send(table, same, number, 16, probe, secrets, program, rows, generations)
        with contextlib.suppress(IndexError, ValueError):
            NATIVE.open_rows(
                table, index, targets, same, secrets, 3, np.empty(draw.randrange(3, 5), np.uint8)
            )
        found = np.frombuffer(draw.randbytes(SEGMENT.itemsize * 4), SEGMENT).copy()
        if draw.random() < 0.7:
            found["data_at"] %= len(exact)
            found["data_len"] %= draw.choice([1, 5, len(exact)])
            found["seq"] = table["rcv"] - np.uint32(draw.randrange(3))
        numbers = [np.empty(4, np.uint32) for _ in range(2)]
        with contextlib.suppress(IndexError):
            NATIVE.take_data(table, same, found, exact, 64, 8, *numbers, np.empty(4, bool))
        with contextlib.suppress(IndexError, ValueError, KeyError):
            lengths = draw.choice([None, numbers[0]])
            NATIVE.finish(table, index, same, draw.randrange(9), lengths, rows, outcomes)
    _fuzz_sweep(draw)
    _fuzz_web(draw)
    _fuzz_greetings(draw)
    places = np.zeros(draw.choice([1, 3, 4, 8, 16]), np.uint64)
    with contextlib.suppress(ValueError):
        NATIVE.remember(targets, 5, places, draw.randrange(9), places.copy(), np.empty(4, bool))
    with contextlib.suppress(IndexError):
        starts = np.array([draw.randrange(1 << 32)], np.uint32)
        NATIVE.gather(exact, starts, starts[::-1].copy())


def _fuzz_sweep(draw: random.Random) -> None:
    """Columns that do not fit each other, numbers and orders out of range."""
    import contextlib

    import numpy as np

    from lzr.kernels import NATIVE
    from lzr.rows import FRAME

    assert NATIVE is not None

    def words(most: int, count: int = 4) -> Any:
        return np.array([draw.randrange(most) for _ in range(draw.choice((count, count, 0, 1)))], np.uint64)

    rows = np.zeros(draw.choice((4, 4, 3, 0)), FRAME)
    with contextlib.suppress(ValueError):
        order = words(draw.choice((3, 1 << 20, 1 << 63)), 9).tobytes()
        NATIVE.sweep_permute(order, draw.randrange(1 << 63), draw.randrange(9), words(1))
    with contextlib.suppress(ValueError):
        order = words(draw.choice((3, 1 << 20)), 9).tobytes()
        NATIVE.sweep_places(order, words(draw.choice((3, 1 << 63))), words(1))
    with contextlib.suppress(ValueError):
        where = (draw.choice((56, 17, 4096)), draw.choice((0, 24, 1 << 40)), draw.choice((48, 54, 56)))
        ranges = words(1 << 62, 2), words(2, 2), words(9, 2), words(9, 2)
        ports, inside = np.zeros(draw.randrange(3), np.uint16), np.zeros(draw.randrange(5), bool)
        NATIVE.sweep_numbers(rows, *where, *ranges, ports, words(1), inside)
    with contextlib.suppress(ValueError):
        ports = np.zeros(draw.randrange(3), np.uint16)
        most = draw.choice((4, 1 << 62))
        numbers, starts = words(most), words(most, 2)
        NATIVE.sweep_place(numbers, draw.randrange(most), starts, starts, words(9, 2), ports, rows)
    with contextlib.suppress(ValueError):
        first, last = draw.randrange(65536), draw.randrange(65537)
        isns = np.zeros(draw.randrange(5), np.uint32)
        where = (draw.choice((56, 35, 4096)), draw.choice((0, 24, 1 << 40)), draw.choice((48, 52, 53)))
        NATIVE.sweep_cookies(rows, *where, 1, 2, 3, first, last, np.zeros(4, np.uint16), isns)


def _fuzz_web(draw: random.Random) -> None:
    """Responses that were changed and cut, alone and in a batch of rows that may promise too much."""
    import contextlib

    import numpy as np

    from lzr.fingerprint import applications, webreply
    from lzr.protocols._protocol import Identity
    from lzr.rows import OUTCOME

    page = b"HTTP/1.1 %d OK\r\nServer: %s\r\nX-Powered-By: x\r\n\r\n<html><title>Grafana</title>{}"
    replies = []
    for _ in range(4):
        text = _mutate(draw, page % (draw.randrange(1200), b"n" * draw.randrange(200)))
        replies.append(bytes(memoryview(text)[: draw.choice((len(text), draw.randrange(len(text) + 1)))]))
        webreply.identity(replies[-1])
        applications.read(replies[-1])
    hello = bytes.fromhex("160303 0200 020000 50 0303") + bytes(32) + b"\x20" + bytes(32) + b"\xc0\x2f\0"
    hello += b"\x06\x03\x55\x04\x03\x0c\x10Grafana\x06\x03\x55\x1d\x11" + bytes(draw.randrange(300))
    record = bytes(_mutate(draw, draw.choice((hello, bytes.fromhex("15030300020228")))))
    cut = draw.choice((len(record), draw.randrange(len(record) + 1)))
    replies[draw.randrange(4)] = bytes(memoryview(record)[:cut])
    rows = np.zeros(4, OUTCOME)
    rows["data_len"] = [len(reply) for reply in replies]
    if draw.random() < 0.2:
        rows["data_len"][draw.randrange(4)] = draw.randrange(1 << 32)
    rows["handshake"] = draw.choice((0, 1, 9, 255))
    heads = tuple((draw.choice((0, 3, 1 << 30)), draw.randbytes(draw.choice((0, 4)))) for _ in range(2))
    names = [Identity("unknown")] * draw.choice((4, 4, 3))
    with contextlib.suppress(ValueError):
        webreply.batch(rows, b"".join(replies), heads, draw.randrange(30), names)


def _fuzz_greetings(draw: random.Random) -> None:
    """Greetings that were changed and cut, alone and in a batch of rows that may promise too much."""
    import contextlib

    import numpy as np

    from lzr.fingerprint import greetline
    from lzr.protocols._protocol import Identity
    from lzr.rows import OUTCOME

    samples = (
        b"220-mx.example.com ESMTP Postfix 3.8 at [192.0.2.1]\r\n220 ftp.example.com (vsFTPd 3.0.5) v1.2\r\n",
        b"220 one.example two_three 12:34:56 +0100 er.1.2 Titan FTP Server 8.40 (Abc) ready at 192.0.2.1\r\n",
        b"+OK CommuniGate Pro POP3 Server 6.1 ready <1.2@example.com>\r\n",
        b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n",
        b"\xff\xfb\1\xff\xf1\xff\xfd\x27\r\nWelcome to the WhatRoute TELNET Server 1.2\r\nlogin: ",
    )
    replies = []
    for _ in range(4):
        text = bytes(_mutate(draw, draw.choice(samples) + draw.choice(samples) * draw.choice((0, 0, 1, 9))))
        replies.append(bytes(memoryview(text)[: draw.choice((len(text), draw.randrange(len(text) + 1)))]))
        greetline.of_line(replies[-1])
    rows = np.zeros(4, OUTCOME)
    rows["data_len"] = [len(reply) for reply in replies]
    if draw.random() < 0.2:
        rows["data_len"][draw.randrange(4)] = draw.randrange(1 << 32)
    rows["handshake"] = draw.choice((0, 1, 9, 255))
    heads = tuple((draw.choice((0, 3, 1 << 30)), draw.randbytes(draw.choice((0, 4)))) for _ in range(2))
    names = [Identity("unknown")] * draw.choice((4, 4, 3))
    places = np.cumsum([0, *map(len, replies)]).tolist()
    left = [(row, places[row] + draw.choice((0, 0, 0, 1, 1 << 20))) for row in range(draw.choice((4, 4, 5)))]
    with contextlib.suppress(ValueError):
        greetline.lines(rows, b"".join(replies), left, heads, draw.randrange(30), names)


if __name__ == "__main__":
    _load(sys.argv[1])
    print(ENDED, _fuzz(float(sys.argv[2])))
