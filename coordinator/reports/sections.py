"""The sections of a report: counts by columns, made by DuckDB, and said here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from coordinator.reports import compareservices
from lzr import addresses, safetext
from lzr.analysis.page.parts import (
    Bars,
    Line,
    Matrix,
    PageTable,
    Paragraph,
    Part,
    Section,
    ServiceRow,
    ServiceTable,
    ShareCell,
    Tile,
    many,
)
from lzr.protocols import PROTOCOLS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TOP = 14
"""Bars of a chart. A judgement: as many as stand on a screen beside the next chart."""
_ROOM = 900_000
"""Bytes of JSON for the table of services: beside plotly.js (4.8 MB) the page stays below 6 MB."""
_EXCERPT = 56
"""Bytes of a reply in the table of services: one line of it, mostly."""
_V4 = "'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xFF\\xFF'::BLOB"

_OUTCOMES = {
    "data": "a service answered",
    "open": "open, asked nothing",
    "acked": "data taken, no answer",
    "silent": "SYN-ACK, then silence",
    "rst": "reset",
    "fin": "closed at once",
    "zero_window": "zero window",
    "no_syn_ack": "no SYN-ACK",
    "acking_firewall": "ACKing firewall",
    "send_refused": "not sent (own firewall)",
}

Turn = Callable[[str, float], None]


class Sections:
    """Makes the sections from the table `new` (see `compareservices`) and the view `new_one` of its best
    records."""

    def __init__(self, connection: DuckDBPyConnection, turn: Turn) -> None:
        self._run = connection.execute
        self._connection = connection
        self._turn = turn
        self._assigned()
        self._services_table()
        row = self._row("SELECT count(*), count(DISTINCT key), count(DISTINCT label) FROM found")
        self.services, self.hosts, self.labels = row
        self.records = self._row("SELECT count(*) FROM new")[0]
        self.off, self.due = self._row(
            "SELECT count(*) FILTER (off), count(*) FILTER (off IS NOT NULL) FROM found"
        )

    def _row(self, statement: str) -> tuple[Any, ...]:
        (row,) = self._run(statement).fetchall()
        return row

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self._run(statement).fetchall()

    def _assigned(self) -> None:
        """Which ports a protocol is assigned to, or customary on (`lzr.protocols`)."""
        pairs = [(protocol.name, port) for protocol in PROTOCOLS for port in protocol.ports]
        self._run("CREATE OR REPLACE TABLE assigned (label VARCHAR, port USMALLINT)")
        self._run(
            "INSERT INTO assigned SELECT unnest(?::VARCHAR[]), unnest(?::USMALLINT[])",
            [[label for label, _ in pairs], [port for _, port in pairs]],
        )

    def _services_table(self) -> None:
        """`found`: a row for each service. off: whether it is off its protocol's ports; NULL: that has
        none."""
        state = compareservices.STATE.format("r")
        self._run(f"""
            CREATE OR REPLACE TABLE found AS
            SELECT r.place, r.saddr_key AS key, r.sport AS port, coalesce(r.fingerprint, 'unknown') AS label,
                coalesce(r.application, '') AS application, coalesce(r.product, '') AS product,
                coalesce(r.version, '') AS version, r.handshake, r."HandshakeNum" AS number,
                r."Counter" AS again, r."Timestamp" AS moment, r.country, r.asn, r.as_name,
                CASE WHEN k.label IS NULL THEN NULL ELSE a.label IS NULL END AS off
            FROM new_one r LEFT JOIN (SELECT DISTINCT label FROM assigned) k ON k.label = r.fingerprint
            LEFT JOIN (SELECT DISTINCT label, port FROM assigned) a
                ON a.label = r.fingerprint AND a.port = r.sport
            WHERE {state} > 0""")

    def _top(
        self, column: str, where: str = "true", table: str = "found", top: int = _TOP
    ) -> tuple[Any, ...]:
        """(labels, values, sentence on what is left out) of the most frequent values of an expression."""
        rows = self._rows(
            f"SELECT {column} AS what, count(*) AS many FROM {table} WHERE {where} GROUP BY what "
            f"ORDER BY many DESC, what LIMIT {top + 1000}"
        )
        kept = rows[:top]
        kinds, total = self._row(f"SELECT count(DISTINCT {column}), count(*) FROM {table} WHERE {where}")
        left = total - sum(many for _, many in kept)
        rest = f"{kinds - len(kept):,} more with {many(left)}." if left else ""
        return [what for what, _ in kept], tuple(many for _, many in kept), rest

    def _bars(self, title: str, column: str, where: str = "true", **options: Any) -> Bars:
        labels, values, rest = self._top(column, where)
        return Bars(title, tuple(_named(label, 60) for label in labels), values, rest, **options)

    # --- sections
    # ----------------------------------------------------------------------------------------------

    def span(self) -> str:
        """The times of the first and the last record."""
        first, last = self._row('SELECT min("Timestamp")::VARCHAR, max("Timestamp")::VARCHAR FROM new')
        return f"{first[:19]} to {last[:19]} UTC" if first and last else "no time stamps"

    def tiles(self) -> tuple[Tile, ...]:
        """The figures at the head of the page."""
        named = self._row("SELECT count(*) FROM found WHERE label <> 'unknown'")[0]
        walls = self._row('SELECT count(*) FROM new_one WHERE "ackingFirewall"')[0]
        return (
            Tile(f"{self.services:,}", "services", f"of {self.records:,} records"),
            Tile(f"{self.hosts:,}", "hosts with a service"),
            Tile(f"{self.labels:,}", "protocols"),
            Tile(_percent(named, self.services), "identified", f"{self.services - named:,} unknown"),
            Tile(
                _percent(self.off, self.due),
                "off their port",
                many(self.off),
                "warn" if self.off else "",
            ),
            Tile(f"{walls:,}", "ACKing firewalls", "addresses and ports"),
        )

    def overview(self, names: tuple[str, ...]) -> Section:
        """Protocols, ports, handshakes and networks. names: of the handshakes."""
        parts: list[Part] = [self._bars("By protocol", "label"), self._bars("By port", "port::VARCHAR")]
        handshake = "coalesce(handshake, 'handshake ' || number::VARCHAR, '')"
        if names:
            listed = ", ".join("'" + name.replace("'", "''") + "'" for name in names)
            handshake = f"coalesce(handshake, [{listed}][number + 1], 'handshake ' || number::VARCHAR, '')"
        parts.append(self._bars("By the handshake that drew the answer", handshake))
        parts.append(self._networks())
        if self._row("SELECT count(country) FROM found")[0]:
            parts.append(self._bars("By country", "country", "country IS NOT NULL"))
        if self._row("SELECT count(asn) FROM found")[0]:
            name = "'AS' || asn::VARCHAR || coalesce(' ' || as_name, '')"
            parts.append(self._bars("By autonomous system", name, "asn IS NOT NULL"))
        intro = (
            "A service is an address and port that sent data, or that was open where nothing was to be asked."
        )
        return Section("found", "What was found", intro, tuple(parts))

    def _networks(self) -> Bars:
        prefix = f"CASE WHEN key[1:12] = {_V4} THEN key[1:14] ELSE key[1:6] END"
        labels, values, rest = self._top(prefix)
        return Bars("By network (/16, /48)", tuple(map(_network, labels)), values, rest)

    def unexpected(self) -> Section:
        """Services on ports of other protocols."""
        rows = self._rows(
            """SELECT label, sum(many)::BIGINT, coalesce(sum(many) FILTER (off), 0)::BIGINT,
                list(port ORDER BY many DESC, port) FILTER (off)[1:5]
            FROM (SELECT label, port, off, count(*) AS many FROM found WHERE off IS NOT NULL GROUP BY ALL)
            GROUP BY label ORDER BY 3 DESC, 2 DESC, 1 LIMIT 25"""
        )
        table = PageTable(
            "How much of a protocol is off the ports assigned to it",
            ("Protocol", "Services", "Elsewhere", "Share", "Most seen there"),
            tuple(
                (label, many, off, ShareCell(off / many), ", ".join(map(str, ports or ())))
                for label, many, off, ports in rows
            ),
            "Ports are those of IANA or customary ones, as lzr lists them with each protocol.",
        )
        share = _percent(self.off, self.due)
        intro = (
            f"{share} of the {self.due:,} services whose protocol has an assigned port run on another one. "
            "Whoever scans only assigned ports does not see them."
        )
        return Section("unexpected", "Unexpected services", intro, (self._matrix(), table))

    def _matrix(self) -> Matrix:
        labels, _, _ = self._top("label", top=14)
        ports, _, _ = self._top("port", top=16)
        counts = {(label, port): many for label, port, many in self._rows(
            "SELECT label, port, count(*) FROM found GROUP BY ALL"
        )}  # fmt: skip
        due = set(self._rows("SELECT label, port FROM assigned"))
        return Matrix(
            "Protocol by port",
            tuple(labels),
            tuple(map(str, ports)),
            tuple(tuple(counts.get((label, port), 0) for port in ports) for label in labels),
            frozenset(
                (y, x)
                for y, label in enumerate(labels)
                for x, port in enumerate(ports)
                if (label, port) in due
            ),
            "Outlined: ports that the protocol is assigned to. Shades go by the logarithm.",
        )

    def products(self) -> Section:
        """Programs and their versions."""
        rows = self._rows(
            """SELECT product, sum(many)::BIGINT, count(*) FILTER (version <> ''),
                max_by({'version': version, 'many': many}, many, 3) FILTER (version <> '')
            FROM (SELECT product, version, count(*) AS many FROM found WHERE product <> '' GROUP BY ALL)
            GROUP BY product ORDER BY 2 DESC, 1 LIMIT 30"""
        )
        named, kinds = self._row("SELECT count(*), count(DISTINCT product) FROM found WHERE product <> ''")
        table = PageTable(
            "Products",
            ("Product", "Services", "Versions", "Most seen versions"),
            tuple(
                (shown(product, 60), many, versions, ", ".join(
                    f"{shown(one['version'], 30)} ({one['many']:,})" for one in most or ()
                ))
                for product, many, versions, most in rows
            ),
            f"{kinds - len(rows):,} more products." if kinds > len(rows) else "",
        )  # fmt: skip
        parts: list[Part] = [table] if rows else [Paragraph("No reply named its product.")]
        if self._row("SELECT count(*) FROM found WHERE application <> ''")[0]:
            parts.append(self._bars("Applications", "application", "application <> ''", wide=True))
        intro = f"{named:,} of {self.services:,} services name their software in the reply."
        return Section("products", "Products and versions", intro, tuple(parts))

    def middleboxes(self) -> Section:
        """Hosts that answer on all ports, and connections without an answer."""
        how, state = compareservices.HOW.format("r"), compareservices.STATE.format("r")
        outcome = f"""CASE WHEN {state} = 2 THEN 'data' WHEN {state} = 1 THEN 'open'
            WHEN {how} = 'silent' AND coalesce(r."ACKed", false) THEN 'acked' ELSE {how} END"""
        self._run(f"""CREATE OR REPLACE TABLE outcomes AS SELECT r.saddr_key AS key, r.sport AS port,
            {outcome} AS outcome FROM new_one r""")
        rows = self._rows("SELECT outcome, count(*) FROM outcomes GROUP BY ALL ORDER BY 2 DESC")
        bars = Bars(
            "How targets ended",
            tuple(_OUTCOMES.get(what or "", str(what)) for what, _ in rows),
            tuple(many for _, many in rows),
            wide=True,
        )
        mute = "outcome IN ('acked', 'silent', 'acking_firewall', 'zero_window')"
        networks = self._rows(f"""
            SELECT prefix, count(*) FILTER ({mute}) AS mute, count(*) FILTER (outcome = 'data'),
                count(DISTINCT key), count(DISTINCT port)
            FROM (SELECT *, CASE WHEN key[1:12] = {_V4} THEN key[1:15] ELSE key[1:6] END AS prefix
                FROM outcomes)
            GROUP BY prefix HAVING mute > 0 ORDER BY mute DESC, prefix LIMIT 12""")
        table = PageTable(
            "Networks with most ports that are open and hold nothing",
            ("Network", "Without a service", "With one", "Addresses", "Ports"),
            tuple((_network(prefix), *counts) for prefix, *counts in networks),
            "Many addresses or ports that all accept and never answer are a middlebox, not hosts.",
        )
        total = sum(many for _, many in rows)
        silent = self._row(f"SELECT count(*) FROM outcomes WHERE {mute}")[0]
        intro = (
            f"{silent:,} of {total:,} targets ({_percent(silent, total)}) accepted a connection and had no "
            f"service "
            "behind it: firewalls that acknowledge for others, and hosts that want another protocol."
        )
        return Section(
            "middleboxes", "Firewalls and middleboxes", intro, (bars, table) if networks else (bars,)
        )

    def times(self) -> Section | None:
        """When records came, and what was sent again; None where no record has a time."""
        row = self._row("""SELECT count(*) FILTER (again = 0), count(again), max(again),
        epoch_ns(min(moment)), epoch_ns(max(moment)) FROM found""")
        once, counted, most, first, last = row
        parts: list[Part] = []
        if most:
            labels, values, _ = self._top("least(again, 8)", "again IS NOT NULL")
            pairs = sorted(zip(labels, values, strict=True))
            parts.append(
                Bars(
                    "Packets sent again before the answer",
                    tuple("8 or more" if again == 8 else str(again) for again, _ in pairs),
                    tuple(many for _, many in pairs),
                    wide=True,
                )
            )
        span = (last or 0) - (first or 0)
        if span > 2_000_000_000:
            buckets = 80
            width = span // buckets + 1
            counts = dict(self._rows(
                f"SELECT (epoch_ns(moment) - {first}) // {width}, count(*) FROM found WHERE moment IS NOT "
                f"NULL GROUP BY 1"
            ))  # fmt: skip
            times = tuple(_moment(first + at * width) for at in range(buckets))
            parts.append(
                Line(
                    "Services found, over the time of the scan",
                    times,
                    tuple(int(counts.get(at, 0)) for at in range(buckets)),
                )
            )
        if not parts:
            return None
        intro = (
            f"{_percent(once, counted)} of the services answered without a packet sent again."
            if counted
            else ""
        )
        return Section("times", "Time to answer", intro, tuple(parts))

    def table(self) -> ServiceTable:
        """Rows until the room is used up: of each protocol on each port one, then a second, and so on."""
        cursor = self._connection.cursor()
        cursor.execute("""
            SELECT f.turn, f.key, f.port, f.label, f.application, f.product, f.version, f.country, f.asn,
                f.as_name, f.off, r.data[1:160]
            FROM (SELECT * FROM (
                    SELECT *, hash(key) AS chance, row_number() OVER (
                        PARTITION BY label, port ORDER BY hash(key), key) AS turn FROM found)
                ORDER BY turn, chance, key, port LIMIT 20000) f
            JOIN new r ON r.rowid = f.place ORDER BY f.turn, f.chance, f.key, f.port""")
        rows: list[ServiceRow] = []
        room = _ROOM
        while batch := cursor.fetchmany(1000):
            for row in map(_service_row, batch):
                text = json.dumps(row, separators=(",", ":"))
                room -= len(text) + 1 + 5 * sum(map(text.count, "<>&"))
                if room < 0:
                    break
                rows.append(row)
            if room < 0:
                break
        rows.sort(key=lambda row: (not row[6], row[2], row[1], row[0]))
        return ServiceTable(rows, self.services, "of every protocol on every port some, by chance.")


def _service_row(found: tuple[Any, ...]) -> ServiceRow:
    _, key, port, label, application, product, version, country, asn, as_name, off, data = found
    where = filter(None, (country, f"AS{asn}" if asn is not None else "", as_name))
    names = filter(None, (application, product, version))
    return (
        _address(key), port, shown(label, 40), shown(" ".join(names), 80),
        _named(" ".join(where), 50), safetext.printable(data or b"", _EXCERPT), int(bool(off)),
    )  # fmt: skip


def shown(text: str, width: int) -> str:
    """Text from hosts and files, without anything that could move, hide or reverse other text."""
    return safetext.plain(text, width)


def _named(text: str, width: int) -> str:
    """`shown` for names from a file of the user's, in any script."""
    text = safetext.line(text)
    return text if len(text) <= width else text[: width - 1] + "…"


def _percent(part: int, whole: int) -> str:
    if not whole:
        return "–"
    share = part / whole
    return f"{share:.0%}" if share >= 0.1 or not part else f"{share:.1%}"


def _address(key: bytes) -> str:
    return addresses.text(int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big"))


def _network(prefix: bytes) -> str:
    """A prefix of `saddr_key` as a network."""
    if len(prefix) >= 12:
        return f"{_address(prefix.ljust(16, bytes(1)))}/{len(prefix) * 8 - 96}"
    return f"{_address(prefix.ljust(16, bytes(1)))}/{len(prefix) * 8}"


def _moment(ns: int) -> str:
    from lzr.records.escape import time_text

    return time_text(ns)[:23]
