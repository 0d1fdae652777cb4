"""Lists of targets, as people and programs write them (docs/input.md names every form).

A target of a list is a connection that we open ourselves: in its row `syn` is set, and our own address and
port are zero until they are chosen. A line has exactly one of the forms here, or it is refused in a sentence
that says what it is; a line that could mean two things is refused too. Names are not looked up here: a name
is given back as a name.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
from msgspec import Struct

from lzr.ranges import union
from lzr.targets import lines
from lzr.targets.expand import Block
from lzr.targets.hostports import BAD_PORT, NO_PORT, block_of, only_tcp, ports_of
from lzr.targets.lines import BLANK
from lzr.targets.reader import LineReader, Refused, Target

_ADDRESS_COLUMNS = ("saddr", "ip_str", "ip", "ip_address", "ip address", "ipaddress", "addr", "address")
_NAME_COLUMNS = ("host", "hostname", "domain", "target")
_PORT_COLUMNS = ("sport", "port", "portid", "port_id")
_PROTOCOL_COLUMNS = ("protocol", "proto", "transport")
_STATE_COLUMNS = ("state", "status", "classification")
_OTHER_COLUMNS = ("success", *_STATE_COLUMNS, *_PROTOCOL_COLUMNS, "daddr", "dport")
_NOT_OPEN = frozenset(("closed", "filtered", "open|filtered", "closed|filtered", "rst", "icmp"))
"""States of a port as nmap and masscan name them, and classifications of ZMap."""
_CLOSED = "a port that is not open"

SCHEMES = {
    "http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "ftps": 990, "ssh": 22, "sftp": 22,
    "telnet": 23, "smtp": 25, "smtps": 465, "pop3": 110, "pop3s": 995, "imap": 143, "imaps": 993,
    "ldap": 389, "ldaps": 636, "rtsp": 554, "redis": 6379, "rediss": 6379, "mysql": 3306, "mongodb": 27017,
    "postgres": 5432, "postgresql": 5432, "amqp": 5672, "amqps": 5671, "mqtt": 1883, "mqtts": 8883,
    "rdp": 3389, "vnc": 5900, "sip": 5060, "sips": 5061, "irc": 6667, "ircs": 6697, "git": 9418,
    "rsync": 873, "smb": 445, "socks5": 1080, "svn": 3690, "xmpp": 5222,
}  # fmt: skip
"""Ports of URLs that name none."""


class HeadingColumns(Struct, frozen=True):
    """What a heading says: where the address and the port of a line stand; port -1: nowhere."""

    mark: str
    size: int
    addresses: tuple[int, ...]
    port: int
    success: int = -1
    protocols: tuple[int, ...] = ()
    states: tuple[int, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether lines are plain pairs, address first: they are read as without a heading."""
        return (self.size, self.addresses, self.port) == (2, (0,), 1) and self.mark in ",;:"


def heading(text: bytes) -> HeadingColumns | None:
    """The columns that the first line of an input names, None if it is no heading."""
    line = text.decode("latin-1").lower()
    mark = next((mark for mark in ",;\t: " if mark in line), ",")
    cells = [cell.strip(' \t"') for cell in line.split(mark)]
    places = {name: at for at, name in reversed(list(enumerate(cells)))}
    found = tuple(places[name] for name in (*_ADDRESS_COLUMNS, *_NAME_COLUMNS) if name in places)
    if not found or (len(cells) == 1 and cells[0] not in _ADDRESS_COLUMNS):
        return None
    if any(re.search(r"[^a-z0-9_ .#()-]", cell) or cell[:1].isdigit() for cell in cells):
        return None
    port = next((places[name] for name in _PORT_COLUMNS if name in places), -1)
    known = {*_ADDRESS_COLUMNS, *_NAME_COLUMNS, *_PORT_COLUMNS, *_OTHER_COLUMNS}
    if port < 0 and not all(cell in known for cell in cells) and "saddr" not in places:
        return None  # a sentence, or a line with a host of that name
    success = places.get("success", -1)
    protocols, states = (
        tuple(places[name] for name in names if name in places)
        for names in (_PROTOCOL_COLUMNS, _STATE_COLUMNS)
    )
    return HeadingColumns(mark, len(cells), found, port, success, protocols, states)


