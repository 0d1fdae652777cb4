"""Syntax trees of the repository's files, read once by the tests that look at them."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_INNER = ("body", "orelse", "finalbody", "handlers", "cases")
"""Fields of a node that statements lie in."""


@contextmanager
def _no_collection() -> Iterator[None]:
    """The garbage collector would look at millions of nodes, of which none goes: it waits, which takes a
    quarter of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    with _no_collection():
        return ast.parse(path.read_text())


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """The same, flat, as ast.walk has them, but for load, store and delete, which a name has as its `ctx`."""
    found: list[ast.AST] = [tree(path)]
    with _no_collection():
        for node in found:
            for field in node._fields:
                value = getattr(node, field, None)
                if isinstance(value, list):
                    found += [inner for inner in value if isinstance(inner, ast.AST)]
                elif isinstance(value, ast.AST) and field != "ctx":
                    found.append(value)
    return tuple(found)


@cache
def statements(path: Path) -> tuple[ast.AST, ...]:
    """Those of them that are statements (imports, classes, functions), in the same order: a tenth."""
    found: list[ast.AST] = [tree(path)]
    for node in found:
        for field in _INNER:
            if isinstance(inner := getattr(node, field, None), list):
                found += inner
    return tuple(node for node in found if isinstance(node, ast.stmt))
