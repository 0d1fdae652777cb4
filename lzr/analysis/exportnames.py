"""The same records under the names of others: ZGrab2's envelope, Censys-like, Elastic Common Schema.

A view is a list of names, with dots where they nest, each with an expression over the columns of
`lzr.analysis.columns`. Bytes of strangers come as printable ASCII with ``\\xHH`` for the rest, and in
hexadecimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from lzr.analysis.columns import COLUMNS, KEYS


class ViewColumn(NamedTuple):
    """name: in the view. sql: the expression for its value."""

    name: str
    sql: str


_MOMENT = "strftime(\"Timestamp\", '%Y-%m-%dT%H:%M:%S.%nZ')"
_BANNER = 'CAST("data" AS VARCHAR)'
_HEX = 'lower(hex("data"))'
_SERVICE = "CASE WHEN fingerprint <> 'unknown' THEN fingerprint END"
_FAMILY = "CASE WHEN saddr IS NULL THEN NULL WHEN contains(saddr, ':') THEN 'ipv6' ELSE 'ipv4' END"
_STATUS = (
    'CASE WHEN "data" IS NOT NULL THEN \'success\' WHEN "RST" OR "FIN" THEN \'connection-closed\' '
    "WHEN \"expectedRToLZR\" = 'sa' THEN 'connection-timeout' ELSE 'io-timeout' END"
)

VIEWS: dict[str, tuple[ViewColumn, ...]] = {
    "lzr": tuple(ViewColumn(column.name, f'"{column.name}"') for column in COLUMNS),
    # https://github.com/zmap/zgrab2: a line for each target, `data` keyed by the module that was run
    "zgrab": (
        ViewColumn("ip", "saddr"),
        ViewColumn("port", "sport"),
        ViewColumn("data.status", _STATUS),
        ViewColumn("data.protocol", f"coalesce({_SERVICE}, 'banner')"),
        ViewColumn("data.port", "sport"),
        ViewColumn("data.result.banner", _BANNER),
        ViewColumn("data.result.banner_hex", _HEX),
        ViewColumn("data.timestamp", _MOMENT),
    ),
    # names as in search results of Censys, a line for each service rather than for each host
    "censys": (
        ViewColumn("ip", "saddr"),
        ViewColumn("services.port", "sport"),
        ViewColumn("services.service_name", f"upper({_SERVICE})"),
        ViewColumn("services.extended_service_name", "upper(coalesce(application, " + _SERVICE + "))"),
        ViewColumn("services.transport_protocol", "'TCP'"),
        ViewColumn("services.banner", _BANNER),
        ViewColumn("services.banner_hex", _HEX),
        ViewColumn("services.observed_at", _MOMENT),
        ViewColumn("services.software.product", "product"),
        ViewColumn("services.software.version", "version"),
        ViewColumn("services.software.uniform_resource_identifier", "cpe"),
        ViewColumn("operating_system.product", "os"),
        ViewColumn("autonomous_system.asn", "asn"),
        ViewColumn("autonomous_system.name", "as_name"),
        ViewColumn("location.country_code", "country"),
    ),
    # https://www.elastic.co/guide/en/ecs/current/ecs-field-reference.html; the rest is under lzr.
    "ecs": (
        ViewColumn("@timestamp", _MOMENT),
        ViewColumn("ecs.version", "'8.11'"),
        ViewColumn("event.kind", "'event'"),
        ViewColumn("event.category", "'network'"),
        ViewColumn("event.type", "'info'"),
        ViewColumn("event.dataset", "'lzr.scan'"),
        ViewColumn("observer.product", "'LZR'"),
        ViewColumn("source.ip", "daddr"),
        ViewColumn("source.port", "dport"),
        ViewColumn("destination.ip", "saddr"),
        ViewColumn("destination.port", "sport"),
        ViewColumn("destination.as.number", "asn"),
        ViewColumn("destination.as.organization.name", "as_name"),
        ViewColumn("destination.geo.country_iso_code", "country"),
        ViewColumn("network.transport", "'tcp'"),
        ViewColumn("network.type", _FAMILY),
        ViewColumn("network.protocol", _SERVICE),
        ViewColumn("service.name", "product"),
        ViewColumn("service.version", "version"),
        ViewColumn("tls.server.subject", "subject"),
        ViewColumn("host.os.full", "os"),
        ViewColumn("lzr.acked", '"ACKed"'),
        ViewColumn("lzr.acking_firewall", '"ackingFirewall"'),
        ViewColumn("lzr.banner", _BANNER),
        ViewColumn("lzr.banner_hex", _HEX),
        ViewColumn("lzr.cpe", "cpe"),
    ),
}


def select(view: str, table: str) -> str:
    """The query that shows the records in `table` so. `table`: a plain word."""
    if not table.isidentifier():
        raise ValueError(f"{table!r} is no name for a table")
    return f'SELECT {", ".join(f"{sql} AS {quoted(name)}" for name, sql in VIEWS[view])} FROM "{table}"'


_TEXTS = frozenset(f'"{c.name}"' for c in COLUMNS if c.sql == "VARCHAR" and c.name not in ("saddr", "daddr"))
_FOREIGN = _TEXTS | {name.strip('"') for name in _TEXTS}


def in_csv(view: str, table: str) -> str:
    """The query that shows them as cells of our CSV: what is no printable ASCII in a text is ``\\xHH``."""
    cells = []
    for name, sql in VIEWS[view]:
        if view == "lzr" and name in KEYS:
            continue
        if sql == '"Timestamp"':
            made = _MOMENT
        elif sql in ('"data"', _BANNER):
            made = _unformula(f"replace({_BANNER}, ';', '\\x3b')")
        elif sql in _FOREIGN or _SERVICE in sql:
            made = _cell(f"({sql})")
        else:
            made = sql
        cells.append(f"{made} AS {quoted(name)}")
    return f'SELECT {", ".join(cells)} FROM "{table}"'


def _unformula(sql: str) -> str:
    """SQL that keeps a cell from beginning as a formula does in a spreadsheet."""
    return (
        f"CASE WHEN regexp_matches({sql}, '^[=+@| -]') "
        f"THEN printf('\\x%02x', unicode({sql})) || substr({sql}, 2) ELSE {sql} END"
    )


_PLAIN = "[!-*,./0-:<?A-Z\\[\\]^_`a-{}~][ -:<-\\[\\]-~]*"
"""Printable ASCII without semicolon and backslash, that does not begin as a formula does."""


def _cell(sql: str) -> str:
    """A text as `lzr.records.escape.csv_cell` writes it. Nearly all need nothing."""
    letter = (
        "CASE WHEN c BETWEEN ' ' AND '~' AND c NOT IN (';', '\\') THEN c "
        "WHEN unicode(c) < 256 THEN printf('\\x%02x', unicode(c)) "
        "WHEN unicode(c) < 65536 THEN printf('\\u%04x', unicode(c)) "
        "ELSE printf('\\U%08x', unicode(c)) END"
    )
    escaped = f"array_to_string(list_transform(string_split({sql}, ''), lambda c: {letter}), '')"
    return (
        f"CASE WHEN {sql} IS NULL OR regexp_full_match({sql}, '{_PLAIN}') "
        f"THEN {sql} ELSE {_unformula(escaped)} END"
    )


def quoted(name: str) -> str:
    """A name of a column in a statement."""
    return '"' + name.replace('"', '""') + '"'


def nested(names: Sequence[str], rows: Iterable[Iterable[Any]]) -> Iterator[dict[str, Any]]:
    """Rows as objects of JSON; what is not there is left out.

    >>> list(nested(("ip", "as.number", "as.name"), [("192.0.2.1", 64500, None)]))
    [{'ip': '192.0.2.1', 'as': {'number': 64500}}]
    """
    paths = [(tuple(above), last) for *above, last in (name.split(".") for name in names)]
    for row in rows:
        found: dict[str, Any] = {}
        for (above, last), value in zip(paths, row, strict=True):
            if value is None:
                continue
            into = found
            for part in above:
                if part not in into:
                    into[part] = {}
                into = into[part]
            into[last] = value
        yield found


def enveloped(found: dict[str, Any]) -> dict[str, Any]:
    """An object of the view "zgrab" as ZGrab2 writes it: what came, under the name of its protocol."""
    data = found.get("data", {})
    return {**found, "data": {data.get("protocol", "banner"): data}}
