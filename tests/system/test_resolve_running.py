"""`coordinator.input.resolve` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.net import Lab
from tests.lab.responder import FIRST, PORT, SCANNER, Range
from tests.lab.scan import scan

FIRST6 = "2001:db8:64::1"


@pytest.fixture
def hosts(lab: Lab) -> Any:
    """Writes the hosts file that `ip netns exec` puts in the place of /etc/hosts."""
    made: list[Path] = []

    def write(namespace: str, text: str, servers: str = "") -> None:
        directory = Path("/etc/netns") / namespace
        directory.mkdir(parents=True)
        made.append(directory)
        (directory / "hosts").write_text(text)
        (directory / "resolv.conf").write_text(servers or "options timeout:1 attempts:1\n")

    yield write
    for directory in made:
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()


@pytest.mark.root
def test_names_networks_and_urls_are_scanned(arena: Range, hosts: Callable[..., None]) -> None:
    hosts(arena.scanner.name, f"{FIRST} first.example\n")
    arena.respond(first=FIRST, count=8, port=PORT, source=SCANNER, classes="h")
    text = (
        f"first.example:{PORT}\nhttp://nowhere.example:{PORT}/\n{FIRST}/29:{PORT}\n"
        f"http://{FIRST}:{PORT}/path\nnonsense\n"
    )
    found = scan(arena.scanner, "-sendSYNs", "-handshakes", "http", "-rt", "0.3", "-t", "6", lines=text)
    assert found.returncode == 0, found.stderr
    assert len(found.records) == len({record["saddr"] for record in found.records}) == 8
    assert found.labels() == {"http": 8}
    assert (
        "inputs: 12 read = 8 recorded + 1 unparsable + 2 duplicate + 1 name without an address (agree)"
        in found.stderr
    )
    assert f"first.example is {FIRST}" in found.stderr
    assert "line 2: nowhere.example: " in found.stderr
    assert "line 5: no port: nonsense" in found.stderr


@pytest.mark.root
def test_a_name_stands_for_an_address_that_there_is_a_way_to(
    arena: Range, hosts: Callable[..., None]
) -> None:
    """A host without IPv4 reaches a name by its IPv6 address, also where the name has both."""
    hosts(arena.scanner.name, f"0.0.0.0 both.example\n{FIRST} both.example\n{FIRST6} both.example\n")
    arena.respond(port=PORT, source=SCANNER, classes="h")
    words = ("-sendSYNs", "-handshakes", "http", "-rt", "0.3", "-t", "6")
    found = scan(arena.scanner, *words, lines=f"both.example:{PORT}\n")
    assert [record["saddr"] for record in found.records] == [FIRST], found.stderr
    arena.scanner.ip("addr", "del", f"{SCANNER}/30", "dev", "eth0")
    found = scan(arena.scanner, *words, lines=f"both.example:{PORT}\n")
    assert [record["saddr"] for record in found.records] == [FIRST6], found.stderr
