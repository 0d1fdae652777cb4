"""The user's mistakes: one sentence each, with what was given, what was expected, and the nearest guess.

Names of fields are checked here too, by a function that takes the known names as an argument: the module that
has them is slow to import, and the command line is read first. (For handshakes: `lzr.options.handshakes`.)
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


ROOM_FOR_PROCESSES = (
    "look at ulimit -u, TasksMax= under systemd, --pids-limit of a container, and at free memory"
)
"""Where to look when the kernel starts no process any more."""


class UsageError(Exception):
    """The user's mistake, in one sentence. The program prints it and exits with status 2."""


def suggest(name: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` for the nearest known name, or nothing."""
    import difflib  # only on the way to an error

    known = tuple(known)
    near = nearest(name, known)
    if not near:
        plain = {other.replace("-", "").lower(): other for other in reversed(known)}
        close = difflib.get_close_matches(name[:60].replace("-", "").lower(), plain, 1, 0.6)
        near = plain[close[0]] if close else ""
    return f"; did you mean {near}?" if near else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that `name` probably misspells (one or two letters added, missing or wrong), or ""."""
    known = tuple(known)
    for other in known:
        if other.lower() == name.lower():
            return other
    plain = {other.replace("-", "").lower(): other for other in reversed(known)}
    asked = name[:60].replace("-", "").lower()
    best, least = "", (3, True)
    for text, other in plain.items():
        if len(text) < 3 or len(asked) < 2:  # a name of two letters is a slip of any other
            continue
        most = 1 if len(text) < 6 or len(asked) < 4 else 2
        slips = _slips(asked, text, most), asked[0] != text[0]
        if slips[0] <= most and slips <= least:
            best, least = other, slips
    return best or _begun(asked, plain)


def _begun(asked: str, plain: dict[str, str]) -> str:
    """The one known name that begins like `asked`, or that `asked` begins with."""
    if len(asked) < 4:
        return ""
    found = {other for text, other in plain.items() if text.startswith(asked)}
    return found.pop() if len(found) == 1 else ""


def _slips(one: str, other: str, most: int) -> int:
    """The letters to insert, delete, change or swap to get from one to the other; `most` + 1 for more than
    `most`.
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return min(last[-1], most + 1)


def two_dashes(argv: Sequence[str], names: Iterable[str]) -> list[str]:
    """`argv` with ``--`` before each of `names` that has one dash. Raises UsageError for a flag that is none.

    For commands that have a parser with long names only, so that one dash is as good as two everywhere.
    """
    names = tuple(names)
    words: list[str] = []
    for i, word in enumerate(argv):
        if word == "--":
            return [*words, *argv[i:]]
        name = word.partition("=")[0].removeprefix("-").removeprefix("-")
        if not word.startswith("-") or len(name) < 2 or word[1:2].isdigit():
            words.append(word)
        elif any(known.startswith(name) for known in names):
            words.append(f"--{word.removeprefix('-').removeprefix('-')}")
        else:
            guess = suggest(f"--{name}", [f"--{known}" for known in names])
            raise UsageError(f"unknown flag {printable(word.partition('=')[0])}{guess or '; see --help'}")
    return words


def printable(text: str) -> str:
    """`text` made harmless and short, for an error sentence."""
    short = text if len(text) <= 60 else text[:57] + "..."
    return short if short.isprintable() and short else ascii(short)


def wide_text(head: bytes) -> str:
    """That a file which has to be UTF-8 is UTF-16, as the rest of a sentence that begins with its name; empty
    where it is not. head: its first bytes.

    >>> wide_text("rate".encode("utf-16-le"))
    'is UTF-16 text: save it as UTF-8'
    """
    for mark, shown in ((b"\xff\xfe", "FF FE"), (b"\xfe\xff", "FE FF")):
        if head.startswith(mark):
            return f"is UTF-16 text (its byte-order mark is {shown}): save it as UTF-8"
    zeros = [byte == 0 for byte in head[:4]]
    wide = zeros in ([False, True, False, True], [True, False, True, False])
    return "is UTF-16 text: save it as UTF-8" if wide else ""


def check_names(names: Iterable[str], known: Iterable[str], what: str, where: str) -> None:
    """Raise UsageError for the first of `names` that is not `known`."""
    known = tuple(known)
    for name in names:
        if name not in known:
            raise UsageError(f"{printable(name)} is not {what}{suggest(name, known)} ({where})")


def check_fields(names: Iterable[str], known: Iterable[str]) -> None:
    """The fields of --output-fields; ``*`` alone is all of them. Raises UsageError."""
    names = tuple(names)
    if names == ("*",):
        return
    check_names(names, known, "an output field", "--list-output-fields shows them all")
