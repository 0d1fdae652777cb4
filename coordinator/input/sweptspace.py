"""What is to be swept, from the command line: addresses, less the blocked ones, times ports.

In place of an input there is a short text that states the order and what is swept. So a checkpoint recognises
a sweep as it recognises a list, and a resumed sweep keeps the order.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from fractions import Fraction

from msgspec import Struct

from coordinator.files.filereader import FileReader
from coordinator.input import networklists
from coordinator.input.stream import Stream
from lzr.errors import UsageError
from lzr.options.kinds import amounts
from lzr.options.kinds.addressing import show_port_list
from lzr.options.table import Options
from lzr.ranges import Range, difference, intersection, size, union
from lzr.secrets import Key, Secrets
from lzr.sweep import listing
from lzr.sweep.permutation import Permutation
from lzr.sweep.reader import hosts
from lzr.sweep.share import Share
from lzr.sweep.space import Space
from lzr.targets.blocklist import Blocklist
from lzr.targets.screen import PRINTERS

ASKS = 1 << 24
"""Pairs beyond which a sweep needs a blocklist: a /8 on one port."""

_ORDER = re.compile(rb"order ([0-9a-f]{32})\n")


class Sweep(Struct, frozen=True):
    """share: this box's pairs. key: of their order. total: how many of them are to be scanned.

    text: stands in place of an input. sentence: a sentence for the log.
    """

    share: Share
    key: Key
    total: int
    text: bytes
    sentence: str

    @property
    def families(self) -> list[int]:
        """EtherTypes of the packets that will be sent."""
        v4 = listing.v4(self.share.space.hi, self.share.space.lo)
        return [kind for kind, any_ in ((0x0800, v4.any()), (0x86DD, not v4.all())) if any_]

    def stream(self) -> Stream:
        """The text, to be read as an input."""
        descriptor = os.memfd_create("lzr sweep", os.MFD_CLOEXEC)
        os.write(descriptor, self.text)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return Stream(descriptor)


def swept(
    options: Options,
    reader: FileReader,
    blocklist: Blocklist | None,
    seed: int,
    begun: bytes = b"",
    lookup: networklists.Lookup = networklists.ask,
    tell: Callable[[str], None] = lambda _: None,
) -> Sweep:
    """The sweep that the options ask for. begun: beginning of the text of the sweep that is resumed. tell:
    told which addresses a name stands for.

    Raises UsageError, and Interrupted.
    """
    asked = union(networklists.covered(options.targets, options.targets_file, reader, lookup, tell))
    allowed = asked
    if blocklist is not None and blocklist.only is not None:
        allowed = intersection(asked, blocklist.only.ranges())
    blocked = blocklist.blocked.ranges() if blocklist is not None and blocklist.blocked is not None else []
    chosen = hosts(allowed, blocked)
    spared = [] if options.allow_printers else [PRINTERS]
    chosen_ports = difference(union(options.target_ports), spared)
    count = size(chosen)
    pairs = count * size(chosen_ports)
    try:
        space = Space(chosen, chosen_ports)
    except ValueError:
        raise UsageError(
            f"{pairs:,} pairs of address and port are more than can be swept (2^48, which is IPv4 with all "
            "its ports): name smaller prefixes, or a hit list with --targets-file"
        ) from None
    if not pairs:
        if not chosen_ports:
            raise UsageError("nothing is left to sweep: these are ports of printers (--allow-printers)")
        raise UsageError("nothing is left to sweep: all addresses are blocked, not allowed, or nobody's")
    if pairs > ASKS and not options.blocklist_file:
        raise UsageError(
            f"{pairs:,} pairs of address and port are more than a /8 has addresses: say whom not to contact, "
            "with --blocklist-file FILE (etc/blocklist.conf holds the special-purpose networks of IANA; "
            "/dev/null blocks nobody)"
        )
    found = _ORDER.match(begun)
    key = Secrets.derive(seed).order if found is None else _words(found[1])
    share = Share.of(space, Permutation.of(space.pairs, key), amounts.shards(options.shard), options.shards)
    ports = len(space.ports)
    sentence = f"{_many(space.pairs, 'pair', 's')}: {_many(space.addresses, 'address', 'es')}"
    sentence += f", {_many(ports, 'port', 's')}"
    if left := size(asked) - space.addresses:
        sentence += f"; {left:,} blocked, not allowed or nobody's are left out"
    if left := size(union(options.target_ports)) - ports:
        sentence += f"; {_many(left, 'port', 's')} of printers left out"
    if options.shards > 1:
        sentence += f"; of these {share.total:,} are ours"
    total = limited(share.total, options.max_targets)
    return Sweep(share, key, total, _text(key, chosen, count, chosen_ports, options), sentence)


def limited(total: int, limit: int | str | None) -> int:
    """How many of `total` the limit allows; a percentage is rounded down, but to no less than one."""
    if limit is None or isinstance(limit, int):
        return total if limit is None else min(total, limit)
    return min(total, max(1, int(total * Fraction(limit.removesuffix("%")) / 100)))


def _many(count: int, one: str, plural: str) -> str:
    return f"{count:,} {one}{'' if count == 1 else plural}"


def _words(text: bytes) -> Key:
    number = int(text, 16)
    return number >> 64, number & (1 << 64) - 1


def _text(key: Key, chosen: list[Range], count: int, ports: list[Range], options: Options) -> bytes:
    """The text: order, ports, and a hash of the addresses, of which there may be many (`count`)."""
    total = hashlib.sha256()
    for first, last in chosen:
        total.update(first.to_bytes(16, "big") + last.to_bytes(16, "big"))
    lines = (
        f"order {key[0] << 64 | key[1]:032x}",
        f"ports {show_port_list(tuple(ports))}",
        f"addresses {count} {total.hexdigest()}",
        f"share {options.shard} of {options.shards}",
    )
    return "".join(f"{line}\n" for line in lines).encode()
