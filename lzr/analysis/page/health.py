"""The run's own health, from its metadata: rates, drops, loss, and what became of every input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lzr import safetext
from lzr.analysis.metadata import section
from lzr.analysis.page.parts import Bars, PageTable, Paragraph, Part, Section, Tile, Tiles

_NOTHING = (
    "There are no metadata of this run. With --metadata-file, scan.metadata.json beside scan.json, lzr "
    "writes down how "
    "it went, and the report shows it here: rates, drops, packets sent again, and what became of each input."
)


def health(metadata: Mapping[str, Any] | None, name: str = "") -> Section:
    """metadata: as `lzr.analysis.metadata.check` returns them, whose values may still be anything. name: of
    the file."""
    if metadata is None:
        return Section("run", "The run", "", (Paragraph(_NOTHING),))
    packets, inputs, pace = (section(metadata, key) for key in ("packets", "inputs", "pace"))
    times, ending = section(metadata, "times"), section(metadata, "ending")
    seconds = max(0.0, _number(times.get("seconds")))  # of older scans, below 0 where the time was set back
    sent, received = _number(packets.get("sent")), _number(packets.get("received"))
    again, drops = _number(packets.get("retransmits")), _number(packets.get("drops"))
    failures, restarts = (
        _number(packets.get("send_failures")),
        _number(section(metadata, "processes").get("restarts")),
    )
    how = _text(ending.get("how"))
    tiles = [
        Tile(how or "?", "how it ended", _text(ending.get("failure")), "good" if how == "done" else "warn"),
        Tile(
            _duration(seconds) if seconds else "?",
            "duration",
            f"from {_text(times.get('start'))[:19].replace('T', ' ')} UTC",
        ),
        Tile(_count(inputs.get("read")), "inputs", f"{_count(pace.get('inputs_per_second'))} a second"),
        Tile(f"{sent:,.0f}", "packets sent", f"{sent / seconds:,.0f} a second" if seconds else ""),
        Tile(f"{received:,.0f}", "packets received", ""),
        Tile(f"{again / sent:.1%}" if sent else "–", "sent again", f"{again:,.0f} packets"),
        Tile(
            f"{drops:,.0f}", "dropped by the kernel", "a full ring loses answers", "warn" if drops else "good"
        ),
        Tile(f"{failures:,.0f}", "sends refused", "", "warn" if failures else "good"),
        Tile(f"{restarts:,.0f}", "processes restarted", "", "warn" if restarts else "good"),
    ]
    parts: list[Part] = [Tiles(tuple(tiles))]
    fates = {_text(key): value for key, value in section(inputs, "fates").items() if _number(value)}
    if fates:
        agree = inputs.get("agree") is True
        note = "Both sides agree: every input has one fate." if agree else "The two sides do not agree."
        ranked = sorted(fates.items(), key=lambda item: -_number(item[1]))
        parts.append(
            Bars(
                f"Ledger: {_count(inputs.get('read'))} inputs read, by fate",
                tuple(key for key, _ in ranked),
                tuple(int(_number(value)) for _, value in ranked),
                note,
                "" if agree else "warn",
            )
        )
    ignored = {_text(key): value for key, value in section(packets, "ignored").items() if _number(value)}
    if ignored:
        ranked = sorted(ignored.items(), key=lambda item: -_number(item[1]))[:12]
        labels = tuple(key.replace("_", " ") for key, _ in ranked)
        parts.append(Bars("Packets not acted on", labels, tuple(int(_number(value)) for _, value in ranked)))
    warnings = metadata.get("warnings")
    if isinstance(warnings, list):
        parts += [Paragraph(_text(warning, 400), "warn") for warning in warnings[:20]]
    parts.append(_about(metadata, name))
    return Section("run", "The run", "", tuple(parts))


def _about(metadata: Mapping[str, Any], name: str) -> PageTable:
    scan, host, network = (section(metadata, key) for key in ("scan", "host", "network"))
    words = metadata.get("command_line")
    handshakes = scan.get("handshakes")
    rows = (
        ("command line", " ".join(map(str, words)) if isinstance(words, list) else ""),
        ("handshakes", ", ".join(map(str, handshakes)) if isinstance(handshakes, list) else ""),
        ("version", f"lzr {metadata.get('version')}"),
        ("host", f"{host.get('system')}, {host.get('cores_allowed')} cores"),
        ("interface", str(network.get("interface") or "")),
        ("input", str(section(metadata, "input").get("sha256") or "")),
        ("metadata", name),
    )
    kept = tuple((key, _text(value, 400)) for key, value in rows if value and "None" not in str(value))
    return PageTable("What was asked for", ("", ""), kept)


def _number(value: object) -> float:
    """A count, at most what a sum of counts can be; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e18:
        return 0.0
    return float(value)


def _count(value: object) -> str:
    return f"{_number(value):,.0f}"


def _text(value: object, width: int = 120) -> str:
    return safetext.plain(value, width) if isinstance(value, str) else ""


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
