"""The fields that ZMap's ``-f`` knows (tcp_synscan, 2.1.1 to 4.3), and those a scan cannot do without."""

from __future__ import annotations

NEEDED = ("saddr", "daddr", "sport", "dport", "seqnum", "acknum", "window")
"""Of the SYN-ACK; in this order where a CSV has no heading."""

SAID = ("classification", "success", "repeat")
"""What ZMap says of a row, where it was asked for with ``-f`` and not kept out with ``--output-filter``."""

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
