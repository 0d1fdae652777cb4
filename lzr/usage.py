"""The user's mistakes: one sentence each, naming what was given, what was expected, and the nearest guess.

Names of handshakes, labels and fields are checked here too, by functions that are given what is known,
because the modules that know it are slow to import and the command line is read first.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from collections.abc import Iterable


class UsageError(Exception):
    """The user's mistake, in one sentence. The program prints it and exits with status 2."""


def suggest(name: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` for the nearest known name, or nothing."""
    import difflib  # only on the way to an error

    known = tuple(known)
    for other in known:
        if other.lower() == name.lower():
            return f"; did you mean {other}?"
    plain = {other.replace("-", "").lower(): other for other in reversed(known)}
    near = difflib.get_close_matches(name[:60].replace("-", "").lower(), plain, 1, 0.6)
    return f"; did you mean {plain[near[0]]}?" if near else ""


def printable(text: str) -> str:
    """`text` made harmless and short, for an error sentence."""
    short = text if len(text) <= 60 else text[:57] + "..."
    return short if short.isprintable() and short else ascii(short)


def check_names(names: Iterable[str], known: Iterable[str], what: str, where: str) -> None:
    """Raise UsageError for the first of `names` that is not `known`."""
    known = tuple(known)
    for name in names:
        if name not in known:
            raise UsageError(f"{printable(name)} is not {what}{suggest(name, known)} ({where})")


def check_handshakes(names: Iterable[str], known: Iterable[str]) -> None:
    """Later than the parsing, because importing the protocols is slow. Raises UsageError."""
    check_names(names, known, "a handshake", "--list-handshakes shows them all")


def check_fingerprints(names: Iterable[str], known: Iterable[str]) -> None:
    """The labels of -priorityFingerprint. Raises UsageError."""
    check_names(names, known, "a fingerprint", "see --list-handshakes")


def check_fields(names: Iterable[str], known: Iterable[str]) -> None:
    """The fields of --output-fields; ``*`` alone is all of them. Raises UsageError."""
    names = tuple(names)
    if names == ("*",):
        return
    check_names(names, known, "an output field", "--list-output-fields shows them all")
