"""A kind of value that an option takes: text to value, and value back to text.

``parse(show(value)) == value``, and ``parse`` raises nothing but ValueError, whose text completes
the sentence "FLAG VALUE: …". Nothing slow is imported here: the command line is read before the RST guard
is up, and every millisecond until then is one in which the kernel may reset a connection ZMap half opened.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from collections.abc import Callable

_TRUE = frozenset(("1", "t", "true", "yes", "on"))
_FALSE = frozenset(("0", "f", "false", "no", "off"))
_REAL = frozenset("0123456789.eE+-")


class ValueKind:
    """How values of one kind are written.

    metavar: how the value is called in help texts. bare: the value of the flag alone (``-sendSYNs`` is
    ``-sendSYNs=true``); None: it needs a value. choices: the values to offer for completion, where they are
    few. file: what completion should offer: "file", "dir" or "". adds: values are tuples, and those of a flag
    that is given several times are joined. once: giving the flag twice is a mistake, unless both values are
    equal; otherwise the last one counts.
    """

    __slots__ = ("adds", "bare", "choices", "file", "metavar", "once", "parse", "show")

    def __init__(
        self,
        metavar: str,
        parse: Callable[[str], object],
        *,
        show: Callable[..., str] = str,
        bare: str | None = None,
        choices: tuple[str, ...] = (),
        file: str = "",
        adds: bool = False,
        once: bool = False,
    ) -> None:
        self.metavar = metavar
        self.parse = parse
        self.show = show
        self.bare = bare
        self.choices = choices
        self.file = file
        self.adds = adds
        self.once = once


def boolean(text: str) -> bool:
    """Yes or no, as people write it. Raises ValueError."""
    lower = text.lower()
    if lower in _TRUE:
        return True
    if lower in _FALSE:
        return False
    raise ValueError("must be true or false")


def _show_boolean(value: bool) -> str:
    return "true" if value else "false"


def whole_number(text: str) -> int:
    """A whole number of at most 30 digits. Raises ValueError."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("must be a whole number")
    if len(digits) > 30:
        raise ValueError("is too large")
    return int(text)


def real_number(text: str) -> float:
    """A finite number, as float() takes it. Raises ValueError."""
    if not _REAL.issuperset(text):
        raise ValueError("must be a number")
    try:
        value = float(text)
    except ValueError:
        raise ValueError("must be a number") from None
    if value - value != 0:  # infinite
        raise ValueError("is too large")
    return value


def show_number(value: float) -> str:
    """Shortest text that reads back as the same number."""
    whole = int(value)
    return str(whole) if whole == value and abs(whole) < 10**15 else repr(value)


def show_range(pair: tuple[int, int]) -> str:
    """``7-9``, or ``7`` where it is the first and the last."""
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}-{pair[1]}"


def choice(*values: str) -> ValueKind:
    """A kind of value: one of these words."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(f"must be {', '.join(values[:-1])} or {values[-1]}")
        return text

    return ValueKind("|".join(values), parse, choices=values)


SWITCH = ValueKind("", boolean, show=_show_boolean, bare="true")
