"""Reads a seed for `lzr predict`: files of results, and which hosts were asked.

Whatever answered is a service; a record without an answer says that the pair was asked in vain. Pairs that
were asked and have no record are known from lists of the user's (`--asked`) and from the metadata of sweeps
that ran to their end.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coordinator.analysis import beside
from coordinator.analysis.reading import connect, load
from coordinator.analysis.source import Progress
from lzr.analysis import asked as asking
from lzr.analysis.asked import Part
from lzr.analysis.predict import SIX, plain_hosts, with_networks
from lzr.analysis.predictasked import PORTS, Addresses, Asked
from lzr.analysis.predictcounts import Services
from lzr.rows import V4_MAPPED

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KINDS = ("fingerprint", "product", "line", "line", "line", "certificate", "stack", "asn")
_LINES = 3
_LEAST_HOSTS = 3
"""Hosts that must send a line before it is a feature."""
_MOST_LINES = 24
_LOOK = 2048
"""Bytes of a banner whose lines are looked at."""
_CHANGES = (b"date:", b"expires:", b"set-cookie:", b"last-modified:", b"etag:", b"x-request-id:")
"""Lines that tell of the moment rather than of the host."""
_BATCH = 20_000
_MEMORY = 1 << 30

_MAPPED = "".join(f"\\x{byte:02X}" for byte in V4_MAPPED.to_bytes(16, "big")[:12])

# One row for each pair: that with an answer, if any record has one.
_ANSWERED = "(octet_length(data) > 0 OR (fingerprint IS NOT NULL AND fingerprint <> 'unknown') OR sa_only)"
_PAIRS = f"""
CREATE OR REPLACE TABLE pairs AS
WITH rows AS (
    SELECT saddr_key AS key, sport AS port, coalesce({_ANSWERED}, false) AS answered,
        coalesce(ackingFirewall, false) AS firewall, rowid AS place,
        coalesce(nullif(fingerprint, 'unknown'), '') AS fingerprint
    FROM seed WHERE saddr_key IS NOT NULL AND sport IS NOT NULL
)
SELECT key, port, bool_or(answered) AS answered, bool_or(firewall) AS firewall,
    arg_max(
        place,
        (CASE WHEN answered THEN 2 ELSE 0 END) + (CASE WHEN fingerprint <> '' THEN 1 ELSE 0 END)
    ) AS place
