"""Source code and computing: version control, file synchronisation, compilers, debuggers, statistics."""

from __future__ import annotations

from lzr.protocols._framing import first_line, leads
from lzr.protocols._protocol import Protocol

_HEX = b"0123456789abcdefABCDEF"


def _hex(text: bytes) -> int:
    """The value of hexadecimal digits alone; -1 if anything else is among them."""
    return int(text, 16) if text and all(digit in _HEX for digit in text) else -1


def _rsync(data: bytes) -> bool:
    line = first_line(data)
    if not line.startswith(b"@RSYNCD: "):
        return line.startswith(b"@ERROR: ")
    major, _, minor = line[9:].split(b" ", 1)[0].partition(b".")
    return major.isdigit() and (minor.isdigit() or not minor)


def _svn(data: bytes) -> bool:
    """A command response that holds a list: versions and capabilities, or errors."""
    items = data[12:200].split()
    if data.startswith(b"( failure ( ( "):
        return items[2:3] != [] and data[14:20].isdigit()
    return len(items) > 3 and items[0].isdigit() and items[1].isdigit() and items[2] == b"("


def _git(data: bytes) -> bool:
    """A first pkt-line: four hexadecimal digits of length, then a ref, a version or an error."""
    size = _hex(data[:4])
    if size < 9 or not leads(data, size):
        return False
    if data.startswith((b"ERR ", b"version 1\n", b"version 2\n"), 4):
        return True
    return data[44:45] == b" " and _hex(data[4:44]) >= 0


def _cvs(data: bytes) -> bool:
    if data.startswith(b"cvs") and b" [server aborted]: " in data[:30]:
        return b"aborted]: bad auth protocol start: " in data[:80]
    return b"]: " in data[:40] or data.startswith((b"cvs pserver: ", b"I LOVE YOU\n"))


def _distcc(data: bytes) -> bool:
    return 1 <= _hex(data[4:12]) <= 3 and (len(data) == 12 or data[12:16] == b"STAT")


def _gdbserver(data: bytes) -> bool:
    """An acknowledgement and a packet whose checksum is right; not our own question."""
    packet, mark, rest = data[2:].partition(b"#")
    if not mark or packet.startswith(b"q") or len(packet) > 4000:
        return False
    return len(rest) >= 2 and _hex(rest[:2]) == sum(packet) & 0xFF


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="rsync",
        spec="rsync(5) and rsync's clientserver.c: @RSYNCD greeting",
        match=_rsync,
        starts=(b"@RSYNCD: ", b"@ERROR: "),
        examples=(b"@RSYNCD: 31.0\n", b"@RSYNCD: 32.0 sha512 sha256 md5\n", b"@ERROR: access denied\n"),
        rejects=(b"@RSYNCD: hello\n", b"@RSYNCD: "),
        ports=(873,),
    ),
    Protocol(
        name="svn",
        spec="Subversion, libsvn_ra_svn/protocol §3.1",
        match=_svn,
        starts=(b"( success ( ", b"( failure ( ( "),
        examples=(b"( success ( 2 2 ( ) ( edit-pipeline svndiff1 accepts-svndiff2 absent-entries ) ) ) ",),
        rejects=(b"( success ( yes it was ) )", b"( failure ( ( here ) ) )"),
        ports=(3690,),
    ),
    Protocol(
        name="git",
        spec="gitprotocol-pack(5), Git Transport; gitprotocol-common(5), pkt-line",
        match=_git,
        probe=b"0028git-upload-pack /lzr\0host=localhost\0",
        starts=(b"00", b"01", b"02", b"03"),
        examples=(
            b"0036ERR access denied or repository not exported: /lzr",
            b"003c" + b"7217a7c7e582c46cec22a130adf4b9d7d950fba0" + b" HEAD\0multi_ack\n",
        ),
        rejects=(b"0042ERR too long for what is here", b"0012 hello hello!!", b"200 OK hello\r\n"),
        ports=(9418,),
    ),
    Protocol(
        name="cvs",
        spec="CVS client/server protocol, Connection and Authentication",
        match=_cvs,
        probe=b"valid-requests\n",
        starts=(
            b"cvs [pserver",
            b"cvs-pserver [pserver",
            b"I LOVE YOU\n",
            b"cvs pserver: ",
            b"E cvs [pserver",
            *(b"cvs [server aborted]: ", b"cvsnt [server aborted]: ", b"cvsntsrv [server aborted]: "),
        ),
        examples=(
            b"cvs [pserver aborted]: bad auth protocol start: GET / HTTP/1.1\r\n\n",
            b"cvs-pserver [pserver aborted]: bad auth protocol start: \r\n",
            b"cvsnt [server aborted]: bad auth protocol start: HELP\r\nerror  \n",
        ),
        rejects=(b"cvs [pserver", b"cvs [server aborted]: no such host\n"),
        ports=(2401,),
    ),
    Protocol(
        name="distcc",
        spec="distcc, doc/protocol-1.txt",
        match=_distcc,
        # Nothing draws an answer but a compilation, and that is not ours to ask for.
        starts=(b"DONE",),
        examples=(b"DONE00000001STAT00006400SERR00000000SOUT00000000DOTO00000000", b"DONE00000001"),
        rejects=(b"DONE.\r\n", b"DONE0000000xSTAT00006400"),
        ports=(3632,),
    ),
    Protocol(
        name="gdbserver",
        spec="Debugging with GDB, Appendix E: Remote Serial Protocol",
        match=_gdbserver,
        probe=b"+$qSupported#37",
        starts=(b"+$",),
        examples=(b"+$PacketSize=3fff;QPassSignals+#b4", b"+$#00"),
        rejects=(b"+$PacketSize=3fff#00", b"+$100 off!\r\n"),
    ),
    Protocol(
        name="rserve",
        spec="Rserve documentation, QAP1 protocol: identification string",
        match=lambda data: (
            len(data) >= 32 and data[5:8].isdigit() and data[12:16] == b"\r\n\r\n" and data[30:32] == b"\r\n"
        ),
        starts=(b"Rsrv0",),
        examples=(b"Rsrv0103QAP1\r\n\r\n--------------\r\n",),
        rejects=(b"Rsrv0103QAP1\r\n",),
        ports=(6311,),
    ),
)
