"""Exports the result file of a running scan in parts, each of them complete.

The scan holds a lock on its file (flock(2)) until it ends. What has been written is read as it comes, and
from time to time a part is made of it; when the lock is gone and nothing is left, the last part is made.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from coordinator.analysis import interrupts, reading, writing
from coordinator.analysis.decoding import Decoder
from coordinator.analysis.reading import connect, transfer
from coordinator.analysis.recordform import form_of_line
from coordinator.analysis.source import CHUNK, LONGEST
from coordinator.commandline import wholefile
from coordinator.files.holders import holders
from coordinator.files.reach import reach
from coordinator.processes.users import invoking_user
from lzr.analysis.columns import table
from lzr.errors import UsageError, printable
from lzr.targets.decompress import compression

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_LOOK = 0.2  # seconds between two looks at the file
_QUIET = 1.0  # seconds without a new byte after which it is asked whether the scan has ended


class NumberedParts:
    """``scan.parquet`` -> ``scan-00000.parquet``, ``scan-00001.parquet`` and so on."""

    def __init__(self, path: str, form: str, view: str, *, overwrite: bool) -> None:
        """Raises UsageError where there are parts already, and they are not to be replaced."""
        if path == "-":
            raise UsageError(
                "--follow makes several files: name them with -o, scan.parquet for scan-00000.parquet"
            )
        self._form, self._view = form, view
        self._stem, self._ending = os.path.splitext(path)
        self.written: list[str] = []
        folder, first = os.path.split(self._stem)
        known = re.compile(re.escape(first) + r"-\d{5,}" + re.escape(self._ending), re.A)
        try:
            with _directory(path) as place:
                there = sorted(name for name in os.listdir(place) if known.fullmatch(name))
                if there and not overwrite:
                    raise UsageError(
                        f"{printable(os.path.join(folder, there[0]))} exists; --overwrite replaces the parts"
                    )
                for name in there:
                    with contextlib.suppress(FileNotFoundError):  # another removes them too
                        os.unlink(name, dir_fd=place)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"cannot write {printable(path)}: {getattr(error, 'strerror', '') or error}"
            ) from error

    def write(self, connection: DuckDBPyConnection) -> None:
        """The next part, of the table `records`, which is empty then."""
        path = f"{self._stem}-{len(self.written):05}{self._ending}"
        with wholefile.output(path, overwrite=False) as to:
            writing.write(connection, None, "records", to, self._form, self._view)
        self.written.append(path)
        connection.execute("DELETE FROM records").fetchall()


class Follower:
    """Reads a growing file. say: told in sentences what happens. Raises UsageError."""

    def __init__(
        self, path: str, parts: NumberedParts, *, rows: int, seconds: float, say: Callable[[str], None]
    ) -> None:
        """rows, seconds: a part is made when it holds so many records, or its first is so old."""
        self._path, self._parts, self._say = path, parts, say
        self._rows, self._seconds = rows, seconds
        self._name = printable(path)
        self._left = b""
        self._decoder: Decoder | None = None
        self._connection = connect(memory=1 << 28, files=True)
        self._connection.execute(table("records")).fetchall()
        self._held = 0
        self._since = 0.0
        self._stopped = False

    def run(self) -> reading.Reading:
        """Until the scan ends or a signal comes to end us: what is there by then is written all the same."""
        with interrupts.deferred(self._stop):
            return self._run()

    def _run(self) -> reading.Reading:
        descriptor = self._open()
        if descriptor is not None:
            try:
                self._follow(descriptor)
            finally:
                os.close(descriptor)
        if self._stopped:
            self._say(f"interrupted: {self._name} is exported as far as it goes now")
        self._take(self._left)
        self._part()
        so_far = reading.Reading(self._name)
        if self._decoder is not None:
            found = self._decoder.counts
            so_far.records, so_far.unreadable, so_far.first = found.records, found.unreadable, found.first
        if so_far.unreadable and not so_far.records:
            raise UsageError(f"{self._name} holds no results of lzr ({so_far.first})")
        return so_far

    def _stop(self) -> None:
        self._stopped = True

    def _open(self) -> int | None:
        waited = False
        while not self._stopped:
            try:
                descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except FileNotFoundError:
                if not waited:
                    self._say(f"waiting for {self._name}, which is not there yet")
                waited = True
                time.sleep(_LOOK)
            except (OSError, ValueError) as error:
                what = getattr(error, "strerror", "") or error
                raise UsageError(f"cannot read {self._name}: {what}") from error
            else:
                return self._plain(descriptor)
        return None

    def _plain(self, descriptor: int) -> int:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) or compression(os.pread(descriptor, 8, 0)):
            os.close(descriptor)
            raise UsageError(f"{self._name} cannot be followed: that needs a plain file as a scan writes it")
        return descriptor

    def _follow(self, descriptor: int) -> None:
        at, last = 0, time.monotonic()
        while True:
            data = os.read(descriptor, CHUNK)
            now = time.monotonic()
            if data:
                at, last = at + len(data), now
                self._feed(data)
            elif os.fstat(descriptor).st_size < at:
                self._say(f"{self._name} was cut short by somebody: reading on from its beginning")
                at, self._left = os.lseek(descriptor, 0, os.SEEK_SET), b""
            elif self._stopped:
                return
            elif now - last >= _QUIET and not _locked(descriptor):
                if os.fstat(descriptor).st_size == at:
                    return
            else:
                time.sleep(_LOOK)
            if self._held and (self._held >= self._rows or now - self._since >= self._seconds):
                self._part()

    def _feed(self, data: bytes) -> None:
        end = data.rfind(b"\n") + 1
        if not end:
            self._left += data
            if len(self._left) > LONGEST:
                raise UsageError(f"{self._name} has a line longer than {LONGEST >> 20} MiB")
            return
        whole, self._left = self._left + data[:end], data[end:]
        self._take(whole)

    def _take(self, lines: bytes) -> None:
        """Whole lines into the table."""
        if not lines.strip():
            return
        if self._decoder is None:
            lines = lines.removeprefix(codecs.BOM_UTF8)
            self._decoder = Decoder(form_of_line(lines.lstrip().partition(b"\n")[0].rstrip(b"\r")))
        before = self._decoder.counts.records
        transfer(self._connection, self._decoder.batches(lines), "records")
        new = self._decoder.counts.records - before
        if new and not self._held:
            self._since = time.monotonic()
        self._held += new

    def _part(self) -> None:
        if self._held:
            self._parts.write(self._connection)
            self._held = 0


@contextlib.contextmanager
def _directory(path: str) -> Iterator[int]:
    """A descriptor of the directory of a file: by its name it may be another's a moment later.

    Raises OSError, UsageError.
    """
    user = invoking_user()
    with reach(path, None if user is None else (user.uid, user.gid)) as place:
        if place.directory is None:
            raise UsageError(f"cannot write {printable(path)}: it has no parts")
        found = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.directory)
    try:
        yield found
    finally:
        os.close(found)


def _locked(descriptor: int) -> bool:
    """Whether a scan writes to the file still; who can only read it is none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return not (found := holders(descriptor)) or any(one.writes for one in found)
    except OSError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
