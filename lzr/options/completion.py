"""Completion for bash and zsh, and the example configuration, made from the table of options.

``python -m lzr.options.parse --bash|--zsh|--toml`` prints each; tests fail when a file in etc/ is out of
date.
"""

from __future__ import annotations

import textwrap

from lzr.options.groups.headings import GROUPS
from lzr.options.groups.option import Option
from lzr.options.subcommands import ALL, NAMES
from lzr.options.table import ACTIONS, TABLE

ROWS = (*TABLE, *ACTIONS)

_NAMES = '/^[^ :]+  / && $1 != "name" {print $1}'
"""The first column of a list that lzr prints, in awk."""


def _spellings(row: Option) -> list[str]:
    names = list(row.shown_names)
    return [*names, f"--no-{row.long}"] if row.is_switch and row.attr else names


def bash() -> str:
    """etc/completion/lzr.bash."""
    flags = " ".join(name for row in ROWS for name in _spellings(row))
    lines = [
        "# Completion of lzr for bash. Made from the table of options by: python -m lzr.options.parse --bash",
        "# Source it, or copy it to /usr/share/bash-completion/completions/lzr",
        "",
        "_lzr() {",
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}",
        "    COMPREPLY=()",
        "    case $prev in",
    ]
    for row in ROWS:
        reply = _bash_reply(row)
        if reply:
            lines += [
                f"        {'|'.join(row.shown_names)})",
                f"            {reply}",
                "            return ;;",
            ]
    for command in ALL:
        if command.words:
            lines += [
                f"        {command.name})",
                f'            COMPREPLY=($(compgen -W "{command.words}" -- "$cur"))',
                "            return ;;",
            ]
    lines += [
        "    esac",
        "    if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then",
        f'        COMPREPLY=($(compgen -W "{" ".join(NAMES)}" -- "$cur"))',
        "        return",
        "    fi",
        f'    COMPREPLY=($(compgen -W "{flags}" -- "$cur"))',
        "}",
        "",
        "# Completes the last name of a comma-separated list.",
        "_lzr_list() {",
        "    local head= last=$cur",
        "    if [[ $cur == *,* ]]; then head=${cur%,*},; last=${cur##*,}; fi",
        '    COMPREPLY=($(compgen -P "$head" -W "$1" -- "$last"))',
        "}",
        "",
        "complete -o bashdefault -F _lzr lzr",
    ]
    return "\n".join(lines) + "\n"


def _bash_reply(row: Option) -> str:
    if row.kind.bare is not None:
        return ""
    names = _listing(row)
    if names:
        return f"_lzr_list \"$(lzr --{names} 2>/dev/null | awk '{_NAMES}')\""
    if row.kind.choices:
        return f'COMPREPLY=($(compgen -W "{" ".join(row.kind.choices)}" -- "$cur"))'
    if row.kind.file == "interface":
        return 'COMPREPLY=($(compgen -W "$(ls /sys/class/net)" -- "$cur"))'
    if row.kind.file:
        return f'COMPREPLY=($(compgen -{"d" if row.kind.file == "dir" else "f"} -- "$cur"))'
    return ""


def _listing(row: Option) -> str:
    """The action whose output has this option's values in its first column."""
    if row.attr in ("handshakes", "priority_fingerprint"):
        return "list-handshakes"
    return "list-output-fields" if row.attr == "output_fields" else ""


def zsh() -> str:
    """etc/completion/_lzr."""
    lines = [
        "#compdef lzr",
        "# Completion of lzr for zsh. Made from the table of options by: python -m lzr.options.parse --zsh",
        "# Copy it to a directory of $fpath.",
        "",
        "_lzr_names() {",
        "    local -a names",
        f"    names=(${{(f)\"$(lzr --$1 2>/dev/null | awk '{_NAMES}')\"}})",
        "    _values -s , name $names",
        "}",
        "",
        "_arguments \\",
    ]
    for row in ROWS:
        names = _spellings(row)
        text = row.help.partition(";")[0]
        for special in "\\[]:":
            text = text.replace(special, "\\" + special)
        text = text.replace("'", "'\\''")
        action = _zsh_action(row)
        equals = "=" if action else ""
        for name in names:
            lines.append(f"    '({' '.join(names)}){name}{equals}[{text}]{action}' \\")
    lines.append(f"    '1::command:({' '.join(NAMES)})'")
    return "\n".join(lines) + "\n"


def _zsh_action(row: Option) -> str:
    if row.kind.bare is not None:
        return ""
    what = row.metavar.replace(":", "\\:").lower()
    names = _listing(row)
    if names:
        return f":{what}:_lzr_names {names}"
    if row.kind.choices:
        return f":{what}:({' '.join(row.kind.choices)})"
    files = {"file": "_files", "dir": "_files -/", "interface": "_net_interfaces", "": " "}
    return f":{what}:{files[row.kind.file]}"


def toml() -> str:
    """etc/lzr.toml: every option, commented out, with its default or an example."""
    lines = [
        "# Example configuration of lzr: lzr --config lzr.toml. The command line wins.",
        "# Every option is here with its default, or with an example where it has none that can be written.",
        "# Made from the table of options by: python -m lzr.options.parse --toml",
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
    if row.example:
        return row.example
    default = row.default
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, tuple):
        return "[" + ", ".join(f'"{item}"' for item in default) + "]"
    if isinstance(default, int | float):
        return row.kind.show(default)
    return f'"{row.kind.show(default)}"'
