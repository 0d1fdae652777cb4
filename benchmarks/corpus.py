"""How often is a label right? Recall and precision per label over a corpus of labelled replies.

    python -m benchmarks.corpus [-v] [FILE]

FILE (else $LZR_CORPUS, else ../shared/corpus/replies.jsonl) holds a JSON object a line: `label`, `also`
(other labels that count as right), `data_b64`, `source`, and `comparable`, false where another request
than ours drew the reply. It is no part of the project; where it isn't, there is nothing to measure.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from lzr.fingerprint.classifier import Classifier
from lzr.protocols import BY_NAME

DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "replies.jsonl"
GROUPS = {"pcap": "captured", "recog": "banner texts", "live": "live"}


def load(path: Path) -> list[dict[str, Any]]:
    """The rows, with `data` as bytes."""
    rows = []
    with path.open() as lines:
        for line in lines:
            row = json.loads(line)
            row["data"] = base64.b64decode(row["data_b64"])
            rows.append(row)
    return rows


def main(argv: list[str]) -> int:
    verbose = "-v" in argv
    named = [word for word in argv if not word.startswith("-")]
    path = Path(named[0] if named else os.environ.get("LZR_CORPUS", DEFAULT))
    path = path / "replies.jsonl" if path.is_dir() else path
    if not path.is_file():
        print(f"corpus: no labelled replies at {path}; set LZR_CORPUS to measure.")
        return 0
    classify = Classifier().classify
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    for row in load(path):
        got = classify(row["data"])
        right = got == row["label"] or got in row.get("also", ())
        group = GROUPS.get(row["source"].split(":")[0], row["source"].split(":")[0])
        foreign = row["label"] not in BY_NAME
        if foreign:
            right, group = got == "unknown", "not in the catalogue"
        elif not row["comparable"]:
            group += ", other requests'"
        groups[group]["right" if right else "wrong"] += 1
        labels[row["label"]]["of"] += 1
        labels[row["label"]]["found"] += right
        if got != "unknown":
            named_as = row["label"] if right else got
            labels[named_as]["given"] += 1
            labels[named_as]["true"] += right
        if verbose and not right:
            print(f"{row['label']:16} as {got:16} {row['source'][-40:]:40} {row['data'][:90]!r}")
    print(f"{'label':20}{'replies':>8}{'recall':>9}{'precision':>11}")
    for label in sorted(labels):
        count = labels[label]
        recall = f"{count['found'] / count['of']:.3f}" if count["of"] else "-"
        precision = f"{count['true'] / count['given']:.3f}" if count["given"] else "-"
        print(f"{label:20}{count['of']:8}{recall:>9}{precision:>11}")
    print()
    for group in sorted(groups):
        right_, all_ = groups[group]["right"], groups[group].total()
        print(f"{group:32}{right_:5} of {all_:5} right{right_ / all_:8.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
