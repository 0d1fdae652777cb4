"""Patterns of Ruby, made plain for Python's `re`: the same texts match, with less to try.

A pattern is parsed into the tree of `re`'s own parser, changed there, and written out again:

* a group that nobody reads captures nothing;
* a repeat of single bytes that can give nothing back to what follows is possessive (`[^ ]+ ` is `[^ ]++ `);
* `.*` at the end, with or without `$`, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

Tokens = list[tuple[Any, Any]]
ALL = frozenset(range(256))
END = 256
"""Stands in a set of bytes for the end of the text."""

_INLINE = re.compile(r"\(\?([a-z]+)\)")
_RUBY_DOT = {"REG_MULTILINE", "REG_DOT_NEWLINE", "REG_LINE_ANY_CRLF"}
"""Ruby's name for what Python calls DOTALL; that `^` and `$` are about lines is so in Ruby anyway."""


@dataclass(frozen=True)
class Plain:
    """text: the pattern, ASCII, its flags in front. tokens: its tree."""

    text: str
    tokens: Tokens
    ignore_case: bool


def plain_pattern(pattern: str, flags: str, groups: list[int], *, lines: bool) -> Plain:
    """The pattern with the groups in `groups` alone, numbered anew. `lines`: texts may have several lines."""
    given = set(flags.split(",")) - {""}
    letters = set("".join(_INLINE.findall(pattern)))
    pattern = _INLINE.sub("", pattern)
    pattern = re.sub(r"\(\?([imx]+):", lambda m: "(?" + m[1].replace("m", "s") + ":", pattern)
    pattern = pattern.replace(r"\h", "[0-9a-fA-F]").replace(r"\z", r"\Z")
    ignore_case = "REG_ICASE" in given or "i" in letters
    dot = bool(given & _RUBY_DOT) or "m" in letters or not lines
    compiled = (re.I if ignore_case else 0) | (re.S if dot else 0) | (re.M if lines else 0)
    tree = parser.parse(pattern.encode(), compiled)
    writer = _Writer(set(groups), dot)
    tokens = writer.inlined(list(tree))
    tokens = _without_tail(tokens, anything=dot)
    tokens = writer.possessive(tokens, frozenset())
    letters_out = ("i" if ignore_case else "") + ("m" if lines else "") + ("s" if dot else "")
    head = f"(?{letters_out})" if letters_out else ""
    text = head + writer.written(tokens)
    re.compile(text.encode("ascii"))
    return Plain(text, tokens, ignore_case)


def _without_tail(tokens: Tokens, *, anything: bool) -> Tokens:
    def idle(token: tuple[Any, Any]) -> bool:
        what, value = token
        return (
            what in (op.MAX_REPEAT, op.MIN_REPEAT)
            and value[0] == 0
            and value[1] is op.MAXREPEAT
            and list(value[2]) == [(op.ANY, None)]
        )

    tokens = list(tokens)
    ends = (op.AT_END, op.AT_END_STRING)
    if anything and len(tokens) > 1 and tokens[-1] in [(op.AT, end) for end in ends] and idle(tokens[-2]):
        tokens = tokens[:-2]
    while tokens and idle(tokens[-1]):
        tokens.pop()
    return tokens


def byte_sets(*, ignore_case: bool, dot: bool) -> Callable[[Tokens], frozenset[int] | None]:
    """What a single token takes, or None where it isn't one that takes a byte."""
    return _Writer(set(), dot, both=ignore_case).bytes_of


