"""From files to a list of what to ask next, and back: what `lzr predict` does, once or in rounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coordinator.analysis.source import Progress
from coordinator.prediction import seeding
from coordinator.prediction.seeding import Seed, covered_by
from lzr import addresses
from lzr.analysis.asked import Part
from lzr.prediction import predict
from lzr.prediction.asked import BLIND, Addresses, Asked
from lzr.prediction.conditions import Bound
from lzr.prediction.counts import reason_of
from lzr.prediction.heldout import doubt
from lzr.prediction.predict import SIX, Comparison, Feedback, Listed, Model
from lzr.rows import V4_MAPPED
from lzr.safetext import plain
from lzr.targets.screen import PRINTERS

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

_LINE = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d+) # ([0-9.e-]+) (-?\d+) ([0-9.e-]+)\n")


@dataclass
class Round:
    """A list that has been asked. number, port, reason: (n,) i64; chance and score: (n,) f8."""

    number: I64
    port: I64
    reason: I64
    chance: F64
    score: F64


@dataclass
class LearntModel:
    """A model, and the seed that it comes from."""

    seed: Seed
    model: Model


def learn(
    paths: Sequence[str],
    parts: Iterable[Part],
    ranges: Sequence[tuple[int, int]],
    *,
    rounds: Sequence[Round] = (),
    strangers: bool = True,
    bound: Bound | None = None,
    assume: bool | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> LearntModel:
    """ranges: of the space, 128 bits each, sorted. rounds: lists that have been asked since the seed.

    Raises UsageError.
    """
    asked = Asked()
    for number, round_ in enumerate(rounds, 1):
        asked.add_pairs(round_.number, round_.port, round_.reason, round_=number)
    seed = seeding.read(paths, asked=asked, parts=parts, progress=progress, say=say, assume=assume)
    space = covered_by(ranges, seed.six)
    if len(seed.services) > predict.MOST_COUNTED:
        seed.notes.append(
            f"which ports go together on a host is counted over about {predict.MOST_COUNTED:,} of "
            f"{len(seed.services):,} services, of hosts drawn at random"
        )
    feedback = _feedback(seed, rounds[-2:]) if rounds else None
    model = predict.learn(
        seed.services, asked, space, strangers=strangers, bound=bound, feedback=feedback, boxes=seed.boxes
    )
    return LearntModel(seed, model)


def _feedback(seed: Seed, rounds: Sequence[Round]) -> Feedback:
    """What came of the last lists."""
    services = seed.services
    pairs = services.number << 16 | services.port
    score, hit, strange, strange_hit = [], [], [], []
    for round_ in rounds:
        wanted = round_.number << 16 | round_.port
        answered = np.isin(wanted, pairs)
        own = round_.reason != BLIND
        score.append(round_.score[own])
        hit.append(answered[own])
        strange.append(round_.score[~own])
        strange_hit.append(answered[~own])
    return Feedback(*map(np.concatenate, (score, hit, strange, strange_hit)))


def listed(
    learnt: LearntModel, budget: int, *, printers: bool = False, followed: NDArray[np.bool_] | None = None
) -> Listed:
    """The best `budget` pairs."""
    never = Addresses.of(learnt.seed.boxes.number)
    spared = predict.NO_PORTS if printers else PRINTERS
    return predict.candidates(learnt.model, budget, followed=followed, never=never, spared=spared)


def round_of(learnt: LearntModel, found: Listed) -> Round:
    """A list as what will have been asked."""
    model = learnt.model
    own = found.row >= 0
    why, row = np.full(len(found), BLIND), found.row[own]
    why[own] = reason_of(model.conditions.kind[row], model.conditions.given[row])
    return Round(found.number, found.port, why, found.chance, found.score)


# --- lines -------------------------------------------------------------------------------------------------


def address_of(number: int, six: list[bytes]) -> str:
    """A host's address as text. six: the IPv6 addresses of the seed, by their place."""
    if number >= SIX:
        value = int.from_bytes(six[number - SIX], "big")
        return addresses.text(value >> 64, value & (1 << 64) - 1)
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _pair(number: int, port: int, six: list[bytes]) -> str:
    return f"[{address_of(number, six)}]:{port}" if number >= SIX else f"{address_of(number, six)}:{port}"


def lines(found: Listed, six: list[bytes]) -> Iterator[str]:
    """``address:port`` each, as ``lzr -sendSYNs`` reads them."""
    for number, port in zip(found.number.tolist(), found.port.tolist(), strict=True):
        yield f"{_pair(number, port, six)}\n"


def kept_lines(round_: Round, six: list[bytes]) -> Iterator[str]:
    """The same with what the next round is to know, as a comment: chance, reason, score."""
    columns = (round_.number, round_.port, round_.chance, round_.reason, round_.score)
    for number, port, chance, why, score in zip(*(column.tolist() for column in columns), strict=True):
        yield f"{_pair(number, port, six)} # {chance:.5g} {why} {score:.5g}\n"


