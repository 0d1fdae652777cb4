"""The input read ahead: nothing lost, nobody held up while we start, and pieces joined however they came."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.files import pipes
from coordinator.input import stream
from coordinator.input.stream import CHUNK, Stream
from tests.lab.net import wait_for

LINE = b'{ "saddr": "10.64.0.%d", "daddr": "10.1.0.2", "sport": 9002, "dport": 40000 }\n'


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Descriptors to read from and to write to. Who reads ahead of them ends before they are closed."""
    made: list[Stream] = []
    begin = Stream.__init__

    def noted(self: Stream, descriptor: int) -> None:
        made.append(self)
        begin(self, descriptor)

    monkeypatch.setattr(Stream, "__init__", noted)
    reads, writes = os.pipe()
    yield reads, writes
    for each in made:
        each.stop_reading_ahead()
    for descriptor in (reads, writes):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def lines(count: int, start: int = 0) -> list[bytes]:
    return [LINE % number for number in range(start, start + count)]


def write(descriptor: int, pieces: list[bytes], *, end: bool = True) -> threading.Thread:
    """Writes each by itself, in a thread."""

    def work() -> None:
        for piece in pieces:
            os.write(descriptor, piece)
        if end:
            os.close(descriptor)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def drain(from_: Stream) -> list[bytes]:
    """All that it gives, to the end."""
    found: list[bytes] = []
    while True:
        assert from_.ready() or select.select([from_.fileno()], [], [], 20)[0], "the input stands still"
        chunk = from_.read()
        if chunk == b"":
            return found
        if chunk is not None:
            found.append(chunk)


def all_read(made: Stream) -> None:
    wait_for(lambda: made._over, "the end, read ahead")


def test_many_small_writes_are_given_as_few(pipe: tuple[int, int]) -> None:
    """How often the loop has to come depends on the time they took and on their bytes, not on how many."""
    made, pieces = Stream(pipe[0]), lines(30_000)
    write(pipe[1], pieces)
    all_read(made)
    first, last = made._blocks[0][1], made._blocks[-1][1]
    found = drain(made)
    assert b"".join(found) == b"".join(pieces)
    assert len(found) <= (last - first) / stream._SPAN + len(b"".join(pieces)) / CHUNK + 1


