"""How a process of the run proves that a message is its own.

To the coordinator a child shows a token that only the two know. To a collector it shows a keyed hash of its
own name and number, which the coordinator has given it. Collectors have the key and can check the hash; a
flow worker does not have the key, so it cannot pose as another. Names and numbers are used once in a run.

A child reads both from a pipe of its own: what the fork server has in memory, all later children inherit.
"""

from __future__ import annotations

import hmac
import re
from hashlib import blake2b
from typing import NamedTuple

SIZE = 16  # bytes of a token and of a key
_SENDER = re.compile(r"((?:flow|collect)-[0-9]{1,9}\.[0-9]{1,9})#([0-9]{1,19})", re.ASCII)


class Credentials(NamedTuple):
    """token: shown to the coordinator. results: what a flow worker shows to collectors; for a collector, the
    key.
    """

    token: bytes
    results: bytes

    def pack(self) -> bytes:
        """As bytes, for the pipe of a new child."""
        return self.token + self.results

    @staticmethod
    def unpack(data: bytes) -> Credentials:
        """From those bytes."""
        return Credentials(data[:SIZE], data[SIZE:])


class Sender(NamedTuple):
    """Who sends results. number: a flow worker's is the incarnation of its outcomes."""

    name: str
    number: int

    @property
    def text(self) -> str:
        """As text, the form that stands in messages."""
        return f"{self.name}#{self.number}"

    @property
    def role(self) -> str:
        """flow or collect."""
        return self.name.partition("-")[0]


def mark(key: bytes, sender: Sender) -> bytes:
    """The bytes by which a sender proves that its results are its own: a keyed hash of its name."""
    return blake2b(sender.text.encode(), key=key, digest_size=SIZE).digest()


def verified(key: bytes, text: str, shown: bytes) -> Sender | None:
    """The sender named by `text`, if `shown` is its mark under `key`; None otherwise."""
    found = _SENDER.fullmatch(text)
    if found is None:
        return None
    sender = Sender(found[1], int(found[2]))
    return sender if hmac.compare_digest(mark(key, sender), shown) else None
