"""Results for Python: ``lzr.open``."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from coordinator.analysis.reading import connect, load

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation


def relation(path: str | os.PathLike[str]) -> DuckDBPyRelation:
    """The records of a file, in a database of their own. Raises UsageError.

    What does not fit into a quarter of the memory goes to temporary files. Extensions are neither loaded nor
    fetched, but unlike elsewhere the user's own statements may name files.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    connection = connect(memory=max(memory, 1 << 28), files=True)
    load(connection, os.fspath(path), say=lambda sentence: warnings.warn(sentence, stacklevel=4))
    return connection.table("records")
