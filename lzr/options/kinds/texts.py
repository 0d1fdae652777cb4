"""Kinds of value that are a text: names, files, expressions, words."""

from __future__ import annotations

from lzr.options.kinds.kind import ValueKind, boolean

_LONGEST_AGENT = 256  # with which the longest probe still fits one packet
_HEX = frozenset("0123456789abcdef")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise ValueError("must be names separated by commas")
    if len(names) > 255:
        raise ValueError("must be at most 255 names")
    return names


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL")
    return text


def _agent(text: str) -> str:
    """RFC 9110 §5.5: the value of a field is visible characters of ASCII or Latin-1, and blanks."""
    if not text.strip():
        raise ValueError("must be a text that says who you are")
    if not text.isprintable() or any(ord(letter) > 0xFF for letter in text):
        raise ValueError("must be printable, and of Latin letters as HTTP's fields are")
    if len(text) > _LONGEST_AGENT:
        raise ValueError(f"must be at most {_LONGEST_AGENT} characters")
    return text.strip()


def _path(text: str) -> str:
    if not text:
        raise ValueError("must be the name of a file")
    return _text(text)


def path(metavar: str = "FILE", *, file: str = "file", endings: tuple[str, ...] = ()) -> ValueKind:
    """A kind of value: the name of a file. endings: those that it may have; none for any."""

    def parse(text: str) -> str:
        if endings and not text.lower().endswith(endings):
            raise ValueError(f"must end in {' or '.join(endings)}")
        return _path(text)

    return ValueKind(metavar, parse, file=file)


def paths(metavar: str = "FILE") -> ValueKind:
    """A kind of value: the name of a file, one each time the flag is given, since a name may contain any
    separator.
    """
    return ValueKind(metavar, lambda text: (_path(text),), show=", ".join, file="file", adds=True)


def _dryrun(text: str) -> str:
    if text in ("text", "fast"):
        return text
    try:
        return "text" if boolean(text) else ""
    except ValueError:
        raise ValueError("must be text or fast") from None


def _hex(text: str) -> str:
    if not 8 <= len(text) <= 64 or not _HEX.issuperset(text):
        raise ValueError("must be 8 to 64 digits of 0-9 and a-f")
    return text


def _filter(text: str) -> str:
    from lzr.records.filter import parse  # only who filters pays for it

    parse(text)
    return text


DRYRUN = ValueKind(
    "fast", _dryrun, show=lambda value: value or "false", bare="true", choices=("text", "fast")
)
NAMES = ValueKind("A,B,C", _names, show=",".join, once=True)
TEXT = ValueKind("TEXT", _text)
AGENT = ValueKind("TEXT", _agent)
HEX = ValueKind("ID", _hex, once=True)
FILTER = ValueKind("EXPR", _filter, once=True)
INPUT = ValueKind("FILE", _path, file="file", once=True)
LISTS = paths()
