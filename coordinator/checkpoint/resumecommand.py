"""The command line that resumes an interrupted scan, to be copied into a shell as it is."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import sys
from collections.abc import Mapping

from lzr.options.resume import own_flags
from lzr.options.table import Options


def command(
    options: Options,
    program: str,
    stdin: str | None,
    environ: Mapping[str, str] | None = None,
    directory: str = "",
) -> str:
    """options: of the run that was interrupted. program: to call. stdin: the file that is the input, if any.
    directory: where we are, from which paths are taken; "" where that is gone.

    With another input than a file it says INPUT where that has to be given again.
    """
    words = [program, "--resume", options.checkpoint or ""]
    if not options.send_syns or options.reopen:
        words.append("--reopen")
    words += own_flags(options)
    for name, program_before in (("SUDO_USER", "sudo"), ("DOAS_USER", "doas"), ("PKEXEC_UID", "pkexec")):
        if (environ or {}).get(name):
            # pkexec begins in root's home, unless it is told to stay.
            home = os.path.realpath((environ or {}).get("HOME", directory))
            stay = ["--keep-cwd"] if program_before == "pkexec" and directory not in ("", home) else []
            words[:0] = [program_before, *stay]
            break
    text = " ".join(map(quoted, words))
    if options.input_file is not None or options.target_ports:
        return text
    return f"{text} < {quoted(stdin)}" if stdin is not None else f"{text} < INPUT"


def quoted(word: str) -> str:
    """For a POSIX shell; where a terminal could be harmed by it, as bash and zsh have it."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(f"\\x{byte:02x}" for byte in os.fsencode(word)) + "'"


def program_name() -> str:
    """How we were called: a plain name if that finds us."""
    called = sys.argv[0] or "lzr"
    name = os.path.basename(called)
    found = shutil.which(name)
    same = found is not None and os.path.exists(called) and os.path.samefile(found, called)
    return name if same else os.path.abspath(called)


def stdin_file() -> str | None:
    """The regular file that is our stdin."""
    try:
        if stat.S_ISREG(os.fstat(0).st_mode):
            path = os.readlink("/proc/self/fd/0")
            return path if os.path.samestat(os.stat(path), os.fstat(0)) else None
    except OSError:
        pass
    return None
