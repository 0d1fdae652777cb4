"""What runs on top of HTTP."""

from __future__ import annotations


def of(label: str, data: bytes) -> str:
    """The application a reply gives away, or ""."""
    return ""
