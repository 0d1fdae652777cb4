"""Mail: SMTP, POP3, IMAP, delivery (LMTP), filters (Sieve, SpamAssassin, ClamAV)."""

from __future__ import annotations

from lzr.protocols import _greetings as greetings
from lzr.protocols._bytes import is_text, line
from lzr.protocols._framing import first_line, printable
from lzr.protocols._protocol import Protocol

REDIS_ERRORS = (  # how redis and its kin go on after -ERR
    b"unknown command '",
    b"unknown command `",
    b"unknown subcommand",
    b"wrong number of arguments",
    b"protocol ",
    b"max number of clients",
    b"max clients",
    b"client sent auth",
    b"auth ",
    b"syntax error",
    b"value is not",
    b"no such key",
    b"operation not permitted",
    b"unauthenticated",
    b"invalid password",
    b"invalid multibulk",
    b"invalid bulk",
    b"db index",
    b"dispatch",
    b"unbalanced quotes",
    b"illegal address",
    b"this instance",
    b"this redis",
    b"unsupported command '",
    b"unsupported command `",
    b"unknown or unsupported command",
    b"handle request, command '",  # proxies before redis
)

REDIS_PHRASES = (
    b"number of arguments",
    b"not an integer",
    b"out of range",
    b"with args beginning",
    b"without multi",
)
"""And what its errors hold further on."""

REFUSALS = tuple(
    b"pop mail connection denied refus busy later login user passw authent permission host clos timeout idle "
    b"service server system tempora lock block session allow access address [".split()
)
"""What a mail server's first -ERR is about: why it will not have the caller."""

TRANSLATED = (
    *b"verbindung benutzer kennwort passwort zugriff abgelehnt connexion utilisateur trop conexi".split(),
    *b"usuario demasiad ocupado acceso acesso connessioni utente troppe rifiutat verbinding".split(),
    *b"gebruiker anslutning".split(),
    *(word.encode("latin-1") for word in ("accès", "conexões", "usuário")),
    *(word.encode() for word in ("accès", "conexões", "usuário", "połącze", "соединени", "подключени")),
    *(word.encode() for word in ("пользовател", "доступ", "занят", "连接", "連接", "连线", "連線")),
    *(word.encode() for word in ("拒绝", "拒絕", "接続", "연결")),
)
"""The same in other languages, in lower case where that is ASCII's."""

_REFUSES = REFUSALS + TRANSLATED


def is_redis_error(text: bytes) -> bool:
    """Whether what follows -ERR is in the words of redis, which shares that sign with POP3."""
    low = text.lower()
    return low.startswith(REDIS_ERRORS) or any(phrase in low for phrase in REDIS_PHRASES)


def _pop3(data: bytes) -> bool:
    """RFC 1939 §4: +OK or -ERR; a bare +OK is redis', and so are its errors."""
    text = line(data)
    if not is_text(text):
        return False
    if data[:1] == b"+":
        if b" password server" in text:  # ApplePasswordServer
            return False
        return text[3:4] == b" " and bool(text[4:].strip())
    low = text[5:].lower()
    if low[:1] == b"'" == low[-1:] or b"command" in low:  # as NATS has it; and nobody was asked anything yet
        return False
    return text[4:5] == b" " and not is_redis_error(low) and any(word in low for word in _REFUSES)


def _imap(data: bytes) -> bool:
    """RFC 9051 §7.1: an untagged greeting."""
    text = line(data)
    if data[:1] == b"G":  # the first word of what was asked is taken for a command's tag (§2.2.1)
        return True
    if text.startswith(
        (b"* OK MUPDATE ", b"* OK Cyrus IMSP ", b"* OK SSP ")
    ):  # which greet alike, and say so
        return False
    return text[4:5] in (b" ", b"E", b"D") and len(text) > 5 and is_text(text)


def _lmtp(data: bytes) -> bool:
    return b"LMTP" in data and b"LMTP" in first_line(data).replace(b"/", b" ").split()


