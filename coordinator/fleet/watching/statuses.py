"""Reads what a box reports of itself and its scan (`coordinator.monitor.status.as_json`), and checks it.

It comes over the network, so types and sizes are checked, and texts are shown only through `lzr.safetext`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from coordinator.monitor.snapshot import LATEST, Identified, Snapshot
from lzr.fleet.view import ENDED, LOST, BoxState, LastReport

MOST = 4 << 20
"""Bytes of a status that is looked at; that of a scan with 1,024 workers has less than one million."""
_MOST_TEXT = 2000
_LARGEST = 1 << 62
"""Of a number: sums and shares of larger ones are none that a computer has."""
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Latest(msgspec.Struct):
    address: str
    port: int
    fingerprint: str
    handshake: str = ""
    banner: str = ""


_LATEST = msgspec.json.Decoder(list[_Latest])


def snapshot(text: str | bytes) -> Snapshot:
    """The snapshot that such a text says. Raises ValueError where it is none."""
    if len(text) > MOST:
        raise ValueError(f"it is longer than {MOST} bytes")
    try:
        fields: dict[str, Any] = _DECODER.decode(text)
        latest = _LATEST.decode(fields.pop("latest", msgspec.Raw(b"[]")))
        found = msgspec.json.decode(msgspec.json.encode(fields), type=Snapshot)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ValueError(f"it is no status of a scan ({str(error)[:200]})") from None
    if found.now < found.started or max(map(len, found.warnings), default=0) > _MOST_TEXT:
        raise ValueError("it is no status of a scan")
    if not _is_moderate(msgspec.to_builtins(found)):
        raise ValueError("it is no status of a scan")
    found.latest = tuple(
        Identified(
            one.address[:64],
            one.port,
            one.fingerprint[:64],
            one.handshake[:64],
            one.banner[:_MOST_TEXT].encode("latin-1", "replace"),
        )
        for one in latest[:LATEST]
    )
    return found


def _is_moderate(value: Any) -> bool:
    """Whether no number in this is too large."""
    if isinstance(value, int | float):
        return -_LARGEST <= value <= _LARGEST
    if isinstance(value, dict):
        return all(map(_is_moderate, value.values()))
    return not isinstance(value, list | tuple) or all(map(_is_moderate, value))


def heard(at: float, report: Mapping[str, Any]) -> LastReport:
    """What a box has told of itself: ``state`` and ``sentence`` of its run, ``status`` of its scan (as JSON).

    at: when it was heard, on our clock. What it tells that cannot be is said in its place.
    """
    state, sentence, text = (report.get(name) for name in ("state", "sentence", "status"))
    sentence = sentence[:_MOST_TEXT] if isinstance(sentence, str) else ""
    figures = None
    if isinstance(text, str | bytes) and text:
        try:
            figures = snapshot(text)
        except ValueError as error:
            sentence = f"its status cannot be read: {error}"
    known = state if isinstance(state, str) and state in ENDED else ""
    if known or figures is None:
        return LastReport(at, figures, BoxState.STARTING if state == "running" else known, sentence)
    old = age_of_status(report)
    if old is not None and old > LOST and not sentence:
        sentence = f"its scan has not answered for {old:.0f} s"
    return LastReport(at, figures, "", sentence)


def age_of_status(report: Mapping[str, Any]) -> float | None:
    """Seconds between the status that a box told and its telling it; None where it has told none."""
    at, now = report.get("status_at"), report.get("now")
    if not isinstance(at, int | float) or not isinstance(now, int | float) or not at:
        return None
    return max(0.0, float(now) - float(at))
