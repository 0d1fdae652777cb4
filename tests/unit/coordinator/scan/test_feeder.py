"""Targets reach the worker that has their shard, in order, at the pace; nothing is lost while shards move."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from coordinator.input.intake import Intake
from coordinator.scan.feeder import BACKLOG, Feeder
from lzr.ipc import messages, packing
from lzr.ownaddresses import Sources
from lzr.ownership.ledger import Ledger
from lzr.pacing.pacer import Pacer
from lzr.packet.sharding import shard_of
from lzr.packet.ways import WayKind
from lzr.rows import Rows
from lzr.secrets import Secrets
from lzr.targets.lists import ListReader
from lzr.targets.screen import Overview, overview

SHARDS = 4
SECRETS = Secrets.derive(5)


class Worker:
    """A flow worker's end of the feed; full: it takes no more."""

    def __init__(self, name: str) -> None:
        self.name, self.number, self.full = name, 1, False
        self.feed = self
        self.got: list[Any] = []
        self._parts: list[bytes] = []
        self.looks = 0

    def send(self, part: Any, flags: int, copy: bool) -> None:
        if self.full:
            raise zmq.Again
        self._parts.append(bytes(part))
        if flags & zmq.SNDMORE:
            return
        message, _, _ = packing.unpack(self._parts)
        self._parts = []
        assert isinstance(message, messages.Targets)
        self.got.append(message.rows)

    def get(self, option: int) -> int:
        assert option == zmq.EVENTS
        self.looks += 1
        return 0 if self.full else int(zmq.POLLOUT)

    def lines(self) -> list[int]:
        return [line for rows in self.got for line in rows["line"].tolist()]


class Feeding:
    """A feeder with two workers, of which none has a shard yet."""

    def __init__(self, targets: int, rate: float | None = None) -> None:
        self.ledger = Ledger()
        self.intake = Intake(ListReader(), self.ledger)
        self.workers: list[Any] = [Worker("flow-0"), Worker("flow-1")]
        self.settled: list[int] = []
        self.unreachable: dict[int, int] = {}  # input lines, and the reason of each
        sources = Sources([(0, 0xFFFF0A000001)], [], (40000, 50000), SECRETS)
        routing: Any = SimpleNamespace(admit=self.kinds)
        accounts: Any = SimpleNamespace(unroutable=self.unroutable)
        self.feeder = Feeder(
            self.intake,
            sources,
            Pacer(rate, 0.0),
            routing,
            accounts,
            shard_key=SECRETS.shard,
            shards=SHARDS,
        )
        text = "".join(f"10.1.{at // 250}.{at % 250}:80\n" for at in range(targets))
        self.intake.feed(text.encode())

    def kinds(self, rows: Rows, seen: Overview) -> NDArray[np.uint8]:
        assert seen == overview(rows)
        return np.array(
            [self.unreachable.get(line, WayKind.RING) for line in rows["line"].tolist()], np.uint8
        )

    def unroutable(self, lines: NDArray[np.uint64], kinds: NDArray[np.uint8], rows: Rows) -> None:
        self.settled.extend(lines.tolist())
        self.intake.fates.lose(rows, kinds)

    def open(self, shard: int, place: int) -> None:
        self.feeder.open(shard, place, self.workers[place])

    def open_all(self) -> None:
        for shard in range(SHARDS):
            self.open(shard, shard % 2)

    def turn(self, now: float = 0.0) -> None:
        self.feeder.sort()
        self.feeder.dispatch(now)
        self.feeder.feed()

    def shards(self, place: int) -> set[int]:
        rows = self.workers[place].got
        return {int(shard) for part in rows for shard in shard_of(part, SECRETS.shard, SHARDS)}

    def all_lines(self) -> list[int]:
        return sorted(self.workers[0].lines() + self.workers[1].lines())


def test_each_target_goes_to_the_worker_of_its_shard_in_order() -> None:
    feeding = Feeding(500)
    feeding.open_all()
    feeding.turn()
    assert (feeding.shards(0), feeding.shards(1)) == ({0, 2}, {1, 3})
    assert feeding.all_lines() == list(range(500))
    for worker in feeding.workers:
        assert worker.lines() == sorted(worker.lines())
    assert (feeding.feeder.backlog, feeding.feeder.waiting) == (0, False)


def test_what_comes_for_a_shard_on_the_move_waits_for_its_next_worker() -> None:
    feeding = Feeding(500)
    feeding.open_all()
    feeding.feeder.sort()
    feeding.feeder.feed()
    feeding.feeder.close(1)
    feeding.turn()
    assert feeding.shards(1) == {3}
    left = feeding.feeder.backlog
    assert left == 500 - len(feeding.all_lines()) > 0
    assert not feeding.feeder.waiting  # nobody could take them
    feeding.open(1, 0)
    feeding.turn()
    assert feeding.shards(0) == {0, 1, 2}
    assert feeding.all_lines() == list(range(500))