FROM rows GROUP BY key, port
"""


@dataclass
class Seed:
    """services: of plain hosts, with all features; names: of each kind, what its codes mean.

    six: the addresses of IPv6 hosts, by number. odd: hosts with too many ports, and ACKing firewalls.
    answered: pairs that did, of all hosts. notes: sentences for the user. assumed: nobody said who was asked.
    """

    services: Services
    asked: Asked
    odd: NDArray[np.int64]
    six: list[bytes]
    names: list[Callable[[int], str]]
    answered: int
    notes: list[str] = field(default_factory=list)
    assumed: bool = False


def read(
    paths: Sequence[str],
    *,
    asked: Asked,
    parts: Iterable[Part] = (),
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
    assume: bool | None = None,
) -> Seed:
    """Read files of results. asked: what is known to have been asked already, which is added to.

    A pair with a record counts as asked. assume: whether hosts count as asked on all ports of the seed;
    None: if nothing says that anybody was asked in vain. Raises UsageError.
    """
    connection = connect(memory=_MEMORY)
    try:
        parts = list(parts)
        for number, path in enumerate(paths):
            load(connection, path, f"part{number}", progress=progress, say=say)
            found, _ = beside.find(path)
            if found is not None and not asking.unfinished(found):
                parts += asking.swept(found)
        union = " UNION ALL ".join(f"SELECT * FROM part{number}" for number in range(len(paths)))
        connection.execute(
            f"CREATE TABLE seed AS {union}" if len(paths) != 1 else "ALTER TABLE part0 RENAME TO seed"
        )
        return _seed(connection, asked, parts, assume=assume)
    finally:
        connection.close()


def _seed(connection: DuckDBPyConnection, asked: Asked, parts: list[Part], *, assume: bool | None) -> Seed:
    connection.execute(_PAIRS)
    six = [
        bytes(row[0])
        for row in connection.execute(
            f"SELECT DISTINCT key FROM pairs WHERE key[1:12] <> '{_MAPPED}'::BLOB ORDER BY key"
        ).fetchall()
    ]
    keys, port, answered, firewall = _columns(
        connection, "SELECT key, port, answered, firewall FROM pairs ORDER BY key, port"
    )
    number = _numbers(keys, six)
    order = np.lexsort((port, number))
    number, port, answered, firewall = number[order], port[order], answered[order], firewall[order]
    stated = False
    for part in parts:
        addresses = covered_by(part.ranges, six)
        ports = np.zeros(PORTS, np.bool_)
        for first, last in part.ports:
            ports[first : last + 1] = True
        asked.add_product(addresses, ports)
        stated = True
    fresh = ~asked.contains(number, port)
    asked.add_pairs(number[fresh], port[fresh], 0)
    services, names = _services(connection, six)
    notes = []
    if assume is None:
        assume = not stated and bool(answered.all()) and len(services) > 0
    if assume:
        everywhere = np.zeros(PORTS, np.bool_)
        everywhere[np.unique(port[fresh])] = True
        asked.assumed = Addresses.of(np.unique(number[fresh])), everywhere
        notes.append(
            "nothing says who was asked and did not answer (--asked FILE): each host of the seed counts as "
            "asked on all ports in it, and hosts that are not in it cannot be predicted"
        )
    firewalls = np.unique(number[firewall])
    total = len(services)
    upper = np.array([int.from_bytes(key[:8], "big") for key in six], np.uint64)
    hosts = np.unique(services.number)
    plain, odd = plain_hosts(services, firewalls)
    kept = np.unique(plain.number)
    if odd:
        notes.append(f"{odd:,} hosts that answer on too many ports, or are ACKing firewalls, are left out")
    odd_hosts = np.union1d(np.setdiff1d(hosts, kept), firewalls)
    return Seed(with_networks(plain, upper), asked, odd_hosts, six, names, total, notes, assume)


def _columns(connection: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """keys: (n,) S16; then int64 and bool columns."""
    cursor = connection.execute(query)
    keys: list[bytes] = []
    ports = array("q")
    answered, firewall = bytearray(), bytearray()
    while batch := cursor.fetchmany(_BATCH):
        columns = list(zip(*batch, strict=True))
        keys.append(b"".join(columns[0]))
        ports.extend(columns[1])
        answered.extend(columns[2])
        firewall.extend(columns[3])
    return (
        b"".join(keys),
        np.array(ports, np.int64),
        np.array(answered, np.bool_),
        np.array(firewall, np.bool_),
    )


def _numbers(keys: bytes, six: list[bytes]) -> NDArray[np.int64]:
    """The model's number of each address. keys: 16 bytes each."""
    halves = np.frombuffer(keys, ">u8").reshape(-1, 2)
    low = halves[:, 1].astype(np.uint64)
    four = (halves[:, 0] == 0) & (low >> np.uint64(32) == 0xFFFF)
    number = (low & np.uint64(0xFFFFFFFF)).astype(np.int64)
    if not four.all():
        place = {key: SIX + rank for rank, key in enumerate(six)}
        for row in np.flatnonzero(~four).tolist():
            number[row] = place[keys[16 * row : 16 * row + 16]]
    return number


def covered_by(ranges: Sequence[tuple[int, int]], six: list[bytes]) -> Addresses:
    """Ranges of 128 bits (sorted) as numbers: IPv4, and the IPv6 hosts that are known."""
    pairs = [
        (max(first, V4_MAPPED) - V4_MAPPED, min(last, V4_MAPPED | 0xFFFFFFFF) - V4_MAPPED)
        for first, last in ranges
        if first <= V4_MAPPED | 0xFFFFFFFF and last >= V4_MAPPED
    ]
    firsts = [first for first, _ in ranges]
    if six:
        for rank, key in enumerate(six):
            value = int.from_bytes(key, "big")
            at = bisect_right(firsts, value) - 1
            if at >= 0 and value <= ranges[at][1]:
                pairs.append((SIX + rank, SIX + rank))
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return Addresses(both[:, 0], both[:, 1])


