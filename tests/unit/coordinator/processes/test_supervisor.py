"""The coordinator and its processes, with real sockets: what it orders, and what it does not believe."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq

from coordinator.monitor.meter import Meter
from coordinator.processes import pool as pools
from coordinator.processes.child import Child
from coordinator.processes.pool import Pool
from coordinator.processes.rundir import RunDir
from coordinator.processes.supervisor import ProcessFault, ResultsWritten, Stats, Supervisor, SweepFound
from lzr.ipc import messages
from lzr.ipc.credentials import Credentials, verified
from lzr.ipc.job import Spawn, unpack_spawn
from lzr.ipc.packing import pack, unpack
from lzr.ipc.schema import Message
from lzr.ownership.events import Adopted, Died, Event, Want
from lzr.ownership.orders import News, ShardClosed, ShardOpened, TryAgain
from lzr.rows import FLOW, TARGET, FlowState
from tests.lab.net import wait_for
from tests.messagesamples import SAMPLES, mutated

C0, F0 = "collect-0.1", "flow-0.1"


class Holding:
    """A ledger that finds every input where it is said to be."""

    def __init__(self) -> None:
        self.holds: Callable[[int, int, Any], bool] = lambda number, shard, tickets: True

    def moved(self, shard: int, holder: int) -> None:
        """Nothing has to be known of it."""


class Scene:
    """A supervisor whose fork server forks nobody; the test speaks for it and for the processes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        start = subprocess.Popen

        def instead(words: list[str], **_: Any) -> Any:
            self.control = os.dup(int(words[-1]))
            return start(["cat"], stdin=self.control, stdout=subprocess.DEVNULL, start_new_session=True)

        with monkeypatch.context() as patch:
            patch.setattr(pools.subprocess, "Popen", instead)
            self.rundir = RunDir((os.getuid(), os.getgid()))
            self.pool = Pool(self.rundir)
        spawn_as_ever = self.pool.spawn

        def spawned(*words: Any, **more: Any) -> Child:
            child = spawn_as_ever(*words, **more)
            child.open_to(os.getpid())  # the test speaks for all of them,
            child.pid = 0  # and does not end with them
            return child

        monkeypatch.setattr(self.pool, "spawn", spawned)
        self.killed: list[str] = []
        monkeypatch.setattr(self.pool, "kill", lambda child: self.killed.append(child.name))
        self.notes: list[str] = []
        self.ledger = Holding()
        ledger: Any = self.ledger
        self.supervisor = Supervisor(
            self.pool, 2, ledger, list, list, Meter(0.0), self.notes.append, lambda _: None
        )
        self.context: zmq.Context[Any] = zmq.Context()
        self.reports = self.connect(zmq.PUSH, "reports")
        self.news: list[News] = []
        self.written: list[ResultsWritten] = []

    def connect(self, kind: int, name: str) -> Any:
        sock = self.context.socket(kind)
        sock.setsockopt(zmq.LINGER, 0)
        sock.connect(f"ipc://{self.rundir.here}/{name}")
        return sock

    def child(self, name: str) -> Child:
        return self.pool.children[name]

    def send(self, parts: list[Any]) -> None:
        """Something comes to where reports come, from whoever it is."""
        # Where a connection has been closed, what is sent before ZeroMQ has noticed that is lost.
        wait_for(lambda: self.pool.reports._connections or self.pool.reports.poll(20), "a connection")
        self.reports.send_multipart(parts)
        assert self.pool.reports.poll(5000)

    def say(self, name: str, report: Message) -> list[Any]:
        """The process reports this."""
        self.send(pack(report, name, self.child(name).token))
        return self.turn()

    def turn(self) -> list[Any]:
        found = list(self.supervisor.reports())
        for report in found:
            if isinstance(report, Event):
                self.news += self.supervisor.handle(report, 0.0)
        return found

    def start(self) -> None:
        self.supervisor.handle(Want(1, 1), 0.0)
        self.say(C0, messages.Ready())
        self.say(F0, messages.Ready())
        for shard in (0, 1):
            self.say(F0, messages.Adopted(shard))
        assert self.news == [ShardOpened(shard, F0, 0, None) for shard in (0, 1)]
        self.news.clear()

    def close(self) -> None:
        self.context.destroy(linger=0)
        os.close(self.control)
        self.pool.close()


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    found = Scene(monkeypatch)
    yield found
    found.close()


def orders_of(scene: Scene, name: str) -> list[Message]:
    """What the process of this name has been told."""
    sock = scene.connect(zmq.PULL, f"orders-{name}")
    found: list[Message] = []
    for _ in range(100):
        scene.supervisor.push()
        if sock.poll(50 if not found else 300):
            found.append(unpack(sock.recv_multipart()).message)
        elif found:
            break
    sock.close()
    return found


