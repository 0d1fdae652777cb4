"""-handshakes-by-port: a file that gives ports their own orders of handshakes.

    default = ["http", "tls"]          # of all other ports; -handshakes on the command line goes before it

    [ports]
    22 = ["wait"]
    "80,8080,8000-8100" = ["http"]

What is read here is checked letter by letter, since a port that was mistyped would be asked something else
without a word. The handshakes of a scan are then one list: first those of the default order, so that a
HandshakeNum below their number means what it always did, then those that only the file names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lzr.errors import UsageError, printable, suggest, wide_text
from lzr.flow.handshakeorders import MOST, PORTS
from lzr.options.aliases import plain
from lzr.options.handshakes import NONE, choose, handshakes
from lzr.options.kinds import addressing
from lzr.options.table import Options
from lzr.rows import distinct

_KEYS = ("default", "ports")
Ranges = tuple[tuple[int, int], ...]


class ByPort(Struct, frozen=True):
    """What the files say. default: the order of all other ports, () where no file states one. orders: each
    with its ports. notes: sentences for the user. whole: whether the preset `all` is used.
    """

    default: tuple[str, ...] = ()
    orders: tuple[tuple[Ranges, tuple[str, ...]], ...] = ()
    notes: tuple[str, ...] = ()
    whole: bool = False


class PortOrders(Struct, frozen=True):
    """The handshake orders of a scan. names: all its handshakes, to which every handshake number refers.
    orders: by number, the first for all other ports. of_port: (65536,) uint8, the number of each port's
    order.
    """

    names: tuple[str, ...]
    orders: tuple[tuple[int, ...], ...]
    of_port: NDArray[np.uint8]

    def named(self, number: int) -> tuple[str, ...]:
        """The handshakes of an order, by name."""
        return tuple(self.names[handshake] for handshake in self.orders[number])

    def ports(self, number: int) -> Ranges:
        """The ports of an order, as ranges."""
        ports = np.flatnonzero(self.of_port == number)
        if not len(ports):
            return ()
        gaps = np.flatnonzero(np.diff(ports) > 1)
        low = ports[np.r_[0, gaps + 1]].tolist()
        high = ports[np.r_[gaps, len(ports) - 1]].tolist()
        return tuple(zip(low, high, strict=True))


def read(paths: Sequence[str], whole: Callable[[str], bytes]) -> ByPort:
    """What these files say together. whole: gives what is in a file. Raises UsageError."""
    default: tuple[str, ...] = ()
    orders: list[tuple[Ranges, tuple[str, ...]]] = []
    notes: list[str] = []
    lists: list[object] = []
    taken = np.zeros(PORTS, bool)
    for path in paths:
        where = f"--handshakes-by-port {printable(path)}"
        table = _toml(where, whole(path))
        for key in table:
            if key not in _KEYS:
                raise UsageError(f"{where}: unknown key {printable(key)}{suggest(key, _KEYS)}")
        if "default" in table:
            if default:
                raise UsageError(f"{where}: default stands in another of the files, too")
            default = _order(f"{where}: default", table["default"], notes)
        ports = table.get("ports", {})
        if not isinstance(ports, dict):
            raise UsageError(
                f'{where}: ports must be a table, as in [ports] and 80 = ["http", "tls"] below it'
            )
        if not ports and "default" not in table:
            raise UsageError(f'{where}: names no port (as in [ports] and 80 = ["http", "tls"] below it)')
        lists += [table.get("default", ()), *ports.values()]
        for text, names in ports.items():
            orders.append((_ports(where, text, taken), _order(f"{where}: {printable(text)}", names, notes)))
    every = any(plain(name) == "all" for names in lists for name in names)  # type: ignore[attr-defined]
    return ByPort(default, tuple(orders), tuple(dict.fromkeys(notes)), every)


def choose_default(options: Options, found: ByPort) -> tuple[Options, tuple[str, ...]]:
    """`handshakes.choose` for the ports without an order. Raises UsageError."""
    if found.whole and options.allow_printers:
        raise UsageError(
            "--handshakes-by-port with all and --allow-printers would have printers print a page for each "
            "handshake; name the handshakes"
        )
    if found.default and "handshakes" not in options.given:
        options = options.replace(handshakes=found.default)
    options, notes = choose(options)
    return options, (*notes, *found.notes)


def port_orders(default: Sequence[str], found: ByPort) -> PortOrders:
    """The orders of a scan. default: the order of all ports that have none. Raises UsageError."""
    if tuple(default) == NONE:
        raise UsageError(
            "-handshakes none asks for no handshake: it cannot stand beside --handshakes-by-port"
        )
    numbers = {name: number for number, name in enumerate(default)}
    rows: dict[tuple[int, ...], int] = {tuple(range(len(default))): 0}
    of_port = np.zeros(PORTS, np.uint8)
    for ranges, names in found.orders:
        order = tuple(numbers.setdefault(name, len(numbers)) for name in names)
        row = rows.setdefault(order, len(rows))
        if row >= MOST:
            raise UsageError(f"--handshakes-by-port: has more than {MOST} different orders")
        for low, high in ranges:
            of_port[low : high + 1] = row
    return PortOrders(tuple(numbers), tuple(rows), of_port)


def shown(by_port: PortOrders) -> str:
    """The orders in one sentence, for the log."""
    ports = int(np.count_nonzero(by_port.of_port))
    orders = len(distinct(by_port.of_port[by_port.of_port > 0]))
    return (
        f"by port: {ports:,} port{'s' * (ports != 1)} with {orders} order{'s' * (orders != 1)} of their own, "
        f"all others {', '.join(by_port.named(0))}"
    )


def _toml(where: str, data: bytes) -> dict[str, object]:
    import tomllib

    if wide := wide_text(data):
        raise UsageError(f"{where}: {wide}")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"{where}: is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{where}: is not TOML: {printable(str(error))}") from None


def _ports(where: str, text: str, taken: NDArray[np.bool_]) -> Ranges:
    """The ports that a key names; notes them as `taken`."""
    try:
        ranges: Ranges = addressing.PORT_LIST.parse(text)  # type: ignore[assignment]
    except ValueError as error:
        raise UsageError(f"{where}: {printable(text)} {error}") from None
    for low, high in ranges:
        twice = np.flatnonzero(taken[low : high + 1])
        if len(twice):
            raise UsageError(f"{where}: port {low + int(twice[0])} stands in two places")
        taken[low : high + 1] = True
    return ranges


def _order(what: str, names: object, notes: list[str]) -> tuple[str, ...]:
    """An order, with our names. Raises UsageError."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not names:
        raise UsageError(f'{what} must be a list of handshakes, as in ["http", "tls"]')
    try:
        choice = handshakes(names)
    except UsageError as error:
        raise UsageError(f"{what}: {error}") from None
    if choice.names == NONE:
        raise UsageError(f"{what}: none asks for no handshake; leave the port out of the scan instead")
    notes += choice.notes
    return choice.names
