"""Literals that a text must begin with, or hold, for a pattern to match at all.

By them a text is tried on few patterns: see `lzr.fingerprint.recog.table`.
"""

from __future__ import annotations

from re import _constants as op  # type: ignore[attr-defined]
from typing import Any

from fingerprints.regular import Plain, Tokens

MOST = 32
"""Alternatives of a literal that are kept apart."""


def keys(plain: Plain, *, lines: bool) -> tuple[list[str], list[str]]:
    """(what the text begins with, what it holds somewhere): one of each, in small letters; [] for nothing."""
    tokens = plain.tokens
    starts: list[str] = []
    if tokens and tokens[0][0] is op.AT:
        at = tokens[0][1]
        if at is op.AT_BEGINNING_STRING or (at is op.AT_BEGINNING and not lines):
            ways = _beginnings(tokens[1:])
            texts = sorted({text for text, _ in ways})
            if min(map(len, texts)) >= 1:
                starts = texts
    holds = sorted(_best(tokens))
    return starts, holds


def _beginnings(tokens: Tokens) -> list[tuple[str, bool]]:
    """Each way to begin, and whether it is all of the tokens."""
    ways: list[tuple[str, bool]] = [("", True)]
    for what, value in tokens:
        more = _token_beginnings(what, value)
        whole = [text for text, complete in ways if complete]
        if not whole:
            break
        grown = [(text, False) for text, complete in ways if not complete]
        grown += [(text + add, complete) for text in whole for add, complete in more]
        if len(grown) > MOST:
            return [(text, False) for text, _ in ways]
        ways = list(dict.fromkeys(grown))
    return ways


def _token_beginnings(what: Any, value: Any) -> list[tuple[str, bool]]:
    stop = [("", False)]
    if what is op.LITERAL:
        return [(_low(value), True)]
    if what is op.IN:
        if value[0][0] is op.NEGATE:
            return stop
        letters: set[str] = set()
        for kind, item in value:
            if kind is op.LITERAL:
                letters.add(_low(item))
            elif kind is op.RANGE and item[1] - item[0] < 10:
                letters |= {_low(c) for c in range(item[0], item[1] + 1)}
            else:
                return stop
        return [(c, True) for c in sorted(letters)]
    if what is op.SUBPATTERN:
        return _beginnings(value[3])
    if what is op.BRANCH:
        return [way for some in value[1] for way in _beginnings(some)]
    if what in (op.AT, op.ASSERT, op.ASSERT_NOT):
        return [("", True)] if what is not op.AT or value not in (op.AT_END, op.AT_END_STRING) else stop
    if what in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        low, high, body = value
        once = _beginnings(body)
        if high == 1:
            return [*once, ("", True)] if low == 0 else once
        return [(text, False) for text, _ in once] + ([("", True)] if low == 0 else [])
    return stop


def _best(tokens: Tokens) -> set[str]:
    """The alternatives of which a match holds one, as long as there are; empty where nothing is certain."""
    best: set[str] = set()
    run = [""]

    def settle(some: set[str]) -> None:
        nonlocal best
        if some and (_worth(some) > _worth(best)):
            best = some

    for what, value in tokens:
        fixed = _token_beginnings(what, value)
        short = len(run) * len(fixed) <= MOST
        if what in (op.LITERAL, op.IN, op.SUBPATTERN, op.BRANCH) and all(done for _, done in fixed) and short:
            run = [text + add for text in run for add, _ in fixed]
            continue
        settle(set(run))
        run = [""]
        if what is op.SUBPATTERN:
            settle(_best(value[3]))
        elif what in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT) and value[0]:
            settle(_best(value[2]))
        elif what is op.BRANCH:
            ways = [_best(way) for way in value[1]]
            if all(ways) and sum(map(len, ways)) <= MOST:
                settle(set().union(*ways))
        elif what in (op.LITERAL, op.IN) and all(done for _, done in fixed):
            run = [add for add, _ in fixed]
    settle(set(run))
    return best


def _worth(some: set[str]) -> float:
    """Long ones are rare; many alternatives cost."""
    return min(map(len, some)) - len(some) / 8 if some else 0.9


def _low(byte: int) -> str:
    return chr(byte).lower() if byte < 128 else chr(byte)
