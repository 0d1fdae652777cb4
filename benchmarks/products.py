"""How many products are named, and how many wrong: Recog's examples, texts made of its patterns, a file.

    python -m benchmarks.products [--texts 3] [--seed 1] [--missed] [REPLIES.jsonl]

Each text stands in a whole reply, as `lzr identify` (and --enrich) gets it, and in the same reply without
enrichment. A name is right if the reply states it to the letter, or a word of it is in what the fingerprint
says. REPLIES.jsonl: rows with `label` and `data_b64`, as `make corpus` takes them; only counted, not judged.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lzr.fingerprint.classifier import Classifier
from lzr.fingerprint.enrichment import EnrichingClassifier
from lzr.fingerprint.recog.data import TABLES
from tests.recogexamples import examples, reply, table

_parser: Any = getattr(re, "_parser")  # noqa: B009  (no stub has it)
_TRIES = 6
_SOME = (1, 1, 2, 3, 5)
"""Repetitions beyond the least that a made text has."""


def texts(pattern: str, count: int, seed: int) -> Iterator[bytes]:
    """Different texts that a pattern matches, made by chance: letters and digits where many would do."""
    chance, compiled, found = random.Random(seed), re.compile(pattern.encode("latin-1")), set[bytes]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = _parser.parse(pattern)
    for _ in range(_TRIES * count):
        made = _made(tree, chance, {})
        if len(found) < count and made not in found and compiled.search(made):
            found.add(made)
            yield made


def _made(tree: Any, chance: random.Random, groups: dict[int, bytes]) -> bytes:
    out = b""
    for op, what in tree:
        kind = str(op)
        if kind == "LITERAL":
            out += bytes((what,))
        elif kind in ("ANY", "NOT_LITERAL"):
            out += bytes((chance.choice(b"abcdefghijklmnopqrst0123456789"),))
        elif kind == "IN":
            out += bytes((_one_of(what, chance),))
        elif kind == "BRANCH":
            out += _made(chance.choice(what[1]), chance, groups)
        elif kind == "SUBPATTERN":
            part = _made(what[3], chance, groups)
            if what[0]:
                groups[what[0]] = part
            out += part
        elif kind.endswith("REPEAT"):
            least, most, part = what
            for _ in range(chance.randint(least, min(most, least + chance.choice(_SOME)))):
                out += _made(part, chance, groups)
        elif kind == "ATOMIC_GROUP":
            out += _made(what, chance, groups)
        elif kind == "GROUPREF":
            out += groups.get(what, b"")
    return out


def _one_of(items: Any, chance: random.Random) -> int:
    allowed: set[int] = set()
    for op, what in items:
        kind = str(op)
        if kind == "LITERAL":
            allowed.add(what)
        elif kind == "RANGE":
            allowed.update(range(what[0], min(what[1], 126) + 1))
        elif kind == "CATEGORY":
            shorthand = {"DIGIT": rb"\d", "SPACE": rb"[ \t]", "WORD": rb"\w"}[str(what).rpartition("_")[2]]
            inside = {byte for byte in range(9, 127) if re.fullmatch(shorthand, bytes((byte,)))}
            allowed |= set(range(32, 127)) - inside if "NOT" in str(what) else inside
    if items and str(items[0][0]) == "NEGATE":
        allowed = set(range(33, 127)) - allowed
    plain = [byte for byte in allowed if chr(byte).isalnum()] or sorted(allowed) or [ord("x")]
    return chance.choice(sorted(plain))


def _cases(count: int, seed: int) -> Iterator[tuple[str, str, int, bytes]]:
    for example in examples():
        yield "examples", example.table, example.row, example.text
    for name in TABLES:
        for number, row in enumerate(table(name).rows):
            for text in texts(row.pattern, count, seed * 10_000 + number):
                yield "made", name, number, text


def _says(name: str, number: int, text: bytes) -> tuple[str, bool]:
    """All that a row says of a text, in small letters; and whether it says a product."""
    row = table(name).rows[number]
    found = re.search(row.pattern.encode("latin-1"), text)
    words = [
        value if isinstance(value, str) else (found[value] or b"").decode("latin-1") if found else ""
        for value in row.says.values()
    ]
    return " ".join(words).lower(), any(key.endswith(".product") for key in row.says)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="products", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--texts", type=int, default=3, help="texts made of each pattern")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--missed", action="store_true", help="print what is not named, or named otherwise")
    parser.add_argument("replies", nargs="?", type=Path)
    options = parser.parse_args(argv)
    rich, plain = EnrichingClassifier(), Classifier()
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for source, name, number, text in _cases(options.texts, options.seed):
        said, asks = _says(name, number, text)
        whole = reply(name, text) if asks else b""
        if not whole:
            continue
        found = rich.identify(whole)
        stated = found.product.encode("latin-1", "replace").lower() in whole.lower()
        right = stated or any(word in said for word in found.product.lower().split())
        counts[source, name].update(
            asked=1,
            named=bool(found.product),
            wrong=bool(found.product) and not right,
            plain=bool(plain.identify(whole).product),
        )
        if options.missed and not (found.product and right):
            print(f"{name} {number}: {found.label} {found.product!r} {text[:100]!r}")
    if options.replies:
        for line in options.replies.open():
            row = json.loads(line)
            data = base64.b64decode(row["data_b64"])
            counts["replies", row["label"]].update(
                asked=1, named=bool(rich.identify(data).product), plain=bool(plain.identify(data).product)
            )
    print(f"{'':10}{'':20}{'asked':>8}{'named':>8}{'wrong':>8}{'without --enrich':>18}")
    for source in ("examples", "made", "replies"):
        total: Counter[str] = Counter()
        for (kind, name), count in counts.items():
            if kind == source:
                total += count
                _show(source, name, count)
        if total:
            _show(source, "all", total)
    return 0


def _show(source: str, name: str, count: Counter[str]) -> None:
    asked = count["asked"]
    shares = (count["named"] / asked, count["wrong"] / asked, count["plain"] / asked)
    print(f"{source:10}{name:20}{asked:8}{shares[0]:8.3f}{shares[1]:8.3f}{shares[2]:18.3f}")


if __name__ == "__main__":
    raise SystemExit(main())
