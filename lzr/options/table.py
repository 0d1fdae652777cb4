"""The table of options, and the frozen value that holds what the user asked for.

The rows are in `lzr.options.groups`, a module for each of four subjects. Parsing, help, the start-up echo,
the configuration file, the man page, the completions and docs/compatibility.md are all made from them, so
they cannot disagree. The rules between options are in ``lzr.options.rules``. This module imports nothing
slow: it runs before the RST guard is up.
"""

from __future__ import annotations

from lzr.options.groups.option import Option
from lzr.options.groups.running import RunOptions
from lzr.options.kinds import kind, texts

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from typing import Any


class Options(RunOptions):
    """Everything a scan needs to know, one attribute a row; each class goes on with the rows before it."""

    def echo(self) -> list[tuple[str, str]]:
        """(flag, value) of what differs from the defaults; ``flag=value`` parses back to it."""
        return [
            (row.flag, text)
            for row, value in zip(TABLE, self.values().values(), strict=True)
            if value != row.default
            for text in ([*value] if row.kind is texts.LISTS else [row.kind.show(value)])
        ]

    def as_dict(self) -> dict[str, Any]:
        """Attribute → value in types that JSON has, for the metadata."""
        return {
            attr: list(value) if isinstance(value, tuple) else value for attr, value in self.values().items()
        }


TABLE: tuple[Option, ...] = tuple(Options.rows.values())

ACTIONS: tuple[Option, ...] = (
    Option("", kind.SWITCH, None, "print the options most used, and exit", long="help", short="h"),
    Option("", kind.SWITCH, None, "print every option, and exit", long="help-all"),
    Option("", kind.SWITCH, None, "print the version, and exit", long="version", short="V"),
    Option("", kind.SWITCH, None, "print the handshakes, and exit", long="list-handshakes"),
    Option("", kind.SWITCH, None, "print the fields of a record, and exit", long="list-output-fields"),
    Option("", kind.SWITCH, None, "print the output modules, and exit", long="list-output-modules"),
    Option(
        "",
        texts.path(),
        None,
        "take options from a TOML file, by their long names; the command line wins",
        long="config",
        short="C",
    ),
)
"""Flags that are not part of Options: they print something, or say where other options are."""