class _Writer:
    def __init__(self, groups: set[int], dot: bool, *, both: bool = True) -> None:
        """both: take letters for either case."""
        self._groups, self._dot, self._either = groups, dot, both

    # --- groups that nobody reads -------------------------------------------------------------------------

    def inlined(self, tokens: Tokens) -> Tokens:
        out: Tokens = []
        for what, value in tokens:
            if what is op.SUBPATTERN:
                group, add, gone, body = value
                body = self.inlined(list(body))
                if group in self._groups or add or gone:
                    out.append((what, (group if group in self._groups else None, add, gone, body)))
                else:
                    out += body
            elif what is op.BRANCH:
                out.append((what, (None, [self.inlined(list(way)) for way in value[1]])))
            elif what in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
                out.append((what, (value[0], value[1], self.inlined(list(value[2])))))
            elif what in (op.ASSERT, op.ASSERT_NOT):
                out.append((what, (value[0], self.inlined(list(value[1])))))
            elif what is op.GROUPREF:
                raise ValueError("a reference to a group")
            else:
                out.append((what, value))
        return out

    # --- repeats that give nothing back -------------------------------------------------------------------

    def possessive(self, tokens: Tokens, follow: frozenset[int]) -> Tokens:
        """follow: what may come behind these tokens; empty where the match is over then."""
        out: Tokens = []
        for what, value in reversed(tokens):
            token: tuple[Any, Any] = (what, value)
            if what in (op.MAX_REPEAT, op.MIN_REPEAT):
                low, high, body = value
                single = self.bytes_of(body)
                kind = what
                if single is None:
                    body = self.possessive(body, follow | self.first(body, follow)[0])
                elif low != high and (what is op.MAX_REPEAT or follow) and not single & follow:
                    kind = op.POSSESSIVE_REPEAT
                token = (kind, (low, high, body))
            elif what is op.SUBPATTERN:
                token = (what, (*value[:3], self.possessive(value[3], follow)))
            elif what is op.BRANCH:
                token = (what, (None, [self.possessive(way, follow) for way in value[1]]))
            elif what in (op.ASSERT, op.ASSERT_NOT):
                token = (what, (value[0], self.possessive(value[1], frozenset())))
            else:
                token = (what, value)
            out.insert(0, token)
            follow = self.first([token], follow)[0]
        return out

    def first(self, tokens: Tokens, follow: frozenset[int]) -> tuple[frozenset[int], bool]:
        """Bytes that these tokens and what follows may begin with, and whether the tokens may be empty."""
        found: frozenset[int] = frozenset()
        for what, value in tokens:
            single = self.bytes_of([(what, value)])
            if single is not None:
                return found | single, False
            if what is op.AT:
                if value in (op.AT_END, op.AT_END_STRING):
                    return found | {END, 10}, False
                continue
            if what in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
                some, empty = self.first(value[2], frozenset())
                found |= some
                if value[0] and not empty:
                    return found, False
            elif what is op.SUBPATTERN:
                some, empty = self.first(value[3], frozenset())
                found |= some
                if not empty:
                    return found, False
            elif what is op.BRANCH:
                ways = [self.first(way, frozenset()) for way in value[1]]
                found = found.union(*(some for some, _ in ways))
                if not any(empty for _, empty in ways):
                    return found, False
        return found | follow, True

    def bytes_of(self, tokens: Tokens) -> frozenset[int] | None:
        """The bytes that match, where the tokens are one that takes a single byte."""
        if len(tokens) != 1:
            return None
        what, value = tokens[0]
        if what is op.SUBPATTERN:
            return None
        if what is op.ANY:
            return ALL if self._dot else ALL - {10}
        if what is op.LITERAL:
            return self._both({value})
        if what is op.NOT_LITERAL:
            return ALL - self._both({value})
        if what is not op.IN:
            return None
        inside: set[int] = set()
        for kind, item in value:
            if kind is op.LITERAL:
                inside.add(item)
            elif kind is op.RANGE:
                inside.update(range(item[0], item[1] + 1))
            elif kind is op.CATEGORY:
                inside |= _CATEGORIES[item]
        found = self._both(inside)
        return ALL - found if value[0][0] is op.NEGATE else found

    def _both(self, some: set[int]) -> frozenset[int]:
        """With the other case: where nothing is lost by that, always, as a group may have switched it on."""
        if not self._either:
            return frozenset(some)
        return frozenset(some) | {c ^ 32 for c in some if chr(c & ~32) in _CAPITALS}

    # --- out again ----------------------------------------------------------------------------------------

    def written(self, tokens: Tokens) -> str:
        return "".join(self._written(what, value) for what, value in tokens)

    def _written(self, what: Any, value: Any) -> str:
        if what is op.LITERAL:
            return _escaped(value)
        if what is op.NOT_LITERAL:
            return f"[^{_escaped(value, inside=True)}]"
        if what is op.ANY:
            return "."
        if what is op.IN:
            return f"[{''.join(map(_item, value))}]"
        if what is op.AT:
            return _PLACES[value]
        if what is op.BRANCH:
            return f"(?:{'|'.join(self.written(way) for way in value[1])})"
        if what is op.SUBPATTERN:
            group, add, gone, body = value
            if group is not None and not (add or gone):
                return f"({self.written(body)})"
            assert group is None
            letters = "".join(c for c, flag in _LETTERS if add & flag)
            less = "".join(c for c, flag in _LETTERS if gone & flag)
            return f"(?{letters}{'-' + less if less else ''}:{self.written(body)})"
        if what in (op.ASSERT, op.ASSERT_NOT):
            sign = "=" if what is op.ASSERT else "!"
            return f"(?{'<' if value[0] < 0 else ''}{sign}{self.written(value[1])})"
        low, high, body = value
        inner = self.written(body)
        if len(body) != 1 or body[0][0] not in (
            op.LITERAL,
            op.NOT_LITERAL,
            op.ANY,
            op.IN,
            op.SUBPATTERN,
            op.BRANCH,
        ):
            inner = f"(?:{inner})"
        if (low, high) == (0, op.MAXREPEAT):
            times = "*"
        elif (low, high) == (1, op.MAXREPEAT):
            times = "+"
        elif (low, high) == (0, 1):
            times = "?"
        elif low == high:
            times = f"{{{low}}}"
        else:
            times = f"{{{low},{'' if high is op.MAXREPEAT else high}}}"
        return inner + times + {op.MIN_REPEAT: "?", op.POSSESSIVE_REPEAT: "+"}.get(what, "")


