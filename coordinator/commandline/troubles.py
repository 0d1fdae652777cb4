"""What may go wrong anywhere in a program, in words: stdout's disk is full, a package cannot be loaded."""

from __future__ import annotations

import contextlib
import errno
import os
import sys

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def unwritten(error: OSError | None = None) -> str:
    """Why what was printed does not get to stdout; empty where it does.

    What is left in the buffer is dropped then, or the interpreter would find that out once more. error: what
    has been raised; where stdout has no buffer (PYTHONUNBUFFERED) it is all that tells of a full disk.
    """
    try:
        sys.stdout.flush()
    except OSError as found:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return f"stdout cannot be written: {found.strerror or found}"
    full = error is not None and error.filename is None and error.errno in _FULL
    return f"cannot write: {os.strerror(error.errno or 0)}" if full and error is not None else ""


def not_loaded(error: BaseException) -> str:
    """A sentence on somebody else's package that cannot be loaded; empty where something else is wrong."""
    inner: BaseException | None = error
    while inner is not None:  # numpy explains at length what the first error says in a line
        error, inner = inner, inner.__cause__ or inner.__context__
    if not isinstance(error, ImportError | MemoryError):
        return ""
    if (getattr(error, "name", None) or "").partition(".")[0] in ("lzr", "coordinator", "workers"):
        return ""
    why = (str(error).strip() or "there is not memory enough").splitlines()[0]
    return (
        f"a package that lzr needs cannot be loaded: {why}; if there is memory enough (ulimit -v), the "
        "installation is not whole: install lzr again (make venv in a checkout)"
    )
