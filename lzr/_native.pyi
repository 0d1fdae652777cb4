from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import Buffer

from lzr.protocols._protocol import Identity

TARGET_SIZE: int
OUTCOME_SIZE: int
SEGMENT_SIZE: int
FRAME_SIZE: int
FLOW_SIZE: int
VERSION: int
FIELDS: tuple[str, ...]
STATES: tuple[str, ...]
TRIGGERS: tuple[str, ...]

class Index:
    def find(self, keys: Buffer, out: Buffer, /) -> None: ...
    def insert(self, keys: Buffer, slots: Buffer, out: Buffer, /) -> int: ...
    def remove(self, keys: Buffer, /) -> None: ...
    def __len__(self) -> int: ...

def zmap_lines(block: Buffer, rows: Buffer, again: Buffer, line: int, /) -> tuple[int, int, int]: ...
def csv_lines(
    block: Buffer, rows: Buffer, again: Buffer, line: int, columns: bytes, /
) -> tuple[int, int, int]: ...
def list_lines(block: Buffer, rows: Buffer, again: Buffer, line: int, /) -> tuple[int, int, int]: ...
def json_records(
    rows: Buffer,
    blob: Buffer,
    keep: Buffer,
    fields: Buffer,
    identities: Sequence[Identity | str | None],
    handshakes: Sequence[str],
    expanded: bool,
    /,
) -> bytes: ...
def flow_keys(rows: Buffer, size: int, addresses: int, ports: int, seed: int, out: Buffer, /) -> None: ...
def flow_hashes(rows: Buffer, size: int, addresses: int, ports: int, seed: int, out: Buffer, /) -> None: ...
def take_frames(
    ring: Buffer, at: int, limit: int, out: Buffer, faults: Buffer, payloads: Buffer, used: int, /
) -> tuple[int, int, int, int]: ...
def parse_packets(
    buffer: Buffer,
    at: Buffer,
    captured: Buffer,
    ts: Buffer,
    checked: Buffer,
    out: Buffer,
    faults: Buffer,
    /,
) -> int: ...
def build_frames(
    rows: Buffer, link: Buffer, programs: tuple[bytes, ...], out: Buffer, width: int, lengths: Buffer, /
) -> None: ...
def fill_ring(
    ring: Buffer, at: int, rows: Buffer, link: Buffer, programs: tuple[bytes, ...], /
) -> tuple[int, int]: ...
def spread_frames(
    ring: Buffer,
    position: Buffer,
    rows: Buffer,
    link: Buffer,
    programs: tuple[bytes, ...],
    ends: Buffer,
    moments: Buffer,
    least: int,
    clock: Callable[[], int],
    sleep: Callable[[float], None],
    offer: Callable[[], object],
    /,
) -> tuple[int, int, int, int]: ...
def ways(rows: Buffer, size: int, addresses: int, table: Buffer, out: Buffer, /) -> None: ...
def unsent(ring: Buffer, at: int, count: int, /) -> tuple[int, int]: ...
def probe_lengths(
    rows: Buffer, size: int, addresses: int, ports: int, program: bytes, out: Buffer, /
) -> None: ...
def read_triggers(flows: Buffer, segments: Buffer, out: Buffer, /) -> None: ...
def step(
    flows: Buffer,
    segments: Buffer,
    keys: Buffer,
    slots: Buffer,
    todo: Buffer,
    transitions: bytes,
    live: Buffer,
    actions: Buffer,
    /,
) -> tuple[int, int, int]: ...
def due(
    flows: Buffer,
    slots: Buffer,
    generations: Buffer,
    transitions: bytes,
    trigger: int,
    live: Buffer,
    actions: Buffer,
    /,
) -> int: ...
def open_rows(
    flows: Buffer, slots: Buffer, targets: Buffer, keys: Buffer, una: Buffer, wall: int, /
) -> None: ...
def frame_rows(
    flows: Buffer, slots: Buffer, number: int, flags: int, probe: int, seed: int, out: Buffer, /
) -> None: ...
def outcome_rows(
    flows: Buffer, slots: Buffer, reason: int, lengths: Buffer, final: Buffer, out: Buffer, /
) -> None: ...
def bump(flows: Buffer, slots: Buffer, state: int, out: Buffer, /) -> None: ...
def gather(buffer: Buffer, starts: Buffer, lengths: Buffer, /) -> bytes: ...
def sweep_permute(order: bytes, first: int, step: int, out: Buffer, /) -> None: ...
def sweep_place(
    numbers: Buffer, pairs: int, starts: Buffer, hi: Buffer, lo: Buffer, ports: Buffer, rows: Buffer, /
) -> None: ...
def sweep_cookies(
    rows: Buffer,
    size: int,
    addresses: int,
    ports: int,
    key: int,
    other_key: int,
    filter: int,
    first: int,
    last: int,
    own_ports: Buffer,
    isns: Buffer,
    /,
) -> None: ...
def table_lines(
    block: Buffer, start: int, columns: tuple[tuple[str, str, int, int], ...], /
) -> tuple[int, int, list[tuple[Any, ...]]]: ...
def tally(rows: Buffer, /) -> tuple[int, tuple[int, ...], dict[int, int], dict[int, int]]: ...
def web_table(
    others: tuple[tuple[tuple[bytes, ...], tuple[bytes, ...]], ...],
    places: tuple[tuple[tuple[bytes, str | None, int], ...], ...],
    identity: Identity,
    /,
) -> object: ...
def web_batch(
    table: object,
    rows: Buffer,
    blob: Buffer,
    heads: tuple[tuple[int, bytes], ...],
    least: int,
    names: list[Identity],
    /,
) -> tuple[list[tuple[int, int]], dict[tuple[int, str], int]]: ...
def greeting_table(
    identities: tuple[Identity, ...],
    programs: tuple[tuple[tuple[bytes, bytes, str, bool], ...], ...],
    words: tuple[tuple[bytes, int], ...],
    makers: tuple[tuple[bytes, int], ...],
    devices: tuple[tuple[bytes, int], ...],
    elsewhere: tuple[bytes, ...],
    terminals: tuple[bytes, tuple[tuple[bytes, int], ...], tuple[bytes, ...], tuple[tuple[int, bytes], ...]],
    /,
) -> object: ...
def greeting(table: object, data: bytes, /) -> Identity | None: ...
def greeting_batch(
    table: object,
    rows: Buffer,
    blob: Buffer,
    left: list[tuple[int, int]],
    heads: tuple[tuple[int, bytes], ...],
    least: int,
    names: list[Identity],
    /,
) -> tuple[list[tuple[int, int]], dict[tuple[int, str], int]]: ...
def web_read(table: object, data: bytes, /) -> tuple[str, bytes] | None: ...
def web_reply(table: object, data: bytes, /) -> Identity | None: ...
