"""ZMap's output-filter language over our record fields: text to a tree, and tree to a predicate.

::

    expression = conjunction { "||" conjunction }
    conjunction = term { "&&" term }
    term = "!" term | "(" expression ")" | field [ operator value ]
    operator = "=" | "==" | "!=" | "<" | ">" | "<=" | ">="
    value = number | word | "quoted string" | true | false

``&&`` binds tighter than ``||``, as in ZMap. Beyond ZMap's: ``!``, quoted strings, a field alone (true where
it is set), words with ``. : - /`` in them (addresses, ``smtp-ftp``), order between strings (timestamps), and
negative numbers. A field that a record leaves out counts as false or as the empty text; a number that is
left out equals nothing and is neither above nor below anything.

A mistake raises ExpressionError (a ValueError), whose text says what was expected at which character.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Record = Mapping[str, object]
    Predicate = Callable[[Record], bool]

DEEPEST = 100
"""Parentheses and negations that may be open at once: the parser recurses."""

LONGEST = 65536  # characters of an expression

_OPERATORS = frozenset(("=", "!=", "<", ">", "<=", ">="))
_TWO = frozenset(("&&", "||", "!=", "<=", ">=", "=="))
_ONE = frozenset("()!<>=")
_ZMAP_ALONE = frozenset(("success", "repeat", "classification", "cooldown"))
"""Fields of ZMap's that say whether a port is open, which no record of ours has."""
_INSIDE_WORDS = frozenset("_.:-/")


class ExpressionError(ValueError):
    """What is wrong with an expression, and where (`position` counts characters from 1)."""

    def __init__(self, position: int, sentence: str) -> None:
        super().__init__(f"at character {position}: {sentence}")
        self.position = position


class Node:
    """A node of the tree; nodes that say the same are equal."""

    __slots__ = ()

    def _says(self) -> tuple[object, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and type(other) is type(self) and self._says() == other._says()

    def __hash__(self) -> int:
        return hash((type(self), self._says()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._says()))})"


class Compare(Node):
    """``field operator value``; a field alone has the operator "" and no value."""

    __slots__ = ("field", "operator", "position", "value", "value_position")

    def __init__(
        self,
        field: str,
        operator: str = "",
        value: str | int = "",
        position: int = 0,
        value_position: int = 0,
    ) -> None:
        self.field = field
        self.operator = operator
        self.value = value
        self.position = position
        self.value_position = value_position

    def _says(self) -> tuple[object, ...]:
        return self.field, self.operator, self.value


class Not(Node):
    """A node that must not hold."""

    __slots__ = ("inner",)

    def __init__(self, inner: Node) -> None:
        self.inner = inner

    def _says(self) -> tuple[object, ...]:
        return (self.inner,)


class Joined(Node):
    """Nodes of which all (And) or one (Or) must hold."""

    __slots__ = ("parts",)

    def __init__(self, *parts: Node) -> None:
        self.parts = parts

    def _says(self) -> tuple[object, ...]:
        return self.parts


class And(Joined):
    """Nodes that must all hold."""

    __slots__ = ()


class Or(Joined):
    """Nodes of which one must hold."""

    __slots__ = ()


class Token:
    """kind: "word", "number", "text" (quoted), an operator, or "end"; position counts from 1."""

    __slots__ = ("kind", "position", "value")

    def __init__(self, kind: str, value: str | int, position: int) -> None:
        self.kind = kind
        self.value = value
        self.position = position

    def __str__(self) -> str:
        if self.kind == "end":
            return "the end"
        text = str(self.value)
        return text if len(text) <= 30 else text[:27] + "..."


def _quoted(text: str, start: int) -> tuple[str, int]:
    """The quoted string that opens at `start`, and the index after it. A backslash keeps what follows."""
    quote, i = text[start], start + 1
    out: list[str] = []
    while i < len(text):
        c = text[i]
        if c == quote:
            return "".join(out), i + 1
        if c == "\\" and i + 1 < len(text):
            i += 1
            c = text[i]
        out.append(c)
        i += 1
    raise ExpressionError(start + 1, "this quote is never closed")


