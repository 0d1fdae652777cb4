"""Write the tables of docs/compatibility.md. Run it after a change to the options, the fields or TESTS.

TESTS names what holds each promise; a test checks that every one of them exists.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from lzr.options.table import TABLE  # noqa: E402
from lzr.records.fields import FIELDS  # noqa: E402

PAGE = Path(__file__).with_suffix(".md")

FLAG_TESTS: dict[str, tuple[str, ...]] = {
    "handshakes": (
        "system/test_e2e_responder.py::test_list",
        "system/test_dropin_scanning.py::test_all_handshakes",
    ),
    "handshakes-by-port": (
        "system/test_byport_running.py::test_each_port_is_asked_in_its_order",
        "unit/lzr/options/test_byport.py::test_a_mistake_is_one_sentence",
    ),
    "f": ("system/test_dropin_pipelines.py::test_the_file_of_the_reference",),
    "sendSYNs": (
        "system/test_dropin_pipelines.py::test_a_list_at_the_pace_of_its_writer",
        "unit/lzr/targets/test_lists_targets.py::test_list_lines",
    ),
    "dryrun": (
        "system/test_dropin_scanning.py::test_the_dry_run_of_real_zmap",
        "system/test_dropin_scanning.py::test_dry_runs_of_zmap_4",
        "unit/lzr/targets/test_lists_targets.py::test_dry_run_of_zmap_2_and_4",
        "unit/coordinator/scan/test_targetlist.py::test_each_pair_once_in_the_order_of_the_seed",
    ),
    "sourceIP": (
        "system/test_dropin_pipelines.py::test_several_source_addresses_and_a_range_of_ports",
        "unit/lzr/options/test_parse.py::test_source_addresses",
    ),
    "gatewayMac": (
        "system/test_dropin_pipelines.py::test_a_list_at_the_pace_of_its_writer",
        "system/test_dropin_scanning.py::test_the_gateway_of_each_family_is_found",
    ),
    "sendInterface": (
        "system/test_e2e_responder.py::test_a_mistake_is_one_sentence_and_no_packet",
        "system/test_dropin_scanning.py::test_the_gateway_of_each_family_is_found",
    ),
    "rate": ("system/test_dropin_pipelines.py::test_targets_are_begun_at_the_rate",),
    "w": (
        "system/test_e2e_responder.py::test_premade_flows",
        "system/test_dropin_pipelines.py::test_one_dash_or_two",
    ),
    "rt": (
        "unit/lzr/options/test_parse.py::test_times",
        "system/test_dropin_scanning.py::test_data_only_with_a_push",
    ),
    "rn": ("system/test_faults_loss.py::test_a_tenth_is_lost_each_way",),
    "t": (
        "unit/lzr/options/test_parse.py::test_reference_short_forms_keep_their_meaning",
        "system/test_dropin_scanning.py::test_nothing_waits_for_the_probes",
    ),
    "c": ("system/test_e2e_responder.py::test_it_ends_when_it_is_done",),
    "haf": (
        "system/test_dropin_scanning.py::test_a_firewall_takes_few_packets",
        "system/test_dropin_scanning.py::test_real_servers_and_a_real_firewall",
        "system/test_dropin_scanning.py::test_nothing_waits_for_the_probes",
    ),
    "hafThreshold": ("system/test_dropin_scanning.py::test_the_threshold_is_a_share",),
    "pushDataOnly": ("system/test_dropin_scanning.py::test_data_only_with_a_push",),
    "forceAllHandshakes": (
        "system/test_dropin_scanning.py::test_all_handshakes",
        "unit/lzr/options/test_table.py::test_all_handshakes_leave_no_room_for_haf",
    ),
    "priorityFingerprint": ("system/test_dropin_scanning.py::test_the_users_label_wins",),
    "feedZGrab": (
        "system/test_dropin_pipelines.py::test_the_feed_is_flushed_and_alone_on_stdout",
        "docs/test_zgrab.py::test_the_feed_triggers_the_right_scanners",
    ),
    "onlyDataRecord": (
        "system/test_dropin_pipelines.py::test_only_what_sent_data_is_recorded_and_the_rest_counted",
    ),
    "ipv6": (
        "system/test_dropin_scanning.py::test_addresses_are_expanded_only_when_asked",
        "system/test_dropin_scanning.py::test_zmaps_json_with_ipv6",
        "system/test_dropin_scanning.py::test_both_families_in_one_run",
    ),
    "d": (
        "system/test_dropin_pipelines.py::test_every_step_of_every_flow",
        "unit/lzr/flow/test_trace.py::test_a_flow_from_its_line_to_its_fate",
    ),
    "cpuprofile": ("unit/lzr/options/test_table.py::test_reference_flag",),
    "memprofile": ("unit/lzr/options/test_table.py::test_reference_flag",),
}
"""Flag of the reference → what holds it, beside unit/lzr/options/test_table.py::test_reference_flag."""

BEYOND_TESTS: dict[str, tuple[str, ...]] = {
    "target_ports": ("system/test_sweep_targets.py::test_several_ports_and_a_limit",),
    "targets": ("system/test_sweep_targets.py::test_each_pair_gets_its_fate_and_nobody_else_a_packet",),
    "targets_file": ("unit/coordinator/input/test_sweptspace.py::test_subnets_ranges_names_and_a_file",),
    "seed": ("system/test_dropin_pipelines.py::test_a_seed_makes_it_the_same_again",),
    "shards": ("system/test_dropin_pipelines.py::test_shards_are_disjoint_and_complete",),
    "shard": ("system/test_dropin_pipelines.py::test_shards_are_disjoint_and_complete",),
    "plan_id": ("system/test_fleet_shard.py",),
    "generation": ("system/test_fleet_shard.py",),
    "block_orders": ("system/test_fleet_shard.py",),
    "lease_until": ("system/test_lease_running.py",),
    "input_file": ("system/test_dropin_scanning.py::test_dry_runs_of_zmap_4",),
    "source_port": ("system/test_dropin_pipelines.py::test_several_source_addresses_and_a_range_of_ports",),
    "probe_delay": ("system/test_dropin_pipelines.py::test_a_follow_up_may_be_delayed",),
    "output_module": ("system/test_dropin_pipelines.py::test_output_modules_fields_and_filter",),
    "output_fields": ("system/test_dropin_pipelines.py::test_output_modules_fields_and_filter",),
    "output_filter": ("system/test_dropin_pipelines.py::test_output_modules_fields_and_filter",),
    "zgrab_only_known": ("system/test_dropin_pipelines.py::test_the_feed_of_what_is_known",),
    "enrich": ("system/test_enrich_running.py::test_fingerprints_add_fields_and_change_no_label",),
    "notes": ("system/test_dropin_pipelines.py::test_metadata_status_and_log",),
    "metadata_file": ("system/test_dropin_pipelines.py::test_metadata_status_and_log",),
    "status_updates_file": ("system/test_dropin_pipelines.py::test_metadata_status_and_log",),
    "log_file": ("system/test_dropin_pipelines.py::test_metadata_status_and_log",),
    "verbosity": ("unit/coordinator/monitor/test_log.py::test_as_much_as_was_asked_for",),
    "log_directory": ("system/test_dropin_pipelines.py::test_quiet_and_log_directory",),
    "quiet": ("system/test_dropin_pipelines.py::test_quiet_and_log_directory",),
    "trace_pcap": ("system/test_hosts_trace.py::test_every_segment_of_every_worker",),
    "blocklist_file": ("system/test_dropin_scanning.py::test_blocklists_know_both_families",),
    "allowlist_file": ("system/test_dropin_scanning.py::test_blocklists_know_both_families",),
    "dashboard_file": ("unit/coordinator/console/test_console.py",),
    "metrics_port": ("unit/coordinator/endpoints/test_prometheus.py",),
    "user_agent": ("system/test_useragent_running.py::test_a_server_reads_who_we_are",),
    "control_socket": ("unit/coordinator/commands/test_ctl.py",),
    "guard": ("unit/coordinator/guard/test_guard.py",),
    "max_size": ("unit/lzr/flow/test_table_memory.py",),
}
"""Attribute of an option that the reference has not → what holds it."""

RECORD_TEST = "unit/lzr/records/test_encoders.py::test_a_record_as_the_reference_writes_it"

FIELD_NOTES: dict[str, tuple[str, str]] = {
    # field: (what is different, the test that holds it)
    "saddr": ("same; IPv6 canonical unless `-ipv6`", "unit/lzr/records/test_encoders.py::test_addresses"),
    "daddr": ("same; IPv6 canonical unless `-ipv6`", "unit/lzr/records/test_encoders.py::test_addresses"),
    "seqnum": ("same, always unsigned", "system/test_e2e_responder.py::test_unsigned_numbers_are_the_same"),
    "acknum": ("same, always unsigned", "system/test_e2e_responder.py::test_unsigned_numbers_are_the_same"),
    "fingerprint": ("same labels, and more protocols", "unit/lzr/protocols/test_catalogue.py"),
    "Timestamp": ("UTC, always nine digits", "unit/lzr/records/test_encoders.py::test_time"),
    "data": (
        "every byte kept, as the character of the same number",
        "unit/lzr/records/test_encoders.py::test_no_byte_is_lost",
    ),
}


def _tests(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def flags() -> str:
    """The table of flags, in Markdown."""
    lines = ["| reference | its default | also | default here | held by |", "|---|---|---|---|---|"]
    for row in TABLE:
        if row.reference:
            also = ", ".join(f"`{name}`" for name in row.shown_names if name != f"-{row.reference}")
            default = row.shown_default or "off"
            cells = (
                f"`-{row.reference}`",
                row.was.replace("false", "off"),
                also,
                _cell(default),
                _tests(FLAG_TESTS[row.reference]),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def reasons() -> str:
    """Why a flag's default or meaning is another, in Markdown."""
    return "".join(f"- `-{row.reference}`: {row.why}\n" for row in TABLE if row.reference and row.why)


