"""More daemons for `make test-live`: chat, messages, names and tunnels, stores and machines."""

from __future__ import annotations

from tests.lab.daemons import Daemon

CHAT = (
    Daemon(
        "ngircd",
        "irc",
        "exec ngircd -n -f /etc/lab-ngircd.conf\n",
        packages=("ngircd",),
        files={
            "/etc/lab-ngircd.conf": "[Global]\nName = irc.lab.example.org\nListen = @ADDRESS@\nPorts = "
            "@PORT@\n"
            "Info = lab\nServerUID = irc\nServerGID = irc\n[Options]\nDNS = no\nIdent = no\nPAM = no\n"
        },
    ),
    Daemon(
        "prosody",
        "xmpp",
        "mkdir -p /tmp/prosody /run/prosody; chown prosody /tmp/prosody /run/prosody\n"
        "exec su prosody -s /bin/sh -c 'exec prosody -F --config /etc/lab-prosody.cfg.lua'\n",
        packages=("prosody",),
        files={
            "/etc/lab-prosody.cfg.lua": 'interfaces = { "@ADDRESS@" }\nc2s_ports = { @PORT@ }\n'
            'modules_enabled = { "saslauth", "disco" }\nmodules_disabled = { "s2s" }\n'
            'data_path = "/tmp/prosody"\npidfile = "/run/prosody/p.pid"\n'
            'c2s_require_encryption = false\nlog = { warn = "*console" }\nVirtualHost "lab.example.org"\n'
        },
    ),
    Daemon(
        "kamailio",
        "sip",
        "mkdir -p /run/kamailio; exec kamailio -DD -E -f /etc/lab-kamailio.cfg -l tcp:@ADDRESS@:@PORT@ "
        "-m 16 -M 4\n",
        packages=("kamailio",),
        files={
            "/etc/lab-kamailio.cfg": 'loadmodule "sl.so"\nloadmodule "pv.so"\n'
            'request_route { sl_send_reply("200", "OK"); exit; }\n'
        },
    ),
    Daemon(
        "mumble",
        "tls",
        # Its name before 1.5, too.
        "exec $(command -v mumble-server || command -v murmurd) -fg -ini /etc/lab-mumble.ini\n",
        packages=("mumble-server",),
        files={"/etc/lab-mumble.ini": "database=/tmp/mumble.sqlite\nhost=@ADDRESS@\nport=@PORT@\nlogfile=\n"},
    ),
    Daemon(
        "gstreamer-rtsp",
        "rtsp",
        "exec /usr/bin/python3 /lab/rtsp.py\n",
        others={"http": "rtsp"},  # refused in HTTP's form, by a server that calls itself RTSP's
        packages=(
            "python3-gi",
            "gir1.2-gst-rtsp-server-1.0",
            "gstreamer1.0-plugins-base",
            "gstreamer1.0-plugins-good",
        ),
        files={
            "/lab/rtsp.py": "import gi\ngi.require_version('Gst', '1.0')\n"
            "gi.require_version('GstRtspServer', '1.0')\n"
            "from gi.repository import GLib, Gst, GstRtspServer\nGst.init(None)\n"
            "server = GstRtspServer.RTSPServer()\nserver.set_address('@ADDRESS@')\n"
            "server.set_service('@PORT@')\nserver.attach(None)\nGLib.MainLoop().run()\n"
        },
    ),
    Daemon(
        "mpd",
        "mpd",
        "mkdir -p /tmp/mpd; exec mpd --no-daemon --stderr /etc/lab-mpd.conf\n",
        packages=("mpd",),
        handshake="wait",
        files={
            "/etc/lab-mpd.conf": 'bind_to_address "@ADDRESS@"\nport "@PORT@"\nmusic_directory "/tmp/mpd"\n'
            'state_file "/tmp/mpd/state"\nuser "root"\naudio_output {\n type "null"\n name "n"\n}\n'
        },
    ),
)

