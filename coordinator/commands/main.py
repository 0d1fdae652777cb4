"""The `lzr` command: subcommands, options, and the order in which a scan comes up.

The RST guard goes up before anything slow is imported: in `zmap … | lzr …` both start at once, and a SYN-ACK
that the kernel resets first is lost. Everything the user can get wrong is found before a packet is sent, and
ends with one sentence and status 2.
"""

from __future__ import annotations

import os
import sys

from lzr import safetext
from lzr.exitstatus import FAILED, MISTAKE, OK
from lzr.options.subcommands import PROGRAMS

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from typing import NoReturn

    from coordinator.guard.guard import Guard
    from coordinator.input.stream import Stream
    from lzr.options import parse
    from lzr.options.table import Options

_POSIX = sys.platform != "win32"
_HELP = {"-h", "-help", "--help", "-help-all", "--help-all"}
_NO_MEMORY = "there is not memory enough: fewer workers (-w), or a higher ulimit -v"
_ENDINGS = (1, 2, 15)
"""SIGHUP, SIGINT, SIGTERM; the module that has their names costs 2 ms."""
OVER_RESULTS = ("diff", "enrich", "export", "plan", "predict", "report")
"""Subcommands that read files of results, each in a module of its own name; they run on any system."""
ROOM, ROOM_OF_SCAN, ROOM_OF = 128, 256, {"guard": 0, **dict.fromkeys(OVER_RESULTS, 512)}
"""MiB of address space below which libraries in C end the process without a sentence of ours, for
subcommands, for a scan and for subcommands that read results. Watched: 115 and 205 MiB with numpy 2 and zmq
26 on two processors, and 333 MiB with DuckDB 2, whose threads end the process where none is left for them."""
NOT_LINUX = "scanning needs Linux (its packet sockets and firewall); on this system there is lzr identify"


def program() -> NoReturn:
    """Entry point of the console script. After a scan the process ends at once: there is nothing left to put
    back, and taking the interpreter down would cost a tenth of a short scan's processor time (33 ms)."""
    try:
        status = main()
    except ImportError as error:
        from coordinator.commandline import troubles

        if not (trouble := troubles.not_loaded(error)):
            raise
        print(safetext.line(f"lzr: {trouble}"), file=sys.stderr)
        sys.exit(FAILED)
    if sys.argv[1:2] and (sys.argv[1] in PROGRAMS or sys.argv[1] == "help"):
        sys.exit(status)
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        sys.exit(status)  # who says what is wrong with stdout is the interpreter
    import atexit

    atexit._run_exitfuncs()
    os._exit(status)


def main(argv: list[str] | None = None) -> int:
    """Do what the arguments say; returns the exit status."""
    # Until the scan's loop can take them: within an import they end in a traceback or worse, and the guard
    # stays. bin/lzr holds them back from when it has begun its guard.
    _hold_signals(True)
    if sys.argv[1:2] != ["predict"]:  # before numpy: nobody else multiplies large matrices
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if _POSIX:
        from coordinator.files import patient, standard

        standard.fill_closed()
        patient.set_up_stderr(None)
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["help"] and argv[1:2] and argv[1] in PROGRAMS:
        argv = [argv[1], "--help"]
    if argv and argv[0] in PROGRAMS:
        _drop_early_guard()
        if argv[0] != "guard":  # which is quick, and is not to be cut in two
            _hold_signals(False)
        try:
            if argv[0] != "guard" and (trouble := _stdout_trouble()):
                print(safetext.line(f"lzr {argv[0]}: {trouble}"), file=sys.stderr)
                return MISTAKE
            _need(ROOM if _HELP.intersection(argv) else ROOM_OF.get(argv[0], ROOM))
            try:
                status = _subcommand(argv[0], argv[1:])
            except SystemExit as answer:  # argparse's, of --help
                status = int(answer.code or OK)
            sys.stdout.flush()
        except _NoRoom as error:
            print(safetext.line(f"lzr {argv[0]}: {error}"), file=sys.stderr)
            return FAILED
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:  # lzr ctl status | head
            sys.stdout = None  # or the interpreter flushes it once more
            return OK
        except OSError as error:
            from coordinator.commandline import troubles

            if trouble := troubles.unwritten(error):
                print(safetext.line(f"lzr {argv[0]}: {trouble}"), file=sys.stderr)
            elif not isinstance(error, FileNotFoundError) or not _is_gone(f"lzr {argv[0]}"):
                raise
            return MISTAKE
        return status
    if sys.platform != "linux":
        return _scan(argv, None)
    from coordinator.guard.early import put_up_early

    return _scan(argv, put_up_early(argv))


