# ruff: noqa: E501
"""How far the chances of `lzr predict` can be believed, on made Internets of several kinds: what was promised beside what was kept.

    .venv/bin/python -m benchmarks.calibration [--seeds 1,2,3] [--kinds usual,alike] [--ways swept,list] [--bits 19] [--each]

Kinds: `usual`, `alike` (all networks equally dense), `each24` (every /24 is a pool of its own), `boxes` (in a tenth of the
pools nearly every address is a middlebox that answers on nearly every port), `plain` (nothing is known but fingerprints).
Ways: `list` (4,000 sampled addresses, one list), `swept` (80 and 443 have been asked everywhere, too), `loop` (batches), `follow`
(batches, with --follow-hosts). A tenth of chances counts with at least 200 lines in at least 20 networks (/24). Nothing is sent.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.madeinternet import FIRST, Internet, made
from lzr.prediction import boxes as predictboxes
from lzr.prediction import predict
from lzr.prediction.asked import BLIND, PORTS, Addresses, Asked
from lzr.prediction.boxes import NOBODY, Middleboxes
from lzr.prediction.counts import Services, reason_of

KINDS = ("usual", "alike", "each24", "boxes", "plain")
WAYS = ("list", "swept", "loop", "follow")
FEATURES = ("fingerprint", "product", "line", "line", "line", "certificate", "stack")
SAMPLED = 4_000
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass
class Made:
    """box: (size,) bool, addresses that answer on nearly all ports; said: with which fingerprint, -1 for none."""

    internet: Internet
    box: Bool
    said: int

    def answers(self, number: I64, port: I64) -> Bool:
        mixed = (number.astype(np.uint64) << np.uint64(16) | port.astype(np.uint64)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        nearly = (mixed >> np.uint64(40)) < np.uint64(int(0.97 * (1 << 24)))
        return (self.internet.find(number, port) >= 0) | self.box[number - FIRST] & nearly


def make(kind: str, seed: int, bits: int) -> Made:
    options = {"alike": {"spread": 0.0, "empty": 0.0}, "each24": {"pool_bits": 8}}.get(kind, {})
    internet = made(bits, seed=seed, **options)  # type: ignore[arg-type]
    if kind == "plain":
        internet.codes[:, 1:] = -1
    box = np.zeros(internet.size, np.bool_)
    if kind == "boxes":
        rng = np.random.default_rng(1000 + seed)
        wide = max(8, min(12, bits - 10))
        pools = rng.random(internet.size >> wide) < 0.1
        share = np.where(pools, rng.choice([0.98, 0.9, 0.5], len(pools)), 0.001)
        box = rng.random(internet.size) < np.repeat(share, 1 << wide)
    return Made(internet, box, -1 if seed % 2 else internet.names[0].index("http"))


@dataclass
class Known:
    """What the seed and the lists have shown: pairs that answered, as number << 16 | port, and the round of each."""

    made: Made
    asked: Asked
    pairs: I64
    when: I64
    odd: I64
    boxes: Middleboxes = NOBODY

    def services(self) -> Services:
        number, port = self.pairs >> 16, self.pairs & 0xFFFF
        row = self.made.internet.find(number, port)
        codes = np.where((row >= 0)[:, None], self.made.internet.codes[np.maximum(row, 0)], -1).astype(
            np.int32
        )
        codes[row < 0, 0] = self.made.said
        every = Services(number, port, codes, FEATURES)
        plain, _ = predict.plain_hosts(every, self.odd)
        self.odd = np.union1d(self.odd, np.setdiff1d(number, plain.number))
        if not len(self.boxes.number) and len(self.odd):
            # Of those that the seed found, some ports are looked at: all 65,536 of each would be.
            ports = np.arange(1, PORTS)
            every_port = np.tile(ports, len(self.odd))
            of = np.repeat(self.odd, len(ports))
            hit = self.made.answers(of, every_port)
            codes = np.full((int(hit.sum()), len(FEATURES)), -1, np.int32)
            codes[:, 0] = self.made.said
            self.boxes = predictboxes.seen(
                Services(of[hit], every_port[hit], codes, FEATURES), self.odd, self.asked
            )
        self.boxes = self.boxes._replace(number=self.odd)
        keep = np.isin(self.pairs >> 16, plain.number)
        self.pairs, self.when = self.pairs[keep], self.when[keep]
        return predict.with_networks(plain)

    def add(self, number: I64, port: I64, round_: int) -> None:
        mine = ~np.isin(number, self.odd)
        pairs = np.concatenate([self.pairs, number[mine] << 16 | port[mine]])
        self.pairs, first = np.unique(pairs, return_index=True)
        self.when = np.concatenate([self.when, np.full(int(mine.sum()), round_)])[first]


def seeded(one: Made, *, swept: bool) -> Known:
    internet = one.internet
    sample = internet.sample(SAMPLED / internet.size, 7)
    asked = Asked()
    asked.add_product(Addresses.of(sample), np.ones(PORTS, bool))
    rows = internet.of_hosts(sample)
    known = Known(one, asked, np.empty(0, np.int64), np.empty(0, np.int64), sample[one.box[sample - FIRST]])
    known.add(internet.address[rows], internet.port[rows].astype(np.int64), 0)
    if swept:
        every = np.arange(FIRST, FIRST + internet.size)
        asked.add_product(Addresses(every[:1], every[-1:]), np.isin(np.arange(PORTS), (80, 443)))
        for port in (80, 443):
            answered = every[one.answers(every, np.full(len(every), port))]
            known.add(answered, np.full(len(answered), port), 0)
    return known


def lines_of(
    one: Made, way: str, batch: int, rounds: int
) -> Iterator[tuple[NDArray[np.float64], Bool, Bool, I64]]:
    """(chance, whether it is of a host that answered, whether the pair answers, its /24) of each list."""
    known = seeded(one, swept=way == "swept")
    space = Addresses(np.array([FIRST]), np.array([FIRST + one.internet.size - 1]))
    bound = feedback = None
    for round_ in range(1, rounds + 1 if way in ("loop", "follow") else 2):
        services = known.services()
        model = predict.learn(
            services,
            known.asked,
            space,
            strangers=way != "loop",
            bound=bound,
            feedback=feedback,
            boxes=known.boxes,
        )
        if model.held_out > 1000:
            bound = model.conditions.bound
        use = (
            predict.deciding(services, known.when, follow=way == "follow")
            if way in ("loop", "follow")
            else None
        )
        listed = predict.candidates(model, batch, followed=use, never=Addresses.of(known.odd))
        if not len(listed):
            return
        hit = one.answers(listed.number, listed.port)
        own = listed.row >= 0
        yield listed.chance, own, hit, listed.number >> 8
        why = np.full(len(listed), BLIND)
        why[own] = reason_of(model.conditions.kind[listed.row[own]], model.conditions.given[listed.row[own]])
        known.asked.add_pairs(listed.number, listed.port, why, round_=round_)
        feedback = predict.Feedback(listed.score[own], hit[own], listed.score[~own], hit[~own])
        known.add(listed.number[hit], listed.port[hit], round_)


@dataclass
class Table:
    """By tenth of chances: lines, sums of what was promised and kept, and the networks."""

    lines: NDArray[np.float64] = field(default_factory=lambda: np.zeros(10))
    promised: NDArray[np.float64] = field(default_factory=lambda: np.zeros(10))
    kept: NDArray[np.float64] = field(default_factory=lambda: np.zeros(10))
    networks: list[set[int]] = field(default_factory=lambda: [set() for _ in range(10)])

    def add(self, chance: NDArray[np.float64], hit: Bool, network: I64, salt: int) -> None:
        tenth = np.minimum((chance * 10).astype(int), 9)
        self.lines += np.bincount(tenth, minlength=10)
        self.promised += np.bincount(tenth, chance, 10)
        self.kept += np.bincount(tenth, hit, 10)
        for place in range(10):
            self.networks[place].update((np.unique(network[tenth == place]) + (salt << 32)).tolist())

    def said(self) -> str:
        """Mean error weighted by lines, the worst tenth, and all tenths."""
        count = (self.lines >= 200) & (np.array([len(some) for some in self.networks]) >= 20)
        if not count.any():
            return "too few lines"
        off = (self.kept - self.promised) / np.maximum(self.lines, 1)
        mean = float((np.abs(off) * self.lines)[count].sum() / self.lines[count].sum())
        worst = int(np.argmax(np.where(count, np.abs(off), -1)))
        tenths = " ".join(
            f".{place}:{off[place]:+.3f}/{self.lines[place]:.0f}/{len(self.networks[place])}"
            if count[place]
            else f".{place}:-"
            for place in range(10)
        )
        return f"mean {mean:.4f} worst {off[worst]:+.3f} (.{worst})  {tenths}"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.calibration")
    parser.add_argument("--seeds", default="101,102,103")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--bits", type=int, default=19)
    parser.add_argument("--batch", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--each", action="store_true", help="a line for each made Internet, too")
    options = parser.parse_args(argv)
    for kind in options.kinds.split(","):
        for way in options.ways.split(","):
            every = Table(), Table()
            found = 0
            for seed in map(int, options.seeds.split(",")):
                each = Table(), Table()
                for chance, own, hit, network in lines_of(
                    make(kind, seed, options.bits), way, options.batch, options.rounds
                ):
                    found += int(hit.sum())
                    for table in (each, every):
                        table[0].add(chance[~own], hit[~own], network[~own], seed)
                        table[1].add(chance[own], hit[own], network[own], seed)
                if options.each:
                    for name, table in zip(("strangers", "hosts"), each, strict=True):
                        print(f"{kind:7} {way:6} seed {seed} {name:9} {table.said()}", flush=True)
            for name, table in zip(("strangers", "hosts"), every, strict=True):
                print(f"{kind:7} {way:6} all      {name:9} {table.said()}  found {found:,}", flush=True)


if __name__ == "__main__":
    main()
