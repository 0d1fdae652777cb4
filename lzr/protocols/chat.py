"""Chat and calls: news, chat rooms, telephony, telephone exchanges, games."""

from __future__ import annotations

from lzr.protocols._bytes import be16, is_text
from lzr.protocols._framing import first_line, leads, printable, varint, xml_root
from lzr.protocols._protocol import Host, Protocol, Random

_NEWS_WORDS = (
    b"nntp",
    b"nnrp",
    b"internetnews",
    b"usenet",
    b"news",
    b"posting",
    b"no permission to talk",
    b"could not get your access name",
    b"transfer permission denied",
    b"(typhoon v",
    b"you can post",
    b"not in my access file",
    b"-- throttling",
)


def _nntp(data: bytes) -> bool:
    """A greeting code and a word that only a news server would use."""
    line = first_line(data)
    words = line[4:].lower()
    return is_text(line) and any(word in words for word in _NEWS_WORDS)


def _irc(data: bytes) -> bool:
    """A message from a server: [":" source SP] command SP parameters."""
    line = first_line(data)
    if not line or b"\0" in line:
        return False
    source = b""
    if line.startswith(b":"):
        source, _, line = line[1:].partition(b" ")
        if not source or not printable(source):
            return False
    command, _, rest = line.partition(b" ")
    rest = rest.lstrip(b" ")
    if len(command) == 3 and command.isdigit():
        return b":" in rest
    if command == b"ERROR" and rest.startswith(b"Your host is trying to (re)connect too fast"):
        return True
    if command == b"PING" and source:
        return rest != b"" and not source.translate(None, _NAMES)
    if command == b"PING" and len(rest) > 3 and rest.isdigit():
        return True  # a number to be sent back, before anybody may register
    if command in {b"ERROR", b"PING"}:
        return rest.startswith(b":") and len(rest) > 1
    if command == b"NOTICE":
        return rest.partition(b" ")[2].startswith(b":")
    return False


_NAMES = bytes((*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B), *b"-._"))
"""What names of servers are made of."""


def _sip(data: bytes) -> bool:
    """A status line, and a header or the end of it all after it."""
    return data[8:11].isdigit() and data[11:12] == b" " and (b"\r\n" in data or b"\n" in data)


def _xmpp(data: bytes) -> bool:
    """A server's stream header, which has an id (a client's has none) or says whom it is from and not
    whom it is to, a stream error, or nothing but the end of the stream."""
    if data.strip() == b"</stream:stream>":
        return True
    root = xml_root(data)[:700]
    if root.startswith(b"<stream:error"):
        return True
    tag, end, rest = root.partition(b">")
    if not root.startswith(b"<stream:stream") or not end or b"etherx.jabber.org/streams" not in tag:
        return False
    serves = b" from=" in tag and b" to=" not in tag
    return serves or b" id=" in tag or b"\nid=" in tag or rest.startswith(b"<stream:error")


def _teamspeak(data: bytes) -> bool:
    return b"Welcome to the TeamSpeak" in data[:60] or data.rstrip(b"\r\n") in (b"TS3", b"[TS]")


def _ami(data: bytes) -> bool:
    version = first_line(data).rpartition(b"/")[2]
    return bool(version) and version.replace(b".", b"").isdigit()


def _minecraft(data: bytes) -> bool:
    """A status answer (length, packet 0, length, JSON), the old kick packet that carries one, or why a client
    is sent away: a packet whose number differs from version to version."""
    text = data[3:]
    if data[:1] == b"\xff" and text[:1] == b"\0":
        older = text[:1024].split(b"\0\xa7\0")  # before 1.4 it says no version: title, players, most players
        if leads(text, 2 * be16(data, 1)) and text.replace(b"\0", b"").startswith(_KICKS):
            return not any(text[: 2 * be16(data, 1) : 2])
        counted = len(older) == 3 and older[1].replace(b"\0", b"").isdigit() and older[2][:1].isdigit()
        return (text.startswith(b"\0\xa7\0001\0\0") or counted) and leads(text, 2 * be16(data, 1))
    size, at = varint(data, 0)
    if size < 0 or data[at : at + 1] >= b"\x80" or not leads(data, at + size):
        return False
    text_size, start = varint(data, at + 1)
    kind = b"{" if data[at : at + 1] == b"\0" else b'{"translate":"disconnect.'
    return start + text_size == at + size and data.startswith(kind, start)


