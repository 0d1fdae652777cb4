"""Who speaks, and how others know it."""

from __future__ import annotations

import pytest

from lzr.ipc.credentials import Credentials, Sender, mark, verified

KEY = bytes(range(16))
FLOW = Sender("flow-0.1", 5)


def test_a_sender_is_known_by_what_it_shows() -> None:
    shown = mark(KEY, FLOW)
    assert len(shown) == 16
    assert verified(KEY, FLOW.text, shown) == FLOW
    assert FLOW.role == "flow"
    assert Credentials.unpack(Credentials(b"t" * 16, shown).pack()) == (b"t" * 16, shown)


@pytest.mark.parametrize(
    "text", ["flow-0.1#6", "flow-0.2#5", "collect-0.1#5", "flow-0.1", "", "flow-0.1#5\n", "#"]
)
def test_nobody_speaks_for_another(text: str) -> None:
    assert verified(KEY, text, mark(KEY, FLOW)) is None


@pytest.mark.parametrize("shown", [b"", bytes(16), KEY, mark(bytes(16), FLOW), mark(KEY, FLOW)[:-1]])
def test_what_is_shown_has_to_be_right(shown: bytes) -> None:
    assert verified(KEY, FLOW.text, shown) is None
