"""How the table of options is written down: as the body of a class.

``attribute: type = option(...)`` is the one place that says everything about an option: its attribute, its
type, default, flags, help, and how the reference has it. The metaclass makes a frozen, slotted value class
of it. It behaves as a keyword-only dataclass does, but does not import ``dataclasses``, which takes longer
than the whole way from process start to the RST guard may.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, whose import alone costs 10 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Self, TypedDict, TypeVar, Unpack, dataclass_transform

    from lzr.options.kinds.kind import ValueKind

    T = TypeVar("T")

    class Columns(TypedDict, total=False):
        """The columns that a row may leave out."""

        reference: str
        long: str
        short: str
        aliases: tuple[str, ...]
        metavar: str
        default_text: str
        common: bool
        example: str
        was: str
        why: str
else:

    def dataclass_transform(**_):
        return lambda cls: cls


FIXED, CONTENT, FREE, OWN = "fixed", "content", "free", "own"

COLUMNS: dict[str, object] = {
    **dict.fromkeys(("reference", "long", "short", "metavar", "default_text"), ""),
    **dict.fromkeys(("example", "was", "why"), ""),
    "aliases": (),
    "common": False,
}
"""The columns that a row may leave out, with their defaults."""


class Option:
    """One row of the table.

    attr: attribute of Options; "" for a flag that only prints something.
    group: heading under which help shows it.
    reference: its name in the reference, "" if it has none there.
    long: name in kebab case; short: a single letter; aliases: further names, not shown in help.
    default_text: what to show as the default where the value alone would not say it.
    common: shown by the short help too.
    on_resume: FIXED, CONTENT, FREE or OWN: what becomes of it when a scan is resumed (`lzr.options.resume`).
    example: a value in TOML, for the example configuration, where the default is none that can be written.
    was, why: the reference's default, and why ours differs from it (for the compatibility page).
    """

    __slots__ = ("attr", "default", "group", "help", "kind", "on_resume", *COLUMNS)

    if TYPE_CHECKING:
        reference: str
        long: str
        short: str
        aliases: tuple[str, ...]
        metavar: str
        default_text: str
        common: bool
        example: str
        was: str
        why: str

    def __init__(
        self,
        group: str,
        kind: ValueKind,
        default: object,
        help: str,
        on_resume: str = "",
        **columns: Unpack[Columns],
    ) -> None:
        self.attr = ""
        self.group = group
        self.kind = kind
        self.default = default
        self.help = help
        self.on_resume = on_resume
        for name, value in {**COLUMNS, "metavar": kind.metavar, **columns}.items():
            setattr(self, name, value)

    @property
    def flag(self) -> str:
        """The name to call it by: ``--long-form``."""
        return f"--{self.long}"

    @property
    def is_switch(self) -> bool:
        return self.kind.bare is not None and not self.kind.choices

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it answers to, without dashes; the reference's first."""
        found = [self.reference, self.short, self.long, *self.aliases]
        return tuple(dict.fromkeys(name for name in found if name))

    @property
    def shown_names(self) -> tuple[str, ...]:
        """The names help shows, with their dashes: the reference's, the short and the long one."""
        names = []
        if self.reference and self.reference != self.long:
            names.append(f"-{self.reference}")
        if self.short and self.short != self.reference:
            names.append(f"-{self.short}")
        return (*names, self.flag)

    @property
    def shown_default(self) -> str:
        """Default as help shows it; "" where there is nothing to say."""
        if self.default_text:
            return self.default_text
        if self.default is None or self.default in (False, "", ()):
            return ""
        return self.kind.show(self.default)


def option(
    group: str, kind: ValueKind, help: str, *, default: T, on_resume: str, **columns: Unpack[Columns]
) -> T:
    """A row of the table, in the body of a Table class (see Option for the arguments)."""
    row: Any = Option(group, kind, default, help, on_resume, **columns)
    return row  # type: ignore[no-any-return]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(option,))
class TableMeta(type):
    """Turns the rows of a class body into slots; a subclass adds further rows."""

    rows: dict[str, Option]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> TableMeta:
        rows = {attr: row for attr, row in namespace.items() if isinstance(row, Option)}
        for attr, row in rows.items():
            del namespace[attr]
            row.attr = attr
            row.long = row.long or attr.replace("_", "-")
        namespace["__slots__"] = tuple(rows) if rows else ("_given",)
        cls = super().__new__(mcs, name, bases, namespace)
        cls.rows = {**getattr(cls, "rows", {}), **rows}
        return cls


class OptionTable(metaclass=TableMeta):
    """Base of a table class: a frozen value with one attribute a row.

    given: the attributes that the user has set, if only to their defaults. It is no part of the value: equal
    tables may differ in it, and it does not travel to other processes.
    """

    def __init__(self, **values: object) -> None:
        object.__setattr__(self, "_given", frozenset())
        for attr, row in type(self).rows.items():
            object.__setattr__(self, attr, values.pop(attr, row.default))
        if values:
            raise TypeError(f"no such option: {', '.join(sorted(values))}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot set {name}: options are frozen; use replace()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete {name}: options are frozen")

    def replace(self, **changes: object) -> Self:
        """A copy with some values changed."""
        return type(self)(**{**self.values(), **changes}).saying(self.given)

    def saying(self, given: Iterable[str]) -> Self:
        """The same value, with the attributes that the user has given."""
        object.__setattr__(self, "_given", frozenset(given))
        return self

    @property
    def given(self) -> frozenset[str]:
        return object.__getattribute__(self, "_given")  # type: ignore[no-any-return]

    def values(self) -> dict[str, Any]:
        """Attribute → value, in the order of the table."""
        return {attr: getattr(self, attr) for attr in type(self).rows}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.values() == other.values()

    def __hash__(self) -> int:
        return hash(tuple(self.values().values()))

    def __repr__(self) -> str:
        rows = type(self).rows
        changed = [f"{attr}={v!r}" for attr, v in self.values().items() if v != rows[attr].default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.values())


def _restore(cls: type[OptionTable], values: dict[str, object]) -> OptionTable:
    return cls(**values)
