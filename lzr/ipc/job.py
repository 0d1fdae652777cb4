"""What a child process has to know of the scan, settled before the first child is started."""

from __future__ import annotations

import zlib
from typing import Annotated, Any, Literal, get_type_hints

import msgpack
import msgspec
import numpy as np
from msgspec import Meta, Struct

from lzr.flow.config import FlowConfig
from lzr.flow.handshakeorders import HandshakeOrders
from lzr.ipc.schema import Name, SchemaError
from lzr.options.handshakes import tried
from lzr.options.table import Options
from lzr.packet.payloads import ProbeTemplate
from lzr.protocols import handshake
from lzr.secrets import Secrets
from lzr.sourceports import DEFAULT_PORTS


class Job(Struct, frozen=True):
    """Made by the coordinator, handed to the fork server, the same for every worker and collector.

    directory: that of the ZeroMQ sockets, as this process reaches it. frames: of each shard's receive and
    transmit ring. seed: of everything drawn at random, by way of `secrets`. cores: by use, where processes
    are bound to them, else empty. uid, gid: user and group of the children, None to stay as we are.
    report_every: seconds between two reports of a child's figures. findings: collectors report each service.
    own_user: no other process has this uid.

    handshake_orders: each a sequence of handshakes' numbers, the first for all ports without one of their
    own. order_of_port: (65536,) uint8, the number of each port's order, packed with zlib. Both are empty
    where all ports have one order.
    """

    options: Options
    directory: str
    shards: int
    own_mac: bytes
    gateway_v4: bytes
    gateway_v6: bytes
    ports: tuple[int, int]
    frames: tuple[int, int]
    seed: int
    secrets: Secrets
    uid: int | None = None
    gid: int | None = None
    cores: tuple[int, ...] = ()
    report_every: float = 0.25
    findings: bool = False
    own_user: bool = False
    handshake_orders: tuple[tuple[int, ...], ...] = ()
    order_of_port: bytes = b""

    def flow_config(self) -> FlowConfig:
        """The configuration of a flow table, from the options."""
        options = self.options
        return FlowConfig(
            probes=tuple(
                ProbeTemplate(handshake(name, options.user_agent).parts) for name in tried(options.handshakes)
            ),
            retransmit_wait=options.retransmit_wait,
            retransmit_number=options.retransmit_number,
            timeout=options.timeout,
            cooldown=options.cooldown,
            settle=options.settle,
            max_data=options.max_size << 10,
            probe_delay=options.probe_delay,
            haf=options.haf,
            haf_threshold=options.haf_threshold,
            push_data_only=options.push_data_only,
            force_all_handshakes=options.force_all_handshakes,
            ports=self.ports or DEFAULT_PORTS,
            secrets=self.secrets,
            shards=self.shards,
            handshake_orders=self._handshake_orders(),
        )

    def _handshake_orders(self) -> HandshakeOrders | None:
        if len(self.handshake_orders) < 2:
            return None
        return HandshakeOrders(
            self.handshake_orders, np.frombuffer(zlib.decompress(self.order_of_port), np.uint8)
        )

    def endpoint(self, name: str) -> str:
        """ZeroMQ's address of the socket of that name."""
        return f"ipc://{self.directory}/{name}"


class Setup(Struct, frozen=True):
    """The first message to the fork server.

    Descriptors come with it: the run's directory, `job.shards` packet sockets, the raw IP sockets, the
    outputs for results, and files that all children keep (the last of them are the profiles).
    """

    job: Job
    results: int
    others: int = 0
    routed: int = 0


class CollectorOutput(Struct, frozen=True):
    """One output of a collector: its descriptor, its form, the length that counts, and whether it is new.

    shared: other programs write to it too, so nothing may be cut off. lines: records of this scan in it.
    """

    number: int
    form: str
    offset: int
    fresh: bool
    shared: bool = False
    lines: int = 0


class Spawn(Struct, frozen=True):
    """A child to fork. role: flow or collect; number and name (also its sockets'): used for this child only.

    token, results: its credentials (`lzr.ipc.credentials`). The child reads them from a pipe that comes
    along; in the message they are empty. With a collector comes also the listening socket on which it takes
    results.

    For a collector that is to write: outputs, up to the acknowledged length; written: by incarnation, the
    last message whose results are all written; fenced: incarnations that have died and whose results are
    refused.
    """

    role: str
    index: int
    name: str
    number: int
    outputs: tuple[CollectorOutput, ...] = ()
    written: tuple[tuple[int, int], ...] = ()
    fenced: tuple[int, ...] = ()
    token: bytes = b""
    results: bytes = b""


class Event(Struct, frozen=True, forbid_unknown_fields=True):
    """From the fork server: a process was forked, or has ended. status: exit code, or minus a signal."""

    event: Literal["spawned", "died"]
    name: Name
    pid: Annotated[int, Meta(ge=1, lt=1 << 32)]
    status: Annotated[int, Meta(ge=-128, le=255)] = 0

    def pack(self) -> bytes:
        return bytes(msgpack.packb(msgspec.to_builtins(self)))

    @staticmethod
    def unpack(data: bytes) -> Event:
        """Raises SchemaError, and nothing else."""
        try:
            return msgspec.convert(msgpack.unpackb(data), Event)
        except (ValueError, TypeError, msgpack.UnpackException, msgspec.MsgspecError) as error:
            raise SchemaError(f"what the fork server tells is no event: {error}"[:200]) from error


def pack(what: Setup | Spawn) -> bytes:
    """As msgpack, to be sent to the fork server. Names of files need not be UTF-8 (PEP 383)."""
    plain = msgspec.to_builtins(what, builtin_types=(bytes,), enc_hook=_plain)
    return bytes(msgpack.packb(plain, unicode_errors="surrogateescape"))


def unpack_setup(data: bytes) -> Setup:
    """A Setup from msgpack."""
    plain = msgpack.unpackb(data, unicode_errors="surrogateescape")
    return msgspec.convert(plain, Setup, dec_hook=_from_plain)


def unpack_spawn(data: bytes) -> Spawn:
    """A Spawn from msgpack."""
    plain = msgpack.unpackb(data, unicode_errors="surrogateescape")
    return msgspec.convert(plain, Spawn, dec_hook=_from_plain)


def _plain(value: Any) -> Any:
    assert isinstance(value, Options)
    return value.values()


def _from_plain(kind: type[Any], values: dict[str, Any]) -> Any:
    assert kind is Options
    types = get_type_hints(Options)
    return Options(**{name: msgspec.convert(value, types[name]) for name, value in values.items()})
