"""FTP."""

from __future__ import annotations

from lzr.protocols import _greetings as greetings
from lzr.protocols._protocol import Protocol

PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="ftp",
        spec="RFC 959 §4.2",
        match=greetings.is_files,
        starts=greetings.CODES,
        examples=(
            b"230 User logged in.\r\n",
            b"421 There are too many connections from your internet address.\r\n",
            b"421 Service not available, closing control connection.\r\n",
            b"421 Too many connections from this address\r\n",
            b"421-Not currently accepting logins at this address. Try back \r\n421 later.\r\n",
            b"220 ftp.example.com ready\r\n",
            b"220 host FTP server (SMTP notify) ready\r\n",
            b"220 (vsFTPd 3.0.5)\r\n",
            b"220 ProFTPD Server (Debian) [::ffff:192.0.2.1]\r\n",
            b"220 mail.example.com FTP server (Version 6.00LS) ready.\r\n",
            b"220-FileZilla Server 1.8.0\r\n220 Please visit https://filezilla-project.org/\r\n",
            b"220 Service ready for new user.\r\n",
            b"220 AXIS Q6000 Network Camera 6.50 ready.\r\n",
            b"421 Too many users logged in, try later\r\n",
            b"530 Please login with USER and PASS.\r\n",
            b"220 ready\r\n530 Please login with USER and PASS.\r\n",
            b"220 ftp.example.com ready\r\n500 Syntax error, command unrecognized\r\n",
            b"220 ready\r\n500 'GET /': command not understood.\r\n",
            b"500 OOPS: could not bind listening IPv4 socket\r\n",
            b"500 Sorry, no server available to handle request on 192.0.2.1\r\n",
            b"550 No connections allowed from your IP\r\n",
            b"220 Bienvenue sur le serveur des caf\xc3\xa9s de la r\xc3\xa9gion\r\n",
        ),
        rejects=(
            b"220 \0\1\2\r\n",
            b"220 mx.example.com ESMTP Postfix\r\n",
            b"FTP server ready",
            b"220x ftp\r\n",
            b"220 SLNP library@version: 4.1@pid:17@files\r\n",
            b"220 host AMANDA index server (3.5.1) ready.\r\n",
        ),
        ports=(21, 990, 2121),
        zgrab="ftp",
    ),
)
