"""From records of a scan that did all handshakes to services, from which `lzr.analysis.order` learns.

What counts as a service: it took the connection. Closed ports, ACKing firewalls and zero windows are left
out: they cost the same whatever the order. A handshake without a record got nothing, since
-forceAllHandshakes writes one for each that got data, and one for a service where none did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coordinator.analysis.reading import Reading, Records
from coordinator.analysis.source import Progress
from lzr.analysis.order import IDENTIFIED, UNKNOWN, ServiceOutcomes
from lzr.errors import UsageError, printable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Network = IPv4Network | IPv6Network

_LOOKED_AT = """saddr_key, sport, "HandshakeNum", handshake, fingerprint, reason, "RST", "expectedRToLZR",
    "window", "ackingFirewall", sa_only, CASE WHEN octet_length(data) > 0 THEN 'x'::BLOB END AS data"""
_FEW = 20
"""With fewer hosts than these, halves are made of services, not of hosts."""
_DATA = "(octet_length(data) > 0 OR reason = 'data' OR (data IS NULL AND fingerprint != 'unknown'))"
_NO_SERVICE = f"""coalesce("ackingFirewall", false) OR coalesce(sa_only, false)
    OR coalesce(reason IN ('no_syn_ack', 'zero_window', 'send_refused', 'acking_firewall'), false)
    AND coalesce("HandshakeNum", 0) = 0
    OR NOT {_DATA} AND coalesce("HandshakeNum", 0) = 0
    AND ("expectedRToLZR" = 'sa' OR coalesce("RST", false) OR "expectedRToLZR" IS NULL AND "window" = 0)"""
"""Of a record. A service that resets each connection is at its last handshake at the end, not its first."""


@dataclass(frozen=True)
class Learnt:
    """services: of the scan; hosts: (n,) a number of each one's host, of the service
    itself where there are few hosts; inside: (n,) those of the network that
    was asked for, None for all; handshakes: the names of the columns; left_out: ports that are none."""

    services: ServiceOutcomes
    hosts: NDArray[np.uint64]
    inside: NDArray[np.bool_] | None
    handshakes: tuple[str, ...]
    left_out: int


def load(connection: DuckDBPyConnection, path: str, progress: Progress | None = None) -> Reading:
    """Read of a file (``-``: standard input) what is looked at here into the table `records`: no replies.

    progress: told how many bytes have been read. Raises UsageError.
    """
    with Records(path, progress) as records:
        records.register(connection, "lzr_incoming")
        try:
            records.execute(connection, f"CREATE TABLE records AS SELECT {_LOOKED_AT} FROM lzr_incoming")
        finally:
            connection.unregister("lzr_incoming")
        return records.finish()


def services(
    connection: DuckDBPyConnection, handshakes: Sequence[str], network: Network | None, name: str = "records"
) -> Learnt:
    """handshakes: those of the scan, in order, where they are known. Raises UsageError."""
    if not _one(connection, f'SELECT count(*) FROM "{name}"')[0]:
        raise UsageError("there is no record in it")
    names = _names(connection, handshakes, name)
    connection.execute("CREATE OR REPLACE TEMP TABLE lzr_names (handshake VARCHAR, place INTEGER)")
    for place, one in enumerate(names):
        connection.execute("INSERT INTO lzr_names VALUES (?, ?)", [one, place])
    at = 'coalesce(n.place, r."HandshakeNum")' if handshakes else "n.place"
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE lzr_got AS
        SELECT saddr_key, sport, {at} AS place, {_DATA} AS data,
            fingerprint != 'unknown' AS named,
            {_NO_SERVICE} AS no_service
        FROM "{name}" r LEFT JOIN lzr_names n ON r.handshake = n.handshake
        WHERE saddr_key IS NOT NULL AND sport IS NOT NULL AND fingerprint IS NOT NULL"""
    )
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE lzr_services AS
        SELECT saddr_key, sport, row_number() OVER (ORDER BY saddr_key, sport) - 1 AS number,
            md5_number_lower(saddr_key::VARCHAR)::UBIGINT AS host,
            md5_number_lower(saddr_key::VARCHAR || ':' || sport::VARCHAR)::UBIGINT AS one
        FROM lzr_got WHERE NOT no_service GROUP BY saddr_key, sport"""
    )
    columns = "number, sport, host, one"
    if network is not None:
        low, high = _bounds(network)
        columns += ", saddr_key >= $low AND saddr_key <= $high AS inside"
    found = connection.execute(
        f"SELECT {columns} FROM lzr_services ORDER BY number",
        {} if network is None else {"low": low, "high": high},
    ).fetchnumpy()
    count = len(found["number"])
    got = connection.execute(
        f"""SELECT number, place, max(CASE WHEN named THEN {IDENTIFIED} ELSE {UNKNOWN} END) AS outcome
        FROM lzr_got JOIN lzr_services USING (saddr_key, sport)
        WHERE data AND place IS NOT NULL GROUP BY number, place"""
    ).fetchnumpy()
    (all_ports,) = _one(connection, "SELECT count(DISTINCT (saddr_key, sport)) FROM lzr_got")
    outcomes = np.zeros((count, len(names)), np.uint8)
    places = np.asarray(got["place"], np.int64)
    if len(places) and places.max() >= len(names):
        raise UsageError(
            f"a record has HandshakeNum {places.max()}, and --handshakes names {len(names)}: name those of "
            "the scan, in their order"
        )
    outcomes[np.asarray(got["number"], np.int64), places] = np.asarray(got["outcome"], np.uint8)
    if not count:
        raise UsageError("no record in it is of a service that took a connection")
    _forced(connection, outcomes, len(names))
    inside = None if network is None else np.asarray(found["inside"], bool)
    if inside is not None and not inside.any():
        raise UsageError(f"--network {network}: no service of the scan is in it")
    made = ServiceOutcomes.of(np.asarray(found["sport"], np.uint16), outcomes)
    hosts = np.asarray(found["host"], np.uint64)
    if len(np.unique(hosts if inside is None else hosts[inside])) < _FEW:
        hosts = np.asarray(found["one"], np.uint64)
    return Learnt(made, hosts, inside, names, int(all_ports) - count)


def _forced(connection: DuckDBPyConnection, outcomes: NDArray[np.uint8], handshakes: int) -> None:
    """Raises UsageError where the scan cannot have done all handshakes with each service."""
    if handshakes < 2:
        raise UsageError("the scan did one handshake only, so there is no order to learn")
    answered = (outcomes > 0).sum(axis=1)
    if not (answered > 0).any():
        if _one(connection, "SELECT coalesce(bool_or(data), false) FROM lzr_got")[0]:
            raise UsageError("its records do not say to which handshake services sent data")
        raise UsageError("no service in it sent data, so there is nothing to learn")
    if not (answered > 1).any():
        raise UsageError(
            "no service in it has answers to two handshakes: an order is learned from a scan with "
            "-forceAllHandshakes, which does them all with each service"
        )


def _names(connection: DuckDBPyConnection, handshakes: Sequence[str], name: str) -> tuple[str, ...]:
    """The handshakes of the scan: as told, else as the records name them. Raises UsageError."""
    rows = connection.execute(
        f"""SELECT handshake, min("HandshakeNum") FROM "{name}"
        WHERE handshake IS NOT NULL AND handshake != ''
        GROUP BY handshake ORDER BY min("HandshakeNum"), handshake LIMIT 256"""
    ).fetchall()
    there = [str(row[0]) for row in rows]
    if handshakes:
        strange = [one for one in there if one not in handshakes]
        if strange:
            raise UsageError(f"the scan asked {printable(strange[0])}, too, which --handshakes does not name")
        return tuple(handshakes)
    if not there:
        raise UsageError(
            "the records do not name their handshakes: say which the scan did, in their order, with "
            "--handshakes A,B,C, or give its metadata with --metadata-file"
        )
    return tuple(there)


def _bounds(network: Network) -> tuple[bytes, bytes]:
    """The first and the last address as keys."""
    head = b"\0" * 10 + b"\xff\xff" if network.version == 4 else b""
    return head + network.network_address.packed, head + network.broadcast_address.packed


def _one(connection: DuckDBPyConnection, statement: str) -> tuple[Any, ...]:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return tuple(row)
