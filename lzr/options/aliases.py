"""Other names of handshakes: what other tools, IANA and vendors call them.

Two tables in plain text, read by `handshakes`. ALIASES: a handshake and the other names of what it asks for;
everything that speaks TLS first is `tls`, everything that is a page or an API is `http`. ABSENT: names of
services that cannot be asked for here, by reason (see `handshakes.REASONS`).

Names are compared in lower case, with ``-`` for ``_``, blanks and dots, so one spelling is enough.
"""

from __future__ import annotations

_ALIASES = """
tls: https ssl/tls tls1 tls1-0 tls1-1 tls1-2 tls1-3 tlsv1 tlsv1-2 tlsv1-3 ssl3 sslv3 ssl-tls https-alt
  https-443 ssl/http ssl/https httpssl imaps imap4s pop3s spop3 smtps ssmtp submissions smtpssl ftps ftps-data
  ldaps ldapssl sldap globalcatldapssl telnets telnetssl nntps snews ircs ircs-u sips sip-tls rtsps mqtts
  secure-mqtt mqtt-tls amqps xmpps rediss redis-tls wss dot domain-s dns-over-tls doh dns-over-https
  syslog-tls syslogs radsec rdps winrms wsmans kubernetes-tls docker-tls docker-s dockers mysqls postgress
  mongodbs kafkas kafka-ssl sstp anyconnect globalprotect fortinet sslvpn ssl-vpn openconnect vsphere vcenter
  esxi vmware tor tor-orport plex gemini iiops ssh-over-tls mumble murmur managesieves certificate cert x509
ssl: ssl2 sslv2 sslv23
http: www web web-server webserver http1 http1-0 http1-1 http/1 http/1-0 http/1-1 http-alt http-proxy proxy
  httpd webcache squid squid-http http-mgmt http-rpc-epmap rest soap api html page webdav caldav carddav tr069
  tr-069 cwmp acs gsoap upnp-http nginx apache apache2 httpd-alt iis tomcat jetty lighttpd caddy haproxy envoy
  traefik node-js docker dockerd docker-api docker-registry registry containerd portainer rancher podman
  elasticsearch elastic es opensearch solr kibana logstash splunk graylog influx influxdb couchdb
  clickhouse-http minio s3 ceph-rgw prometheus node-exporter cadvisor alertmanager pushgateway grafana loki
  tempo jaeger zipkin victoriametrics consul nomad vault etcd etcd-client jenkins gitlab gitea gogs nexus
  artifactory sonarqube harbor jupyter airflow mlflow ollama vllm openai qdrant milvus weaviate chroma
  hadoop-web namenode hdfs-web yarn spark flink nifi druid presto trino hive-web impala hue superset metabase
  rabbitmq-management kafka-rest schema-registry ksql pulsar-admin activemq-web eureka spring actuator
  wordpress php phpmyadmin adminer webmin cpanel plesk winrm wsman webcam ipcam onvif roku
  chromecast homeassistant home-assistant nodered node-red octoprint pihole unifi synology qnap xmlrpc xml-rpc
  json-rpc jsonrpc graphql swagger soap-http ethereum eth geth
http2: h2 h2c http/2 http2-0 grpc spdy
websocket: ws websockets socket-io signalr
ipp: cups airprint ipps internet-printing
kubernetes: k8s kube kube-apiserver kubernetes-api kubernetes-apiserver kubelet openshift apiserver
rtsp: rtsp-alt gstreamer
ssh: ssh2 sshd openssh dropbear sftp scp netconf netconf-ssh git-ssh gerrit
telnet: telnetd bbs mud
vty: zebra quagga frr cisco-vty ospfd bgpd-vty
smtp: esmtp submission mail mta smtp-submission mail-submission postfix exim sendmail smtpd
lmtp: lmtpd
pop3: pop pop-3 pop3d
imap: imap2 imap4 imap4rev1 imapd dovecot cyrus
managesieve: sieve timsieved
ftp: ftpd ftp-control vsftpd proftpd pure-ftpd filezilla ftp-proxy
mysql: mariadb percona mysqld maria tidb aurora memsql singlestore vitess mysql-cluster
mysqlx: mysql-x x-protocol mysql-xprotocol
postgres: postgresql pgsql pg psql postgre postgres-sql cockroach cockroachdb redshift greenplum timescale
  timescaledb yugabyte yugabytedb pgbouncer edb
mongodb: mongo mongod mongos documentdb docdb mongo-db
redis: redis-server valkey keydb dragonfly sentinel redis-sentinel resp
memcached_ascii: memcache memcached memcached-text memcached-tcp
memcached_binary: memcached-bin
mssql: ms-sql ms-sql-s ms-sql-server sqlserver sql-server mssqlserver tds msql
oracle: oracle-tns tns oracle-db oracledb oracle-sql ncube-lm sqlnet oracle-listener
drda: db2 ibm-db2 derby
sybase: sybase-ase tds5 ase
h2-database: h2db h2-db
firebird: interbase gds-db gds firebirdsql
cassandra: cql scylla scylladb cassandra-native
bolt: neo4j memgraph
clickhouse: clickhouse-native clickhouse-tcp
elasticsearch-transport: es-transport elastic-transport opensearch-transport
rethinkdb: rethink
couchbase: memcached-couchbase membase
mqtt: mosquitto emqx hivemq mqtt-tcp
amqp: rabbitmq rabbit amqp091 amqp0-9-1 qpid amqp1-0
openwire: activemq artemis active-mq
stomp: stomp-tcp
kafka: kafka-broker redpanda
zookeeper: zk zoo
nats: nats-server nats-io
zmtp: zeromq zmq 0mq
beanstalkd: beanstalk
gearman: gearmand
nsq: nsqd
fluentd: fluent fluent-bit fluentbit fluent-forward
vnc: rfb vnc-1 realvnc tightvnc tigervnc ultravnc x11vnc
rdp: ms-wbt-server terminal-server remote-desktop msrdp xrdp ms-rdp termserv
x11: x x-server xorg xwindow x-window x11-1 x-11 x11-server
spice: spice-server qxl
ica: citrix citrix-ica
pptp: pptpd pptp-vpn
openvpn: ovpn openvpn-tcp
smb: smb1 smb2 smb3 cifs samba microsoft-ds ms-ds windows-share smb-direct
netbios-ssn: netbios nbt nbss netbios-session
dcerpc: msrpc ms-rpc epmap dcom rpc-dcom wmi rpcss msrpc-epm dce-rpc loc-srv
rpcbind: sunrpc portmap portmapper rpc-bind
rpc: nfs nfsd mountd nlockmgr statd ypserv nis onc-rpc oncrpc
ldap: ldap-ad active-directory ad slapd openldap globalcatldap msft-gc global-catalog
kerberos: kerberos-sec krb5 krb kdc kerberos5
dns: domain named bind bind9 dns-tcp unbound axfr dnsmasq powerdns
finger: fingerd
ident: identd auth tap
epmd: erlang erlang-epmd
bgp: bgpd bird gobgp
ipmi: rmcp asf-rmcp bmc
modbus: modbus-tcp modbustcp mbap plc
s7: s7comm step7 simatic profinet iso-tsap-s7 s7-300 s7-1200
siemens: cotp tpkt iso-tsap tsap
mms: iec61850 iec-61850 mms-61850
dnp3: dnp dnp3-0 dnp-sec
iec104: iec-104 iec60870 iec-60870 iec60870-5-104 iec-60870-5-104
enip: ethernet/ip ethernetip ethernet-ip cip ethernet-ip-2 rockwell
opcua: opc-ua opc-tcp opc ua-tcp
fox: niagara niagara-fox tridium foxs
ams: twincat ads beckhoff
slmp: melsec mitsubishi mc-protocol
melsoft: melsec-q gx-works
ge-srtp: gesrtp srtp-ge
proconos: multiprog
crimson: red-lion redlion cr3 crimson-v3
crestron: crestron-cip crestron-ctp
dahua: dhip dahua-dvr
hikvision: hik-connect hikvision-sdk
fins: omron omron-fins
pcworx: phoenix phoenix-contact pcworx-plc
knxnet-ip: knx knxnetip eib
hart-ip: hart
c1222: ansi-c12-22 c12-22
synphasor: c37-118 pmu ieee-c37-118
codesys: codesys-v2 codesys-v3
zabbix: zabbix-agent zabbix-server zabbix-agentd zabbix-trapper
nrpe: nagios nagios-nrpe icinga
check-mk: checkmk
iperf3: iperf
uptime-agent: up-time idera
netbackup: bpcd vnetd bpjava
landesk: landesk-rc ivanti
acp: airport airport-admin acpp
qotd: quote
xfs: font-service font-server x-font-server
msdtc: tip
beep: xgrid
jboss-remoting: jboss wildfly-remoting
tacacs: tacacs+ tacacs-plus
login: rlogin
shell: rsh
exec: rexec
h323: h-323
bittorrent: torrent
ibm-mq: mq websphere-mq
munin: munin-node
nut: ups upsd
ganglia: gmond gmetad
gpsd: gps gpsd-json
asterisk-ami: asterisk ami
freeswitch: esl freeswitch-esl
teamspeak: ts3 teamspeak3 teamspeak-query ts3-query
xmpp: jabber xmpp-client xmpp-server ejabberd prosody
irc: ircd irc-server
sip: sip-tcp voip kamailio opensips
nntp: usenet news innd
minecraft: mc minecraft-java
icy: shoutcast icecast
rtmp: rtmp-stream
spamd: spamassassin
clamd: clamav
rsync: rsyncd
svn: subversion svnserve
git: git-daemon gitd
cvs: cvspserver
distcc: distccd
gdbserver: gdb gdb-remote gdb-rsp
rmi: java-rmi rmiregistry jmx jmxremote jrmp
jdwp: java-debug java-debugger
t3: weblogic wls bea
giop: corba iiop
ajp13: ajp ajp1-3 ajp12 jk
hadoop-ipc: hdfs hadoop hadoop-rpc hbase
iscsi: iscsi-target
afp: afpovertcp appleshare netatalk
nbd: nbd-server network-block-device
ceph: ceph-mon ceph-osd
ndmp: ndmpd
9p: plan9 9pfs
usbip: usb-ip
sane: saned scanner
socks: socks-proxy
socks4: socks4a
socks5: socks5h dante tor-socks
icap: c-icap
i2p-sam: i2p sam
winbox: mikrotik routeros mikrotik-winbox
mikrotik-btest: btest bandwidth-test
adb: android android-debug android-debug-bridge adbd
dvrip: xmeye sofia dvr
tplink-smarthome: tplink kasa tp-link
cisco-smi: smart-install smartinstall smi
mpd: music-player-daemon
hl7: mllp hl7-mllp
dicom: pacs dicom-scp acr-nema
diameter: diameterd
sap-ni: sap saprouter sap-router
vmware-authd: vmware-auth iss-realsecure
bitcoin: btc bitcoind
levin: monero monerod
stratum: mining stratum-mining
electrum: electrumx
libp2p: ipfs
qmp: qemu qemu-monitor
libvirt: libvirtd
varnish-cli: varnish varnishadm
rserve: r-serve
wait: banner banners greeting greetings null nothing passive silent silence listen server-first no-data
  empty tcp tcpwrapped syn-ack connect
newlines: newline crlf lf enter
"""

