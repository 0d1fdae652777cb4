"""Lists of networks: several are one, names are all their addresses, what is no list is refused by name."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordinator.files.filereader import FileReader
from coordinator.input import networklists
from lzr import addresses
from lzr.errors import UsageError
from lzr.options.parse import parse


def lookup(name: str) -> list[Any]:
    if name == "two.example":
        return [(0, 0, 0, "", ("192.0.2.1", 0)), (0, 0, 0, "", ("2001:db8::1", 0, 0, 0))]
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def allowed(policy: Any, *texts: str) -> list[bool]:
    halves = [addresses.parse(text) for text in texts]
    hi, lo = (np.array([half[at] for half in halves], np.uint64) for at in (0, 1))
    return [bool(one) for one in policy.allowed(hi, lo)]


def test_lists_add_up_and_names_are_looked_up(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("10.0.0.0/8\n10.9.0.0-11.0.0.1\n")
    two.write_bytes("\ufefftwo.example  # a name\r\n198.51.100.3-9\r\n".encode())
    options = parse(["-b", str(one), "-b", str(two)])
    policy = networklists.policy(options, FileReader(), lookup)
    asked = ("10.1.1.1", "11.0.0.1", "11.0.0.2", "192.0.2.1", "2001:db8::1", "198.51.100.9", "198.51.100.10")
    assert allowed(policy, *asked) == [False, False, True, False, False, False, True]
    assert networklists.policy(parse([]), FileReader(), lookup) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            b"10.0.0.0/8\nnobody.example\n",
            "line 2: nobody.example is no network, and no name",
        ),
        (b"10.0.0.9-10.0.0.1\n", "line 1: '10.0.0.9-10.0.0.1' is neither an address nor a network"),
        (b"10.0.0.0/8-11.0.0.0\n", "is neither"),
        (b"10.0.0.1-fe80::1\n", "is neither"),
        (b"\x1f\x8b\x08\x00", r"is compressed \(gzip\)"),
        (b"\x7fELF\x02", "is no list of networks, it is a program"),
    ],
)
def test_what_is_no_list(tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / "list"
    path.write_bytes(text)
    with pytest.raises(UsageError, match=says):
        networklists.policy(parse(["--allowlist-file", str(path)]), FileReader(), lookup)


def test_names_are_looked_up_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert len(networklists.covered(["two.example"], [], FileReader(), lookup)) == 2
