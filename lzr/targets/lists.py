"""One line of a list of targets, as people and programs write them (docs/input.md names every form).

A line is one of the forms here, exactly, or it is refused in a sentence that says what it is; where
a line could mean two things it is refused too. Nothing is looked up: a name is given back as a name.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from lzr import addresses
from lzr.rows import V4_MAPPED
from lzr.targets.expand import MOST_ADDRESSES, Block, Ports, merged
from lzr.targets.lines import BLANK
from lzr.targets.reader import Refused, refuse_many, v4_number

NO_PORT = "no port"
BAD_PORT = "the port is not a whole number from 1 to 65535"

_ADDRESS_COLUMNS = ("saddr", "ip", "ip_str", "ip_address", "ip address", "ipaddress", "addr", "address")
_NAME_COLUMNS = ("host", "hostname", "domain", "target")
_PORT_COLUMNS = ("sport", "port", "portid", "port_id")
_OTHER_COLUMNS = ("success", "status", "state", "protocol", "proto", "daddr", "dport", "classification")

SCHEMES = {
    "http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "ftps": 990, "ssh": 22, "sftp": 22,
    "telnet": 23, "smtp": 25, "smtps": 465, "pop3": 110, "pop3s": 995, "imap": 143, "imaps": 993,
    "ldap": 389, "ldaps": 636, "rtsp": 554, "redis": 6379, "rediss": 6379, "mysql": 3306, "mongodb": 27017,
    "postgres": 5432, "postgresql": 5432, "amqp": 5672, "amqps": 5671, "mqtt": 1883, "mqtts": 8883,
    "rdp": 3389, "vnc": 5900, "sip": 5060, "sips": 5061, "irc": 6667, "ircs": 6697, "git": 9418,
    "rsync": 873, "smb": 445, "socks5": 1080, "svn": 3690, "xmpp": 5222,
}  # fmt: skip
"""Ports of URLs that name none."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What a heading says: where the address and the port of a line stand; port -1: nowhere."""

    mark: str
    size: int
    addresses: tuple[int, ...]
    port: int
    success: int = -1
    protocol: int = -1

    @property
    def plain(self) -> bool:
        """Whether lines are plain pairs, address first: they are read as without a heading."""
        return (self.size, self.addresses, self.port) == (2, (0,), 1) and self.mark in ",;:"


def heading(text: bytes) -> Columns | None:
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
    protocol = next((places[name] for name in ("protocol", "proto") if name in places), -1)
    return Columns(mark, len(cells), found, port, success, protocol)


def blocks(text: bytes, columns: Columns | None = None) -> list[Block]:
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
            ports += _ports(fields[0])
    return [_block(match[1], merged(ports))] if ports else []


def _masscan_list(match: re.Match[str]) -> list[Block]:
    """masscan -oL: ``open tcp 80 10.0.0.1 1700000000``"""
    state, protocol, port, address = match.groups()
    _only_tcp(protocol)
    if state == "closed":
        raise Refused("a port that is not open")
    return [_block(address, _ports(port))]


def _discovered(match: re.Match[str]) -> list[Block]:
    """What masscan, nmap -v and naabu print: ``Discovered open port 80/tcp on 10.0.0.1``"""
    _only_tcp(match[2])
    return [_block(match[3], _ports(match[1]))]


def _rustscan(match: re.Match[str]) -> list[Block]:
    """rustscan -g: ``10.0.0.1 -> [80,443]``"""
    return [_block(match[1], _ports(match[2]))]


def _url(match: re.Match[str]) -> list[Block]:
    """``https://host:port/path``; the port of the scheme where none is written (RFC 3986 §3.2)."""
    scheme, place = match[1].lower(), match[2].rpartition("@")[2]
    parts = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]*))?", place)
    if parts is None or not parts[1]:
        raise Refused("a URL without a host")
    if scheme in ("udp", "dns", "ntp", "snmp"):
        _only_tcp("udp")
    port = parts[2] or str(SCHEMES.get(scheme, ""))
    if not port and scheme != "tcp":
        raise Refused("a URL of a scheme whose port is not known: write host:port")
    return [_block(parts[1], _ports(port))]


