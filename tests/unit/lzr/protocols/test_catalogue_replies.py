"""Whole first replies get their names, whatever was sent; near misses get none."""

from __future__ import annotations

import pytest

from lzr.fingerprint.classifier import Classifier
from lzr.protocols import BY_NAME
from tests.rows import every_row
from tests.unit.lzr.protocols.replies import NAMED, NAMELESS

CLASSIFY = Classifier().classify


@every_row(NAMED)
def test_a_reply_has_its_name(name: str) -> None:
    assert {reply: CLASSIFY(reply) for reply in NAMED[name] if CLASSIFY(reply) != name} == {}


@pytest.mark.parametrize("sent", ["http", "tls", "wait", "newlines"])
def test_a_near_miss_has_none(sent: str) -> None:
    for reply in NAMELESS:
        assert CLASSIFY(reply) == "unknown"
        assert CLASSIFY(reply, BY_NAME[sent]) in ("unknown", "echo"), reply
