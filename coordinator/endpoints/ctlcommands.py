"""The commands that a person or a script may send to a running scan, and how they are written.
`coordinator.scan.loop` (`_obey`) carries them out.

A key on the dashboard and a line on the control socket become the same `Command`, which is carried out in one
place. Lines are parsed here and nowhere else; a line that is not understood is answered with a sentence, and
never raises an exception in the scan.

    workers flow=4,collect=2    workers flow=+1    rate 5000    rate x1.25    rate none
    block 192.0.2.0/24 198.51.100.7 --by alice --reason ticket 42
    lease 60    lease 60 --from 86412.5
    pause    resume    drain    quit    status    status --json    help
"""

from __future__ import annotations

import math

from msgspec import Struct, field

from lzr.addresstext import ranges_of
from lzr.errors import nearest
from lzr.safetext import plain

CHANNELS = ("flow", "collect")
MOST_WORKERS = 1024  # so that a slip of the keyboard does not start thousands
MOST_RATE = 1e9  # targets a second
LEAST_RATE = 1e-6  # as `-rate` has it
MOST_LEASE = 30 * 86400  # seconds
MOST_LINE = 1 << 15  # bytes of a line with its end: a thousand networks
MOST_V4, MOST_V6 = 1 << 24, 1 << 96
_WIDEST = ("/8", "/32")
"""The largest networks, IPv4 and IPv6, that may be blocked: a typing error should not end a whole scan."""

HELP = """\
workers flow=N collect=N   set the worker counts (also +1, -1)
rate N                     targets started per second (also +500, -500, x1.25;
                           none: no limit)
pause, resume              stop and go on feeding
drain                      read no more, finish what is in flight, end
quit                       end at once
block NET ... [--reason TEXT]
                           no packet more to these networks, in this scan and
                           when it is resumed
lease SECONDS [--from T]   end, as if interrupted, unless this is said again
                           within SECONDS; T: counted from when the machine had
                           been up for T seconds (suspended ones among them)
status [--json]            how it is
"""


class CommandError(ValueError):
    """The line is wrong; the text says how."""


class Change(Struct, frozen=True):
    """A number to set, or a change by a sum or a factor."""

    value: float
    how: str = "="  # "=", "+" or "x"

    def applied(self, current: float) -> float:
        """The value that this change makes of `current`."""
        if self.how == "+":
            return current + self.value
        return current * self.value if self.how == "x" else self.value


class Command(Struct, frozen=True):
    """`kind`: workers, rate, pause, resume, drain, quit, block, lease; status and help, for the server.

    networks, reason, by: whom to block, why, and who asks for it. seconds, since: of a lease, and from
    when they count, in seconds since the machine was booted; None: from now.
    """

    kind: str
    workers: dict[str, Change] = field(default_factory=dict)  # by channel
    rate: Change | None = None  # None with kind "rate": no limit
    json: bool = False
    networks: tuple[str, ...] = ()
    reason: str = ""
    by: str = ""
    seconds: float = 0.0
    since: float | None = None

    def wanted(self, flow: int, collect: int, most_flow: int = MOST_WORKERS) -> tuple[int, int]:
        """The worker counts this command asks for, given those now wanted; at least one each."""
        now = {"flow": flow, "collect": collect}
        for channel, change in self.workers.items():
            now[channel] = max(1, min(MOST_WORKERS, int(change.applied(now[channel]))))
        return min(now["flow"], max(1, most_flow)), now["collect"]

    def wanted_rate(self, current: float | None) -> float | None:
        """The rate this command asks for; a change relative to no limit leaves no limit."""
        if self.rate is None:
            return None
        if self.rate.how != "=" and current is None:
            return None
        wanted = self.rate.applied(current or 0.0)
        # No change makes a low rate lower than one a second, or what is lower already higher than was asked.
        least = 0.0 if self.rate.how == "=" else min(1.0, current or 1.0)
        return min(MOST_RATE, max(least, LEAST_RATE, wanted))


def too_many(most: int) -> str:
    """What is said of more workers than there can be."""
    return f"the limit of open files (ulimit -n) allows {most} workers and collectors together"


def workers(**changes: int) -> Command:
    """`workers(flow=1)`: one flow worker more."""
    return Command("workers", workers={channel: Change(step, "+") for channel, step in changes.items()})


def rate(factor: float) -> Command:
    """The rate times `factor`."""
    return Command("rate", rate=Change(factor, "x"))


def parse(line: str) -> Command:
    """The command a line asks for. Raises CommandError with a sentence."""
    words = line.split()
    if not words:
        raise CommandError("empty line; try: help")
    if (size := len(line.encode("utf-8", "replace"))) >= MOST_LINE:
        raise CommandError(f"a command has at most {MOST_LINE - 1:,} bytes, not {size:,}: give several")
    kind, rest = words[0].lower(), words[1:]
    if kind == "workers":
        return Command(kind, workers=_workers(rest))
    if kind == "rate":
        return Command(kind, rate=_rate(rest))
    if kind == "status":
        if rest not in ([], ["--json"], ["-json"], ["json"]):
            raise CommandError("status takes --json or nothing")
        return Command(kind, json=bool(rest))
    if kind == "block":
        return _block(rest)
    if kind == "lease":
        return _lease(rest)
    if kind in ("pause", "resume", "drain", "quit", "help"):
        if rest:
            raise CommandError(f"{kind} takes no argument")
        return Command(kind)
    raise CommandError(f"unknown command {kind[:40]!r}{_meant(kind)}")


