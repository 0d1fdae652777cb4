"""What else is made from the table of options: completion for bash and zsh, and the example configuration.

``python -m lzr.cli --bash|--zsh|--toml`` prints each; tests fail when a file in etc/ has gone stale.
"""

from __future__ import annotations

import textwrap

from lzr.options import ACTIONS, GROUPS, TABLE
from lzr.optiontable import Option

ROWS = (*TABLE, *ACTIONS)

SUBCOMMANDS = {
    "guard": "on off status",
    "ctl": "status workers rate pause resume drain quit help",
    "identify": "",
    "doctor": "",
    "help": "scan all handshakes fields modules guard ctl identify doctor",
    "version": "",
}
"""First words, and what may follow them."""

SUBFLAGS = {
    "guard": "--source-ip --source-port --interface --guard --help",
    "ctl": "--socket --wait --json --help",
    "identify": "--format --json --handshakes --priority-fingerprint --help",
    "help": "",
    "version": "",
}
"""Flags of the commands; doctor, which is not here, takes those of a scan."""

SUBVALUES = {"--format": "auto raw base64 hex jsonl pcap", "--guard": "auto output ingress"}
"""What some of those take."""

EXAMPLES: dict[str, str] = {
    "input_file": '"services.txt"',
    "priority_fingerprint": '["http", "tls"]',
    "seed": "1",
    "source_ips": '["192.0.2.10", "198.51.100.0/29"]',
    "source_port": '"32768-61000"',
    "gateway_mac": '"00:16:3e:5e:6c:07"',
    "interface": '"eth0"',
    "max_rate": "100000",
    "bandwidth": '"500M"',
    "max_targets": "1000000",
    "max_results": "1000",
    "max_runtime": '"2h"',
    "output_file": '"found.json"',
    "output_fields": '["saddr", "sport", "fingerprint"]',
    "metadata_file": '"scan.meta.json"',
    "output_filter": "'fingerprint = http && ttl > 60'",
    "blocklist_file": '"/etc/zmap/blocklist.conf"',
    "allowlist_file": '"allowed.conf"',
    "flow_workers": '"flow=6,collect=2"',
    "collect_workers": "2",
    "checkpoint": '"state"',
    "resume": '"state"',
    "log_file": '"lzr.log"',
    "log_directory": '"log"',
    "status_updates_file": '"status.csv"',
    "dashboard": "false",
    "dashboard_file": '"last.svg"',
    "targets_total": "1000000",
    "metrics_port": "9464",
    "control_socket": '"/run/lzr/scan.sock"',
    "user_agent": '"example-scan/1.0 (+https://scan.example.org)"',
    "cpuprofile": '"lzr.cpu"',
    "memprofile": '"lzr.mem"',
}
"""TOML for the options whose default is nothing to write down."""


def _spellings(row: Option) -> list[str]:
    names = list(row.shown_names)
    return [*names, f"--no-{row.long}"] if row.is_switch and row.attr else names


def names() -> dict[str, list[str]]:
    """Names that options take as a list. The aliases are offered after three letters."""
    from lzr.fields import NUMBERS
    from lzr.protocols import BY_NAME
    from lzr.protocols.aliases import ALIASES
    from lzr.protocols.choice import PRESETS

    return {
        "handshakes": [*PRESETS, *sorted(BY_NAME)],
        "aliases": sorted(name for name in ALIASES if _PLAIN.issuperset(name)),
        "fields": list(NUMBERS),
    }


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
"""Letters that no shell breaks a word at."""


