"""Whether two replies of a service say the same, apart from what differs each time it is asked.

Clocks, cookies, nonces and request counters change between any two scans, and none of them is a change of the
service. `mask` removes them, by the structure of the protocol that the reply was identified as; what remains
is compared as it is. Of a reply without a known structure only its text is compared.

Two replies that differ here need not come from different services: a page that shows the weather differs too.
The other kinds of change (protocol, product, version, certificate) are facts; this one is the weakest.
"""

from __future__ import annotations

from collections.abc import Callable

from lzr.analysis.replies import maskbinary, masktext, pairs, tls
from lzr.analysis.replies.masktext import MARK
from lzr.protocols._framing import FULL_SEGMENT

Mask = Callable[[bytes], bytes]

BY_LABEL: dict[str, Mask] = {
    **dict.fromkeys(("memcached_ascii", "zookeeper", "redis", "apcupsd", "aerospike"), masktext.statistics),
    **dict.fromkeys(
        ("daytime", "qotd", "ganglia", "hddtemp", "check-mk", "finger", "atg"), maskbinary.first(0)
    ),
    **dict.fromkeys(("msdtc", "munin", "tor-control", "clamd"), masktext.numbers),
    "adb": maskbinary.adb,
    "bitcoin": maskbinary.bitcoin,
    "bittorrent": maskbinary.bittorrent,
    "chargen": maskbinary.first(0),
    "couchbase": maskbinary.without((12, 16)),
    "dcerpc": maskbinary.dcerpc,
    "diameter": maskbinary.without((12, 20)),
    "directconnect": maskbinary.directconnect,
    "dns": maskbinary.dns,
    "echo": maskbinary.first(4),
    "fins": maskbinary.first(8),
    "fluentd": maskbinary.fluentd,
    "iscsi": maskbinary.iscsi,
    "kerberos": maskbinary.kerberos,
    "landesk": maskbinary.first(4),
    "ldap": maskbinary.ldap,
    "levin": maskbinary.first(8),
    "minecraft": maskbinary.minecraft,
    "monetdb": maskbinary.monetdb,
    "modbus": maskbinary.without((0, 2)),
    "mongodb": maskbinary.mongodb,
    "mysql": maskbinary.mysql,
    "netbios-ssn": maskbinary.netbios,
    "nrpe": maskbinary.printed,
    "openvpn": lambda data: data[2:3],
    "postgres": maskbinary.postgres,
    "radmin": maskbinary.first(10),
    "rdp": maskbinary.rdp,
    "rmi": maskbinary.rmi,
    "rtmp": maskbinary.first(1),
    "smb": maskbinary.netbios,
    "spice": maskbinary.first(16),
    "ssl": maskbinary.first(7),
    "stun": maskbinary.first(2),
    "synphasor": maskbinary.first(2),
    "tarantool": lambda data: data[:64].rstrip(),
    "teamviewer": maskbinary.first(4),
    "tplink-smarthome": maskbinary.first(5),
    "tuya": maskbinary.first(16),
    "varnish-cli": maskbinary.varnish,
    "winbox": maskbinary.first(2),
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
    if data.startswith(masktext.WEB):
        return masktext.web(data)
    if tls.is_tls(data):
        return tls.masked(data)
    if data.startswith(b"SSH-"):
        return maskbinary.ssh(data)
    if data.startswith(b"RFB "):
        return maskbinary.vnc(data)
    special = BY_LABEL.get(label)
    if special is not None:
        return special(data)
    if not _CONTROLS.isdisjoint(data[:_KNOWN_BINARY]):
        return maskbinary.printed(data) if label in ("", "unknown") else data[:_KNOWN_BINARY]
    return masktext.greeting(data)


def _seen_alike(old: bytes, new: bytes, label: str) -> bool:
    """Whether they can be seen to be without masking all of them. The cases are those of `mask`."""
    if old.startswith(masktext.WEB):
        return new.startswith(masktext.WEB) and pairs.web(old, new)
    if tls.is_tls(old):
        return pairs.handshake(old, new)
    if label in BY_LABEL or any(
        data.startswith(_STRUCTURED) or tls.is_tls(data) or not _CONTROLS.isdisjoint(data[:_KNOWN_BINARY])
        for data in (old, new)
    ):
        return False
    return pairs.greeting(old, new)


_STRUCTURED = (b"SSH-", b"RFB ", *masktext.WEB)
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
