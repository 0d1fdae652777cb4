"""The command line: argv to Options, or to a text to print.

Flags are written as Go's ``flag`` package and as ZMap have them: one dash or two, ``-flag value`` or
``-flag=value``; a switch alone is true, ``-switch=false`` and ``--no-switch`` are false. The last of several
wins, and the command line wins over the configuration file. Whatever argv holds, ``parse`` returns Options
or raises UsageError or Answer, and nothing else.
"""

from __future__ import annotations

import sys

from lzr.options import ACTIONS, TABLE, Options, UsageError
from lzr.optiontable import Option
from lzr.rules import settled
from lzr.usage import printable, suggest

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Values = dict[str, object]

SUBCOMMANDS = ("guard", "ctl", "identify")

FLAGS: dict[str, Option] = {name: row for row in (*TABLE, *ACTIONS) for name in row.names}
"""Name without dashes → row."""

NEGATED: dict[str, Option] = {f"no-{row.long}": row for row in TABLE if row.is_switch}
"""``--no-x`` of every switch."""

KEYS: dict[str, Option] = {
    name: row for row in TABLE for name in (row.long, *row.aliases) if name.islower() or "-" in name
}
"""Key of the configuration file → row: the long names."""


class Answer(Exception):
    """The user asked for a text, not for a scan: `show` it and exit with status 0."""

    def __init__(self, action: str) -> None:
        super().__init__(action)
        self.action = action

    def text(self) -> str:
        from lzr import helptext  # nobody who scans waits for it

        return helptext.answer(self.action)

    def show(self) -> None:
        """On stdout, whatever alphabet that has, and whether or not somebody reads to the end."""
        coding = sys.stdout.encoding or "ascii"
        try:
            sys.stdout.write(self.text().encode(coding, "replace").decode(coding))
            sys.stdout.flush()
        except BrokenPipeError:  # lzr --help-all | head
            sys.stdout = None  # or the interpreter flushes it once more


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def parse(
    argv: Sequence[str],
    environ: Mapping[str, str] | None = None,
    read: Callable[[str], bytes] = _read_file,
) -> Options:
    """Options of a command line (without the program's name).

    environ: taken into account for the user to run as (SUDO_USER).
    read: gives the bytes of the configuration file.

    Raises UsageError for the user's mistake, Answer where help or a list is asked for.
    """
    values: Values = {}
    config = ""
    for row, name, text in _flags(argv):
        if row.attr:
            _set(values, row, name, text)
        elif row.long == "config":
            config = str(_parsed(row, name, text))
        elif _parsed(row, name, text):
            raise Answer(row.long)
    if config:
        values = {**_config(config, read), **values}
    if "user" not in values:
        sudo_user = (environ or {}).get("SUDO_USER", "root")
        if sudo_user not in ("", "root") and "\0" not in sudo_user:
            values["user"] = sudo_user
    return settled(values)


def _flags(argv: Sequence[str]) -> Iterator[tuple[Option, str, str]]:
    """(row, flag as written, value as written) of each flag in turn."""
    i = 0
    while i < len(argv):
        word = argv[i]
        i += 1
        if word == "--" and i == len(argv):
            return
        if not word.startswith("-") or word in ("-", "--"):
            raise UsageError(_stray(argv[i] if word == "--" else word, argv[i - 2] if i > 1 else ""))
        flag, equals, text = word.partition("=")
        name = flag[2:] if flag.startswith("--") else flag[1:]
        row = FLAGS.get(name)
        if row is None and name in NEGATED:
            if equals:
                raise UsageError(f"{flag} takes no value")
            yield NEGATED[name], flag, "false"
            continue
        if row is None:
            raise UsageError(_unknown(flag, name))
        if not equals and row.kind.bare is not None:
            text = row.kind.bare
        elif not equals:
            if i == len(argv):
                raise UsageError(f"{flag} needs a value ({row.metavar})")
            text = argv[i]
            i += 1
            if text.startswith("-") and _name(text) in FLAGS and len(text) > 2:
                raise UsageError(f"{flag} needs a value ({row.metavar}), but {printable(text)} is a flag")
        yield row, flag, text


def _name(word: str) -> str:
    return word.partition("=")[0].removeprefix("-").removeprefix("-")


def _stray(word: str, before: str) -> str:
    if word in SUBCOMMANDS:
        return f"{word} must be the first word: lzr {word} ..."
    row = FLAGS.get(_name(before)) if before.startswith("-") else None
    if row is not None and row.kind.bare is not None and "=" not in before:
        return f"{before} takes no separate value; write {before}={printable(word)}"
    return f"{printable(word)}: flags only; targets come from stdin or --input-file"


def _unknown(flag: str, name: str) -> str:
    for size in (2, 1):
        row = FLAGS.get(name[:size])
        if row is not None and row.kind.bare is None and name[size : size + 1].isdigit():
            return f"unknown flag {printable(flag)}; write -{name[:size]} {printable(name[size:])}"
    # With one dash the reference's names come first, with two the long ones; both are right either way.
    known = [shown for row in (*TABLE, *ACTIONS) for shown in row.shown_names]
    known += [f"--{other}" for other in NEGATED]
    two = flag.startswith("--")
    guess = suggest(flag, sorted(known, key=lambda shown: shown.startswith("--") != two))
    return f"unknown flag {printable(flag)}{guess or '; lzr --help-all shows them all'}"


def _parsed(row: Option, name: str, text: str) -> object:
    try:
        return row.kind.parse(text)
    except ValueError as error:
        raise UsageError(f"{name} {printable(text)}: {error}") from None


def _set(values: Values, row: Option, name: str, text: str) -> None:
    value = _parsed(row, name, text)
    if isinstance(value, dict):  # -w flow=6,collect=2 sets several
        values.update(value)
    else:
        values[row.attr] = value


def _config(path: str, read: Callable[[str], bytes]) -> Values:
    """Values of a configuration file. Raises UsageError."""
    import tomllib

    where = printable(path)
    try:
        table = tomllib.loads(read(path).decode())
    except OSError as error:
        raise UsageError(f"--config {where}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--config {where}: is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"--config {where}: is not TOML: {error}") from None
    values: Values = {}
    for key, value in table.items():
        row = KEYS.get(key)
        if row is None:
            raise UsageError(f"--config {where}: unknown key {printable(key)}{suggest(key, KEYS)}")
        _set(values, row, f"--config {where}: {key}", _config_text(where, key, value))
    return values


def _config_text(where: str, key: str, value: object) -> str:
    """A TOML value as the command line would have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        return ",".join(map(str, value))
    raise UsageError(f"--config {where}: {key} must be a text, a number, true, false or a list of texts")


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m lzr.cli --man|--bash|--zsh|--toml``: the files made from the table."""
    from lzr import completion, manpage

    made = {
        "--man": manpage.man,
        "--bash": completion.bash,
        "--zsh": completion.zsh,
        "--toml": completion.toml,
    }
    words = sys.argv[1:] if argv is None else argv
    if len(words) != 1 or words[0] not in made:
        sys.stderr.write(f"usage: python -m lzr.cli {'|'.join(made)}\n")
        return 2
    sys.stdout.write(made[words[0]]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
