"""How many steps a pattern takes over a text, counted as a backtracking matcher takes them.

`re` tells nobody; so a matcher over the same tree, without `re`'s short cuts, counts each byte looked at and
each place tried. What it counts is the same on every machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from fingerprints.regular import Tokens, byte_sets

Next = Callable[[int], bool]
sys.setrecursionlimit(20_000)


class TooMany(Exception):
    """More steps than were allowed."""


class Counter:
    """A pattern, ready to be counted over texts."""

    def __init__(self, pattern: str) -> None:
        tree = parser.parse(pattern.encode("ascii"))
        self.tokens: Tokens = list(tree)
        flags = tree.state.flags
        self._lines = bool(flags & 8)
        self._bytes_of = byte_sets(ignore_case=bool(flags & 2), dot=bool(flags & 16))
        self._start = self._sequence(self.tokens, 0, self._done)
        first = self.tokens[0] if self.tokens else (None, None)
        self.anchored = first[0] is op.AT and (
            first[1] is op.AT_BEGINNING_STRING or (first[1] is op.AT_BEGINNING and not self._lines)
        )

    def steps(self, text: bytes, most: int) -> int:
        """Raises TooMany where there are more than `most`."""
        self._text, self._count, self._most = text, 0, most
        for at in range(1 if self.anchored else len(text) + 1):
            if self._start(at):
                break
        return self._count

    def _done(self, at: int) -> bool:
        return True

    def _step(self, count: int = 1) -> None:
        self._count += count
        if self._count > self._most:
            raise TooMany

    def _sequence(self, tokens: Tokens, index: int, then: Next) -> Next:
        for what, value in reversed(tokens[index:]):
            then = self._token(what, value, then)
        return then

    def _token(self, what: Any, value: Any, then: Next) -> Next:
        single = self._bytes_of([(what, value)])
        if single is not None:

            def one(at: int) -> bool:
                self._step()
                return at < len(self._text) and self._text[at] in single and then(at + 1)

            return one
        if what is op.AT:
            return lambda at: self._at(value, at) and then(at)
        if what is op.SUBPATTERN:
            return self._sequence(list(value[3]), 0, then)
        if what is op.BRANCH:
            ways = [self._sequence(list(way), 0, then) for way in value[1]]
            return lambda at: any(way(at) for way in ways)
        if what in (op.ASSERT, op.ASSERT_NOT):
            if value[0] < 0:
                return then
            inside = self._sequence(list(value[1]), 0, self._done)
            return lambda at: inside(at) == (what is op.ASSERT) and then(at)
        low, high, body = value
        high = 1 << 30 if high is op.MAXREPEAT else int(high)
        some = self._bytes_of(list(body))
        if some is not None:
            return self._run(what, some, int(low), high, then)
        return self._loop(what, list(body), int(low), high, then)

    def _run(self, what: Any, some: frozenset[int], low: int, high: int, then: Next) -> Next:
        def greedy(at: int) -> bool:
            end = at
            while end < len(self._text) and end - at < high and self._text[end] in some:
                end += 1
            self._step(end - at + 1)
            if what is op.POSSESSIVE_REPEAT:
                return end - at >= low and then(end)
            for stop in range(end, at + low - 1, -1):
                self._step()
                if then(stop):
                    return True
            return False

        def lazy(at: int) -> bool:
            end = at
            while True:
                self._step()
                if end - at >= low and then(end):
                    return True
                if end >= len(self._text) or end - at >= high or self._text[end] not in some:
                    return False
                end += 1

        return lazy if what is op.MIN_REPEAT else greedy

    def _loop(self, what: Any, body: Tokens, low: int, high: int, then: Next) -> Next:
        def turn(count: int, came: int) -> Next:
            def here(at: int) -> bool:
                self._step()
                if count > low and at == came:  # an empty turn is the last
                    return then(at)
                more = self._sequence(body, 0, turn(count + 1, at)) if count < high else None
                if what is op.MIN_REPEAT:
                    return (count >= low and then(at)) or (more is not None and more(at))
                return (more is not None and more(at)) or (count >= low and then(at))

            return here

        return turn(0, -1)

    def _at(self, place: Any, at: int) -> bool:
        self._step()
        text = self._text
        if place is op.AT_BEGINNING:
            return at == 0 or (self._lines and text[at - 1] == 10)
        if place is op.AT_BEGINNING_STRING:
            return at == 0
        if place is op.AT_END:
            last = at == len(text) or (at == len(text) - 1 and text[at] == 10)
            return last or (self._lines and text[at] == 10)
        if place is op.AT_END_STRING:
            return at == len(text)
        word = (at > 0 and _is_word(text[at - 1])) != (at < len(text) and _is_word(text[at]))
        return word == (place is op.AT_BOUNDARY)


def _is_word(byte: int) -> bool:
    return byte == 95 or (byte < 128 and chr(byte).isalnum())


# --- texts that make a pattern work hard ------------------------------------------------------------------

_FAVOURITES = (b"1", b"a.1", b".", b" ", b"-", b"\n", b"a")
_LAST = b"\x01"


def hostile(counter: Counter, size: int) -> Iterator[bytes]:
    """Texts that nearly match: each repeat as long as there is room for, and something wrong at the end."""
    repeats = _repeats(counter.tokens)
    for favourites in _FAVOURITES:
        for room in {max(1, size // (repeats + 1)), max(1, (size - 60) // max(repeats, 1)), size}:
            near = _near(counter, counter.tokens, room, favourites)[: size - 1]
            yield near + _LAST
            yield near
        short = _near(counter, counter.tokens, 1, favourites) or b"\n"
        yield (short * (size // len(short) + 1))[: size - 1] + _LAST
        yield (short[:-1] * (size // max(len(short) - 1, 1) + 1))[: size - 1] + _LAST


def _near(counter: Counter, tokens: Tokens, room: int, favourites: bytes) -> bytes:
    out = b""
    for what, value in tokens:
        single = counter._bytes_of([(what, value)])
        if single is not None:
            byte = (
                value
                if what is op.LITERAL
                else next((c for c in favourites if c in single), min(single, default=0))
            )
            out += bytes((byte,))
        elif what in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            low, high, body = value
            unit = _near(counter, list(body), 1, favourites)
            most = 1 << 20 if high is op.MAXREPEAT else int(high)
            out += unit * min(max(int(low), room // max(1, len(unit))), most)
        elif what is op.SUBPATTERN:
            out += _near(counter, list(value[3]), room, favourites)
        elif what is op.BRANCH:
            out += _near(counter, list(value[1][0]), room, favourites)
    return out


def _repeats(tokens: Tokens) -> int:
    count = 0
    for what, value in tokens:
        if what in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            count += (value[1] is op.MAXREPEAT or int(value[1]) > 4) + _repeats(list(value[2]))
        elif what is op.SUBPATTERN:
            count += _repeats(list(value[3]))
        elif what is op.BRANCH:
            count += max(_repeats(list(way)) for way in value[1])
    return count


SIZES = (1024, 512, 384, 256, 192, 128, 96, 64, 48)
MOST = 25_000
"""Steps that a pattern may take over a text as long as its limit."""


def limit(pattern: str, wanted: int, longest: int = SIZES[0]) -> int:
    """Bytes of a text up to which the pattern takes no more than MOST steps.

    wanted: bytes of the longest example; where that is more, it is said on stderr.
    """
    counter = Counter(pattern)
    for size in SIZES:
        if size > longest:
            continue
        try:
            for text in hostile(counter, size):
                counter.steps(text, MOST)
        except (TooMany, RecursionError):
            continue
        if size >= wanted:
            return size
        break
    print(
        f"its examples have {wanted} bytes, and over more than {size} it takes too long: {pattern}",
        file=sys.stderr,
    )
    return size
