"""What a label costs: microseconds per reply, over the corpus or, where it isn't, over our own examples.

    python -m benchmarks.classify [FILE]

Prints the average of `classify` (with and without the probe it answers) and of `identify`, the best of
nine rounds, of the replies of web and SSH servers by themselves, and the labels that cost most.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from benchmarks.corpus import DEFAULT, load
from lzr.fingerprint.classifier import Classifier
from lzr.fingerprint.enrichment import EnrichingClassifier
from lzr.protocols import BY_NAME, PROTOCOLS

ROUNDS = 9


def best(call: Callable[[bytes], object], replies: list[bytes]) -> float:
    """Microseconds of processor time per reply, of the fastest round."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for reply in replies:
            call(reply)
        times.append(time.process_time() - start)
    return min(times) / len(replies) * 1e6


def newest(classifier: Classifier, replies: list[bytes]) -> float:
    """The same where none was met before: responses have a date and a cookie of their own, SSH's lines are
    followed by a random packet."""
    sent = BY_NAME["http"]
    times = []
    for turn in range(ROUNDS):
        fresh = []
        for number, reply in enumerate(replies, turn * len(replies)):
            field = b"\r\nDate: %08d\r\nSet-Cookie: PHPSESSID=%016x\r\n" % (number, number * 0x9E3779B9)
            changed = reply.replace(b"\r\n", field, 1) if reply[:5] == b"HTTP/" else reply + bytes((turn, 20))
            fresh.append(changed)
        start = time.process_time()
        for reply in fresh:
            classifier.identify(reply, sent)
        times.append(time.process_time() - start)
    return min(times) / len(replies) * 1e6


def main(argv: list[str]) -> int:
    path = Path(argv[0] if argv else os.environ.get("LZR_CORPUS", DEFAULT))
    path = path / "replies.jsonl" if path.is_dir() else path
    if path.is_file():
        replies, what = [row["data"] for row in load(path)], str(path)
    else:
        replies, what = [example for p in PROTOCOLS for example in p.examples], "our own examples"
    classifier = Classifier(("http", "tls"))
    sent = BY_NAME["http"]
    print(f"{len(replies)} replies of {what}, {len(PROTOCOLS)} protocols")
    print(f"classify            {best(classifier.classify, replies):6.2f} µs")
    print(f"classify, probe too {best(lambda data: classifier.classify(data, sent), replies):6.2f} µs")
    print(f"identify            {best(classifier.identify, replies):6.2f} µs")
    common = [data for data in replies if classifier.classify(data) in ("http", "ssh")]
    print(
        f"  of web and SSH    {best(lambda data: classifier.identify(data, sent), common):6.2f} µs, probe too"
    )
    print(f"  each a new one    {newest(classifier, common):6.2f} µs")
    enriching = EnrichingClassifier(("http", "tls"))
    print(f"with --enrich       {best(enriching.identify, replies):6.2f} µs, texts seen before")
    by_label: dict[str, list[bytes]] = defaultdict(list)
    for reply in replies:
        by_label[classifier.classify(reply)].append(reply)
    costs = sorted(
        ((best(classifier.classify, some), label) for label, some in by_label.items()), reverse=True
    )
    print("most:", ", ".join(f"{label} {cost:.1f}" for cost, label in costs[:8]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
