"""What to tell the user when a scan has ended and nobody has answered at all."""

from __future__ import annotations

from pathlib import Path

from coordinator.monitor.snapshot import Snapshot
from coordinator.network.discover import Network
from coordinator.network.ownsources import is_own

_SILENT = ("no_syn_ack", "silent")
_TUNNELS = ("tun", "tap", "wg", "ppp", "utun", "tailscale", "zt", "nordlynx", "proton")
_ETHERNET = "1"  # ARPHRD_ETHER, in /sys/class/net/*/type
_SHOWN = 2  # source addresses that the sentence names


def unanswered(snapshot: Snapshot, net: Network, *, opening: bool) -> str:
    """The sentence, if every target that was begun has stayed silent; else empty.

    opening: the connections were opened by us, not by ZMap.
    """
    outcomes = {name: count for name, count in snapshot.outcomes.items() if count}
    silent = set(_SILENT[:1] if snapshot.sweep else _SILENT)  # who is silent in a sweep has sent a SYN-ACK
    if not snapshot.tx or not outcomes or set(outcomes) - silent:
        return ""
    sources = [*net.sources]
    shown = ", ".join(sources[:_SHOWN]) + (" and others" if len(sources) > _SHOWN else "")
    back = "nothing came back" if not snapshot.rx else f"of {snapshot.rx:,} that came back none was an answer"
    via = f"{net.interface} from {shown}" if sources else net.interface
    checks = []
    foreign = [address for address in sources if not is_own(address)]
    if foreign:
        checks.append(f"{foreign[0]} is no address of this machine, are answers to it routed here?")
    if not opening:
        checks.append("do these connections still exist? lzr has to run while zmap does: zmap ... | lzr")
    if snapshot.guard_missing:
        checks.append("the kernel's RSTs are not suppressed (--without-guard)")
    gateways = [gateway for gateway in (net.gateway_v4, net.gateway_v6) if gateway]
    if gateways:
        checks.append(f"does the gateway {gateways[0]} forward from this address?")
    else:
        checks.append("the hosts are on this link, are they up?")
    if _is_tunnel(net.interface):
        checks.append(f"{net.interface} is a tunnel (a VPN?), which may not carry such packets")
    else:
        checks.append("does a firewall, a VPN or the provider drop them?")
    return f"nobody answered: {snapshot.tx:,} packets left {via}, {back}. To check: {'; '.join(checks)}"


def _is_tunnel(interface: str) -> bool:
    if interface.startswith(_TUNNELS):
        return True
    try:
        return Path(f"/sys/class/net/{interface}/type").read_text().strip() not in (_ETHERNET, "772")
    except OSError:
        return False