_ABSENT = """
udp: ntp sntp chrony snmp snmptrap snmp-trap snmpv3 tftp tftpd syslog rsyslog dhcp dhcpd dhcpv6 bootp bootps
  bootpc radius radius-acct netbios-ns netbios-dgm nbname nbstat ssdp upnp mdns zeroconf bonjour avahi llmnr
  wsd ws-discovery wsdd coap coaps isakmp ike ikev2 ipsec ipsec-nat-t l2tp wireguard wg quic h3 http3 http/3
  turn rip ripng bfd nat-pmp natpmp pcp dtls bacnet bacnet-ip rtp rtcp netflow sflow ipfix gtp gtp-c
  gtp-u mosh xdmcp quake quake3 a2s source-engine valve steam rmcp-udp asf chargen-udp qotd-udp ubiquiti
  ubiquiti-discovery mssql-browser ms-sql-m sql-browser afs afs3 tzsp vxlan geneve teredo db-lsp-disc
  citrix-browser moxa-nport lantronix hid-discovery sentinel-udp statsd collectd capwap fins-udp
lower: icmp ping sctp dccp igmp ospf eigrp gre esp arp arping
paper: jetdirect hp-pjl raw raw-print printer lpr lp pdl pdl-datastream
  appsocket
"""

_NO_HANDSHAKE = """
rcmd time discard systat netstat time-tcp nfs-rdma mgcp sccp skinny megaco msmq msnp oscar edonkey emule
shadowsocks vmess trojan informix ingres hana sap-hana teradata vertica netezza anydesk rustdesk
pcanywhere dameware vnc-reverse hsrp ldp msdp pim rsvp tibco nsca snmp-tcp
slp afs-rpc smux agentx rtmfp mms-streaming rtmpt starttls webrtc hessian dubbo nacos
"""
NO_HANDSHAKE = frozenset(_NO_HANDSHAKE.split())
"""Names of TCP services for which there is neither a handshake nor a label here."""


def plain(name: str) -> str:
    """A name in the form in which the tables have it."""
    return name.strip().lower().translate(_SAME)


_SAME = str.maketrans("_ .:", "----")


def _read(table: str) -> dict[str, str]:
    """Other name → the name it stands for."""
    found: dict[str, str] = {}
    of = ""
    for word in table.split():
        if word.endswith(":"):
            of = word[:-1]
        else:
            found[word] = of
    return found


ALIASES: dict[str, str] = _read(_ALIASES)
ABSENT: dict[str, str] = _read(_ABSENT)
