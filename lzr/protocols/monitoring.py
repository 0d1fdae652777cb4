"""Monitoring, time and power: agents that report, and the small services such as echo and daytime."""

from __future__ import annotations

import re
from itertools import pairwise
from zlib import crc32

from lzr.protocols._bytes import be16, be32, is_text, le32
from lzr.protocols._framing import FULL_SEGMENT, first_line, leads, printable, xml_root
from lzr.protocols._protocol import Protocol

_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

_DAYS = b"Mon Tue Wed Thu Fri Sat Sun".split()


def _zabbix(data: bytes) -> bool:
    """Flags, length of what follows; not our own question come back (Zabbix, header and data length)."""
    return (
        len(data) > 13
        and data[4] & 1 == 1
        and data[4] <= 7
        and leads(data, 13 + le32(data, 5))
        and data[13:] != b"agent.ping"
    )


def _nrpe(data: bytes) -> bool:
    """A response packet of version 2 (fixed size) or 3 and 4 (with a length)."""
    if data[1:2] == b"\2":
        whole, size = len(data) == 1036, 1036
    else:
        size = be32(data, 12) + 16
        whole = size <= len(data) <= size + 8 and size > 16
    if whole:
        return crc32(data[8:], crc32(bytes(4), crc32(data[:4]))) == be32(data, 4)  # as if it were zero
    return size > len(data) >= FULL_SEGMENT and size < 1 << 17


def _nut(data: bytes) -> bool:
    line = first_line(data)
    if line.startswith(b"ERR "):
        return line[4:] in {b"UNKNOWN-COMMAND", b"ACCESS-DENIED", b"INVALID-ARGUMENT"}
    return printable(line) and (b"upsd" in line or line.startswith(b"Commands: "))


def _apcupsd(data: bytes) -> bool:
    return data.startswith((b"APC      : ", b"Not authorized", b"Invalid command"), 2) and leads(
        data, be16(data, 0) + 2
    )


def _ganglia(data: bytes) -> bool:
    return xml_root(data).startswith((b"<!DOCTYPE GANGLIA_XML", b"<GANGLIA_XML"))


def _rrdcached(data: bytes) -> bool:
    """A status, negative for errors; or how many lines follow, the first of which is UPDATE's."""
    if data[:1] == b"-":
        return 20 <= data.find(b"\n") < 1000
    return data.partition(b"\n")[2].startswith(b"UPDATE <")


def _hddtemp(data: bytes) -> bool:
    parts = data.split(b"|")
    return len(parts) >= 6 and (parts[3].isdigit() or parts[3].isupper()) and parts[4] in {b"C", b"F", b"*"}


def _clock(text: bytes) -> bool:
    """HH:MM:SS, perhaps with a zone behind a hyphen."""
    parts = text.partition(b"-")[0].split(b":")
    return len(parts) == 3 and all(1 <= len(part) <= 2 and part.isdigit() for part in parts)


def _daytime(data: bytes) -> bool:
    """One line of date and time, in any of the usual orders (RFC 867 gives none)."""
    words = _ISO.sub(rb"\1 \2", data[:100]).replace(b",", b" ").split()
    if len(data) > 80 or not 2 <= len(words) <= 9 or not any(_clock(word) for word in words):
        return False
    if words[0].isdigit() and len(words[0]) == 5:
        return words[1].count(b"-") == 2 and words[-1] == b"*"
    if words[0].isdigit() and (len(words[0]) > 2 or words[1][:3].capitalize() not in _MONTHS):
        return False
    if len(words) < 4:  # all in numbers, as Windows has it
        return any(map(_day, words)) and all(_clock(w) or _day(w) or w in _HALVES for w in words)
    if words[0].capitalize() in _MONTHS and (len(words) > 5 or words[-1].islower()):  # a line of a log
        return False
    months = [word for word in words if word[:3].capitalize() in _MONTHS]
    return len(months) == 1 and any(len(word) == 4 and word.isdigit() for word in words)


_ISO = re.compile(rb"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?\s*$")
"""ISO 8601's form, alone."""

_HALVES = frozenset((b"AM", b"PM"))


