"""Reads what says which hosts a scan asked, besides its results: its metadata (--metadata-file), or a list
(--asked).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from coordinator.analysis.source import Source
from coordinator.commandline.progressbar import Bar
from lzr.analysis.asked import Part
from lzr.analysis.asked import listed as parts_of
from lzr.analysis.metadata import NoMetadata, check
from lzr.errors import UsageError, printable

_MOST = 64 << 20
"""Bytes of a metadata file; a real one has some 20 KB."""

_ENDINGS = (".gz", ".zst", ".bz2", ".xz", ".parquet", ".json", ".jsonl", ".ndjson", ".csv")


def candidates(path: str) -> list[str]:
    """File names under which the metadata of a file of results may lie: for scan.json.gz also
    scan.metadata.json.
    """
    found = [f"{path}.metadata.json", f"{path}.metadata"]
    stem = path
    while stem.endswith(_ENDINGS):
        stem = stem.rpartition(".")[0]
        found += [f"{stem}.metadata.json", f"{stem}.metadata", f"{stem}-metadata.json", f"{stem}.meta.json"]
    return found


def read(path: str) -> Mapping[str, Any]:
    """A metadata file that somebody has named. Raises UsageError."""
    try:
        with open(path, "rb") as file:
            text = file.read(_MOST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", "") or error
        raise UsageError(f"cannot read {printable(path)}: {reason}") from error
    if len(text) > _MOST:
        raise UsageError(f"{printable(path)} is no metadata of lzr: it is larger than {_MOST >> 20} MiB")
    try:
        return check(json.loads(text))
    except NoMetadata as error:
        raise UsageError(f"{printable(path)} {error}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{printable(path)} is no metadata of lzr: it is not JSON") from None


def find(path: str) -> tuple[Mapping[str, Any] | None, str]:
    """The metadata beside a file of results, and the name of its file; (None, "") where there are none."""
    if path == "-":
        return None, ""
    for name in candidates(path):
        if os.path.isfile(name):
            try:
                return read(name), name
            except UsageError:
                continue
    return None, ""


def given(path: str | None, results: str) -> tuple[Mapping[str, Any] | None, str]:
    """The metadata that the user named, else those beside the results. Raises UsageError if what was named is
    not metadata.
    """
    return (read(path), path) if path is not None else find(results)


def listed(path: str) -> tuple[Part, ...]:
    """What a file of --asked names (``-``: standard input), compressed or not. Raises UsageError."""
    found: tuple[Part, ...] = ()
    wrong = ""
    with Bar("reading who was asked") as bar:
        source = Source(path, bar)
        try:
            bar.total = source.size
            found = parts_of(chunk.decode("utf-8", "replace") for chunk in source.chunks(each=True))
        except ValueError as error:
            wrong = f"{source.name}, {error}"
        finally:
            source.close()
    # What is missing would count as not asked, and what has been asked would be asked again.
    if source.damage:
        raise UsageError(f"{source.name} names who was asked only up to where {source.damage}")
    if wrong:
        raise UsageError(wrong)
    return found
