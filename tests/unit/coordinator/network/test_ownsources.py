"""Which of our addresses ZMap's rows name: each once, whatever they have in common, and only a few."""

from __future__ import annotations

import errno
import os
import socket

import numpy as np
import pytest

from coordinator.network.ownsources import OwnSources, is_own
from coordinator.network.survey import MOST_SOURCES
from lzr import addresses
from lzr.rows import TARGET, Opening, Rows


def rows(*own: str, syn: int = Opening.TAKEN) -> Rows:
    made = np.zeros(len(own), TARGET)
    for row, text in zip(made, own, strict=True):
        row["own_hi"], row["own_lo"] = addresses.parse(text)
    made["syn"] = syn
    return made


def seen(own: OwnSources) -> list[str]:
    return [str(address) for address in own.seen]


def test_each_is_taken_up_once() -> None:
    own = OwnSources([])
    assert own.note_seen([rows("192.0.2.1", "192.0.2.1"), rows("192.0.2.2", "192.0.2.1")])
    assert seen(own) == ["192.0.2.1", "192.0.2.2"]
    assert not own.note_seen([rows("192.0.2.2", "192.0.2.1")])


def test_addresses_with_the_same_low_half_are_two() -> None:
    own = OwnSources([])
    assert own.note_seen([rows("2001:db8:1::1")])
    assert own.note_seen([rows("2001:db8:2::1", "2001:db8:1::1")])
    assert seen(own) == ["2001:db8:1::1", "2001:db8:2::1"]


def test_what_we_open_names_no_address() -> None:
    own = OwnSources([])
    assert not own.note_seen([rows("192.0.2.1", syn=Opening.OURS)])


def test_no_more_than_a_few_are_taken_up() -> None:
    own = OwnSources([])
    many = [f"192.0.2.{last}" for last in range(MOST_SOURCES + 5)]
    assert own.note_seen([rows(*many)])
    assert seen(own) == many[:MOST_SOURCES]
    assert not own.note_seen([rows(*many)])


def test_of_a_family_that_the_kernel_has_not_no_address_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    monkeypatch.setattr(socket, "socket", refuse)
    assert not is_own("2001:db8::1")
