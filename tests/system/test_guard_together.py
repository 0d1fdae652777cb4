"""Several `lzr guard` and several scans change guards at the same moment."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from coordinator.guard.firewall import make_cover
from coordinator.guard.iptables import Iptables
from tests.host_net import inside
from tests.lab.net import Lab
from tests.lab.scan import LZR

pytestmark = pytest.mark.root

ADDRESSES = [f"192.0.2.{number}" for number in range(1, 9)]


@pytest.mark.parametrize("tools", [("nft", "iptables", "ip6tables"), ("iptables", "ip6tables")])
def test_none_loses_the_addresses_of_another(lab: Lab, tools: tuple[str, ...]) -> None:
    place = lab.namespace("guards")
    folder = lab.directory / "tools"
    folder.mkdir()
    for tool in tools:
        (folder / tool).symlink_to(f"/usr/sbin/{tool}")

    def guard(*words: str) -> subprocess.CompletedProcess[str]:
        return place.run("/bin/sh", "-c", f'PATH={folder} exec "$0" "$@"', LZR, "guard", *words, check=False)

    with ThreadPoolExecutor(len(ADDRESSES)) as threads:
        for on in (True, False):
            command = partial(guard, "on" if on else "off", "-S")
            done = list(threads.map(command, ADDRESSES))
            assert [one.returncode for one in done] == [0] * len(ADDRESSES), done
            status = guard("status")
            assert status.returncode == (0 if on else 1)
            for address in ADDRESSES:
                assert (f"{address}, " in status.stdout) == on, status.stdout


def test_a_rule_that_another_has_removed(lab: Lab) -> None:
    """Two scans find what a dead run left, and each removes it."""
    place = lab.namespace("guards")
    name, cover = "lzr_0_1_1_1", make_cover(ADDRESSES, (40000, 41000))
    with inside(place.name):
        tool = Iptables("/usr/sbin/iptables")
        tool.put_up(name, cover, ("resets",))
        lines = tool._lines(name)
        assert len(lines) == len(ADDRESSES)
        tool._delete(lines[1:2])
        tool._delete(lines)
        assert tool.names() == []