def _lines_of(listed: list[str], margin: str) -> list[str]:
    return textwrap.wrap(
        " ".join(listed),
        100,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def bash() -> str:
    """etc/completion/lzr.bash."""
    flags = " ".join(name for row in ROWS for name in _spellings(row))
    lines = [
        "# Completion of lzr for bash. Made from the table of options by: python -m lzr.cli --bash",
        "# Source it, or copy it to /usr/share/bash-completion/completions/lzr",
        "",
    ]
    for name, listed in names().items():
        lines += [f'_lzr_{name}="', *_lines_of(listed, ""), '"', ""]
    lines += [
        "_lzr() {",
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}",
        "    COMPREPLY=()",
        "    # bash takes --flag=value for three words.",
        "    if [[ $cur == = ]]; then",
        "        cur=",
        "    elif [[ $prev == = ]]; then",
        "        prev=${COMP_WORDS[COMP_CWORD-2]}",
        "    fi",
        "    if ((COMP_CWORD > 1)); then",
        "        case $command in",
    ]
    for command, flags_of in SUBFLAGS.items():
        words = SUBCOMMANDS[command]
        lines += [
            f"            {command})",
            f'                _lzr_command "{words}" "{flags_of}"',
            "                return ;;",
        ]
    lines += ["        esac", "    fi", "    case $prev in"]
    for row in ROWS:
        reply = _bash_reply(row)
        if reply:
            lines += [
                f"        {'|'.join(row.shown_names)})",
                f"            {reply}",
                "            return ;;",
            ]
    lines += [
        "    esac",
        "    if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then",
        f'        COMPREPLY=($(compgen -W "{" ".join(SUBCOMMANDS)}" -- "$cur"))',
        "        return",
        "    fi",
        f'    COMPREPLY=($(compgen -W "{flags}" -- "$cur"))',
        "}",
        "",
        "# What follows a command: its words, its flags, what those take, files.",
        "_lzr_command() {",
        "    case $prev in",
    ]
    for flag, words in SUBVALUES.items():
        lines += [f'        {flag}) COMPREPLY=($(compgen -W "{words}" -- "$cur")); return ;;']
    lines += [
        "        --handshakes|--priority-fingerprint|-handshakes|-priorityFingerprint)",
        "            _lzr_known; return ;;",
        '        --interface|-i) COMPREPLY=($(compgen -W "$(ls /sys/class/net)" -- "$cur")); return ;;',
        '        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;',
        "    esac",
        "    if [[ $cur == -* ]]; then",
        '        COMPREPLY=($(compgen -W "$2" -- "$cur"))',
        "    elif [[ $command == identify ]]; then",
        '        COMPREPLY=($(compgen -f -- "$cur"))',
        "    elif [[ $command == ctl && $prev == workers ]]; then",
        '        COMPREPLY=($(compgen -W "flow= collect=" -- "$cur"))',
        "    elif [[ $command == ctl && $prev == status ]]; then",
        '        COMPREPLY=($(compgen -W "--json" -- "$cur"))',
        "    elif [[ $prev == -* || $prev == $command ]]; then",
        '        COMPREPLY=($(compgen -W "$1" -- "$cur"))',
        "    fi",
        "}",
        "",
        "# Completes the last name of a comma-separated list.",
        "_lzr_list() {",
        "    local head= last=$cur",
        "    if [[ $cur == *,* ]]; then head=${cur%,*},; last=${cur##*,}; fi",
        '    COMPREPLY=($(compgen -P "$head" -W "$1" -- "$last"))',
        "}",
        "",
        "# The names of handshakes; after three letters those that others have for them, too.",
        "_lzr_known() {",
        "    local last=${cur##*,}",
        "    if ((${#last} < 3)); then",
        '        _lzr_list "$_lzr_handshakes"',
        "    else",
        '        _lzr_list "$_lzr_handshakes $_lzr_aliases"',
        "    fi",
        "}",
        "",
        "complete -o bashdefault -F _lzr lzr",
    ]
    return "\n".join(lines) + "\n"


def _bash_reply(row: Option) -> str:
    if row.kind.bare is not None:
        return ""
    listed = _listing(row)
    if listed:
        return "_lzr_known" if listed == "handshakes" else f'_lzr_list "$_lzr_{listed}"'
    if row.kind.choices:
        return f'COMPREPLY=($(compgen -W "{" ".join(row.kind.choices)}" -- "$cur"))'
    if row.kind.file == "interface":
        return 'COMPREPLY=($(compgen -W "$(ls /sys/class/net)" -- "$cur"))'
    if row.kind.file:
        return f'COMPREPLY=($(compgen -{"d" if row.kind.file == "dir" else "f"} -- "$cur"))'
    return ""


def _listing(row: Option) -> str:
    """The key in `names` of what completes this option."""
    if row.attr in ("handshakes", "priority_fingerprint"):
        return "handshakes"
    return "fields" if row.attr == "output_fields" else ""


