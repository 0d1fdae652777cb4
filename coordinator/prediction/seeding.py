"""Reads a seed for `lzr predict`: files of results, and which hosts were asked.

Whatever answered is a service; a record without an answer says that the pair was asked in vain. Pairs that
were asked and have no record are known from lists of the user's (`--asked`) and from the metadata of sweeps
that ran to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coordinator.analysis import askedhosts
from coordinator.analysis.reading import connect, load
from coordinator.analysis.source import Progress
from coordinator.prediction.bannerlines import LINES, LOOK, PAGE, LineCounts
from lzr.analysis import asked as asking
from lzr.analysis.addressranges import AddressRanges
from lzr.analysis.asked import Part
from lzr.prediction import middleboxes
from lzr.prediction.asked import PORTS, Addresses, Asked, joined
from lzr.prediction.counts import Services
from lzr.prediction.middleboxes import Middleboxes
from lzr.prediction.predict import SIX, plain_hosts, with_networks
from lzr.ranges import Range

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KINDS = ("fingerprint", "product", *["line"] * LINES, "certificate", "stack", "asn")
_NEEDED = (
    "saddr_key", "sport", "fingerprint", "product", "subject", "window", "ttl", "asn", "data", "sa_only",
    "ackingFirewall",
)  # fmt: skip
_MOST_COUNTED = 1_000_000
"""Services whose banners are counted line by line; of more, those of a part of the hosts."""
_MOST_WORDS = 300_000
"""Products, certificates and so on that are told apart, the most frequent ones."""
_MEMORY = 1 << 30
"""Bytes that DuckDB holds; what is beyond lies in temporary files (TMPDIR)."""

# One row for each pair: that with an answer, if any record has one. In the order of address and port.
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
FROM rows GROUP BY key, port ORDER BY key, port
"""
_COLUMNS = """SELECT ('0x' || hex(key[1:8]))::UBIGINT AS high, ('0x' || hex(key[9:16]))::UBIGINT AS low, port,
answered, firewall FROM pairs"""
_WORDS = {
    "fingerprint": "nullif(s.fingerprint, 'unknown')",
    "product": "s.product",
    "certificate": "s.subject",
    "stack": """CASE WHEN s."window" IS NULL THEN NULL ELSE concat(s."window", '/', CASE WHEN s.ttl <= 32
        THEN 32 WHEN s.ttl <= 64 THEN 64 WHEN s.ttl <= 128 THEN 128 ELSE 255 END) END""",
    "asn": "s.asn::VARCHAR",
}
"""What each kind of feature is made of."""
_OF = "FROM pairs p JOIN seed s ON s.rowid = p.place WHERE p.answered"


@dataclass
class Seed:
    """services: of plain hosts, with all features; names: of each kind, what its codes mean.

    six: the addresses of IPv6 hosts, by number. boxes: hosts with too many ports, and ACKing firewalls.
    answered: pairs that did, of all hosts. notes: sentences for the user. assumed: nobody said who was asked.
    """

    services: Services
    asked: Asked
    boxes: Middleboxes
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
        stated = list(parts)
        for number, path in enumerate(paths):
            name = "more" if number else "seed"
            load(connection, path, name, columns=_NEEDED, progress=progress, say=say)
            if number:
                connection.execute("INSERT INTO seed SELECT * FROM more; DROP TABLE more")
            found, _ = askedhosts.find(path)
            if found is not None and not asking.unfinished(found):
                stated += asking.swept(found)
        return _seed(connection, asked, stated, assume=assume)
    finally:
        connection.close()


def _seed(connection: DuckDBPyConnection, asked: Asked, parts: list[Part], *, assume: bool | None) -> Seed:
    connection.execute(_PAIRS)
    columns = connection.execute(_COLUMNS).fetchnumpy()
    number, six = _numbers(columns["high"], columns["low"])
    port = columns["port"].astype(np.int64)
    answered, firewall = columns["answered"], columns["firewall"]
    del columns
    stated = False
    while parts:  # millions of ranges are not to stay
        part = parts.pop()
        addresses = _numbered(part.ranges, six)
        ports = np.zeros(PORTS, np.bool_)
        for first, last in part.ports:
            ports[first : last + 1] = True
        del part
        asked.add_product(addresses, ports)
        stated = True
    fresh = ~asked.contains(number, port)
    asked.add_pairs(number[fresh], port[fresh], 0)
    notes: list[str] = []
    services, names = _services(connection, number, port, answered, notes)
    connection.close()  # up to a gigabyte, which what follows may have
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
    boxes = middleboxes.seen(services, odd_hosts, asked)
    return Seed(with_networks(plain, upper), asked, boxes, six, names, total, notes, assume)


