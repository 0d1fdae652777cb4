"""Packages that only some commands need: how this installation gets them, and why one cannot be used."""

from __future__ import annotations

import importlib.util
import shlex
import sys

from lzr.safetext import plain


def install(extra: str) -> str:
    """The command that adds what an extra of ours brings, as far as it can be told: with the pip of this
    environment, since another would look for an lzr of somebody else's on its index."""
    if importlib.util.find_spec("pip") is None or not sys.executable:
        return f"install lzr again as '.[{extra}]'"
    return f"{shlex.quote(sys.executable)} -m pip install 'lzr[{extra}]'"


def trouble(error: ImportError, package: str, extra: str, *, called: str = "") -> str:
    """What to say of `package`, which an extra of ours brings and which could not be imported: it is missing;
    or it is there and something it needs is not, most often memory. called: its name for people."""
    called = called or package
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == package:
        return f"this needs {called}: {install(extra)}"
    why = (str(error).strip() or "no reason is given").splitlines()[0]
    return (
        f"{called} is installed and cannot be loaded: {plain(why, 160)}; if there is memory enough "
        f"(ulimit -v), install it again: {install(extra)}"
    )