def _day(word: bytes) -> bool:
    """A date in numbers, with its year first or last."""
    parts = word.replace(b"/", b"-").replace(b".", b"-").split(b"-")
    if len(parts) == 3 and parts[1].capitalize() in _MONTHS:
        parts[1] = b"1"
    return len(parts) == 3 and all(part.isdigit() for part in parts) and 4 in (len(parts[0]), len(parts[2]))


def _chargen(data: bytes) -> bool:
    """72 characters in the order of their codes (RFC 864, the pattern it recommends)."""
    line = first_line(data)
    return len(line) == 72 and all(b - a in {1, -93, -94} for a, b in pairwise(line))


_RING = bytes(range(0x20, 0x7F))


def _nrpe_packet(text: bytes) -> bytes:
    """An answer of version 3: version, type, checksum, result, alignment, length, text."""
    head, rest = b"\0\3\0\2", bytes(4) + len(text).to_bytes(4, "big") + text
    return head + crc32(head + bytes(4) + rest).to_bytes(4, "big") + rest


def _quote(data: bytes) -> bool:
    """At most 512 characters: words in quotation marks, then on a line of its own who said them (RFC 865).

    A quote may be any text ("no specific syntax"), so one in free form is told from a message of anything
    else by its port alone, and stays unknown.
    """
    text, mark, author = data[:513].rstrip().rpartition(b'"')
    said = author.strip()
    if not mark or len(data) > 512 or text.count(b" ") < 4 or author[:1] not in (b"\r", b"\n"):
        return False
    letters = said.translate(None, _YEARS)
    return 3 < len(letters) <= 80 and b" " in said and not letters.translate(None, _LETTERS) and is_text(data)


_LETTERS = bytes((*range(0x41, 0x5B), *range(0x61, 0x7B), *range(0x80, 0x100)))

_YEARS = b" .,'()-0123456789"


_ACCESS_DENIED = b"\xff"


