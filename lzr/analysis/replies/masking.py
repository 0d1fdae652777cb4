"""Whether two replies of a service say the same, apart from what differs each time it is asked.

Clocks, cookies, nonces and request counters change between any two scans, and none of them is a change of the
service. `mask` removes them, by the structure of the protocol that the reply was identified as; what remains
is compared as it is. Of a reply without a known structure only its text is compared.

Two replies that differ here need not come from different services: a page that shows the weather differs too.
The other kinds of change (protocol, product, version, certificate) are facts; this one is the weakest.
"""

from __future__ import annotations

from collections.abc import Callable

from lzr.analysis.replies import binary, pairs, text, tls
from lzr.analysis.replies.text import MARK
from lzr.protocols._framing import FULL_SEGMENT

Mask = Callable[[bytes], bytes]

BY_LABEL: dict[str, Mask] = {
    **dict.fromkeys(("memcached_ascii", "zookeeper", "redis", "apcupsd", "aerospike"), text.statistics),
    **dict.fromkeys(("daytime", "qotd", "ganglia", "hddtemp", "check-mk", "finger", "atg"), binary.first(0)),
    **dict.fromkeys(("msdtc", "munin", "tor-control", "clamd"), text.numbers),
    "adb": binary.adb,
    "bitcoin": binary.bitcoin,
    "bittorrent": binary.bittorrent,
    "chargen": binary.first(0),
    "couchbase": binary.without((12, 16)),
    "dcerpc": binary.dcerpc,
    "diameter": binary.without((12, 20)),
    "directconnect": binary.directconnect,
    "dns": binary.dns,
    "echo": binary.first(4),
    "fins": binary.first(8),
    "fluentd": binary.fluentd,
    "iscsi": binary.iscsi,
    "kerberos": binary.kerberos,
    "landesk": binary.first(4),
    "ldap": binary.ldap,
    "levin": binary.first(8),
    "minecraft": binary.minecraft,
    "monetdb": binary.monetdb,
    "modbus": binary.without((0, 2)),
    "mongodb": binary.mongodb,
    "mysql": binary.mysql,
    "netbios-ssn": binary.netbios,
    "nrpe": binary.printed,
    "openvpn": lambda data: data[2:3],
    "postgres": binary.postgres,
    "radmin": binary.first(10),
    "rdp": binary.rdp,
    "rmi": binary.rmi,
    "rtmp": binary.first(1),
    "smb": binary.netbios,
    "spice": binary.first(16),
    "ssl": binary.first(7),
    "stun": binary.first(2),
    "synphasor": binary.first(2),
    "tarantool": lambda data: data[:64].rstrip(),
    "teamviewer": binary.first(4),
    "tplink-smarthome": binary.first(5),
    "tuya": binary.first(16),
    "varnish-cli": binary.varnish,
    "winbox": binary.first(2),
}
"""The mask for each label. Replies with other labels are masked as lines if they are text, else not at
all."""

_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\x1b\f\b")
_KNOWN_BINARY = 64
"""Of a binary reply whose protocol has no row above, only so many bytes are compared: session numbers follow
them."""


def mask(data: bytes, label: str = "", own: bytes = b"") -> bytes:
    """The reply without what varies. label: its fingerprint. own: our address, which some servers quote."""
    if own and own in data:
        data = data.replace(own, MARK)
    if data.startswith(text.WEB):
        return text.web(data)
    if tls.is_tls(data):
        return tls.masked(data)
    if data.startswith(b"SSH-"):
        return binary.ssh(data)
    if data.startswith(b"RFB "):
        return binary.vnc(data)
    special = BY_LABEL.get(label)
    if special is not None:
        return special(data)
    if not _CONTROLS.isdisjoint(data[:_KNOWN_BINARY]):
        return binary.printed(data) if label in ("", "unknown") else data[:_KNOWN_BINARY]
    return text.greeting(data)


def _seen_alike(old: bytes, new: bytes, label: str) -> bool:
    """Whether they can be seen to be without masking all of them. The cases are those of `mask`."""
    if old.startswith(text.WEB):
        return new.startswith(text.WEB) and pairs.web(old, new)
    if tls.is_tls(old):
        return pairs.handshake(old, new)
    if label in BY_LABEL or any(
        data.startswith(_STRUCTURED) or tls.is_tls(data) or not _CONTROLS.isdisjoint(data[:_KNOWN_BINARY])
        for data in (old, new)
    ):
        return False
    return pairs.greeting(old, new)


_STRUCTURED = (b"SSH-", b"RFB ", *text.WEB)
_DATE = b"\r\nDate: "
_DATE_SIZE = len("Sun, 06 Nov 1994 08:49:37 GMT")


def alike(old: bytes, new: bytes, label: str = "", olds_own: bytes = b"", news_own: bytes = b"") -> bool:
    """Whether two replies of the same service are the same after masking.

    A reply that fills a segment and ends where the other goes on is the same as far as both go: what a first
    segment holds depends on the way it came.
    """
    if old == new:
        return True
    at = old.find(_DATE, 0, 2048)
    if at > 0 and new.startswith(_DATE, at) and old[:at] == new[:at]:
        end = at + len(_DATE) + _DATE_SIZE
        if old[end:] == new[end:]:
            return True
    if _seen_alike(old, new, label):
        return True
    left, right = mask(old, label, olds_own), mask(new, label, news_own)
    if left == right:
        return True
    if len(old) == len(new) or min(len(old), len(new)) < FULL_SEGMENT:
        return False
    if len(old) > len(new):
        left, right = right, left
    return len(right) > len(left) > _TAIL and right.startswith(left[:-_TAIL])


_TAIL = 32
"""Bytes at the end of a cut reply that may be the beginning of something that is masked where it is whole."""
