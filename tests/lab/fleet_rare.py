"""Rarer servers for `make test-live`: protocols that no other fleet speaks."""

from __future__ import annotations

from tests.lab.daemons import Daemon

# The registry sets a security manager, which Java 18 and later want to be asked for.
_JAVA = "exec java -Xmx48m -Djava.security.manager=allow -Djava.rmi.server.hostname=127.0.0.1 "

OLD = (
    Daemon(
        "inetd-daytime",
        "daytime",
        "echo 'daytime @PORT@/tcp' > /etc/services\nexec inetutils-inetd -d /etc/lab-inetd.conf\n",
        handshake="wait",
        apart=("inetutils-inetd",),
        files={"/etc/lab-inetd.conf": "daytime stream tcp nowait root internal\n"},
    ),
    Daemon(
        "inetd-chargen",
        "chargen",
        "echo 'chargen @PORT@/tcp' > /etc/services\nexec inetutils-inetd -d /etc/lab-inetd.conf\n",
        handshake="wait",
        apart=("inetutils-inetd",),
        files={"/etc/lab-inetd.conf": "chargen stream tcp nowait root internal\n"},
    ),
    Daemon(
        "dictd",
        "dict",
        "printf 'hello\\n  a greeting\\n' > /tmp/lab.dict; printf 'hello\\tA\\tU\\n' > /tmp/lab.index\n"
        "exec dictd -d nodetach -c /etc/lab-dictd.conf --listen-to @ADDRESS@ -p @PORT@\n",
        handshake="wait",
        packages=("dictd",),
        files={
            "/etc/lab-dictd.conf": "access { allow * }\n"
            "database lab { data /tmp/lab.dict index /tmp/lab.index }\n",
        },
    ),
)

CODE = (
    Daemon(
        "jdwp",
        "jdwp",
        f"{_JAVA}-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=@ADDRESS@:@PORT@ "
        "-m java.rmi/sun.rmi.registry.RegistryImpl 25997\n",
        packages=("openjdk-21-jre-headless|openjdk-17-jre-headless",),
    ),
    Daemon(
        "rmiregistry",
        "rmi",
        f"{_JAVA}-m java.rmi/sun.rmi.registry.RegistryImpl @PORT@\n",
        packages=("openjdk-21-jre-headless|openjdk-17-jre-headless",),
    ),
    Daemon(
        "gdbserver",
        "gdbserver",
        "exec gdbserver --multi @ADDRESS@:@PORT@\n",
        packages=("gdbserver",),
    ),
    Daemon(
        "dbus",
        "dbus",
        "mkdir -p /run/dbus; exec dbus-daemon --nofork --config-file=/etc/lab-dbus.conf\n",
        packages=("dbus-daemon",),
        files={
            "/etc/lab-dbus.conf": "<busconfig><listen>tcp:host=@ADDRESS@,port=@PORT@,family=ipv4</listen>"
            "<auth>ANONYMOUS</auth><allow_anonymous/><policy context='default'><allow user='*'/></policy>"
            "</busconfig>\n"
        },
    ),
)

WATCH = (
    Daemon(
        "upsd",
        "nut",
        "mkdir -p /run/nut /etc/nut; chown nut /run/nut; printf '[lab]\\n driver = dummy-ups\\n port = x\\n' "
        "> /etc/nut/ups.conf\n"
        "echo 'LISTEN @ADDRESS@ @PORT@' > /etc/nut/upsd.conf; echo > /etc/nut/upsd.users\n"
        "chmod 644 /etc/nut/*; exec /lib/nut/upsd -D\n",
        apart=("nut-server",),
    ),
    Daemon(
        "nrpe",
        "nrpe",
        "mkdir -p /run/nagios; exec nrpe -f -n -c /etc/lab-nrpe.cfg\n",
        packages=("nagios-nrpe-server",),
        files={
            "/etc/lab-nrpe.cfg": "server_address=@ADDRESS@\nserver_port=@PORT@\nnrpe_user=nobody\n"
            "nrpe_group=nogroup\nallowed_hosts=10.1.0.2\npid_file=/tmp/nrpe.pid\n"
        },
    ),
    Daemon(
        "gpsd",
        "gpsd",
        "exec gpsd -N -G -n -S @PORT@ -F /tmp/gpsd.sock\n",
        handshake="wait",
        packages=("gpsd",),
    ),
    Daemon(
        "gmond",
        "ganglia",
        "exec gmond -f -c /etc/lab-gmond.conf\n",
        handshake="wait",
        packages=("ganglia-monitor",),
        releases=("bookworm",),
        files={
            "/etc/lab-gmond.conf": "globals { daemonize = no setuid = no user = nobody debug_level = 0 "
            "mute = no deaf = no }\ncluster { name = lab }\n"
            "tcp_accept_channel { port = @PORT@ bind = @ADDRESS@ }\n"
            "modules { module { name = core_metrics } }\n"
        },
    ),
    Daemon(
        "varnish",
        "varnish-cli",
        "mkdir -p /tmp/varnish; echo secret > /tmp/secret\n"
        "exec varnishd -F -n /tmp/varnish -T @ADDRESS@:@PORT@ -a 127.0.0.1:25996 -b none -S /tmp/secret\n",
        handshake="wait",
        packages=("varnish",),
    ),
    Daemon(
        "apcupsd",
        "apcupsd",
        "mkdir -p /run/lock /run; exec apcupsd -b -f /etc/lab-apcupsd.conf\n",
        packages=("apcupsd",),
        files={
            "/etc/lab-apcupsd.conf": "## apcupsd.conf v1.1 ##\nUPSCABLE ether\nUPSTYPE net\n"
            "DEVICE 127.0.0.1:9\nLOCKFILE /run/lock\nNETSERVER on\nNISIP @ADDRESS@\nNISPORT @PORT@\n"
            "EVENTSFILE /tmp/events\nPWRFAILDIR /tmp\nNOLOGINDIR /tmp\nSCRIPTDIR /etc/apcupsd\n"
        },
    ),
    Daemon(
        "clamd",
        "clamd",
        "mkdir -p /tmp/db; echo 44d88612fea8a8f36de82e1278abb02f:68:lab > /tmp/db/lab.hdb\n"
        "exec clamd -F -c /etc/lab-clamd.conf\n",
        packages=("clamav-daemon",),
        files={
            "/etc/lab-clamd.conf": "TCPAddr @ADDRESS@\nTCPSocket @PORT@\nForeground true\nUser nobody\n"
            "DatabaseDirectory /tmp/db\nTemporaryDirectory /tmp\n"
        },
    ),
)

