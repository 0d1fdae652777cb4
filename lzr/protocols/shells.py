"""Shells over the network: SSH and Telnet.

Telnet's greeting is either well-formed option negotiation or the text of a login prompt; one stray 0xFF
proves nothing.
"""

from __future__ import annotations

import re

from lzr.protocols._bytes import is_text
from lzr.protocols._protocol import Protocol

SSH_REFUSALS = (
    b"Exceeded MaxStartups\r\n",
    b"Not allowed at this time\r\n",
    b"Protocol mismatch.\n",
    b"Invalid SSH identification string.\r\n",
)
"""What OpenSSH says in place of its version when it has too many callers, and behind it (in a segment of its
own, where the first is lost) to a client that sends no version."""

SSH_DENIED = (b"Access to service sshd from ", b"Could not load host key. Closing connection")
"""How others begin to say that they have no session for the caller."""


def _ssh(data: bytes) -> bool:
    """RFC 4253 §4.2: SSH-protoversion-software, at most 255 characters; a key exchange may follow at once."""
    if data[:3] != b"SSH":
        return data in SSH_REFUSALS or data.startswith(SSH_DENIED) or _behind_lines(data)
    text = data[4:260].split(b"\n", 1)[0].rstrip(b"\r")
    version, _, software = text.partition(b"-")
    return software not in (b"", b"LZR") and version.replace(b".", b"", 1).isdigit() and is_text(software)


def _behind_lines(data: bytes) -> bool:
    """The version behind other lines of text, which a server may send first."""
    at = data.find(b"\nSSH-", 1, 1024) + 1
    return at > 0 and not data.startswith(OTHERS) and is_text(data[:at]) and _ssh(data[at:])


_LINES_BEGIN = (
    *(bytes((first,)) for first in (*b"#*-= \r\n", *range(65, 91), *range(97, 123)) if first not in b"Hh"),
    *(bytes((first, second)) for first in b"Hh" for second in range(97, 123)),
)
"""How such a line may begin: not as the greetings of mail and files do, nor as HTTP's status lines."""

# --- Telnet ------------------------------------------------------------------------------------------

IAC, SE, SB, WILL, DONT = 255, 240, 250, 251, 254
OFFERS = (b"\xfb", b"\xfd", b"\xfa")
"""WILL, DO, SB."""
OPTIONS = frozenset((*range(50), 138, 139, 140, 69, 70, 85, 86, 87, 90, 91, 93, 200, 201))
"""Telnet options in the IANA registry but 255, extended options; and those that games' servers use."""

NO_PROMPT = b'<{[+@:$%"'
"""No prompt begins so, but pages, JSON and other protocols' lines do."""
BEGINNINGS = (b"+=", b"+-", b"+*", b"<<<", b"% ", b"%connection", b"[")
"""With these a prompt's screen may begin all the same: frames, warnings, a name in brackets."""

OTHERS = (b"HTTP/", b"SSH-", b"RTSP/", b"SIP/", b"ERR", b"-ERR", b"* OK", b"RFB 0", b"STAT ", b"VERSION ")

PROMPT = re.compile(
    rb"(?:log ?in|log ?on|user|password|passwd|passcode|account|verification code|access code|terminal type"
    rb"|(?:user|log ?in|log ?on|account) ?(?:name|id|number)|(?:your|enter) ?(?:id|number|login))"
    rb"\s?(?:\((?!max)[^()\n]{0,40}\))?\s?[:>?]+[ \0]{0,4}(?:\x1b\[[0-9;?]{0,8}[A-Za-z])*$",
    re.IGNORECASE,
)
QUESTION = re.compile(rb"[^A-Za-z]*(?:what|who|which|where|do you|have you|is this)\b", re.IGNORECASE)
"""So a riddle or a game begins to ask, and no login."""

