"""A reply in, a label out: echo, then every matcher that can apply, then precedence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from lzr.fingerprint import applications, greetline, honeypot, products, sshline, webreply
from lzr.fingerprint.dispatch import Dispatcher
from lzr.fingerprint.echo import FEW, Echo
from lzr.fingerprint.greetings.lookup import NOTHING
from lzr.fingerprint.precedence import UNKNOWN, resolve
from lzr.protocols._bytes import MARK
from lzr.protocols._catalogue import PROTOCOLS
from lzr.protocols._protocol import Identity, Protocol

ECHO = "echo"


class Classifier:
    """Labels replies; `preferred` names (the user's choice, in order) win where several protocols match."""

    def __init__(self, preferred: Sequence[str] = ()) -> None:
        self.preferred = tuple(preferred)
        self._echoes: dict[str, Echo] = {}
        self._matching = _DISPATCHER.matching

    def classify(self, data: bytes, sent: Protocol | None = None) -> str:
        """The label of a reply, `unknown` if none fits; given the handshake it answers, echoes show too."""
        if sent is not None:
            label = self._by_probe(data, sent)
            if label:
                return label
        if data[:3] == MARK:
            data = data[3:]
        return self._by_matchers(data if len(data) <= REACH else data[:REACH])

    def identify(self, data: bytes, sent: Protocol | None = None) -> Identity:
        """The label, and what the reply plainly says about the program behind it."""
        label = self._by_probe(data, sent) if sent is not None else ""
        if not label:
            whole = _WHOLE.get(data[:4])
            found = whole(data) if whole is not None else None
            if found is not None:
                return found
            if data[:3] == MARK:
                data = data[3:]
            if len(data) > REACH:
                data = data[:REACH]
            label = self._by_matchers(data)
        application = ""
        if label == UNKNOWN:
            product, version = NOTHING
            if honeypot.like(data):
                application = honeypot.NAME
        elif label in applications.HTTP:
            application, server = applications.read(data)
            if not server and data[:1] not in _BEGINNINGS:
                server = products.server_field(data)
            product, version = products.server(server)
        else:
            reader = products.READERS.get(label)
            product, version = reader(data) if reader is not None else NOTHING
        if application or product:
            return Identity(label, application, product, version)
        plain = _PLAIN.get(label)
        if plain is None:
            plain = _PLAIN[label] = Identity(label)
        return plain

    def identify_plain(
        self, rows: NDArray[Any], blob: bytes, sent: Sequence[Protocol], identities: list[Identity]
    ) -> tuple[webreply.Left, webreply.Counts]:
        """Identify at once what is plain HTTP, TLS, or greets in a line among the replies of OUTCOME rows:
        their identities go into `identities`. `sent`: the handshakes, by number. Returns what is left for
        `identify`, and by handshake and label how many were identified."""
        heads = tuple((echo.at, echo.head) for echo in map(self._echo, sent))
        least = max(FEW, _SHORT + 1)
        left, web = webreply.batch(rows, blob, heads, least, identities)
        left, counts = greetline.lines(rows, blob, left, heads, least, identities)
        return left, counts | web

    def _echo(self, sent: Protocol) -> Echo:
        echo = self._echoes.get(sent.name)
        if echo is None or echo.sent is not sent:
            echo = self._echoes[sent.name] = Echo(sent)
        return echo

    def _by_probe(self, data: bytes, sent: Protocol) -> str:
        """The label of a reply that is settled by what was sent: an echo, or too few bytes; else ""."""
        echo = self._echoes.get(sent.name)
        if echo is None or echo.sent is not sent:
            echo = self._echoes[sent.name] = Echo(sent)
        if data.startswith(echo.head, echo.at) and echo.returned(data):
            return ECHO
        size = len(data)
        if size < FEW and echo.is_first_bytes(data):
            return UNKNOWN
        if size <= _SHORT and data in _SOLICITED:
            return sent.name if sent.name in _SOLICITED[data] else UNKNOWN
        return ""

    def _by_matchers(self, data: bytes) -> str:
        """The label that the matchers give."""
        found = self._matching(data)
        label = found[0] if len(found) == 1 else resolve(found, self.preferred)
        if label in honeypot.GREETINGS and data.find(b"\n", 3, -1) > 0 and honeypot.like(data):
            return UNKNOWN
        return label


_BEGINNINGS = b"Hh<\x15\x16"
"""How HTTP and TLS begin: `applications.read` has read these. Some servers have no status line but fields."""

_WHOLE = {
    b"HTTP": webreply.identity,
    b"SSH-": sshline.identity,
    **dict.fromkeys(greetline.BEGINNINGS, greetline.of_line),
}
"""By its first four bytes, what identifies a reply at once, or leaves it to matchers and readers."""

REACH = 65536
"""Bytes of a reply that matchers and readers are given: a judgement, more than any first reply needs; without
a bound a stranger's megabyte would take milliseconds."""

_SOLICITED = {
    reply: tuple(p.name for p in PROTOCOLS if reply in p.solicited)
    for protocol in PROTOCOLS
    for reply in protocol.solicited
}
_SHORT = max(map(len, _SOLICITED), default=0)
_DISPATCHER = Dispatcher(PROTOCOLS)
_PLAIN: dict[str, Identity] = {}
"""By label, the identity of replies that say no more than their label: made once for each."""
_DEFAULT = Classifier()


def identify(data: bytes) -> Identity:
    """Identify a reply without knowing what was asked."""
    return _DEFAULT.identify(data)