class _NoRoom(MemoryError):
    """The limit of the address space (ulimit -v) is too low; the text is a sentence for the user."""


def _need(least: int) -> None:
    """Raises _NoRoom where the limit of the address space is below so many MiB."""
    if not _POSIX:
        return
    from coordinator.processes.ulimits import room_trouble

    if trouble := room_trouble(least):
        raise _NoRoom(trouble)


def _is_gone(program: str) -> bool:
    """Whether a file was not found because the working directory is gone, from which whole names are made
    (os.path.abspath); says so."""
    if not _POSIX:
        return False
    from coordinator.files import standard

    trouble = standard.directory_trouble()
    if trouble:
        print(safetext.line(f"{program}: {trouble}"), file=sys.stderr)
    return bool(trouble)


def _hold_signals(hold: bool) -> None:
    if _POSIX:
        import _signal  # type: ignore[import-not-found]

        _signal.pthread_sigmask(_signal.SIG_BLOCK if hold else _signal.SIG_UNBLOCK, _ENDINGS)


def _stdout_trouble() -> str:
    if not _POSIX:
        return ""
    from coordinator.files import standard

    return standard.stdout_trouble()


def _drop_early_guard() -> None:
    """Remove a guard of bin/lzr, which may be of an older version and take a new subcommand for a scan."""
    if "LZR_GUARD" in os.environ:
        from coordinator.guard.early import take_over

        guard = take_over()
        if guard is not None:
            guard.remove()


def _subcommand(name: str, argv: list[str]) -> int:
    if name in OVER_RESULTS:
        from importlib import import_module

        return int(import_module(f"coordinator.commands.{name}").main(argv))
    if name != "identify" and sys.platform != "linux":
        print(safetext.line(f"lzr {name}: {NOT_LINUX}"), file=sys.stderr)
        return MISTAKE
    if name == "guard":
        from coordinator.commands import guard as guardcommand

        return guardcommand.main(argv)
    if name == "ctl":
        from coordinator.commands import ctl

        return ctl.main(argv)
    if name == "fleet":
        from coordinator.commands import fleet

        return fleet.main(argv)
    if name == "doctor":
        from coordinator.doctor import doctor

        return doctor.main(argv)
    from coordinator.commands import identify

    return identify.main(argv)