def _iperf3(data: bytes) -> bool:
    """PARAM_EXCHANGE alone; SERVER_ERROR, perhaps behind it, with two numbers: iperf3's and the system's.

    ACCESS_DENIED, said while another test runs, is a lone 0xff: as likely the first byte of a terminal's
    negotiation or of anything else, so it is believed only of who was sent our cookie (`solicited`).
    """
    if len(data) < 9:
        return data == b"\x09"
    error = data.removeprefix(b"\x09")
    return len(error) == 9 and error[0] == 0xFE and 0 < be32(error, 1) < 400 and be32(error, 5) < 200


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="zabbix",
        spec="Zabbix documentation, Header and data length; agent.ping",
        match=_zabbix,
        probe=b"ZBXD\1\x0a\0\0\0\0\0\0\0agent.ping",
        starts=(b"ZBXD\1", b"ZBXD\3", b"ZBXD\5"),
        examples=(b"ZBXD\1\1\0\0\0\0\0\0\x001", b'ZBXD\1\x15\0\0\0\0\0\0\0{"response":"failed"}'),
        rejects=(b"ZBXD\1\xff\0\0\0\0\0\0\x001",),
        ports=(10050, 10051),
    ),
    Protocol(
        name="munin",
        spec="Munin documentation, Network protocol",
        match=lambda data: printable(first_line(data)) and len(first_line(data)) > 16,
        starts=(b"# munin node at ",),
        examples=(b"# munin node at host.example.org\n",),
        rejects=(b"# munin node at ",),
        ports=(4949,),
    ),
    Protocol(
        name="nrpe",
        spec="NRPE protocol v2 (include/common.h: packet structure)",
        match=_nrpe,
        # A query for the version, with its CRC-32.
        probe=bytes.fromhex("0002 0001 d4673f00 0000") + b"_NRPE_CHECK" + bytes(1015),
        starts=(b"\0\2\0\2", b"\0\3\0\2", b"\0\4\0\2"),
        examples=(
            _nrpe_packet(b"NRPE v4.1.0\0"),
            bytes.fromhex("0002 0002 6a31177f 0000") + b"NRPE v4.1.0".ljust(1026, b"\0"),
        ),
        rejects=(
            _nrpe_packet(b"NRPE v4.1.0\0")[:-1],
            bytes.fromhex("0002 0002 12345678 0000"),
            bytes.fromhex("0002 0002 12345678 0000") + b"NRPE v4.1.0".ljust(1026, b"\0"),
        ),
        ports=(5666,),
    ),
    Protocol(
        name="nut",
        spec="RFC 9271 §4.2 (VER)",
        match=_nut,
        probe=b"VER\n",
        starts=(
            b"Network UPS Tools upsd",
            b"ERR UNKNOWN-COMMAND",
            b"ERR ACCESS-DENIED",
            b"ERR INVALID-ARGUMENT",
            b"Commands: HELP VER GET LIST ",
        ),
        examples=(
            b"Network UPS Tools upsd 2.8.0 - https://www.networkupstools.org/\n",
            b"ERR UNKNOWN-COMMAND\n",
        ),
        rejects=(b"ERR UNKNOWN-COMMAND GET\n",),
        ports=(3493,),
    ),
    Protocol(
        name="apcupsd",
        spec="apcupsd manual, NIS network server protocol",
        match=_apcupsd,
        probe=b"\0\6status",
        starts=(b"\0",),
        examples=(b"\0\x1bAPC      : 001,036,0869\n\0\0\0",),
        rejects=(b"\0\x1cAPC      : 001,036,0869\n\0\0\0",),
        ports=(3551,),
    ),
    Protocol(
        name="gpsd",
        spec="gpsd_json(5), VERSION",
        match=lambda data: (
            data[:5] == b"GPSD," or b'"proto_major"' in data[:300] or b'"release"' in data[:300]
        ),
        starts=(b'{"class":"VERSION"', b"GPSD,"),
        examples=(
            b'{"class":"VERSION","release":"3.22","rev":"3.22","proto_major":3,"proto_minor":14}\r\n',
            b"GPSD,D=?,E=?,T=?\r\n",
        ),
        rejects=(b'{"class":"VERSION"}\r\n',),
        ports=(2947,),
    ),
    Protocol(
        name="ganglia",
        spec="gmond(1), XML description of the cluster",
        match=_ganglia,
        starts=(b"<?xml ",),
        examples=(
            b'<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>\n<!DOCTYPE GANGLIA_XML [\n',
        ),
        rejects=(b'<?xml version="1.0"?>\n<page/>',),
        ports=(8649,),
    ),
    Protocol(
        name="check-mk",
        spec="Checkmk documentation, agent output: sections",
        match=lambda data: b"Version: " in data[:60] or len(data) <= 16,
        starts=(b"<<<check_mk>>>\n", b"<<<check_mk>>>\r\n"),
        examples=(b"<<<check_mk>>>\nVersion: 2.1.0p10\nAgentOS: linux\n", b"<<<check_mk>>>\n"),
        rejects=(b"<<<check_mk>>>\nhello\n",),
        ports=(6556,),
    ),
    Protocol(
        name="hddtemp",
        spec="hddtemp(8), daemon mode",
        match=_hddtemp,
        starts=(b"|/dev/",),
        examples=(b"|/dev/sda|EXAMPLE DISK 1TB|36|C|",),
        rejects=(b"|/dev/sda|EXAMPLE DISK 1TB|36 degrees|C|", b"|/dev/null|"),
        ports=(7634,),
    ),
    Protocol(
        name="daytime",
        last_resort=True,
        spec="RFC 867; NIST Internet Time Service, daytime format",
        match=_daytime,
        starts=(
            *(day + b" " for day in _DAYS),
            *(day + b", " for day in _DAYS),
            *(day + b"day, " for day in (b"Mon", b"Tues", b"Wednes", b"Thurs", b"Fri", b"Satur", b"Sun")),
            *(month + b" " for month in _MONTHS),
            b"\n",
            *(bytes((digit,)) for digit in b"0123456789"),
        ),
        examples=(
            b"Sun Nov 22 09:06:31 2026\r\n",
            b"22 NOV 2026 09:06:31 UTC\r\n",
            b"Nov 22 2026 09:06:31\r\n",
            b"22-Nov-2026 09:06:31\r\n",
            b"2026-11-22T09:06:31Z\r\n",
            b"2026-11-22T09:06:31.250+01:00\n",
            b"9:06:31 AM 11/22/2026\n",
            b"Sunday, November 22, 2026 09:06:31-UTC\r\n",
            b"\n60310 23-12-31 12:00:00 00 0 0 431.7 UTC(NIST) * \n",
        ),
        rejects=(
            b"Mon nothing of a clock here\r\n",
            b"9:06:31 AM somewhere\n",
            b"09:06:31 1.2\n",
            b"2026-11-22T09:06:31Z INFO ready\r\n",
            b"Nov 22 09:06:31 box sampled[12]: ready in 2026\r\n",
            b"Nov 22 2026 09:06:31 ready\r\n",
            b"May all be well at 09:06:31 in 2026\r\n",
            b"12 bananas at 09:06:31 in 2026\r\n",
            b"Sun is up at 09:06:31 \r\n",
            b"220 mail 09:06:31 ready 2026\r\n",
        ),
        ports=(13,),
    ),
    Protocol(
        name="rrdcached",
        spec="rrdcached(1), Protocol: commands and responses",
        match=_rrdcached,
        probe=b"HELP\n",
        starts=(b"-1 Unknown command: ", *(b"%d Command overview\n" % lines for lines in range(5, 60))),
        examples=(
            b"-1 Unknown command: GET\n-1 Unknown command: Host:\n",
            b"22 Command overview\nUPDATE <filename> <values> [<values> ...]\nFLUSH <filename>\n",
            b"-1 Unknown command: \n-1 Unknown command: \n",
        ),
        rejects=(
            b"-1 Unknown command: \xff\xfe\0and no end",
            b"22 Command overview\nand nothing of the kind\n",
            b"22 Command overview\n",
        ),
        ports=(42217,),
    ),
    Protocol(
        name="qotd",
        last_resort=True,
        spec="RFC 865",
        match=_quote,
        starts=(b'"',),
        examples=(
            b'"We have no more right to consume happiness\r\n than wealth."\r\n G. B. Shaw (1856-1950)\r\n',
        ),
        rejects=(
            b'"We have no more right to consume happiness."\r\n',
            b'"Who is there and what do you want?"\r\nPassword: \r\n',
            b'"It is so, and it is not so."\r\n{Json Is Here}\r\n',
            b'"It is so, and it is not so." says a man\r\n',
        ),
        ports=(17,),
    ),
    Protocol(
        name="chargen",
        spec="RFC 864",
        match=_chargen,
        starts=tuple((_RING + _RING)[at : at + 4] for at in range(len(_RING))),  # it goes on where it was
        examples=(
            _RING[:72] + b"\r\n" + _RING[1:73] + b"\r\n",
            _RING[1:73] + b"\r\n",
            (_RING + _RING)[40:112] + b"\r\n",
        ),
        rejects=(_RING[:71] + b"\r\n", b' !"# what?\r\n'),
        ports=(19,),
    ),
    Protocol(
        name="iperf3",
        spec="iperf3, iperf_api.h: a cookie of 37 bytes, then PARAM_EXCHANGE, ACCESS_DENIED or SERVER_ERROR",
        match=_iperf3,
        # A client's cookie. The server waits for the test's parameters and gives up when we are gone.
        probe=b"lzr-lzr-lzr-lzr-lzr-lzr-lzr-lzr-lzr-\0",
        starts=(b"\x09", b"\xfe\0\0"),
        solicited=(b"\x09", _ACCESS_DENIED),
        examples=(b"\x09", b"\xfe\0\0\0\x66\0\0\0\x62", b"\x09\xfe\0\0\0\x74\0\0\0\0"),
        rejects=(
            b"\x09\x09",
            b"\x0a",
            _ACCESS_DENIED,
            b"\xff\xff",
            b"\xfe\0\0\0\0\0\0\0\0",
            b"\xfe\0\0\0\x66\0\0\1\x62",
            b"\xfe\0\0\1\x99\0\0\0\x62",
            b"\xfe\0\0\0\x66\0\0\0",
            b"\x09\xff\0\0\0\x66\0\0\0\x62",
        ),
        ports=(5201,),
    ),
)
