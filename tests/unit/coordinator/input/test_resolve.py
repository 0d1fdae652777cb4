"""Names in lists: looked up once, beside the scan, bounded in time and memory; every input keeps its fate."""

from __future__ import annotations

import select
import socket
import threading
from collections import Counter
from typing import Any

import pytest

from coordinator.input import resolve
from coordinator.input.intake import Admission, Intake
from coordinator.input.resolve import Resolved, Resolver, choose
from lzr import addresses
from lzr.addresses import parse, text
from lzr.ownership.ledger import Ledger
from lzr.targets.lists import ListReader
from tests.unit.coordinator.input.test_intake import fates, run, sum_agrees


def entry(address: str) -> Any:
    six = ":" in address
    return (socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))


HOSTS = {
    "one.example": ["10.0.0.1"],
    "six.example": ["2001:db8::1"],
    "both.example": ["2001:db8::2", "10.0.0.2", "10.0.0.3"],
    "sink.example": ["0.0.0.0"],
}


class Names:
    """A `Lookup` that counts, and can be made to wait."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, name: str) -> list[Any]:
        self.asked[name] += 1
        self.gate.wait(20)
        if name not in HOSTS:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [entry(address) for address in HOSTS[name]]


@pytest.fixture
def names() -> Names:
    return Names()


def wait(resolver: Resolver, count: int) -> dict[str, Resolved]:
    found: dict[str, Resolved] = {}
    while len(found) < count:
        assert select.select([resolver.fileno()], [], [], 20)[0], "no answer"
        found |= {answer.name: answer for answer in resolver.answers()}
    return found


def test_a_name_is_its_first_address(names: Names) -> None:
    resolver = Resolver(names)
    for name in (*HOSTS, "gone.example"):
        assert resolver.ask(name) is None
    assert resolver.busy
    found = wait(resolver, 5)
    assert not resolver.busy
    assert {name: answer.halves and addresses.text(*answer.halves) for name, answer in found.items()} == {
        "one.example": "10.0.0.1",
        "six.example": "2001:db8::1",
        "both.example": "10.0.0.2",
        "sink.example": None,
        "gone.example": None,
    }
    assert found["gone.example"].why == "no such name, or it has no address"
    assert found["sink.example"].why == "its address cannot be scanned: the unspecified address"
    assert resolver.ask("one.example") == found["one.example"]
    assert resolver.ask("gone.example") == found["gone.example"]
    assert set(names.asked.values()) == {1}


def test_what_does_not_answer_is_given_up(names: Names) -> None:
    now = [100.0]
    names.gate.clear()
    resolver = Resolver(names, now=lambda: now[0])
    resolver.ask("one.example")
    while not names.asked:
        threading.Event().wait(0.001)
    assert not resolver.answers()
    now[0] += resolve.SECONDS + 1
    (answer,) = resolver.answers()
    assert answer == Resolved("one.example", None, "not answered for within 10 seconds")
    assert not resolver.busy
    names.gate.set()
    resolver.ask("six.example")
    assert wait(resolver, 1).keys() == {"six.example"}, "what comes late is not told twice"


def test_odd_answers() -> None:
    assert choose("a", []).halves is None
    assert choose("a", [entry("fe80::1%lo")]).halves is None
    assert choose("a", [entry("ff02::1")]).why.startswith("its address cannot be scanned")
    assert choose("a", [entry("0.0.0.0"), entry("192.0.2.1")]).halves == parse("192.0.2.1")

    def bad(name: str) -> list[Any]:
        raise OSError("too many open files")

    resolver = Resolver(bad)
    resolver.ask("a.example")
    assert wait(resolver, 1)["a.example"].why == "cannot be looked up: too many open files"


def test_what_there_is_a_way_to_comes_first() -> None:
    found = [entry("2001:db8::1"), entry("192.0.2.1"), entry("192.0.2.2"), entry("2001:db8::2")]

    def chosen(*routed: str) -> str:
        halves = choose("a", found, lambda family, address: address in routed).halves
        assert halves is not None
        return text(*halves)

    assert chosen("2001:db8::1", "192.0.2.1") == "192.0.2.1"
    assert chosen("192.0.2.2", "2001:db8::1") == "192.0.2.2"
    assert chosen("2001:db8::2") == "2001:db8::2"
    assert chosen() == "192.0.2.1"


# --- in the intake ---------------------------------------------------------------------------------------

TEXT = (
    b"one.example:80\ngone.example:1-3\n10.0.0.9:80\nboth.example:80,81\none.example:80\n"
    b"six.example:443\nnonsense\n10.0.0.1:80\n10.0.0.0/30:5\n"
)


def made(names: Names, **more: Any) -> Intake:
    return Intake(ListReader(), Ledger(), Admission(**more), resolver=Resolver(names))


def test_every_input_has_one_fate_with_names_too(names: Names) -> None:
    intake = made(names)
    rows = run(intake, TEXT)
    sum_agrees(intake, len(rows))
    assert fates(intake) == {"read": 15, "rejected": 1, "unresolved": 3, "duplicates": 2}
    found = {
        int(row["line"]): f"{addresses.text(int(row['peer_hi']), int(row['peer_lo']))} {row['peer_port']}"
        for row in rows
    }
    assert found[4] == "10.0.0.9 80"
    assert (found[5], found[6], found[8]) == ("10.0.0.2 80", "10.0.0.2 81", "2001:db8::1 443")
    assert list(found.values()).count("10.0.0.1 80") == 1
    assert [found[line] for line in range(11, 15)] == [f"10.0.0.{n} 5" for n in (0, 3, 2, 1)]
    assert "gone.example: no such name" in "".join(intake.refused)
    assert sorted(intake.sentences) == [
        "both.example is 10.0.0.2",
        "one.example is 10.0.0.1",
        "six.example is 2001:db8::1",
    ]
    assert set(names.asked.values()) == {1}


def test_boxes_share_names_by_their_spelling(names: Names) -> None:
    total = 0
    for shard in range(3):
        intake = made(names, shards=3, shard=(shard,))
        rows = run(intake, TEXT)
        sum_agrees(intake, len(rows))
        total += len(rows) + intake.fates.unresolved + intake.fates.duplicates
    assert total >= 13
    assert set(names.asked.values()) == {1}


def test_names_that_wait_hold_reading_back_and_can_be_given_up(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.gate.clear()
    intake = made(names)
    intake.feed(b"".join(b"h%d.example:80\n" % at for at in range(resolve.CROWD)))
    assert intake.crowded
    assert intake.parked
    assert intake.coming == resolve.CROWD
    assert intake.give_up() == resolve.CROWD
    assert not intake.parked
    names.gate.set()
    again = made(names)
    names.gate.clear()
    while not again.crowded:  # one name on ever so many lines
        again.feed(b"one.example:80\n" * 1000)
        while again.pending:
            again.more()
    assert again.coming <= 20_000
    names.gate.set()


# --- for real --------------------------------------------------------------------------------------------


def test_where_no_thread_can_be_started_names_are_refused(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control group's pids.max may be reached at any time; the threads that there are go on."""
    start, most = threading.Thread.start, [1]

    def limited(thread: threading.Thread) -> None:
        if not most[0]:
            raise RuntimeError("can't start new thread")
        most[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    few, none = Resolver(names), Resolver(names)
    for name in ("one.example", "six.example"):
        assert few.ask(name) is None
        assert none.ask(name) is None
    assert all(answer.halves for answer in wait(few, 2).values())
    assert {answer.why for answer in wait(none, 2).values()} == {resolve._NO_THREAD}
