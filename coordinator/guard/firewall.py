"""What the two firewall tools, ``nft`` and ``iptables``, have in common.

A firewall command is one short child process, bounded in time, whose words reach
us whole. Its input and output go through memory files, so that nothing can block on a full pipe, and it
runs in a process group of its own, so that a Ctrl-C meant for us does not stop it half way.

This is on the path from the start of the program to the rule that must be up before the first SYN-ACK.
Hence no ``subprocess``, ``dataclasses``, ``typing`` or ``socket`` here: each costs more than running
``nft`` does.
"""

from __future__ import annotations

import os
import select
from _socket import AF_INET, AF_INET6, if_nametoindex, inet_ntop, inet_pton  # `socket` takes 7 ms to import

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SYSTEM_PATH = "/usr/sbin:/sbin:/usr/local/sbin"
TIMEOUT = 10.0  # seconds for one command: long for a busy host, and then a GuardError says so
_MAPPED = bytes(10) + b"\xff\xff"


class GuardError(Exception):
    """The guard cannot be put up, changed or taken down; the text is one sentence for the user."""


class ToolError(Exception):
    """A firewall tool refused; the text is what it said."""

    def __init__(self, said: str, *, forbidden: bool) -> None:
        super().__init__(said)
        self.forbidden = forbidden


class Cover:
    """What a guard covers: addresses of both families, a range of ports, perhaps one interface.

    ``four`` and ``six`` are addresses or prefixes in canonical text. ``wide`` adds every address of this
    host, for traffic that comes in or goes out there.
    """

    __slots__ = ("four", "interface", "ports", "six", "wide")

    def __init__(
        self,
        four: Sequence[str],
        six: Sequence[str],
        ports: tuple[int, int],
        interface: str | None = None,
        *,
        wide: bool = False,
    ) -> None:
        self.wide = wide
        self.four = tuple(four)
        self.six = tuple(six)
        self.ports = ports
        self.interface = interface

    @property
    def addresses(self) -> tuple[str, ...]:
        return self.four + self.six

    def key(self) -> tuple[object, ...]:
        """Equal for covers that mean the same."""
        return sorted(self.four), sorted(self.six), self.ports, self.interface, self.wide

    def holds(self, address: str) -> bool:
        """Whether a single address in canonical text is among `four` or `six`."""
        wanted = _number(address)
        for text in self.six if ":" in address else self.four:
            base, _, length = text.partition("/")
            shift = (128 if ":" in text else 32) - int(length) if length else 0
            if wanted >> shift == _number(base) >> shift:
                return True
        return False


class Standing:
    """A guard found on this host: its name, what it covers and how, and what it has dropped so far."""

    __slots__ = ("addresses", "mode", "name", "ports", "resets", "segments", "tool", "wide")

    def __init__(self, name: str, tool: str) -> None:
        self.name = name
        self.tool = tool
        self.mode = "output"
        self.addresses: tuple[str, ...] = ()
        self.ports: tuple[int, int] | None = None
        self.wide = False
        self.resets = 0
        self.segments = 0


def make_cover(addresses: Iterable[str], ports: tuple[int, int], interface: str | None = None) -> Cover:
    """Check and sort what the user gave. Raises GuardError.

    Everything that later becomes part of a firewall script passes through here, so nothing else can get in.
    """
    low, high = ports
    if not 1 <= low <= high <= 65535:
        raise GuardError(f"{low}-{high} is not a range of source ports (1-65535)")
    if interface is not None:
        check_interface(interface)
    four: dict[str, None] = {}
    six: dict[str, None] = {}
    for text in addresses:
        for clean in spans(text):
            (six if ":" in clean else four)[clean] = None
    return Cover(tuple(four), tuple(six), (low, high), interface, wide=not (four or six))


def check_interface(name: str) -> None:
    """Raise GuardError unless there is such an interface, with a name that is safe in a script."""
    plain = 0 < len(name) < 16 and name.isprintable() and not set(name) & set("\"'/\\ {};")
    try:
        if plain and if_nametoindex(name):
            return
    except OSError:
        pass
    raise GuardError(f"there is no network interface {name!r}")


