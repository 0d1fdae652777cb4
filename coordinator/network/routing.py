"""Where the packets of a scan leave: the way of each target, settled at the start and kept up to date.

Most targets of most scans lie behind one gateway, on an Ethernet link: these packets leave by the rings, with
the gateway's MAC. All others (neighbours on a link, another gateway or interface, tunnels, this host itself)
are left to the kernel, by raw IP sockets: it finds link, next hop and neighbour, and knows the policy rules.
What has no way at all is said to be unroutable, wherever in the input it stands.

Netlink tells of changes: the gateway's MAC, routes, addresses, links. `heed` makes them the workers'.
"""

from __future__ import annotations

import bisect
import ipaddress
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from coordinator.network import neighbours
from coordinator.network import netlink as nl
from coordinator.network.discover import NO_MAC, Network
from coordinator.network.neighbours import NetworkError, NoRouteError
from coordinator.network.netlink import Netlink
from coordinator.network.survey import LOOPBACK, Address, Answer, Hardware, Survey, address
from lzr import addresses
from lzr.ipc import messages
from lzr.packet import ways
from lzr.packet.ways import Kind, Way, Ways
from lzr.rows import TARGET, Opening, Rows

RESOLVE_SECONDS = 3.5
"""The kernel asks three times, a second apart, and says so when it has given up."""
_OTHER_SECONDS = 0.5
"""For the gateway of a family that no target is of yet."""
ANYWHERE: dict[int, Address] = {
    4: ipaddress.ip_address("198.41.0.4"),
    6: ipaddress.ip_address("2001:503:ba3e::2:30"),
}
"""An address that only a default route reaches, to ask the routing table about. Nothing is sent to it."""
_SETTLE, _APART = 0.05, 0.25
"""Seconds after a change in which others are awaited; between two surveys."""
_CONFIRM = 5.0
"""Seconds between two looks at whether the gateway's MAC is still confirmed."""
_MOST_SOURCES = 16
_MOST_SILENT = 1 << 16


@dataclass(frozen=True, slots=True)
class Gateway:
    """A next hop of the rings. mtu: of the path there."""

    hop: Address
    mtu: int
    mac: bytes | None