_KINDS = ("workers", "rate", "pause", "resume", "drain", "quit", "block", "lease", "status", "help")
_OTHERS = {
    "quit (at once) or drain (when what is in flight is done)": "stop end exit kill abort shutdown cancel",
    "resume": "continue unpause start go unfreeze",
    "pause": "hold suspend wait freeze",
    "drain": "finish",
    "block NET": "blocklist blacklist exclude ban deny stop-address remove",
    "rate N": "speed pace limit",
    "workers flow=N collect=N": "worker flow collect scale threads processes flow-workers",
    "status": "stats info show state progress ps list",
}


def _meant(kind: str) -> str:
    """The known word that an unknown one probably means."""
    for ours, others in _OTHERS.items():
        if kind in others.split():
            return f": that is {ours}"
    near = nearest(kind, _KINDS)
    return f"; did you mean {near}?" if near else "; try: help"


def _block(words: list[str]) -> Command:
    """Networks, then who asks for it and why."""
    words, reason = _option(words, "reason")
    words, by = _option(words, "by")
    networks = tuple(word.rstrip(",") for word in words)
    if not networks:
        raise CommandError("block needs a network: block 192.0.2.0/24 --reason ticket 42")
    for network in networks:
        shown = plain(network, 60)
        try:
            covered = sum(last - first + 1 for first, last in ranges_of(network))
        except ValueError:
            raise CommandError(f"{shown!r} is neither an address nor a network") from None
        if covered > (MOST_V6 if ":" in network else MOST_V4):
            raise CommandError(
                f"{shown} is more than a {_WIDEST[':' in network]}: drain or quit ends the scan"
            )
    return Command("block", networks=networks, reason=plain(reason, 200), by=plain(by, 32))


def _lease(words: list[str]) -> Command:
    """Seconds, then from when."""
    words, since = _option(words, "from")
    if len(words) != 1:
        raise CommandError("lease takes one number of seconds: lease 60")
    seconds = _number(words[0], "a lease in seconds")
    if not 0 < seconds <= MOST_LEASE:
        raise CommandError(f"a lease is more than 0 and at most {MOST_LEASE} seconds")
    return Command("lease", seconds=seconds, since=_number(since, "a moment") if since else None)


def _number(text: str, what: str) -> float:
    try:
        value = float(text) if len(text) <= 20 and text.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value < 1e12:  # also refuses nan
        raise CommandError(f"{plain(text, 40)!r} is not {what}")
    return value


def _option(words: list[str], name: str) -> tuple[list[str], str]:
    """The words before `--name`, and those behind it as a text."""
    for at, word in enumerate(words):
        option, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and option == name:
            text = " ".join([value] * bool(equals) + words[at + 1 :]).strip()
            if not text:
                raise CommandError(f"--{name} needs a text")
            return words[:at], text
    return words, ""


def _workers(words: list[str]) -> dict[str, Change]:
    words = " ".join(words).replace(",", " ").split()  # as -w has it
    if not words:
        raise CommandError("workers needs a count: workers flow=4 collect=2")
    found: dict[str, Change] = {}
    for word in words:
        channel, equals, text = word.partition("=")
        if not equals:
            channel, text = "flow", word
        if channel not in CHANNELS:
            raise CommandError(f"unknown channel {channel[:40]!r}: flow or collect")
        if channel in found:
            raise CommandError(f"{channel} is given twice")
        found[channel] = _count(text)
    return found


def _count(text: str) -> Change:
    digits = text[1:] if text[:1] in "+-" and text else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 6):
        raise CommandError(f"{text[:40]!r} is not a number of workers")
    number = int(digits)
    if text[0] in "+-":
        return Change(-number if text[0] == "-" else number, "+")
    if not 1 <= number <= MOST_WORKERS:
        raise CommandError(f"a channel has 1 to {MOST_WORKERS} workers, not {number}")
    return Change(number)


def _rate(words: list[str]) -> Change | None:
    if len(words) != 1:
        raise CommandError("rate takes one number: rate 5000")
    text = words[0].lower().removesuffix("/s")
    if text in ("none", "off"):
        return None
    how, digits = (text[0], text[1:]) if text[:1] in ("x", "+", "-") else ("=", text)
    scale = {"k": 1e3, "m": 1e6}.get(digits[-1:], 1.0) if how != "x" else 1.0
    try:
        if len(digits) > 20 or not digits.isascii() or digits[:1] in ("+", "-"):
            raise ValueError
        value = float(digits[:-1] if scale != 1.0 else digits) * scale
    except ValueError:
        raise CommandError(f"{text[:40]!r} is not a rate") from None
    if not 0 < value <= MOST_RATE:  # also refuses nan
        raise CommandError(f"a rate is more than 0 and at most {MOST_RATE:.0f}, not {text[:40]}")
    return Change(-value, "+") if how == "-" else Change(value, how)
