"""Reads the input into the intake: a chunk at a time while there is room, small ones not too often."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from coordinator.input.intake import EARLY, Intake
from coordinator.input.plaintext import PlainText
from coordinator.input.stream import CHUNK, Stream

_SMALL = 1 << 14  # bytes: after a smaller chunk the next read waits for _PAUSE, so that more gathers
_PAUSE = 0.0155
"""Seconds between two small reads. `python -m benchmarks.calm` (1,000 lines a second, a busy machine): with
4, 15.5 and 60 ms all processes take 46, 26 and 14 % of a core, and the median from line to ACK is 5.1, 11.2
and 33.6 ms."""
_OVERTAKEN = (
    "the input comes faster than it is scanned, and its pipe is full: a ZMap that writes it loses answers "
    "from here on (drops in its own status; a lower rate there, more workers here)"
)


class Seen(Struct):
    """How the input was since the last `take_seen`.

    starved: it had nothing to read. filled: there was no room for more of it. held_up: more was waiting in it
    than was read at once.
    """

    starved: bool = False
    filled: bool = False
    held_up: bool = False


class InputReading:
    """Reads `text` into `intake`.

    text: None when the input has ended already. zmap_waits: ZMap writes the input and loses answers while
    it cannot write, so its lines are buffered for a while even without room. note: takes a sentence for the
    user.
    """

    def __init__(
        self, intake: Intake, text: PlainText | None, *, zmap_waits: bool, note: Callable[[str], None]
    ) -> None:
        self._intake = intake
        self._text = text
        self._zmap_waits = zmap_waits
        self._note = note
        self._next = 0.0  # when to read again
        self._seen = Seen()

    @property
    def ended(self) -> bool:
        """Whether nothing more is read."""
        return self._text is None

    @property
    def pending(self) -> bool:
        """Whether there is something to read that the descriptors of `filenos` do not show."""
        return self._text is not None and self._text.pending

    def end(self) -> None:
        """Read no more; what is in flight is finished."""
        self._text = None
        self._intake.forget()

    def unfold(self, room: bool) -> bool:
        """Expand and admit more targets of lines that name many, before new lines are read; whether there
        were any.
        """
        if not self._intake.pending or not room:
            return False
        self._intake.more()
        if self._intake.full:
            self.end()
        return True

    def read(self, now: float, room: bool) -> bool:
        """Read a chunk if there is any, and room for it; whether one was read."""
        text, intake = self._text, self._intake
        if text is None or now < self._next:
            return False
        if not room or intake.pending:
            self._seen.filled = True
            self._read_on(text.stream)
            return False
        if not text.ready():
            self._seen.starved = True
            return False
        chunk = text.read()
        if chunk is None:
            return False
        if chunk:
            intake.feed(chunk, early=text.stream.age < EARLY)
            self._seen.held_up |= text.stream.full or text.stream.behind
            self._seen.starved |= len(chunk) < CHUNK and not text.pending  # that was all there was
            if len(chunk) < _SMALL and not text.pending:
                self._next = now + min(_PAUSE, text.stream.slack)
        else:
            intake.finish()
            if not intake.pending:
                self.end()
        if intake.full:
            self.end()
        return True

    def _read_on(self, stream: Stream) -> None:
        if self._zmap_waits:
            stream.read_on()
            if stream.overtaken:
                self._zmap_waits = False
                self._note(_OVERTAKEN)

    def total(self) -> int | None:
        """About how many inputs there are in all; None: not known."""
        if self._text is None:
            return None
        return self._text.stream.total(self._intake.fates.read + self._intake.coming)

    def stop_reading_ahead(self) -> None:
        """End the thread that reads ahead, once all it has read was taken. To be called when the workers are
        there.
        """
        if self._text is not None and not self._text.stream.behind:
            self._text.stream.stop_reading_ahead()

    def rest(self, now: float) -> float:
        """Seconds until the input is to be read again; more gathers in it meanwhile."""
        return 0.0 if self._text is None else max(0.0, self._next - now)

    def filenos(self) -> list[int]:
        """Descriptors that become readable when there is something to read."""
        return [] if self._text is None else [self._text.stream.fileno()]

    def take_seen(self) -> Seen:
        """How the input was since the last call."""
        seen, self._seen = self._seen, Seen()
        return seen
