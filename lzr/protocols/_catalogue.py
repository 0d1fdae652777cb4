"""Every protocol, once: the families' tuples, one after the other.

A family is a module with a `PROTOCOLS` tuple. A new protocol goes into such a tuple; a new family is named in
FAMILIES. The order of families and protocols is the fixed order of names in a label that joins several (see
`precedence`).
"""

from __future__ import annotations

from lzr.protocols import (
    administration,
    announced,
    cameras,
    chat,
    controllers,
    databases,
    delivery,
    devices,
    directory,
    files,
    industrial,
    java,
    ledgers,
    machines,
    mail,
    messaging,
    monitoring,
    network,
    peers,
    plant,
    printing,
    queues,
    remote,
    sessions,
    shells,
    sources,
    storage,
    stores,
    tabular,
    tls,
    trade,
    tunnels,
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
    databases,
    messaging,
    remote,
    windows,
    industrial,
    network,
    chat,
    delivery,
    sources,
    queues,
    stores,
    directory,
    tunnels,
    java,
    storage,
    plant,
    monitoring,
    devices,
    trade,
    ledgers,
    machines,
    announced,
    printing,
    peers,
    sessions,
    tabular,
    controllers,
    cameras,
    administration,
)

PROTOCOLS: tuple[Protocol, ...] = tuple(protocol for family in FAMILIES for protocol in family.PROTOCOLS)
BY_NAME: dict[str, Protocol] = {protocol.name: protocol for protocol in PROTOCOLS}


def handshake(name: str, agent: str | None = None) -> Protocol:
    """The protocol of that name, to be used as a handshake; agent: our User-Agent. Raises KeyError."""
    return BY_NAME[name] if agent is None else introduced(BY_NAME[name], agent)
