"""What a scan is known to have asked, from its metadata and from those of the scan before.

A service that an older scan found and a newer one has no record of is gone only if the newer one asked for
it. Three things show that, each from the files alone:

* the newer scan has a record without an answer for that address and port (no metadata needed);
* both scans had the same input (its SHA-256), and the newer one has given each input its fate;
* the newer scan swept networks and ports that contain it, to the end, and left out no more than the older
  one.

A scan that was interrupted, that lost results, that had only its share of an input, or that blocked other
networks shows nothing beyond its records; then a sentence says which of these it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from lzr import addresses
from lzr.addresstext import ranges_of
from lzr.analysis.addressranges import AddressRanges, Collected, plain_lines
from lzr.analysis.metadata import ran_to_its_end, section
from lzr.options.kinds.addressing import PORT_LIST
from lzr.ranges import Range, difference, intersection, union
from lzr.targets.screen import PRINTERS

_EVERY_PORT = ((0, 65535),)
_FEW = 64
"""Ports of a part that are looked up one by one."""
_HARMLESS = ("recorded", "unparsable", "duplicate", "done before", "blocklisted", "printer port")
"""Fates that the same input gets each time, given the same lists."""
_CUT = ("interrupted", "for another shard", "beyond --max-targets", "outside --source-port")


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Every address of `ranges` on every port of `ports`."""

    ranges: AddressRanges
    ports: tuple[tuple[int, int], ...] = _EVERY_PORT

    @property
    def few(self) -> bool:
        return sum(last - first + 1 for first, last in self.ports) <= _FEW


@dataclass(frozen=True)
class Coverage:
    """everything: the newer scan asked whatever the older one did. parts: what was asked, by address.

    why: a sentence on why no more is known; "" if there is nothing to add. unsent: the newer scan has records
    of targets to which this host's firewall let nothing out. handshakes: of the newer scan, where known.
    silent_recorded: open ports without data are recorded there, so an input without a record was not even
    open.
    """

    everything: bool = False
    parts: tuple[Part, ...] = ()
    why: str = ""
    unsent: bool = False
    handshakes: tuple[str, ...] = ()
    silent_recorded: bool = True

    def covers(self, address: int, port: int) -> bool:
        """Whether it was asked. address: 128 bits, IPv4 in its mapped form."""
        if self.everything:
            return True
        return any(address in part.ranges for part in self._by_port.get(port, ())) or any(
            address in part.ranges
            for part in self._wide
            if any(first <= port <= last for first, last in part.ports)
        )

    @cached_property
    def _by_port(self) -> dict[int, list[Part]]:
        """The parts of few ports, of which a list of addresses and ports may have thousands, by port."""
        found: dict[int, list[Part]] = {}
        for part in self.parts:
            for first, last in part.ports if part.few else ():
                for port in range(first, last + 1):
                    found.setdefault(port, []).append(part)
        return found

    @cached_property
    def _wide(self) -> list[Part]:
        return [part for part in self.parts if not part.few]


def unfinished(metadata: Mapping[str, Any]) -> str:
    """Why a scan has not handled every input completely; "" if it has."""
    ending, inputs = section(metadata, "ending"), section(metadata, "inputs")
    how = ending.get("how")
    if not ran_to_its_end(metadata):
        return f"it ended as {how!s}" if isinstance(how, str) else "it is not said how it ended"
    if inputs.get("agree") is not True:
        return "its ledger of inputs does not agree"
    if metadata.get("results_lost"):
        return "it lost results"
    options = section(metadata, "options")
    for name in ("max_targets", "max_results", "max_runtime"):
        if options.get(name) is not None:
            return f"--{name.replace('_', '-')} may have ended it early"
    if options.get("shards") not in (None, 1):
        return "it had a share of the targets only (--shards)"
    fates = section(inputs, "fates")
    if not fates:
        return "it does not say what became of its inputs"
    for name in _CUT:
        if fates.get(name):
            return f"{fates[name]} of its inputs are said to be {name!r}"
    return ""


def known(
    new: Mapping[str, Any] | None,
    old: Mapping[str, Any] | None = None,
    *,
    records: int = 0,
    held: int | None = None,
) -> Coverage:
    """What is known of the newer scan.

    old: metadata of the older one; both as `lzr.analysis.metadata.check` returns them. records: how many the
    older file holds; held: how many the newer one does, where that was counted.
    """
    if new is None:
        return Coverage(why="there is no metadata of the new scan")
    reasons = section(new, "reasons")
    options = section(new, "options")
    known = Coverage(
        unsent=bool(reasons.get("send_refused")),
        handshakes=names(new),
        silent_recorded=not options.get("only_data_record"),
    )
    why = unfinished(new)
    if not why and options.get("output_filter"):
        why = "its records were filtered"
    if not why and held is not None and held < _written(new):
        why = "its file holds fewer records than it made"
    if not why and not _same_lists(new, old):
        why = "it had other lists of networks, or those of the old scan are not known"
    if why:
        return replace(known, why=f"the new scan shows no more than its records: {why}")
    parts = swept(new)
    everything = old is not None and _same_input(new, old) and 0 < records <= _counted(old)
    if not everything and not parts:
        why = "the new scan had another input than the old one, so only its own records show what it asked"
    return replace(known, everything=everything, parts=parts, why=why)


