# ruff: noqa: E501
"""How far the chances of `lzr predict` can be believed, on made Internets of several kinds: what was promised beside what was kept.

    .venv/bin/python -m benchmarks.calibration [--seeds 1,2,3] [--kinds usual,alike] [--ways swept,list] [--bits 19]
        [--sampled 4000] [--each]

Kinds: `usual`, `alike` (all networks equally dense), `each24` (every /24 is a pool of its own), `boxes` (in a tenth of the
pools nearly every address is a middlebox that answers on nearly every port), `plain` (nothing is known but fingerprints).
Ways: `list` (sampled addresses, one list), `swept` (80 and 443 have been asked everywhere, too), `loop` (batches), `follow`
(batches, with --follow-hosts). A tenth of chances counts with at least 200 lines in at least 20 networks (/24). What
a tenth is off has a standard error (±), of networks as a whole: those of one operator answer or stay silent together. Of one
Internet alone a tenth is off by more than of several. Nothing is sent.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.madeinternet import FIRST, Internet, made
from lzr.prediction import middleboxes, predict
from lzr.prediction.asked import BLIND, PORTS, Addresses, Asked
from lzr.prediction.counts import Services, reason_of
from lzr.prediction.middleboxes import NOBODY, Middleboxes

KINDS = ("usual", "alike", "each24", "boxes", "plain")
WAYS = ("list", "swept", "loop", "follow")
FEATURES = ("fingerprint", "product", "line", "line", "line", "certificate", "stack")
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass
class Made:
    """box: (size,) bool, addresses that answer on nearly all ports; said: with which fingerprint, -1 for none.
    trade_bits: free bits of a network with a trade of its own."""

    internet: Internet
    box: Bool
    said: int
    trade_bits: int

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
    said = -1 if seed % 2 else internet.names[0].index("http")
    return Made(internet, box, said, min(16, max(8, bits - 6)))


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
            self.boxes = middleboxes.seen(
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


def seeded(one: Made, sampled: int, *, swept: bool) -> Known:
    internet = one.internet
    sample = internet.sample(sampled / internet.size, 7)
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
    one: Made, way: str, batch: int, rounds: int, sampled: int
) -> Iterator[tuple[NDArray[np.float64], Bool, Bool, I64]]:
    """(chance, whether it is of a host that answered, whether the pair answers, its /24) of each list."""
    known = seeded(one, sampled, swept=way == "swept")
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
    """By tenth of chances and network: lines, sums of what was promised and of what was kept.

    rows: [(networks,) of a made Internet, (networks, 10) of each of the three]; small: the /24s of each tenth.
    """

    rows: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]] = field(
        default_factory=list
    )
    small: list[set[int]] = field(default_factory=lambda: [set() for _ in range(10)])

    def add(self, chance: NDArray[np.float64], hit: Bool, network: I64, bits: int, salt: int) -> None:
        """network: (n,) /24s. bits: how many /24s, as a power of 2, lie in a network with a trade of its own."""
        tenth = np.minimum((chance * 10).astype(int), 9)
        own, of = np.unique(network >> bits, return_inverse=True)
        cell, size = of * 10 + tenth, (len(own), 10)
        lines, promised, kept = (
            np.bincount(cell, weights, minlength=len(own) * 10).reshape(size)
            for weights in (None, chance, hit)
        )
        self.rows.append((lines * 1.0, promised * 1.0, kept * 1.0))
        for place in range(10):
            self.small[place].update((np.unique(network[tenth == place]) + (salt << 32)).tolist())

    def off(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], Bool]:
        """(10,) lines, error, its standard error (networks answer or not as a whole), and whether it counts."""
        lines, promised, kept = (np.concatenate(column) for column in zip(*self.rows, strict=True))
        every = lines.sum(0)
        off = (kept - promised).sum(0) / np.maximum(every, 1)
        spread = ((kept - promised - off * lines) ** 2).sum(0)
        many = np.maximum((lines > 0).sum(0), 2)
        counts = (every >= 200) & (np.array([len(some) for some in self.small]) >= 20)
        return every, off, np.sqrt(spread * many / (many - 1)) / np.maximum(every, 1), counts

    def said(self) -> str:
        """Mean error weighted by lines, the worst tenth, the worst beyond two standard errors, and all tenths."""
        if not self.rows:
            return "no lines"
        lines, off, error, counts = self.off()
        if not counts.any():
            return "too few lines"
        mean = float((np.abs(off) * lines)[counts].sum() / lines[counts].sum())
        worst = int(np.argmax(np.where(counts, np.abs(off), -1)))
        beyond = float(np.where(counts, np.maximum(np.abs(off) - 2 * error, 0), 0).max())
        tenths = " ".join(
            f".{place}:{off[place]:+.3f}±{error[place]:.3f}/{lines[place]:.0f}"
            if counts[place]
            else f".{place}:-"
            for place in range(10)
        )
        return f"mean {mean:.4f} worst {off[worst]:+.3f} (.{worst}) beyond 2 SE {beyond:.3f}  {tenths}"


def spread_of(tables: list[Table]) -> str:
    """Of Internets, one at a time: the root of the mean square of what single tenths are off."""
    every: list[float] = []
    for table in tables:
        if table.rows:
            _, off, _, counts = table.off()
            every += np.abs(off[counts]).tolist()
    if not every:
        return ""
    some = np.array(every)
    return f"single tenths of one Internet: {np.sqrt((some**2).mean()):.3f}, {(some > 0.05).mean():.0%} beyond .05"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.calibration")
    parser.add_argument("--seeds", default="101,102,103")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--bits", type=int, default=19)
    parser.add_argument(
        "--sampled", type=int, default=4_000, help="addresses that the seed asked on all ports"
    )
    parser.add_argument("--batch", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--each", action="store_true", help="a line for each made Internet, too")
    options = parser.parse_args(argv)
    for kind in options.kinds.split(","):
        for way in options.ways.split(","):
            every = Table(), Table()
            apart: tuple[list[Table], list[Table]] = [], []
            found = 0
            for seed in map(int, options.seeds.split(",")):
                each = Table(), Table()
                one = make(kind, seed, options.bits)
                for chance, own, hit, network in lines_of(
                    one, way, options.batch, options.rounds, options.sampled
                ):
                    found += int(hit.sum())
                    for table in (each, every):
                        for place, some in enumerate((~own, own)):
                            table[place].add(chance[some], hit[some], network[some], one.trade_bits - 8, seed)
                for place, name in enumerate(("strangers", "hosts")):
                    apart[place].append(each[place])
                    if options.each:
                        print(f"{kind:7} {way:6} seed {seed} {name:9} {each[place].said()}", flush=True)
            for name, together, single in zip(("strangers", "hosts"), every, apart, strict=True):
                said = f"{together.said()}  found {found:,}  {spread_of(single)}"
                print(
                    f"{kind:7} {way:6} all      {name:9} {said}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
