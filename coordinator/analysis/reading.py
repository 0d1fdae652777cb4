"""Reads files of results into DuckDB: JSON lines, CSV, the feed for ZGrab2, Parquet; compressed or not; or
stdin.

DuckDB is restricted: it opens no file but its own temporary ones, loads no extension and so has no network.
Nothing from the command line or a file is ever part of a statement.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coordinator.analysis import arrowstream as arrow
from coordinator.analysis import decoding, interrupts
from coordinator.analysis.otherparquet import OtherParquet, is_ours
from coordinator.analysis.recordform import LOOK, form_of
from coordinator.analysis.source import LONGEST, Progress, Source
from coordinator.commandline import extras
from coordinator.files import temporary as leftovers
from lzr.analysis.columns import BY_NAME, COLUMNS, KEYS, NAMES, Column, table
from lzr.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


_SHAPE = [(column.name, column.arrow) for column in COLUMNS]


@dataclass
class Reading:
    """What came of reading a file.

    name: of the file. records: read. unreadable: lines that are no record, left out. first: the first of
    those, in a sentence. damage: what is wrong with the compression of the file, which ended early there.
    """

    name: str
    records: int = 0
    unreadable: int = 0
    first: str = ""
    damage: str = ""

    def counted(self) -> str:
        """How many records, in words."""
        return "1 record" if self.records == 1 else f"{self.records:,} records"

    def trouble(self) -> str:
        """A sentence on what could not be read; empty where all could."""
        parts = []
        if self.unreadable:
            lines = "1 line" if self.unreadable == 1 else f"{self.unreadable:,} lines"
            parts.append(f"{lines} of {self.name} could not be read ({self.first})")
        if self.damage:
            parts.append(f"{self.name} was read up to where {self.damage}")
        return "; ".join(parts)


def duckdb() -> Any:
    """The module. Raises UsageError where it is not installed, or cannot be loaded."""
    try:
        import duckdb as module
    except ImportError as error:
        raise UsageError(extras.trouble(error, "duckdb", "analysis", called="DuckDB")) from None
    return module


_temporary: str = ""


def temporary() -> str:
    """A directory of this process's own for what does not fit into memory; removed at the end, or by the
    next one if this process is killed."""
    global _temporary
    if not _temporary or not os.path.isdir(_temporary):
        _temporary, _ = leftovers.made()  # its descriptor stays open, which says that it is in use
        atexit.register(shutil.rmtree, _temporary, ignore_errors=True)
    return _temporary


def connect(*, memory: int = 1 << 30, files: bool = False, ordered: bool = True) -> DuckDBPyConnection:
    """A database in memory, without extensions and network.

    memory: bytes that it may use before it writes to temporary files. files: statements may name files.
    ordered: rows stand in a table as they came; without, they are put there in half the time. Raises
    UsageError where DuckDB is not installed.
    """
    connection: DuckDBPyConnection = duckdb().connect(":memory:")
    settings: dict[str, Any] = {
        "temp_directory": temporary(),
        "memory_limit": f"{memory >> 20}MiB",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "allow_persistent_secrets": False,
        "enable_progress_bar": False,
        "enable_progress_bar_print": False,
        "TimeZone": "UTC",
        "preserve_insertion_order": ordered,
    }
    if not files:
        settings["enable_external_access"] = False
    for name, value in settings.items():
        # SET takes no parameters; the only value here that is not a constant is a path that mkdtemp made.
        quoted = str(value).replace("'", "''")
        connection.execute(f"SET {name} = '{quoted}'")
    return connection


def load(
    connection: DuckDBPyConnection,
    path: str,
    name: str = "records",
    *,
    columns: Collection[str] = NAMES,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Reading:
    """Read a file (``-``: standard input) into a new table `name` with the columns of `lzr.analysis.columns`.

    The rows stand in the order of the file, if the connection keeps one. columns: those that are kept; every
    field is read and checked.
    progress: told how many bytes have been read. say: told in a sentence what could not be read. Raises
    UsageError for what cannot be opened or holds no results.
    """
    connection.execute(table(name, columns))
    with Records(path, progress) as records:
        insert(connection, records, name, columns)
        reading = records.finish()
    if say is not None and (trouble := reading.trouble()):
        say(trouble)
    return reading


def insert(
    connection: DuckDBPyConnection, records: Records, name: str, columns: Collection[str] = NAMES
) -> None:
    """All records into the table `name`, which has these columns."""
    chosen = ", ".join(f'"{column.name}"' for column in COLUMNS if column.name in columns)
    if records.form == "parquet" and _reads_files(connection):
        records.insert_parquet(connection, name, chosen)
        return
    records.register(connection, "lzr_incoming", columns=columns)
    try:
        records.execute(connection, f'INSERT INTO "{name}" SELECT {chosen} FROM lzr_incoming')
    finally:
        connection.unregister("lzr_incoming")


def transfer(
    connection: DuckDBPyConnection,
    batches: Iterable[arrow.ColumnBatch],
    name: str,
    columns: Sequence[tuple[str, str]] = _SHAPE,
) -> None:
    """Batches of these columns (name, Arrow format) into the table `name`. Raises what making them raises."""
    stream = arrow.ArrowStream(columns, iter(batches))
    connection.register("lzr_incoming", stream)
    try:
        with interrupts.held(connection):
            connection.execute(f'INSERT INTO "{name}" SELECT * FROM lzr_incoming').fetchall()
    except (duckdb().Error, RuntimeError):
        if stream.trouble is not None:
            raise stream.trouble from None
        raise
    finally:
        connection.unregister("lzr_incoming")


def _reads_files(connection: DuckDBPyConnection) -> bool:
    """Whether it was made with ``connect(files=True)``: then Parquet needs no second database, and half the
    time."""
    ((found,),) = connection.execute("SELECT current_setting('enable_external_access')::BOOLEAN").fetchall()
    return bool(found)


class Records:
    """The records of a file as a stream, to be read once: ``register``, ``execute``, ``finish``.

    reading: what has come of it so far. Raises UsageError where it cannot be opened or is something else.
    """

    def __init__(self, path: str, progress: Progress | None = None) -> None:
        self.source = Source(path, progress)
        self.reading = Reading(self.source.name)
        self._stream: Any = None
        self._selected = ""
        self._other: OtherParquet | None = None
        self._decoder: decoding.Decoder | None = None
        self._inner: DuckDBPyConnection | None = None
        try:
            self.form = form_of(self.source)
            if self.form == "parquet":
                self._open_parquet()
            else:
                self._decoder = decoding.Decoder(self.form)
        except UsageError:
            self.source.close()
            raise

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *_: object) -> None:
        if self._inner is not None:
            self._inner.close()
        self.source.close()

    @property
    def size(self) -> int:
        """Bytes of the file; 0: not known."""
        return self.source.size

    @property
    def decoder(self) -> decoding.Decoder:
        """Of a file of lines."""
        assert self._decoder is not None
        return self._decoder

    @property
    def inner(self) -> DuckDBPyConnection | None:
        """The database that reads a registered Parquet file, as ``records``."""
        return self._inner

    def register(
        self,
        connection: DuckDBPyConnection,
        name: str,
        batches: Iterator[arrow.ColumnBatch] | None = None,
        columns: Collection[str] = NAMES,
    ) -> None:
        """Make `name` a table of the records that can be read once. batches: the records, if changed.

        columns: that are wanted; of a Parquet file DuckDB itself sees which are.
        """
        if self.form == "parquet":
            self._stream = self._bridge()
        else:
            kept = [at for at, column in enumerate(COLUMNS) if column.name in columns]
            self._stream = arrow.ArrowStream(
                [_SHAPE[at] for at in kept],
                (
                    arrow.ColumnBatch(batch.rows, [batch.columns[at] for at in kept])
                    for batch in batches or self.batches()
                ),
            )
        try:
            connection.register(name, self._stream)
        except (duckdb().Error, RuntimeError) as error:
            if self.form == "parquet":
                raise UsageError(f"cannot read {self.source.name}: {self._brief(error)}") from None
            raise

    def execute(self, connection: DuckDBPyConnection, statement: str, parameters: Any = None) -> None:
        """Run a statement that reads the registered records. Raises what reading them raised."""
        try:
            with interrupts.held(connection):
                connection.execute(statement, parameters).fetchall()
        except (duckdb().Error, RuntimeError) as error:
            self.raise_trouble()
            if self.form == "parquet" and not isinstance(error, duckdb().IOException):
                raise UsageError(f"cannot read {self.source.name}: {self._brief(error)}") from None
            raise
        self.raise_trouble()

    def raise_trouble(self) -> None:
        """Raise what went wrong while the file was read ahead, if anything did."""
        trouble = getattr(self._stream, "trouble", None)
        if trouble is not None:
            raise trouble

    def batches(self) -> Iterator[arrow.ColumnBatch]:
        """The records as columns, some thousands at a time. Raises UsageError where there are none at all."""
        if self._other is not None:
            try:
                yield from self._other.batches()
            except duckdb().Error as error:
                raise UsageError(f"cannot read {self.source.name}: {self._brief(error)}") from None
            return
        decoder = self.decoder
        seen = 0
        for chunk in self.source.chunks():
            seen += len(chunk)
            yield from decoder.batches(chunk)
            if not decoder.counts.records and decoder.counts.unreadable and seen >= LOOK:
                raise UsageError(f"{self.source.name} holds no results of lzr ({decoder.counts.first})")

    def finish(self) -> Reading:
        """What came of it, at the end. Raises UsageError where the file holds something else."""
        reading = self.reading
        counts = self._counts()
        if counts is not None:
            reading.records = counts.records
            reading.unreadable = counts.unreadable + self.source.too_long
            reading.first = counts.first or (f"longer than {LONGEST >> 20} MiB" if reading.unreadable else "")
            reading.damage = self.source.damage
            if reading.unreadable and not reading.records:
                damage = f", and {reading.damage}" if reading.damage else ""
                raise UsageError(f"{self.source.name} holds no results of lzr ({reading.first}{damage})")
        return reading

    def _counts(self) -> decoding.Decoded | None:
        if self._other is not None:
            return self._other.counts
        return self._decoder.counts if self._decoder is not None else None

    def insert_parquet(self, connection: DuckDBPyConnection, name: str, chosen: str = "*") -> None:
        """Parquet into the table `name` of a connection that may read files itself. chosen: its columns."""
        self._bridge()
        self.execute(connection, f'INSERT INTO "{name}" SELECT {chosen} FROM ({self._selected})')

    def _open_parquet(self) -> None:
        """Look at the columns of a Parquet file; what others have made becomes the form "rows"."""
        module = duckdb()
        self._inner = inner = connect(memory=1 << 30, files=True)  # a page is held whole
        try:
            there = inner.execute("DESCRIBE SELECT * FROM read_parquet(?)", [self._place]).fetchall()
        except module.Error as error:
            raise UsageError(f"cannot read {self.source.name}: {self._brief(error)}") from None
        types = {row[0]: row[1] for row in there}
        if not types.keys() & BY_NAME.keys():
            raise UsageError(f"{self.source.name} holds no results of lzr: none of its columns is ours")
        if not is_ours(types):
            self.form = "rows"
            self._other = OtherParquet(inner, self._place, types, self.source.name)
            return
        columns = ", ".join(f'{_value(column, types)} AS "{column.name}"' for column in COLUMNS)
        self._selected = f"SELECT {columns} FROM read_parquet('{self._place}')"

    @property
    def _place(self) -> str:
        """Its descriptor: a name may look like a pattern, an address or a statement."""
        return f"/proc/self/fd/{self.source.fileno()}"

    def _bridge(self) -> _Bridge:
        """A Parquet file of ours, read by a database of its own that may read that file."""
        inner = self._inner
        assert inner is not None
        inner.execute(f"CREATE OR REPLACE VIEW records AS {self._selected}")
        ((counted,),) = inner.execute("SELECT count(*) FROM records").fetchall()
        self.reading.records = int(counted)
        return _Bridge(inner)

    def _brief(self, error: BaseException) -> str:
        """The first line of DuckDB's message; of an error that was passed on, of the first one."""
        text = str(error).partition("\n")[0].rpartition("' failed: ")[2].rpartition("Exception: ")[2]
        for kind in ("Invalid Input Error: ", "Conversion Error: ", "IO Error: "):
            text = text.removeprefix(kind)
        return re.sub(rf"[Ff]ile ['\"]{self._place}['\"]", "the file", text)[:200]


def _value(column: Column, types: Mapping[str, str]) -> str:
    """SQL for a column of a Parquet file of ours, which may be of anybody's making all the same."""
    if column.name not in types:
        return f"CAST(NULL AS {column.sql})"
    if column.name in KEYS:
        return f'CASE WHEN octet_length("{column.name}") = 16 THEN "{column.name}" END'
    if column.sql == "VARCHAR":
        return f"""nullif("{column.name}", '')"""
    return f'"{column.name}"'


class _Bridge:
    """What one database reads, for another, as an Arrow stream."""

    def __init__(self, inner: DuckDBPyConnection) -> None:
        self._inner = inner

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        relation: Any = self._inner.sql("SELECT * FROM records")
        return relation.__arrow_c_stream__(requested_schema)