NAMES = (
    Daemon(
        "bird",
        "bgp",
        "mkdir -p /run/bird; exec bird -f -c /etc/lab-bird.conf -s /tmp/bird.ctl\n",
        packages=("bird2",),
        files={
            "/etc/lab-bird.conf": "router id 10.1.0.10;\nprotocol device {}\n"
            "protocol bgp lab { local @ADDRESS@ port @PORT@ as 65001; neighbor range 10.1.0.0/24 as 65002; "
            "strict bind on; passive on; ipv4 { import none; export none; }; }\n"
        },
    ),
    Daemon(
        "tor-control",
        "tor-control",
        "mkdir -p /tmp/torc; exec tor -f /etc/lab-torrc --DataDirectory /tmp/torc\n",
        packages=("tor",),
        others={"http": "http"},  # "Tor is not an HTTP proxy" here too
        files={
            "/etc/lab-torrc": "SocksPort 0\nControlPort @ADDRESS@:@PORT@\nDisableNetwork 1\nLog err stderr\n"
            "HashedControlPassword 16:872860B76453A77D60CA2BB8C1A7042072093276A3D701AD684053EC4C\n"
        },
    ),
    Daemon(
        "i2pd",
        "i2p-sam",
        "mkdir -p /tmp/i2pd; exec i2pd --datadir=/tmp/i2pd --sam.enabled=1 --sam.address=@ADDRESS@ "
        "--sam.port=@PORT@ --http.enabled=0 --httpproxy.enabled=0 --socksproxy.enabled=0 --log=stdout\n",
        packages=("i2pd",),
    ),
    Daemon(
        "saned",
        "sane",
        "echo 10.0.0.0/8 > /etc/sane.d/saned.conf; exec saned -l -b @ADDRESS@ -p @PORT@ -u nobody\n",
        packages=("sane-utils",),
    ),
    Daemon(
        "fingerd",
        "finger",
        "exec python3 /lab/inetd.py @ADDRESS@ @PORT@ /usr/sbin/in.fingerd\n",
        apart=("fingerd", "finger"),
    ),
)

DATA = (
    Daemon(
        "tarantool",
        "tarantool",
        "mkdir -p /tmp/tt; cd /tmp/tt; exec tarantool /lab/tt.lua\n",
        handshake="wait",
        packages=("tarantool",),
        files={"/lab/tt.lua": "box.cfg{listen='@ADDRESS@:@PORT@', memtx_memory=33554432}\n"},
    ),
    Daemon(
        "zeromq",
        "zmtp",
        "PYTHONPATH=/lab/pip exec /usr/bin/python3 /lab/zero.py\n",
        handshake="wait",
        pip=("pyzmq==26.2.0",),
        files={
            "/lab/zero.py": "import time\nimport zmq\nsocket = zmq.Context().socket(zmq.ROUTER)\n"
            "socket.bind('tcp://@ADDRESS@:@PORT@')\ntime.sleep(36000)\n"
        },
    ),
    Daemon(
        "opcua",
        "opcua",
        "PYTHONPATH=/lab/pip exec /usr/bin/python3 /lab/opcua_server.py\n",
        pip=("asyncua==1.1.5",),
        files={
            "/lab/opcua_server.py": "import asyncio\nfrom asyncua import Server\n"
            "async def main():\n    server = Server()\n    await server.init()\n"
            "    server.set_endpoint('opc.tcp://@ADDRESS@:@PORT@/lab/')\n    await server.start()\n"
            "    await asyncio.sleep(36000)\nasyncio.run(main())\n"
        },
    ),
    Daemon(
        "iec104",
        "iec104",
        "PYTHONPATH=/lab/pip exec /usr/bin/python3 /lab/iec.py\n",
        pip=("c104==2.2.1",),
        files={
            "/lab/iec.py": "import time\nimport c104\nserver = c104.Server(ip='@ADDRESS@', port=@PORT@)\n"
            "server.add_station(common_address=47)\nserver.start()\ntime.sleep(36000)\n"
        },
    ),
    Daemon(
        "etcd",
        "http",
        "exec etcd --data-dir /tmp/etcd --listen-client-urls http://@ADDRESS@:@PORT@ "
        "--advertise-client-urls http://@ADDRESS@:@PORT@ --listen-peer-urls http://127.0.0.1:0\n",
        packages=("etcd-server",),
        others={"http2": "http2"},
    ),
    Daemon(
        "prometheus",
        "http",
        "touch /etc/lab-prometheus.yml; exec prometheus --config.file=/etc/lab-prometheus.yml "
        "--storage.tsdb.path=/tmp/prometheus --web.listen-address=@ADDRESS@:@PORT@\n",
        packages=("prometheus",),
        application="prometheus",
    ),
)

RARE = (*OLD, *CODE, *WATCH, *NAMES, *DATA)