_CAPITALS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LETTERS = (("i", re.I), ("m", re.M), ("s", re.S))
_DIGITS = frozenset(b"0123456789")
_SPACES = frozenset(b" \t\n\r\f\v")
_WORD = frozenset(c for c in range(128) if chr(c).isalnum() or c == 95)
_CATEGORIES = {
    op.CATEGORY_DIGIT: _DIGITS,
    op.CATEGORY_NOT_DIGIT: ALL - _DIGITS,
    op.CATEGORY_SPACE: _SPACES,
    op.CATEGORY_NOT_SPACE: ALL - _SPACES,
    op.CATEGORY_WORD: _WORD,
    op.CATEGORY_NOT_WORD: ALL - _WORD,
}
_NAMES = {
    op.CATEGORY_DIGIT: r"\d",
    op.CATEGORY_NOT_DIGIT: r"\D",
    op.CATEGORY_SPACE: r"\s",
    op.CATEGORY_NOT_SPACE: r"\S",
    op.CATEGORY_WORD: r"\w",
    op.CATEGORY_NOT_WORD: r"\W",
}
_PLACES = {
    op.AT_BEGINNING: "^",
    op.AT_BEGINNING_STRING: r"\A",
    op.AT_END: "$",
    op.AT_END_STRING: r"\Z",
    op.AT_BOUNDARY: r"\b",
    op.AT_NON_BOUNDARY: r"\B",
}


def _escaped(byte: int, *, inside: bool = False) -> str:
    if not 32 <= byte < 127:
        return f"\\x{byte:02x}"
    special = "\\]^-[&~|" if inside else "\\.^$*+?{}[]|()"
    return "\\" + chr(byte) if chr(byte) in special else chr(byte)


def _item(item: tuple[Any, Any]) -> str:
    kind, value = item
    if kind is op.NEGATE:
        return "^"
    if kind is op.LITERAL:
        return _escaped(value, inside=True)
    if kind is op.RANGE:
        return f"{_escaped(value[0], inside=True)}-{_escaped(value[1], inside=True)}"
    return _NAMES[value]
