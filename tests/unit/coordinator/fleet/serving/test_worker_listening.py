"""Where a box's worker listens, and what its controller is told to call it."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from coordinator.fleet.serving.worker import listening
from lzr.errors import UsageError
from lzr.fleet.plan import Box
from tests.unit.coordinator.fleet.engine.ports import free_port

AWAY = "192.0.2.1:8786"
"""A controller that is not on this host, so that the loopback is nobody's but ours."""
HERE = "127.0.0.1:8786"
ASK = socket.getaddrinfo


def box(address: str, port: int) -> Box:
    return Box("fra1", "", ("198.51.100.1",), address=address, port=port)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Name -> addresses, as /etc/hosts would have them; and who is reached from the loopback."""
    found: dict[str, list[str]] = {}

    def asked(name: str, port: Any, *more: Any, **words: Any) -> list[Any]:
        return [row for text in found.get(name, [name]) for row in ASK(text, port, *more, **words)]

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    monkeypatch.setattr(
        "coordinator.fleet.serving.examining.own_address",
        lambda controller: "127.0.0.1" if controller == HERE else "198.51.100.1",
    )
    return found


@pytest.mark.parametrize("only_here", [["127.0.1.1"], ["::1"], ["127.0.1.1", "::1"]])
def test_a_name_that_is_the_loopbacks_here_is_left_to_the_controller(
    hosts: dict[str, list[str]], only_here: list[str]
) -> None:
    hosts["fra1"] = only_here
    port = free_port()
    assert listening(box("fra1", port), AWAY) == ("0.0.0.0", f"tls://fra1:{port}")


def test_an_address_of_ours_goes_before_the_loopback(hosts: dict[str, list[str]]) -> None:
    # One that every host has and that is no loopback by its number.
    hosts["fra1"] = ["127.0.1.1", "0.0.0.0"]
    assert listening(box("fra1", free_port()), AWAY) == ("0.0.0.0", None)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_the_loopback_is_taken_where_the_plan_names_it(hosts: dict[str, list[str]], address: str) -> None:
    host, contact = listening(box(address, free_port()), AWAY)
    assert host.startswith("127.") or host == "::1"
    assert contact is None


def test_with_a_controller_on_this_host_the_loopback_will_do(hosts: dict[str, list[str]]) -> None:
    hosts["fra1"] = ["127.0.1.1"]
    assert listening(box("fra1", free_port()), HERE) == ("127.0.1.1", None)


def test_an_address_of_another_host_is_called_by_it(hosts: dict[str, list[str]]) -> None:
    port = free_port()
    assert listening(box("192.0.2.77", port), AWAY) == ("0.0.0.0", f"tls://192.0.2.77:{port}")
    assert listening(box("2001:db8::77", port), AWAY) == ("::", f"tls://[2001:db8::77]:{port}")


@pytest.mark.parametrize("address", ["127.0.0.1", "fra1"])
def test_a_port_that_is_taken_is_said(hosts: dict[str, list[str]], address: str) -> None:
    hosts["fra1"] = ["127.0.1.1"]
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        with pytest.raises(UsageError, match=f"port {other.getsockname()[1]} of {address} is taken"):
            listening(box(address, other.getsockname()[1]), AWAY)