MESSAGES = (
    Daemon(
        "mosquitto",
        "mqtt",
        "exec mosquitto -c /etc/lab-mosquitto.conf\n",
        packages=("mosquitto",),
        files={"/etc/lab-mosquitto.conf": "listener @PORT@ @ADDRESS@\nallow_anonymous true\nuser nobody\n"},
    ),
    Daemon(
        "rabbitmq",
        "amqp",
        "mkdir -p /tmp/rmq; chown -R rabbitmq /tmp/rmq\n"
        "export RABBITMQ_MNESIA_BASE=/tmp/rmq RABBITMQ_LOG_BASE=/tmp/rmq RABBITMQ_NODENAME=lab@localhost "
        "RABBITMQ_NODE_IP_ADDRESS=@ADDRESS@ RABBITMQ_NODE_PORT=@PORT@ RABBITMQ_DIST_PORT=25999 "
        "ERL_EPMD_PORT=24369 RABBITMQ_LOGS=- RABBITMQ_PID_FILE=/tmp/rmq/pid HOME=/tmp/rmq\n"
        "exec setpriv --reuid=rabbitmq --regid=rabbitmq --clear-groups "
        "/usr/lib/rabbitmq/bin/rabbitmq-server\n",
        packages=("rabbitmq-server",),
    ),
    Daemon(
        "nats-server",
        "nats",
        "exec nats-server -a @ADDRESS@ -p @PORT@\n",
        packages=("nats-server",),
        handshake="wait",
    ),
    Daemon(
        "zookeeper",
        "zookeeper",
        "mkdir -p /tmp/zk\n"
        'exec java -Xmx64m -cp "/etc/zookeeper/conf:/usr/share/java/zookeeper.jar:/usr/share/java/*" '
        "-Dzookeeper.admin.enableServer=false org.apache.zookeeper.server.ZooKeeperServerMain "
        "/etc/lab-zoo.cfg\n",
        packages=("zookeeper",),
        files={
            "/etc/lab-zoo.cfg": "tickTime=2000\ndataDir=/tmp/zk\nclientPort=@PORT@\n"
            "clientPortAddress=@ADDRESS@\n"
            "4lw.commands.whitelist=*\n"
        },
    ),
    Daemon(
        "beanstalkd",
        "beanstalkd",
        "exec beanstalkd -l @ADDRESS@ -p @PORT@\n",
        packages=("beanstalkd",),
        handshake="newlines",
    ),
    Daemon(
        "gearmand",
        "gearman",
        "exec gearmand -L @ADDRESS@ -p @PORT@ -l stderr\n",
        packages=("gearman-job-server",),
    ),
)

