# Completion of lzr for bash. Made from the table of options by: python -m lzr.options.parse --bash
# Source it, or copy it to /usr/share/bash-completion/completions/lzr

_lzr() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} lzr=${1:-lzr}
    # In --flag=value the = is a word of its own.
    if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
    command -v -- "$lzr" > /dev/null 2>&1 || lzr=lzr
    COMPREPLY=()
    if ((COMP_CWORD > 1)); then
        case ${COMP_WORDS[1]} in
            identify) _lzr_subcommand ""; return ;;
            diff) _lzr_subcommand ""; return ;;
            report) _lzr_subcommand ""; return ;;
            plan) _lzr_subcommand ""; return ;;
            predict) _lzr_subcommand ""; return ;;
            export) _lzr_subcommand ""; return ;;
            enrich) _lzr_subcommand ""; return ;;
            guard) _lzr_subcommand "on off status"; return ;;
            ctl) _lzr_subcommand "status workers rate pause resume drain quit block lease help"; return ;;
            fleet) _lzr_subcommand "check shard assign certs worker start up down status watch rate pause resume drain quit block merge ledger"; return ;;
            help) _lzr_subcommand "identify diff report plan predict export enrich doctor guard ctl fleet options handshakes fields modules"; return ;;
            version) _lzr_subcommand ""; return ;;
        esac
    fi
    case $prev in
        --handshakes) _lzr_list list-handshakes; return ;;
        --handshakes-by-port) :; return ;;
        --targets-file) :; return ;;
        -I|--input-file) :; return ;;
        -priorityFingerprint|--priority-fingerprint) _lzr_list list-handshakes; return ;;
        -sendInterface|-i|--interface) mapfile -t COMPREPLY < <(cd /sys/class/net && compgen -f -- "$cur"); return ;;
        -f|-o|--output-file) :; return ;;
        -O|--output-module) COMPREPLY=($(compgen -W "json csv zgrab" -- "$cur")); return ;;
        --output-fields) _lzr_list list-output-fields; return ;;
        -m|--metadata-file) :; return ;;
        -b|--blocklist-file) :; return ;;
        --allowlist-file) :; return ;;
        --guard) COMPREPLY=($(compgen -W "auto output ingress none" -- "$cur")); return ;;
        --checkpoint) compopt +o bashdefault +o default -o dirnames 2>/dev/null; return ;;
        --resume) compopt +o bashdefault +o default -o dirnames 2>/dev/null; return ;;
        --block-orders) :; return ;;
        -l|--log-file) :; return ;;
        -L|--log-directory) compopt +o bashdefault +o default -o dirnames 2>/dev/null; return ;;
        -u|--status-updates-file) :; return ;;
        --dashboard-file) :; return ;;
        --control-socket) :; return ;;
        --trace-pcap) :; return ;;
        --cpuprofile) :; return ;;
        --memprofile) :; return ;;
        -C|--config) :; return ;;
        -p|--target-ports|--targets|--user-agent|--haf|-hafThreshold|--haf-threshold|-e|--seed|--shards|--shard|--plan-id|--generation|-sourceIP|-S|--source-ip|-s|--source-port|-gatewayMac|-G|--gateway-mac|-r|--rate|--max-rate|-B|--bandwidth|-n|--max-targets|-N|--max-results|--max-runtime|-rt|--retransmit-wait|-P|--probes|-rn|--retransmit-number|-t|--timeout|-c|--cooldown-time|--settle|--max-size|--probe-delay|--notes|--output-filter|-w|--workers|--collect-workers|--user|--max-send-failures|--resume-changed|--lease-until|-v|--verbosity|--targets-total|--metrics-port|--metrics-address) _lzr_other; return ;;
    esac
    if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then
        COMPREPLY=($(compgen -W "identify diff report plan predict export enrich doctor guard ctl fleet help version" -- "$cur"))
        return
    fi
    COMPREPLY=($(compgen -W "--handshakes --handshakes-by-port -sendSYNs --send-syns --no-send-syns -p --target-ports --targets --targets-file --dryrun -I --input-file -forceAllHandshakes --force-all-handshakes --no-force-all-handshakes -pushDataOnly --push-data-only --no-push-data-only -priorityFingerprint --priority-fingerprint --user-agent --haf -hafThreshold --haf-threshold -e --seed --shards --shard --plan-id --generation -sourceIP -S --source-ip -s --source-port -gatewayMac -G --gateway-mac -sendInterface -i --interface --ipv6 --no-ipv6 -r --rate --max-rate -B --bandwidth -n --max-targets -N --max-results --max-runtime -rt --retransmit-wait -P --probes -rn --retransmit-number -t --timeout -c --cooldown-time --settle --max-size --probe-delay -f -o --output-file --overwrite --no-overwrite -O --output-module --output-fields --enrich --no-enrich -feedZGrab --feed-zgrab --no-feed-zgrab --notes -m --metadata-file -onlyDataRecord --only-data-record --no-only-data-record --output-filter --zgrab-only-known --no-zgrab-only-known -b --blocklist-file --allowlist-file --allow-printers --no-allow-printers -w --workers --collect-workers --auto-workers --no-auto-workers --pin --no-pin --user --guard --without-guard --no-without-guard --max-send-failures --checkpoint --resume --resume-changed --block-orders --lease-until --reopen --no-reopen -q --quiet --no-quiet -v --verbosity -l --log-file -L --log-directory -u --status-updates-file --dashboard --no-dashboard --dashboard-file --targets-total --metrics-port --metrics-address --control-socket -d --debug --no-debug --trace-pcap --cpuprofile --memprofile -h --help --help-all -V --version --list-handshakes --list-output-fields --list-output-modules -C --config" -- "$cur"))
}

