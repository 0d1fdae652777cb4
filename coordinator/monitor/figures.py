"""The figures of a scan: one table with the name of each, wherever it is shown.

A figure is an attribute of a `Snapshot` and is declared once: in `Figures` if the coordinator counts it, in
`Snapshot` if the meter makes it. Its row here gives the dashboard's word, the column of the status updates,
the metric for Prometheus and the place in the metadata; `lzr ctl status --json` has every attribute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Figure(NamedTuple):
    """One figure.

    name: attribute of a `Snapshot`. text: what it is, in a sentence. word: as the dashboard calls it.
    column: in the status updates, ZMap's name where it has one.
    metric: for Prometheus, after ``lzr_``; one that ends in ``_total`` is a counter, others are gauges.
    label: of that metric, ``name=value`` where several figures share it, or the name alone where the figure
    is itself a mapping. place: in the metadata, ``section.name``.
    """

    name: str
    text: str = ""
    word: str = ""
    column: str = ""
    metric: str = ""
    label: str = ""
    place: str = ""


OUTCOME_WORDS = {
    "data": "data",
    "silent": "silent",
    "rst": "RST",
    "fin": "FIN",
    "zero_window": "zero window",
    "no_syn_ack": "no SYN-ACK",
    "acking_firewall": "ACKing firewall",
}
"""The words shown to people for each `lzr.rows.Reason` that makes a record (a duplicate makes none)."""

RARE_OUTCOMES = {
    "refused": "RST to the SYN",
    "send_refused": "refused by this host",
    "sa_only": "SYN-ACK",
    "not_asked": "not asked: answers on any port",
    "unreachable_net": "unreachable: net",
    "unreachable_host": "unreachable: host",
    "unreachable_protocol": "unreachable: protocol",
    "unreachable_port": "unreachable: port",
    "unreachable_prohibited": "unreachable: prohibited",
    "unreachable_ttl": "unreachable: TTL exceeded",
    "unreachable_other": "unreachable: other",
}
"""Shown to people only where there were any, as few scans have them. Machines always get them."""


def outcome_words(outcomes: Mapping[str, int]) -> dict[str, str]:
    """The words to show a person for these outcomes; those of rare ones only where there were any."""
    return OUTCOME_WORDS | {name: word for name, word in RARE_OUTCOMES.items() if outcomes.get(name)}


_NOT_BELIEVED = "Messages between the processes that were not believed."

FIGURES = (
    Figure("wall", column="real-time"),
    Figure("elapsed", "Time since the scan began.", column="time-elapsed", metric="elapsed_seconds"),
    Figure("eta", column="time-remaining"),
    Figure("share", column="percent-complete"),
    Figure("phase", column="phase"),
    Figure("paused", "1 while the scan is paused.", metric="paused"),
    Figure("read", "Input lines read.", "read", "read-total", "inputs_read_total", place="inputs.read"),
    Figure("rate_in", "Inputs read per second, now.", "read now", "read-last-one-sec", "read_rate"),
    Figure("rate_in_average", column="read-avg-per-sec"),
    Figure("total", "Inputs in all, where known.", metric="inputs_expected"),
    Figure("by_fate", "Inputs by their fate.", metric="inputs_total", label="fate", place="inputs.fates"),
    Figure("rejected", word="unparsable", column="rejected-total"),
    Figure("blocklisted", word="blocklisted", column="blocklisted-total"),
    Figure("duplicates", word="duplicate", column="duplicates-total"),
    Figure("in_flight", "Inputs that a worker has, without a fate.", "in flight", "in-flight", "in_flight"),
    Figure("backlog", "Inputs read and not yet given to a worker.", "backlog", metric="backlog"),
    Figure("done", word="done", column="done-total"),
    Figure("rate_done", "Inputs done per second, now.", "now", "done-last-one-sec", "done_rate"),
    Figure("rate_done_average", word="avg", column="done-avg-per-sec", place="pace.inputs_per_second"),
    Figure("hit_rate", word="hits", column="hit-rate", place="pace.hit_rate"),
    Figure("identified", word="identified"),
    Figure("by_reason", "Results by the reason the flow ended.", metric="outcomes_total", label="reason"),
    Figure(
        "unreachable", "Pairs of a sweep to which an ICMP error came back, of all kinds.", "unreachable",
        "unreachable-total", "unreachable_total", "", "inputs.unreachable",
    ),
    Figure(
        "hit_rates_answered", "Pairs of a sweep that answered SYN-ACK, by port or network; those with most.",
        metric="sweep_answered_total", label="place",
    ),
    Figure("hit_rates_asked", "About how many pairs were asked there.", metric="sweep_asked", label="place"),
    Figure("rx", "Packets.", "", "recv-total", "packets_total", "direction=in", "packets.received"),
    Figure("rx_rate", "Packets per second, now.", "", "recv-last-one-sec", "packet_rate", "direction=in"),
    Figure("rx_bits", "Bits per second, now.", metric="bit_rate", label="direction=in"),
    Figure("tx", "Packets.", "", "sent-total", "packets_total", "direction=out", "packets.sent"),
    Figure("tx_rate", "Packets per second, now.", "", "sent-last-one-sec", "packet_rate", "direction=out"),
    Figure("tx_bits", "Bits per second, now.", metric="bit_rate", label="direction=out"),
    Figure(
        "retransmits", "Packets sent again.", "", "retransmits-total", "retransmits_total", "",
        "packets.retransmits",
    ),
    Figure(
        "drops", "Packets the kernel dropped (a ring was full).", "drops", "drop-total",
        "kernel_drops_total", "", "packets.drops",
    ),
    Figure(
        "send_failures", "Sends that the kernel refused for now.", "", "sendto-failures-total",
        "send_failures_total", "", "packets.send_failures",
    ),
    Figure(
        "send_errors", "The same by errno.", metric="send_errors_total", label="error",
        place="packets.send_errors",
    ),
    Figure(
        "ignored", "Packets received and not acted on, by kind.", "ignored packets",
        metric="packets_ignored_total", label="kind", place="packets.ignored",
    ),
    Figure(
        "restarts", "Processes that ended unasked and were replaced.", "", "restarts-total",
        "restarts_total", "", "processes.restarts",
    ),
    Figure("refused", _NOT_BELIEVED, metric="messages_refused_total", place="processes.messages_refused"),
    Figure("shards", "Shards, the most flow workers this run can have.", metric="shards"),
    Figure("moves", "Shards that have changed hands.", metric="shard_moves_total"),
    Figure("slowest_move", "The longest that took.", metric="shard_move_seconds_max"),
    Figure(
        "wanted_flow", "Worker counts asked for.", metric="workers_wanted", label="channel=flow",
        place="processes.flow_workers",
    ),
    Figure(
        "wanted_collect", "Worker counts asked for.", metric="workers_wanted", label="channel=collect",
        place="processes.collectors",
    ),
    Figure("rate_limit", "Targets started per second at most.", metric="rate_limit"),
)  # fmt: skip
"""In the order of the columns."""

WORDS = {figure.name: figure.word for figure in FIGURES if figure.word}
COLUMNS = {figure.column: figure.name for figure in FIGURES if figure.column}

_SHARES = 6  # digits kept of a share in the metadata; of another figure, one


def placed(snapshot: object) -> dict[str, dict[str, Any]]:
    """The figures of the metadata: section -> name -> value."""
    found: dict[str, dict[str, Any]] = {}
    for figure in FIGURES:
        if figure.place:
            section, _, name = figure.place.partition(".")
            value = getattr(snapshot, figure.name)
            if isinstance(value, float):
                value = round(value, _SHARES if value <= 1 else 1)
            found.setdefault(section, {})[name] = dict(value) if hasattr(value, "items") else value
    return found


class Metric(NamedTuple):
    """One metric for Prometheus. samples: labels by name, and the value."""

    name: str
    kind: str
    text: str
    samples: list[tuple[dict[str, str], float]]


def metrics(snapshot: object) -> Iterator[Metric]:
    """The metrics of the table, each with all its samples; none of a figure that is not known."""
    made: dict[str, Metric] = {}
    for figure in FIGURES:
        if not figure.metric:
            continue
        kind = "counter" if figure.metric.endswith("_total") else "gauge"
        metric = made.setdefault(figure.metric, Metric(figure.metric, kind, figure.text, []))
        value, (label, _, fixed) = getattr(snapshot, figure.name), figure.label.partition("=")
        if hasattr(value, "items"):
            metric.samples.extend(({label: key}, number) for key, number in value.items())
        elif value is not None:
            metric.samples.append(({label: fixed} if fixed else {}, value))
    yield from made.values()