TRANSLATED = (
    *b"benutzer benutzername kennwort passwort anmeldung anmeldename".split(),
    *(b"mot de passe", b"identifiant", b"utilisateur", b"usuario", b"senha", b"utente", b"nome utente"),
    *(
        b"parola",
        b"gebruiker",
        b"gebruikersnaam",
        b"wachtwoord",
        b"brugernavn",
        b"adgangskode",
        b"brukernavn",
    ),
    *(b"passord", b"heslo", b"salasana", b"parol", b"sifre", b"jelszo", b"sandi"),
    *(
        word.encode(coding)
        for coding in ("utf-8", "latin-1")
        for word in ("usuário", "contraseña", "lösenord", "användarnamn", "käyttäjätunnus")
    ),
    *(
        word.encode(coding)
        for coding in ("utf-8", "iso8859-2")
        for word in ("hasło", "użytkownik", "uživatel", "jelszó", "felhasználónév")
    ),
    *(
        word.encode(coding)
        for coding in ("utf-8", "cp1251", "koi8-r", "cp866")
        for word in ("Логин", "логин", "Пароль", "пароль", "Пользователь", "пользователя")
    ),
    *(
        word.encode(coding)
        for coding in ("utf-8", "gb18030")
        for word in ("用户名", "用户", "密码", "登录", "口令")
    ),
    *(word.encode(coding) for coding in ("utf-8", "big5") for word in ("使用者名稱", "帳號", "密碼")),
    *(
        word.encode(coding)
        for coding in ("utf-8", "euc-jp")
        for word in ("ユーザー名", "ユーザ名", "パスワード")
    ),
    *(word.encode(coding) for coding in ("utf-8", "cp949") for word in ("사용자", "암호", "비밀번호")),
)
"""What asks for a name or a password in other languages, in lower case, as terminals' codings write it."""

TRANSLATED_PROMPT = re.compile(
    rb"(?:^|[^A-Za-z])(?:%b)(?: d'utilisateur)?\s?[:>?]{1,2}[ \0]{0,4}$"
    % b"|".join(map(re.escape, TRANSLATED)),
    re.IGNORECASE,
)
SHELL_PROMPT = re.compile(rb"(?:~|-|[A-Za-z0-9(~][A-Za-z0-9_.()@/~ -]{1,32})[>#]")
NAMES_ITSELF = (
    *(b"telnet " + word for word in b"server service session console administration is daemon".split()),
    *(b"telnet connection", b"telnet access", b"telnet login", b"telnetd", b"via telnet", b"please telnet"),
)
SPEAKS = (
    b"user access verification",
    b"password is not set",
    b"password required, but none set",
    b"built-in shell (ash)",
    b"access not permitted. closing connection",
    b"remote sessions are disallowed",
    b"all user interfaces are used",
    b"%connection closed by remote host",
    b"username:  timeout expired",
    b"% bad passwords",
    b"% authentication failed",
    b"remote control session",
    b"this session allows you to set the tcpip parameters",
    b"telnet is not allowed",
    b"session limit reached",
    b"configuration menu",
    b"here is what i know about myself",
    b"system is engaged",
    b"is currently engaged",
    b"welcome to telnet",
    b"by another telnet",
    b"press enter for ",
    b"login attempt",
    b"system administrator is connecting from ",
    b"login incorrect",
    b"hello, this is frrouting (version",
    b"hello, this is quagga (version",
    b"hello, this is zebra (version",
    b"return, enter password",
    b"press enter to ",
    b"press return to ",
    b"press any key to ",
    b"press <enter> to ",
    b"\nhp jetdirect",
    b"%connection closed by remote host",
    b"authorization failed after trying ",
    b"incorrect account entries exceeded",
    b"session type: telnet",
    b"console terminal type (1: ansi",
    b"catalyst 1900 management console",
    b"raptor firewall secure gateway.",
    b"riverstone networks, inc., copyright",
    b"telnet interface (v",
    b'type "?" for help, or "/" for current settings',
    b"telnet permit one connection",
    b"synchronet bbs for ",
    b", extron electronics, ",
    b" copyright amx corp.",
    b"reincarna / linux.wifatch",
    b"\nslirp v",
    b"network power switch v",
)
"""What only an interactive session says, in lower case."""


WELCOMES = re.compile(rb"welcome to [^\r\n]{1,60} (\d{1,3}\.){3}\d{1,3} from (\d{1,3}\.){3}\d{1,3}\b")
"""A device that says where it is, and where its caller."""


NEGOTIATED = 2048
"""Bytes of negotiation that are read: there are 256 options (RFC 854), and few of them are agreed upon."""


def negotiation(data: bytes) -> int:
    """Bytes of well-formed negotiation (RFC 854) among the first NEGOTIATED: 0 if there is none."""
    at, size = 0, min(len(data), NEGOTIATED)
    while at + 2 < size and data[at] == IAC:
        command = data[at + 1]
        if WILL <= command <= DONT:
            if data[at + 2] not in OPTIONS:
                break
            at += 3
        elif command == SB and data[at + 2] in OPTIONS:
            end = data.find(b"\xff\xf0", at + 3, at + 256)
            if end < 0:
                break
            at = end + 2
        elif SE < command < SB and at:
            at += 2
        else:
            break
    return at


def spoken(data: bytes) -> bytes:
    """Text without what a terminal takes as well (RFC 854): nothing, bell, back space; shift out and in, with
    which it draws frames (ECMA-48 §8.3.126)."""
    return data.translate(None, b"\0\x07\x08\x0e\x0f")


