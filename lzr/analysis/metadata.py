"""Metadata of a scan (--metadata-file), which another may have written: what can be read of them at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class NoMetadata(ValueError):
    """The JSON object is no metadata of a scan; the text completes "FILE …"."""


def section(metadata: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object in the metadata; an empty one where there is none of this name."""
    found = metadata.get(name)
    return found if isinstance(found, Mapping) else {}


def check(metadata: Any) -> Mapping[str, Any]:
    """Raises NoMetadata."""
    if not isinstance(metadata, Mapping) or metadata.get("program") != "lzr":
        raise NoMetadata("is no metadata of lzr (--metadata-file)")
    if type(metadata.get("format")) is not int or metadata["format"] != 1:
        raise NoMetadata("is metadata in a format that this version does not know")
    return metadata


def ran_to_its_end(metadata: Mapping[str, Any]) -> bool:
    """Whether a scan did, and lost no results; a log or a trace of it may be missing some, which makes 3."""
    status = section(metadata, "ending").get("status")
    return status == 0 or (status == 3 and metadata.get("results_lost") is False)
