"""Opens the outputs before anything is sent: one that cannot be written is reported at once.
`Outputs` holds their descriptors and acknowledged lengths while the scan runs; `coordinator.processes.pool`
hands them to the fork server, once.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from msgspec import Struct, field

from coordinator.checkpoint.checkpoint import Checkpoint
from coordinator.checkpoint.saved import Saved, SavedOutput
from coordinator.files import opening, standard
from coordinator.files.opening import SILENTLY, WhileWaiting
from coordinator.results.resultfile import ResultFile, another_form, content, default_name, open_result
from lzr.errors import UsageError
from lzr.ipc.job import CollectorOutput
from lzr.options.table import Options
from lzr.records.encoders import ENCODERS
from lzr.records.fields import written

_LAST_MOMENTS = 60.0
"""Seconds after the last checkpoint within which an interrupted scan may have written to an output. A
judgement: checkpoints come every second, but a disk may have been slow; a later change was made by somebody
else."""

_LOOKED_AT = 0.5
"""Seconds for which a file on stdout may be locked: `lzr export --follow` holds it for a moment when it looks
whether anybody writes."""


class Outputs(Struct):
    """The outputs by descriptor, in the fork server's order, and how much of each is acknowledged.

    lines: records that this scan has written to each. file: the result file, if it has a name; name: as shown
    to the user.
    """

    descriptors: list[int]
    forms: list[str]
    offsets: list[int]
    fresh: list[bool] = field(default_factory=list)
    shared: list[bool] = field(default_factory=list)  # others write there too: never cut
    lines: list[int] = field(default_factory=list)
    file: ResultFile | None = None
    name: str = ""

    def for_collector(self) -> list[CollectorOutput]:
        """What a collector has to know of each output, up to the acknowledged length."""
        return [
            CollectorOutput(number, form, offset, fresh, shared, lines)
            for number, (form, offset, fresh, shared, lines) in enumerate(
                zip(self.forms, self.offsets, self.fresh, self.shared, self.lines, strict=True)
            )
        ]

    def state(self) -> list[SavedOutput]:
        """Form, length and records of each output, for the checkpoint."""
        return list(map(SavedOutput, self.forms, self.offsets, self.fresh, self.lines))

    def closing(self) -> list[str]:
        """A sentence that says where the results are, for the end of a scan."""
        count = self.lines[0] if self.lines else 0
        return [f"results: {count:,} record{'' if count == 1 else 's'} of this scan in {self.name}"]

    def cut_back(self) -> None:
        """Cut off what is not acknowledged and so was not counted. To be called when nobody writes any
        more.
        """
        for descriptor, offset, shared in zip(self.descriptors, self.offsets, self.shared, strict=True):
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and not shared and status.st_size > offset:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, offset)

    def unkept(self) -> str:
        """Why files of results do not hold what was written, in a sentence; empty where they do. To be called
        when nobody writes any more.
        """
        for descriptor in self.descriptors:
            try:
                if opening.is_regular(descriptor):
                    opening.push(descriptor)
            except OSError as error:
                return f"cannot write results: {error.strerror}"
        return ""


@contextmanager
def open_outputs(
    options: Options,
    invoker: tuple[int, int] | None = None,
    checkpoint: Checkpoint | None = None,
    *,
    waiting: WhileWaiting = SILENTLY,
) -> Iterator[Outputs]:
    """The result file (or stdout), and stdout for the ZGrab feed. Nothing in them is changed before `begin`.

    invoker: whom a new file is to belong to. waiting: see `opening.open_output`. Raises UsageError.
    """
    outputs = Outputs([], [], [], [])
    resumed = checkpoint is not None and checkpoint.resumed is not None
    found: ResultFile | None = None
    try:
        if options.output_file == "-":
            _add(outputs, 1, options.output_module)
            outputs.name = "stdout"
        else:
            found = _open(options, invoker, resumed=resumed, waiting=waiting)
            outputs.file, outputs.name = found, found.name
            _add(outputs, found.descriptor, options.output_module)
        if options.feed_zgrab:
            _add(outputs, 1, "feed")
        ours = 1 in outputs.descriptors and opening.is_regular(1)
        if ours and (taken := opening.lock(1, _LOOKED_AT, waiting)):
            raise UsageError(f"the file that stdout goes to {taken}")
        if checkpoint is not None and checkpoint.resumed is not None:
            _compare(outputs, checkpoint.resumed)
        yield outputs
    except (UsageError, opening.Interrupted):
        if found is not None:
            found.take_back()
        raise
    finally:
        if found is not None:
            os.close(found.descriptor)
        if 1 in outputs.descriptors:  # whoever we have it from may go on with it
            with contextlib.suppress(OSError):
                fcntl.flock(1, fcntl.LOCK_UN)


def _open(
    options: Options,
    invoker: tuple[int, int] | None,
    *,
    resumed: bool,
    waiting: WhileWaiting,
) -> ResultFile:
    opened = partial(
        open_result,
        form=options.output_module,
        fields=written(options.output_fields, enrich=options.enrich),
        invoker=invoker,
        overwrite=options.overwrite,
        resumed=resumed,
        waiting=waiting,
    )
    if options.output_file is not None:
        return opened(options.output_file)
    for name in default_names(datetime.now(), options.output_module):
        with contextlib.suppress(FileExistsError):  # a scan that began in the same second has it
            return opened(name, fresh=True)
    raise AssertionError("names without end")


def default_names(now: datetime, module: str) -> Iterator[str]:
    """The default name, and what comes after it where that is taken; without end."""
    name = default_name(now, module)
    stem, _, ending = name.rpartition(".")
    yield name
    for number in itertools.count(2):
        yield f"{stem}_{number}.{ending}"


def begin(outputs: Outputs, checkpoint: Checkpoint | None, options: Options) -> str:
    """Prepare the outputs for the first record. Returns a sentence on what was done to the result file."""
    if checkpoint is not None and checkpoint.resumed is not None:
        return _go_on(outputs, checkpoint.resumed.outputs)
    sentence = "results go to stdout"
    for number, (descriptor, form) in enumerate(zip(outputs.descriptors, outputs.forms, strict=True)):
        file = outputs.file
        if file is not None and descriptor == file.descriptor:
            outputs.offsets[number], outputs.fresh[number], sentence = file.begin()
            sentence += another_form(file.name, form)
        elif outputs.offsets[number] and form in ENCODERS:
            names = written(options.output_fields, enrich=options.enrich)
            heading = ENCODERS[form](fields=names).header()
            outputs.fresh[number] = not (heading and content(descriptor, 0, len(heading)) == heading)
            if _appends(descriptor) and content(descriptor, outputs.offsets[number] - 1, 1) not in (
                b"",
                b"\n",
            ):
                outputs.offsets[number] += os.write(descriptor, b"\n")  # a run before this was cut off
    return sentence


def _add(outputs: Outputs, descriptor: int, form: str) -> None:
    outputs.descriptors.append(descriptor)
    outputs.forms.append(form)
    outputs.fresh.append(True)
    outputs.lines.append(0)
    offset, shared = 0, False
    if opening.is_regular(descriptor):  # stdout may be one, appended to or shared with stderr
        offset = os.lseek(descriptor, 0, os.SEEK_END if _appends(descriptor) else os.SEEK_CUR)
        shared = descriptor == 1 and _is_same(1, 2)
        standard.append(descriptor)
    outputs.offsets.append(offset)
    outputs.shared.append(shared)


def _compare(outputs: Outputs, saved: Saved) -> None:
    """Check that the files are those of the checkpoint, with nothing added later. Raises UsageError."""
    known = {one.form: one.length for one in saved.outputs}
    for number, (descriptor, form) in enumerate(zip(outputs.descriptors, outputs.forms, strict=True)):
        if not opening.is_regular(descriptor):
            continue
        what = "stdout (append to it with >>)" if descriptor == 1 else outputs.name
        if outputs.shared[number]:
            raise UsageError("stdout and stderr are one file: nothing can be resumed in it")
        length, found = known.get(form, 0), os.fstat(descriptor)
        if found.st_size < length:
            raise UsageError(f"{what} is shorter than it was: it is not what the checkpoint tells of")
        if length and content(descriptor, length - 1, 1) not in (b"", b"\n"):
            raise UsageError(f"{what} has been changed: it is not what the checkpoint tells of")
        # What follows is ours, of the last moments before a crash, unless it came when we were long gone.
        if found.st_size > length and (saved.ended or found.st_mtime > saved.written + _LAST_MOMENTS):
            raise UsageError(
                f"{what} has grown since the scan was interrupted, and resuming would cut that off: "
                f"move what follows its first {length} bytes elsewhere"
            )


def _go_on(outputs: Outputs, saved: list[SavedOutput]) -> str:
    """Continue files where the checkpoint left them. What went into a pipe may be written there twice."""
    known = {one.form: one for one in saved}
    for number, (descriptor, form) in enumerate(zip(outputs.descriptors, outputs.forms, strict=True)):
        one = known.get(form, SavedOutput(form))
        outputs.fresh[number], outputs.lines[number] = one.fresh, one.lines
        if opening.is_regular(descriptor):
            os.ftruncate(descriptor, one.length)
            os.lseek(descriptor, one.length, os.SEEK_SET)
            outputs.offsets[number] = one.length
    count = outputs.lines[0]
    return f"going on in {outputs.name}, which holds {count:,} record{'' if count == 1 else 's'} of this scan"


def _is_same(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False


def _appends(descriptor: int) -> bool:
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND)