def _managesieve(data: bytes) -> bool:
    """Capability lines, each a quoted name and perhaps a quoted value (RFC 5804 §1.7)."""
    if data[:1] == b"B":  # a refusal (§1.3): one quoted sentence
        return data.endswith(b'"\r\n') and len(data) > 9 and data.count(b'"') == 2 and printable(data[4:-2])
    head = data[:1500].upper()
    if head.startswith(_SIEVES):  # other capabilities may come later
        return True
    return b'"SIEVE" "' in head or (b'"IMPLEMENTATION" "' in head and b"SIEVE" in head)


_SIEVES = (b'"IMPLEMENTATION" "DOVECOT', b'"IMPLEMENTATION" "CYRUS')
"""The first line of the commonest servers, in capitals."""


def _spamd(data: bytes) -> bool:
    version, _, rest = first_line(data)[6:].partition(b" ")
    return version.replace(b".", b"").isdigit() and rest.partition(b" ")[0].isdigit()


def _clamd(data: bytes) -> bool:
    text = data.rstrip(b"\r\n\0")
    if text == b"UNKNOWN COMMAND":
        return len(text) < len(data)
    return data.startswith(b"ClamAV ") and data[7:8].isdigit() and printable(text)


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="smtp",
        spec="RFC 5321 §4.2",
        match=greetings.is_mail,
        probe=b"EHLO localhost\r\n",
        starts=greetings.CODES,
        examples=(
            b"220 Example mail server with POP3 and IMAP4 ready\r\n",
            b"220 mail.example.com\r\n",
            b"220 [192.0.2.1] ESMTP server ready\r\n",
            b"421 unable to read controls (#4.3.0)\r\n",
            b"421 example.com Service not available, closing transmission channel\r\n",
            b"220 box.example.com Sat, 28 Nov 2026 20:24:01 +0000\r\n",
            b"220 host ESMTP and FTP\r\n",
            b"220 mx1.example.net ESMTP Postfix (Debian/GNU)\r\n",
            b"220 example.org ESMTP Exim 4.97 Mon, 01 Jan 2024 00:00:00 +0000\r\n",
            b"220-mail.example.com ESMTP\r\n220 no unsolicited mail\r\n500 5.5.2 bad syntax\r\n",
            b"220 ftp.example.com ESMTP Sendmail 8.17.1; ready\r\n",
            b"554 5.7.1 Service unavailable; client host blocked\r\n",
            b"421 4.3.2 too many connections\r\n",
            b"220 ****************************2******0***\r\n",
            b"220 mail.example.net Dovecot (Debian) ready.\r\n",
            b"220 example.com running Eudora Internet Mail Server 3.1\r\n",
            b"220 example.com ready\r\n250-SIZE 1000\r\n250-AUTH LOGIN PLAIN\r\n250 8BITMIME\r\n",
            b"220 box.example.com\r\n221 2.7.0 Error: I can break rules, too. Goodbye.\r\n",
            b"220 ready\r\n502 unimplemented (#5.5.1)\r\n",
            b"421 concurrent connection limit in avast! exceeded(pass:0, processes:a.exe[50])\r\n",
        ),
        rejects=(
            b"220 example.com FTP server ready.\r\n",
            b"2200 smtp\r\n",
            b"220 SNPP Gateway Ready\r\n",
            b"220 Symantec AntiVirus Scan Engine ready.\r\n",
            b"220-Sampler daemon mode scanner (SMTP)\r\n",
            b"220 mac.example.com RMATE TextMate\r\n",
            b"220 lists.example.com LMTP ready\r\n",
            b"SMTP is spoken elsewhere",
        ),
        ports=(25, 465, 587, 2525),
        zgrab="smtp",
    ),
    Protocol(
        name="pop3",
        spec="RFC 1939 §4",
        match=_pop3,
        starts=(b"+OK", b"-ERR"),
        examples=(
            b"+OK POP3 server ready <1234.5678@example.com>\r\n",
            b"+OK Hello there.\r\n",
            b"-ERR Permission denied.\r\n",
            b"-ERR Verbindung abgelehnt\r\n",
            "-ERR Trop de clients, réessayez\r\n".encode("latin-1"),
            "-ERR Слишком много соединений\r\n".encode(),
            "-ERR 连接过多\r\n".encode(),
        ),
        rejects=(
            b"+OK \x01\x02\r\n",
            b"+OK\r\n",
            b"-ERR unknown command 'GET', with args beginning with: \r\n",
            b"-ERR Protocol version is not an integer or out of range\r\n",
            b"-ERR no flux capacitor\r\n",
            b"-ERR handle request, command 'GET' is not allowed\r\n",
            b"-ERR command 'GET' is not allowed\r\n",
            b"-ERR unknown command host:\r\n",
            b"-ERR 'Maximum Connections Exceeded'\r\n",
            b"-ERR Invalid command: \r\n-ERR Invalid command: \r\n",
            b"+OK ApplePasswordServer 10.5 password server at 192.0.2.1 ready.\r\n",
            b"+OKAY then",
        ),
        ports=(110, 995),
        zgrab="pop3",
    ),
    Protocol(
        name="imap",
        spec="RFC 9051 §7.1",
        match=_imap,
        starts=(
            b"* OK",
            b"* BYE",
            b"* PREAUTH",
            b"* BAD ",
            b"GET NO Error in IMAP ",
            b"GET BAD Error in IMAP ",
        ),
        examples=(
            b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready.\r\n",
            b"* OK IMAP4 server ready\r\n",
            b"* BYE Too many connections\r\n",
            b"* PREAUTH IMAP4rev1 server logged in\r\n",
            b"* BAD Error in IMAP command received by server.\r\n",
            b"GET NO Error in IMAP command received by server.\r\n",
        ),
        rejects=(
            b"GET NO Error\r\n",
            b"* OKAY\r\n",
            b"* OK\x00\x01\x02",
            b"* item one\r\n* item two\r\n",
            b"* OK Cyrus IMSP x\r\n",
            b"* OK SSP some inventory 7.1\r\n",
        ),
        ports=(143, 993),
        zgrab="imap",
    ),
    Protocol(
        name="lmtp",
        spec="RFC 2033 §4",
        match=_lmtp,
        starts=(b"220 ", b"220-", b"421 "),
        examples=(b"220 store.example.org LMTP Cyrus 3.6.1 server ready\r\n",),
        rejects=(b"220 mail.example.org ESMTP Postfix\r\n", b"220 Welcome to the FTP service\r\n"),
        ports=(24, 2003),
    ),
    Protocol(
        name="managesieve",
        spec="RFC 5804 §1.7",
        match=_managesieve,
        starts=(b'"', b'BYE "'),
        examples=(
            b'BYE "Too many connections"\r\n',
            b'"IMPLEMENTATION" "Example Pigeonhole"\r\n"SIEVE" "fileinto reject"\r\nOK "ready."\r\n',
            b'"IMPLEMENTATION" "dovecot"\r\n',
        ),
        rejects=(b'"a quoted word" "and another"\r\n', b'"IMPLEMENTATION" "of nothing"\r\n'),
        ports=(4190, 2000),
        zgrab="managesieve",
    ),
    Protocol(
        name="spamd",
        spec="Apache SpamAssassin, spamd/PROTOCOL",
        match=_spamd,
        probe=b"PING SPAMC/1.2\r\n\r\n",
        starts=(b"SPAMD/",),
        examples=(b"SPAMD/1.5 0 PONG\r\n", b"SPAMD/1.0 76 Bad header line: (GET / HTTP/1.1)\r\n"),
        rejects=(b"SPAMD/x 0 PONG\r\n", b"SPAMD/1.5 hello\r\n"),
        ports=(783,),
    ),
    Protocol(
        name="clamd",
        spec="clamd(8), COMMANDS",
        match=_clamd,
        probe=b"nVERSION\n",
        starts=(b"ClamAV ", b"UNKNOWN COMMAND"),
        examples=(b"ClamAV 1.0.3/27001/Mon Aug 14 07:37:14 2023\n", b"UNKNOWN COMMAND\n"),
        rejects=(b"ClamAV is great\n", b"UNKNOWN COMMAND: GET\r\n"),
        ports=(3310,),
    ),
)
