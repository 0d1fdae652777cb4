"""Notices when links, addresses or ways that a scan's packets use disappear, and what that costs."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from coordinator.network import netlink as nl
from coordinator.network.survey import Address, Hardware, Survey
from lzr import addresses
from lzr.packet import ways
from lzr.packet.ways import WayKind, Ways
from lzr.rows import TARGET, Rows


class Disruptions:
    """losses: sentences about results that may be missing, by kind; the caller removes them."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """say: takes a sentence for the user."""
        self._say = say
        self.losses: dict[str, str] = {}
        self._reported: set[str] = set()  # kinds of losses
        self._links: set[int] = set()  # that single packets leave by
        self._hardware: dict[int, Hardware] = {}  # links as they were told of last
        self._witnesses: Rows = np.zeros(0, TARGET)  # the first target of each way
        self._begun: Ways | None = None  # the ways as the scan began

    # --- what is used --------------------------------------------------------------------------------------

    def begin(self, table: Ways) -> None:
        """The scan uses this table from now on; nothing has been lost by that."""
        self._begun = table

    def note_used(self, fresh: Iterable[int], rows: Rows, codes: NDArray[np.uint8], table: Ways) -> None:
        """Packets use these ways for the first time. fresh: their numbers. codes: (n,), of TARGET rows."""
        for code in fresh:
            if table.links:
                self._links.add(table.links[code])
            if table.by_port and table.by_port[code] and "ports" not in self._reported:
                self._lose("ports", _PORTS)
            if table.ways["kind"][code] < WayKind.NONE and len(self._witnesses) < ways.MOST_WAYS:
                self._witnesses = np.concatenate([self._witnesses, rows[codes == code][:1]])

    # --- what has changed ----------------------------------------------------------------------------------

    def note_unreached(self, rows: Rows, codes: NDArray[np.uint8], table: Ways) -> None:
        """Note targets (TARGET rows) that could have been reached, had their turn come sooner."""
        if self._begun is None:
            self._begun = table
        if self._begun is table or "routes" in self._reported:
            return
        late = table.ways["kind"][codes] >= WayKind.NONE
        if late.any():
            late &= self._begun.kinds(rows) < WayKind.NONE
        if late.any():
            row = rows[late][0]
            one = addresses.text(int(row["peer_hi"]), int(row["peer_lo"]))
            self._lose("routes", _unreached(one))

    def note_table(self, before: Ways, after: Ways) -> None:
        """The table of ways was replaced."""
        gone = before.kinds(self._witnesses) < WayKind.NONE
        if (gone & (after.kinds(self._witnesses) >= WayKind.NONE)).any():
            self._lose("routes", _WAYS)

    def note_news(self, message: nl.NetlinkMessage, survey: Survey, ring: Hardware | None) -> None:
        """Note a link's state at this moment, since one that is up again before the next survey was down in
        between.

        ring: the link of the rings.
        """
        index, flags = message.fields[2:4]
        before = self._hardware.get(index, survey.links.get(index))
        if before is not None:
            up, running = bool(flags & nl.IFF_UP), bool(flags & nl.IFF_RUNNING)
            self._note_link(before, replace(before, up=up, running=running), ring)

    def note_links(self, survey: Survey, after: Mapping[int, Hardware], ring: Hardware | None) -> None:
        """Note the state of all links. survey: as they were before. ring: the link of the rings."""
        for index, link in {**survey.links, **self._hardware}.items():
            self._note_link(link, after.get(index), ring)
        self._hardware = dict(after)

    def note_addresses(self, survey: Survey, after: Collection[Address], used: Iterable[str]) -> None:
        """Note this host's addresses. survey: as they were before. used: those that packets leave from."""
        own = dict.fromkeys(map(ipaddress.ip_address, used))
        gone = [one for one in own if one in survey.addresses and one not in after]
        self._lose("address", _addresses_lost(gone))

    def _note_link(self, before: Hardware, after: Hardware | None, ring: Hardware | None) -> None:
        if after is not None:
            self._hardware[after.index] = after
        if before.index in self._links or (ring is not None and before.index == ring.index):
            self._lose(f"link {before.name}", _link_lost(before, after))
            if after is not None and _link_back(before, after):
                self._say(f"the interface {after.name} is up again")

    def _lose(self, kind: str, sentence: str) -> None:
        if sentence:
            self._reported.add(kind)
            self.losses[kind] = sentence


# --- sentences ------------------------------------------------------------------------------------------


def _link_lost(before: Hardware | None, after: Hardware | None) -> str:
    """The sentence on a link that packets leave by, as it was and as it is; empty if it is as good as
    before.
    """
    if before is None or not before.up or not before.running:
        return ""
    if after is None:
        return (
            f"the interface {before.name} is gone: what is sent by it is lost; scan the targets without an "
            "answer again"
        )
    if after.up and after.running:
        return ""
    what = "has no carrier (is its cable out?)" if after.up else "was set down (ip link)"
    return (
        f"the interface {after.name} {what} while the scan runs: what is sent meanwhile may be lost; "
        "scan the targets without an answer again"
    )


def _link_back(before: Hardware | None, after: Hardware | None) -> bool:
    """Whether the link was down and is up again."""
    was = before is not None and before.up and before.running
    return not was and after is not None and after.up and after.running


def _addresses_lost(gone: Collection[object]) -> str:
    """The sentence on source addresses that this host does not have any more."""
    if not gone:
        return ""
    what = "are no longer addresses" if len(gone) > 1 else "is no longer an address"
    return (
        f"{', '.join(map(str, gone))} {what} of this host: answers to it may not come any more; "
        "give it back, and scan the targets without an answer again"
    )


_WAYS = (
    "routes of this host have gone while the scan runs (ip route, ip rule): what is sent there meanwhile is "
    "lost; put them back, and scan the targets without an answer again"
)


def _unreached(example: str) -> str:
    """The sentence on targets that could be reached when the scan began, and cannot be when their turn
    comes.
    """
    return (
        f"the routes have changed while the scan runs, and targets that had a way have none now ({example}): "
        f"see ip route get {example}; scan those that are counted as unroutable, or have no answer, again"
    )


_PORTS = (
    "rules of this host choose the way by port (ip rule, sport or dport), and packets that the kernel routes "
    "one by one do not follow them: some are sent another way than connections of this host; scan the ports "
    "of each such rule by themselves, or change the rules"
)