def _refuse(reason: str) -> Any:
    def read(match: re.Match[str]) -> list[Block]:
        raise Refused(reason)

    return read


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], list[Block]]], ...] = (
    (re.compile(r"(?:Timestamp: [0-9]+\t)?Host: (\S+) \([^)\t]*\)\t.*"), _grepable),
    (re.compile(r"(open|closed|banner) (tcp|udp|sctp) ([0-9]+) (\S+)(?: .*)?$"), _masscan_list),
    (re.compile(r"Discovered open port ([0-9]+)/(tcp|udp) on (\S+)"), _discovered),
    (re.compile(r"(\S+) -> \[([0-9, ]+)\]$"), _rustscan),
    (re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\s\\,;]*)"), _url),
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
    _only_tcp(_text(record, ("proto", "protocol", "transport")))
    address = _text(record, ("saddr", "ip_str", "ip", "ip_address", "addr", "address", *_NAME_COLUMNS))
    ports = record.get("ports")
    if isinstance(ports, list):  # masscan
        for entry in ports:
            if not isinstance(entry, dict):
                yield _block(address, _ports(str(entry)))
                continue
            _only_tcp(_text(entry, ("proto",)))
            if entry.get("status", "open") == "open":
                yield _block(address, _ports(str(entry.get("port", ""))))
        return
    port = next((record[name] for name in _PORT_COLUMNS if record.get(name) is not None), "")
    if isinstance(port, bool | float):
        raise Refused(BAD_PORT)
    if port == "" and isinstance(record.get("url"), str) and (match := _FORMS[4][0].match(record["url"])):
        yield from _url(match)
        return
    if not address or port == "":
        raise Refused("a JSON object without saddr and sport (or ip and port)")
    yield _block(address, _ports(str(port)))


def _text(record: dict[str, Any], names: Sequence[str]) -> str:
    return next((record[name] for name in names if isinstance(record.get(name), str)), "")


# --- CSV and plain lines -----------------------------------------------------------------------------------


def _row(line: str, columns: Columns) -> Block:
    """A line under a heading."""
    if columns.port < 0:
        raise Refused("the heading names no port (sport, or port)")
    cells = _cells(line, columns.mark)
    if len(cells) != columns.size:
        raise Refused("not as many columns as the heading has")
    if columns.success >= 0 and cells[columns.success].lower() in ("0", "false"):
        raise Refused("a port that is not open (success is 0)")
    if columns.protocol >= 0:
        _only_tcp(cells[columns.protocol])
    address = next((cells[at] for at in columns.addresses if cells[at]), "")
    return _block(address, _ports(cells[columns.port]))


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


def _plain(line: str) -> Block:
    """``address:ports`` in its many spellings, and rows without a heading whose columns are known."""
    if line.startswith(('"', ",")):
        return _columns(line)
    match = _BRACKETS.match(line) or _SIX.match(line)
    if match:
        return _block(match[1], _ports(match[2] or ""))
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
    if mark in (",", ";") and mark in rest:
        return _columns(line)
    if mark is None and not rest[:1].isdigit():
        raise Refused("not an address and a port")
    if mark is None and re.search(r"[ \t]", rest.replace(", ", ",")):
        raise Refused("more than an address and a port")
    if mark == ":" and ":" in rest:
        raise Refused("more than one colon: not an address and a port")
    return _block(address, _ports(rest))


def _columns(line: str) -> Block:
    """CSV without a heading."""
    mark = next((found[0] for found in [_MARKED.search(re.sub(r'"[^"]*"', "", line))] if found), ",")
    cells = _cells(line, mark)
    if len(cells) == 1:
        return _plain(cells[0]) if cells[0][:1] not in ('"', ",", "") else _block("", ())
    if len(cells) == 2:
        return _block(cells[0], _ports(cells[1]))
    if len(cells) == 4 and not cells[1].isdigit():  # ZGrab2's input, and our feed for it
        return _block(cells[0] or cells[1], _ports(cells[3]))
    if len(cells) >= 7 and _is_address(cells[0]) and _is_address(cells[1]):  # saddr,daddr,sport,dport,...
        return _block(cells[0], _ports(cells[2]))
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


# --- the parts of a line -----------------------------------------------------------------------------------

_PORT_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)