def names(metadata: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The handshakes of a scan, in order."""
    listed = section(metadata or {}, "scan").get("handshakes")
    return tuple(map(str, listed)) if isinstance(listed, Sequence) and not isinstance(listed, str) else ()


def _digests(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(entry.get("sha256"))
        for name, entry in section(metadata, "lists").items()
        if isinstance(entry, Mapping) and name != "targets_file"
    }


def _same_lists(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> bool:
    """Whether the new scan could contact whatever the old one did: it had no lists, or the same."""
    now = _digests(new)
    return not now or (old is not None and now == _digests(old))


def _same_input(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    now, then = section(new, "input").get("sha256"), section(old, "input").get("sha256")
    fates = section(section(new, "inputs"), "fates")
    if not isinstance(now, str) or now != then or not fates.get("recorded"):
        return False
    return not any(count for name, count in fates.items() if name not in _HARMLESS)


def _counted(metadata: Mapping[str, Any]) -> int:
    """How many records the scan itself made; a file with more also holds records of other scans."""
    total = section(metadata, "counters").get("TotalResponses")
    return total if type(total) is int else 0


def _written(metadata: Mapping[str, Any]) -> int:
    """How many records the file of a scan must have at least."""
    if not section(metadata, "options").get("only_data_record"):
        return _counted(metadata)
    data = section(metadata, "counters").get("Data")
    return data if type(data) is int else 0


def swept(metadata: Mapping[str, Any]) -> tuple[Part, ...]:
    """The networks and ports of a sweep, without names and files of networks, whose contents are not
    known."""
    options = section(metadata, "options")
    ports, targets = options.get("target_ports"), options.get("targets")
    if not ports or not isinstance(ports, list) or not isinstance(targets, list):
        return ()
    ranges: list[Range] = []
    for word in targets:
        try:
            ranges += ranges_of(str(word))
        except ValueError:
            continue
    try:
        chosen = union((int(first), int(last)) for first, last in ports)
    except (TypeError, ValueError, OverflowError):
        return ()
    spared = [] if options.get("allow_printers") else [PRINTERS]
    left = difference(intersection(chosen, list(_EVERY_PORT)), spared)
    return (Part(AddressRanges.of(ranges), tuple(left)),) if ranges and left else ()


def listed(chunks: Iterable[str]) -> tuple[Part, ...]:
    """What a list states was asked: on each line an address, a range or a network, with or without ``:PORT``.

    chunks: whole lines each, in order. It keeps one chunk and some numbers for each of its lines, and twice
    the resulting ranges at most. Raises ValueError with the line that is none of these.
    """
    by_ports: dict[tuple[tuple[int, int], ...], Collected] = {}
    number = united = 0
    for chunk in chunks:
        text = chunk.removesuffix("\n")
        addresses_, plain = plain_lines(f"{text}\n".encode("utf-8", "replace"))
        if len(addresses_):
            by_ports.setdefault(_EVERY_PORT, Collected()).add_four(addresses_)
        if not plain.all():
            lines = text.split("\n")
            for at in np.flatnonzero(~plain).tolist():
                _add(by_ports, lines[at], number + at + 1)
        number += len(plain)
        # A list may name the same again and again.
        if sum(map(len, by_ports.values())) >= united + max(_UNITE, united):
            for collected in by_ports.values():
                collected.unite()
            united = sum(map(len, by_ports.values()))
    found: list[Part] = []
    while by_ports:
        ports = next(iter(by_ports))
        found.append(Part(by_ports.pop(ports).united(), ports))
    return tuple(found)


def _add(by_ports: dict[tuple[tuple[int, int], ...], Collected], line: str, number: int) -> None:
    """What a line names. Raises ValueError."""
    entry = line.split("#", 1)[0].strip()
    if not entry:
        return
    try:
        where, ports = _split(entry)
        found = ranges_of(where)
    except ValueError:
        raise ValueError(f"line {number}: {entry[:80]!r} is no address, range or network") from None
    collected = by_ports.setdefault(ports, Collected())
    for first, last in found:
        collected.add(first, last)


_UNITE = 1_000_000
"""Lines after which ranges that touch are joined; later, as many as there are ranges by then, so that what a
line costs does not grow with the list."""


def _split(entry: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    if entry.startswith("["):
        where, bracket, rest = entry[1:].partition("]")
        length, _, port = rest.partition(":")
        if not bracket or (length and not length.startswith("/")):
            raise ValueError(entry)
        where += length
    elif entry.count(":") == 1:
        where, _, port = entry.partition(":")
    else:
        return entry, _EVERY_PORT
    if not port:
        return where, _EVERY_PORT
    ranges: tuple[tuple[int, int], ...] = PORT_LIST.parse(port)  # type: ignore[assignment]
    return where, tuple(union(ranges))


def number(key: bytes) -> int:
    """The 16 bytes of `saddr_key` as a number, as `covers` takes it."""
    return int.from_bytes(key, "big")


def shown(address: int, port: int) -> str:
    """``address:port`` as a list for ``lzr -sendSYNs`` has it."""
    text = addresses.text(address >> 64, address & (1 << 64) - 1)
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"
