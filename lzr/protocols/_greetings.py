"""Tells whether a three-digit reply line is the greeting of a mail server or of a file server.

SMTP (RFC 5321 §4.2) and FTP (RFC 959 §4.2) share their form and most codes. What decides, in order: the
words SMTP and FTP outside the host name, what the next lines answer, names of programs (the two sets below),
codes and phrases that only one of them has, and at last the shape: RFC 5321 wants a fully qualified name
first. What is left fits both, but for greetings that name a third protocol (OTHERS), which are neither.
"""

from __future__ import annotations

import re

MAIL = frozenset(
    b"mail email mailer mailserver webmail mta mx helo ehlo rcpt relay uce ube unsolicited spam antispam "
    b"postfix sendmail exim qmail courier exchange domino lotus zimbra kerio mdaemon mailenable mailsite "
    b"mailmax groupwise argosoft communigate icewarp merak mercur mercury smartermail surgemail xmail "
    b"hmailserver imail james barracuda ironport fortimail proofpoint mimecast messagelabs powermta "
    b"ecelerity momentum eudora webshield virusscreen cellopoint mailmarshal interscan axigen stalwart maddy "
    b"scalix atmail slmail vopmail vpop3 winwebmail tobit winroute nullmailer meldware mailscanner sonicwall "
    b"greenarrow mailgun sendgrid openwave intermail mirapoint coremail netease yandex zoho dkim mailcleaner "
    b"halon xeams mailcow iredmail mailhog mailpit mailcatcher inbucket sophos trendmicro symantec "
    b"haraka cloudmark mimesweeper vircom modusmail gordano ntmail emwac postoffice mailtraq citadel "
    b"masqmail ssmtp dragonfly anubis exchangedefender appriver spamtitan mxlogic postini spamexperts "
    b"dovecot eims alligate greylisting gwava pgp meridius openvms".split()
)
"""Words that mail servers' greetings hold and file servers' don't, in lower case."""

FILES = frozenset(
    b"ftpd user pass password login anonymous logged filezilla serv rumpus crushftp titan cerberus gene6 "
    b"wing vsftpd proftpd pureftpd wuftpd ncftpd tnftpd bftpd uftpd glftpd drftpd raidenftpd lukemftpd oftpd "
    b"globalscape xlight bulletproof warftpd cesarftp quickneasy netpresenz idea wftpd zftp slimftpd uploads "
    b"download downloads upload files printer print laserjet officejet designjet printserver workcentre "
    b"phaser docuprint jetdirect ricoh aficio lexmark kyocera xerox epson brother canon konica minolta oki "
    b"sharp toshiba zebra camera encoder decoder axis hikvision dahua telepresence vxworks timos nas "
    b"diskstation synology qnap readynas storage raid router switch modem plc scada simatic modicon "
    b"controller inverter firmware tls-c oops logins".split()
)
"""Words that file servers' greetings hold (most of them name a device) and mail servers' don't."""

OTHERS = frozenset(
    b"lmtp snpp svdrp saft sendfiled amanda hylafax rmate nntp nnrp imsp mupdate acap poppassd pop3pw "
    b"dlmtp slnp vtp ggw".split()
)
"""Protocols and programs that are neither, and greet in the same form."""

STOCK = frozenset(b"ready service server welcome ok hello connected to the greetings at your".split())
"""Words that greetings of both kinds hold."""

DATE = re.compile(rb"\d\d:\d\d:\d\d [+-]\d{4}")
"""As mail writes the time (RFC 5322 §3.3), zone and all."""

MAIL_CODES = frozenset((b"554", b"521", b"450", b"451", b"452", b"552", b"553", b"571", b"556"))
FILE_CODES = frozenset((b"120", b"530", b"531", b"532", b"534", b"331", b"431"))
SHARED_CODES = frozenset((b"220", b"230", b"421", b"500", b"501", b"502", b"503", b"550"))
ALL_CODES = MAIL_CODES | FILE_CODES | SHARED_CODES
CODES = tuple(sorted(ALL_CODES))

MAIL_ANSWERS = re.compile(rb"\n(?:250[ -]|[245]\d\d[ -]#?[245]\.\d{1,3}\.\d|[45]\d\d [^\r\n]*\(#[245]\.\d)")
"""A later line that only mail has: what EHLO is answered with (no file server says 250 before a login), or an
enhanced status code (RFC 3463), in front or as qmail writes it."""

FILE_ANSWERS = re.compile(
    rb"\n(?:530|331|332|500 [^\r\n]{0,80}not understood|50[03] [^\r\n]{0,40}(?:USER|PASS))"
)
"""A later line that only file servers have."""

_REACH = 16384
"""Bytes in which a later line is looked for: a judgement, far more than what is answered to a probe."""

_NEITHER, _MAIL, _FILES, _BOTH = 0, 1, 2, 3
_NUMBERS = b"0123456789. \t\r\n"
"""A line of numbers is no greeting."""
_NO_TEXT = (b"\r\n", b"\n", b"")
"""A code alone is one: behind a blank, or as RFC 5321 §4.2 allows it, without."""

_SPACES = bytes.maketrans(bytes(b for b in range(256) if not chr(b).isalnum() or b > 127), b" " * 194)


