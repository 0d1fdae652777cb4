"""Every protocol, once: the families' tuples, one after the other.

A family is a module with a `PROTOCOLS` tuple. A new protocol goes into such a tuple; a new family is named in
FAMILIES. The order of families and protocols is the fixed order of names in a label that joins several (see
`precedence`).
"""

from __future__ import annotations

from lzr.protocols import (
    administration,
    announced,
    buildings,
    cameras,
    chat,
    cryptocurrency,
    development,
    devices,
    directory,
    files,
    java,
    mail,
    messaging,
    monitoring,
    network,
    nosql,
    peers,
    plc,
    printing,
    remote,
    scada,
    shells,
    sql,
    tds,
    tls,
    trade,
    tunnels,
    virtualization,
    web,
    windows,
)
from lzr.protocols._protocol import Protocol
from lzr.protocols._useragent import introduced

FAMILIES = (
    tls,
    web,
    shells,
    mail,
    files,
    sql,
    tds,
    nosql,
    messaging,
    remote,
    windows,
    plc,
    network,
    chat,
    scada,
    buildings,
    development,
    directory,
    tunnels,
    java,
    monitoring,
    devices,
    trade,
    cryptocurrency,
    virtualization,
    announced,
    printing,
    peers,
    cameras,
    administration,
)

PROTOCOLS: tuple[Protocol, ...] = tuple(protocol for family in FAMILIES for protocol in family.PROTOCOLS)
BY_NAME: dict[str, Protocol] = {protocol.name: protocol for protocol in PROTOCOLS}


def handshake(name: str, agent: str | None = None) -> Protocol:
    """The protocol of that name, to be used as a handshake; agent: our User-Agent. Raises KeyError."""
    return BY_NAME[name] if agent is None else introduced(BY_NAME[name], agent)