def _scan(argv: list[str], guard: Guard | None) -> int:
    import gc

    gc.disable()  # what is loaded stays: looking for garbage in it would take 13 ms
    _widen_stdin()
    from coordinator.commandline import configfile
    from lzr.errors import UsageError
    from lzr.options import parse

    # From here on the guard has to be taken away again, whatever ends us.
    stream = launched = None
    try:
        _need(0 if _HELP.intersection(argv) else ROOM)
        options = parse.parse(argv, configfile.read)
        if sys.platform != "linux":
            raise UsageError(NOT_LINUX)
        if options.target_ports and options.dryrun:
            if guard is not None:
                guard.remove()
                guard = None
            gc.enable()
            return _list_targets(options)
        _need(ROOM_OF_SCAN)
        stream = _stdin(options)
        guard = _guarded(guard, options)
        if (
            stream is None or not stream.piped or options.send_syns
        ):  # else ZMap goes first, which writes the pipe
            from coordinator.processes.launch import Launched

            launched = Launched()
        from coordinator.scan import run

        gc.freeze()
        gc.enable()
        return run.run(options, guard, stream, launched)
    except parse.ShowText as answer:
        return _answer(answer)
    except UsageError as error:
        print(safetext.line(f"lzr: {error}"), file=sys.stderr)
        return MISTAKE
    except FileNotFoundError:
        if _is_gone("lzr"):
            return MISTAKE
        raise
    except configfile.SignalError as error:
        return 128 + error.number
    except MemoryError as error:
        why = str(error) if isinstance(error, _NoRoom) else _NO_MEMORY
        print(safetext.line(f"lzr: {why}"), file=sys.stderr)
        return FAILED
    finally:
        if launched is not None:
            launched.abandon()
        if stream is not None:
            stream.stop_reading_ahead()  # a thread that still reads while the interpreter ends may crash it
        if guard is not None:
            _taken_away(guard)


def _widen_stdin() -> None:
    if sys.platform == "linux":
        from coordinator.files import patient, pipes

        pipes.widen(0)  # it may be filling up already
        patient.set_up_stderr()


def _taken_away(guard: Guard) -> None:
    """Take the guard away; where that fails, as where there is no memory for nft, say who can."""
    from coordinator.guard.firewall import GuardError

    try:
        guard.remove()
    except GuardError as error:
        print(safetext.line(f"lzr: {error}; lzr guard off takes away what is left"), file=sys.stderr)


def _stdin(options: Options) -> Stream | None:
    """Begin to read stdin, if it is the input. Raises UsageError if nothing can be read from it."""
    if options.input_file is not None or options.target_ports:
        return None
    from coordinator.files import standard
    from coordinator.input.stream import Stream
    from lzr.errors import UsageError

    if trouble := standard.stdin_trouble():
        raise UsageError(trouble)
    return Stream(0)


def _answer(answer: parse.ShowText) -> int:
    """Print a text that was asked for on stdout."""
    _hold_signals(False)
    trouble = _stdout_trouble()
    try:
        if not trouble:
            answer.show()
            return OK
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        trouble = f"stdout cannot be written: {error.strerror}"
        sys.stdout = None  # or the interpreter flushes it once more
    print(safetext.line(f"lzr: {trouble}"), file=sys.stderr)
    return FAILED


def _list_targets(options: Options) -> int:
    """The dry run of a sweep. Raises UsageError."""
    _hold_signals(False)
    from coordinator.scan import targetlist
    from lzr.errors import UsageError

    if trouble := _stdout_trouble():
        raise UsageError(f"{trouble}, and the targets are to go there")
    try:
        targetlist.show(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # lzr -p 80 --dryrun 192.0.2.0/24 | head
        return OK
    except OSError as error:
        print(safetext.line(f"lzr: stdout cannot be written: {error.strerror}"), file=sys.stderr)
        return FAILED
    return OK


def _guarded(guard: Guard | None, options: Options) -> Guard | None:
    """The guard as the options ask for it. Raises UsageError if there can be none."""
    from coordinator.guard.firewall import GuardError
    from coordinator.guard.guard import put_up
    from coordinator.processes.rights import why_not_root_enough
    from lzr.errors import UsageError
    from lzr.sourceports import DEFAULT_PORTS

    why_not = why_not_root_enough(guarded=options.guard != "none")
    if why_not:
        raise UsageError(why_not)
    wanted = options.source_ips, options.source_port or DEFAULT_PORTS, options.guard, options.interface
    try:
        if guard is None:
            return put_up(*wanted)
        guard.change(*wanted)
    except GuardError as error:
        if not options.without_guard:
            hint = "; --without-guard goes on all the same" if "cannot be suppressed" in str(error) else ""
            raise UsageError(f"{error}{hint}") from None
    return guard


if __name__ == "__main__":
    program()
