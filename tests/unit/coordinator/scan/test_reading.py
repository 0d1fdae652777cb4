"""The input is read when there is some and room for it; what was seen of it is told once."""

from __future__ import annotations

from typing import Any

from coordinator.input.intake import Admission, Intake
from coordinator.scan.reading import InputReading, Seen
from lzr.ownership.ledger import Ledger
from lzr.targets.lists import ListReader


class Input:
    """A stream that gives these chunks; an empty one is its end, None that there is nothing yet."""

    age, slack, full, behind, pending = 1.0, 0.01, False, False, False

    def __init__(self, *chunks: bytes | None) -> None:
        self.chunks = list(chunks)
        self.buffered, self.overtaken, self.settled = 0, False, False
        self.stream = self

    def ready(self) -> bool:
        return bool(self.chunks) and self.chunks[0] is not None

    def read(self) -> bytes | None:
        return self.chunks.pop(0)

    def read_on(self) -> None:
        self.buffered += 1

    def stop_reading_ahead(self) -> None:
        self.settled = True

    def fileno(self) -> int:
        return 77


def reading(stream: Any, **options: Any) -> tuple[InputReading, Intake, list[str]]:
    said: list[str] = []
    intake = Intake(ListReader(), Ledger(), Admission(**options))
    return InputReading(intake, stream, zmap_waits=True, note=said.append), intake, said


def test_a_small_chunk_is_followed_by_a_rest_and_the_end_by_nothing() -> None:
    stream = Input(b"10.0.0.1:80\n", b"10.0.0.2:80\n", b"")
    read, intake, _ = reading(stream)
    assert read.read(0.0, True)
    assert 0 < read.rest(0.0) <= stream.slack
    assert not read.read(0.001, True)
    assert intake.waiting == 1
    assert read.filenos() == [77]
    assert read.read(1.0, True)
    assert read.read(2.0, True)
    assert read.ended
    assert (intake.waiting, read.filenos(), read.rest(2.0)) == (2, [], 0.0)
    assert not read.read(3.0, True)


def test_without_room_nothing_is_read_but_zmap_is_not_kept_waiting() -> None:
    stream = Input(b"10.0.0.1:80\n")
    read, intake, said = reading(stream)
    assert not read.read(0.0, False)
    assert (stream.buffered, intake.waiting) == (1, 0)
    assert read.take_seen() == Seen(filled=True)
    assert read.take_seen() == Seen()
    stream.overtaken = True
    assert not read.read(0.0, False)
    assert not read.read(0.0, False)
    assert len(said) == 1
    assert "faster than it is scanned" in said[0]
    assert stream.buffered == 2


def test_an_input_that_has_nothing_starves_us() -> None:
    read, _, _ = reading(Input(None))
    assert not read.read(0.0, True)
    assert read.take_seen() == Seen(starved=True)


def test_an_input_that_waited_for_us_is_told_apart() -> None:
    stream = Input(b"10.0.0.1:80\n")
    stream.full = stream.pending = True
    read, _, _ = reading(stream)
    assert read.read(0.0, True)
    assert read.take_seen() == Seen(held_up=True)
    assert read.pending
    assert read.rest(0.0) == 0.0


def test_a_line_of_many_targets_comes_before_the_next_chunk() -> None:
    read, intake, _ = reading(Input(b"10.0.0.0/15:80\n", b"10.9.0.1:80\n"))
    assert read.read(0.0, True)
    assert intake.pending
    assert not read.read(1.0, True)  # not before the rest of that line
    before = intake.waiting
    assert not read.unfold(False)
    assert read.unfold(True)
    assert intake.waiting > before
    read.end()
    assert read.ended
    assert not intake.pending


def test_enough_targets_end_the_input() -> None:
    read, intake, _ = reading(Input(b"10.0.0.1:80\n10.0.0.2:80\n10.0.0.3:80\n", b""), max_targets=2)
    assert read.read(0.0, True)
    assert read.ended
    assert intake.waiting == 2


def test_once_we_are_up_with_it_the_input_can_wait() -> None:
    stream = Input()
    read, _, _ = reading(stream)
    stream.behind = True
    read.stop_reading_ahead()
    assert not stream.settled
    stream.behind = False
    read.stop_reading_ahead()
    assert stream.settled