def _ports(text: str) -> Ports:
    """``80``, ``80,443``, ``8000-8100``. Raises Refused."""
    text = text.strip(' \t\r"')
    if not text:
        raise Refused(NO_PORT)
    found = []
    for part in text.split(","):
        match = _PORT_RANGE.fullmatch(part.strip(" \t"))
        if match is None or not text.isascii():
            raise Refused(BAD_PORT)
        _only_tcp(match[3] or "")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= 65535 or not 1 <= last <= 65535:
            raise Refused(BAD_PORT)
        if last < first:
            raise Refused("a range of ports that ends before it begins")
        found.append((first, last))
    return merged(found)


def _only_tcp(protocol: str) -> None:
    if protocol.lower() in ("udp", "sctp"):
        raise Refused(f"{protocol.upper()}: only TCP is scanned")


def _block(text: str, ports: Ports) -> Block:
    """The addresses that a text names. Raises Refused."""
    text = text.strip(' \t"')
    inner = re.fullmatch(r"\[([^\[\]]*)\](/[0-9]+)?", text)
    if inner:
        text = inner[1] + (inner[2] or "")
        if ":" not in text:
            raise Refused("not an IPv6 address in the brackets")
    if not text:
        raise Refused("no address")
    v4 = v4_number(text)
    if v4 >= 0:
        refuse_many(0, V4_MAPPED | v4)
        return Block((0, V4_MAPPED | v4), ports)
    if "%" in text:
        raise Refused("not an address: one with a zone (%) cannot be scanned")
    if "/" in text:
        return _network(text, ports)
    span = re.fullmatch(r"([0-9.]+)-([0-9.]+)", text) or re.fullmatch(
        r"([0-9a-fA-F:]+)-([0-9a-fA-F:]+)", text
    )
    if span and (":" in span[1] or span[1].count(".") == 3):
        return _range(span[1], span[2], ports)
    if ":" in text:
        halves = _address(text)
        refuse_many(*halves)
        return Block(halves, ports)
    return Block((0, 0), ports, name=_name(text))


def _address(text: str) -> addresses.Halves:
    try:
        return addresses.parse(text)
    except ValueError:
        raise Refused("not an address") from None


def _network(text: str, ports: Ports) -> Block:
    address, _, length = text.partition("/")
    six = ":" in address
    width = 128 if six else 32
    if not (length.isascii() and length.isdigit() and int(length[:4]) <= width):
        raise Refused(f"not a network: what follows / is not a number from 0 to {width}")
    hi, lo = _address(address)
    return _run(
        (hi << 64 | lo) >> width - int(length) << width - int(length), 1 << width - int(length), ports
    )


def _range(first: str, last: str, ports: Ports) -> Block:
    if last.isdigit() and ":" not in first:  # 10.0.0.1-50
        last = f"{first.rpartition('.')[0]}.{last}"
    (hi, lo), (end_hi, end_lo) = _address(first), _address(last)
    count = (end_hi << 64 | end_lo) - (hi << 64 | lo) + 1
    if count < 1:
        raise Refused("a range of addresses that ends before it begins")
    return _run(hi << 64 | lo, count, ports)


def _run(start: int, count: int, ports: Ports) -> Block:
    if count > MOST_ADDRESSES:
        raise Refused(
            f"more than {MOST_ADDRESSES:,} addresses on a line (the most is a /8, or a /104 of IPv6)"
        )
    ends = [((at >> 64), at & (1 << 64) - 1) for at in (start, start + count - 1)]
    if ends[0][0] != ends[1][0]:
        raise Refused("a range of addresses across two /64 networks: write several")
    if count == 1 or all(hi >> 56 == 0xFF or _is_multicast(hi, lo) for hi, lo in ends):
        refuse_many(*ends[0])
    return Block(ends[0], ports, count)


def _is_multicast(hi: int, lo: int) -> bool:
    return addresses.is_v4(hi, lo) and lo >> 28 & 15 == 14


_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def _name(text: str) -> str:
    """A host name in lower case and ASCII (RFC 1123 §2.1, IDNA). Raises Refused."""
    name = text.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except (UnicodeError, ValueError):
            raise Refused("neither an address nor a host name") from None
    labels = name.split(".")
    # The last label of a name is never a number: 10.0.0.256 and 10.0.0.01 are no names.
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise Refused(
            "not an address" if re.fullmatch(r"[0-9.x]+", name) else "neither an address nor a host name"
        )
    return name
