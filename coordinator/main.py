"""The `lzr` command: subcommands, options, and the order in which a scan comes up.

The RST guard goes up before anything slow is imported: in `zmap … | lzr …` both start at once, and a SYN-ACK
that the kernel resets first is lost. Everything the user can get wrong is found before a packet is sent, and
ends with one sentence and status 2.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from coordinator.guard import Guard
    from lzr.options import Options

OK, FAILED, USAGE = 0, 1, 2


def main(argv: list[str] | None = None) -> int:
    """Entry point of the console script; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] == "guard":
        from coordinator import guard

        return guard.main(argv[1:])
    if argv and argv[0] == "ctl":
        from coordinator import control

        return control.main(argv[1:])
    if argv and argv[0] == "identify":
        from lzr import identifycommand

        return identifycommand.main(argv[1:])
    from lzr import cli
    from lzr.options import UsageError

    try:
        options = cli.parse(argv, os.environ)
    except cli.Answer as answer:
        sys.stdout.write(answer.text())
        return OK
    except UsageError as error:
        return _fail(str(error))
    return _scan(options)


def _scan(options: Options) -> int:
    from coordinator.guard import GuardError, put_up
    from lzr.usage import UsageError

    guard: Guard | None = None
    try:
        if os.geteuid() != 0 and not options.without_guard:
            return _fail("opening raw sockets needs root (CAP_NET_RAW and CAP_NET_ADMIN): run with sudo")
        try:
            guard = put_up(
                options.source_ips,
                options.source_port or (32768, 61000),
                options.guard,
                options.interface,
            )
        except GuardError as error:
            if not options.without_guard:
                return _fail(f"{error}; --without-guard goes on all the same")
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: nobody multiplies matrices here
        from coordinator import run

        return run.run(options, guard)
    except UsageError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130
    finally:
        if guard is not None:
            guard.remove()


def _fail(sentence: str) -> int:
    print(f"lzr: {sentence}", file=sys.stderr)
    return USAGE


if __name__ == "__main__":
    sys.exit(main())
