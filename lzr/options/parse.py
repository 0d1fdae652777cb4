"""Parses the command line: argv to Options, or to a text to print.

Flags are written as in Go's ``flag`` package and in ZMap: one dash or two, ``-flag value`` or
``-flag=value``; a switch alone is true, ``-switch=false`` and ``--no-switch`` are false. Behind ``--`` there
are only targets. If a flag is given several times, the last one counts, except that lists of networks and
source addresses add up; inputs, filters, configuration files, ranges of ports and lists of names may not be
given twice. The command line takes precedence over the configuration file, whose blocklists are added to its
own, and in which no option stands twice, not even by two names. Whatever argv holds, ``parse`` returns
Options or raises UsageError or Answer, and nothing else.
"""

from __future__ import annotations

import sys

from lzr.errors import UsageError, printable, suggest, wide_text
from lzr.exitstatus import MISTAKE, OK
from lzr.options.groups.option import Option
from lzr.options.kinds import addressing, amounts, texts
from lzr.options.rules import apply
from lzr.options.subcommands import PROGRAMS, TEXTS
from lzr.options.table import ACTIONS, TABLE, Options

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Values = dict[str, object]

FLAGS: dict[str, Option] = {name: row for row in (*TABLE, *ACTIONS) for name in row.names}
"""Name without dashes → row."""

NEGATED: dict[str, Option] = {f"no-{row.long}": row for row in TABLE if row.is_switch}
"""``--no-x`` of every switch."""

KEYS: dict[str, Option] = {
    name: row for row in TABLE for name in (row.long, *row.aliases) if name.islower() or "-" in name
}
"""Key of the configuration file → row: the long names."""


_LISTED = (
    *(texts.NAMES, texts.LISTS, addressing.SOURCES, addressing.TARGETS, addressing.PORT_LIST),
    *(amounts.SHARDS, amounts.WORKERS),
)
"""Kinds whose values are several, separated by commas; in the configuration file they may be a list."""

_EITHER = (("log_file", "log_directory"),)
"""Options of which the one on the command line takes the place of the other in the configuration file."""

_BITS = 128
"""Most bits of a number in the configuration file: TOML has hexadecimal ones of any length, of which Python
makes no text."""


class ShowText(Exception):
    """The user asked for a text, not for a scan: `show` it and exit with status 0."""

    def __init__(self, action: str) -> None:
        super().__init__(action)
        self.action = action

    def text(self) -> str:
        from lzr.options import helptext  # nobody who scans waits for it

        return helptext.answer(self.action)

    def show(self) -> None:
        """Print it on stdout, in whatever encoding that has, and whether or not its reader reads to the
        end.
        """
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
    read: Callable[[str], bytes] = _read_file,
) -> Options:
    """Options of a command line (without the program's name).

    read: gives the bytes of the configuration file.

    Raises UsageError for the user's mistake, Answer where help or a list is asked for.
    """
    values: Values = {}
    config = ""
    if argv and argv[0] in TEXTS:
        raise ShowText(_asked(argv))
    for row, name, text in _flags(argv):
        if row.attr:
            before = values.get(row.attr) if row.kind.adds or row.kind.once else None
            _set(values, row, name, text)
            if row.kind.adds and before is not None:
                values[row.attr] = _together(before, values[row.attr])
            elif before not in (None, values.get(row.attr)):
                raise UsageError(_twice(row, name, before, values[row.attr]))
        elif row.long == "config":
            given, config = config, str(_parsed(row, name, text))
            if given not in ("", config):
                both = f"{printable(given)} and {printable(config)}"
                raise UsageError(f"{name} is given twice, with {both}; one file is read")
        elif _parsed(row, name, text):
            raise ShowText(row.long)
    if config:
        kept = _config(config, read)
        if "blocklist_file" in kept and "blocklist_file" in values:  # nobody is contacted whom either names
            kept["blocklist_file"] = values["blocklist_file"] = _together(
                kept["blocklist_file"], values["blocklist_file"]
            )
        for pair in _EITHER:
            if values.keys() & set(pair):
                kept = {attr: value for attr, value in kept.items() if attr not in pair}
        values = {**kept, **values}
    return apply(values).saying(set(values))


def _together(before: object, after: object) -> object:
    return tuple(dict.fromkeys((*before, *after)))  # type: ignore[misc]


def _twice(row: Option, name: str, before: object, after: object) -> str:
    """The sentence about a flag that is given twice, with a guess at what was meant."""
    if row.kind is texts.NAMES:
        return f"{name} is given twice; write {name} {printable(row.kind.show(_together(before, after)))}"
    both = f"{printable(row.kind.show(before))} and {printable(row.kind.show(after))}"
    hint = {
        "input_file": "; one input is read: cat FILE FILE | lzr",
        "output_filter": "; write both as one, joined by &&",
    }.get(row.attr, "")
    return f"{name} is given twice, with {both}{hint}"


def _asked(argv: Sequence[str]) -> str:
    """The action of ``lzr version``, ``lzr help`` and ``lzr help TOPIC``. Raises UsageError."""
    from lzr.options import helptext

    topic = " ".join(argv[1:])
    if argv[0] == "version" or not topic:
        return argv[0]
    action = helptext.TOPICS.get(topic.lstrip("-"))
    if action is None:
        raise UsageError(f"there is no help on {printable(topic)}{suggest(topic, helptext.TOPICS)}")
    return action