# What follows a subcommand: its words, its flags and their choices as its own help has them; else files.
_lzr_subcommand() {
    local words=$1 help found
    if [[ $words && $cur != -* ]] && ((COMP_CWORD == 2)); then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
        return
    fi
    case $prev in
        --handshakes|--priority-fingerprint|-priorityFingerprint) _lzr_list list-handshakes; return ;;
    esac
    if [[ ${COMP_WORDS[1]} == fleet ]] && ((COMP_CWORD > 2)); then
        help=$("$lzr" fleet "${COMP_WORDS[2]}" --help 2>/dev/null)
    else
        help=$("$lzr" "${COMP_WORDS[1]}" --help 2>/dev/null)
    fi
    [[ $prev != -* ]] || found=$(awk -v flag="$prev" '{
    at = index($0, flag " {")
    if (at) { $0 = substr($0, at + length(flag) + 2); sub(/}.*/, ""); gsub(/,/, " "); print; exit }
}' <<< "$help")
    if [[ ! $found && $cur == -* ]]; then found=$(awk '{
    own = sub(/^ +-/, "-"); if (own) sub(/  .*/, "")
    count = split($0, words, /[ ,]+/)
    for (at = 1; at <= count; at++) if (own || words[at] ~ /^\[-/ || (at > 1 && words[at - 1] == "|")) {
        gsub(/[][]/, "", words[at]); if (words[at] ~ /^--?[A-Za-z]/) print words[at]
    }
}' <<< "$help"); fi
    [[ ! $found ]] || COMPREPLY=($(compgen -W "$found" -- "$cur"))
}

# Completes the last name of a comma-separated list, which lzr prints.
_lzr_list() {
    local head= last=$cur names
    if [[ $cur == *,* ]]; then head=${cur%,*},; last=${cur##*,}; fi
    names=$("$lzr" "--$1" 2>/dev/null | awk '/^[^ :]+  / && $1 != "name" {print $1}')
    COMPREPLY=($(compgen -P "$head" -W "$names" -- "$last"))
}

# Nothing that bash knows belongs here.
_lzr_other() { compopt +o bashdefault +o default 2>/dev/null; }

# Where nothing is found readline completes names of files, with its quoting.
complete -o bashdefault -o default -F _lzr lzr
