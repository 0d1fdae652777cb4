# ruff: noqa: E501
"""What `lzr predict` is worth on a made Internet: against whole ports in the seed's order, with a given seed.

    .venv/bin/python -m benchmarks.predicting [--bits 22] [--batch 1000000] [--scans 13] [--follow-hosts]
        [--seed 1] [--density 0.079] [--at-random 0.15] [--spread 1.3] [--empty 0.4] [--share 0.001]

Nothing is sent: the answers are looked up in the table of all services (`benchmarks.madeinternet`).
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from benchmarks.madeinternet import FIRST, Internet, made
from lzr.prediction import predict
from lzr.prediction.asked import BLIND, PORTS, Addresses, Asked
from lzr.prediction.counts import Services, reason_of

KINDS = ("fingerprint", "product", "line", "line", "line", "certificate", "stack")


def services_of(internet: Internet, rows: np.ndarray) -> Services:
    return predict.with_networks(
        Services(internet.address[rows], internet.port[rows].astype(np.int64), internet.codes[rows], KINDS)
    )


def in_port_order(internet: Internet, sample: np.ndarray, probes: float) -> float:
    """Share of all services that whole ports, in the seed's order, find with so many probes."""
    rows = internet.of_hosts(sample)
    ports, counts = np.unique(internet.port[rows], return_counts=True)
    order = ports[np.argsort(-counts, kind="stable")]
    every = np.bincount(internet.port, minlength=PORTS)[order]
    whole = int(probes // internet.size)
    part = probes / internet.size - whole
    return float((every[:whole].sum() + part * every[whole]) / len(internet.address))


def loop(
    internet: Internet, batch: int, probes: int, *, follow: bool, share: float = 0.001, say: bool = True
):
    """Yields (probes so far, found so far, share in port order) after each batch; then the calibration's table."""
    sample = internet.sample(share, 7)
    rows = internet.of_hosts(sample)
    asked = Asked()
    asked.add_product(Addresses.of(sample), np.ones(PORTS, bool))
    space = Addresses(np.array([FIRST]), np.array([FIRST + internet.size - 1]))
    known = rows
    when: np.ndarray = np.zeros(len(rows), np.int64)
    spent = found = round_ = 0
    bound = feedback = None
    promised, kept, tried = np.zeros((2, 10)), np.zeros((2, 10)), np.zeros((2, 10))
    while spent < probes:
        began = time.monotonic()
        services = services_of(internet, known)
        model = predict.learn(services, asked, space, strangers=follow, bound=bound, feedback=feedback)
        if model.held_out > 1000:
            bound = model.conditions.bound
        use = predict.deciding(services, when, follow=follow)
        listed = predict.candidates(model, min(batch, probes - spent), followed=use)
        if not len(listed):
            break
        at = internet.find(listed.number, listed.port)
        hit = at >= 0
        bin_ = np.minimum((listed.chance * 10).astype(int), 9)
        for kind in (0, 1):
            mine = (listed.row >= 0) == bool(kind)
            promised[kind] += np.bincount(bin_[mine], listed.chance[mine], 10)
            kept[kind] += np.bincount(bin_[mine], hit[mine], 10)
            tried[kind] += np.bincount(bin_[mine], minlength=10)
        own = listed.row >= 0
        why = np.full(len(listed), BLIND)
        why[own] = reason_of(model.conditions.kind[listed.row[own]], model.conditions.given[listed.row[own]])
        round_ += 1
        asked.add_pairs(listed.number, listed.port, why, round_=round_)
        feedback = predict.Feedback(listed.score[own], hit[own], listed.score[~own], hit[~own])
        known, first = np.unique(np.concatenate([known, at[hit]]), return_index=True)
        when = np.concatenate([when, np.full(int(hit.sum()), round_)])[first]
        spent += len(listed)
        found += int(hit.sum())
        if say:
            base = in_port_order(internet, sample, spent)
            got = found / len(internet.address)
            print(
                f"{spent / internet.size:6.2f} scans  {got:6.1%} against {base:6.1%}: {got / base:.2f}   expected "
                f"{listed.chance.sum():9,.0f} got {hit.sum():9,}  strangers {(~own).mean():4.0%} "
                f"z {model.conditions.bound} held {model.held_out:,} {time.monotonic() - began:.1f} s "
                f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB",
                flush=True,
            )
    return promised, kept, tried


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.predicting")
    parser.add_argument("--bits", type=int, default=22)
    parser.add_argument("--batch", type=int, default=1_000_000)
    parser.add_argument("--scans", type=float, default=13)
    parser.add_argument("--follow-hosts", action="store_true", help="as lzr predict --follow-hosts")
    parser.add_argument("--seed", type=int, default=1, help="of the made Internet")
    parser.add_argument("--density", type=float, default=0.079)
    parser.add_argument("--at-random", type=float, default=0.15)
    parser.add_argument("--spread", type=float, default=1.3)
    parser.add_argument("--empty", type=float, default=0.4)
    parser.add_argument("--share", type=float, default=0.001, help="of the addresses, that the seed asked")
    options = parser.parse_args(argv)
    internet = made(
        options.bits,
        options.density,
        options.at_random,
        options.seed,
        spread=options.spread,
        empty=options.empty,
    )
    promised, kept, tried = loop(
        internet,
        options.batch,
        int(options.scans * internet.size),
        follow=options.follow_hosts,
        share=options.share,
    )
    for kind, name in enumerate(("strangers", "hosts that answered", "all")):
        p, k, t = (part[kind] if kind < 2 else part.sum(0) for part in (promised, kept, tried))
        print(name)
        for place in range(10):
            if t[place]:
                print(
                    f"  {place / 10:.1f}: promised {p[place] / t[place]:.3f} kept {k[place] / t[place]:.3f} of {t[place]:,.0f}"
                )


if __name__ == "__main__":
    main()
