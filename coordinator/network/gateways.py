"""The gateways of the rings: at most one next hop for each family, all on one link, and their MACs.

Packets leave by the transmit rings only where one of these is the next hop. The gateway that most targets are
behind is chosen at the start; later changes of its MAC or of the default route are followed.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from coordinator.network import neighbours
from coordinator.network import netlink as nl
from coordinator.network.gatewaypresence import GatewayPresence
from coordinator.network.neighbours import RESOLVE_SECONDS, NetworkError
from coordinator.network.netlink import Netlink
from coordinator.network.survey import ANYWHERE, Address, Hardware, Route, Survey, address
from coordinator.processes import rights
from lzr.packet import ways

_OTHER_SECONDS = 0.5
"""Seconds that a gateway is asked for its MAC whose family has no target yet. A judgement: the start of such
a scan is delayed by this where that gateway is silent, and a MAC that comes later is used from then on."""


LOOKUPS = 3
"""Questions to the kernel after which it has named two next hops for a route where there are several of one
metric and none is known to answer: it takes them in turn (fib_select_default)."""


class SilentGatewayError(NetworkError):
    """The gateway that all targets are behind does not answer."""


class Gateway(Struct, frozen=True):
    """A next hop of the rings. mtu: bytes of an IP packet on the path there. mac: 6 bytes, None if not
    known.
    """

    hop: Address
    mtu: int
    mac: bytes | None


class Gateways:
    """The link of the rings, None where there is none, and its gateways by IP version.

    losses: sentences about results that may be missing, by kind; the caller removes them.
    """

    def __init__(self, kernel: Netlink, say: Callable[[str], None]) -> None:
        """say: takes a sentence for the user."""
        self._kernel = kernel
        self._say = say
        self.link: Hardware | None = None
        self.by_version: dict[int, Gateway] = {}
        self.losses: dict[str, str] = {}
        self._silent: set[Address] = set()  # next hops that have not answered the kernel's last questions
        self._presence: defaultdict[int, GatewayPresence] = defaultdict(GatewayPresence)  # by version

    def mac(self, version: int) -> bytes | None:
        """The MAC of the gateway of a family; None if there is no gateway, or its MAC is not known."""
        gateway = self.by_version.get(version)
        return gateway.mac if gateway is not None else None

    @property
    def mtu(self) -> int:
        """Bytes of an IP packet that fit the paths to all gateways; Ethernet's MTU where there is no
        gateway.
        """
        return min((gateway.mtu for gateway in self.by_version.values()), default=1500)

    def are_next_hop(self, survey: Survey, answer: Route | None, version: int) -> bool:
        """Whether packets that the kernel would send as `answer` says can leave by the rings instead."""
        gateway, link = self.by_version.get(version), self.link
        return (
            answer is not None
            and gateway is not None
            and link is not None
            and (answer.index, answer.gateway, answer.mtu) == (link.index, gateway.hop, gateway.mtu)
            and _fits_a_ring(survey, answer)
        )

    # --- the start -----------------------------------------------------------------------------------------

    def choose(self, survey: Survey, counts: NDArray[np.int64]) -> None:
        """Choose the link and the gateways that most targets are behind, else those of the default route.

        counts: (intervals,) the targets in each interval of the survey.
        """
        weights: Counter[tuple[int, int, Address, int]] = Counter()
        answers: list[tuple[int, Route | None, float]] = [
            (address(edge).version, answer, float(count))
            for edge, answer, count in zip(survey.edges, survey.answers, counts, strict=False)
        ]
        # The default route counts for less than one target: it decides where targets do not.
        answers += [(version, survey.ask(ways.number(one.packed)), 0.5) for version, one in ANYWHERE.items()]
        links: Counter[int] = Counter()
        fit = [
            (version, answer, count)
            for version, answer, count in answers
            if answer is not None and count and _fits_a_ring(survey, answer)
        ]
        for version, answer, count in [one for one in fit if one[1].gateway not in self._silent] or fit:
            weights[version, answer.index, answer.gateway, answer.mtu] += count  # type: ignore[index, assignment]
            links[answer.index] += count  # type: ignore[assignment]
        self.by_version.clear()
        self.link = survey.links[links.most_common(1)[0][0]] if links else None
        for (version, index, hop, mtu), _ in weights.most_common():
            if self.link is not None and index == self.link.index and version not in self.by_version:
                self.by_version[version] = Gateway(hop, mtu, None)

    def ask(self, survey: Survey, reached: Sequence[int]) -> None:
        """Ask each gateway for its MAC. Raises NetworkError if no target can be reached without it.

        reached: the intervals of the survey that hold targets.
        """
        for version, gateway in self.by_version.items():
            assert self.link is not None
            link = self.link
            behind = [at for at in reached if self.are_next_hop(survey, survey.answers[at], version)]
            try:
                seconds = RESOLVE_SECONDS if behind else _OTHER_SECONDS
                mac = neighbours.resolve(self._kernel, link.index, gateway.hop, seconds)
            except PermissionError:
                needed = rights.how_to_get("CAP_NET_ADMIN")
                raise neighbours.NotAllowedError(
                    f"finding the MAC of {gateway.hop} needs {needed}, or give --gateway-mac"
                ) from None
            if mac is None and behind:
                sentence = f"the gateway {gateway.hop} does not answer {_means(gateway)} on {link.name}"
                if len(behind) == len(reached):
                    self._silent.add(gateway.hop)
                    raise SilentGatewayError(f"{sentence}: give --gateway-mac")
                self._say(sentence)
            self.by_version[version] = replace(gateway, mac=mac)

    def is_there_another(self, survey: Survey, reached: Sequence[int]) -> bool:
        """Whether some of these intervals are behind another next hop than those that are silent."""
        hops = [answer.gateway for at in reached if (answer := survey.answers[at]) is not None]
        return any(hop not in self._silent for hop in hops)

    # --- while the scan runs -------------------------------------------------------------------------------

    def take_news(self, message: nl.NetlinkMessage, *, failed: bool) -> tuple[bool, bool]:
        """Handle a neighbour message of the kernel: (whether it is about a gateway, whether the MAC is new).

        failed: the kernel has got no answer.
        """
        mac = neighbours.known_mac(message)
        for version, gateway in self.by_version.items():
            if self.link is not None and neighbours.is_about(message, self.link.index, gateway.hop):
                sure = bool(message.fields[2] & nl.NUD_SURE)
                if failed and not message.by:
                    self._silent.add(gateway.hop)
                elif sure:
                    self._silent.discard(gateway.hop)
                if not failed and sure and self._presence[version].answered():
                    self._say(f"the gateway {gateway.hop} answers again")
                return True, self._note_mac(version, mac)
        return False, False

    @property
    def due(self) -> float:
        """When `miss` is worth calling again; infinity if no answer is awaited."""
        return min((one.due for one in self._presence.values()), default=math.inf)

    def confirm(self, now: float) -> bool:
        """Make the kernel verify the gateways' MACs; returns whether one has changed. now: monotonic
        seconds.
        """
        changed = False
        for version, gateway in list(self.by_version.items()):
            if self.link is not None:
                try:
                    mac, asked = neighbours.confirm(self._kernel, self.link.index, gateway.hop)
                except OSError:
                    continue  # the link is down, or the table full: the next time
                if asked:
                    self._presence[version].asked(now)
                changed |= self._note_mac(version, mac)
        return changed

    def follow(self, survey: Survey) -> None:
        """Change to the default route's gateway where that is another one and nothing needs the old one, or
        the old one is silent.

        Raises OSError where the kernel cannot be asked for its MAC.
        """
        if self.link is not None:
            self.link = survey.links.get(self.link.index, self.link)
        for version, one in ANYWHERE.items():
            gateway, answer = self.by_version.get(version), survey.ask(ways.number(one.packed))
            if gateway is None or answer is None or self.link is None:
                continue
            silent = gateway.hop in self._silent
            for _ in range(LOOKUPS if silent else 0):
                if answer is not None and answer.gateway == gateway.hop:
                    answer = survey.ask(ways.number(one.packed))
            if answer is None:
                continue
            if answer.gateway is None or not _fits_a_ring(survey, answer):
                continue
            others = () if silent else survey.answers
            if any(self.are_next_hop(survey, other, version) for other in (answer, *others)):
                continue  # as before, or others still go there
            if answer.index != self.link.index:
                self.link = survey.links[answer.index]
                self.by_version = {}
            mac, _ = neighbours.confirm(self._kernel, answer.index, answer.gateway)
            self.by_version[version] = Gateway(answer.gateway, answer.mtu, mac)
            self._presence.pop(version, None)
            if gateway.hop != answer.gateway:  # else nothing but the size of packets
                why = f"{gateway.hop} does not answer" if silent else "the routes have changed"
                self._say(f"packets leave by {self.link.name} to {answer.gateway} now: {why}")

    def miss(self, now: float) -> None:
        """Note as lost the gateways that have answered before, and have not for too long. now: monotonic
        seconds.
        """
        for version, presence in self._presence.items():
            if not presence.overdue(now):
                continue
            gateway = self.by_version.get(version)
            if gateway is not None and gateway.mac is not None and self.link is not None:
                self.losses["gateway"] = (
                    f"the gateway {gateway.hop} does not answer {_means(gateway)} on {self.link.name} any "
                    "more: what is sent by way of it may be lost; is it down? Scan the targets without an "
                    "answer again"
                )

    def _note_mac(self, version: int, mac: bytes | None) -> bool:
        gateway = self.by_version[version]
        if mac is None or mac == gateway.mac:
            return False
        self.by_version[version] = replace(gateway, mac=mac)
        if gateway.mac is not None:
            self._say(f"the gateway {gateway.hop} has another MAC now: {mac.hex(':')}")
        return True


def _fits_a_ring(survey: Survey, answer: Route) -> bool:
    """Whether such packets could leave by a transmit ring: one next hop, on an Ethernet link that is up."""
    link = survey.links[answer.index]
    return answer.gateway is not None and answer.single and link.ethernet and link.up


def _means(gateway: Gateway) -> str:
    return "ARP" if gateway.hop.version == 4 else "neighbour discovery"
