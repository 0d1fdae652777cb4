"""``lzr plan``: the order of handshakes for each port, learned from a scan that tried all of them.

It writes the file that ``lzr -handshakes-by-port FILE`` takes. Its quality is measured on services that it
was not learned from: each half of the hosts is judged by the orders learned from the other half.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import sys
from dataclasses import dataclass

import numpy as np

from coordinator.analysis import askedhosts, learning, reading
from coordinator.commandline import progressbar, running, wholefile
from lzr import safetext
from lzr.analysis import asked as scanned
from lzr.analysis import order, plantext
from lzr.analysis.metadata import section
from lzr.analysis.plantext import PlanFigures, Point
from lzr.errors import UsageError, printable, two_dashes
from lzr.flow.handshakeorders import MOST
from lzr.options import handshakes as choice
from lzr.options.kinds.kind import real_number
from lzr.protocols import BY_NAME

NAME = "plan"
_FLAGS = (
    *("output", "overwrite", "handshakes", "metadata-file", "coverage", "max-packets", "network", "json"),
    *("least", "retransmit-number", "quiet", "help"),
)
_PRESETS = ("auto", "iana", "ephemeral")
COVERAGE = 0.995


@dataclass(frozen=True)
class PlannedScan:
    """What the metadata say of the scan, and what was said on the command line."""

    handshakes: tuple[str, ...] = ()
    retransmits: int = 1


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0, 2 for a mistake, 3 for what could not be read."""
    return running.ended(NAME, lambda: _run(argv))


def _run(argv: list[str]) -> int:
    asked = _parser().parse_args(two_dashes(argv, _FLAGS))
    if asked.file is None and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("name a file of results, as in: lzr plan scan.json -o order.toml")
    asked.file = "-" if asked.file is None else asked.file
    about = _about(asked)
    if asked.output == "-":
        status, text, report = _learn(asked, about)
        sys.stdout.write(safetext.lines(text))
        sys.stdout.flush()
        if not asked.quiet:
            sys.stderr.write(safetext.lines(report))
        return status
    with wholefile.output(asked.output, overwrite=asked.overwrite, inputs=_inputs(asked)) as out:
        status, text, report = _learn(asked, about)
        wholefile.write_whole(out.descriptor, text.encode())
    if not asked.quiet:
        sys.stdout.write(safetext.lines(report))
    return status


def _learn(asked: argparse.Namespace, about: PlannedScan) -> tuple[int, str, str]:
    """The exit status, the order, and what is said of it. Raises UsageError."""
    connection = reading.connect()
    with progressbar.Bar("reading") as bar:
        if asked.file != "-":
            bar.total = _size(asked.file)
        status = running.tell(NAME, learning.load(connection, asked.file, bar))
    learnt = learning.services(connection, about.handshakes, asked.network)
    connection.close()
    costs = order.Costs.of(about.retransmits)
    learned, figures = _plan(learnt, costs, asked)
    text, shown = _write_up(learned, learnt, figures)
    report = json.dumps(plantext.as_dict(shown), indent=2) + "\n" if asked.json else plantext.table(shown)
    return status, text, report


def _plan(
    learnt: learning.Learnt, costs: order.Costs, asked: argparse.Namespace
) -> tuple[order.Learned, PlanFigures]:
    services, inside = learnt.services, learnt.inside
    here = services if inside is None else services.take(inside)
    learned = order.learn(services, costs, inside=inside, least=asked.least)
    half = order.halves(learnt.hosts)
    judged = order.held_out(services, half, costs, inside=inside, least=asked.least)
    price = judged.price_of(asked.coverage * here.identified)
    reached = judged.at(price)[0] / max(here.identified, 1)
    if asked.max_packets is None and not asked.quiet and reached < asked.coverage - 0.01:
        running.say(
            NAME,
            f"no order identifies {asked.coverage:.1%} on hosts that were not learned from, this one "
            f"{reached:.1%}: {len(here):,} services are few, a larger scan teaches more",
        )
    if asked.max_packets is not None:
        whole = order.curve(learned, here, costs)
        price = max(price, whole.price_within(asked.max_packets))
        if whole.at(price)[1] > asked.max_packets:
            raise UsageError(
                f"--max-packets {asked.max_packets:g}: one handshake with each of these services takes "
                f"{whole.at(np.inf)[1]:,.0f} packets"
            )
    names = learnt.handshakes
    others = [("all handshakes, until data comes", tuple(range(len(names))))]
    for preset in _PRESETS:
        members = choice.preset(preset)
        if set(members) <= set(names):
            others.append((preset, tuple(names.index(member) for member in members)))
    figures = PlanFigures(
        services=len(here),
        ports=len(np.unique(here.ports)),
        left_out=learnt.left_out,
        identified=here.identified,
        packets=here.packets(costs),
        handshakes=names,
        held_out=Point("this plan", *judged.at(price)),
        others=tuple(_other(name, one, here, costs) for name, one in others),
        curve=plantext.points(judged.identified.tolist(), judged.packets.tolist(), here.identified),
        orders=(),
    )
    return learned.cut(price), figures


