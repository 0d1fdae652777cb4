"""The kinds of value an option takes: text to value, and value back to text.

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
_SECONDS = {"ms": 1e-3, "us": 1e-6, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}  # the longer first
_THOUSANDS = {"k": 1e3, "m": 1e6, "g": 1e9}
_LONGEST_AGENT = 256  # with which the longest probe still fits one packet
_REAL = frozenset("0123456789.eE+-")
_HEX = frozenset("0123456789abcdef")
MOST_SHARDS = 65535


class Kind:
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


def _boolean(text: str) -> bool:
    lower = text.lower()
    if lower in _TRUE:
        return True
    if lower in _FALSE:
        return False
    raise ValueError("must be true or false")


def _show_boolean(value: bool) -> str:
    return "true" if value else "false"


def _whole(text: str) -> int:
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("must be a whole number")
    if len(digits) > 30:
        raise ValueError("is too large")
    return int(text)


def _real(text: str) -> float:
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


def number(low: int, high: int, *, metavar: str = "N", unit: str = "", none: str = "") -> Kind:
    """A whole number from `low` to `high`; the word `none`, where given, stands for no limit."""

    def parse(text: str) -> int | None:
        if none and text == none:
            return None
        value = _whole(text)
        if not low <= value <= high:
            what = f"must be from {low} to {high}" if high < 10**9 else f"must be at least {low}"
            raise ValueError(f"{what} {unit}".rstrip())
        return value

    return Kind(metavar, parse, show=lambda value: none if value is None else str(value))


def number_or_share(low: int, high: int) -> Kind:
    """A whole number, or a percentage above 0, which stays a text: ``0.5%``."""

    def parse(text: str) -> int | str:
        if not text.endswith("%"):
            value = _whole(text)
            if not low <= value <= high:
                raise ValueError(f"must be at least {low}, or a percentage")
            return value
        try:
            share = _real(text[:-1])
        except ValueError:
            raise ValueError("must be a whole number, or a percentage as in 0.5%") from None
        if not 0 < share <= 100:
            raise ValueError("must be above 0% and at most 100%")
        return f"{show_number(share)}%"

    return Kind("N[%]", parse)


def seconds(*, positive: bool = False) -> Kind:
    """A duration: plain seconds, or with a unit (500ms, 2s, 5m, 1h)."""

    def parse(text: str) -> float:
        unit = next((unit for unit in _SECONDS if text.endswith(unit)), "")
        try:
            value = _real(text.removesuffix(unit)) * _SECONDS.get(unit, 1.0)
        except ValueError:
            raise ValueError("must be a time in seconds, or with a unit: 500ms, 2s, 5m, 1h") from None
        if value < 0 or (positive and value == 0):
            raise ValueError(f"must be {'more than' if positive else 'at least'} 0 seconds")
        if value > 1e9:
            raise ValueError("is too large")
        return value

    return Kind("SECONDS", parse, show=show_number)


def per_second(metavar: str, unit: str, *, none: str = "") -> Kind:
    """A positive rate, with K, M or G for thousands, millions, thousand millions (as in ZMap)."""

    def parse(text: str) -> float | None:
        if none and text == none:
            return None
        text = _without_unit(text, unit)
        factor = _THOUSANDS.get(text[-1:].lower(), 1.0)
        try:
            value = _real(text[:-1] if factor > 1 else text) * factor
        except ValueError:
            raise ValueError(f"must be a number of {unit} a second (K, M and G allowed)") from None
        if value <= 0:
            raise ValueError(f"must be more than 0 {unit} a second")
        if value > 1e15:
            raise ValueError("is too large")
        return value

    return Kind(metavar, parse, show=lambda value: none if value is None else show_number(value))


def _without_unit(text: str, unit: str) -> str:
    """The number of ``5k/s``, ``5kpps``, ``10Mbps`` or ``10Mbit/s``, without the part that says it is a
    rate.
    """
    ends = ("bps", "bit/s", "bits/s", "bit", "bits") if unit == "bits" else ("/s", "/sec", "/second", "pps")
    for end in ends:
        if text.endswith(end) and text[: -len(end)]:
            return text.removesuffix(end).rstrip()
    return text


def _fraction(text: str) -> float:
    value = _real(text)
    if not 0 <= value <= 1:
        raise ValueError("must be from 0 to 1")
    return value


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


def path(metavar: str = "FILE", *, file: str = "file", endings: tuple[str, ...] = ()) -> Kind:
    """A kind of value: the name of a file. endings: those that it may have; none for any."""

    def parse(text: str) -> str:
        if endings and not text.lower().endswith(endings):
            raise ValueError(f"must end in {' or '.join(endings)}")
        return _path(text)

    return Kind(metavar, parse, file=file)


def paths(metavar: str = "FILE") -> Kind:
    """A kind of value: the name of a file, one each time the flag is given, since a name may contain any
    separator.
    """
    return Kind(metavar, lambda text: (_path(text),), show=", ".join, file="file", adds=True)


def choice(*values: str) -> Kind:
    """A kind of value: one of these words."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(f"must be {', '.join(values[:-1])} or {values[-1]}")
        return text

    return Kind("|".join(values), parse, choices=values)