def blocks(text: bytes, columns: HeadingColumns | None = None) -> list[Block]:
    """What a line (no blanks around it, not empty) names; it may be nothing. Raises Refused."""
    if columns is not None:
        return [_row(text.decode("utf-8", "replace"), columns)]
    if text[:1] in b'{[],"':
        if not text.strip(b"[], \t"):
            return []  # masscan's JSON, a record a line
        if text.lstrip(b", \t")[:1] == b"{":
            return _json(text.strip(b", \t"))
        if text[:1] == b"[" and text[1:].lstrip(BLANK)[:1] == b"{":
            return _json(text)
    line = text.decode("utf-8", "replace")
    for pattern, read in _FORMS:
        match = pattern.match(line)
        if match:
            return read(match)
    line = line.split("#", 1)[0].strip(" \t\r")
    return [_plain(line)]


# --- what other programs write -----------------------------------------------------------------------------


def _grepable(match: re.Match[str]) -> list[Block]:
    """nmap -oG, masscan -oG: ``Host: 10.0.0.1 (name)<tab>Ports: 80/open/tcp//http///, ...``"""
    listed = re.search(r"\tPorts: ([^\t]*)", match[0])
    if listed is None:
        if "\tStatus: " in match[0]:
            return []
        raise Refused("a line of nmap's -oG without its ports")
    ports: list[tuple[int, int]] = []
    for entry in listed[1].split(", "):
        fields = entry.split("/")
        if len(fields) >= 3 and fields[1] == "open" and fields[2] == "tcp":
            ports += ports_of(fields[0])
    return [block_of(match[1], tuple(union(ports)))] if ports else []


def _masscan_list(match: re.Match[str]) -> list[Block]:
    """masscan -oL: ``open tcp 80 10.0.0.1 1700000000``"""
    state, protocol, port, address = match.groups()
    only_tcp(protocol)
    _only_open([state])
    return [block_of(address, ports_of(port))]


def _discovered(match: re.Match[str]) -> list[Block]:
    """What masscan, nmap -v and naabu print: ``Discovered open port 80/tcp on 10.0.0.1``"""
    only_tcp(match[2])
    return [block_of(match[3], ports_of(match[1]))]


def _rustscan(match: re.Match[str]) -> list[Block]:
    """rustscan -g: ``10.0.0.1 -> [80,443]``"""
    return [block_of(match[1], ports_of(match[2]))]


def _opened(match: re.Match[str]) -> list[Block]:
    """What rustscan prints meanwhile: ``Open 10.0.0.1:80``"""
    return [_plain(match[1])]


def _url(match: re.Match[str]) -> list[Block]:
    """``https://host:port/path``; the port of the scheme where none is written (RFC 3986 §3.2)."""
    scheme, place = match[1].lower(), match[2].rpartition("@")[2]
    parts = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]*))?", place)
    if parts is None or not parts[1]:
        raise Refused("a URL without a host")
    if scheme in ("udp", "dns", "ntp", "snmp"):
        only_tcp("udp")
    port = parts[2] or str(SCHEMES.get(scheme, ""))
    if not port and scheme != "tcp":
        raise Refused("a URL of a scheme whose port is not known: write host:port")
    return [block_of(parts[1], ports_of(port))]


def _refuse(reason: str) -> Any:
    def read(match: re.Match[str]) -> list[Block]:
        raise Refused(reason)

    return read


_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\s\\,;]*)")
_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], list[Block]]], ...] = (
    (re.compile(r"(?:Timestamp: [0-9]+\t)?Host: (\S+) \([^)\t]*\)\t.*"), _grepable),
    (re.compile(r"(open|closed|banner) (tcp|udp|sctp) ([0-9]+) (\S+)(?: .*)?$"), _masscan_list),
    (re.compile(r"Discovered open port ([0-9]+)/(tcp|udp) on (\S+)"), _discovered),
    (re.compile(r"(\S+) -> \[([0-9, ]+)\]$"), _rustscan),
    (re.compile(r"Open (\S+:[0-9]+)$"), _opened),
    (_URL, _url),
    (re.compile(r"Nmap scan report|[0-9]+/(?:tcp|udp)\s+\S+"), _refuse("nmap's output for people: use -oG")),
    (re.compile(r"<"), _refuse("XML or HTML (of nmap: use -oG instead of -oX)")),
    (re.compile(r"(?:tcp|ip6?|eth) \{ "), _refuse("ZMap's dry run: use -dryrun")),
)