def _other(name: str, one: tuple[int, ...], services: order.ServiceOutcomes, costs: order.Costs) -> Point:
    gains, packets = order.run(order.single(one), services, costs)
    return Point(name, float(gains.sum()), float(packets.sum()))


def _write_up(
    learned: order.Learned, learnt: learning.Learnt, figures: PlanFigures
) -> tuple[str, PlanFigures]:
    """The file, and what is said of it."""
    here = learnt.services if learnt.inside is None else learnt.services.take(learnt.inside)
    orders, of_port = order.merged(learned, here, MOST)
    counts = np.bincount(of_port[here.ports], minlength=len(orders)).tolist()
    named = [tuple(learnt.handshakes[at] for at in one) for one in orders]
    shown = [
        (plantext.ranges(of_port == at) if at else "all other ports", named[at], counts[at])
        for at in sorted(range(len(orders)), key=lambda at: -counts[at])
    ]
    figures = PlanFigures(**{**vars(figures), "orders": tuple(shown)})
    return plantext.toml(named, of_port, counts, figures), figures


def _about(asked: argparse.Namespace) -> PlannedScan:
    """Raises UsageError."""
    names: tuple[str, ...] = ()
    retransmits = 1
    if asked.metadata_file is not None:
        names, retransmits = _metadata(asked.metadata_file)
    if asked.handshakes is not None:
        names = choice.handshakes([name.strip() for name in asked.handshakes.split(",")]).names
    if asked.retransmit_number is not None:
        retransmits = asked.retransmit_number
    return PlannedScan(names, retransmits)


def _metadata(path: str) -> tuple[tuple[str, ...], int]:
    """Handshakes and --retransmit-number of the scan that a file tells of. Raises UsageError."""
    where, found = f"--metadata-file {printable(path)}", askedhosts.read(path)
    names, options = scanned.names(found), section(found, "options")
    if not names or not BY_NAME.keys() >= set(names):
        raise UsageError(f"{where}: does not say which handshakes the scan did")
    if options.get("force_all_handshakes") is not True:
        raise UsageError(
            f"{where}: the scan was made without -forceAllHandshakes, so there is no order to learn"
        )
    if section(found, "scan").get("orders"):
        running.say(NAME, "the scan had orders by port: what a port was not asked counts as unanswered there")
    retransmits = options.get("retransmit_number")
    return names, retransmits if isinstance(retransmits, int) and 0 <= retransmits <= 100 else 1


def _share(text: str) -> float:
    """A share: 0.995, 99.5% or 99.5."""
    try:
        value = real_number(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if text.endswith("%") or 1 < value <= 100:
        value /= 100
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{printable(text)} must be a share, as in 99.5% or 0.995")
    return value


def _count(text: str) -> float:
    units = {"k": 1e3, "m": 1e6, "g": 1e9}
    try:
        factor = units.get(text[-1:].lower(), 0.0)
        value = real_number(text[:-1]) * factor if factor else real_number(text)
    except ValueError:
        value = 0.0
    if not 1 <= value < 1e18:
        raise argparse.ArgumentTypeError(f"{printable(text)} must be a number of packets, as in 200000 or 5M")
    return value


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise argparse.ArgumentTypeError(f"{printable(text)} must be a whole number")
    return int(text)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _inputs(asked: argparse.Namespace) -> tuple[str, ...]:
    return (asked.file, *((asked.metadata_file,) if asked.metadata_file is not None else ()))


def _network(text: str) -> learning.Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{printable(text)} is no network, as in 192.0.2.0/24") from None


def _parser() -> running.Parser:
    parser = running.Parser(
        prog="lzr plan",
        description="Learn from a scan with -forceAllHandshakes which handshakes are worth their packets on "
        "which port, and write the file for lzr -handshakes-by-port.",
        allow_abbrev=False,
    )
    parser.add_argument("file", nargs="?", help="results of the scan (default: standard input)")
    parser.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="the order, as TOML (default: stdout)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    parser.add_argument(
        "--coverage",
        type=_share,
        default=COVERAGE,
        metavar="SHARE",
        help="identify this share of what all handshakes do, on hosts not learned from (default: 99.5%%)",
    )
    parser.add_argument(
        "--max-packets",
        type=_count,
        metavar="N",
        help="spend no more on as many services as the scan has, whatever the coverage",
    )
    parser.add_argument(
        "--network",
        type=_network,
        metavar="CIDR",
        help="learn for this network; where it has few services on a port, the whole scan's count",
    )
    parser.add_argument(
        "--handshakes",
        metavar="A,B,C",
        help="those of the scan, in their order, where its records do not name them",
    )
    parser.add_argument(
        "-m", "--metadata-file", metavar="FILE", help="the scan's metadata, which say its handshakes"
    )
    parser.add_argument(
        "--retransmit-number",
        type=_whole,
        metavar="N",
        help="-rn of the scans to come, which silence costs (default: that of the metadata, else 1)",
    )
    parser.add_argument(
        "--least",
        type=_whole,
        default=2,
        metavar="N",
        help="services on a port that give it an order of its own (default: 2)",
    )
    parser.add_argument("--json", action="store_true", help="what is said of the order as JSON")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing of the order")
    return parser
