"""The product and version a banner states plainly."""

from __future__ import annotations


def of(label: str, data: bytes) -> tuple[str, str]:
    """(product, version) as the reply names them, "" where it doesn't."""
    return "", ""
