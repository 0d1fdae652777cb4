"""The filter language: ZMap's meaning, ours beyond it, and errors that name the place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.records.filter import (
    And,
    Compare,
    ExpressionError,
    Node,
    Not,
    Or,
    compile_filter,
    compiled,
    fields_of,
    parse,
    record_filter,
)
from tests.rows import every_row

TYPES = {"fingerprint": str, "saddr": str, "ttl": int, "window": int, "ackingFirewall": bool, "RST": bool}
RECORD = {"fingerprint": "http", "saddr": "192.0.2.7", "ttl": 64, "window": 0, "RST": False}


@every_row(
    [
        ("fingerprint = http", True),
        ("fingerprint == http", True),
        ("fingerprint='http'", True),
        ('fingerprint = "ht\\tp"', True),
        ("fingerprint != http", False),
        ("ttl > 60", True),
        ("ttl>64", False),
        ("ttl >= 64 && ttl <= 64", True),
        ("ttl < 64 || ttl = 64", True),
        ("ttl = 0064", True),
        ("window > -1", True),
        ("saddr = 192.0.2.7", True),
        ("saddr < 192.0.2.8", True),
        ("fingerprint = http && ttl > 60 || (ackingFirewall = 1)", True),
        ("ackingFirewall = 1", False),
        ("ackingFirewall = 0", True),
        ("ackingFirewall != true", True),
        ("RST = FALSE", True),
        ("RST", False),
        ("!RST", True),
        ("!!RST", False),
        ("!(RST || ttl = 1) && fingerprint", True),
        ("window", False),
        # && binds tighter than ||, on either side
        ("ttl = 64 || ttl = 64 && RST", True),
        ("RST && ttl = 64 || ttl = 64", True),
        ("(ttl = 64 || ttl = 64) && RST", False),
        ("\n ttl\t=  64\n", True),
    ]
)
def test_meaning(text: str, expected: bool) -> None:
    assert compile_filter(text, TYPES)(RECORD) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ttl = 0", False),
        ("ttl != 0", True),
        ("ttl < 5", False),
        ("ttl", False),
        ("fingerprint = ''", True),
        ("fingerprint != http", True),
        ("RST = 0", True),
    ],
)
def test_a_field_that_is_left_out(text: str, expected: bool) -> None:
    assert compile_filter(text, TYPES)({}) is expected


@pytest.mark.parametrize(
    ("text", "position", "sentence"),
    [
        ("", 1, "expected a field, not the end"),
        ("ttl =", 6, "expected a value after ="),
        ("ttl = )", 7, "expected a value after =, not )"),
        ("= 5", 1, "expected a field, not ="),
        ("5 = ttl", 1, "expected a field, not 5"),
        ("(ttl = 5", 9, "expected ) for the ( at character 1"),
        ("ttl = 5)", 8, "expected && or ||, not )"),
        ("ttl = 5 RST", 9, "expected && or ||, not RST"),
        ("ttl = 5 & RST", 9, "a single &; write &&"),
        ("ttl = 5 | RST", 9, "a single |; write ||"),
        ("saddr = 'abc", 9, "never closed"),
        ("ttl = 5 ; RST", 9, "means nothing here"),
        ("ttl = \u0664", 7, "means nothing here"),
        ("ttl = http", 7, "ttl is a number"),
        ("ttl = --5", 7, "ttl is a number"),
        ("ttl = '\u00b2'", 7, "ttl is a number"),
        ("tll = 5", 1, "there is no field tll; did you mean ttl?"),
        ("RST && success = 1", 8, "success is a field of ZMap's, not of a record: give this filter to zmap"),
        ("repeat=0", 1, "repeat is a field of ZMap's"),
        ("RST > 0", 7, "has no order"),
        ("RST = 2", 7, "0 or 1, true or false"),
        ("!" * 200 + "RST", 101, "levels deep"),
        ("(" * 5000 + "RST", 101, "levels deep"),
        ("a" * 70000, 65536, "too long"),
    ],
)
def test_errors_name_the_place(text: str, position: int, sentence: str) -> None:
    with pytest.raises(ExpressionError) as error:
        compile_filter(text, TYPES)
    assert error.value.position == position
    assert sentence in str(error.value)
    assert str(error.value).startswith(f"at character {position}: ")


def test_tree() -> None:
    tree = parse("a = 1 && !b || c != 'x y'")
    assert tree == Or(And(Compare("a", "=", 1), Not(Compare("b"))), Compare("c", "!=", "x y"))
    assert hash(tree) == hash(parse("(a=1)&&(!b)||(c!='x y')"))
    assert tree != Or(Compare("a"), Compare("c"))
    assert And(Compare("a")) != Or(Compare("a"))
    assert fields_of(tree) == {"a", "b", "c"}
    assert repr(parse("!a")) == "Not(Compare('a', '', ''))"


def test_over_the_fields_of_our_records() -> None:
    keep = record_filter("fingerprint = http && ttl > 60 || (ackingFirewall = 1)")
    assert keep({"fingerprint": "http", "ttl": 64, "ackingFirewall": False})
    assert keep({"fingerprint": "unknown", "ttl": 1, "ackingFirewall": True})
    assert not keep({"fingerprint": "http", "ttl": 60, "ackingFirewall": False})


# -- properties --------------------------------------------------------------------------------------------

FRAGMENT = st.sampled_from(
    [
        "ttl",
        "RST",
        "fingerprint",
        "saddr",
        " ",
        "=",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        "!",
        "(",
        ")",
        "1",
        "-1",
        "'",
        '"',
    ]
)


@given(st.text() | st.lists(FRAGMENT).map("".join) | st.lists(FRAGMENT).map(" ".join))
def test_nothing_but_expression_error(text: str) -> None:
    try:
        keep = compile_filter(text, TYPES)
    except ExpressionError as error:
        place = error.position
    else:
        place = 1
        assert keep(RECORD) in (True, False)
    assert 1 <= place <= len(text) + 1


STRINGS = st.text(max_size=8)
LEAVES = st.one_of(
    st.builds(Compare, st.sampled_from(["RST", "ttl", "saddr", "fingerprint"])),
    st.builds(Compare, st.just("RST"), st.sampled_from(["=", "!="]), st.sampled_from([0, 1])),
    st.builds(
        Compare,
        st.sampled_from(["ttl", "window"]),
        st.sampled_from(["=", "!=", "<", ">", "<=", ">="]),
        st.integers(-70, 70),
    ),
    st.builds(Compare, st.sampled_from(["saddr", "fingerprint"]), st.sampled_from(["=", "!=", "<"]), STRINGS),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: And(*parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(*parts)),
    ),
    max_leaves=12,
)
RECORDS = st.fixed_dictionaries(
    {},
    optional={"ttl": st.integers(0, 70), "saddr": STRINGS, "fingerprint": STRINGS, "RST": st.booleans()},
)


def written(node: Node) -> str:
    if isinstance(node, Compare):
        if isinstance(node.value, str):
            value = node.value.replace("\\", "\\\\").replace("'", "\\'")
            return f"{node.field} {node.operator} '{value}'" if node.operator else node.field
        return f"{node.field} {node.operator} {node.value}"
    if isinstance(node, Not):
        return f"!({written(node.inner)})"
    assert isinstance(node, And | Or)
    return (" && " if isinstance(node, And) else " || ").join(f"({written(part)})" for part in node.parts)


def oracle(node: Node, record: dict[str, Any]) -> bool:
    if isinstance(node, Not):
        return not oracle(node.inner, record)
    if isinstance(node, And | Or):
        parts = [oracle(part, record) for part in node.parts]
        return all(parts) if isinstance(node, And) else any(parts)
    assert isinstance(node, Compare)
    found = record.get(node.field, {str: "", bool: False}.get(TYPES[node.field]))
    if not node.operator:
        return bool(found)
    if found is None:
        return node.operator == "!="
    value: Any = node.value
    answers: dict[str, bool] = {
        "=": found == value,
        "!=": found != value,
        "<": node.operator == "<" and found < value,
        ">": node.operator == ">" and found > value,
        "<=": node.operator == "<=" and found <= value,
        ">=": node.operator == ">=" and found >= value,
    }
    return answers[node.operator]


@given(TREES, RECORDS)
def test_text_means_what_the_tree_means(tree: Node, record: dict[str, Any]) -> None:
    assert parse(written(tree)) == tree
    assert compiled(tree, TYPES)(record) is oracle(tree, record)