def _dryrun(text: str) -> str:
    if text in ("text", "fast"):
        return text
    try:
        return "text" if _boolean(text) else ""
    except ValueError:
        raise ValueError("must be text or fast") from None


def _port(text: str) -> int:
    try:
        value = _whole(text)
    except ValueError:
        raise ValueError("must be a port from 1 to 65535") from None
    if not 1 <= value <= 65535:
        raise ValueError("must be a port from 1 to 65535")
    return value


def _ports(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    try:
        pair = _port(low), _port(high if dash else low)
    except ValueError:
        raise ValueError("must be a port or a range of ports (LOW-HIGH) from 1 to 65535") from None
    if pair[0] > pair[1]:
        raise ValueError("must be a range whose first port is not above its last")
    return pair


def _port_list(text: str) -> tuple[tuple[int, int], ...]:
    """``80,443,8000-8100`` or ``*``: ranges of ports, as given."""
    found = []
    for part in text.split(","):
        low, dash, high = ("0", "-", "65535") if part.strip() == "*" else part.strip().partition("-")
        try:
            pair = _whole(low), _whole(high if dash else low)
        except ValueError:
            raise ValueError("must be ports and ranges of ports, as in 80,443,8000-8100, or *") from None
        if not 0 <= pair[0] <= 65535 or not 0 <= pair[1] <= 65535:
            raise ValueError("must be ports from 0 to 65535")
        if pair[0] > pair[1]:
            raise ValueError("has a range whose first port is above its last")
        found.append(pair)
    return tuple(found)


def shard_list(text: str) -> tuple[tuple[int, int], ...]:
    """``3,7-9``: ranges of shards, in order and joined where they meet. Raises ValueError."""
    pairs: list[tuple[int, int]] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            pair = _whole(first), _whole(last if dash else first)
        except ValueError:
            raise ValueError("must be shards and ranges of shards, as in 3,7-9") from None
        if not 0 <= pair[0] <= MOST_SHARDS - 1 or not 0 <= pair[1] <= MOST_SHARDS - 1:
            raise ValueError(f"must be shards from 0 to {MOST_SHARDS - 1}")
        if pair[0] > pair[1]:
            raise ValueError("has a range whose first shard is above its last")
        pairs.append(pair)
    joined: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if joined and low <= joined[-1][1]:
            raise ValueError(f"names shard {low} twice")
        if joined and low == joined[-1][1] + 1:
            joined[-1] = joined[-1][0], high
        else:
            joined.append((low, high))
    return tuple(joined)


def shards(value: int | str) -> tuple[int, ...]:
    """The shards that a value of --shard names, in order. Raises ValueError."""
    return tuple(number for low, high in shard_list(str(value)) for number in range(low, high + 1))


def _hex(text: str) -> str:
    if not 8 <= len(text) <= 64 or not _HEX.issuperset(text):
        raise ValueError("must be 8 to 64 digits of 0-9 and a-f")
    return text


def _shards(text: str) -> int | str:
    """One shard, or several as `shard_list` takes them, in one form."""
    found = shard_list(text)
    if len(found) == 1 and found[0][0] == found[0][1]:
        return found[0][0]
    return ",".join(map(_show_ports, found))


def show_port_list(pairs: tuple[tuple[int, int], ...]) -> str:
    return ",".join(map(_show_ports, pairs))


def _target(text: str) -> str:
    """An address, a network, a range of addresses, or a name."""
    from lzr.targets.blocklist import entries  # only who sweeps pays for it

    covered, names = entries(text) if text.strip() and "#" not in text and "\n" not in text else ([], {})
    if not covered and not any("." in name for name in names):
        raise ValueError("is neither an address nor a network")
    return text.strip()


def _targets(text: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(_target(part) for part in text.split(",")))
    except ValueError:
        raise ValueError("must be addresses, networks, ranges of addresses or names") from None


def _show_ports(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}-{pair[1]}"


def _mac(text: str) -> str:
    octets = text.lower().replace("-", ":").split(":")
    if len(octets) != 6 or not all(1 <= len(octet) <= 2 and _HEX.issuperset(octet) for octet in octets):
        raise ValueError("must be a MAC address such as 00:16:3e:5e:6c:07")
    return ":".join(octet.zfill(2) for octet in octets)


def _interface(text: str) -> str:
    # The kernel's dev_valid_name(): 1 to 15 bytes, no slash, colon or white space.
    if not 1 <= len(text.encode("utf-8", "surrogateescape")) <= 15 or text in (".", ".."):
        raise ValueError("must be the name of a network interface (1 to 15 characters)")
    if any(c in "/:\0" or c.isspace() for c in text):
        raise ValueError("must be the name of a network interface, without spaces, '/' or ':'")
    return text


def _plain_v4(text: str) -> bool:
    octets = text.split(".")
    return len(octets) == 4 and all(
        o.isascii() and o.isdigit() and len(o) <= 3 and int(o) < 256 and (o == "0" or o[0] != "0")
        for o in octets
    )


def _address(text: str) -> str:
    if _plain_v4(text):
        return text
    import ipaddress

    try:
        if "%" in text:
            raise ValueError
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("must be an IP address") from None


def _source(text: str) -> list[str]:
    """One address, CIDR block, or ZMap's range of addresses (which becomes CIDR blocks)."""
    if _plain_v4(text) and 0 < int(text.split(".", 1)[0]) < 224:  # by far the usual case: no import
        return [text]
    import ipaddress

    if "%" in text:
        raise ValueError(f"{text!a} has a zone; give the address alone")
    low, dash, high = text.partition("-")
    try:
        if dash:
            first, last = ipaddress.ip_address(low.strip()), ipaddress.ip_address(high.strip())
            blocks = [str(block) for block in ipaddress.summarize_address_range(first, last)]
            networks = [ipaddress.ip_network(block) for block in blocks]
        else:
            blocks = [str(ipaddress.ip_network(text) if "/" in text else ipaddress.ip_address(text))]
            networks = [ipaddress.ip_network(text)]
    except (ValueError, TypeError):
        raise ValueError(f"{text!a} is not an IP address, a CIDR block or a range of addresses") from None
    if any(net.is_multicast or net.network_address.is_unspecified for net in networks):
        raise ValueError(f"{text!a} cannot be the source of a packet")
    return [block.removesuffix("/128" if ":" in block else "/32") for block in blocks]


def _sources(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for part in text.split(","):
        found += _source(part.strip())
    return tuple(found)


def _workers(text: str) -> object:
    """``6``, or ``flow=6,collect=2``: a dict of the options it sets."""
    if "=" not in text:
        return _worker_count(text)
    counts: dict[str, object] = {}
    for part in text.split(","):
        channel, _, count = part.partition("=")
        if channel.strip() not in ("flow", "collect"):
            raise ValueError("the channels are flow and collect, as in flow=6,collect=2")
        counts[channel.strip() + "_workers"] = _worker_count(count.strip())
    return counts


def _worker_count(text: str) -> int:
    try:
        value = _whole(text)
    except ValueError:
        raise ValueError("must be a number of workers, or flow=N,collect=N") from None
    if not 1 <= value <= 256:  # as many sockets as every kernel lets into one fan-out group
        raise ValueError("must be from 1 to 256 workers")
    return value


def _filter(text: str) -> str:
    from lzr.records.filter import parse  # only who filters pays for it

    parse(text)
    return text


SWITCH = Kind("", _boolean, show=_show_boolean, bare="true")
DRYRUN = Kind("fast", _dryrun, show=lambda value: value or "false", bare="true", choices=("text", "fast"))
NAMES = Kind("A,B,C", _names, show=",".join, once=True)
TEXT = Kind("TEXT", _text)
AGENT = Kind("TEXT", _agent)
FRACTION = Kind("X", _fraction, show=show_number)
PORT = Kind("PORT", _port)
PORTS = Kind("LOW-HIGH", _ports, show=_show_ports, once=True)
HEX = Kind("ID", _hex, once=True)
SHARDS = Kind("K", _shards, once=True)
PORT_LIST = Kind("PORTS", _port_list, show=show_port_list, once=True)
TARGETS = Kind("A,B,CIDR", _targets, show=",".join, adds=True)
MAC = Kind("MAC", _mac)
INTERFACE = Kind("NAME", _interface, file="interface")
ADDRESS = Kind("ADDRESS", _address)
SOURCES = Kind("A,B,CIDR", _sources, show=",".join, adds=True)
WORKERS = Kind("N", _workers)
FILTER = Kind("EXPR", _filter, once=True)
INPUT = Kind("FILE", _path, file="file", once=True)
LISTS = paths()