def zsh() -> str:
    """etc/completion/_lzr."""
    lines = [
        "#compdef lzr",
        "# Completion of lzr for zsh. Made from the table of options by: python -m lzr.cli --zsh",
        "# Copy it to a directory of $fpath.",
        "",
        "# The last name of a comma-separated list: of fields, or of handshakes (after three letters of the",
        "# names that others have for them, too).",
        "_lzr_list() {",
        "    local -a handshakes aliases fields",
    ]
    for name, listed in names().items():
        lines += [f"    {name}=(", *_lines_of(listed, "        "), "    )"]
    lines += [
        "    compset -P '*,'",
        "    compset -S ',*'",
        "    # _arguments puts options of compadd before what it was told.",
        "    local list=${@[-1]}",
        "    local -a lists=($list)",
        "    [[ $list == handshakes && ${#PREFIX} -ge 3 ]] && lists+=(aliases)",
        '    compadd "${@[1,-2]}" -q -S , -a $lists',
        "}",
        "",
        "_lzr_scan() {",
        "    _arguments \\",
    ]
    for row in ROWS:
        spelled = _spellings(row)
        text = row.help.partition(";")[0]
        for special in "\\[]:":
            text = text.replace(special, "\\" + special)
        text = text.replace("'", "'\\''")
        action = _zsh_action(row)
        equals = "=" if action else ""
        for name in spelled:
            lines.append(f"        '({' '.join(spelled)}){name}{equals}[{text}]{action}' \\")
    lines += [
        f"        '1::command:({' '.join(SUBCOMMANDS)})'",
        "}",
        "",
        "_lzr() {",
        "    if ((CURRENT > 2)); then",
        "        local command=$words[2]",
        "        case $command in",
        f"            {'|'.join(SUBFLAGS)})",
        "                shift words",
        "                ((CURRENT--)) ;;",
        "        esac",
        "        case $command in",
    ]
    for command, flags_of in SUBFLAGS.items():
        words = SUBCOMMANDS[command]
        specs = [_zsh_flag(flag) for flag in flags_of.split()]
        if command == "identify":
            specs.append("'*:file:_files'")
        elif words:
            specs.append(f"'1:word:({words})'")
        if command == "ctl":
            specs.append("'*:value:(flow= collect= --json none)'")
        asked = f"_arguments {' '.join(specs)}" if specs else "_message 'nothing more'"
        lines += [f"            {command})", f"                {asked}", "                return ;;"]
    lines += ["        esac", "    fi", "    _lzr_scan", "}", "", '_lzr "$@"']
    return "\n".join(lines) + "\n"


def _zsh_flag(flag: str) -> str:
    """The spec of a command's flag."""
    if flag in SUBVALUES:
        return f"'{flag}=:value:({SUBVALUES[flag]})'"
    takes = {
        "--handshakes": ":name:_lzr_list handshakes",
        "--priority-fingerprint": ":name:_lzr_list handshakes",
        "--interface": ":name:_net_interfaces",
        "--socket": ":file:_files",
        "--source-ip": ":address: ",
        "--source-port": ":ports: ",
    }.get(flag, "")
    return f"'{flag}{'=' if takes else ''}{takes}'"


def _zsh_action(row: Option) -> str:
    if row.kind.bare is not None:
        return ""
    what = row.metavar.replace(":", "\\:").lower()
    listed = _listing(row)
    if listed:
        return f":{what}:_lzr_list {listed}"
    if row.kind.choices:
        return f":{what}:({' '.join(row.kind.choices)})"
    files = {"file": "_files", "dir": "_files -/", "interface": "_net_interfaces", "": " "}
    return f":{what}:{files[row.kind.file]}"


def toml() -> str:
    """etc/lzr.toml: every option, commented out, with its default or an example."""
    lines = [
        "# Example configuration of lzr: lzr --config lzr.toml. The command line wins.",
        "# Every option is here with its default, or with an example where it has none that can be written.",
        "# Made from the table of options by: python -m lzr.cli --toml",
    ]
    for group in GROUPS:
        lines += ["", f"## {group}"]
        for row in TABLE:
            if row.group == group:
                default = f" [{row.shown_default}]" if row.shown_default else ""
                text = textwrap.wrap(row.help + default, 100, break_on_hyphens=False)
                lines += ["", *(f"# {line}" for line in text), f"#{row.long} = {_toml_value(row)}"]
    return "\n".join(lines) + "\n"


def _toml_value(row: Option) -> str:
    if row.attr in EXAMPLES:
        return EXAMPLES[row.attr]
    default = row.default
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, tuple):
        return "[" + ", ".join(f'"{item}"' for item in default) + "]"
    if isinstance(default, int | float):
        return row.kind.show(default)
    return f'"{row.kind.show(default)}"'
