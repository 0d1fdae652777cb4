"""Looks up which network an address belongs to, and where it is, in the user's own files.

These are tables of ranges (iptoasn.com) and MaxMind DBs. A table has a line for each range, cells separated
by tabs: first address, last address, number of the autonomous system, country, name; or first, last, country.
Addresses may be numbers (``ip2asn-v4-u32.tsv``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordinator.analysis.source import Source
from coordinator.analysis.values import address
from coordinator.commandline import extras
from lzr.analysis.addressfacts import MAPPED, NOTHING, UNKNOWN, AddressFacts, Ranges, keys
from lzr.errors import UsageError, printable
from lzr.safetext import plain

Lookup = Callable[[NDArray[np.uint8]], NDArray[np.int32]]
_KEPT = 1 << 20
"""Networks of a MaxMind DB that are remembered."""
_TEXT = 200
"""Characters of a name."""


class NetworkFile:
    """One file. facts: what is known, by number; `find` gives the number for each address."""

    def __init__(self, path: str) -> None:
        self.name = printable(path)
        self.facts: list[AddressFacts] = []
        self._numbers: dict[AddressFacts, int] = {}
        self.find: Lookup

    def number(self, facts: AddressFacts) -> int:
        """The number of what is known of a network, the same for the same."""
        if facts == UNKNOWN:
            return NOTHING
        found = self._numbers.get(facts)
        if found is None:
            found = self._numbers[facts] = len(self.facts)
            self.facts.append(facts)
        return found


class RangeTable(NetworkFile):
    """A table of ranges, compressed or not."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        firsts: list[bytes] = []
        lasts: list[bytes] = []
        numbers: list[int] = []
        known: dict[bytes, int] = {}
        source = Source(path)
        line_number = 0
        wrong = ""
        try:
            for chunk in source.chunks(each=True):
                for line in chunk.split(b"\n"):
                    line_number += 1
                    if not line.strip() or line.startswith(b"#"):
                        continue
                    try:
                        head, tail, rest = line.split(b"\t", 2)
                        if tail.isdigit() and not head.isdigit():
                            raise ValueError("not the last address of a range but the length of a prefix")
                        first, last = _key(head), _key(tail)
                        if first > last:
                            raise ValueError("the range ends before it begins")
                        number = known.get(rest)
                        if number is None:
                            number = known[rest] = self.number(_said(rest))
                    except (OSError, ValueError) as error:
                        wrong = wrong or f"line {line_number}: {_why(error, line)}"
                        if not firsts:
                            raise UsageError(f"{self.name} is no table of ranges ({wrong})") from None
                        continue
                    firsts.append(first)
                    lasts.append(last)
                    numbers.append(number)
                line_number -= 1
        finally:
            source.close()
        if not firsts or source.damage:
            raise UsageError(f"{self.name} is no table of ranges ({source.damage or 'it is empty'})")
        if wrong:
            raise UsageError(f"{self.name} holds what is no range ({wrong})")
        self.find = Ranges(firsts, lasts, numbers).find


def _why(error: Exception, line: bytes) -> str:
    if line.count(b"\t") < 2:
        return "fewer than three cells between tabs"
    return plain("no address" if isinstance(error, OSError) else str(error), 80)


def _said(rest: bytes) -> AddressFacts:
    """What the cells after the two addresses state. Raises ValueError."""
    cells = rest.rstrip(b"\r").decode("utf-8", "replace").split("\t")
    asn = None
    if cells[0].removeprefix("AS").isdigit() and cells[0].isascii():
        asn = int(cells.pop(0).removeprefix("AS")[:12])
        if asn > 0xFFFFFFFF:
            raise ValueError("an AS number beyond 32 bits")
    country = cells[0].strip() if cells else ""
    name = cells[1].strip() if len(cells) > 1 else ""
    if not asn:  # 0: nobody announces it
        return AddressFacts(None, None, _country(country))
    return AddressFacts(asn, name[:_TEXT] or None, _country(country))


def _key(cell: bytes) -> bytes:
    """Raises OSError, ValueError."""
    text = cell.decode("latin-1")
    if b":" in cell:
        return inet_pton(AF_INET6, text.strip())
    try:
        return MAPPED + inet_pton(AF_INET, text)
    except OSError:
        pass
    if text.isascii() and text.isdigit():
        return MAPPED + int(text[:11]).to_bytes(4, "big") if int(text[:11]) < 1 << 32 else _too_large()
    return address(text.strip())[1]


def _too_large() -> bytes:
    raise ValueError("a number that is no IPv4 address")


def _country(text: object) -> str | None:
    """A code of two letters; "None" and "Unknown" are none."""
    if isinstance(text, str) and len(text) == 2 and text.isascii() and text.isalpha():
        return text.upper()
    return None


