"""What text costs: microseconds for a line read and a record written, native and in Python, best of several.

python benchmarks/text.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from lzr import kernels
from lzr.protocols._protocol import Identity
from lzr.records.encoders import CsvEncoder, JsonEncoder, Named, ZgrabEncoder
from lzr.records.summary import Summary
from lzr.rows import OUTCOME, TARGET, V4_MAPPED
from lzr.targets.blocklist import Blocklist
from lzr.targets.dedup import RecentTargets
from lzr.targets.dryrun import DryrunReader, FastDryrunReader
from lzr.targets.lists import ListReader
from lzr.targets.reader import Reader
from lzr.targets.zmap import ZmapReader
from tests.wire import kernels_of

COUNT = 4096
"""Rows in a batch."""

KINDS = ("native", "python") if kernels.NATIVE is not None else ("python",)

BANNER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 01 Jan 2022 00:00:00 GMT\r\nConnection: close\r\n"
    b'Content-Type: text/html\r\nContent-Length: 615\r\nETag: "6398a011-267"\r\n\r\n<!DOCTYPE html>\n<html>\n'
    b"<head>\n<title>Welcome to nginx!</title>\n<style>\nbody { width: 35em; margin: 0 auto; }\n</style>\n"
)[:300]


def best(work: Callable[[], object], repeats: int = 15) -> float:
    """Seconds of the fastest run."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def report(what: str, seconds: float) -> None:
    print(f"{what:<44} {seconds / COUNT * 1e6:7.3f} us")


def feed(make: Callable[[], Reader], text: bytes) -> float:
    return best(lambda: make().feed(text))


def readers() -> None:
    two = "".join(
        f'{{ "saddr": "10.{n >> 8 & 255}.{n & 255}.7", "daddr": "10.99.0.2", "sport": 9002,'
        f' "dport": {32768 + n}, "seqnum": {(n * 2654435761 & 0xFFFFFFFF) - 2**31},'
        f' "acknum": {n * 77}, "window": 29200 }}\n'
        for n in range(COUNT)
    ).encode()
    escaped = two.replace(b'"sport"', b'"sp\\u006frt"')
    lists = "".join(f"10.{n >> 8 & 255}.{n & 255}.7:9002\n" for n in range(COUNT)).encode()
    six = "".join(f"[2001:db8::{n:x}]:443\n" for n in range(COUNT)).encode()
    dry = "".join(
        f"tcp {{ source: 54638 | dest: 9002 | seq: {n} | checksum: 0X9DB }}\n"
        f"ip {{ saddr: 10.0.0.1 | daddr: 10.1.{n >> 8}.{n & 255} | checksum: 0XE99C }}\n"
        f"eth {{ shost: 00:00:00:00:00:00 | dhost: 00:11:22:33:44:55 }}\n{'-' * 54}\n"
        for n in range(COUNT)
    ).encode()
    for kind in KINDS:
        with kernels_of(kind):
            report(f"ZMap JSON line, {kind}", feed(ZmapReader, two))
            report(f"ip:port line, {kind}", feed(ListReader, lists))
            report(f"[v6]:port line, {kind}", feed(ListReader, six))
    report("ZMap JSON line with escapes (slow path)", feed(ZmapReader, escaped))
    report("dry-run block", feed(DryrunReader, dry))
    report("fast dry-run record", feed(FastDryrunReader, b"\x0a\x01\x02\x03\x00\x50" * COUNT))


def encoders() -> None:
    rows = np.zeros(COUNT, OUTCOME)
    rows["record"], rows["flags"], rows["peer_port"] = 1, 24, 9002
    rows["peer_lo"] = V4_MAPPED | 0x0A000000 + np.arange(COUNT)
    rows["own_lo"] = V4_MAPPED | 0x0A630002
    rows["ts"] = 1_700_000_000_000_000_000 + np.arange(COUNT) * 12345
    rows["data_len"] = len(BANNER)
    blob = BANNER * COUNT
    names: list[Named] = [Identity("http", "", "nginx", "1.22.1")] * COUNT
    for kind in KINDS:
        with kernels_of(kind):
            report(f"JSON record of 300 B, {kind}", best(lambda: JsonEncoder().encode(rows, blob, names)))
    report("CSV record of 300 B", best(lambda: CsvEncoder().encode(rows, blob, names)))
    report("ZGrab2 line", best(lambda: ZgrabEncoder().encode(rows, blob, names)))
    labels = ["http"] * COUNT
    report("summary, a record", best(lambda: Summary().add(rows, labels, ("http",))))


def policies() -> None:
    rows = np.zeros(COUNT, TARGET)
    draw = np.random.default_rng(1)
    rows["peer_lo"] = draw.integers(0, 2**32, COUNT, np.uint64) | np.uint64(V4_MAPPED)
    rows["syn"] = 1
    text = "".join(f"{n >> 15 & 255}.{n >> 7 & 255}.{(n & 127) << 1}.0/24\n" for n in range(100_000))
    print(f"{'load 100,000 prefixes':<44} {best(lambda: Blocklist.parse(text), 3) * 1e3:7.1f} ms")
    policy = Blocklist.parse(text)
    report("blocklist look-up among 100,000", best(lambda: policy.allowed(rows["peer_hi"], rows["peer_lo"])))
    recent = RecentTargets(1 << 20)

    def fresh() -> None:
        rows["peer_lo"] += np.uint64(1 << 8)
        recent.fresh(rows)

    report("duplicate look-up, window of a million", best(fresh, 300))


if __name__ == "__main__":
    readers()
    encoders()
    policies()
