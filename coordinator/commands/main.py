"""The `lzr` command: subcommands, options, and the order in which a scan comes up.

The RST guard goes up before anything slow is imported: in `zmap … | lzr …` both start at once, and a SYN-ACK
that the kernel resets first is lost. Everything the user can get wrong is found before a packet is sent, and
ends with one sentence and status 2.
"""

from __future__ import annotations

import os
import sys

from lzr.options.subcommands import PROGRAMS

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from coordinator.guard.guard import Guard
    from lzr.options.table import Options

OK, USAGE = 0, 2
NOT_LINUX = "scanning needs Linux (its packet sockets and firewall); on this system there is lzr identify"


def main(argv: list[str] | None = None) -> int:
    """Entry point of the console script; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["help"] and argv[1:2] and argv[1] in PROGRAMS:
        argv = [argv[1], "--help"]
    if argv and argv[0] in PROGRAMS:
        _drop_early_guard()
        try:
            status = _subcommand(argv[0], argv[1:])
            sys.stdout.flush()
        except BrokenPipeError:  # lzr ctl status | head
            sys.stdout = None  # or the interpreter flushes it once more
            return OK
        return status
    if sys.platform != "linux":
        return _scan(argv, None)
    from coordinator.guard.early import put_up_early

    return _scan(argv, put_up_early(argv))


def _drop_early_guard() -> None:
    """bin/lzr may be older than this, and take a subcommand that it does not know for a scan."""
    name = os.environ.pop("LZR_GUARD", "")
    if name:
        from coordinator.guard.guard import adopt
        from lzr.sourceports import DEFAULT_PORTS

        guard = adopt(name, DEFAULT_PORTS)
        if guard is not None:
            guard.remove()


def _subcommand(name: str, argv: list[str]) -> int:
    if name != "identify" and sys.platform != "linux":
        print(f"lzr {name}: {NOT_LINUX}", file=sys.stderr)
        return USAGE
    if name == "guard":
        from coordinator.commands import guard as guardcommand

        return guardcommand.main(argv)
    if name == "ctl":
        from coordinator.commands import ctl

        return ctl.main(argv)
    if name == "doctor":
        from coordinator.doctor import doctor

        return doctor.main(argv)
    from coordinator.commands import identify

    return identify.main(argv)


def _scan(argv: list[str], guard: Guard | None) -> int:
    import signal

    if sys.platform == "linux":
        from coordinator.files import pipes

        pipes.widen(0)  # it may be filling up already
    # From here on the guard has to be taken away again, whatever ends us.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    from lzr.errors import UsageError
    from lzr.options import parse

    try:
        options = parse.parse(argv, os.environ)
        if sys.platform != "linux":
            raise UsageError(NOT_LINUX)
        source = None
        if options.input_file is None:
            from coordinator.input.stream import Source

            source = Source(0)
        guard = _settle(guard, options)
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: nobody multiplies matrices here
        from coordinator.scan import run

        return run.run(options, guard, source)
    except parse.Answer as answer:
        answer.show()
        return OK
    except UsageError as error:
        print(f"lzr: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return 130
    finally:
        if guard is not None:
            guard.remove()


def _settle(guard: Guard | None, options: Options) -> Guard | None:
    """The guard as the options ask for it. Raises UsageError if there can be none."""
    from coordinator.guard.guard import GuardError, put_up
    from coordinator.processes.privilege import why_not_root_enough
    from lzr.errors import UsageError
    from lzr.sourceports import DEFAULT_PORTS

    why_not = why_not_root_enough()
    if why_not:
        raise UsageError(why_not)
    wanted = options.source_ips, options.source_port or DEFAULT_PORTS, options.guard, options.interface
    try:
        if guard is None:
            return put_up(*wanted)
        guard.settle(*wanted)
    except GuardError as error:
        if not options.without_guard:
            hint = "; --without-guard goes on all the same" if "cannot be suppressed" in str(error) else ""
            raise UsageError(f"{error}{hint}") from None
    return guard


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