class Database(NetworkFile):
    """A MaxMind DB: GeoLite2, GeoIP2, DB-IP, IPinfo and others that name these things likewise."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        try:
            import maxminddb
        except ImportError as error:
            raise UsageError(f"--mmdb: {extras.trouble(error, 'maxminddb', 'analysis')}") from None
        try:
            if not os.path.isfile(path):
                open(path, "rb").close()
                raise UsageError(f"cannot read {self.name}: it is no file")
            self._reader: Any = maxminddb.open_database(path)
            self._six = self._reader.metadata().ip_version == 6  # which is first looked at here
        except OSError as error:
            raise UsageError(f"cannot read {self.name}: {error.strerror or error}") from error
        except (maxminddb.InvalidDatabaseError, ValueError) as error:
            raise UsageError(f"{self.name} is no MaxMind DB ({plain(str(error), 80)})") from error
        self._errors = (maxminddb.InvalidDatabaseError, ValueError, OverflowError)
        self._known: dict[bytes, int] = {}
        self.find = self._find

    def _find(self, addresses: NDArray[np.uint8]) -> NDArray[np.int32]:
        return np.fromiter(map(self._one, map(bytes, addresses)), np.int32, len(addresses))

    def _one(self, key: bytes) -> int:
        """The number for an address. What is known of a /24 or /48 as a whole is remembered."""
        four = key.startswith(MAPPED)
        network = key[:15] if four else key[:6]
        found = self._known.get(network)
        if found is None:
            found = self._known.get(key)
        if found is not None:
            return found
        if not four and not self._six:
            return NOTHING
        try:
            text = inet_ntop(AF_INET, key[12:]) if four else inet_ntop(AF_INET6, key)
            record, length = self._reader.get_with_prefix_len(text)
            found = self.number(_address_facts(record))
        except self._errors as error:
            raise UsageError(f"{self.name} is damaged ({plain(str(error), 80)})") from error
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[network if length <= (24 if four else 48) else key] = found
        return found


def _address_facts(record: Any) -> AddressFacts:
    """What a record states, by the names that the maker of the database uses."""
    if not isinstance(record, dict):
        return UNKNOWN
    number = record.get("autonomous_system_number", record.get("asn", record.get("as_number")))
    if isinstance(number, str) and number.removeprefix("AS").isdecimal():
        number = int(number.removeprefix("AS")[:12])
    asn = number if type(number) is int and 0 < number <= 0xFFFFFFFF else None
    name = record.get("autonomous_system_organization", record.get("as_name", record.get("name")))
    place = None
    for key in ("country", "country_code", "registered_country"):
        of = record.get(key)
        place = place or _country(of.get("iso_code") if isinstance(of, dict) else of)
    return AddressFacts(asn, name[:_TEXT] if asn and isinstance(name, str) and name else None, place)


class Places:
    """All files: system and name by the first that knows, countries likewise. `find` -> `facts` by number."""

    def __init__(self, tables: Iterable[str], databases: Iterable[str]) -> None:
        """Systems are asked of `tables` first, countries of `databases`. Raises UsageError."""
        self._tables: list[NetworkFile] = [RangeTable(path) for path in tables]
        self._databases: list[NetworkFile] = [Database(path) for path in databases]
        self._together: dict[tuple[int, ...], int] = {}
        self.facts: list[AddressFacts] = [UNKNOWN]

    def __bool__(self) -> bool:
        return bool(self._tables or self._databases)

    def find(self, joined: bytes) -> NDArray[np.int64]:
        """A number for each address of 16 bytes, end to end; `facts` says what it means."""
        addresses = keys(joined)
        found = [source.find(addresses) for source in (*self._tables, *self._databases)]
        if not len(addresses):
            return np.zeros(0, np.int64)
        # Few different answers come for a batch: each is settled once.
        which = np.zeros(len(addresses), np.int64)
        for numbers in found:
            kinds, places = np.unique(numbers, return_inverse=True)
            which = which * len(kinds) + places.reshape(-1)
        _, firsts, places = np.unique(which, return_index=True, return_inverse=True)
        settled = [self._settled(tuple(int(numbers[at]) for numbers in found)) for at in firsts.tolist()]
        answers: NDArray[np.int64] = np.array(settled, np.int64)[places.reshape(-1)]
        return answers

    def _settled(self, kind: tuple[int, ...]) -> int:
        number = self._together.get(kind)
        if number is None:
            said = [
                source.facts[at] if at >= 0 else UNKNOWN
                for source, at in zip((*self._tables, *self._databases), kind, strict=True)
            ]
            system = next((facts for facts in said if facts.asn is not None), UNKNOWN)
            after = len(self._tables)
            places = (*said[after:], *said[:after])
            country = next((facts.country for facts in places if facts.country is not None), None)
            number = self._together[kind] = len(self.facts)
            self.facts.append(AddressFacts(system.asn, system.as_name, country))
        return number
