"""Our own addresses: those the user has chosen, those ZMap has used, and those that packets leave from."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from coordinator.network.survey import MOST_SOURCES, Address
from lzr import addresses
from lzr.packet.ways import WayKind, Ways, only
from lzr.rows import Opening, Rows, pick
from lzr.targets.screen import overview

_LOOKED_AT = 1024
"""Most rows of a batch examined for addresses of ours that are not known yet. They are TARGET rows of ZMap,
which sends from few addresses, so the first rows name all of them."""


class OwnSources:
    """chosen: by the user. seen: in ZMap's rows, at most MOST_SOURCES. used: the others that packets left
    from.
    """

    def __init__(self, chosen: Iterable[str]) -> None:
        self.chosen = [ipaddress.ip_address(source) for source in chosen]
        self.seen: list[Address] = []
        self._halves: list[addresses.Halves] = []  # of those
        self._taken: set[int] = set()  # ways, by number, that targets have taken
        self.used: list[str] = []

    @property
    def given(self) -> list[Address]:
        """Addresses that the user or ZMap names: routes are looked up for packets from these."""
        return [*self.chosen, *self.seen]

    def names(self, own: addresses.Halves | None) -> bool:
        """Whether `own` is the address that ZMap's rows have named first, as it mostly is."""
        return own is not None and bool(self._halves) and own == self._halves[0]

    def note_seen(self, backlog: Iterable[Rows]) -> bool:
        """Note our addresses in TARGET rows of ZMap; returns whether there are new ones."""
        before = len(self.seen)
        for rows in backlog:
            if len(self.seen) >= MOST_SOURCES:
                break
            if self.names(overview(rows).own):
                continue
            strange = rows["syn"] != Opening.OURS
            for high, low in self._halves:  # of one address, mostly: cheaper than to look them up
                strange &= (rows["own_lo"] != low) | (rows["own_hi"] != high)
            if not np.count_nonzero(strange):
                continue
            new = pick(rows, np.flatnonzero(strange)[:_LOOKED_AT])
            for half in dict.fromkeys(zip(new["own_hi"].tolist(), new["own_lo"].tolist(), strict=True)):
                one = ipaddress.ip_address(addresses.text(*half))
                if one not in self.seen and len(self.seen) < MOST_SOURCES:
                    self.seen.append(one)
                    self._halves.append(half)
        return len(self.seen) > before

    def note_used(
        self, codes: NDArray[np.uint8], table: Ways, known: Iterable[str]
    ) -> tuple[list[int], list[str]]:
        """Note the ways that targets take; returns the ways, and our source addresses, that were not used
        before.

        codes: (n,) numbers of ways. known: addresses that are in use anyway.
        """
        if only(codes) in self._taken:
            return [], []
        fresh = [code for code in np.flatnonzero(np.bincount(codes)).tolist() if code not in self._taken]
        self._taken.update(fresh)
        texts = [_source_of(table, code) for code in fresh]
        before = {*self.used, *known}
        new = [text for text in dict.fromkeys(texts) if text and text not in before]
        self.used += new
        return fresh, new

    def takes(self, code: int | None) -> bool:
        """Whether targets have taken this way before."""
        return code in self._taken

    def forget_ways(self) -> None:
        """The table of ways was made anew, so its numbers have other meanings."""
        self._taken.clear()


def is_own(text: str) -> bool:
    """Whether an address is this host's, so that one can bind to it."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((text, 0))
    except OSError:  # also of a kernel without IPv6
        return False
    return True


def _source_of(table: Ways, code: int) -> str:
    way = table.ways[code]
    if way["kind"] >= WayKind.NONE or not way["source_lo"]:
        return ""
    return addresses.text(int(way["source_hi"]), int(way["source_lo"]))
