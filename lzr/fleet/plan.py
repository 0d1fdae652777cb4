"""plan.toml: what several boxes are to scan, and how, as one frozen value.

`of_toml` checks everything that can be checked without looking at a box or a file; every mistake is one
sentence that names the key. Options of lzr that a plan sets itself, or that would differ from box to box, may
not be among the plan's `options`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from lzr.errors import UsageError, printable, suggest, wide_text
from lzr.fleet import lease, planoptions
from lzr.options.kinds import addressing

SHARDS = 64
WORKER_PORT = 8790
CONTROLLER = "127.0.0.1:8786"
MOST_BOXES = 1024
MOST_BYTES = 1 << 20
"""Most bytes of a plan."""


@dataclass(frozen=True)
class Box:
    """A machine of the fleet.

    source: its own addresses, the only ones it scans from. weight: its share of targets and rate, relative to
    the others. rate_cap: the most targets a second it may be given. address: the host at which it is reached,
    port: of its worker.
    """

    name: str
    interface: str | None
    source: tuple[str, ...]
    weight: float = 1.0
    rate_cap: int | None = None
    address: str = ""
    port: int = WORKER_PORT


@dataclass(frozen=True)
class Plan:
    """Either `input` (a file of targets), or `targets` with `target_ports` (a sweep), or `zmap` (the
    arguments of ZMap, which runs in front of lzr on each box).

    rate: targets to start a second, all boxes together. options: flags of lzr for all boxes. responsible: who
    answers for the scan. directory: where a box keeps what is of the fleet; None: its default. controller:
    host:port of the scheduler. lease: seconds for which a box scans without hearing of it; None: for good.
    """

    name: str
    boxes: tuple[Box, ...]
    seed: int
    rate: int
    responsible: str
    shards: int = SHARDS
    input: str | None = None
    targets: tuple[str, ...] = ()
    target_ports: str | None = None
    zmap: tuple[str, ...] | None = None
    blocklist: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    directory: str | None = None
    controller: str = CONTROLLER
    lease: int | None = None

    def box(self, name: str) -> Box:
        """The box of this name. Raises UsageError."""
        for box in self.boxes:
            if box.name == name:
                return box
        names = [box.name for box in self.boxes]
        raise UsageError(f"the plan has no box {printable(name)}{suggest(name, names)}")


def of_toml(data: bytes, where: str = "the plan") -> Plan:
    """The plan that a file holds. where: how to call it. Raises UsageError."""
    if len(data) > MOST_BYTES:
        raise UsageError(f"{where}: a plan has at most {MOST_BYTES} bytes")
    if wide := wide_text(data):
        raise UsageError(f"{where}: {wide}")
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"{where}: is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{where}: is not TOML: {error}") from None
    return of_table(table, where)


def of_table(table: dict[str, Any], where: str = "the plan") -> Plan:
    """The plan of a table with the keys of plan.toml. Raises UsageError."""
    boxes = table.get("box")
    keys = _Keys({key: value for key, value in table.items() if key != "box"}, where, "")
    plan = Plan(
        name=_name(keys, "name"),
        boxes=_boxes(boxes, where),
        seed=keys.whole("seed", 0, 2**64 - 1),
        rate=keys.whole("rate", 1, 10**9),
        responsible=keys.text("responsible"),
        shards=keys.whole("shards", 1, 65535, SHARDS),
        input=keys.text("input", "") or None,
        targets=keys.texts("targets"),
        target_ports=_ports(keys),
        zmap=keys.texts("zmap") or None,
        blocklist=keys.texts("blocklist"),
        options=keys.texts("options"),
        directory=_directory(keys),
        controller=_host_port(keys.text("controller", CONTROLLER), keys),
        lease=keys.whole("lease", lease.LEAST, lease.MOST) if keys.get("lease") is not None else None,
    )
    keys.end()
    _check(plan, where)
    return plan


def as_table(plan: Plan) -> dict[str, Any]:
    """The table that `of_table` makes the same plan of, with what is none left out."""
    found: dict[str, Any] = {}
    for key in _PLAN_KEYS:
        value = getattr(plan, key.replace("-", "_"))
        if value not in (None, ()):
            found[key] = list(value) if isinstance(value, tuple) else value
    found["box"] = [_box_table(box) for box in plan.boxes]
    return found


def _box_table(box: Box) -> dict[str, Any]:
    values = {key: getattr(box, key.replace("-", "_")) for key in _BOX_KEYS}
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if value not in (None, ())
    }


_PLAN_KEYS = (
    *(
        "name",
        "responsible",
        "seed",
        "rate",
        "shards",
        "input",
        "targets",
        "target-ports",
        "zmap",
        "blocklist",
    ),
    *("options", "directory", "controller", "lease"),
)
_BOX_KEYS = ("name", "interface", "source", "weight", "rate-cap", "address", "port")


@dataclass
class _Keys:
    """A table that is read key by key; a key that nobody has read is a mistake. box: the box it is about, or
    "".
    """

    table: dict[str, Any]
    where: str
    box: str
    asked: list[str] = field(default_factory=list)

    def wrong(self, key: str, what: str) -> UsageError:
        return UsageError(f"{self.where}: {self.box}{key} {what}")

    def get(self, key: str) -> Any:
        self.asked.append(key)
        return self.table.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.get(key)
        if value is None and default is not None:
            return default
        if value is None:
            raise self.wrong(key, "is missing")
        if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > 4096:
            raise self.wrong(key, "must be a text of one line")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.get(key)
        if value is None:
            return ()
        if isinstance(value, str):
            value = [value]
        if (
            not isinstance(value, list)
            or len(value) > 10_000
            or not all(
                isinstance(one, str) and one and one.isprintable() and len(one) < 4096 for one in value
            )
        ):
            raise self.wrong(key, "must be a list of texts of one line each")
        return tuple(value)

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self.get(key)
        if value is None and default is not None:
            return default
        if value is None:
            raise self.wrong(key, "is missing")
        if type(value) is not int or not low <= value <= high:
            raise self.wrong(key, f"must be a whole number from {low} to {high}")
        return value

    def end(self) -> None:
        known = list(self.asked)
        for key in self.table:
            if key not in known:
                raise UsageError(f"{self.where}: {self.box}unknown key {printable(key)}{suggest(key, known)}")


def _name(keys: _Keys, key: str) -> str:
    name = keys.text(key)
    if not is_name(name):
        raise keys.wrong(key, "must be 1 to 48 letters, digits, dots, dashes and underscores, as in fra1")
    return name


def is_name(name: str) -> bool:
    """Whether a plan or a box may have this name, which becomes part of file names, metrics and
    certificates.
    """
    return (
        0 < len(name) <= 48
        and name.isascii()
        and name[0].isalnum()
        and all(letter.isalnum() or letter in "._-" for letter in name)
    )


def _boxes(value: object, where: str) -> tuple[Box, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        raise UsageError(f"{where}: there is no box; each is a [[box]] with name, source and address")
    if len(value) > MOST_BOXES:
        raise UsageError(f"{where}: a plan has at most {MOST_BOXES} boxes")
    boxes = tuple(_box(one, at, where) for at, one in enumerate(value, 1))
    for what in ("name", "address"):
        seen: dict[object, Box] = {}
        for box in boxes:
            same = (box.address, box.port) if what == "address" else box.name
            if same in seen:
                raise UsageError(f"{where}: two boxes have the {what} {printable(getattr(box, what))}")
            seen[same] = box
    _check_sources(boxes, where)
    return boxes


def _box(table: dict[str, Any], at: int, where: str) -> Box:
    said = table.get("name")
    named = isinstance(said, str) and is_name(said)
    keys = _Keys(table, where, f"box {said}: " if named else f"box number {at}: ")
    name = _name(keys, "name")
    interface = keys.get("interface")
    if interface is not None:
        try:
            addressing.INTERFACE.parse(keys.text("interface"))
        except ValueError as error:
            raise keys.wrong("interface", str(error)) from None
    source = keys.texts("source")
    if not source:
        raise keys.wrong("source", "is missing: the addresses it scans from")
    try:
        found: Any = addressing.SOURCES.parse(",".join(source))
    except ValueError as error:
        raise keys.wrong("source", str(error)) from None
    weight = keys.get("weight")
    if weight is None:
        weight = 1.0
    if type(weight) not in (int, float) or not 0.001 <= weight <= 1e6:
        raise keys.wrong("weight", "must be a number from 0.001 to 1000000")
    cap = keys.whole("rate-cap", 1, 10**9) if keys.get("rate-cap") is not None else None
    address = keys.text("address", name)
    if not _is_host(address):
        raise keys.wrong("address", "must be a host's name or address")
    port = keys.whole("port", 1, 65535, WORKER_PORT)
    keys.end()
    return Box(name, interface, tuple(dict.fromkeys(found)), float(weight), cap, address, port)


def _check_sources(boxes: tuple[Box, ...], where: str) -> None:
    """Check that no two boxes have the same address. Raises UsageError."""
    spans = sorted(
        (network.version, int(network.network_address), int(network.broadcast_address), box.name, text)
        for box in boxes
        for text in box.source
        for network in (ip_network(text),)
    )
    before = None
    for span in spans:
        if before is not None and span[0] == before[0] and span[1] <= before[2] and span[3] != before[3]:
            raise UsageError(f"{where}: {span[4]} is a source of {before[3]} and of {span[3]}")
        if before is None or span[0] != before[0] or span[2] > before[2]:
            before = span


def _is_host(text: str) -> bool:
    return (
        len(text) <= 253
        and text.isascii()
        and text[0].isalnum() | (text[0] == ":")
        and all(letter.isalnum() or letter in ".-:_" for letter in text)
    )


def _ports(keys: _Keys) -> str | None:
    value = keys.get("target-ports")
    if type(value) is int:
        value = str(value)
    elif value is not None:
        value = keys.text("target-ports")
    if value is None:
        return None
    try:
        addressing.PORT_LIST.parse(value)
    except ValueError as error:
        raise keys.wrong("target-ports", str(error)) from None
    return str(value)


def _directory(keys: _Keys) -> str | None:
    text = keys.text("directory", "")
    if text and (not text.startswith("/") or "/../" in f"{text}/"):
        raise keys.wrong("directory", "must be an absolute path")
    return text.rstrip("/") or ("/" if text else None)


def _host_port(text: str, keys: _Keys) -> str:
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    if not host or not _is_host(host) or not 1 <= number <= 65535 or bracketed != (":" in host):
        raise keys.wrong("controller", "must be host:port, as in 198.51.100.1:8786, [2001:db8::1]:8786")
    return text


def _check(plan: Plan, where: str) -> None:
    """Check the rules between keys of a plan. Raises UsageError."""
    given = [
        name
        for name, value in (("input", plan.input), ("targets", plan.targets), ("zmap", plan.zmap))
        if value
    ]
    if len(given) != 1:
        what = f"has {' and '.join(given)}" if given else "says not what to scan"
        raise UsageError(f"{where}: {what}: give one of input, targets (with target-ports) and zmap")
    if bool(plan.targets) != (plan.target_ports is not None):
        missing = "target-ports is missing" if plan.targets else "target-ports goes with targets"
        raise UsageError(f"{where}: {missing}")
    if plan.shards < len(plan.boxes):
        raise UsageError(f"{where}: {len(plan.boxes)} boxes need at least as many shards, not {plan.shards}")
    for text in plan.targets:
        try:
            addressing.TARGETS.parse(text)
        except ValueError as error:
            raise UsageError(f"{where}: targets: {printable(text)} {error}") from None
    if plan.zmap is not None:
        planoptions.check_zmap(plan.zmap, where)
        if not plan.blocklist:
            raise UsageError(f"{where}: zmap needs a blocklist: that of a box itself may be another on each")
        for box in plan.boxes:
            if len(box.source) != 1 or ":" in box.source[0]:
                raise UsageError(f"{where}: box {box.name}: with zmap it has one source, of IPv4")
    planoptions.check(plan.options, where)