class Routing:
    """ways: the table; network: the rings' link with what is behind it. They change in `heed` and `admit`."""

    def __init__(
        self, kernel: Netlink, interface: str | None, sources: Iterable[str], say: Callable[[str], None]
    ) -> None:
        """interface, sources: what the user has chosen. say: takes a sentence for the user."""
        self._kernel = kernel
        self._news = Netlink(nl.GROUP_LINKS | nl.GROUP_NEIGHBOURS | nl.GROUP_ROUTES)
        self._interface = interface
        self._chosen = [ipaddress.ip_address(source) for source in sources]
        self._seen: list[Address] = []  # addresses of ours that ZMap's rows name
        self._say = say
        self._survey = Survey(kernel, (), None)
        self._link: Hardware | None = None
        self._gateways: dict[int, Gateway] = {}
        self._used: set[int] = set()  # ways that targets have taken
        self._sources: list[str] = []  # of those, beside the network's
        self._survey_at: float | None = None
        self._surveyed = 0.0
        self._confirm_at = 0.0
        self._dumb: set[int] = set()  # families whose gateway of the rings no longer answers
        self._losses: dict[str, str] = {}
        self.silent: set[Address] = set()
        """Hosts of own links, or gateways, that the kernel has asked for their MAC in vain."""
        self._fixed = False  # the user has said where all packets go
        self.ways: Ways = ways.everywhere()
        self.network: Network | None = None

    def close(self) -> None:
        self._news.close()
        self._kernel.close()

    def fileno(self) -> int:
        return self._news.fileno()

    # --- the start -----------------------------------------------------------------------------------------

    def choose_link(self, backlog: Iterable[Rows]) -> None:
        """Choose the link of the rings for the first targets, and ask its gateway for its MAC.

        Raises NetworkError; NoRouteError if none of these targets can be reached.
        """
        rows = list(backlog)
        self._note_sources(rows)
        self._take_survey()
        counts = np.zeros(len(self._survey.edges), np.int64)
        for each in rows:
            counts += np.bincount(ways.place(each, self._survey.edges), minlength=len(counts))
        reached = [
            at for at in np.flatnonzero(counts).tolist() if not self._survey.complete or self._answer(at)
        ]
        if not reached:
            raise NoRouteError(self._no_way(_first(rows)))
        self._choose(counts)
        self._ask_gateways(counts, reached)
        self._make_table()
        self._name_network(counts)

    def _no_way(self, target: Address | None) -> str:
        """Why none of the targets is reached, of which this is the first."""
        if target is None:
            return "there is no IPv4 route to the Internet: give --interface and --gateway-mac"
        why = self._survey.why(ways.number(target.packed))
        route = f"there is no IPv{target.version} route to {target}"
        if why == Kind.REFUSED:
            return f"a route of this host refuses {target} (unreachable, prohibit or blackhole): see ip route"
        if why == Kind.NOBODY:
            return f"{target} is no host's address (multicast, broadcast or reserved)"
        if why == Kind.NO_ADDRESS:
            return f"{route}, and this host has no address of that family"
        return f"{route}: give --interface and --gateway-mac"

    def fix(self, network: Network) -> None:
        """Everything goes where the user has said."""
        self._fixed = True
        self.network = network
        self._link = self._survey.links[network.index]
        for version, mac in ((4, network.gateway_mac_v4), (6, network.gateway_mac_v6)):
            if mac is not None:
                self._gateways[version] = Gateway(ANYWHERE[version], network.mtu, mac)
        self.ways = ways.everywhere(mtu=network.mtu)

    def _take_survey(self) -> None:
        oif = None
        if self._interface is not None:
            link = next((one for one in self._survey.links.values() if one.name == self._interface), None)
            if link is None:
                raise NetworkError(
                    f"there is no network interface {self._interface!r}: see ip link, or --interface"
                )
            if not link.up:
                raise NetworkError(f"interface {link.name} is down: ip link set {link.name} up")
            if not link.running and link.kind != LOOPBACK:
                raise NetworkError(
                    f"interface {link.name} has no carrier: is its cable in, or its other end up?"
                )
            oif = link.index
        self._survey = Survey(self._kernel, [*self._chosen, *self._seen][:_MOST_SOURCES], oif)

    def _answer(self, at: int) -> Answer | None:
        return self._survey.answers[at]

    def _by_ring(self, answer: Answer) -> bool:
        """Such packets could leave by the rings, if its gateway is the chosen one."""
        link = self._survey.links[answer.index]
        return answer.gateway is not None and answer.single and link.ethernet and link.up

    def _choose(self, counts: NDArray[np.int64]) -> None:
        """The gateways, and the link, that most targets are behind; the default route's if there are none."""
        weights: Counter[tuple[int, int, Address, int]] = Counter()
        survey = self._survey
        answers: list[tuple[int, Answer | None, float]] = [
            (address(edge).version, answer, float(count))
            for edge, answer, count in zip(survey.edges, survey.answers, counts, strict=False)
        ]
        answers += [(version, survey.ask(ways.number(one.packed)), 0.5) for version, one in ANYWHERE.items()]
        links: Counter[int] = Counter()
        for version, answer, count in answers:
            if answer is not None and count and answer.gateway is not None and self._by_ring(answer):
                weights[version, answer.index, answer.gateway, answer.mtu] += count  # type: ignore[assignment]
                links[answer.index] += count  # type: ignore[assignment]
        self._gateways.clear()
        self._link = survey.links[links.most_common(1)[0][0]] if links else None
        for (version, index, hop, mtu), _ in weights.most_common():
            if self._link is not None and index == self._link.index and version not in self._gateways:
                self._gateways[version] = Gateway(hop, mtu, None)

    def _ask_gateways(self, counts: NDArray[np.int64], reached: Sequence[int]) -> None:
        for version, gateway in self._gateways.items():
            assert self._link is not None
            link = self._link
            theirs = [at for at in reached if self._is_behind(self._answer(at), version)]
            try:
                seconds = RESOLVE_SECONDS if theirs else _OTHER_SECONDS
                mac = neighbours.resolve(self._kernel, link.index, gateway.hop, seconds)
            except PermissionError:
                raise NetworkError(
                    f"finding the MAC of {gateway.hop} needs root: run with sudo, or give --gateway-mac"
                ) from None
            if mac is None and theirs:
                means = "ARP" if gateway.hop.version == 4 else "neighbour discovery"
                sentence = f"the gateway {gateway.hop} does not answer {means} on {link.name}"
                if len(theirs) == len(reached):
                    raise NetworkError(f"{sentence}: give --gateway-mac")
                self._say(sentence)
            self._gateways[version] = replace(gateway, mac=mac)

    def _is_behind(self, answer: Answer | None, version: int) -> bool:
        """That gateway is its way, and it may be by the rings."""
        gateway, link = self._gateways.get(version), self._link
        return (
            answer is not None
            and gateway is not None
            and link is not None
            and (answer.index, answer.gateway, answer.mtu) == (link.index, gateway.hop, gateway.mtu)
            and self._by_ring(answer)
        )

    def _make_table(self) -> None:
        survey = self._survey
        mtu = min((gateway.mtu for gateway in self._gateways.values()), default=1500)
        ring = Way(Kind.RING, mtu=mtu)
        if not survey.complete:
            self.ways = ways.everywhere(Kind.KERNEL)
            return

        def way(first: int, last: int) -> Way:
            answer = survey.answers[bisect.bisect_right(survey.edges, first) - 1]
            if answer is None:
                return Way(survey.why(first + (last - first) // 2))
            source = (0, 0)
            if answer.source is not None and not any(
                one.version == answer.source.version for one in (*self._chosen, *self._seen)
            ):
                source = addresses.parse(str(answer.source))
            version = address(first).version
            gateway = self._gateways.get(version)
            ringed = gateway is not None and gateway.mac is not None and self._is_behind(answer, version)
            return Way(Kind.RING if ringed else Kind.KERNEL, source, max(answer.mtu, ways.LEAST_MTU))

        self.ways = ways.make(survey.edges, way, ring)

    def _name_network(self, counts: NDArray[np.int64]) -> None:
        """What is said and recorded of the network: the rings' link, or the one that most targets take."""
        survey = self._survey
        order = sorted(range(len(survey.answers)), key=lambda at: -int(counts[at]))
        hit = [survey.answers[at] for at in order if counts[at] and survey.answers[at] is not None]
        defaults = [survey.ask(ways.number(one.packed)) for one in ANYWHERE.values()]
        answers = [answer for answer in (*hit, *defaults) if answer is not None]
        link = self._link or (survey.links[answers[0].index] if answers else survey.links[1])
        found: dict[int, tuple[str, ...]] = {}
        for version in (4, 6):
            given = [one for one in self._chosen or self._seen if one.version == version]
            if not given and not self._chosen:
                best = [
                    one.source for one in answers if one.source is not None and one.source.version == version
                ]
                given = [one for one in best if not one.is_loopback or not _other(best)][:1]
            found[version] = tuple(map(str, given))
        macs = {version: gateway.mac for version, gateway in self._gateways.items()}
        hops = {version: str(gateway.hop) for version, gateway in self._gateways.items()}
        self.network = Network(
            interface=link.name,
            index=link.index,
            mtu=link.mtu,
            loopback=link.kind == LOOPBACK,
            own_mac=link.mac if link.ethernet else NO_MAC,
            source_v4=found[4],
            source_v6=found[6],
            gateway_v4=hops.get(4),
            gateway_v6=hops.get(6),
            gateway_mac_v4=macs.get(4),
            gateway_mac_v6=macs.get(6),
        )

    # --- targets -------------------------------------------------------------------------------------------

    def admit(self, rows: Rows) -> tuple[NDArray[np.uint8], list[str], bool]:
        """The `Kind` of each of TARGET rows' way, (n,); those that we open get the source address of theirs.

        With it addresses of ours that are used for the first time, and whether the table has changed.
        """
        if self._fixed:
            return np.full(len(rows), Kind.RING, np.uint8), [], False
        changed = self._note_sources([rows])
        if changed:
            self._take_survey()
            self._make_table()
        codes = self.ways.of(rows)
        ways.sources(rows, codes, self.ways)
        fresh = [code for code in np.flatnonzero(np.bincount(codes)).tolist() if code not in self._used]
        found = [self._source_of(code) for code in fresh]
        self._used.update(fresh)
        known = set(self._sources) | set(self.network.sources if self.network else ())
        new = [text for text in dict.fromkeys(found) if text and text not in known]
        self._sources += new
        return self.ways.ways["kind"][codes], new, changed

    def _source_of(self, code: int) -> str:
        way = self.ways.ways[code]
        if way["kind"] >= Kind.NONE or not way["source_lo"]:
            return ""
        return addresses.text(int(way["source_hi"]), int(way["source_lo"]))

    def _note_sources(self, backlog: Iterable[Rows]) -> bool:
        """Take up addresses of ours that ZMap's rows name; whether there are new ones."""
        before = len(self._seen)
        for rows in backlog:
            taken = rows[rows["syn"] != Opening.OURS]
            if not len(taken) or len(self._seen) >= _MOST_SOURCES:
                continue
            known = np.array(
                [
                    int(one) & (1 << 64) - 1 if one.version == 6 else ways.number(one.packed) & (1 << 64) - 1
                    for one in self._seen
                ],
                np.uint64,
            )
            strange = taken[~np.isin(taken["own_lo"], known)]
            for high, low in {(int(row["own_hi"]), int(row["own_lo"])) for row in strange[:1024]}:
                one = ipaddress.ip_address(addresses.text(high, low))
                if one not in self._seen and len(self._seen) < _MOST_SOURCES:
                    self._seen.append(one)
        return len(self._seen) > before

    @property
    def sources(self) -> list[str]:
        """All addresses of ours that packets leave from."""
        return [*(self.network.sources if self.network else ()), *self._sources]

    def describe(self, target: Address) -> str:
        """How packets to this address leave, for people; empty if they do not."""
        answer = self._survey.ask(ways.number(target.packed))
        if answer is None:
            return ""
        link = self._survey.links[answer.index].name
        if answer.local:
            return f"{target} is this host itself, by {link}"
        gateway = self._gateways.get(target.version)
        if gateway is not None and gateway.mac is not None and self._is_behind(answer, target.version):
            return f"to {target} by {link}; the gateway {gateway.hop} has {gateway.mac.hex(':')}"
        hop = f"by way of {answer.gateway}" if answer.gateway else "on the same link"
        return f"to {target} by {link}, {hop}; the kernel routes these packets one by one"

    @property
    def possible_v4(self) -> list[str]:
        """The IPv4 addresses that packets may leave from: of all ways that there are."""
        table = self.ways.ways
        halves = {(int(way["source_hi"]), int(way["source_lo"])) for way in table if way["kind"] < Kind.NONE}
        found = {addresses.text(*each) for each in halves if addresses.is_v4(*each)}
        return sorted(found | set(self.network.source_v4 if self.network else ()))

    @property
    def listening(self) -> list[int]:
        """Links on which answers may come; this host itself may be among the targets that are yet to come."""
        found = self._survey.listening()
        return found + [one.index for one in self._survey.links.values() if one.kind == LOOPBACK and one.up]

    # --- while the scan runs -------------------------------------------------------------------------------

    def order(self) -> messages.Routes:
        """The ways as a message for the workers."""
        link = self._link
        macs = {version: gateway.mac for version, gateway in self._gateways.items()}
        return messages.Routes(
            link=link.index if link is not None else 0,
            own_mac=link.mac if link is not None else NO_MAC,
            gateway_v4=macs.get(4) or NO_MAC,
            gateway_v6=macs.get(6) or NO_MAC,
            mtu=int(self.ways.ways["mtu"][0]),
            intervals=self.ways.intervals,
            ways=self.ways.ways,
        )

    def wait(self, now: float) -> float:
        """Seconds until `heed` has something to do by itself; for ever where the user has said the way."""
        if self._fixed:
            return math.inf
        due = min(self._confirm_at, self._survey_at if self._survey_at is not None else self._confirm_at)
        return max(0.0, due - now)

    def heed(self, now: float) -> bool:
        """Take up what has changed; whether the workers have to be told."""
        changed = False
        if self._fixed:
            self._news.arrived()
            return False
        for kind, message in self._news.arrived():
            if kind == nl.NEWNEIGH and message is not None:
                changed |= self._take_neighbour(message)
            elif kind != nl.DELNEIGH and self._survey_at is None:
                self._survey_at = max(now + _SETTLE, self._surveyed + _APART)
        if self._survey_at is not None and now >= self._survey_at:
            self._survey_at, self._surveyed = None, now
            changed |= self._survey_again()
        if now >= self._confirm_at:
            self._confirm_at = now + _CONFIRM
            changed |= self._confirm()
        return changed

    def take_losses(self) -> dict[str, str]:
        """Why results may be missing, by what it is about; each once."""
        losses, self._losses = self._losses, {}
        return losses

    def name_of(self, index: int) -> str:
        """A link's name."""
        return self._survey.links[index].name

    def _take_neighbour(self, message: nl.Message) -> bool:
        failed = bool(message.fields[2] & nl.NUD_FAILED)
        mac = neighbours.known_mac(message)
        for version, gateway in self._gateways.items():
            if self._link is not None and neighbours.is_about(message, self._link.index, gateway.hop):
                if failed:
                    self._confirm_at = 0.0
                    self._miss_gateway(version)
                elif mac is not None and version in self._dumb:
                    self._dumb.discard(version)
                    self._say(f"the gateway {gateway.hop} answers again")
                return self._note_mac(version, mac)
        self._note_silence(message.attributes.get(nl.NDA_DST, b""), failed=failed, known=mac is not None)
        return False

    def _miss_gateway(self, version: int) -> None:
        gateway = self._gateways[version]
        if gateway.mac is None or version in self._dumb or self._link is None:
            return
        self._dumb.add(version)
        means = "ARP" if gateway.hop.version == 4 else "neighbour discovery"
        self._losses["gateway"] = (
            f"the gateway {gateway.hop} does not answer {means} on {self._link.name} any more: what is sent "
            "by way of it may be lost; is it down? Scan the targets without an answer again"
        )

    def _note_silence(self, packed: bytes, *, failed: bool, known: bool) -> None:
        """Who did not answer ARP or neighbour discovery, of those that packets of ours may go to."""
        if len(packed) not in (4, 16):
            return
        hop = ipaddress.ip_address(packed)
        if known:
            self.silent.discard(hop)
        elif failed and len(self.silent) < _MOST_SILENT:
            row = np.zeros(1, TARGET)
            row["peer_hi"], row["peer_lo"] = addresses.parse(str(hop))
            if self.ways.kinds(row)[0] == Kind.KERNEL:
                self.silent.add(hop)

    def _note_mac(self, version: int, mac: bytes | None) -> bool:
        gateway = self._gateways[version]
        if mac is None or mac == gateway.mac:
            return False
        self._gateways[version] = replace(gateway, mac=mac)
        if gateway.mac is None:
            self._make_table()
        else:
            self._say(f"the gateway {gateway.hop} has another MAC now: {mac.hex(':')}")
        return True

    def _confirm(self) -> bool:
        changed = False
        for version, gateway in list(self._gateways.items()):
            if self._link is not None:
                try:
                    mac = neighbours.confirm(self._kernel, self._link.index, gateway.hop)
                except OSError:
                    continue  # the link is down, or the table full: the next time
                changed |= self._note_mac(version, mac)
        return changed

    def _survey_again(self) -> bool:
        """Routes, addresses or links have changed: another table, if it is another."""
        before, old = self.order(), (self._link, dict(self._gateways))
        survey = self._survey
        try:
            self._take_survey()
            if self._link is not None:
                self._link = self._survey.links.get(self._link.index, self._link)
            self._follow_default()
            self._make_table()
        except (OSError, NetworkError):
            self._survey = survey  # in the midst of a change: the next news will come
            self._link, self._gateways = old
            return False
        after = self.order()
        if _same(before, after):
            return False
        self._used.clear()
        return True

    def _follow_default(self) -> None:
        """The rings' gateway is no longer the way of the default route: take the one that is."""
        for version, one in ANYWHERE.items():
            gateway, answer = self._gateways.get(version), self._survey.ask(ways.number(one.packed))
            if gateway is None or answer is None or self._is_behind(answer, version) or self._link is None:
                continue
            if answer.gateway is None or not self._by_ring(answer):
                continue
            if any(self._is_behind(other, version) for other in self._survey.answers):
                continue  # others still go there
            if answer.index != self._link.index:
                self._link = self._survey.links[answer.index]
                self._gateways = {}
            mac = neighbours.confirm(self._kernel, answer.index, answer.gateway)
            self._gateways[version] = Gateway(answer.gateway, answer.mtu, mac)
            self._say(f"packets leave by {self._link.name} to {answer.gateway} now: the routes have changed")


def _same(one: messages.Routes, other: messages.Routes) -> bool:
    plain = ("link", "own_mac", "gateway_v4", "gateway_v6", "mtu")
    return all(getattr(one, name) == getattr(other, name) for name in plain) and all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in ("intervals", "ways")
    )


def _first(backlog: Sequence[Rows]) -> Address | None:
    for rows in backlog:
        if len(rows):
            return address(int(rows["peer_hi"][0]) << 64 | int(rows["peer_lo"][0]))
    return None


def _other(sources: Sequence[Address]) -> bool:
    return any(not one.is_loopback for one in sources)
