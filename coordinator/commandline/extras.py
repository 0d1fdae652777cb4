"""Packages that only some commands need: how this installation gets them."""

from __future__ import annotations

import importlib.util
import shlex
import sys


def install(extra: str) -> str:
    """The command that adds what an extra of ours brings, as far as it can be told: with the pip of this
    environment, since another would look for an lzr of somebody else's on its index."""
    if importlib.util.find_spec("pip") is None or not sys.executable:
        return f"install lzr again as '.[{extra}]'"
    return f"{shlex.quote(sys.executable)} -m pip install 'lzr[{extra}]'"
