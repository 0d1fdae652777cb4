"""Directories of boxes have sockets in them, and a socket's path has at most 107 bytes (unix(7))."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """As pytest's, with a short name, whatever the test is called and however many run at a time."""
    directory = Path(tempfile.mkdtemp(prefix="lzr-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)
