"""Kinds of value that are an amount: numbers, shares, times, rates, workers, shards."""

from __future__ import annotations

from lzr.options.kinds.kind import ValueKind, real_number, show_number, show_range, whole_number

_SECONDS = {"ms": 1e-3, "us": 1e-6, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}  # the longer first
_THOUSANDS = {"k": 1e3, "m": 1e6, "g": 1e9}
_LEAST_RATE = 1e-6
"""A second. A judgement: with less, the time until the next one is beyond what clocks can hold."""
MOST_SHARDS = 65535


def number(
    low: int, high: int, *, metavar: str = "N", unit: str = "", none: str = "", thousands: bool = False
) -> ValueKind:
    """A whole number from `low` to `high`; the word `none`, where given, stands for no limit. thousands: K, M
    and G are understood.
    """

    def parse(text: str) -> int | None:
        if none and text == none:
            return None
        value = _count(text) if thousands else whole_number(text)
        if not low <= value <= high:
            what = f"must be from {low} to {high}"
            if high >= 10**9:
                what = f"must be at least {low}" if value < low else f"must be at most {high}"
            raise ValueError(f"{what} {unit}".rstrip())
        return value

    return ValueKind(metavar, parse, show=lambda value: none if value is None else str(value))


def number_or_share(low: int, high: int) -> ValueKind:
    """A whole number (K, M and G are understood), or a percentage above 0, which stays a text: ``0.5%``."""

    def parse(text: str) -> int | str:
        if not text.endswith("%"):
            value = _count(text)
            if value > high:
                raise ValueError(f"must be at most {high}, or a percentage")
            if value < low:
                raise ValueError(f"must be at least {low}, or a percentage")
            return value
        try:
            share = real_number(text[:-1])
        except ValueError:
            raise ValueError("must be a whole number, or a percentage as in 0.5%") from None
        if not 0 < share <= 100:
            raise ValueError("must be above 0% and at most 100%")
        return f"{show_number(share)}%"

    return ValueKind("N[%]", parse)


def _count(text: str) -> int:
    """A whole number, also as ``10K``, ``1.5M`` or ``1G``. Raises ValueError."""
    factor = _THOUSANDS.get(text[-1:].lower(), 0.0)
    try:
        if not factor:
            return whole_number(text)
        value = real_number(text[:-1]) * factor
    except ValueError as error:
        if "large" in str(error):
            raise
        raise ValueError("must be a whole number (K, M and G allowed)") from None
    if value != int(value):
        raise ValueError("must be a whole number (K, M and G allowed)")
    return int(value)


def seconds(*, positive: bool = False) -> ValueKind:
    """A duration: plain seconds, or with a unit (500ms, 2s, 5m, 1h)."""

    def parse(text: str) -> float:
        unit = next((unit for unit in _SECONDS if text.endswith(unit)), "")
        try:
            value = real_number(text.removesuffix(unit)) * _SECONDS.get(unit, 1.0)
        except ValueError:
            raise ValueError("must be a time in seconds, or with a unit: 500ms, 2s, 5m, 1h") from None
        if value < 0 or (positive and value == 0):
            raise ValueError(f"must be {'more than' if positive else 'at least'} 0 seconds")
        if value > 1e9:
            raise ValueError("is too large")
        return value

    return ValueKind("SECONDS", parse, show=show_number)


def per_second(metavar: str, unit: str, *, none: str = "") -> ValueKind:
    """A positive rate, with K, M or G for thousands, millions, thousand millions (as in ZMap)."""

    def parse(text: str) -> float | None:
        if none and text == none:
            return None
        text = _without_unit(text, unit)
        factor = _THOUSANDS.get(text[-1:].lower(), 1.0)
        try:
            value = real_number(text[:-1] if factor > 1 else text) * factor
        except ValueError:
            raise ValueError(f"must be a number of {unit} a second (K, M and G allowed)") from None
        if value <= 0:
            raise ValueError(f"must be more than 0 {unit} a second")
        if value > 1e15:
            raise ValueError("is too large")
        if value < _LEAST_RATE:
            raise ValueError("is too small: it is less than one in eleven days")
        return value

    return ValueKind(metavar, parse, show=lambda value: none if value is None else show_number(value))


def _without_unit(text: str, unit: str) -> str:
    """The number of ``5k/s``, ``5kpps``, ``10Mbps`` or ``10Mbit/s``, without the part that says it is a
    rate.
    """
    ends = ("bps", "bit/s", "bits/s", "bit", "bits") if unit == "bits" else ("/s", "/sec", "/second", "pps")
    for end in ends:
        if text.endswith(end) and text[: -len(end)]:
            return text.removesuffix(end).rstrip()
    return text


def _fraction(text: str) -> float:
    value = real_number(text)
    if not 0 <= value <= 1:
        raise ValueError("must be from 0 to 1")
    return value


def shard_list(text: str) -> tuple[tuple[int, int], ...]:
    """``3,7-9``: ranges of shards, in order and joined where they meet. Raises ValueError."""
    pairs: list[tuple[int, int]] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            pair = whole_number(first), whole_number(last if dash else first)
        except ValueError:
            raise ValueError("must be shards and ranges of shards, as in 3,7-9") from None
        if not 0 <= pair[0] <= MOST_SHARDS - 1 or not 0 <= pair[1] <= MOST_SHARDS - 1:
            raise ValueError(f"must be shards from 0 to {MOST_SHARDS - 1}")
        if pair[0] > pair[1]:
            raise ValueError("has a range whose first shard is above its last")
        pairs.append(pair)
    joined: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if joined and low <= joined[-1][1]:
            raise ValueError(f"names shard {low} twice")
        if joined and low == joined[-1][1] + 1:
            joined[-1] = joined[-1][0], high
        else:
            joined.append((low, high))
    return tuple(joined)


def shards(value: int | str) -> tuple[int, ...]:
    """The shards that a value of --shard names, in order. Raises ValueError."""
    return tuple(number for low, high in shard_list(str(value)) for number in range(low, high + 1))


def _shards(text: str) -> int | str:
    """One shard, or several as `shard_list` takes them, in one form."""
    found = shard_list(text)
    if len(found) == 1 and found[0][0] == found[0][1]:
        return found[0][0]
    return ",".join(map(show_range, found))


def _workers(text: str) -> object:
    """``6``, or ``flow=6,collect=2``: a dict of the options it sets."""
    if "=" not in text:
        return _worker_count(text)
    counts: dict[str, object] = {}
    for part in text.split(","):
        channel, _, count = part.partition("=")
        if channel.strip() not in ("flow", "collect"):
            raise ValueError("the channels are flow and collect, as in flow=6,collect=2")
        if channel.strip() + "_workers" in counts:
            raise ValueError(f"names {channel.strip()} twice")
        counts[channel.strip() + "_workers"] = _worker_count(count.strip())
    return counts


def _worker_count(text: str) -> int:
    try:
        value = whole_number(text)
    except ValueError:
        raise ValueError("must be a number of workers, or flow=N,collect=N") from None
    if not 1 <= value <= 256:  # as many sockets as every kernel lets into one fan-out group
        raise ValueError("must be from 1 to 256 workers")
    return value


FRACTION = ValueKind("X", _fraction, show=show_number)
SHARDS = ValueKind("K", _shards, once=True)
WORKERS = ValueKind("N", _workers)