PLACED = re.compile(rb"\x1b\[\d{1,3};\d{1,3}[Hf][^\x1b]")
"""Something is written at a place of the screen (CUP, HVP: ECMA-48 §8.3.21, §8.3.63)."""


def _negotiates(data: bytes) -> bool:
    """Negotiation, and what follows is a banner, or what a full segment cut off."""
    agreed = negotiation(data)
    rest = data[agreed:]
    return agreed > 0 and (
        not rest or rest[0] == IAC or agreed > 6 or is_text(spoken(rest.partition(b"\xff")[0]))
    )


def _telnet(data: bytes) -> bool:
    if data[:1] == b"\xff":
        return _negotiates(data)
    if len(data) > 4096 or data.startswith(OTHERS) or (data[:3].isdigit() and data[3:4] in b" -"):
        return False
    head, iac, tail = data.partition(b"\xff")
    if iac:
        # Nobody says first what he will not do: all options are off at the start (RFC 854). What stands
        # around such a refusal counts by itself.
        if tail[:1] in OFFERS or b"\n" not in head or negotiation(iac + tail) == 0:
            return (
                len(head) < 2048 and tail[:1] in OFFERS and is_text(spoken(head)) and _negotiates(iac + tail)
            )
        data = head + (iac + tail)[negotiation(iac + tail) :]
    if not is_text(spoken(data)):
        return False
    text = data.rstrip(b"\r\n \0")
    last = text[max(text.rfind(b"\n"), text.rfind(b"\r")) + 1 :][-120:]
    if (last[-1:] in b":>?" or b"\x1b[" in last) and PROMPT.search(last):
        return last[-1:] != b"?" or QUESTION.match(last) is None
    if last[-1:] == b":" and TRANSLATED_PROMPT.search(last):
        return True
    if len(last) < len(text) and last[-1:] in b">#" and text[0] > 32 and SHELL_PROMPT.fullmatch(last):
        return True
    said = text[:400].lower()
    if b"telnet" in said and any(phrase in said for phrase in NAMES_ITSELF):
        return True
    if b" from " in said and WELCOMES.search(said):
        return True
    if text[:1] == b"\x1b" and len(PLACED.findall(data, 0, 1024)) > 1:
        return True
    return any(phrase in said for phrase in SPEAKS)


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="ssh",
        spec="RFC 4253 §4.2",
        match=_ssh,
        probe=b"SSH-2.0-LZR\r\n",
        starts=(b"SSH-", *SSH_REFUSALS, *SSH_DENIED, *_LINES_BEGIN),
        examples=(
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"SSH-1.99-Cisco-1.25\n",
            b"SSH-2.0-dropbear_2024.85\r\n\x00\x00\x01\xfc\x07\x14" + bytes(range(16)) + b"curve25519-sha256",
            b"Exceeded MaxStartups\r\n",
            b"Protocol mismatch.\n",
            b"Access to service sshd from guest@192.0.2.9 has been denied.\r\n",
            b"Authorized users only\r\nSSH-2.0-OpenSSH_9.6\r\n",
        ),
        rejects=(
            b"Hello\r\nSSH-2.0-\r\n",
            b"Try\nSSH-ing elsewhere\n",
            b"SSH is disabled on this device\r\n",
            b"SSH-\r\n",
            b"SSH-2.0-\r\n",
            b"SSH-2.0-\x00\x01\x02\r\n",
            b"Protocol mismatch: 3 is wanted\n",
            b"Access to service ftpd from guest@192.0.2.9 has been denied.\r\n",
            b"x7Yt09Zq\r\n",  # a tarpit's line before a version that never comes
        ),
        ports=(22, 2222, 830),
        zgrab="ssh",
    ),
    Protocol(
        name="telnet",
        spec="RFC 854, RFC 855",
        match=_telnet,
        last_resort=True,
        starts=(
            *(
                bytes([first])
                for first in (IAC, 0, 7, 8, 9, 10, 13, 27, *range(32, 127), *range(0x80, IAC))
                if first not in NO_PROMPT
            ),
            *BEGINNINGS,
        ),
        examples=(
            b"\x1b[24;1HUsername: \x1b[?25h\x1b[24;11H",
            b"\0\xff\xfb\1\xff\xfd\x18",
            b"\x07\xff\xfd\3\r\nlogin: ",
            b"This is the telnet server of example.com\r\n",
            b"\xff\xfb\x01\xff\xfb\x03\xff\xfd\x18\xff\xfd\x1f",
            b"\xff\xfd\x25",
            b"\xff\xfb\x01\xff\xfe\x01\r\nlocalhost login: ",
            b"\xff\xfa\x18\x01\xff\xf0\xff\xfb\x01",
            b"Alpine Linux 3.19\r\nKernel 6.6 on an x86_64 (/dev/pts/0)\r\n\r\nbox login: ",
            b"\r\n\r\nUser Access Verification\r\n\r\nPassword: ",
            b"Welcome\r\n\xff\xfb\x01Username:",
            b"Vty password is not set.\r\n",
            b"Welcome to SampleDome 800 192.0.2.1 from 192.0.2.9\r\n",
            b"\r\nHello, this is FRRouting (version 8.4.4).\r\nCopyright 1996-2005 Kunihiro Ishiguro\r\n",
            b"Print server 4\r\nType ? for help\r\nps4> ",
            b"\xff\xfb\1\x07\x08Welcome\0\r\n",
            b"\r\n\x07\0Welcome\x08\r\n\xff\xfb\1",
            b"System administrator is connecting from 192.0.2.9\r\nReject the connection request !!!\r\n",
            b"\xff\xfb\x01\xff\xf1\xff\xfb\x03",
            b"\nHP JetDirect\n\n",
            b'Sampler Print\r\nPlease type "?" for HELP, or "/" for current settings\r\n> ',
            b"+=====+\r\n| Sampler |\r\n+=====+\r\n\r\nEnter Password: ",
            b"[Sampler-AP-6]> Please enter password: ",
            b"% Username:  timeout expired!\r\n",
            b"Password? \r\n",
            b"\r\nBenutzername: ",
            b"Sampler 5\r\nMot de passe : ",
            "\r\nContraseña: ".encode("latin-1"),
            "\r\nПароль: ".encode("cp1251"),
            "\r\n\r\n用户名:".encode("gb18030"),
            b"\0\0\r\nlogin: ",
            b"\xa9 2009 Sampler\r\nUsername : ",
            "欢迎\r\nlogin: ".encode("gb18030"),
            "ログイン\r\nlogin: ".encode(),
            b"h\x07^@\r\nPassword: \r\n\r\n% Authentication failed.\r\n",  # what was sent is shown as well
            b"\xff\xfe\x22\xff\xfb\1\x1b<\x1b>\x1b[?25l\x1b[0m\x1b[2J\x1b(B\x1b)0\x0f\x1b[7m\x1b[fSampler",
            b"\x1b[2J\x1b[01;24HSAMPLER 12\x1b[02;19HCONSOLE\x1b[24;1H>>>",
            b"TELNET server version 4.2 ready at Sampler\r\npassword: \xff\xfc\1",
            b"\r\nWelcome to sampler 1.2.\r\n\r\n\0\xff\xfe\x22\xff\xfb\3\xff\xfb\1\r\nlogin: ",
            b"SX 12 DSL Modem Router\r\nAuthorization failed after trying 5 times!!!.\r\n",
        ),
        rejects=(
            b"\xff\xff\xff\xff\xff\xff",
            b"\xff\xfb",
            b"\xff\xfb\xb0",
            b"a\xfb\x01\x03",
            b"220 login: \r\n",
            b"<html>login:",
            b"Sampler 12 1.4\r\n\r\n>",
            b"ERR UNAVAILABLE\r\nbox OK>\r\n",
            b"the password: it is long gone and nobody has it\r\n",
            b"By what name do you wish to be known?\r\nWhat is your name? ",
            b"Please enter your name: ",
            b"What's the password?\n",
            b"Who goes there? Which user?",
            b"Sampler chat\nPlease enter your username (max 20 characters): ",
            b"\xa9 2009 Sampler\r\nName : ",
            b"\xa9 2009\x01\r\nlogin: ",
            b"\0\0\0\x04login",
            b"\x1b[1;31mcolours\x1b[0m and \x1b[32mmore\x1b[0m\r\n",
            b"\x1b[1;1Hone place\r\n",
            b"\x1b[?2004hsh-5.2$ ",
            b"hello \xff\xfc\1 and more\r\n",
            b"Authentication failed. % of users\r\n",
            b"Der Benutzername: er ist lange fort\r\n",
            b"Hinweis f\xc3\xbcr Superbenutzer: ",
            b"parolas: ",
            b"\xff\xfb\1\1\2\3\4",
            b"\xff\xfa\x18\1 and no end",
            b"\x1b[2J\x07\r\ntext\x00\xff\xfe\n{}\n\xc2\x9b31m",
        ),
        ports=(23, 2323, 107, 2601, 2605),
        zgrab="telnet",
    ),
)