def verdict(data: bytes) -> int:
    """1: mail, 2: files, 3: fits both, 0: no such greeting."""
    if len(data) < 4 or data[3:4] not in b" -\r\n":  # the dispatcher has seen to the code
        return _NEITHER
    code, text = data[:3], data[4:512].lower()
    if b" scan" in text and (b"daemon mode scanner" in text or b"antivirus scan engine" in text):
        return _NEITHER
    mail, files = b"smtp" in text, b"ftp" in text
    if mail != files:  # one of the words, and behind the host's name or where no host can be
        blank = text.find(b" ", 1)
        place = text.find(b"smtp" if mail else b"ftp")
        if blank > 0 and (place > blank or text.find(b".", 0, blank) < 0) and text[0] != 0x5B:
            return _MAIL if mail else _FILES
    if (
        b"\0" in text
        or b"> <" in text
        or text.startswith(b"vmware auth")
        or (not text.translate(None, _NUMBERS) and text not in _NO_TEXT)
    ):
        return _NEITHER
    first, _, rest = text.lstrip(b" ").partition(b" ")
    host = first.rstrip(b"\r\n,;")
    qualified = host.startswith(b"[") or host == b"localhost" or (b"." in host and _is_domain(host))
    if not qualified:
        rest = text
    answered = data.find(b"\n", 4, -1) > 0
    if answered and MAIL_ANSWERS.search(data, 0, _REACH):
        return _MAIL
    mail, files = b"smtp" in rest, b"ftp" in rest
    if mail != files:
        return _MAIL if mail else _FILES
    if mail:  # both: a mail server says which of its dialects, a file server says "FTP server"
        return _FILES if b"ftp serv" in rest and b"esmtp" not in rest else _MAIL
    if answered and FILE_ANSWERS.search(data, 0, _REACH):
        return _FILES
    if b"concurrent connection limit in av" in text:  # a guard of mail that stands before the server
        return _MAIL
    words = set(rest.translate(_SPACES).split())
    if not words.isdisjoint(OTHERS):
        return _NEITHER
    mail, files = b"mail" in rest or not words.isdisjoint(MAIL), not words.isdisjoint(FILES)
    if mail != files:
        return _MAIL if mail else _FILES
    if answered and data[3:4] == b" " and code == b"220":  # the form is the greeting's, not the answers'
        rest = rest.partition(b"\n")[0] if qualified else text.partition(b"\n")[0]
        words = set(rest.translate(_SPACES).split())
    return _by_shape(code, host, qualified, words, rest)


def _by_shape(code: bytes, host: bytes, qualified: bool, words: set[bytes], rest: bytes) -> int:
    """No name decides: the code, an enhanced status code, the host's name, and what comes first."""
    if code in MAIL_CODES or _is_enhanced(host) or host.startswith(b"***"):  # masked by a firewall
        return _MAIL
    if code in FILE_CODES or rest.startswith(FILE_REFUSALS):
        return _FILES
    if code != b"220":
        if code == b"421" or not words.isdisjoint((b"command", b"syntax", b"unrecognized")):
            if b"closing transmission" in rest or b"(#4." in rest:  # RFC 5321's word; qmail's code
                return _MAIL
            if b"control connection" in rest or b"internet address" in rest:
                return _FILES
            if b"too many" in rest and (b"user" in rest or b"from this" in rest):
                return _FILES
            return _BOTH
        return _NEITHER
    if qualified:
        if host.startswith((b"mail", b"smtp", b"mx", b"relay", b"rblsmtpd")) or DATE.search(rest):
            return _MAIL
        return _FILES if host.startswith(b"ftp") else _BOTH
    return _BOTH if len(words) <= 2 or (len(words) <= 5 and len(words - STOCK) <= 1) else _FILES


FILE_REFUSALS = (b"sorry, no server available", b"no connections allowed from your ip")
"""ProFTPD's and FileZilla's, under codes that both have."""


def _is_domain(host: bytes) -> bool:
    """Letters, digits, dots and hyphens, and more than a version number or an ellipsis."""
    bare = host.replace(b"-", b"").replace(b".", b"").replace(b"_", b"").replace(b"*", b"")
    if not bare.isalnum():
        return False
    parts = host.split(b".")
    if bare.isdigit():
        return len(parts) == 4 and all(parts)
    return all(parts) and (parts[-1].isalpha() or parts[-1].startswith(b"xn--"))


def _is_enhanced(word: bytes) -> bool:
    """RFC 2034: class.subject.detail."""
    parts = word.strip(b"#").split(b".")
    return (
        len(parts) == 3 and parts[0] in (b"2", b"4", b"5") and all(p.isdigit() and len(p) < 4 for p in parts)
    )


_last: tuple[bytes, int] = (b"", _NEITHER)
"""The last reply and its verdict: the matchers of SMTP and FTP ask about the same reply one after the
other."""


def is_mail(data: bytes) -> bool:
    """Whether the reply greets as a mail server does."""
    global _last
    if _last[0] is not data:
        _last = (data, verdict(data))
    return _last[1] & _MAIL != 0


def is_files(data: bytes) -> bool:
    """Whether the reply greets as a server of files does."""
    global _last
    if _last[0] is not data:
        _last = (data, verdict(data))
    return _last[1] & _FILES != 0
