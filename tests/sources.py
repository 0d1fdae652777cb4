"""Syntax trees of the repository's files, read once by the tests that look at them."""

from __future__ import annotations

import ast
import gc
from functools import cache
from pathlib import Path


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file. The garbage collector would look at millions of nodes, of which none goes:
    it waits, which takes a quarter of the time."""
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        gc.enable()


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """The same, flat."""
    return tuple(ast.walk(tree(path)))