def fields() -> str:
    """The table of fields, in Markdown."""
    lines = ["| field | type | reference | here | held by |", "|---|---|---|---|---|"]
    for field in FIELDS:
        ours = FIELDS.index(field) > [f.name for f in FIELDS].index("ackingFirewall")
        note, test = FIELD_NOTES.get(field.name, ("same", RECORD_TEST))
        if ours:
            note, test = (
                _cell(field.text),
                "unit/lzr/records/test_encoders.py::test_ours_are_there_when_known",
            )
            if not field.default:
                note, test = (
                    f"{note}; when asked for",
                    "unit/lzr/records/test_encoders.py::test_fields_can_be_chosen_and_ordered",
                )
        theirs = "–" if ours else field.text
        lines.append(f"| `{field.name}` | {field.kind} | {_cell(theirs)} | {note} | `{test}` |")
    return "\n".join(lines) + "\n"


def beyond() -> str:
    """The options the reference does not have, in Markdown."""
    lines = ["| option | what it does | default | held by |", "|---|---|---|---|"]
    for row in TABLE:
        if not row.reference:
            names = ", ".join(f"`{name}`" for name in row.shown_names)
            default = _cell(row.shown_default) or ("0" if row.default == 0 and not row.is_switch else "off")
            held = _tests(BEYOND_TESTS.get(row.attr, ("unit/lzr/options/test_table.py",)))
            lines.append(f"| {names} | {_cell(row.help)} | {default} | {held} |")
    return "\n".join(lines) + "\n"


TABLES = {"flags": flags, "reasons": reasons, "fields": fields, "beyond": beyond}


def made(page: str) -> str:
    """`page` with its tables made anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        head, rest = page.split(begin)
        page = head + begin + table() + end + rest.split(end)[1]
    return page


if __name__ == "__main__":
    PAGE.write_text(made(PAGE.read_text()))
