"""argparse's parser, but for what becomes of a help text that cannot be written: that raises.

From 3.12 on argparse drops the OSError, so that help on a full disk would end with status 0.
"""

from __future__ import annotations

import argparse
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class ArgumentParser(argparse.ArgumentParser):
    """Raises OSError where a text that it prints is not taken."""

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        if message:
            (sys.stderr if file is None else file).write(message)
