"""The man page, docs/lzr.1, made from the table of options.

``python -m lzr.options.parse --man > docs/lzr.1`` writes it anew; a test fails when it has gone stale.
"""

from __future__ import annotations

from lzr.options.groups.headings import GROUPS
from lzr.options.groups.option import Option
from lzr.options.helptext import EXAMPLES, MODULES, SUMMARY, shown_metavar
from lzr.options.subcommands import ALL, Subcommand
from lzr.options.table import ACTIONS, TABLE

DESCRIPTION = """\
ZMap finds addresses that answer a SYN. Most of what it finds on a port is not the service one expects \
there, and much of it is no service at all. lzr takes each half-open connection over, sends one packet (an \
acknowledgement that carries the first handshake's data), and tells from the first bytes that come back \
which protocol really lives there, or that none does.

Its input is ZMap's JSON on standard input, one object a line, with the fields saddr, daddr, sport, dport, \
seqnum, acknum and window; or, with -sendSYNs, a list of address:port, to which it opens connections itself. \
Each input gets exactly one fate: a record, or a counted reason why there is none.

It needs root to open raw sockets and to keep the kernel from resetting connections it does not know; the \
processes that read what comes from the network run as an ordinary user."""

FILTER = """\
An expression compares fields of a record with values: field = value, with = != < > <= >=. A field alone \
is true where it is set. Expressions are joined by && and, binding less tightly, ||; ! negates, parentheses \
group. A value is a number, a word, or a text in quotes; a field that is true or false is compared with 0 \
and 1, or true and false. --list-output-fields names the fields."""

SIGNALS = """\
On SIGINT or SIGTERM lzr stops reading, finishes what is in flight, writes, sums up, and puts the host back; \
a second one ends it at once. Either way no line is torn."""

STATUSES = (
    ("0", "the scan ran to its end"),
    ("1", "something outside failed: no space, no network, workers that keep dying"),
    ("2", "the command line, the configuration or the host is not as it must be; no packet was sent"),
    (
        "3",
        "the scan ran to its end, but results were lost or may be wrong, or a file that was asked for beside "
        "them (log, status, metadata, trace, profile, picture, checkpoint) is not whole: the warnings at the "
        "end, and in the metadata, name cause and remedy",
    ),
    ("130, 143", "ended by SIGINT, SIGTERM; the results so far are complete lines"),
)

FILES = (
    ("etc/all.ini", "configuration for zgrab2 multiple: a section for each label ZGrab2 can scan"),
    ("etc/lzr.toml", "every option with its default, for --config"),
    ("/run/lzr/PID.sock", "the control socket of a running scan"),
)


def roff(text: str) -> str:
    """`text` with everything escaped that roff would interpret."""
    escaped = text.replace("\\", "\\(rs").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\\&" + escaped if escaped.startswith(".") else escaped


def bold(text: str) -> str:
    """A text in bold, for roff."""
    return f"\\fB{roff(text)}\\fR"


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        lines += [".PP", roff(paragraph)]
    return lines


def _item(head: str, text: str) -> list[str]:
    return [".TP", head, roff(text)]


def _form(command: Subcommand) -> str:
    return f"{bold(f'lzr {command.name}')} {roff(command.takes)}".rstrip()


def _option(row: Option) -> list[str]:
    metavar = shown_metavar(row)
    value = f"\\fI{roff(metavar)}\\fR" if metavar else ""
    head = ", ".join(bold(name) for name in row.shown_names) + value
    default = f" Default: {row.shown_default}." if row.shown_default else ""
    text = row.help[0].upper() + row.help[1:]
    return _item(head, f"{text}.{default}")


def man() -> str:
    """The page, in the man macros of roff."""
    lines = [
        '.\\" Made from the table of options by: python -m lzr.options.parse --man',
        '.TH LZR 1 "" "lzr" "User commands"',
        ".SH NAME",
        f"lzr \\- {roff(SUMMARY)}",
        ".SH SYNOPSIS",
        f"zmap ... {roff('-O json')} | {bold('lzr')} [\\fIflags\\fR]",
        ".br",
        f"{bold('lzr -sendSYNs')} [\\fIflags\\fR] < \\fIlist\\fR",
    ]
    for command in ALL:
        lines += [".br", _form(command)]
    lines += [".SH DESCRIPTION", *_paragraphs(DESCRIPTION)[1:]]
    lines += [".SH COMMANDS"]
    for command in ALL:
        lines += _item(_form(command), command.what[0].upper() + command.what[1:] + ".")
    lines += [
        ".SH OPTIONS",
        roff(
            "One dash or two; -flag value or -flag=value. A switch alone is true; -switch=false and "
            "--no-switch are false. A flag given twice: the last wins; -b, --allowlist-file and -S add up, "
            "and two inputs, filters, configuration files or lists of names are a mistake. Behind -- there "
            "are targets only. Times are seconds, or have a unit: 500ms, 2s, 5m, 1h."
        ),
    ]
    for group in GROUPS:
        lines.append(f".SS {roff(group)}")
        for row in TABLE:
            if row.group == group:
                lines += _option(row)
    lines.append(".SS Help and configuration")
    for row in ACTIONS:
        lines += _option(row)
    lines += [".SH OUTPUT MODULES"]
    for name, what in MODULES:
        lines += _item(bold(name), what[0].upper() + what[1:] + ".")
    lines += [".SH OUTPUT FILTER", roff(FILTER), ".SH SIGNALS", roff(SIGNALS), ".SH EXIT STATUS"]
    for status, what in STATUSES:
        lines += _item(bold(status), what[0].upper() + what[1:] + ".")
    lines.append(".SH FILES")
    for name, what in FILES:
        lines += _item(f"\\fI{roff(name)}\\fR", what[0].upper() + what[1:] + ".")
    lines.append(".SH EXAMPLES")
    for title, commands in EXAMPLES:
        lines += [".PP", roff(title), ".PP", ".nf", ".RS 4", *map(roff, commands), ".RE", ".fi"]
    lines += [".SH SEE ALSO", f"{bold('zmap')}(1), {bold('nft')}(8)"]
    return "\n".join(lines) + "\n"
