# Completion of lzr for bash. Made from the table of options by: python -m lzr.cli --bash
# Source it, or copy it to /usr/share/bash-completion/completions/lzr

_lzr_handshakes="
auto all 9p adb aerospike afp ajp13 amqp ams apcupsd asterisk-ami beanstalkd bgp bitcoin bolt c1222
cassandra ceph chargen check-mk cisco-smi clamd clickhouse codesys couchbase cvs daytime dbus dcerpc
diameter dicom dict distcc dnp3 dns drda dvrip elasticsearch-transport electrum enip epmd finger
fins firebird fix fluentd fox freeswitch ftp ganglia gdbserver gearman giop git gopher gpsd
hadoop-ipc hart-ip hddtemp hl7 http http2 i2p-sam ica icap icy ident iec104 ignite imap ipmi ipp irc
iscsi java-serialization jdwp kafka kerberos knxnet-ip kubernetes ldap levin libp2p libvirt lmtp
managesieve memcached_ascii memcached_binary mikrotik-btest minecraft mms modbus monetdb mongodb mpd
mqtt mssql munin mysql mysqlx nanomsg nats nbd ndmp netbios-ssn newlines newlines50 nntp nrpe nsq
nut opcua openvpn openwire oracle pcworx pop3 postgres pptp pulsar qmp rabbitmq-stream rdp redis
rethinkdb riak rmi rpc rpcbind rserve rsync rtmp rtsp s7 sane sap-ni siemens sip slmp smb smpp smtp
socks socks4 socks5 spamd spice ssh ssl stomp stratum svn synphasor t3 tarantool teamspeak telnet
tls tor-control tplink-smarthome usbip varnish-cli vmware-authd vnc vty wait websocket winbox x11
xmpp zabbix zmtp zookeeper
"

