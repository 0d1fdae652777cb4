"""A list without an end, and without ends of lines, is not read for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coordinator.analysis import askedhosts
from coordinator.analysis.asnlookup import RangeTable
from lzr.errors import UsageError


@pytest.mark.parametrize("read", [askedhosts.listed, RangeTable])
def test_a_device_is_no_list(read: Callable[[str], object]) -> None:
    with pytest.raises(UsageError, match="/dev/zero has a line longer than 32 MiB: it is no list"):
        read("/dev/zero")
