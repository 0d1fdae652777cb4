"""TLS and SSL."""

from __future__ import annotations

from lzr.protocols.base import Protocol

PROTOCOLS: tuple[Protocol, ...] = ()
