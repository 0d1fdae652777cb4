"""The fields of ZMap's ``-f`` (tcp_synscan, 2.1.1 to 4.3), and those that a scan needs.

Apart from `lzr.targets.zmap`, which reads them: whoever only has to name them loads no reader.
"""

from __future__ import annotations

NEEDED = ("saddr", "daddr", "sport", "dport", "seqnum", "acknum", "window")
"""Fields of the SYN-ACK that are needed; a CSV without a heading has them in this order."""

SAID = ("classification", "success", "repeat")
"""What ZMap itself says of a row, if asked for with ``-f`` and not removed with ``--output-filter``."""

KNOWN = frozenset(
    (
        *NEEDED,
        *SAID,
        *("saddr_raw", "saddr-raw", "daddr_raw", "daddr-raw", "ipid", "ttl", "cooldown"),
        *("timestamp_str", "timestamp-str", "timestamp_ts", "timestamp-ts", "timestamp_us", "timestamp-us"),
        *("tcpopt_mss", "tcpopt_wscale", "tcpopt_sack_perm", "tcpopt_ts_val", "tcpopt_ts_ecr"),
        *("icmp_responder", "icmp_type", "icmp_code", "icmp_unreach_str"),
    )
)

HOW = f"ask zmap for -f {','.join(NEEDED)}"
