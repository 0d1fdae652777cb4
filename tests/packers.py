"""What packs a test's text."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

zstd: Callable[[bytes], bytes]
"""A frame of zstd."""
try:
    zstd = import_module("compression.zstd").compress
except ImportError:  # before Python 3.14
    zstd = import_module("zstandard").compress
