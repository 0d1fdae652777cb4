"""Write the tables of docs/compatibility.md. Run it after a change to the options, the fields or TESTS.

TESTS names what holds each promise; a test checks that every one of them exists.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from lzr.fields import FIELDS  # noqa: E402
from lzr.options import TABLE  # noqa: E402

PAGE = Path(__file__).with_suffix(".md")

FLAG_TESTS: dict[str, tuple[str, ...]] = {
    "handshakes": ("test_e2e_responder.py::test_list",),
    "f": ("test_options.py::test_reference_flag",),
    "sendSYNs": ("test_e2e_responder.py::test_list", "test_targets.py::test_list_lines"),
    "dryrun": (
        "test_targets.py::test_dry_run_of_zmap_2_and_4",
        "test_targets.py::test_fast_dry_run",
        "test_options.py::test_dryrun_opens_the_connections_itself",
    ),
    "sourceIP": ("test_cli.py::test_source_addresses",),
    "gatewayMac": ("test_cli.py::test_the_readme_line_in_every_form",),
    "sendInterface": ("test_options.py::test_reference_flag",),
    "rate": ("test_cli.py::test_the_readme_line_in_every_form",),
    "w": (
        "test_options.py::test_options_are_a_frozen_value",
        "test_e2e_responder.py::test_premade_flows",
    ),
    "rt": ("test_cli.py::test_times",),
    "rn": ("test_e2e_responder.py::test_loss_on_the_path",),
    "t": ("test_cli.py::test_reference_short_forms_keep_their_meaning",),
    "c": ("test_e2e_responder.py::test_it_ends_when_it_is_done",),
    "haf": ("test_options.py::test_all_handshakes_leave_no_room_for_haf",),
    "hafThreshold": ("test_cli.py::test_mistakes",),
    "pushDataOnly": ("test_options.py::test_reference_flag",),
    "forceAllHandshakes": ("test_options.py::test_all_handshakes_leave_no_room_for_haf",),
    "priorityFingerprint": ("test_options.py::test_unknown_label_and_field",),
    "feedZGrab": ("test_results.py::test_zgrab_feed",),
    "onlyDataRecord": ("test_options.py::test_reference_flag",),
    "ipv6": ("test_results.py::test_ipv6_text",),
    "d": ("test_options.py::test_reference_flag",),
    "cpuprofile": ("test_options.py::test_reference_flag",),
    "memprofile": ("test_options.py::test_reference_flag",),
}
"""Flag of the reference → what holds it (every flag is held by test_options.py::test_reference_flag too)."""

RECORD_TEST = "test_results.py::test_a_record_as_the_reference_writes_it"

FIELD_NOTES: dict[str, tuple[str, str]] = {
    # field: (what is different, the test that holds it)
    "saddr": ("same; IPv6 canonical unless `-ipv6`", "test_results.py::test_addresses"),
    "daddr": ("same; IPv6 canonical unless `-ipv6`", "test_results.py::test_addresses"),
    "seqnum": ("same, always unsigned", "test_e2e_responder.py::test_unsigned_numbers_are_the_same"),
    "acknum": ("same, always unsigned", "test_e2e_responder.py::test_unsigned_numbers_are_the_same"),
    "fingerprint": ("same labels, and more protocols", "test_protocols.py"),
    "Timestamp": ("UTC, always nine digits", "test_results.py::test_time"),
    "data": ("every byte kept, as the character of the same number", "test_results.py::test_no_byte_is_lost"),
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
            note, test = _cell(field.text), "test_results.py::test_ours_are_there_when_known"
            if not field.default:
                note, test = (
                    f"{note}; when asked for",
                    "test_results.py::test_fields_can_be_chosen_and_ordered",
                )
        theirs = "–" if ours else field.text
        lines.append(f"| `{field.name}` | {field.kind} | {_cell(theirs)} | {note} | `{test}` |")
    return "\n".join(lines) + "\n"


def beyond() -> str:
    """The options the reference does not have, in Markdown."""
    lines = ["| option | what it does | default |", "|---|---|---|"]
    for row in TABLE:
        if not row.reference:
            names = ", ".join(f"`{name}`" for name in row.shown_names)
            lines.append(f"| {names} | {_cell(row.help)} | {_cell(row.shown_default) or 'off'} |")
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