# --- JSON --------------------------------------------------------------------------------------------------


def _json(text: bytes) -> list[Block]:
    """Records of ours, of ZMap, masscan, naabu, httpx, Shodan: an object a line, or an array of them."""
    if re.fullmatch(rb"\{\s*finished\s*:\s*1\s*\}", text):
        return []  # how masscan's JSON used to end
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Refused("not JSON") from None
    records = found if isinstance(found, list) else [found]
    return [block for record in records for block in _record(record)]


def _record(record: Any) -> Iterator[Block]:
    if not isinstance(record, dict):
        raise Refused("not a JSON object")
    if record.get("success") in (0, False) and record.get("success") is not None:
        raise Refused("a port that is not open (success is 0)")
    _only_open(_texts(record, _STATE_COLUMNS))
    if isinstance(data := record.get("data"), dict):  # masscan -oD
        _only_open(_texts(data, ("status",)))
    for protocol in _texts(record, _PROTOCOL_COLUMNS):
        only_tcp(protocol)
    names = ("saddr", "ip_str", "ip", "ip_address", "addr", "address", *_NAME_COLUMNS)
    address = next(iter(_texts(record, names)), "")
    ports = record.get("ports")
    if isinstance(ports, list):  # masscan
        for entry in ports:
            if not isinstance(entry, dict):
                yield block_of(address, ports_of(str(entry)))
                continue
            for protocol in _texts(entry, _PROTOCOL_COLUMNS):
                only_tcp(protocol)
            if entry.get("status", "open") == "open" and _NOT_OPEN.isdisjoint(_texts(entry, ("state",))):
                port = next((entry[name] for name in _PORT_COLUMNS if name in entry), "")
                yield block_of(address, ports_of(str(port)))
        return
    port = next((record[name] for name in _PORT_COLUMNS if record.get(name) is not None), "")
    if isinstance(port, bool | float):
        raise Refused(BAD_PORT)
    if port == "" and isinstance(record.get("url"), str) and (match := _URL.match(record["url"])):
        yield from _url(match)
        return
    if not address or port == "":
        raise Refused("a JSON object without saddr and sport (or ip and port)")
    yield block_of(address, ports_of(str(port)))


def _texts(record: dict[str, Any], names: Sequence[str]) -> list[str]:
    """The values of these names that are texts."""
    return [record[name] for name in names if isinstance(record.get(name), str)]


def _only_open(states: Sequence[str]) -> None:
    """Raise Refused if one of these says that the port is not open."""
    if not _NOT_OPEN.isdisjoint(map(str.lower, states)):
        raise Refused(_CLOSED)


# --- CSV and plain lines -----------------------------------------------------------------------------------


def _row(line: str, columns: HeadingColumns) -> Block:
    """A line under a heading."""
    if columns.port < 0:
        raise Refused("the heading names no port (sport, or port)")
    cells = _cells(line, columns.mark)
    if len(cells) != columns.size:
        raise Refused("not as many columns as the heading has")
    if columns.success >= 0 and cells[columns.success].lower() in ("0", "false"):
        raise Refused("a port that is not open (success is 0)")
    _only_open([cells[at] for at in columns.states])
    for at in columns.protocols:
        only_tcp(cells[at])
    address = next((cells[at] for at in columns.addresses if cells[at]), "")
    return block_of(address, ports_of(cells[columns.port]))


def _cells(line: str, mark: str) -> list[str]:
    if line.count('"') % 2:
        raise Refused("quotes that do not match")
    if '"' not in line:
        return [cell.strip(" \t\r") for cell in line.split(mark)]
    try:
        (cells,) = csv.reader([line], delimiter=mark, skipinitialspace=True)
    except (csv.Error, ValueError):
        raise Refused("quotes that do not match") from None
    return [cell.strip(" \t\r") for cell in cells]


