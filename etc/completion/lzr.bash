# Completion of lzr for bash. Made from the table of options by: python -m lzr.options.parse --bash
# Source it, or copy it to /usr/share/bash-completion/completions/lzr

_lzr() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    COMPREPLY=()
    case $prev in
        --handshakes)
            _lzr_list "$(lzr --list-handshakes 2>/dev/null | awk '/^[^ :]+  / && $1 != "name" {print $1}')"
            return ;;
        --handshakes-by-port)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        --targets-file)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        -I|--input-file)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        -priorityFingerprint|--priority-fingerprint)
            _lzr_list "$(lzr --list-handshakes 2>/dev/null | awk '/^[^ :]+  / && $1 != "name" {print $1}')"
            return ;;
        -sendInterface|-i|--interface)
            COMPREPLY=($(compgen -W "$(ls /sys/class/net)" -- "$cur"))
            return ;;
        -f|-o|--output-file)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        -O|--output-module)
            COMPREPLY=($(compgen -W "json csv zgrab" -- "$cur"))
            return ;;
        --output-fields)
            _lzr_list "$(lzr --list-output-fields 2>/dev/null | awk '/^[^ :]+  / && $1 != "name" {print $1}')"
            return ;;
        -m|--metadata-file)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        -b|--blocklist-file)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        --allowlist-file)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        --guard)
            COMPREPLY=($(compgen -W "auto output ingress none" -- "$cur"))
            return ;;
        --checkpoint)
            COMPREPLY=($(compgen -d -- "$cur"))
            return ;;
        --resume)
            COMPREPLY=($(compgen -d -- "$cur"))
            return ;;
        --block-orders)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        -l|--log-file)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        -L|--log-directory)
            COMPREPLY=($(compgen -d -- "$cur"))
            return ;;
        -u|--status-updates-file)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        --dashboard-file)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        --control-socket)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        --trace-pcap)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        --cpuprofile)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        --memprofile)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        -C|--config)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        guard)
            COMPREPLY=($(compgen -W "on off status" -- "$cur"))
            return ;;
        ctl)
            COMPREPLY=($(compgen -W "status workers rate pause resume drain quit block lease help" -- "$cur"))
            return ;;
        fleet)
            COMPREPLY=($(compgen -W "check shard assign certs worker start up down status watch rate pause resume drain quit block merge ledger" -- "$cur"))
            return ;;
        help)
            COMPREPLY=($(compgen -W "guard ctl fleet identify diff report plan export enrich doctor options handshakes fields modules" -- "$cur"))
            return ;;
    esac
    if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then
        COMPREPLY=($(compgen -W "identify diff report plan predict export enrich doctor guard ctl fleet help version" -- "$cur"))
        return
    fi
    COMPREPLY=($(compgen -W "--handshakes --handshakes-by-port -sendSYNs --send-syns --no-send-syns -p --target-ports --targets --targets-file --dryrun -I --input-file -forceAllHandshakes --force-all-handshakes --no-force-all-handshakes -pushDataOnly --push-data-only --no-push-data-only -priorityFingerprint --priority-fingerprint --user-agent --haf -hafThreshold --haf-threshold -e --seed --shards --shard --plan-id --generation -sourceIP -S --source-ip -s --source-port -gatewayMac -G --gateway-mac -sendInterface -i --interface --ipv6 --no-ipv6 -r --rate --max-rate -B --bandwidth -n --max-targets -N --max-results --max-runtime -rt --retransmit-wait -P --probes -rn --retransmit-number -t --timeout -c --cooldown-time --settle --max-size --probe-delay -f -o --output-file --overwrite --no-overwrite -O --output-module --output-fields --enrich --no-enrich -feedZGrab --feed-zgrab --no-feed-zgrab --notes -m --metadata-file -onlyDataRecord --only-data-record --no-only-data-record --output-filter --zgrab-only-known --no-zgrab-only-known -b --blocklist-file --allowlist-file --allow-printers --no-allow-printers -w --workers --collect-workers --auto-workers --no-auto-workers --pin --no-pin --user --guard --without-guard --no-without-guard --max-send-failures --checkpoint --resume --resume-changed --block-orders --lease-until --reopen --no-reopen -q --quiet --no-quiet -v --verbosity -l --log-file -L --log-directory -u --status-updates-file --dashboard --no-dashboard --dashboard-file --targets-total --metrics-port --metrics-address --control-socket -d --debug --no-debug --trace-pcap --cpuprofile --memprofile -h --help --help-all -V --version --list-handshakes --list-output-fields --list-output-modules -C --config" -- "$cur"))
}

# Completes the last name of a comma-separated list.
_lzr_list() {
    local head= last=$cur
    if [[ $cur == *,* ]]; then head=${cur%,*},; last=${cur##*,}; fi
    COMPREPLY=($(compgen -P "$head" -W "$1" -- "$last"))
}

complete -o bashdefault -F _lzr lzr