_lzr_aliases="
0mq 9pfs acr-nema acs active-directory active-mq activemq activemq-web actuator ad adbd adminer ads
afpovertcp airflow airprint ajp ajp1-3 ajp12 alertmanager ami amqp0-9-1 amqp091 amqp1-0 amqps
android android-debug android-debug-bridge ansi-c12-22 anyconnect apache apache2 api apiserver
appleshare artemis artifactory asf-rmcp asterisk aurora auth axfr bandwidth-test banner banners bbs
bea beanstalk beckhoff bgpd bgpd-vty bind bind9 bird bitcoind bmc btc btest c-icap c12-22 c37-118
caddy cadvisor caldav carddav cassandra-native ceph-mon ceph-osd ceph-rgw cert certificate checkmk
chroma chromecast cifs cip cisco-vty citrix citrix-ica clamav clickhouse-http clickhouse-native
clickhouse-tcp cockroach cockroachdb codesys-v2 codesys-v3 connect consul containerd corba cotp
couchdb cpanel cql crlf cups cvspserver cwmp cyrus dahua dante db2 dce-rpc dcom derby diameterd
dicom-scp distccd dnp dnp-sec dnp3-0 dns-over-https dns-over-tls dns-tcp dnsmasq docdb docker
docker-api docker-registry docker-s docker-tls dockerd dockers documentdb doh domain domain-s dot
dovecot dragonfly dropbear druid dvr edb eib ejabberd elastic elastic-transport elasticsearch
electrumx empty emqx enter envoy epmap erlang erlang-epmd es es-transport esl esmtp esxi etcd
etcd-client eth ethereum ethernet-ip ethernet-ip-2 ethernetip eureka exim filezilla fingerd
firebirdsql flink fluent fluent-bit fluent-forward fluentbit fortinet foxs freeswitch-esl frr
ftp-control ftp-proxy ftpd ftps ftps-data gdb gdb-remote gdb-rsp gds gds-db gearmand gemini gerrit
geth git-daemon git-ssh gitd gitea gitlab global-catalog globalcatldap globalcatldapssl
globalprotect gmetad gmond gobgp gogs gps gpsd-json grafana graphql graylog greenplum greeting
greetings grpc gsoap gstreamer h2 h2c hadoop hadoop-rpc hadoop-web haproxy harbor hart hbase hdfs
hdfs-web hikvision hive-web hivemq hl7-mllp home-assistant homeassistant html http-alt http-mgmt
http-proxy http-rpc-epmap http1 http1-0 http1-1 http2-0 httpd httpd-alt https https-443 https-alt
httpssl hue i2p ibm-db2 icecast icinga identd iec-104 iec-60870 iec-60870-5-104 iec-61850 iec60870
iec60870-5-104 iec61850 ieee-c37-118 iiop iiops iis imap2 imap4 imap4rev1 imap4s imapd imaps impala
influx influxdb innd interbase internet-printing ipcam ipfs ipps irc-server ircd ircs ircs-u
iscsi-target iso-tsap iso-tsap-s7 iss-realsecure jabber jaeger java-debug java-debugger java-rmi
jenkins jetty jk jmx jmxremote jrmp json-rpc jsonrpc jupyter k8s kafka-broker kafka-rest kafka-ssl
kafkas kamailio kasa kdc kerberos-sec kerberos5 keydb kibana knx knxnetip krb krb5 ksql kube
kube-apiserver kubelet kubernetes-api kubernetes-apiserver kubernetes-tls ldap-ad ldaps ldapssl lf
libvirtd lighttpd listen lmtpd loc-srv logstash loki mail mail-submission managesieves maria mariadb
mbap mc mc-protocol melsec membase memcache memcached memcached-bin memcached-couchbase
memcached-tcp memcached-text memgraph memsql metabase microsoft-ds mikrotik mikrotik-winbox milvus
minecraft-java mining minio mitsubishi mlflow mllp mms-61850 modbus-tcp modbustcp monero monerod
mongo mongo-db mongod mongodbs mongos mosquitto mountd mqtt-tcp mqtt-tls mqtts ms-ds ms-rdp ms-rpc
ms-sql ms-sql-s ms-sql-server ms-wbt-server msft-gc msql msrdp msrpc msrpc-epm mssqlserver mta mud
mumble munin-node murmur music-player-daemon mysql-cluster mysql-x mysql-xprotocol mysqld mysqls
nagios nagios-nrpe named namenode nats-io nats-server nbd-server nbss nbt ncube-lm ndmpd neo4j
netatalk netbios netbios-session netconf netconf-ssh network-block-device newline news nexus nfs
nfsd nginx niagara niagara-fox nifi nis nlockmgr nntps no-data node-exporter node-js node-red
nodered nomad none nothing nsqd null octoprint ollama omron omron-fins onc-rpc oncrpc onvif opc
opc-tcp opc-ua openai openconnect openldap opensearch opensearch-transport openshift opensips
openssh openvpn-tcp oracle-db oracle-listener oracle-sql oracle-tns oracledb ospfd ovpn pacs page
passive pcworx-plc percona pg pgbouncer pgsql phoenix phoenix-contact php phpmyadmin pihole plan9
plc plesk plex pmu podman pop pop-3 pop3d pop3s portainer portmap portmapper postfix postgre
postgres-sql postgresql postgress powerdns pptp-vpn pptpd presto profinet proftpd prometheus prosody
proxy psql pulsar-admin pure-ftpd pushgateway qdrant qemu qemu-monitor qnap qpid quagga qxl r-serve
rabbit rabbitmq rabbitmq-management radsec rancher rdps realvnc redis-sentinel redis-server
redis-tls rediss redpanda redshift registry remote-desktop resp rest rethink rfb rmcp rmiregistry
rockwell roku routeros rpc-bind rpc-dcom rpcss rsyncd rtmp-stream rtsp-alt rtsps s3 s7-1200 s7-300
s7comm sam samba saned sap sap-router saprouter scanner schema-registry scp scylla scylladb
secure-mqtt sendmail sentinel server-first sftp shoutcast sieve signalr silence silent simatic
singlestore sip-tcp sip-tls sips slapd sldap smart-install smartinstall smb-direct smb1 smb2 smb3
smi smtp-submission smtpd smtps smtpssl snews soap soap-http socket-io socks-proxy socks4a socks5h
sofia solr sonarqube spamassassin spark spdy spice-server splunk spop3 spring sql-server sqlnet
sqlserver squid squid-http ssh-over-tls ssh2 sshd ssl-tls ssl-vpn ssl2 ssl3 sslv2 sslv23 sslv3
sslvpn ssmtp sstp statd step7 stomp-tcp stratum-mining submission submissions subversion sunrpc
superset svnserve swagger syn-ack synology syslog-tls syslogs tap tcp tcpwrapped tds teamspeak-query
teamspeak3 telnetd telnets telnetssl tempo terminal-server termserv tidb tigervnc tightvnc timescale
timescaledb timsieved tls1 tls1-0 tls1-1 tls1-2 tls1-3 tlsv1 tlsv1-2 tlsv1-3 tns tomcat tor
tor-orport tor-socks tp-link tpkt tplink tr-069 tr069 traefik tridium trino ts3 ts3-query tsap
twincat ua-tcp ultravnc unbound unifi upnp-http ups upsd usb-ip usenet valkey varnish varnishadm
vault vcenter victoriametrics vitess vllm vmware vmware-auth vnc-1 voip vsftpd vsphere weaviate web
web-server webcache webcam webdav weblogic webmin webserver websockets windows-share winrm winrms
wls wmi wordpress ws wsman wsmans wss www x x-11 x-protocol x-server x-window x11-1 x11-server
x11vnc x509 xmeye xml-rpc xmlrpc xmpp-client xmpp-server xmpps xorg xrdp xwindow yarn ypserv
yugabyte yugabytedb zabbix-agent zabbix-agentd zabbix-server zabbix-trapper zebra zeromq zipkin zk
zmq zoo
"

