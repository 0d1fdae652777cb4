"""Converts values in a file of results into the columns of a batch: addresses, times, payloads."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from coordinator.analysis import arrowstream as arrow
from lzr.analysis.columns import COLUMNS, KEYS

READ = tuple(column for column in COLUMNS if column.name not in KEYS)
"""The columns that stand in a file, in order."""
NAMES = tuple(column.name for column in READ)
AT = {name: at for at, name in enumerate(NAMES)}
FALSE = frozenset(c.name for c in READ if c.field is not None and c.field.kind == "bool" and c.field.optional)
"""Truths that are left out of a JSON record where they are false."""
WRONG = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises for text that is no value."""
_MAPPED = bytes(10) + b"\xff\xff"
_TEXT = msgspec.json.Decoder(str)


def columns_of(values: list[tuple[Any, ...]], bad: dict[int, str], as_json: bool) -> list[arrow.Values]:
    """The columns of a batch as `COLUMNS` has them. bad: rows in which something cannot be, and what."""
    rows = len(values[0])
    keys: dict[str, list[bytes | None]] = {}
    for name in KEYS.values():
        values[AT[name]], keys[name] = _addresses(values[AT[name]], bad)
    made = []
    for column in COLUMNS:
        if column.name in KEYS:
            made.append(arrow.fixed(keys[KEYS[column.name]], 16))
            continue
        of = values[AT[column.name]]
        if column.name == "data":
            made.append(arrow.blobs(_payloads(of, bad) if as_json else of))
        elif column.name == "Timestamp":
            made.append(_times(of, bad))
        elif column.sql == "BOOLEAN":
            if as_json and column.name in FALSE:
                made.append(arrow.truths([bool(value) for value in of]))
            else:
                made.append(arrow.truths(of))
        elif column.high:
            made.append(arrow.numbers(of, _DTYPES[column.arrow]))
        elif not any(of):
            made.append(arrow.nothing(rows, column.arrow))
        else:
            made.append(
                arrow.texts([value or None for value in of])
            )  # we leave an empty text out, others not
    return made


_DTYPES = {"C": np.uint8, "S": np.uint16, "I": np.uint32}


def _bytes_of_json(raw: Any) -> bytes | None:
    """The payload in a JSON string of Latin-1. Raises ValueError and msgspec's errors."""
    text = bytes(raw)
    if not text or text == b"null":
        return None
    if text[:1] != b'"':
        raise ValueError("data is no text")
    if text.isascii() and b"\\/" not in text and b"\\ud" not in text and b"\\uD" not in text:
        found = codecs.unicode_escape_decode(text[1:-1])[0]
    else:
        found = _TEXT.decode(text)
    try:
        return found.encode("latin-1")
    except UnicodeEncodeError:  # the reference's, which holds the characters of UTF-8
        return found.encode("utf-8", "replace")


def _payloads(raws: Sequence[Any], bad: dict[int, str]) -> list[bytes | None]:
    found: list[bytes | None] = []
    for at, raw in enumerate(raws):
        try:
            found.append(_bytes_of_json(raw))
        except (ValueError, *WRONG):
            bad[at] = "data is no text"
            found.append(None)
    return found


def _addresses(texts: Sequence[str | None], bad: dict[int, str]) -> tuple[Any, list[bytes | None]]:
    """Addresses in their usual text, and sortable."""
    try:
        return texts, [_MAPPED + inet_pton(AF_INET, text) for text in texts]  # type: ignore[arg-type]
    except (OSError, TypeError, ValueError):
        pass
    said: list[str | None] = []
    keys: list[bytes | None] = []
    for at, text in enumerate(texts):
        usual, key = None, None
        if text is not None:
            try:
                usual, key = address(text)
            except (OSError, ValueError):
                bad[at] = "no address"
        said.append(usual)
        keys.append(key)
    return said, keys


def address(text: str) -> tuple[str, bytes]:
    """An address in its usual text (RFC 5952), and sortable. Raises OSError, ValueError."""
    if ":" not in text:
        return text, _MAPPED + inet_pton(AF_INET, text)
    key = inet_pton(AF_INET6, text)
    if key[:12] == _MAPPED:
        return inet_ntop(AF_INET, key[12:]), key
    return inet_ntop(AF_INET6, key), key


_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?(?:[Zz]|([+-]\d\d):?(\d\d))?", re.A
)
_LAYOUT = np.frombuffer(b"0000-00-00T00:00:00.000000000Z", np.uint8)
_DIGITS = np.flatnonzero(_LAYOUT == 48)
_MARKS = np.flatnonzero(_LAYOUT != 48)


def _times(texts: Sequence[str | None], bad: dict[int, str]) -> arrow.Values:
    """RFC 3339 into nanoseconds since the epoch, UTC."""
    try:
        whole = "".join(texts).encode("ascii")  # type: ignore[arg-type]
        if len(whole) == 30 * len(texts) and (found := _ours(whole)) is not None:
            return arrow.Values((None, found), 0)
    except (TypeError, UnicodeEncodeError):
        pass
    times: list[int | None] = []
    for at, text in enumerate(texts):
        moment = None
        if text:
            try:
                moment = nanoseconds(text)
            except ValueError:
                bad[at] = "Timestamp is no time"
        times.append(moment)
    return arrow.numbers(times, np.int64)


def _ours(whole: bytes) -> NDArray[np.int64] | None:
    """Times as we write them, 30 characters each end to end; None where they are not."""
    cells = np.frombuffer(whole, np.uint8).reshape(-1, 30)
    if not (cells[:, _MARKS] == _LAYOUT[_MARKS]).all():
        return None
    digits = cells[:, _DIGITS] - np.uint8(48)
    if (digits > 9).any():
        return None
    digits = digits.astype(np.int64)

    def number(start: int, stop: int) -> NDArray[np.int64]:
        powers = 10 ** np.arange(stop - start - 1, -1, -1, dtype=np.int64)
        found: NDArray[np.int64] = digits[:, start:stop] @ powers
        return found

    year, month, day = number(0, 4), number(4, 6), number(6, 8)
    hour, minute, second = number(8, 10), number(10, 12), number(12, 14)
    for value, low, high in (
        (year, 1970, 2261),
        (month, 1, 12),
        (day, 1, 31),
        (hour, 0, 23),
        (minute, 0, 59),
        (second, 0, 59),
    ):
        if value.min() < low or value.max() > high:
            return None
    first = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    start = first.astype("M8[D]").astype(np.int64)
    if (start + day > (first + 1).astype("M8[D]").astype(np.int64)).any():  # the month has no such day
        return None
    seconds = ((start + day - 1) * 24 + hour) * 3600 + minute * 60 + second
    return seconds * 1_000_000_000 + number(14, 23)


def nanoseconds(text: str) -> int:
    """RFC 3339, with any fraction and zone, as nanoseconds since the epoch. Raises ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("no time")
    moment = datetime.fromisoformat(f"{match[1]}T{match[2]}").replace(tzinfo=UTC)
    seconds = int(moment.timestamp())
    if match[4]:
        sign = -1 if match[4][0] == "-" else 1
        seconds -= sign * (int(match[4][1:]) * 3600 + int(match[5]) * 60)
    found = seconds * 1_000_000_000 + int((match[3] or "0").ljust(9, "0"))
    if abs(found) >= 1 << 63:
        raise ValueError("out of range")
    return found
