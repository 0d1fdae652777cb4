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
_AS_A_SCAN = ("doctor",)
"""Subcommands that take a scan's flags."""

_NAMES = '/^[^ :]+  / && $1 != "name" {print $1}'
"""The first column of a list that lzr prints, in awk."""

_FLAGS = r"""{
    own = sub(/^ +-/, "-"); if (own) sub(/  .*/, "")
    count = split($0, words, /[ ,]+/)
    for (at = 1; at <= count; at++) if (own || words[at] ~ /^\[-/ || (at > 1 && words[at - 1] == "|")) {
        gsub(/[][]/, "", words[at]); if (words[at] ~ /^--?[A-Za-z]/) print words[at]
    }
}"""
"""The flags in a help text: of its usage, in brackets, and of lines that begin with one, in awk."""

_CHOICES = r"""{
    at = index($0, flag " {")
    if (at) { $0 = substr($0, at + length(flag) + 2); sub(/}.*/, ""); gsub(/,/, " "); print; exit }
}"""
"""What may follow a flag by a help text, if that names it in braces, in awk."""

_BASH_SUBCOMMAND = f"""\
# What follows a subcommand: its words, its flags and their choices as its own help has them; else files.
_lzr_subcommand() {{
    local words=$1 help found
    if [[ $words && $cur != -* ]] && ((COMP_CWORD == 2)); then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
        return
    fi
    case $prev in
        --handshakes|--priority-fingerprint|-priorityFingerprint) _lzr_list list-handshakes; return ;;
    esac
    if [[ ${{COMP_WORDS[1]}} == fleet ]] && ((COMP_CWORD > 2)); then
        help=$("$lzr" fleet "${{COMP_WORDS[2]}}" --help 2>/dev/null)
    else
        help=$("$lzr" "${{COMP_WORDS[1]}}" --help 2>/dev/null)
    fi
    [[ $prev != -* ]] || found=$(awk -v flag="$prev" '{_CHOICES}' <<< "$help")
    if [[ ! $found && $cur == -* ]]; then found=$(awk '{_FLAGS}' <<< "$help"); fi
    [[ ! $found ]] || COMPREPLY=($(compgen -W "$found" -- "$cur"))
}}

# Completes the last name of a comma-separated list, which lzr prints.
_lzr_list() {{
    local head= last=$cur names
    if [[ $cur == *,* ]]; then head=${{cur%,*}},; last=${{cur##*,}}; fi
    names=$("$lzr" "--$1" 2>/dev/null | awk '{_NAMES}')
    COMPREPLY=($(compgen -P "$head" -W "$names" -- "$last"))
}}

# Nothing that bash knows belongs here.
_lzr_other() {{ compopt +o bashdefault +o default 2>/dev/null; }}

# Where nothing is found readline completes names of files, with its quoting.
complete -o bashdefault -o default -F _lzr lzr
"""

_ZSH_HELPERS = f"""\
_lzr_names() {{
    local -a names
    names=(${{(f)"$($lzr --$1 2>/dev/null | awk '{_NAMES}')"}})
    _values -s , name $names
}}

# What follows a subcommand: its words, its flags and their choices as its own help has them; else files.
_lzr_subcommand() {{
    local help before=$words[CURRENT-1]
    local -a found
    if (( CURRENT == 3 && $# )) && [[ $PREFIX != -* ]]; then
        compadd -- "$@"
        return
    fi
    if [[ $PREFIX == -*=* ]]; then
        before=${{PREFIX%%=*}}
        compset -P '*='
    fi
    case $before in
        (--handshakes|--priority-fingerprint|-priorityFingerprint) _lzr_names list-handshakes; return ;;
    esac
    if [[ $words[2] == fleet ]] && (( CURRENT > 3 )); then
        help="$($lzr fleet ${{(Q)words[3]}} --help 2>/dev/null)"
    else
        help="$($lzr $words[2] --help 2>/dev/null)"
    fi
    if [[ $before == -* ]]; then
        found=(${{=$(awk -v flag=$before '{_CHOICES}' <<< $help)}})
    fi
    if (( ! $#found )) && [[ $PREFIX == -* ]]; then
        found=(${{(f)"$(awk '{_FLAGS}' <<< $help)"}})
    fi
    if (( $#found )); then compadd -- $found; else _files; fi
}}

local lzr=${{(Q)words[1]}}
lzr=${{~lzr}}
whence -- $lzr > /dev/null || lzr=lzr
"""


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
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} lzr=${1:-lzr}",
        "    # In --flag=value the = is a word of its own.",
        "    if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi",
        '    command -v -- "$lzr" > /dev/null 2>&1 || lzr=lzr',
        "    COMPREPLY=()",
        "    if ((COMP_CWORD > 1)); then",
        "        case ${COMP_WORDS[1]} in",
        *(
            f'            {command.name}) _lzr_subcommand "{command.words}"; return ;;'
            for command in ALL
            if command.name not in _AS_A_SCAN
        ),
        "        esac",
        "    fi",
        "    case $prev in",
    ]
    others: list[str] = []
    for row in ROWS:
        reply = _bash_reply(row)
        if reply:
            lines += [f"        {'|'.join(row.shown_names)}) {reply}; return ;;"]
        elif row.kind.bare is None:
            others += row.shown_names
    lines += [
        f"        {'|'.join(others)}) _lzr_other; return ;;",
        "    esac",
        "    if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then",
        f'        COMPREPLY=($(compgen -W "{" ".join(NAMES)}" -- "$cur"))',
        "        return",
        "    fi",
        f'    COMPREPLY=($(compgen -W "{flags}" -- "$cur"))',
        "}",
        "",
    ]
    return "\n".join(lines) + "\n" + _BASH_SUBCOMMAND


def _bash_reply(row: Option) -> str:
    if row.kind.bare is not None:
        return ""
    names = _listing(row)
    if names:
        return f"_lzr_list {names}"
    if row.kind.choices:
        return f'COMPREPLY=($(compgen -W "{" ".join(row.kind.choices)}" -- "$cur"))'
    if row.kind.file == "interface":
        return 'mapfile -t COMPREPLY < <(cd /sys/class/net && compgen -f -- "$cur")'  # names are not expanded
    if row.kind.file == "dir":
        return "compopt +o bashdefault +o default -o dirnames 2>/dev/null"
    return ":" if row.kind.file else ""


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
        *_ZSH_HELPERS.splitlines(),
        "if (( CURRENT > 2 )); then",
        "    case $words[2] in",
        *(
            f"        ({command.name}) _lzr_subcommand {command.words}".rstrip() + "; return ;;"
            for command in ALL
            if command.name not in _AS_A_SCAN
        ),
        "    esac",
        "fi",
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
        return f":{what}: _lzr_names {names}"  # the blank: with no words of _arguments' own
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
