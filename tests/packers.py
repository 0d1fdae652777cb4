"""What packs a test's text."""

from __future__ import annotations

try:  # in Python itself since 3.14, where the package is not installed
    from compression.zstd import compress as zstd
except ImportError:
    from zstandard import compress as zstd

__all__ = ["zstd"]