_KICKS = (b"Protocol error", b"Took too long to log in", b"Outdated client!", b"Outdated server!")
"""Why a client is sent away that sends no packet, or too late, or of another version."""

_SIP_PROBE = (
    b"OPTIONS sip:",
    Host(),
    b" SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK-lzr-1\r\nMax-Forwards: 70\r\n"
    b"From: <sip:lzr@192.0.2.1>;tag=lzr1\r\nTo: <sip:",
    Host(),
    b">\r\nCall-ID: lzr-1@192.0.2.1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
)

_STATUS = b'{"version":{"name":"1.20.4","protocol":765},"players":{"max":20}}'

_SENT_AWAY = b'{"translate":"disconnect.genericReason","with":["Internal Exception: no such packet 69"]}'

_KICK = "§1\0" + "\0".join(("127", "1.20.4", "Hello", "0", "20"))


def _stun(data: bytes) -> bool:
    """An answer, success or error: length in words, then the cookie (RFC 8489 §5); where a stream has frames,
    a length stands in front (RFC 4571 §2)."""
    if data[4:8] != _COOKIE:
        if be16(data, 0) != len(data) - 2:
            return False
        data = data[2:]
    size = be16(data, 2)
    answers = be16(data, 0) & ~0x10 in _ANSWERS
    return answers and size % 4 == 0 and len(data) >= 20 and leads(data, 20 + size)


_COOKIE = b"\x21\x12\xa4\x42"

_ANSWERS = frozenset((0x0101, 0x0103, 0x0104, 0x0108, 0x0109, 0x010A, 0x010B))
"""Of a binding, and of what relays are asked for (RFC 8656 §17, RFC 6062 §6.1)."""


def _h323(data: bytes) -> bool:
    """Q.931 in a TPKT: its discriminator, a call reference with the answerer's bit, a message (§7)."""
    return (
        data[4:6] == b"\x08\2" and leads(data, be16(data, 2)) and data[6:7] >= b"\x80" and data[8:9] in _Q931
    )