_lzr_fields="
saddr daddr sport dport seqnum acknum window ttl Counter ACK ACKed SYN RST FIN PUSH HandshakeNum
fingerprint Timestamp expectedRToLZR data ackingFirewall application product version handshake
reason
"

_lzr() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
    COMPREPLY=()
    # bash takes --flag=value for three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    if ((COMP_CWORD > 1)); then
        case $command in
            guard)
                _lzr_command "on off status" "--source-ip --source-port --interface --guard --help"
                return ;;
            ctl)
                _lzr_command "status workers rate pause resume drain quit help" "--socket --wait --json --help"
                return ;;
            identify)
                _lzr_command "" "--format --json --handshakes --priority-fingerprint --help"
                return ;;
            help)
                _lzr_command "scan all handshakes fields modules guard ctl identify doctor" ""
                return ;;
            version)
                _lzr_command "" ""
                return ;;
        esac
    fi
    case $prev in
        --handshakes)
            _lzr_known
            return ;;
        -I|--input-file)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        -priorityFingerprint|--priority-fingerprint)
            _lzr_known
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
            _lzr_list "$_lzr_fields"
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
        --cpuprofile)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        --memprofile)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
        -C|--config)
            COMPREPLY=($(compgen -f -- "$cur"))
            return ;;
    esac
    if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then
        COMPREPLY=($(compgen -W "guard ctl identify doctor help version" -- "$cur"))
        return
    fi
    COMPREPLY=($(compgen -W "--handshakes -sendSYNs --send-syns --no-send-syns --dryrun -I --input-file -forceAllHandshakes --force-all-handshakes --no-force-all-handshakes -pushDataOnly --push-data-only --no-push-data-only -priorityFingerprint --priority-fingerprint --user-agent --haf -hafThreshold --haf-threshold -e --seed --shards --shard -sourceIP -S --source-ip -s --source-port -gatewayMac -G --gateway-mac -sendInterface -i --interface --ipv6 --no-ipv6 -r --rate --max-rate -B --bandwidth -n --max-targets -N --max-results --max-runtime -rt --retransmit-wait -rn --retransmit-number -t --timeout -c --cooldown-time --settle --probe-delay -f -o --output-file --overwrite --no-overwrite -O --output-module --output-fields -feedZGrab --feed-zgrab --no-feed-zgrab --notes -m --metadata-file -onlyDataRecord --only-data-record --no-only-data-record --output-filter --zgrab-only-known --no-zgrab-only-known -b --blocklist-file --allowlist-file --allow-printers --no-allow-printers -w --workers --collect-workers --auto-workers --no-auto-workers --pin --no-pin --user --guard --without-guard --no-without-guard --max-send-failures --checkpoint --resume --reopen --no-reopen -q --quiet --no-quiet -v --verbosity -l --log-file -L --log-directory -u --status-updates-file --dashboard --no-dashboard --dashboard-file --targets-total --metrics-port --metrics-address --control-socket -d --debug --no-debug --cpuprofile --memprofile -h --help --help-all -V --version --list-handshakes --list-output-fields --list-output-modules -C --config" -- "$cur"))
}

# What follows a command: its words, its flags, what those take, files.
_lzr_command() {
    case $prev in
        --format) COMPREPLY=($(compgen -W "auto raw base64 hex jsonl pcap" -- "$cur")); return ;;
        --guard) COMPREPLY=($(compgen -W "auto output ingress" -- "$cur")); return ;;
        --handshakes|--priority-fingerprint|-handshakes|-priorityFingerprint)
            _lzr_known; return ;;
        --interface|-i) COMPREPLY=($(compgen -W "$(ls /sys/class/net)" -- "$cur")); return ;;
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$2" -- "$cur"))
    elif [[ $command == identify ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
    elif [[ $command == ctl && $prev == workers ]]; then
        COMPREPLY=($(compgen -W "flow= collect=" -- "$cur"))
    elif [[ $command == ctl && $prev == status ]]; then
        COMPREPLY=($(compgen -W "--json" -- "$cur"))
    elif [[ $prev == -* || $prev == $command ]]; then
        COMPREPLY=($(compgen -W "$1" -- "$cur"))
    fi
}

# Completes the last name of a comma-separated list.
_lzr_list() {
    local head= last=$cur
    if [[ $cur == *,* ]]; then head=${cur%,*},; last=${cur##*,}; fi
    COMPREPLY=($(compgen -P "$head" -W "$1" -- "$last"))
}

# The names of handshakes; after three letters those that others have for them, too.
_lzr_known() {
    local last=${cur##*,}
    if ((${#last} < 3)); then
        _lzr_list "$_lzr_handshakes"
    else
        _lzr_list "$_lzr_handshakes $_lzr_aliases"
    fi
}

complete -o bashdefault -F _lzr lzr