def test_a_death_and_all_that_follows(scene: Scene) -> None:
    scene.start()
    event = {"event": "died", "name": F0, "pid": 5, "status": -9}
    os.write(scene.control, msgpack.packb(event))
    assert Died(F0, -9) in scene.turn()
    assert scene.news == [ShardClosed(0), ShardClosed(1)]
    assert scene.notes == ["flow-0.1 (pid 0) ended with status -9; a successor takes over"]
    told = orders_of(scene, C0)
    assert told == [messages.Fence(2)]
    scene.say("flow-0.2", messages.Ready())
    adopt, again, send_to = orders_of(scene, "flow-0.2")
    assert isinstance(adopt, messages.Adopt)
    assert isinstance(again, messages.Adopt)
    assert (adopt.shard, again.shard, len(adopt.flows)) == (0, 1, 0)
    assert send_to == messages.SendTo(C0)
    scene.news.clear()
    scene.say("flow-0.2", messages.Adopted(0))
    assert not scene.news
    scene.say(C0, messages.Fenced(2))
    assert [type(each) for each in scene.news] == [ShardOpened, TryAgain]


def test_what_a_dead_process_had_reported_comes_before_its_death(scene: Scene) -> None:
    scene.start()
    os.write(scene.control, msgpack.packb({"event": "died", "name": F0, "pid": 5, "status": 1}))
    scene.send(pack(messages.Fault("no such device"), F0, scene.child(F0).token))
    assert scene.turn() == [ProcessFault("no such device", gone=False), Died(F0, 1)]


def test_what_is_not_taken_comes_the_next_time(scene: Scene) -> None:
    """Whoever breaks off at a fault finds what had come after it."""
    scene.start()
    for shard in (0, 1):
        scene.send(pack(messages.Adopted(shard), F0, scene.child(F0).token))
    found: list[Any] = []
    for _ in range(100):
        found += itertools.islice(scene.supervisor.reports(), 1)  # whoever takes them breaks off after each
        scene.pool.reports.poll(20)
    assert found == [Adopted(F0, 0), Adopted(F0, 1)]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_every_kind_with_every_field_wrong(scene: Scene, sample: Message) -> None:
    """Nothing is raised; what cannot be is counted and costs its sender, and only its sender."""
    scene.start()
    name = C0 if type(sample) in messages.REPORTS["collect"] else F0
    believed = sent = 0
    for parts in mutated(sample, name, scene.child(name).token):
        scene.child(name).distrusted = False
        before = scene.supervisor.refused
        scene.send(parts)
        found = list(scene.supervisor.reports())
        believed += len(found)
        sent += 1
        assert len(found) + scene.supervisor.refused - before == 1
    assert sent > 40
    assert believed < sent / 2
    assert set(scene.killed) == {name}
    assert all(note.isprintable() for note in scene.notes)


def test_who_sends_what_cannot_be_is_believed_no_more(scene: Scene) -> None:
    scene.start()
    token = scene.child(F0).token
    for parts in (pack(messages.Stop(), F0, token), pack(messages.Ready(), F0, token)):
        scene.send(parts)
        assert scene.turn() == []
    assert scene.supervisor.refused == 2
    assert scene.killed == [F0]
    assert len(scene.notes) == 1


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_nobody_speaks_in_anothers_name(scene: Scene, sample: Message) -> None:
    """Another process of the same user knows all names, and no token but its own."""
    scene.start()
    own = scene.child(F0).token
    for name, token in ((C0, own), (C0, b""), (C0, bytes(16)), ("collect-0.2", own), ("", own), ("", b"")):
        for parts in (pack(sample, name, token), [pack(sample, name, token)[0][:-1], b"x"]):
            scene.send(parts)
            assert scene.turn() == []
    assert scene.supervisor.refused == 12
    assert not scene.killed
    assert len(scene.notes) <= 5


@pytest.mark.parametrize(("name", "role"), [(F0, "flow"), (C0, "collect")])
def test_a_process_reports_only_what_its_kind_does(scene: Scene, name: str, role: str) -> None:
    scene.start()
    for sample in SAMPLES:
        if type(sample) in messages.REPORTS[role]:
            continue
        scene.child(name).distrusted = False
        before = scene.supervisor.refused
        scene.send(pack(sample, name, scene.child(name).token))
        assert scene.turn() == []
        assert scene.supervisor.refused == before + 1