NETWORK = (
    Daemon(
        "bind9",
        "dns",
        "mkdir -p /tmp/named /run/named; exec named -g -c /etc/lab-named.conf\n",
        packages=("bind9",),
        files={
            "/etc/lab-named.conf": 'options { directory "/tmp/named"; listen-on port @PORT@ { '
            "@ADDRESS@; }; "
            "listen-on-v6 { none; }; recursion no; allow-query { any; }; pid-file none; "
            'session-keyfile none; };\ncontrols { };\nzone "example.org" { type primary; file '
            '"/etc/lab-zone"; };\n',
            "/etc/lab-zone": "$TTL 60\n@ IN SOA lab. root.lab. 1 60 60 60 60\n@ IN NS lab.example.org.\n"
            "lab IN A 10.1.0.10\n",
        },
    ),
    Daemon(
        "unbound",
        "dns",
        "exec unbound -d -c /etc/lab-unbound.conf\n",
        packages=("unbound",),
        files={
            "/etc/lab-unbound.conf": "server:\n  interface: @ADDRESS@@@PORT@\n  port: @PORT@\n"
            "  access-control: 0.0.0.0/0 allow\n  use-syslog: no\n  chroot: ''\n  username: ''\n"
            "  pidfile: ''\n  do-not-query-localhost: no\n"
            "forward-zone:\n  name: .\n  forward-addr: 127.0.0.1@9\nremote-control:\n  control-enable: no\n"
        },
        handshake="dns",
    ),
    Daemon(
        "slapd",
        "ldap",
        "mkdir -p /tmp/ldap; exec slapd -d 0 -f /etc/lab-slapd.conf -h ldap://@ADDRESS@:@PORT@/\n",
        packages=("slapd",),
        files={
            "/etc/lab-slapd.conf": "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\n"
            "moduleload back_mdb\ndatabase mdb\nsuffix dc=lab\ndirectory /tmp/ldap\n"
        },
    ),
    Daemon(
        "krb5kdc",
        "kerberos",
        "printf 'x\\nx\\n' | kdb5_util create -s -r LAB -P x; exec krb5kdc -n\n",
        packages=("krb5-kdc",),
        files={
            "/etc/krb5.conf": "[libdefaults]\ndefault_realm = LAB\n",
            "/etc/krb5kdc/kdc.conf": '[kdcdefaults]\nkdc_listen = ""\nkdc_tcp_listen = @ADDRESS@:@PORT@\n'
            "[realms]\nLAB = {\ndatabase_name = /tmp/principal\nkey_stash_file = /tmp/stash\n}\n",
        },
    ),
    Daemon(
        "pptpd",
        "pptp",
        "exec pptpd -f -c /etc/lab-pptpd.conf -l @ADDRESS@\n",
        packages=("pptpd",),
        files={"/etc/lab-pptpd.conf": "localip 10.9.0.1\nremoteip 10.9.0.2-9\nnoipparam\n"},
        port=1723,
    ),
    Daemon(
        "dante",
        "socks5",
        "exec danted -f /etc/lab-danted.conf\n",
        packages=("dante-server",),
        releases=("bookworm",),
        also=("socks",),
        files={
            "/etc/lab-danted.conf": "logoutput: stderr\ninternal: @ADDRESS@ port = @PORT@\nexternal: eth0\n"
            "socksmethod: none\nclientmethod: none\nuser.privileged: root\nuser.unprivileged: nobody\n"
            "client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\nsocks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\n"
        },
    ),
    Daemon(
        "tor",
        "socks5",
        "mkdir -p /tmp/tor; exec tor -f /etc/lab-torrc --DataDirectory /tmp/tor\n",
        packages=("tor",),
        also=("socks",),
        others={"http": "http"},  # "Tor is not an HTTP proxy", it says in HTTP
        files={"/etc/lab-torrc": "SocksPort @ADDRESS@:@PORT@\nDisableNetwork 0\nLog err stderr\n"},
    ),
    Daemon(
        "oidentd",
        "ident",
        "exec oidentd -i -a @ADDRESS@ -p @PORT@ -u nobody\n",
        packages=("oidentd",),
    ),
    Daemon(
        "epmd",
        "epmd",
        "export ERL_EPMD_PORT=@PORT@ HOME=/tmp; epmd -port @PORT@ -daemon\nexec erl -sname lab -noinput\n",
        packages=("erlang-base",),
    ),
    Daemon(
        "openvpn",
        "openvpn",
        "openvpn --genkey secret /tmp/key\n"
        "exec openvpn --dev null --proto tcp-server --local @ADDRESS@ --port @PORT@ --tls-server "
        # It gives up and starts anew where nobody calls for that long.
        "--cert @CERT@ --key @KEY@ --ca @CERT@ --dh none --connect-timeout 86400\n",
        packages=("openvpn",),
    ),
    Daemon(
        "rpcbind",
        "rpcbind",
        "exec rpcbind -f -w -h @ADDRESS@\n",
        packages=("rpcbind",),
        port=111,
        others={"rpc": "rpc"},
    ),
    Daemon(
        "c-icap",
        "icap",
        "mkdir -p /run/c-icap; exec c-icap -N -D -f /etc/lab-icap.conf\n",
        packages=("c-icap",),
        files={
            "/etc/lab-icap.conf": "PidFile /run/c-icap/p\nCommandsSocket /run/c-icap/s\nPort "
            "@ADDRESS@:@PORT@\n"
            "StartServers 1\nMaxServers 2\nServerName lab\nServerAdmin a@lab\nModulesDir "
            "/usr/lib/x86_64-linux-gnu/c_icap\n"
            "ServicesDir /usr/lib/x86_64-linux-gnu/c_icap\nServerLog /tmp/icap.log\nAccessLog "
            "/tmp/access.log\n"
            "Service echo srv_echo.so\n"
        },
    ),
    Daemon(
        "gophernicus",
        "gopher",
        "mkdir -p /var/gopher; exec python3 /lab/inetd.py @ADDRESS@ @PORT@ setpriv --reuid=65534 "
        "--regid=65534 --clear-groups /usr/sbin/gophernicus -h lab\n",
        packages=("gophernicus",),
    ),
)