def _numbers(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> tuple[NDArray[np.int64], list[bytes]]:
    """The model's number of each address, and the IPv6 addresses among them by number. high, low: halves of
    the addresses, sorted."""
    number = (low & np.uint64(0xFFFFFFFF)).astype(np.int64)
    rows = np.flatnonzero((high != 0) | (low >> np.uint64(32) != 0xFFFF))
    if not len(rows):
        return number, []
    upper, lower = high[rows], low[rows]
    begins = np.concatenate([[True], (upper[1:] != upper[:-1]) | (lower[1:] != lower[:-1])])
    number[rows] = SIX + np.cumsum(begins) - 1
    pairs = zip(upper[begins].tolist(), lower[begins].tolist(), strict=True)
    return number, [(hi << 64 | lo).to_bytes(16, "big") for hi, lo in pairs]


def covered_by(ranges: Iterable[Range], six: list[bytes]) -> Addresses:
    """Ranges of 128 bits as numbers: IPv4, and the IPv6 hosts that are known."""
    return _numbered(AddressRanges.of(ranges), six)


def _numbered(ranges: AddressRanges, six: list[bytes]) -> Addresses:
    """The IPv4 addresses among them, and the IPv6 hosts of the seed."""
    known = SIX + np.flatnonzero(ranges.holds6(np.array(six, "S16")))
    return joined(
        (Addresses(ranges.first4.astype(np.int64), ranges.last4.astype(np.int64)), Addresses.of(known))
    )


def _services(
    connection: DuckDBPyConnection,
    number: NDArray[np.int64],
    port: NDArray[np.int64],
    answered: NDArray[np.bool_],
    notes: list[str],
) -> tuple[Services, list[Callable[[int], str]]]:
    """What answered, with what it answered. number, port, answered: of the table of pairs, in its order."""
    place = np.cumsum(answered) - 1
    total = int(answered.sum())
    number, port = number[answered], port[answered]
    codes = np.full((total, len(KINDS)), -1, np.int32)
    names: dict[str, Callable[[int], str]] = {}
    for kind, expression in _WORDS.items():
        names[kind] = _words(connection, expression)
        found = connection.execute(
            f"SELECT p.rowid AS at, w.code FROM pairs p JOIN seed s ON s.rowid = p.place "
            f"JOIN words w ON w.word = {expression} WHERE p.answered"
        ).fetchnumpy()
        codes[place[found["at"]], KINDS.index(kind)] = found["code"]
        del found
    lines = LineCounts()
    share = -(-total // _MOST_COUNTED)
    part = f" AND hash(p.key) % {share} = 0" if share > 1 else ""
    if share > 1:
        notes.append(
            f"of {total:,} services, the lines of banners are counted over one host in {share}: lines of "
            "fewer than three of those are no feature"
        )
    lines.count(_pages(connection, f"{_OF}{part}", place), number)
    first = KINDS.index("line")
    for at, of in lines.chosen(_pages(connection, _OF, place)):
        codes[at, first : first + LINES] = of
    names["line"] = lines.name
    services = Services(number, port, codes, KINDS, ("asn",))
    if (number[1:] < number[:-1]).any():  # IPv6 below ::ffff:0:0
        services = services.take(np.lexsort((port, number)))
    return services, [names[kind] for kind in KINDS]


def _words(connection: DuckDBPyConnection, expression: str) -> Callable[[int], str]:
    """Make the table of words of a kind: a code for each that comes twice; and what a code means."""
    connection.execute(
        f"""CREATE OR REPLACE TABLE words AS
        SELECT word, (row_number() OVER (ORDER BY many DESC, word) - 1)::INTEGER AS code FROM (
            SELECT {expression} AS word, count(*) AS many FROM seed s GROUP BY ALL HAVING count(*) > 1
        ) WHERE word <> '' ORDER BY many DESC, word LIMIT {_MOST_WORDS}"""
    )
    words = [str(row[0]) for row in connection.execute("SELECT word FROM words ORDER BY code").fetchall()]
    return lambda code: words[code] if 0 <= code < len(words) else "?"


def _pages(
    connection: DuckDBPyConnection, of: str, place: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], list[bytes]]]:
    """Places of services, and what each said, a page at a time."""
    cursor = connection.execute(f"SELECT p.rowid, coalesce(s.data[:{LOOK}], ''::BLOB) {of}")
    while batch := cursor.fetchmany(PAGE):
        at, said = zip(*batch, strict=True)
        yield place[np.array(at, np.int64)], list(said)
