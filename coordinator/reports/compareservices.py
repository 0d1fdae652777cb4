"""Compares two scans that were read into DuckDB: what appeared, went or changed, by address and port.

Of several records of one service (-forceAllHandshakes, a file with several runs) the best one counts: one
with data before one without, with a name before one without, then the one of the earlier handshake, then the
later one. Where both scans have records with data of one name, these are compared, whichever are best.

The work is done by columns in DuckDB. Only replies that are not the same bytes come into Python
(`coordinator.reports.comparereplies`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from coordinator.reports.comparereplies import compare_replies
from lzr.analysis.asked import Coverage, number

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KINDS = ("protocol", "product", "version", "certificate", "reply")
"""What may have changed, the most reliable first."""

CHANGES = ("appeared", "gone", "changed")
"""What makes two scans differ."""

SHOWN = ("fingerprint", "application", "product", "version", "subject")
"""The fields that describe a service in each scan."""

_ENRICHED = ("device", "hardware", "os", "cpe", "subject")

READ = frozenset(
    (*SHOWN, *_ENRICHED, "saddr_key", "sport", "daddr", "window", "ackingFirewall", "sa_only", "data",
     "reason", "expectedRToLZR", "RST", "FIN", "HandshakeNum", "handshake", "Timestamp")
)  # fmt: skip
"""Columns that are looked at here."""

_BITS = {kind: 1 << at for at, kind in enumerate(KINDS)}
_BATCH = 20_000
"""Services judged at a time."""

Turn = Callable[[str, float], None]

STATE = """CASE WHEN coalesce({0}."ackingFirewall", false) THEN 0 WHEN octet_length({0}.data) > 0 THEN 2
    WHEN coalesce({0}.sa_only, false) THEN 1 ELSE 0 END"""
"""0: no answer that tells of a service; 1: an open port that was asked nothing; 2: data."""

HOW = """CASE WHEN {0}.reason IS NOT NULL THEN {0}.reason
    WHEN coalesce({0}."ackingFirewall", false) THEN 'acking_firewall'
    WHEN {0}."expectedRToLZR" = 'sa' THEN 'no_syn_ack'
    WHEN {0}."RST" THEN 'rst' WHEN {0}."FIN" THEN 'fin'
    WHEN {0}."expectedRToLZR" IS NULL AND {0}."window" = 0 THEN 'zero_window'
    WHEN {0}.saddr_key IS NOT NULL THEN 'silent' END"""
"""Why a record holds no data (`lzr.rows.Reason`), where the scan did not write it down."""


_DATE = "e'\\r\\nDate: '"
_DATE_AT = f"CASE WHEN fingerprint = 'http' THEN strpos(try(decode(data[1:700])), {_DATE}) END"
_NOISE = f"""CASE WHEN o.data IS NOT DISTINCT FROM n.data THEN true
    WHEN o.fingerprint = 'http' THEN coalesce(
        o.data[o.date_at:o.date_at + 7] = encode({_DATE})
        AND o.data[1:o.date_at + 7] = n.data[1:o.date_at + 7]
        AND o.data[o.date_at + 37:] = n.data[o.date_at + 37:], false)
    WHEN o.fingerprint = 'tls' THEN coalesce(
        o.data[1:11] = n.data[1:11] AND o.data[6:6] = '\\x02'::BLOB AND o.data[44:44] = '\\x20'::BLOB
        AND n.data[44:44] = '\\x20'::BLOB AND o.data[77:] = n.data[77:], false)
    ELSE false END"""
"""Pairs of replies that need not come into Python: the same bytes, over HTTP another Date (RFC 9110
§6.6.1), over TLS another random and session id (RFC 8446 §4.1.3). `strpos` counts characters and the slices
bytes, so what is left out is first seen to be the field."""


@dataclass
class Compared:
    """counts: services by what became of them: CHANGES, `same` and `not_asked`. old, new: services of each
    scan.

    kinds: changed services by kind; one may count under several. not_asked: those by reason. notes:
    sentences on what could not be compared. incomplete: whether something of the two files could not be read.
    """

    old: int = 0
    new: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    not_asked: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    incomplete: bool = False

    @property
    def differ(self) -> bool:
        return any(self.counts.get(name) for name in CHANGES)


def compare(
    connection: DuckDBPyConnection,
    asked: Coverage,
    *,
    handshakes: tuple[str, ...] = (),
    kinds: Iterable[str] = KINDS,
    turn: Turn = lambda what, share: None,
) -> Compared:
    """Compare the tables `old` and `new`, of the columns of `lzr.analysis.columns`, into a table `changes`.

    asked: what the new scan is known to have asked. handshakes: of the old scan, where known. kinds: which
    changes count. turn: called as the work goes on, with what is done and which share of it is.

    `changes` has a row for each service that did not stay the same: key (16 bytes), sport, change (CHANGES or
    not_asked), kinds (a bit each, see `kinds_of`), how (why the new scan had no answer, or was not asked;
    of what appeared, why the old one had none), old_place and new_place (the row in each table, or NULL).
    """
    compared = Compared()
    run = connection.execute
    for at, side in enumerate(("old", "new")):
        turn("comparing", 0.15 * at)
        one_each(connection, side)
    turn("comparing", 0.3)
    differences = _differences(connection, compared)
    run(
        _both(
            differences,
            "FROM old_one o FULL JOIN new_one n ON o.saddr_key = n.saddr_key AND o.sport = n.sport",
        )
    )
    _pair_by_label(connection, differences)
    turn("comparing", 0.5)
    compare_replies(connection, _BITS, lambda share: turn("comparing replies", 0.5 + share * 0.4))
    _not_found(connection, asked, handshakes)
    turn("comparing", 0.95)
    wanted = sum(_BITS[kind] for kind in set(kinds))
    run(f"""
        CREATE OR REPLACE TABLE changes AS
        SELECT key, sport, change, kinds, how, old_place, new_place FROM (
            SELECT b.key, b.sport, b.old_place, b.new_place, b.old_state, b.new_state, b.in_old,
                CASE WHEN b.old_state = 0 THEN 'appeared' WHEN b.new_state = 0 OR b.new_state < b.old_state
                    THEN coalesce(m.change, 'not_asked') ELSE 'changed' END AS change,
                CASE WHEN b.old_state = 0 THEN b.old_how WHEN b.new_state < b.old_state THEN m.how END AS how,
                (b.kinds | coalesce(r.kinds, 0)) & {wanted} AS kinds
            FROM services b LEFT JOIN not_found m ON b.key = m.key AND b.sport = m.sport
            LEFT JOIN reply_kinds r ON b.old_place = r.old_place)
        WHERE change <> 'changed' OR kinds > 0""")
    _count(connection, compared)
    turn("comparing", 1.0)
    return compared


def kinds_of(bits: int) -> list[str]:
    """The column `kinds` in words."""
    return [kind for kind, bit in _BITS.items() if bits & bit]


def one_each(connection: DuckDBPyConnection, side: str) -> None:
    """A view `{side}_one` of the best record of each service; `place` is its row.

    Rows may stand in any order (`connect(ordered=False)`): of records that are equally good the same one is
    chosen, by what they hold.
    """
    connection.execute(f"""
        CREATE OR REPLACE TABLE {side}_worse AS
        WITH several AS (SELECT hash(saddr_key, sport) AS hashed FROM {side} GROUP BY hashed
            HAVING count(*) > 1)
        SELECT place FROM (
            SELECT {side}.rowid AS place, row_number() OVER (
                PARTITION BY saddr_key, sport ORDER BY {STATE.format(side)} DESC,
                coalesce(fingerprint, 'unknown') <> 'unknown' DESC,
                "HandshakeNum", "Timestamp" DESC, {_content(side)}
            ) AS rank FROM {side} SEMI JOIN several ON hash(saddr_key, sport) = several.hashed)
        WHERE rank > 1""")
    connection.execute(f"CREATE OR REPLACE VIEW {side}_one AS {_seen(side, f'ANTI JOIN {side}_worse w')}")


def _content(side: str) -> str:
    """An order of records by what they hold, whatever row they stand in."""
    return ", ".join(f'{side}."{name}"' for name in sorted(READ))


def _seen(side: str, among: str) -> str:
    """The statement for what is compared of each record of a table. among: a join with rows `place` of `w`.

    What tells of a record without data is reckoned here, for those alone, so that it is not carried along.
    """
    return f"""
        SELECT *, CASE WHEN state = 2 THEN NULL ELSE {HOW.format("seen")} END AS how,
            {_DATE_AT} AS date_at
        FROM (SELECT {side}.rowid AS place, {STATE.format(side)} AS state, * FROM {side} {among}
            ON {side}.rowid = w.place WHERE saddr_key IS NOT NULL AND sport IS NOT NULL) seen"""


def _differences(connection: DuckDBPyConnection, compared: Compared) -> str:
    """The expression for the kinds of change that the columns alone show."""
    enriched = {}
    for side in ("old", "new"):
        any_ = " OR ".join(f"count({name}) > 0" for name in _ENRICHED)
        (row,) = connection.execute(
            f"SELECT {any_}, count(product) > 0, count(application) > 0 FROM {side}"
        ).fetchall()
        enriched[side] = row
    (olds, old_product, old_application), (news, new_product, new_application) = (
        enriched["old"],
        enriched["new"],
    )
    one_sided = olds != news
    if one_sided:
        compared.notes.append(
            f"only the {'old' if olds else 'new'} scan was made with --enrich: product and version are "
            f"compared "
            "where both name them"
        )
    strict = old_product and new_product and not one_sided
    test = "o.{0} IS DISTINCT FROM n.{0}" if strict else "o.{0} <> n.{0}"
    products = [test.format("product")]
    if old_application and new_application:
        products.append("o.application IS DISTINCT FROM n.application")
    tests = {
        "protocol": "o.fingerprint IS DISTINCT FROM n.fingerprint",
        "product": " OR ".join(products),
        "version": test.format("version"),
        "certificate": "o.subject <> n.subject",
    }
    return " + ".join(f"CASE WHEN {test} THEN {_BITS[kind]} ELSE 0 END" for kind, test in tests.items())


def _both(differences: str, source: str, into: str = "CREATE OR REPLACE TABLE services AS") -> str:
    """The statement that puts what is known of each service in both scans side by side."""
    return f"""
        {into} SELECT
            coalesce(o.saddr_key, n.saddr_key) AS key, coalesce(o.sport, n.sport) AS sport,
            o.place AS old_place, n.place AS new_place, o.place IS NOT NULL AS in_old, n.place IS NOT NULL
            AS in_new, coalesce(o.state, 0) AS old_state, coalesce(n.state, 0) AS new_state,
            o.how AS old_how, n.how AS new_how,
            CASE WHEN o.state = 2 AND n.state = 2 THEN {_NOISE} END AS same_data,
            o."HandshakeNum" AS handshake_number, o.handshake AS handshake_name,
            CASE WHEN o.state = 2 AND n.state = 2 THEN
                {differences} ELSE 0 END AS kinds
        {source}
        WHERE o.state > 0 OR n.state > 0"""


def _pair_by_label(connection: DuckDBPyConnection, differences: str) -> None:
    """Where a service has several records, those of one name are the ones to compare."""
    several = connection.execute("SELECT (SELECT count(*) FROM old_worse) + (SELECT count(*) FROM new_worse)")
    if not several.fetchall()[0][0]:
        return
    run = connection.execute
    run(f"""
        CREATE OR REPLACE TABLE paired AS
        SELECT s.key, s.sport, o.rowid AS old_place, n.rowid AS new_place
        FROM services s JOIN old o ON o.saddr_key = s.key AND o.sport = s.sport
        JOIN new n ON n.saddr_key = s.key AND n.sport = s.sport AND n.fingerprint = o.fingerprint
        WHERE s.kinds & 1 = 1 AND o.fingerprint <> 'unknown'
            AND {STATE.format("o")} = 2 AND {STATE.format("n")} = 2
        QUALIFY row_number() OVER (PARTITION BY s.key, s.sport ORDER BY o."HandshakeNum", n."HandshakeNum",
            o."Timestamp" DESC, n."Timestamp" DESC, {_content("o")}, {_content("n")}) = 1""")
    run("DELETE FROM services USING paired p WHERE services.key = p.key AND services.sport = p.sport")
    run(
        _both(
            differences,
            f"""FROM paired p
            JOIN ({_seen("old", "SEMI JOIN (SELECT old_place AS place FROM paired) w")}) o
            ON o.place = p.old_place
            JOIN ({_seen("new", "SEMI JOIN (SELECT new_place AS place FROM paired) w")}) n
            ON n.place = p.new_place""",
            "INSERT INTO services",
        )
    )


def _not_found(connection: DuckDBPyConnection, asked: Coverage, handshakes: tuple[str, ...]) -> None:
    """A table `not_found`: what the old scan had and the new one has not; gone only where it was asked."""
    run = connection.execute
    run("CREATE OR REPLACE TABLE not_found (key BLOB, sport USMALLINT, change VARCHAR, how VARCHAR)")
    reader = connection.cursor()
    reader.execute("""
        SELECT key, sport, in_new, new_state, new_how, handshake_number, handshake_name FROM services
        WHERE old_state > 0 AND new_state < old_state""")
    while batch := reader.fetchmany(_BATCH):
        judged = [_fate(asked, handshakes, *row) for row in batch]
        run(
            "INSERT INTO not_found SELECT unnest(?::BLOB[]), unnest(?::USMALLINT[]), unnest(?::VARCHAR[]), "
            "unnest(?::VARCHAR[])",
            [
                [row[0] for row in batch],
                [row[1] for row in batch],
                [change for change, _ in judged],
                [how for _, how in judged],
            ],
        )


def _fate(
    asked: Coverage,
    handshakes: tuple[str, ...],
    key: bytes,
    port: int,
    recorded: bool,
    state: int,
    how: str | None,
    place: int | None,
    name: str | None,
) -> tuple[str, str]:
    """Gone or not asked, and how that shows."""
    if state:
        return "not_asked", "open, and asked nothing"
    if not name and place is not None and place < len(handshakes):
        name = handshakes[place]
    other = bool(name and asked.handshakes and name not in asked.handshakes)
    if recorded:
        if how == "send_refused" or (how == "no_syn_ack" and asked.unsent):
            return "not_asked", "refused by the scanner's own firewall"
        if other and how not in ("no_syn_ack", "refused"):
            return "not_asked", f"not asked with {name}"
        return "gone", how or "silent"
    if not asked.covers(number(key), port):
        return "not_asked", "no record"
    if other and not asked.silent_recorded:
        return "not_asked", f"not asked with {name}"
    return "gone", "no answer"


def _count(connection: DuckDBPyConnection, compared: Compared) -> None:
    run = connection.execute
    (row,) = run("""SELECT count(*) FILTER (old_state > 0), count(*) FILTER (new_state > 0),
        count(*) FILTER (old_state > 0 AND new_state >= old_state) FROM services""").fetchall()
    compared.old, compared.new, both = row
    compared.counts = dict.fromkeys((*CHANGES, "same", "not_asked"), 0)
    compared.counts |= dict(run("SELECT change, count(*) FROM changes GROUP BY ALL").fetchall())
    compared.counts["same"] = both - compared.counts["changed"]
    sums = ", ".join(f"count(*) FILTER (kinds & {bit} > 0)" for bit in _BITS.values())
    compared.kinds = dict(zip(KINDS, run(f"SELECT {sums} FROM changes").fetchall()[0], strict=True))
    compared.not_asked = dict(
        run(
            "SELECT coalesce(how, ''), count(*) FROM changes WHERE change = 'not_asked' GROUP BY ALL ORDER "
            "BY 2 DESC, 1"
        ).fetchall()
    )