def test_a_worker_without_room_holds_up_only_its_own() -> None:
    feeding = Feeding(500)
    feeding.open_all()
    feeding.workers[0].full = True
    feeding.turn()
    assert feeding.feeder.waiting
    assert not feeding.workers[0].got
    assert feeding.shards(1) == {1, 3}
    feeding.workers[0].full = False
    feeding.turn()
    assert feeding.all_lines() == list(range(500))


def test_a_small_batch_is_sent_without_a_look_at_the_room_and_kept_where_there_is_none() -> None:
    feeding = Feeding(500)
    feeding.open_all()
    feeding.workers[0].full = True
    feeding.turn()
    feeding.turn()
    assert [worker.looks for worker in feeding.workers] == [0, 0]
    feeding.intake.feed(b"".join(b"10.2.0.%d:80\n" % at for at in range(250)))
    feeding.turn()
    assert [worker.looks for worker in feeding.workers] == [1, 0], "now two batches wait for one"
    feeding.workers[0].full = False
    feeding.turn()
    assert feeding.all_lines() == list(range(750))


def test_nothing_leaves_before_every_shard_has_a_worker() -> None:
    feeding = Feeding(100)
    feeding.open(0, 0)
    feeding.turn()
    assert feeding.all_lines() == []
    feeding.open_all()
    feeding.turn()
    feeding.turn()
    assert feeding.all_lines() == list(range(100))


def test_what_a_lost_worker_owed_goes_out_again_on_connections_of_our_own() -> None:
    feeding = Feeding(500)
    feeding.open_all()
    feeding.turn()
    before = {line: port for rows in feeding.workers[1].got for line, port in zip(*ports(rows), strict=True)}
    owed = [line for rows in feeding.workers[1].got for line in mine(rows, 3)]
    feeding.workers[1].got.clear()
    feeding.feeder.close(3)
    feeding.feeder.sort()
    feeding.open(3, 1)
    feeding.feeder.try_again(3)
    assert feeding.feeder.sort() == [(3, len(owed))]
    feeding.feeder.feed()
    again = [rows for worker in feeding.workers for rows in worker.got if (rows["syn"] == 1).all()]
    found = {line: port for rows in again for line, port in zip(*ports(rows), strict=True)}
    assert set(owed) <= set(found)
    assert any(found[line] != before[line] for line in owed)


def test_the_pace_and_what_is_told_of_it() -> None:
    feeding = Feeding(500, rate=100.0)
    feeding.open_all()
    feeding.turn(0.0)
    first = len(feeding.all_lines())
    assert first < 500
    feeding.turn(1.0)
    assert first < len(feeding.all_lines()) <= first + 110
    seen = feeding.feeder.take_paced()
    assert (seen.held, seen.clogged, seen.begun) == (True, False, len(feeding.all_lines()))
    assert feeding.feeder.take_paced().begun == 0
    feeding.workers[0].full = feeding.workers[1].full = True
    feeding.turn(2.0)
    feeding.turn(3.0)
    assert feeding.feeder.take_paced().clogged


def test_what_is_given_up_is_what_no_worker_has() -> None:
    feeding = Feeding(500)
    feeding.open_all()
    feeding.workers[0].full = True
    feeding.turn()
    tickets = feeding.feeder.give_up()
    assert len(tickets) == 500 - len(feeding.all_lines())
    assert len(np.unique(tickets)) == len(tickets)
    assert feeding.feeder.backlog == 0
    feeding.ledger.withdraw(tickets)
    assert feeding.ledger.open == len(feeding.all_lines())


def test_what_cannot_be_reached_has_its_fate_here() -> None:
    feeding = Feeding(100)
    feeding.unreachable = {3: WayKind.NONE, 70: WayKind.REFUSED}
    feeding.open_all()
    feeding.turn()
    assert feeding.settled == [3, 70]
    assert feeding.intake.fates.unroutable == {"no route": 1, "refused by a route": 1}
    assert feeding.intake.fates.examples == {"no route": "10.1.0.3", "refused by a route": "10.1.0.70"}
    assert feeding.all_lines() == [line for line in range(100) if line not in (3, 70)]
    assert feeding.ledger.open == 98


def test_there_is_room_until_there_is_none() -> None:
    feeding = Feeding(100)
    assert feeding.feeder.has_room
    feeding.intake.feed(f"10.2.0.0/16:80-{81}\n".encode())
    while feeding.intake.pending and feeding.feeder.has_room:
        feeding.intake.more()
    assert not feeding.feeder.has_room
    assert feeding.feeder.backlog >= BACKLOG


def ports(rows: Any) -> tuple[list[int], list[int]]:
    return rows["line"].tolist(), rows["own_port"].tolist()


def mine(rows: Any, shard: int) -> list[int]:
    found: list[int] = rows["line"][shard_of(rows, SECRETS.shard, SHARDS) == shard].tolist()
    return found
