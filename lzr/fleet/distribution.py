"""Which box gets which shards: as many as its weight, with as few moved as possible.

The same arguments give the same result, on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence


def shares(count: int, weights: Sequence[float]) -> list[int]:
    """How many of `count` each weight gets: whole numbers whose sum is `count`, nearest to its exact part
    (the largest remainders round up), and none 0 where `count` is enough for that.
    """
    total = sum(weights)
    exact = [count * weight / total for weight in weights]
    whole = [int(one) for one in exact]
    left = count - sum(whole)
    for at in sorted(range(len(weights)), key=lambda at: (whole[at] - exact[at], at))[:left]:
        whole[at] += 1
    while 0 in whole and max(whole) > 1:
        whole[whole.index(max(whole))] -= 1
        whole[whole.index(0)] += 1
    return whole


def distribute(shards: int, boxes: Sequence[tuple[str, float]]) -> tuple[str, ...]:
    """By shard, the name of the box that gets it. boxes: (name, weight)."""
    owner: list[str] = []
    for (name, _), count in zip(boxes, shares(shards, [weight for _, weight in boxes]), strict=True):
        owner += [name] * count
    return tuple(owner)


def moved(owner: Sequence[str], given_up: Sequence[int], to: Sequence[tuple[str, float]]) -> tuple[str, ...]:
    """`owner` with the shards `given_up` shared out to other boxes by their weights; all others stay.

    to: (name, weight), in the order in which they get shards.
    """
    now = list(owner)
    lost = sorted(given_up)
    for shard, name in zip(lost, distribute(len(lost), to), strict=True):
        now[shard] = name
    return tuple(now)


def ranges(shards: Sequence[int]) -> str:
    """Shards as ``--shard`` takes them: ``3,7-9``."""
    parts: list[list[int]] = []
    for shard in sorted(set(shards)):
        if parts and shard == parts[-1][1] + 1:
            parts[-1][1] = shard
        else:
            parts.append([shard, shard])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)
