"""Links of a kind that not every kernel has. What it lacks is the one reason for which a test may be skipped
where all have to run: nothing that could be installed would help."""

from __future__ import annotations

import pytest

from tests.lab.net import LabError, Namespace, run

MODULES = {
    "bond": "bonding",
    "gre": "ip_gre",
    "ipip": "ipip",
    "macvlan": "macvlan",
    "sit": "sit",
    "vlan": "8021q",
    "vrf": "vrf",
    "wireguard": "wireguard",
}
"""A kind of link -> the kernel's module that makes it."""


class KernelLacksError(pytest.skip.Exception):  # type: ignore[name-defined,misc,unused-ignore]
    """This kernel has no such links; skips the test, in continuous integration too."""


def add(where: Namespace, name: str, kind: str, *options: str, on: str | None = None) -> None:
    """`ip link add [link ON] name NAME type KIND OPTIONS`, which loads the module if there is one.

    Raises KernelLacksError, naming the module, if the kernel does not know the kind; LabError for all else.
    """
    module = MODULES[kind]
    below = ("link", on) if on else ()
    words = ("ip", "-n", where.name, "link", "add", *below, "name", name, "type", kind, *options)
    done = run(*words, check=False)
    if "Unknown device type" in done.stderr:
        raise KernelLacksError(f"this kernel has no links of type {kind} (module {module})")
    if done.returncode:
        raise LabError(f"{' '.join(words)}: {done.stderr}")