def tokens(text: str) -> list[Token]:
    """Cut `text` into tokens; the last is "end"."""
    found: list[Token] = []
    i = 0
    while i < len(text):
        c = text[i]
        at = i + 1
        if c.isspace():
            i += 1
        elif text[i : i + 2] in _TWO:
            found.append(Token("=" if text[i : i + 2] == "==" else text[i : i + 2], text[i : i + 2], at))
            i += 2
        elif c in _ONE:
            found.append(Token(c, c, at))
            i += 1
        elif c in "\"'":
            value, i = _quoted(text, i)
            found.append(Token("text", value, at))
        elif c.isascii() and (c.isalnum() or c in "_-"):
            start = i
            while i < len(text) and text[i].isascii() and (text[i].isalnum() or text[i] in _INSIDE_WORDS):
                i += 1
            word = text[start:i]
            digits = word[1:] if c == "-" else word
            if digits.isdigit() and len(digits) <= 20 and str(int(word)) == word:
                found.append(Token("number", int(word), at))
            else:
                found.append(Token("word", word, at))
        elif c in "&|":
            raise ExpressionError(at, f"a single {c}; write {c}{c}")
        else:
            raise ExpressionError(at, f"{c!a} means nothing here")
    found.append(Token("end", "", len(text) + 1))
    return found


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, text: str) -> None:
        self.tokens = tokens(text)
        self.at = 0
        self.depth = 0

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += token.kind != "end"
        return token

    def next_is(self, kind: str) -> bool:
        if self.tokens[self.at].kind != kind:
            return False
        self.at += 1
        return True

    def expression(self) -> Node:
        parts = [self.conjunction()]
        while self.next_is("||"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Or(*parts)

    def conjunction(self) -> Node:
        parts = [self.term()]
        while self.next_is("&&"):
            parts.append(self.term())
        return parts[0] if len(parts) == 1 else And(*parts)

    def term(self) -> Node:
        """A comparison, a negation, or an expression in parentheses."""
        token = self.take()
        if token.kind == "word":
            return self.comparison(token)
        if token.kind not in ("!", "("):
            raise ExpressionError(token.position, f"expected a field, not {token}")
        self.depth += 1
        if self.depth > DEEPEST:
            raise ExpressionError(token.position, f"more than {DEEPEST} levels deep")
        if token.kind == "!":
            node: Node = Not(self.term())
        else:
            node = self.expression()
            closing = self.take()
            if closing.kind != ")":
                raise ExpressionError(
                    closing.position,
                    f"expected ) for the ( at character {token.position}, not {closing}",
                )
        self.depth -= 1
        return node

    def comparison(self, field: Token) -> Node:
        """``field operator value``, or a field alone."""
        if self.tokens[self.at].kind not in _OPERATORS:
            return Compare(str(field.value), position=field.position)
        operator = self.take()
        value = self.take()
        if value.kind not in ("word", "number", "text"):
            raise ExpressionError(value.position, f"expected a value after {operator}, not {value}")
        return Compare(str(field.value), operator.kind, value.value, field.position, value.position)


def parse(text: str) -> Node:
    """The tree of an expression. Raises ExpressionError."""
    if len(text) > LONGEST:
        raise ExpressionError(LONGEST, "the expression is too long")
    parser = _Parser(text)
    node = parser.expression()
    rest = parser.take()
    if rest.kind != "end":
        raise ExpressionError(rest.position, f"expected && or ||, not {rest}")
    return node


def fields_of(node: Node) -> frozenset[str]:
    """Names of the fields an expression looks at."""
    if isinstance(node, Compare):
        return frozenset((node.field,))
    inner = (node.inner,) if isinstance(node, Not) else node.parts if isinstance(node, Joined) else ()
    return frozenset().union(*map(fields_of, inner))


def compiled(node: Node, types: Mapping[str, type]) -> Predicate:
    """A predicate over records. `types` gives each field's type (str, int or bool).

    Raises ExpressionError for a field that is not in `types` or a value that does not fit its field.
    """
    if isinstance(node, Compare):
        return _comparison(node, types)
    if isinstance(node, Not):
        inner = compiled(node.inner, types)
        return lambda record: not inner(record)
    assert isinstance(node, Joined)
    parts = [compiled(part, types) for part in node.parts]
    if isinstance(node, And):
        return lambda record: all(part(record) for part in parts)
    return lambda record: any(part(record) for part in parts)


def compile_filter(text: str, types: Mapping[str, type]) -> Predicate:
    """``compiled(parse(text), types)``."""
    return compiled(parse(text), types)


def record_filter(text: str) -> Predicate:
    """The predicate of --output-filter, over records as text. Raises ExpressionError."""
    from lzr.records.fields import FIELDS

    kinds = {"string": str, "int": int, "bool": bool}
    return compile_filter(text, {field.name: kinds[field.kind] for field in FIELDS})


def _comparison(node: Compare, types: Mapping[str, type]) -> Predicate:
    field, operator = node.field, node.operator
    if field in _ZMAP_ALONE - types.keys():
        raise ExpressionError(
            node.position,
            f"{field} is a field of ZMap's, not of a record: give this filter to zmap, or to nobody, as what "
            "ZMap calls no success or a repeat is left out anyway",
        )
    if field not in types:
        from lzr.errors import suggest

        raise ExpressionError(node.position, f"there is no field {field[:60]}{suggest(field, types)}")
    kind = types[field]
    if not operator:
        return lambda record: bool(record.get(field))
    value = _value(node, kind)
    if kind is bool:
        wanted = bool(value)
        if operator == "=":
            return lambda record: bool(record.get(field)) is wanted
        return lambda record: bool(record.get(field)) is not wanted
    if kind is str:
        return _ordered(field, operator, value, "")
    return _ordered(field, operator, value, None)


def _value(node: Compare, kind: type) -> str | int:
    """The value in the type of its field."""
    value = node.value
    if kind is str:
        return str(value)
    if kind is bool:
        if node.operator not in ("=", "!="):
            raise ExpressionError(node.value_position, f"{node.field} is true or false and has no order")
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return int(value.lower() == "true")
        if value in (0, 1):
            return value
        raise ExpressionError(node.value_position, f"{node.field} is 0 or 1, true or false")
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(value) <= 20:
            return int(value)  # written with leading zeros
        raise ExpressionError(node.value_position, f"{node.field} is a number")
    return value


def _ordered(field: str, operator: str, value: Any, missing: str | None) -> Predicate:
    """Comparison with a field whose absence counts as `missing` (None: as no value at all)."""
    import operator as op

    test: Callable[[Any, Any], Any] = {
        "=": op.eq,
        "!=": op.ne,
        "<": op.lt,
        ">": op.gt,
        "<=": op.le,
        ">=": op.ge,
    }[operator]
    absent = operator == "!=" if missing is None else bool(test(missing, value))

    def holds(record: Record) -> bool:
        found = record.get(field)
        return absent if found is None else bool(test(found, value))

    return holds