def test_hosts_that_a_flow_worker_has_found_outlive_its_message(scene: Scene) -> None:
    scene.start()
    hosts = np.array([0, 0xFFFF_C000_0201, 1, 7], np.uint64)
    (found,) = scene.say(F0, messages.Firewalls(hosts))
    assert isinstance(found, SweepFound)
    assert (found.name, found.hosts.tolist()) == (F0, hosts.tolist())
    assert found.hosts.flags.owndata
    assert not scene.killed


def test_only_who_writes_can_say_that_the_reader_has_gone(scene: Scene) -> None:
    scene.start()
    assert scene.say(F0, messages.Fault("", gone=True)) == []
    assert scene.killed == [F0]
    assert scene.say(C0, messages.Fault("", gone=True)) == [ProcessFault("", gone=True)]


def test_a_sentence_is_shown_without_what_moves_a_terminal(scene: Scene) -> None:
    scene.start()
    (fault,) = scene.say(F0, messages.Fault("\x1b[2Jall is well\n\u202e"))
    assert isinstance(fault, ProcessFault)
    assert fault.reason.isprintable()
    assert fault.reason.isascii()


def test_last_words_of_one_that_was_buried(scene: Scene) -> None:
    scene.start()
    token = scene.child(F0).token
    os.write(scene.control, msgpack.packb({"event": "died", "name": F0, "pid": 5, "status": 1}))
    scene.turn()
    figures = messages.FlowStats(True, *range(5), True, *range(13), {}, {}, 0, 0, {})  # type: ignore[call-arg]
    scene.send(pack(figures, F0, token))
    (stats,) = scene.turn()
    assert isinstance(stats, Stats)
    assert (stats.name, stats.last, stats.figures["index"]) == (F0, True, 0)
    assert scene.supervisor.refused == 0