def canonical(text: str) -> str:
    """The canonical text of an address or prefix; of a v4-mapped one, the IPv4 one. Raises GuardError."""
    base, slash, length_text = text.strip().partition("/")
    base = base.partition("%")[0]
    try:
        packed = inet_pton(AF_INET6 if ":" in base else AF_INET, base)
    except (OSError, ValueError):
        raise GuardError(f"{text!r} is not a source address or prefix") from None
    bits = 8 * len(packed)
    if not slash:
        if packed.startswith(_MAPPED):
            packed = packed[12:]
        return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)
    plain = length_text.isascii() and length_text.isdigit() and len(length_text) <= 3
    if not (plain and 1 <= int(length_text) <= bits):
        raise GuardError(f"{text!r} is not a source address or prefix")
    length = int(length_text)
    if packed.startswith(_MAPPED) and length >= 96:
        packed, bits, length = packed[12:], 32, length - 96
        if not length:
            raise GuardError(f"{text!r} is not a source address or prefix")
    number = int.from_bytes(packed, "big") >> (bits - length) << (bits - length)
    shown = inet_ntop(AF_INET if bits == 32 else AF_INET6, number.to_bytes(bits // 8, "big"))
    return shown if length == bits else f"{shown}/{length}"


def spans(text: str) -> list[str]:
    """The prefixes and addresses that make up an address, a prefix or a range ``first-last``."""
    first_text, dash, last_text = text.partition("-")
    if not dash:
        return [canonical(text)]
    first_text, last_text = canonical(first_text), canonical(last_text)
    if "/" in first_text + last_text or (":" in first_text) != (":" in last_text):
        raise GuardError(f"{text!r} is not a range of source addresses")
    first, last = _number(first_text), _number(last_text)
    if first > last:
        raise GuardError(f"{text!r} is not a range of source addresses: its end comes first")
    family, bits = (AF_INET6, 128) if ":" in first_text else (AF_INET, 32)
    found = []
    while first <= last:
        free = (first & -first).bit_length() - 1 if first else bits
        free = min(free, (last - first + 1).bit_length() - 1)
        found.append(canonical(f"{inet_ntop(family, first.to_bytes(bits // 8, 'big'))}/{bits - free}"))
        first += 1 << free
    return found


def default_interface(root: str = "/proc/net") -> str | None:
    """The interface of the default route, from proc(5): IPv4's, else IPv6's."""
    for path, column, target, length in (
        (f"{root}/route", 0, 1, 7),
        (f"{root}/ipv6_route", 9, 0, 1),
    ):
        try:
            with open(path, errors="surrogateescape") as table:  # an interface's name may be any bytes
                rows = [line.split() for line in table]
        except OSError:
            continue
        for row in rows:
            if (
                len(row) > 9
                and not row[target].strip("0")
                and not row[length].strip("0")
                and row[column] not in ("lo", "*")  # of a default route that refuses (unreachable)
            ):
                return row[column]
    return None


def find_tool(name: str) -> str | None:
    """The path of a tool: from PATH, or else from where system tools are, as cron's PATH lacks those.

    If PATH has one of the firewall tools, only PATH counts for all of them.
    """
    tools = ("nft", "iptables")
    for path in (os.environ.get("PATH", ""), SYSTEM_PATH):
        folders = [folder for folder in path.split(":") if folder.startswith("/")]
        found = _look(folders, name)
        if found or any(_look(folders, tool) for tool in tools):
            return found
    return None


def _look(folders: Sequence[str], name: str) -> str | None:
    for folder in folders:
        candidate = f"{folder}/{name}"
        if os.access(candidate, os.X_OK) and os.path.isfile(candidate):
            return candidate
    return None


def run(argv: Sequence[str], text: str = "") -> str:
    """Run a tool to its end and return what it printed. Raises ToolError with what it complained of."""
    files: list[int] = []
    try:
        try:
            for name in ("in", "out", "err"):
                files.append(os.memfd_create("lzr-" + name))
            left = text.encode()
            while left:
                left = left[os.write(files[0], left) :]
            os.lseek(files[0], 0, os.SEEK_SET)
            pid = os.posix_spawn(
                argv[0],
                list(argv),
                {**os.environ, "LC_ALL": "C"},
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(files)],
                setpgroup=0,
            )
        except OSError as error:  # `ulimit -f` and `-n` are for files in memory, too
            raise ToolError(f"{argv[0]}: {error.strerror}", forbidden=False) from None
        code = _wait(pid)
        out, err = _read(files[1]), _read(files[2])
    finally:
        for fd in files:
            os.close(fd)
    if code:
        if code == -9:
            raise ToolError(f"{argv[0]} gave no answer in {TIMEOUT:g} s", forbidden=False)
        said = err.strip() or out.strip() or f"exit status {code}"
        forbidden = "not permitted" in said or "ermission denied" in said
        raise ToolError(said, forbidden=forbidden)
    return out


def _wait(pid: int) -> int:
    handle = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if not poll.poll(TIMEOUT * 1000):
            os.kill(pid, 9)  # by number: the signal module costs an import of enum
    finally:
        os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _read(fd: int) -> str:
    size = os.fstat(fd).st_size
    return os.pread(fd, size, 0).decode(errors="replace")


def _number(address: str) -> int:
    return int.from_bytes(inet_pton(AF_INET6 if ":" in address else AF_INET, address), "big")
