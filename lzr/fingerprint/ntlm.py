"""The version of Windows in a challenge of NTLM (MS-NLMP §2.2.1.2), which several protocols carry."""

from __future__ import annotations

from lzr.protocols._bytes import le16, le32

CARRIERS = frozenset(("smb", "dcerpc", "ldap", "rdp", "mssql"))
"""Labels of protocols whose replies may hold a challenge."""

_CHALLENGE = b"NTLMSSP\0\2\0\0\0"
_HAS_VERSION = 0x02000000
_REACH = 2048


def system(data: bytes) -> str:
    """ "Windows" and its version in figures; "" where there is none. Samba says 6.1 and no build."""
    at = data.find(_CHALLENGE, 0, _REACH)
    if at < 0 or len(data) < at + 56 or data[at + 55] != 15 or not le32(data, at + 20) & _HAS_VERSION:
        return ""
    build = le16(data, at + 50)
    return f"Windows {data[at + 48]}.{data[at + 49]}.{build}" if build else ""