class _Words:
    """Texts as small numbers."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def __call__(self, texts: Sequence[Any]) -> list[int]:
        numbers = self.numbers
        return [
            numbers.setdefault(str(text), len(numbers)) if text not in (None, "") else -1 for text in texts
        ]

    def name(self, number: int) -> str:
        return next((text for text, value in self.numbers.items() if value == number), "?")


def _services(
    connection: DuckDBPyConnection, six: list[bytes]
) -> tuple[Services, list[Callable[[int], str]]]:
    words = [_Words() for _ in range(5)]
    keys: list[bytes] = []
    columns = [array("q") for _ in range(6)]  # port, fingerprint, product, certificate, stack, asn
    hashes, owners = array("q"), array("q")  # 8 bytes each, where a list's numbers have 40
    texts: dict[int, bytes] = {}
    cursor = connection.execute(
        """SELECT p.key, p.port, nullif(s.fingerprint, 'unknown'), s.product, s.subject,
        CASE WHEN s."window" IS NULL THEN NULL ELSE concat(s."window", '/', CASE WHEN s.ttl <= 32 THEN 32
        WHEN s.ttl <= 64 THEN 64 WHEN s.ttl <= 128 THEN 128 ELSE 255 END) END, s.asn, s.data[:2048]
        FROM pairs p JOIN seed s ON s.rowid = p.place WHERE p.answered ORDER BY p.key, p.port"""
    )
    total = 0
    while batch := cursor.fetchmany(_BATCH):
        key, port, *rest, data = zip(*batch, strict=True)
        keys.append(b"".join(key))
        columns[0].extend(port)
        for place, values in enumerate(rest):
            columns[place + 1].extend(words[place](values))
        for owner, said in enumerate(data, total):
            for line in {part.strip() for part in (said or b"")[:_LOOK].split(b"\n")[:_MOST_LINES]}:
                if len(line) < 4 or line.lower().startswith(_CHANGES):
                    continue
                value = zlib.crc32(line) << 31 ^ zlib.adler32(line)
                hashes.append(value)
                owners.append(owner)
                if value not in texts and len(texts) < 200_000:
                    texts[value] = line[:80]
        total += len(batch)
    number = _numbers(b"".join(keys), six)
    lines, line_names = _lines(np.array(hashes, np.int64), np.array(owners, np.int64), number, texts)
    fingerprint, product, certificate, stack, asn = (np.array(column, np.int64) for column in columns[1:])
    ports = np.array(columns[0], np.int64)
    codes = np.column_stack([fingerprint, product, *lines.T, certificate, stack, asn]).astype(np.int32)
    order = np.lexsort((ports, number))
    names = [
        words[0].name,
        words[1].name,
        *[line_names] * _LINES,
        words[2].name,
        words[3].name,
        words[4].name,
    ]
    return Services(number[order], ports[order], codes[order], KINDS, ("asn",)), names


def _lines(
    hashes: NDArray[np.int64], owners: NDArray[np.int64], number: NDArray[np.int64], texts: dict[int, bytes]
) -> tuple[NDArray[np.int64], Callable[[int], str]]:
    """(services, _LINES) codes of the rarest lines that are shared, and what a code means."""
    chosen = np.full((len(number), _LINES), -1, np.int64)
    values, place = np.unique(hashes, return_inverse=True)
    if not len(values):
        return chosen, str
    pairs = np.unique(place.astype(np.int64) << 34 | number[owners])
    hosts = np.bincount(pairs >> 34, minlength=len(values))
    shared = hosts[place] >= _LEAST_HOSTS
    place, owners = place[shared], owners[shared]
    order = np.lexsort((place, hosts[place], owners))
    place, owners = place[order], owners[order]
    rank = np.arange(len(owners)) - np.searchsorted(owners, owners)
    few = rank < _LINES
    chosen[owners[few], rank[few]] = place[few]
    return chosen, lambda code: texts.get(int(values[code]), b"?").decode("latin-1")