def _flags(argv: Sequence[str]) -> Iterator[tuple[Option, str, str]]:
    """(row, flag as written, value as written) of each flag in turn."""
    i = 0
    ended = False
    while i < len(argv):
        word = argv[i]
        i += 1
        if word == "--" and not ended:
            ended = True
            continue
        if not word.startswith("-") and _is_target(word):
            yield FLAGS["targets"], "targets", word
            continue
        if ended and word.startswith("-") and _name(word):
            raise UsageError(f"{printable(word)} stands behind --, where there are no flags any more")
        if ended or not word.startswith("-") or word == "-":
            raise UsageError(_stray(word, argv, i - 1))
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
            if text.startswith("-") and (text == "--" or _name(text) in FLAGS or _name(text) in NEGATED):
                what = "ends the flags" if text == "--" else "is a flag"
                raise UsageError(f"{flag} needs a value ({row.metavar}), but {printable(text)} {what}")
            if not text.isascii() and row.attr not in ("notes", "user_agent"):
                _check_quotes(flag, text)
            if text.endswith(",") and i < len(argv) and row.kind in _LISTED:
                joined = printable(text + argv[i])
                raise UsageError(f"{flag} takes its values without blanks: {flag} {joined}")
        yield row, flag, text


def _is_target(word: str) -> bool:
    """Whether a word that is no flag's names what is to be swept."""
    if not (word[:1].isalnum() or word.startswith(":")) or ("." not in word and ":" not in word):
        return False
    from lzr.options import hints

    if hints.is_list(word):
        return False
    try:
        FLAGS["targets"].kind.parse(word)
    except ValueError:
        return False
    return True


def _check_quotes(flag: str, text: str) -> None:
    """A file may have any name, but one that begins with a quotation mark was quoted by a word processor."""
    from lzr.options import typography

    if typography.quoted(text):
        raise UsageError(f"{flag}: {printable(text)} {typography.typography(text)}")


def _name(word: str) -> str:
    return word.partition("=")[0].removeprefix("-").removeprefix("-")


def _stray(word: str, argv: Sequence[str], at: int) -> str:
    """The sentence about the word at position `at` of argv, which belongs to no flag."""
    from lzr.options import hints

    before = argv[at - 1] if at else ""
    flag = argv[at - 2] if at > 1 and not before.startswith("-") else before
    row = FLAGS.get(_name(flag)) if flag.startswith("-") else None
    named = word[:1].isalnum() and word.isascii() and word.replace("-", "").isalnum() and not word.isdecimal()
    if named and not before.startswith("-") and word not in PROGRAMS and _sweeps(argv):
        return (
            f"{printable(word)}: a name on the command line has a dot; any other goes into a --targets-file"
        )
    return hints.stray(word, before, row, PROGRAMS, first=at == 0, sweeps=_sweeps(argv))


def _sweeps(argv: Sequence[str]) -> bool:
    rows = (FLAGS.get(_name(word)) for word in argv if word.startswith("-"))
    return any(row is not None and row.attr == "target_ports" for row in rows)


def _unknown(flag: str, name: str) -> str:
    from lzr.options import hints, typography

    wrong = typography.typography(name)
    if wrong:
        return f"{printable(flag)} {wrong}"
    hint = hints.option(flag, name, FLAGS, NEGATED)
    return f"unknown flag {printable(flag)}; {hint or 'lzr --help-all shows them all'}"


def _parsed(row: Option, name: str, text: str) -> object:
    try:
        return row.kind.parse(text)
    except ValueError as error:
        from lzr.options import hints, typography

        hint = hints.value(row, text) or typography.typography(text)
        raise UsageError(f"{name} {printable(text)}: {error}" + (f"; {hint}" if hint else "")) from None


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
        data = read(path)
        if wide := wide_text(data):
            raise UsageError(f"--config {where}: {wide}")
        table = tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"--config {where}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--config {where}: is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"--config {where}: is not TOML: {error}") from None
    values: Values = {}
    said: dict[str, str] = {}
    for key, value in table.items():
        row = KEYS.get(key)
        if row is None:
            raise UsageError(f"--config {where}: unknown key {printable(key)}{suggest(key, KEYS)}")
        name = f"--config {where}: {key}"
        found: Values = {}
        if row.kind is texts.LISTS and isinstance(value, list):
            parts = [_parsed(row, name, _config_text(where, key, item)) for item in value]
            found[row.attr] = tuple(path for part in parts for path in part)  # type: ignore[attr-defined]
        elif isinstance(value, list) and len(value) > 1 and row.kind not in _LISTED:
            raise UsageError(f"{name} takes one value, not {len(value)}")
        else:
            _set(found, row, name, _config_text(where, key, value))
        for attr in found:
            if attr in said:
                raise UsageError(f"--config {where}: {said[attr]} and {key} say the same: leave one out")
            said[attr] = key
        values |= found
    return values


def _config_text(where: str, key: str, value: object) -> str:
    """A TOML value as it would be written on the command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if any(isinstance(item, int) and item.bit_length() > _BITS for item in (value, *_items(value))):
        raise UsageError(f"--config {where}: {key} is too large")
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        return ",".join(map(str, value))
    raise UsageError(f"--config {where}: {key} must be a text, a number, true, false or a list of texts")


def _items(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else ()


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m lzr.options.parse --man|--bash|--zsh|--toml``: the files made from the table."""
    from lzr.options import completion, manpage

    made = {
        "--man": manpage.man,
        "--bash": completion.bash,
        "--zsh": completion.zsh,
        "--toml": completion.toml,
    }
    words = sys.argv[1:] if argv is None else argv
    if len(words) != 1 or words[0] not in made:
        sys.stderr.write(f"usage: python -m lzr.options.parse {'|'.join(made)}\n")
        return MISTAKE
    sys.stdout.write(made[words[0]]())
    return OK


if __name__ == "__main__":
    sys.exit(main())