def test_a_writer_is_not_held_up_however_many_pieces_wait(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than a pipe that tells of each could hold."""
    monkeypatch.setattr(stream, "CHUNK", 64)
    monkeypatch.setattr(stream, "_SMALL", 0)
    made, whole = Stream(pipe[0]), b"".join(lines(60_000))
    writer = write(pipe[1], [whole])
    writer.join(60)
    assert not writer.is_alive(), "nobody reads any more"
    all_read(made)
    assert len(made._blocks) > 65_536
    assert b"".join(drain(made)) == whole


def test_what_is_joined_is_as_old_as_its_first_piece(pipe: tuple[int, int]) -> None:
    made = Stream(pipe[0])
    os.write(pipe[1], b"first\n")
    wait_for(lambda: made.pending, "the first piece")
    first = made._blocks[0][1]
    os.write(pipe[1], b"second\n")
    os.close(pipe[1])
    all_read(made)
    found = []
    while (chunk := made.read()) != b"":
        assert chunk is not None
        found.append((chunk, made.age))
    assert b"".join(chunk for chunk, _ in found) == b"first\nsecond\n"
    assert found[0][1] == first
    assert all(age >= first for _, age in found)


def test_pieces_far_apart_keep_their_ages(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What came before the guard was up may have been reset, what came long after was not."""
    monkeypatch.setattr(stream, "_SPAN", 0.0)
    made = Stream(pipe[0])
    for piece in (b"first\n", b"second\n"):
        before = made._held
        os.write(pipe[1], piece)
        wait_for(lambda before=before: made._held > before, "a piece")  # type: ignore[misc]
    assert made.behind
    assert made.read() == b"first\n"
    early = made.age
    assert not made.behind
    assert made.read() == b"second\n"
    assert made.age > early


def test_it_goes_on_where_reading_ahead_has_ended(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without having been told to: what is held is bounded."""
    monkeypatch.setattr(stream, "_AHEAD", 4096)
    made, pieces = Stream(pipe[0]), lines(60_000)
    writer = write(pipe[1], pieces)
    all_read(made)
    assert writer.is_alive(), "nothing pushed back"
    assert b"".join(drain(made)) == b"".join(pieces)
    writer.join(20)


def test_what_is_read_ahead_last_comes_before_what_follows(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread keeps a piece and ends just when the loop has seen that there is none."""

    class Blocks(deque[tuple[bytearray, float]]):
        looks = 0

        def __bool__(self) -> bool:
            found = len(self) > 0
            self.looks += 1
            if self.looks == 2:
                self.append((bytearray(b"before\n"), 0.0))
                made._over = True
                os.eventfd_write(made._wake, 1)
            return found

    monkeypatch.setattr(Stream, "_read_ahead", lambda self: None)
    made = Stream(pipe[0])
    made._blocks = Blocks()
    os.write(pipe[1], b"after\n")
    os.close(pipe[1])
    assert b"".join(piece for piece in (made.read(), *drain(made)) if piece) == b"before\nafter\n"


@pytest.mark.parametrize("after", [0, 5, 5000])
def test_settling_loses_nothing(pipe: tuple[int, int], after: int) -> None:
    """Whenever it comes: before the first piece, between two, or among many."""
    made, pieces = Stream(pipe[0]), lines(10_000)
    write(pipe[1], pieces[:after], end=False).join(20)
    writer = write(pipe[1], pieces[after:])
    made.stop_reading_ahead()
    assert made.fileno() == pipe[0]
    assert b"".join(drain(made)) == b"".join(pieces)
    writer.join(20)


def test_the_end_alone(pipe: tuple[int, int]) -> None:
    made = Stream(pipe[0])
    os.close(pipe[1])
    assert drain(made) == []
    assert made.ready()
    assert made.read() == b""  # and again


def test_nothing_yet(pipe: tuple[int, int]) -> None:
    made = Stream(pipe[0])
    assert not made.ready()
    assert made.read() is None
    made.stop_reading_ahead()
    os.set_blocking(pipe[0], False)
    assert made.read() is None, "a reader that shares a pipe that does not block may be too late"


def test_a_full_pipe_is_noticed(pipe: tuple[int, int]) -> None:
    made = Stream(pipe[0])
    made.stop_reading_ahead()
    os.write(pipe[1], b"a line\n")
    assert made.read()
    assert not made.full
    writer = write(pipe[1], lines(40_000))
    wait_for(made._is_full, "a writer that has to wait")
    assert made.read()
    assert made.full
    drain(made)
    writer.join(20)


def test_a_fast_input_is_not_left_alone_for_long(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a pipe may not be widened, it is full soon."""
    monkeypatch.setattr(pipes, "_SIZES", ())
    made = Stream(pipe[0])
    made.stop_reading_ahead()
    os.write(pipe[1], b"x" * (made._pipe // 2))
    made._read_at -= 1000  # it took so long to come
    assert made.read()
    assert made.slack > 100
    os.write(pipe[1], b"x" * (made._pipe // 2))
    made._read_at -= 0.001
    assert made.read()
    assert 0 < made.slack < 100


def test_hoarding(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be taken is kept for later, in order, up to a bound, and not for ever."""
    made, pieces = Stream(pipe[0]), lines(30_000)
    made.stop_reading_ahead()
    writer = write(pipe[1], pieces)
    while writer.is_alive():
        made.read_on()
    assert made.pending
    wait_for(lambda: made.read_on() or made._ended, "the end")  # type: ignore[func-returns-value]
    assert b"".join(drain(made)) == b"".join(pieces)


@pytest.mark.parametrize("bound", ["_AHEAD", "_STALE"])
def test_hoarding_has_bounds(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(stream, bound, 0)
    made = Stream(pipe[0])
    made.stop_reading_ahead()
    for piece in lines(3):
        os.write(pipe[1], piece)
        made.read_on()
    held = made._held
    assert not made.overtaken, "there is room in the pipe"
    assert held <= len(lines(1)[0])
    os.close(pipe[1])
    assert b"".join(drain(made)) == b"".join(lines(3))


def test_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, writes = socket.socketpair()
    with reads, writes:
        made, pieces = Stream(reads.fileno()), lines(5000)
        writer = write(os.dup(writes.fileno()), pieces)
        writes.close()
        assert b"".join(drain(made)) == b"".join(pieces)
        writer.join(20)
        assert not made.full


def test_a_file_is_old(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"".join(lines(5000)))
    with path.open("rb") as file:
        made = Stream(file.fileno())
        first = made.read()
        assert first
        assert made.age == float("inf")
        made.read_on()
        assert not made.pending
        assert first + b"".join(drain(made)) == path.read_bytes()


def test_how_many_inputs_a_file_holds_is_estimated_from_what_was_read_of_it(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"10.0.0.1:80\n" * 60_000)
    with path.open("rb", buffering=0) as file:
        file.read(12 * 100)  # somebody else's
        made = Stream(file.fileno())
        assert made.total(0) is None
        first = made.read()
        assert first is not None
        assert len(first) == CHUNK
        assert abs((made.total(CHUNK // 12) or 0) - 59_900) <= 1
        drain(made)
        assert made.total(59_900) == 59_900
        path.write_bytes(b"")  # cut while it is read
        assert made.total(59_900) == 59_900


def test_how_many_inputs_a_pipe_will_bring_is_not_known(pipe: tuple[int, int]) -> None:
    made = Stream(pipe[0])
    write(pipe[1], [LINE % 1]).join(20)
    assert drain(made)
    assert made.total(1) is None


@pytest.mark.parametrize(
    ("has", "allowed", "then"),
    [
        (1 << 16, 1 << 20, 1 << 20),
        (1 << 16, 1 << 18, 1 << 18),
        (1 << 12, 0, 1 << 12),
        (1 << 21, 1 << 21, 1 << 21),
    ],
)
def test_a_pipe_is_widened_as_far_as_allowed_and_never_narrowed(
    monkeypatch: pytest.MonkeyPatch, has: int, allowed: int, then: int
) -> None:
    """What a user may have in pipes is bounded over all of them: pipe(7)."""
    size = has

    def kernel(_: int, command: int, wanted: int = 0) -> int:
        nonlocal size
        if command == fcntl.F_SETPIPE_SZ:
            if wanted > allowed:
                raise PermissionError(1, "Operation not permitted")
            size = wanted
        return size

    monkeypatch.setattr(pipes.fcntl, "fcntl", kernel)
    assert pipes.widen(0) == size == then


def test_what_is_no_pipe_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        assert pipes.widen(file.fileno()) == 0
    assert pipes.widen(12345) == 0


def test_who_cannot_be_helped_by_hoarding_is_noticed(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_AHEAD", 1 << 12)
    made, pieces = Stream(pipe[0]), lines(40_000)
    made.stop_reading_ahead()
    writer = write(pipe[1], pieces)
    wait_for(lambda: made.read_on() or made.overtaken, "a full pipe")  # type: ignore[func-returns-value]
    assert b"".join(drain(made)) == b"".join(pieces)
    writer.join(20)


def test_it_is_read_where_no_thread_can_be_started(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    reader, writer = pipe
    os.write(writer, LINE % 1)
    os.close(os.dup(writer))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        made = Stream(reader)
    assert made.fileno() == reader
    assert made.read() == LINE % 1
    made.stop_reading_ahead()
    assert not made.ready()
