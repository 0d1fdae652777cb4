"""LZR in Python: which service really lives behind an open TCP port.

``lzr`` is the domain: pure functions and values over columns. It opens no socket, starts no process and
reads no clock; ``coordinator`` and ``workers`` do that and hand the facts in.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["__version__", "identify"]

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from typing import Any

    import duckdb

    from lzr.fingerprint.classifier import identify


def open(path: str) -> duckdb.DuckDBPyRelation:
    """Results of a scan as a relation of DuckDB: ``.filter``, ``.df()``, ``.pl()``, SQL.

    path: JSON lines, CSV, the feed for ZGrab2, each compressed or not, or Parquet of ``lzr export``. The
    columns are those of `lzr.analysis.columns`. Lines that cannot be read are told by a warning. Needs
    ``lzr[analysis]``. Raises `lzr.errors.UsageError`.
    """
    from importlib import import_module

    found: duckdb.DuckDBPyRelation = import_module("coordinator.analysis.relation").relation(path)
    return found


def __getattr__(name: str) -> Any:  # PEP 562: the guard must be up before anything slow is imported
    if name == "identify":
        from lzr.fingerprint.classifier import identify

        return identify
    raise AttributeError(name)
