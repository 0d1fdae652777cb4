"""A sweep of the network of our own link, which has more hosts than the kernel's table of neighbours."""

from __future__ import annotations

import json

import pytest

from tests.lab.net import Lab
from tests.lab.scan import LZR

# The table is one for all namespaces: while it is full nobody else learns the MAC of a gateway.
pytestmark = [pytest.mark.root, pytest.mark.alone, pytest.mark.timeout(600)]


def test_every_host_of_the_link_is_asked_though_most_are_absent(lab: Lab) -> None:
    """Of 2,048 addresses 512 are there, and refuse; each of the others is looked for for three seconds."""
    us, there = lab.namespace("us"), lab.namespace("there")
    lab.link(us, there, a_addresses=("10.90.255.2/16",), b_addresses=("10.90.255.1/16",))
    for network in ("10.90.8.0/24", "10.90.13.0/24"):
        there.ip("route", "add", "local", network, "dev", "lo")
    # One table for all namespaces: while it is full, who is there could not tell where its RST goes.
    there.ip("neigh", "replace", "10.90.255.2", "lladdr", us.mac("eth0"), "dev", "eth0", "nud", "permanent")
    metadata = lab.directory / "metadata"
    words = (
        "-p",
        "80,81,82",
        "10.90.8.0/21",
        "-handshakes",
        "none",
        "-c",
        "4",
        "-r",
        "20000",
        "-m",
        metadata,
    )
    done = us.run(LZR, *words, "-f", lab.directory / "out", "--no-dashboard", timeout=300)
    told = json.loads(metadata.read_text())
    assert told["reasons"].pop("refused") == 3 * 512, done.stderr
    assert sum(told["reasons"].values()) == 3 * (2048 - 512)
    assert told["packets"]["send_failures"] == 0