_Q931 = frozenset((b"\x01", b"\x02", b"\x07", b"\x5a", b"\x62", b"\x7d"))
"""Alerting, call proceeding, connect, release complete, facility, status."""


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="nntp",
        spec="RFC 3977 §5.1",
        match=_nntp,
        starts=(b"200 ", b"201 ", b"203 ", b"400 ", b"502 ", b"480 "),
        examples=(
            b"200 news.example.org InterNetNews NNRP server INN 2.7.1 ready (posting ok)\r\n",
            b"201 NNTP Service Ready, posting prohibited\r\n",
            b"200 Willkommen beim Nachrichtendienst f\xc3\xbcr alle, NNRP bereit\r\n",
            b"502 You have no permission to talk. Goodbye.\r\n",
            b"502 You are not in my access file. Goodbye.\r\n",
            b"502 news.example.com: Transfer permission denied to 192.0.2.9 - all (DIABLO 5.1)\r\n",
            b"502 Could not get your access name. Goodbye.\r\n",
            b"203 news.example.com NNTPCache server V2.3 ready\r\n",
        ),
        rejects=(b"200 OK\r\n", b"200 hello and welcome\r\n", b"502 Bad Gateway\r\n", b"200 news\x01\r\n"),
        ports=(119, 433),
    ),
    Protocol(
        name="irc",
        spec="RFC 2812 §2.3",
        match=_irc,
        probe=b"PING lzr\r\n",
        starts=(b":", b"ERROR :", b"ERROR Your host is ", b"NOTICE ", b"PING "),
        examples=(
            b":irc.example.net NOTICE * :*** Looking up your hostname...\r\n",
            b"ERROR Your host is trying to (re)connect too fast -- throttled\r\n",
            b"NOTICE AUTH :*** Processing connection to irc.example.net\r\n",
            b"ERROR :Closing Link: [192.0.2.9] (Throttled: reconnecting too fast)\r\n",
            b":irc.example.net 451 * PING :You have not registered\r\n",
            b":irc.example.net PING 2147483647\r\n",
            b"PING :2147483647\r\n",
            b"PING 12345\r\n",
        ),
        rejects=(
            b":irc.example.net NOTICE * :x\0\r\n",
            b":\xff\xfe NOTICE * :hi\r\n",
            b":1\r\n",
            b"ERROR :\r\n",
            b":-) hello :world\r\n",
            b":irc.example.net PING \r\n",
            b":) PING pong\r\n",
            b"PING 12 34567\r\n",
            b"PING 1\r\n",
            b"PING box 56(84) bytes of data.\n",
            b"ERROR\r\n",
        ),
        ports=(6667, 6660, 6668, 6669, 7000),
    ),
    Protocol(
        name="sip",
        spec="RFC 3261 §7.2",
        match=_sip,
        probe=_SIP_PROBE,
        starts=(b"SIP/2.0 ",),
        examples=(b"SIP/2.0 404 Not Found\r\nVia: SIP/2.0/TCP 192.0.2.1:5060\r\nContent-Length: 0\r\n\r\n",),
        rejects=(b"SIP/2.0 ok\r\n", b"SIP/2.0 200 OK"),
        ports=(5060,),
    ),
    Protocol(
        name="xmpp",
        spec="RFC 6120 §4.7",
        match=_xmpp,
        probe=b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' "
        b"xmlns:stream='http://etherx.jabber.org/streams' to='localhost'>",
        starts=(b"<?xml ", b"<stream:", b"</stream:stream>"),
        examples=(
            b"<?xml version='1.0'?><stream:stream id='a1' version='1.0' xml:lang='en' from='localhost' "
            b"xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>",
            b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'\nid='a1'>",
            b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:error><bad-format/>",
            b"<stream:error xmlns:stream='http://etherx.jabber.org/streams'><invalid-xml/></stream:error>",
            b"</stream:stream>",
        ),
        rejects=(b"<?xml version='1.0'?><html>stream:stream</html>", b"</stream:stream> is the end"),
        ports=(5222, 5269),
    ),
    Protocol(
        name="teamspeak",
        spec="TeamSpeak 3 Server Query Manual",
        match=_teamspeak,
        starts=(b"TS3", b"[TS]\r\n"),
        examples=(
            b"[TS]\r\n",
            b'TS3\n\rWelcome to the TeamSpeak 3 ServerQuery interface, type "help" for a list\n\r',
        ),
        rejects=(b"TS32 is down\r\n", b"[TS]\r\nlogin: "),
        ports=(10011,),
    ),
    Protocol(
        name="asterisk-ami",
        spec="Asterisk documentation, Asterisk Manager Interface",
        match=_ami,
        starts=(b"Asterisk Call Manager/",),
        examples=(b"Asterisk Call Manager/5.0.2\r\n",),
        rejects=(b"Asterisk Call Manager/unknown\r\n",),
        ports=(5038,),
    ),
    Protocol(
        name="freeswitch",
        spec="FreeSWITCH documentation, mod_event_socket",
        match=lambda data: data.startswith((b"auth/request\n\n", b"text/rude-rejection\n"), 14),
        starts=(b"Content-Type: ",),
        examples=(
            b"Content-Type: auth/request\n\n",
            b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n",
        ),
        rejects=(b"Content-Type: text/html\n\n<html></html>",),
        ports=(8021,),
    ),
    Protocol(
        name="minecraft",
        spec="Minecraft wiki, Java Edition protocol: Server List Ping",
        match=_minecraft,
        # Handshake (version -1, "localhost", 25565, next state 1) and status request.
        probe=b"\x13\0\xff\xff\xff\xff\x0f\x09localhost\x63\xdd\x01\x01\0",
        starts=(b"\xff\0",),
        at=tuple((at, b'{"') for at in range(3, 8)),  # the two lengths take one to three bytes each
        examples=(
            bytes((len(_STATUS) + 2, 0, len(_STATUS))) + _STATUS,
            bytes((len(_SENT_AWAY) + 2, 0x1A, len(_SENT_AWAY))) + _SENT_AWAY,
            b"\xff\0" + bytes((len(_KICK),)) + _KICK.encode("utf-16-be"),
            b"\xff\0\x13" + "A Sample World§0§20".encode("utf-16-be"),
            b"\xff\0\x0e" + "Protocol error".encode("utf-16-be"),
        ),
        rejects=(
            b'\x80\x80\x80\x80\x80{"',
            b"\3\0\x80\x80",
            b'abc{"version":1}',
            b"\xff\0\0\0\0",
            b"\xff\0\x0e" + "A Sample World".encode("utf-16-be"),
            b"\xff\0\x0f" + "Protocol error".encode("utf-16-be"),
            b"\xff\0\x0e" + "Protocol errör".encode("utf-16-be"),
            b"\xff\0\x0f" + "Protocol error\u0100".encode("utf-16-be"),
            b"\xff\0\x10" + "A World§some§few".encode("utf-16-be"),
            b'\x12\0\0\0\0{"a":"b"}',
            bytes((len(_STATUS) + 2, 0x1A, len(_STATUS))) + _STATUS,
            bytes((len(_SENT_AWAY) + 3, 0x81, 1, len(_SENT_AWAY))) + _SENT_AWAY,
        ),
        ports=(25565,),
    ),
    Protocol(
        name="stun",
        spec="RFC 8489 §5, §6.2.2",
        match=_stun,
        probe=(b"\0\1\0\0\x21\x12\xa4\x42", Random(12)),
        at=((4, _COOKIE), (6, _COOKIE)),
        examples=(
            b"\1\1\0\x0c\x21\x12\xa4\x42" + b"transaction!" + b"\0\x20\0\x08\0\1\xa1\x47\xe1\x12\xa6\x43",
            b"\1\x13\0\x08\x21\x12\xa4\x42" + b"transaction!" + b"\0\x09\0\4\0\0\4\1",  # no relay for us
            b"\0\x1c\1\x11\0\x08\x21\x12\xa4\x42" + b"transaction!" + b"\0\x09\0\4\0\0\4\0",
        ),
        rejects=(
            b"\0\1\0\0\x21\x12\xa4\x42" + b"transaction!",
            b"\1\1\0\x0d\x21\x12\xa4\x42" + b"transaction!",
            b"\1\1\0\x0c\x21\x12\xa4\x42" + b"transaction!",
            b"\1\2\0\0\x21\x12\xa4\x42" + b"transaction!",
            b"\0\x15\1\x11\0\0\x21\x12\xa4\x42" + b"transaction!",
        ),
        ports=(3478,),
    ),
    Protocol(
        name="h323",
        spec="ITU-T H.225.0 §7, Q.931 §4; RFC 1006 §6",
        match=_h323,
        starts=(b"\3\0",),
        examples=(bytes.fromhex("03000010 080280015a") + b"\x7e\0\3\5\x0a\0\0",),
        rejects=(
            bytes.fromhex("03000010 0802000105") + b"\x7e\0\3\5\x0a\0\0",
            bytes.fromhex("03000011 080280015a") + b"\x7e\0\3\5\x0a\0\0",
        ),
        ports=(1720,),
    ),
)
