"""Everything that is asked of the speed, in one run: `make bench` (some ten minutes; `--quick`: about three).

    sudo .venv/bin/python -m benchmarks [--quick] [--zmap zmap /opt/zmap4/zmap]

Each part says first what is asked for. The parts are programs of their own, for whoever wants only one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from benchmarks import (
    analysis,
    beside,
    calm,
    classify,
    endtoend,
    export,
    linear,
    memory,
    pace,
    paced,
    predicting,
    stages,
    start,
    steady,
    sweep,
    syns,
    text,
)


def _text(_: list[str]) -> None:
    text.readers()
    text.encoders()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer flows and rounds")
    parser.add_argument("--zmap", nargs="+", default=["zmap"], metavar="PATH", help="ZMaps to compare with")
    options = parser.parse_args(argv)
    quick, zmaps = options.quick, options.zmap
    flows, repeat = ("200000", "1") if quick else ("400000", "3")
    many = "200000" if quick else "1000000"
    parts: list[tuple[str, Callable[[list[str]], object], list[str]]] = [
        (
            "Cost per flow: at most 2.5 times the floor; no drops",
            endtoend.main,
            ["--flows", flows, "--repeat", repeat],
        ),
        (
            "The same where no two replies are alike",
            endtoend.main,
            ["--flows", flows, "--repeat", "1", "--vary"],
        ),
        (
            "Linear: many flows cost what few do, within 15 %; more workers no more",
            linear.main,
            ["--many", many, "--repeat", "1" if quick else "5"],
        ),
        (
            "lzr predict: 1.6 times what whole ports find with 5 further scans' worth of probes",
            predicting.main,
            ["--batch", "3000000", "--scans", "2" if quick else "5"],
        ),
        (
            "Memory: at most 400 bytes a flow in flight, 700 MB with a million",
            memory.main,
            ["--flows", many],
        ),
        (
            "Steady: no growth over ten million flows",
            steady.main,
            ["--flows", "1000000" if quick else "10000000"],
        ),
        (
            "Little to do: a worker under 1 % of a core, 1,000 flows/s under 15 %, line to ACK under 10 ms",
            calm.main,
            [],
        ),
        ("Start: --help under 0.3 s, one target under 1 s", start.main, []),
        ("Pace: within 2 % over ten seconds, smooth", pace.main, ["--seconds", "4"] if quick else []),
        (
            "A line a write: the writer waits no longer than the start; line to wire 20 ms, 250 ms for 99 %",
            paced.main,
            ["--seconds", "3", "--prefix", "16"] if quick else [],
        ),
        (
            "Two scans compared: 5 s for 2 x 1 M records, planted changes found; a report: 15 s, 6 MB",
            analysis.main,
            ["--records", "200000"] if quick else [],
        ),
        ("Fingerprints: at most 3 µs a reply", classify.main, []),
        ("Text: under 1.5 µs a line and a record", _text, []),
        ("Each stage alone", stages.main, []),
        (
            "SYNs of a sweep: at most 1.5 times the floor of sending them, 5 million pairs a second",
            syns.main,
            ["--repeat", "1"] if quick else [],
        ),
        (
            "A sweep: a silent pair at most 1.5 times that floor, 200 MB for 2^32 pairs",
            sweep.main,
            ["--repeat", "1"] if quick else [],
        ),
        (
            "A sweep beside zmap | lzr and masscan: no fewer hosts, less CPU, no more packets",
            beside.main,
            [*(["--repeat", "1", "--pairs", "262144"] if quick else []), "--zmap", *zmaps],
        ),
        (
            "After the scan: a million records to Parquet within 10 s and 400 MB, enriched within 10 s",
            export.main,
            ["--records", many],
        ),
    ]
    for title, run, words in parts:
        print(f"\n== {title}\n", flush=True)
        run(words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
