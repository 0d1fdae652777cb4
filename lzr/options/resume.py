"""Which options a resumed scan uses: a decision for each row of the table of options,
in its column ``on_resume``, which `lzr.options.groups` sets row by row.

* FIXED decides which inputs there are, or what a record means: it stays as it was. If it is given again with
  another value, that is refused, unless --resume-changed names it: then half of the records mean something
  else.
* CONTENT names a file whose content must be the same; where the file lies may change.
* FREE may be given anew (also as a default, if it is given), and is otherwise as it was.
* OWN belongs to each run: as it is given now.
"""

from __future__ import annotations

from lzr.errors import UsageError, printable, suggest
from lzr.options.groups.option import CONTENT, FIXED, OWN, Option
from lzr.options.kinds.kind import ValueKind
from lzr.options.table import TABLE, Options


def changed(names: tuple[str, ...]) -> frozenset[str]:
    """Attributes of the options that --resume-changed names, by any of their names. Raises UsageError."""
    rows = {name: row for row in TABLE if row.on_resume in (FIXED, CONTENT) for name in row.names}
    found = []
    for name in names:
        row = rows.get(name.lstrip("-"))
        if row is None:
            raise UsageError(
                f"--resume-changed {printable(name)}: is no option that is kept when a scan is resumed"
                f"{suggest(name, [row.long for row in rows.values()])}"
            )
        found.append(row.attr)
    return frozenset(found)


def restored(given: Options, saved: Options) -> Options:
    """The options to resume with. given: as said now, paths absolute; saved: as the scan was begun.

    Raises UsageError.
    """
    forced = changed(given.resume_changed)
    changes: dict[str, object] = {}
    for row in TABLE:
        now, then = getattr(given, row.attr), getattr(saved, row.attr)
        if row.on_resume == OWN or now == then:
            continue
        if row.attr not in given.given:
            changes[row.attr] = then
        elif row.on_resume == FIXED and row.attr not in forced:
            raise UsageError(
                f"{row.flag} decides what a record of this scan means and cannot change on the way: it was "
                f"{_shown(row.kind.show, then)}; --resume-changed {row.long} does it all the same"
            )
    return given.replace(**changes)


def is_possible(row: Option, value: object) -> bool:
    """Whether an option can have this value, which a file states: it is the default, or what a text reads
    as.
    """
    if value is row.default:
        return True
    try:
        parts = [(part,) for part in value] if row.kind.adds and isinstance(value, tuple) else [value]
        return all(_reads_as(row.kind, part) for part in parts)
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError):  # it is of another kind
        return False


def _reads_as(kind: ValueKind, value: object) -> bool:
    return kind.parse(kind.show(value)) == value


def _shown(show: object, value: object) -> str:
    assert callable(show)
    return "not given" if value is None or value in ((), "") else printable(str(show(value)))


def own_flags(options: Options) -> list[str]:
    """The flags that were given for this run only, which have to be given again when the scan is resumed."""
    once = ("checkpoint", "resume", "resume_changed", "reopen", "overwrite", "lease_until")
    return [
        f"{row.flag}={row.kind.show(getattr(options, row.attr))}"
        for row in TABLE
        if row.on_resume == OWN and row.attr in options.given and row.attr not in once
    ]