_BRACKETS = re.compile(r"(\[[^\]]*\](?:/[0-9]+)?)[ \t]*(?:[:;, \t][ \t]*(.*))?$")
_SIX = re.compile(
    r"((?=[^:]*:[^:]*:)[0-9A-Fa-f:.]+(?:%[^,; \t]*)?(?:/[0-9]+)?)(?:[ \t]*[,;][ \t]*|[ \t]+)(.+)$"
)
_PAIR = re.compile(r"([^:;, \t]+)(?:[ \t]*([:;,])[ \t]*|([ \t]+))(.*)$")
_MARKED = re.compile(r"[,;\t]")
_AT_THE_END = re.compile(r"(?<=[0-9])[ \t]*[,;]$")
"""A comma behind the last port, as of a row whose last column is empty."""


def _plain(line: str) -> Block:
    """``address:ports`` in its many spellings, and rows without a heading whose columns are known."""
    if line.startswith(('"', ",")):
        return _columns(line)
    match = _BRACKETS.match(line) or _SIX.match(line)
    if match:
        if match.re is _SIX and re.match(r"[ \t]*[,;](?:[ \t]*[,;]|[^,;]*:)", line[match.end(1) :]):
            return _columns(line)  # the second column is empty, or an address
        return block_of(match[1], ports_of(_AT_THE_END.sub("", match[2] or "")))
    if line.startswith("["):
        raise Refused("brackets that do not match: an IPv6 address is written [2001:db8::1]:80")
    if re.fullmatch(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", line):
        raise Refused("a hardware address (MAC)")
    if line.count(":") > 1 and not re.match(r"[0-9]+\.", line) and re.fullmatch(r"[0-9A-Fa-f:.%/]+", line):
        raise Refused("an IPv6 address needs brackets before a port, as in [2001:db8::1]:80")
    match = _PAIR.match(line)
    if match is None:
        raise Refused(NO_PORT if line and ":" not in line else "not an address and a port")
    address, mark, _, rest = match.groups()
    rest = _AT_THE_END.sub("", rest)
    if mark in (",", ";") and mark in rest:
        return _columns(line)
    if mark is None and not rest[:1].isdigit():
        raise Refused("not an address and a port")
    if mark is None and re.search(r"[ \t]", rest.replace(", ", ",")):
        raise Refused("more than an address and a port")
    if mark == ":" and ":" in rest:
        raise Refused("more than one colon: not an address and a port")
    return block_of(address, ports_of(rest))


def _columns(line: str) -> Block:
    """CSV without a heading."""
    mark = next((found[0] for found in [_MARKED.search(re.sub(r'"[^"]*"', "", line))] if found), ",")
    cells = _cells(line, mark)
    if len(cells) == 1:
        if '"' in cells[0]:  # in the midst of a cell a quote is a letter: the line is no shorter than before
            raise Refused("quotes that do not match")
        return _plain(cells[0]) if cells[0][:1] not in ('"', ",", "") else block_of("", ())
    if len(cells) == 2 or (len(cells) == 3 and not cells[2]):
        return block_of(cells[0], ports_of(cells[1]))
    if len(cells) == 4 and not cells[1].isdigit():  # ZGrab2's input, and our feed for it
        return block_of(cells[0] or cells[1], ports_of(cells[3]))
    if len(cells) >= 7 and _is_address(cells[0]) and _is_address(cells[1]):  # saddr,daddr,sport,dport,...
        return block_of(cells[0], ports_of(cells[2]))
    raise Refused(
        f"{len(cells)} columns without a heading that names them"
        if len(cells) != 3
        else "three columns without a heading: several ports are written address:80,443"
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class ListReader(LineReader):
    """Reads a list: ``a.b.c.d:port``, ``[v6]:port`` and every other form that `blocks` knows; # begins a
    comment.
    """

    comments = True

    def __init__(self) -> None:
        super().__init__(lines.listed)
        self._columns: HeadingColumns | None = None

    def heading(self, text: bytes) -> bool:
        columns = heading(text)
        if columns is not None and not columns.plain:
            self._columns = columns
            self._scan = lines.commented
        return columns is not None

    def target(self, text: bytes) -> Target | list[Block]:
        found = blocks(text, self._columns)
        if len(found) == 1 and found[0].total == 1 and not found[0].name:
            return Target(found[0].first, found[0].ports[0][0])
        return found
