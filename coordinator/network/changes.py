"""Sentences on what a change of links, addresses or routes costs a running scan: two surveys compared."""

from __future__ import annotations

from collections.abc import Collection

from coordinator.network.survey import Hardware


def link_lost(before: Hardware | None, after: Hardware | None) -> str:
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


def link_back(before: Hardware | None, after: Hardware | None) -> bool:
    """Whether the link was down and is up again."""
    was = before is not None and before.up and before.running
    return not was and after is not None and after.up and after.running


def addresses_lost(gone: Collection[object]) -> str:
    """The sentence on source addresses that this host does not have any more."""
    if not gone:
        return ""
    what = "are no longer addresses" if len(gone) > 1 else "is no longer an address"
    return (
        f"{', '.join(map(str, gone))} {what} of this host: answers to it may not come any more; "
        "give it back, and scan the targets without an answer again"
    )


WAYS = (
    "routes of this host have gone while the scan runs (ip route, ip rule): what is sent there meanwhile is "
    "lost; put them back, and scan the targets without an answer again"
)


def unreached(example: str) -> str:
    """The sentence on targets that could be reached when the scan began, and cannot be when their turn
    comes.
    """
    return (
        f"the routes have changed while the scan runs, and targets that had a way have none now ({example}): "
        f"see ip route get {example}; scan those that are counted as unroutable, or have no answer, again"
    )


PORTS = (
    "rules of this host choose the way by port (ip rule, sport or dport), and packets that the kernel routes "
    "one by one do not follow them: some are sent another way than connections of this host; scan the ports "
    "of each such rule by themselves, or change the rules"
)