STORES = (
    Daemon(
        "firebird",
        "firebird",
        "exec /usr/sbin/firebird -s -p @PORT@\n",
        packages=("firebird3.0-server",),
    ),
    Daemon(
        "munin-node",
        "munin",
        "mkdir -p /run/munin; exec munin-node --foreground --config /etc/lab-munin.conf\n",
        packages=("munin-node",),
        handshake="wait",
        files={
            "/etc/lab-munin.conf": "log_file /tmp/munin.log\npid_file /tmp/munin.pid\nhost @ADDRESS@\n"
            "port @PORT@\n"
            "allow ^.*$\nbackground 0\nsetsid 0\nuser root\ngroup root\n"
        },
    ),
    Daemon(
        "zabbix-agent",
        "zabbix",
        "mkdir -p /run/zabbix; exec su zabbix -s /bin/sh -c 'exec zabbix_agentd -f -c "
        "/etc/lab-zabbix.conf'\n",
        packages=("zabbix-agent",),
        files={
            "/etc/lab-zabbix.conf": "LogType=console\nServer=0.0.0.0/0\nListenPort=@PORT@\n"
            "ListenIP=@ADDRESS@\n"
            "PidFile=/tmp/z.pid\nHostname=lab\n"
        },
    ),
    Daemon(
        "dcmtk",
        "dicom",
        "exec storescp @PORT@ -od /tmp\n",
        packages=("dcmtk",),
    ),
    Daemon(
        "pymodbus",
        "modbus",
        "PYTHONPATH=/lab/pip exec /usr/bin/python3 /lab/modbus.py\n",
        pip=("pymodbus==3.6.9",),
        files={
            "/lab/modbus.py": "from pymodbus.server import StartTcpServer\n"
            "from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext\n"
            "from pymodbus.device import ModbusDeviceIdentification\n"
            "identity = ModbusDeviceIdentification(info_name={'VendorName': 'lab', 'ProductCode': 'x', "
            "'MajorMinorRevision': '1'})\n"
            "context = ModbusServerContext(slaves=ModbusSlaveContext(), single=True)\n"
            "StartTcpServer(context=context, identity=identity, address=('@ADDRESS@', @PORT@))\n"
        },
    ),
    Daemon(
        "python-snap7",
        "siemens",
        "PYTHONPATH=/lab/pip exec /usr/bin/python3 /lab/s7.py\n",
        pip=("python-snap7==1.4.1",),
        also=("s7", "cotp"),
        files={
            "/lab/s7.py": "import time\nimport snap7\nserver = snap7.server.Server(log=False)\n"
            "server.start(tcpport=@PORT@)\ntime.sleep(3600)\n"
        },
    ),
)

_SOCAT = "exec socat TCP-LISTEN:@PORT@,bind=@ADDRESS@,fork,reuseaddr,backlog=64 "

ECHOES = (
    Daemon("socat-echo", "echo", f"{_SOCAT} EXEC:cat\n", handshake="http", packages=("socat",)),
    # A short buffer, and a program that returns only the first line.
    Daemon("socat-part", "echo", f"{_SOCAT} EXEC:'head -c 40'\n", handshake="http", packages=("socat",)),
    Daemon("socat-line", "echo", f"{_SOCAT} EXEC:'head -n 1'\n", handshake="http", packages=("socat",)),
    Daemon(
        "inetd-echo",
        "echo",
        "echo 'echo @PORT@/tcp' > /etc/services\nexec inetutils-inetd -d /etc/lab-inetd.conf\n",
        handshake="http",
        apart=("inetutils-inetd",),
        files={"/etc/lab-inetd.conf": "echo stream tcp nowait root internal\n"},
    ),
)