def test_each_process_is_given_a_token_of_its_own(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a pipe: what passes through the fork server, every later child remembers."""
    found: dict[str, tuple[Spawn, Credentials]] = {}

    def sent(_: Any, data: list[bytes], descriptors: list[int]) -> None:
        spawn = unpack_spawn(data[0])
        found[spawn.name] = spawn, Credentials.unpack(os.read(descriptors[0], 64))
        assert not any(found[spawn.name][1].token in part for part in data)

    monkeypatch.setattr(pools.socket, "send_fds", sent)
    scene.supervisor.handle(Want(2, 2), 0.0)
    tokens = {name: known.token for name, (_, known) in found.items()}
    assert tokens == {name: child.token for name, child in scene.pool.children.items()}
    assert len(set(tokens.values())) == 4
    assert {len(token) for token in tokens.values()} == {16}
    assert not any(spawn.token or spawn.results for spawn, _ in found.values())
    (key,) = {known.results for name, (_, known) in found.items() if name.startswith("collect")}
    for name, (spawn, known) in found.items():
        if spawn.role == "flow":
            assert verified(key, f"{name}#{spawn.number}", known.results) == (name, spawn.number)
            assert known.results != key


def test_orders_and_targets_are_for_one_process_alone(scene: Scene) -> None:
    """Another process of the run finds the socket, and is not let in."""
    scene.start()
    code = (
        "import sys, zmq\n"
        "context = zmq.Context()\n"
        "for name in sys.argv[2:]:\n"
        "    sock = context.socket(zmq.PULL)\n"
        "    sock.connect(f'ipc://{sys.argv[1]}/{name}')\n"
        "    print(sock.poll(500))\n"
        "context.destroy(linger=0)\n"
    )
    path = str(scene.rundir.path)
    scene.child(F0).order(messages.WrittenUpTo(1))
    words = [sys.executable, "-c", code, path, f"orders-{F0}", f"feed-{F0}"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.split() == ["0", "0"]
    assert orders_of(scene, F0)[-1] == messages.WrittenUpTo(1)


@pytest.mark.parametrize(
    "event",
    [
        b"\xc1",
        msgpack.packb([1]),
        msgpack.packb({"event": "spawned", "name": F0}),
        msgpack.packb({"event": "spawned", "name": F0, "pid": -1}),
        msgpack.packb({"event": "spawned", "name": "\x1b[2J", "pid": 1}),
        msgpack.packb({"event": "risen", "name": F0, "pid": 1}),
        msgpack.packb({"event": "died", "name": F0, "pid": 1, "status": 1 << 40}),
        msgpack.packb({"event": "died", "name": F0, "pid": 1, "status": 0, "more": 1}),
    ],
)
def test_what_the_fork_server_tells_is_checked(scene: Scene, event: bytes) -> None:
    """It cannot be replaced: the scan ends with a sentence."""
    os.write(scene.control, event)
    with pytest.raises(ChildProcessError, match="no event") as failure:
        scene.turn()
    assert str(failure.value).isprintable()


def test_what_a_collector_refuses_costs_its_sender(scene: Scene) -> None:
    scene.start()
    assert scene.say(C0, messages.RefusedMessage("Outcomes: a reason that is none", F0, 0)) == []
    assert scene.killed == [F0]
    assert scene.notes == [
        f"{F0} sent what cannot be (says {C0}: Outcomes: a reason that is none): it is ended"
    ]
    scene.say(C0, messages.RefusedMessage("Outcomes in the name of 'x', by somebody else", "", 1))
    assert scene.killed == [F0]
    assert scene.supervisor.refused == 2
    assert "a message is not believed" in scene.notes[-1]


def test_who_floods_a_collector_is_known_by_the_connection(scene: Scene) -> None:
    scene.start()
    scene.child(F0).pid = 4_000_001
    scene.say(C0, messages.RefusedMessage("a message of more than 40 parts", "", 4_000_001))
    assert scene.killed == [F0]


def test_results_of_inputs_that_are_not_its_own_cost_the_worker_and_not_the_scan(scene: Scene) -> None:
    """Who wrote them believed them: it is replaced, so that they are cut off, and is not to blame."""
    scene.start()
    number = scene.child(F0).number
    scene.supervisor.refuse_results("results of others", {number}, C0)
    assert scene.killed == [F0, C0]
    assert scene.notes[0].startswith(f"{F0} sent what cannot be")
    assert scene.notes[1:] == [f"{C0} is replaced, so that they are not in the output"]
    assert scene.supervisor.refused == 1


def test_results_of_a_worker_that_there_is_not_are_the_collectors_own(scene: Scene) -> None:
    scene.start()
    scene.supervisor.refuse_results("results of others", {999}, C0)
    assert scene.killed == [C0]
    assert scene.notes == [f"{C0} sent what cannot be (results of others): it is ended"]


def test_a_released_shard_outlives_its_message(scene: Scene) -> None:
    scene.start()
    scene.supervisor.want(2, 1, 0.0)
    scene.say("flow-1.1", messages.Ready())
    sample = next(each for each in SAMPLES if isinstance(each, messages.Released))
    released = messages.Released(1, *(getattr(sample, name) for name in sample.columns))
    scene.say(F0, released)
    orders = orders_of(scene, "flow-1.1")
    (adopt,) = (order for order in orders if isinstance(order, messages.Adopt))
    for name in adopt.columns:
        sent = getattr(released, name)
        assert getattr(adopt, name).tobytes() == (
            sent if isinstance(sent, bytes) else np.asarray(sent).tobytes()
        )


def test_a_shard_is_not_released_with_inputs_of_others(scene: Scene) -> None:
    """Else whoever adopts it would settle them, and be taken for the liar."""
    scene.start()
    scene.supervisor.want(2, 1, 0.0)
    scene.say("flow-1.1", messages.Ready())
    asked: list[tuple[int, int, list[int]]] = []

    def holds(number: int, shard: int, tickets: Any) -> bool:
        asked.append((number, shard, tickets.tolist()))
        return False

    scene.ledger.holds = holds
    sample = next(each for each in SAMPLES if isinstance(each, messages.Released))
    flows = np.zeros(3, FLOW)
    flows["state"], flows["ticket"] = (
        [FlowState.SYN_SENT, FlowState.FIREWALL_CHECK, FlowState.ACKED],
        [7, 8, 9],
    )
    columns = {name: getattr(sample, name)[:0] for name in sample.columns} | {"flows": flows}
    targets = np.zeros(1, TARGET)
    targets["ticket"] = 5
    columns["targets"] = targets
    scene.say(F0, messages.Released(1, *(columns[name] for name in sample.columns)))
    assert asked == [(scene.child(F0).number, 1, [7, 9, 5])], "firewall checks have their flow's ticket"
    assert scene.killed == [F0]
    assert not [order for order in orders_of(scene, "flow-1.1") if isinstance(order, messages.Adopt)]


@pytest.mark.attack
def test_reports_without_effect_do_not_fill_a_debug_log(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.start()
    told: list[str] = []
    monkeypatch.setattr(scene.supervisor, "_tell", told.append)
    for _ in range(3000):
        assert scene.supervisor.handle(Adopted(F0, 0), 1.0) == []
    assert len(told) == 1000
    assert told[0].startswith("ignored, since it is not true or too late: Adopted(")
    assert max(map(len, told)) <= 200