def round_from(text: str, six: list[bytes]) -> Round:
    """The list of an earlier round. Raises ValueError."""
    places = {key: SIX + rank for rank, key in enumerate(six)}
    rows: list[tuple[float, ...]] = []
    for line in text.splitlines(keepends=True):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{line[:80]!r} is no line of a list of lzr predict")
        hi, lo = addresses.parse(match[1] or match[2])
        key = (hi << 64 | lo).to_bytes(16, "big")
        number = lo - V4_MAPPED if not hi and lo >> 32 == 0xFFFF else places.get(key, -1)
        rows.append((number, *map(float, match.groups()[2:])))
    table = np.array(rows, np.float64).reshape(-1, 5)
    table = table[table[:, 0] >= 0]
    whole = table.astype(np.int64)
    return Round(whole[:, 0], whole[:, 1], whole[:, 3], table[:, 2].copy(), table[:, 4].copy())


def reasons(learnt: LearntModel, found: Listed) -> Iterator[dict[str, object]]:
    """Of each pair, why it is on the list."""
    model, seed = learnt.model, learnt.seed
    conditions, networks = model.conditions, model.networks
    kinds = model.services.kinds
    values: dict[int, str] = {}
    columns = (found.number, found.port, found.chance, found.row, found.cell)
    for number, port, chance, row, cell in zip(*(column.tolist() for column in columns), strict=True):
        reason: dict[str, object] = {"saddr": address_of(number, seed.six), "sport": port, "chance": chance}
        if row >= 0:
            kind = int(conditions.kind[row])
            reason |= {
                "because": "host", "port": int(conditions.given[row]),
                "answered": int(conditions.hits[row]), "asked": int(conditions.asked[row]),
            }  # fmt: skip
            if kind >= 0:
                reason["feature"] = kinds[kind]
                if row not in values:
                    values[row] = _value(seed, kinds[kind], kind, int(conditions.code[row]), number)
                reason["value"] = values[row]
        else:
            place, column = divmod(cell, len(networks.ports))
            first = number >> networks.bits << networks.bits
            reason |= {
                "because": "network", "network": f"{address_of(first, [])}/{32 - networks.bits}",
                "answered": int(networks.hits[place, column]), "asked": int(networks.asked[place, column]),
            }  # fmt: skip
        yield reason


def _value(seed: Seed, name: str, kind: int, code: int, number: int) -> str:
    if kind < len(seed.names):
        return seed.names[kind](code)
    if number >= SIX:
        return "its network"
    bits = int(name.rpartition("/")[2])
    network = number >> (32 - bits) << (32 - bits)
    return f"{address_of(network, [])}/{bits}"


def explained(reason: dict[str, object], pair: str) -> str:
    """A line with its reason as a comment."""
    chance, answered, asked = reason["chance"], reason["answered"], reason["asked"]
    if reason["because"] == "network" and not asked:
        why = f"{reason['network']}: nobody was asked there, it counts as the networks around it do"
    elif reason["because"] == "network":
        why = f"{reason['network']}: {answered} of {asked} addresses answered there"
    else:
        with_ = f" with {reason['feature']} {plain(str(reason['value']), 60)}" if "feature" in reason else ""
        why = f"it answers on {reason['port']}{with_}: {answered} of {asked} such hosts do here"
    return f"{pair}  # {chance:.4f} {why}\n"


def explained_lines(learnt: LearntModel, found: Listed) -> Iterator[str]:
    """Each pair of the list with its reason."""
    pairs = lines(found, learnt.seed.six)
    for reason, pair in zip(reasons(learnt, found), pairs, strict=True):
        yield explained(reason, pair.rstrip("\n"))


def sentences(compared: Comparison) -> list[str]:
    """What the list is worth, and what whole ports would have been: plainly."""
    lines_ = [
        f"{compared.probes:,} probes are expected to find {_about(compared.expected)} services",
    ]
    if not compared.ports_and_seed:
        return [*lines_, "what whole ports would find cannot be said: nobody was asked at random"]
    better = "more than" if compared.expected > compared.whole else "no more than"
    lines_.append(
        f"that is {better} whole ports in the seed's order, which should find {_about(compared.whole)} "
        f"({compared.ports:.2f} ports of {compared.space:,} addresses)"
    )
    both = compared.expected + compared.seed_found
    if compared.whole_and_seed >= both:
        verdict = (
            "without a seed, scanning whole ports would have been the better way, had their order been known"
        )
    else:
        verdict = "so the seed was worth it"
    lines_.append(
        f"the seed cost {compared.seed_cost:,} probes and found {compared.seed_found:,} services; "
        f"for both together, whole ports should find {_about(compared.whole_and_seed)} "
        f"({compared.ports_and_seed:.2f} ports) against {_about(both)}: {verdict}"
    )
    return lines_


def doubts(learnt: LearntModel, found: Listed) -> list[str]:
    """How far the chances of hosts that answered can be believed, where few hosts tell it."""
    judges = learnt.model.judges
    if doubt(judges) <= _SURE or not (found.row >= 0).any():
        return []
    if not judges:
        return ["nobody in the seed tells how far the chances of hosts that have answered can be believed"]
    return [
        f"how far the chances of hosts that have answered can be believed, {judges:,} hosts of the seed "
        f"tell: a tenth of them may be off by some {doubt(judges):.2f}"
    ]


_SURE = 0.05


def _about(count: float) -> str:
    """A number of services that is only expected: of few, with a place behind the point."""
    return f"{count:,.0f}" if count >= 10 else f"{count:.1f}"
