"""The slower and rarer daemons, for `make test-live`: with CORE, every kind of server Debian can give "
"us."""

from __future__ import annotations

from tests.lab.daemons import Daemon, offered
from tests.lab.fleet_core import DOVECOT_PACKAGES, DOVECOT_RUN, dovecot
from tests.lab.fleet_more import CHAT, ECHOES, MESSAGES, NETWORK, STORES
from tests.lab.fleet_rare import RARE

WEB = (
    Daemon(
        "apache2",
        "http",
        "exec apache2 -D FOREGROUND -f /etc/lab-apache.conf\n",
        packages=("apache2",),
        files={
            "/etc/lab-apache.conf": "ServerRoot /etc/apache2\nServerName @DOMAIN@\nListen "
            "@ADDRESS@:@PORT@\n"
            "PidFile /run/apache.pid\nErrorLog /dev/stderr\nDefaultRuntimeDir /run\nUser www-data\n"
            "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n"
            "LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n"
            "DocumentRoot /var/www/html\n"
        },
    ),
    Daemon(
        "lighttpd",
        "http",
        "exec lighttpd -D -f /etc/lab-lighttpd.conf\n",
        packages=("lighttpd",),
        files={
            # A page of its own: the package leaves one only where no other web server has.
            "/etc/lab-lighttpd.conf": 'server.document-root = "/lab/lighttpd"\nserver.port = @PORT@\n'
            'server.bind = "@ADDRESS@"\nindex-file.names = ( "index.html" )\n',
            "/lab/lighttpd/index.html": "<!DOCTYPE html><title>lighttpd</title><p>It works.</p>\n",
        },
        others={"http2": "http2"},
    ),
    Daemon(
        "haproxy",
        "http",
        "exec haproxy -db -f /etc/lab-haproxy.cfg\n",
        packages=("haproxy",),
        files={
            "/etc/lab-haproxy.cfg": "global\n  stats socket /run/haproxy.sock\ndefaults\n  mode http\n"
            "  timeout connect 5s\n  timeout client 30s\n  timeout server 5s\n"
            "frontend web\n  bind @ADDRESS@:@PORT@\n  http-request return status 200 content-type "
            "text/plain string hello\n"
        },
        others={"http2": "http2"},
    ),
    Daemon(
        "squid",
        "http",
        "touch /tmp/cache.log; chown proxy /tmp/cache.log; exec squid -N -d 1 -f /etc/lab-squid.conf\n",
        packages=("squid",),
        files={
            "/etc/lab-squid.conf": "http_port @ADDRESS@:@PORT@\npid_filename none\ncache_log "
            "/tmp/cache.log\n"
            "access_log none\ncoredump_dir /tmp\ncache_effective_user proxy\nvisible_hostname lab\n"
            "pinger_enable off\nnetdb_filename none\n"
        },
    ),
    Daemon(
        "stunnel4",
        "tls",
        "exec stunnel4 /etc/lab-stunnel.conf\n",
        packages=("stunnel4",),
        files={
            "/etc/lab-stunnel.conf": "foreground = yes\nsyslog = no\npid =\n[lab]\naccept = "
            "@ADDRESS@:@PORT@\n"
            "connect = 127.0.0.1:9\ncert = @CERT@\nkey = @KEY@\n"
        },
    ),
    Daemon(
        "icecast2",
        "http",
        "chmod 644 /etc/lab-icecast.xml; mkdir -p /tmp/log; chmod 777 /tmp/log\n"
        "exec su nobody -s /bin/sh -c 'exec icecast2 -c /etc/lab-icecast.xml'\n",
        packages=("icecast2",),
        files={
            "/etc/lab-icecast.xml": "<icecast><limits><clients>50</clients><sources>2</sources></limits>"
            "<authentication><source-password>x</source-password><admin-password>x</admin-password>"
            "</authentication><hostname>lab</hostname><listen-socket><port>@PORT@</port>"
            "<bind-address>@ADDRESS@</bind-address></listen-socket><paths><basedir>/usr/share/icecast2"
            "</basedir><logdir>/tmp/log</logdir><webroot>/usr/share/icecast2/web</webroot>"
            "<adminroot>/usr/share/icecast2/admin</adminroot></paths></icecast>\n"
        },
    ),
    Daemon(
        "cups",
        "ipp",
        "mkdir -p /run/cups /tmp/cups; cp /etc/lab-cups-files.conf /etc/cups/cups-files.conf\n"
        # Not with exec: cupsd ends its process group when it leads one.
        "cupsd -f -c /etc/lab-cupsd.conf\n",
        packages=("cups",),
        files={
            "/etc/lab-cupsd.conf": "Listen @ADDRESS@:@PORT@\nLogLevel warn\nDefaultAuthType None\n"
            "ServerAlias *\n<Location />\n  Order allow,deny\n  Allow all\n</Location>\n",
            "/etc/lab-cups-files.conf": "ErrorLog /dev/stderr\nAccessLog /tmp/cups/access\n"
            "PageLog /tmp/cups/page\n",
        },
        # Its pages name IPP in their Server field.
        others={"tls": "tls", "http": "ipp"},
    ),
)

SHELLS = (
    Daemon(
        "dropbear",
        "ssh",
        "dropbearkey -t ed25519 -f /tmp/key >/dev/null 2>&1\nexec dropbear -F -E -r /tmp/key -p "
        "@ADDRESS@:@PORT@\n",
        packages=("dropbear-bin",),
        others={"wait": "ssh"},
    ),
    Daemon(
        "tinysshd",
        "ssh",
        "tinysshd-makekey /tmp/keys\n"
        "exec python3 /lab/inetd.py @ADDRESS@ @PORT@ /usr/sbin/tinysshd /tmp/keys\n",
        packages=("tinysshd",),
        others={"wait": "ssh"},
    ),
    Daemon(
        "frr",
        "telnet",
        "mkdir -p /run/frr; chown frr /run/frr; rm -f /etc/frr/frr.conf\n"
        "exec /usr/lib/frr/zebra -A @ADDRESS@ -P @PORT@ -f /etc/lab-zebra.conf -i /run/frr/z.pid\n",
        packages=("frr",),
        files={"/etc/lab-zebra.conf": "hostname lab\npassword lab\n"},
        others={"wait": "telnet"},
    ),
    Daemon(
        "xrdp",
        "rdp",
        "exec xrdp --nodaemon --config /etc/lab-xrdp.ini\n",
        packages=("xrdp",),
        files={
            "/etc/lab-xrdp.ini": "[Globals]\nini_version=1\nfork=true\nport=tcp://@ADDRESS@:@PORT@\n"
            "security_layer=negotiate\ncrypt_level=low\ncertificate=@CERT@\nkey_file=@KEY@\n"
            "[Logging]\nLogFile=/tmp/xrdp.log\nLogLevel=ERROR\n[Channels]\n[Xorg]\nname=Xorg\n"
            "lib=libxup.so\nusername=ask\npassword=ask\nip=127.0.0.1\nport=-1\ncode=20\n"
        },
    ),
    Daemon(
        "tigervnc",
        "vnc",
        "exec Xtigervnc :51 -rfbport @PORT@ -interface @ADDRESS@ -SecurityTypes None -nolisten unix -ac "
        "-geometry 320x240\n",
        packages=("tigervnc-standalone-server",),
        others={"wait": "vnc"},
    ),
    Daemon(
        "x11vnc",
        "vnc",
        "Xvfb :52 -screen 0 320x240x16 -nolisten unix -listen local >/dev/null 2>&1 &\n"
        "Xvfb :52 -screen 0 320x240x16 >/dev/null 2>&1 &\n"
        "for i in $(seq 100); do [ -e /tmp/.X11-unix/X52 ] && break; sleep 0.1; done\n"
        "exec x11vnc -display :52 -rfbport @PORT@ -listen @ADDRESS@ -forever -shared -nopw -q\n",
        packages=("x11vnc", "xvfb"),
        handshake="wait",
    ),
    Daemon(
        "xvfb",
        "x11",
        "exec Xvfb :53 -screen 0 320x240x16 -listen tcp -nolisten unix -ac\n",
        packages=("xvfb",),
        port=6053,
    ),
    Daemon(
        "rsync",
        "rsync",
        "exec rsync --daemon --no-detach --port=@PORT@ --address=@ADDRESS@ --config=/dev/null\n",
        packages=("rsync",),
        handshake="wait",
        others={"http": "rsync"},
    ),
)

FILES = (
    Daemon(
        "proftpd",
        "ftp",
        "exec proftpd -n -q -c /etc/lab-proftpd.conf\n",
        apart=("proftpd-core",),
        files={
            "/etc/lab-proftpd.conf": "ServerName lab\nServerType standalone\nPort @PORT@\nUseIPv6 off\n"
            "DefaultAddress @ADDRESS@\nUser nobody\nGroup nogroup\nWtmpLog off\nPidFile /run/p.pid\n"
            "ScoreboardFile /run/score\nUseReverseDNS off\nModulePath /usr/lib/proftpd\n"
            "<IfModule mod_delay.c>\nDelayEngine off\n</IfModule>\n"
        },
        others={"wait": "ftp"},
    ),
    Daemon(
        "pure-ftpd",
        "ftp",
        "mkdir -p /run/pure-ftpd; exec pure-ftpd -S @ADDRESS@,@PORT@ -E -H\n",
        apart=("pure-ftpd",),
        others={"wait": "ftp"},
    ),
    Daemon(
        "samba",
        "smb",
        "mkdir -p /tmp/samba/private /run/samba; exec smbd -F --no-process-group -p @PORT@ "
        "-s /etc/lab-smb.conf --debug-stdout\n",
        packages=("samba",),
        files={
            "/etc/lab-smb.conf": "[global]\ninterfaces = @ADDRESS@\nbind interfaces only = yes\n"
            "lock directory = /tmp/samba\nstate directory = /tmp/samba\ncache directory = /tmp/samba\n"
            "pid directory = /tmp/samba\nprivate dir = /tmp/samba/private\nncalrpc dir = /tmp/samba\n"
            "disable netbios = yes\nload printers = no\nlog file = /dev/stderr\n"
        },
        others={"netbios-ssn": "netbios-ssn"},
    ),
    Daemon(
        "svnserve",
        "svn",
        "mkdir -p /tmp/r; exec svnserve -d --foreground -r /tmp/r --listen-host @ADDRESS@ --listen-port "
        "@PORT@\n",
        packages=("subversion",),
        handshake="wait",
    ),
    Daemon(
        "git-daemon",
        "git",
        "git init -q --bare /tmp/r/x; exec git daemon --reuseaddr --export-all --base-path=/tmp/r "
        "--listen=@ADDRESS@ --port=@PORT@\n",
        packages=("git",),
    ),
    Daemon(
        "cvs",
        "cvs",
        "cvs -d /tmp/cvs init\n"
        "exec python3 /lab/inetd.py @ADDRESS@ @PORT@ /usr/bin/cvs -f --allow-root=/tmp/cvs pserver\n",
        packages=("cvs",),
        handshake="newlines",
    ),
    Daemon(
        "tgt",
        "iscsi",
        # Without a target it hangs up on everyone.
        "mkdir -p /run/tgtd; tgtd -f --iscsi portal=@ADDRESS@:@PORT@ &\n"
        "for i in $(seq 100); do\n"
        "tgtadm --op new --mode target --tid 1 -T iqn.2001-04.org.example:lab && break; sleep 0.1\n"
        "done\nwait\n",
        packages=("tgt",),
    ),
    Daemon(
        "nbd-server",
        "nbd",
        "truncate -s 1M /tmp/disk; nbd-server -C /etc/lab-nbd.conf\nexec sleep infinity\n",
        packages=("nbd-server",),
        handshake="wait",
        files={
            "/etc/lab-nbd.conf": "[generic]\nport = @PORT@\nlistenaddr = @ADDRESS@\n[disk]\nexportname "
            "= /tmp/disk\n"
        },
    ),
)

MAIL = (
    Daemon(
        "postfix",
        "smtp",
        "mkdir -p /run/postfix\n"
        "install -d -o postfix /var/lib/postfix; cp /etc/lab-main.cf /etc/postfix/main.cf\n"
        "cp /etc/lab-master.cf /etc/postfix/master.cf\n"
        "cp /usr/share/postfix/postfix-files /etc/postfix/ 2>/dev/null || true\n"
        "postfix -c /etc/postfix set-permissions >/dev/null 2>&1 || true\n"
        "mkdir -p /var/spool/postfix/pid /var/spool/postfix/private /var/spool/postfix/public\n"
        "chown postfix /var/spool/postfix/private /var/spool/postfix/public\n"
        "exec /usr/lib/postfix/sbin/master -c /etc/postfix -d\n",
        apart=("postfix",),
        files={
            "/etc/lab-main.cf": "compatibility_level = 3.6\nmyhostname = @DOMAIN@\n"
            "inet_interfaces = @ADDRESS@\ninet_protocols = ipv4\nqueue_directory = /var/spool/postfix\n"
            "daemon_directory = /usr/lib/postfix/sbin\ncommand_directory = /usr/sbin\n"
            "data_directory = /var/lib/postfix\nmail_owner = postfix\nsetgid_group = postdrop\n"
            "shlib_directory = /usr/lib/postfix\nalias_maps =\nalias_database =\n"
            "smtpd_peername_lookup = no\nmaillog_file = /dev/stdout\n",
            "/etc/lab-master.cf": "@PORT@ inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\n"
            "rewrite unix - - n - - trivial-rewrite\nanvil unix - - n - 1 anvil\n"
            "postlog unix-dgram n - n - 1 postlogd\nproxymap unix - - n - - proxymap\n",
        },
        others={"wait": "smtp"},
    ),
    Daemon(
        "opensmtpd",
        "smtp",
        "mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd; chmod 711 /var/spool/smtpd\n"
        "exec smtpd -d -f /etc/lab-smtpd.conf\n",
        apart=("opensmtpd",),
        files={
            "/etc/lab-smtpd.conf": "listen on @ADDRESS@ port @PORT@ hostname @DOMAIN@\n"
            'action "x" maildir "/tmp/mail"\nmatch for local action "x"\n'
        },
        others={"wait": "smtp"},
    ),
    Daemon(
        "dovecot-lmtp",
        "lmtp",
        DOVECOT_RUN,
        packages=DOVECOT_PACKAGES,
        files=dovecot(lmtp="@PORT@"),
        also=("smtp",),  # "220 host Dovecot ready." is the greeting of its submission service too
        handshake="wait",
    ),
    Daemon(
        "dovecot-sieve",
        "managesieve",
        DOVECOT_RUN,
        packages=DOVECOT_PACKAGES,
        files=dovecot(sieve="@PORT@"),
        handshake="wait",
    ),
    Daemon(
        "spamassassin",
        "spamd",
        "exec spamd -L -i @ADDRESS@ -p @PORT@ -A 10.0.0.0/8 -x -u nobody -m 2 -C /etc/spamassassin\n",
        packages=("spamd",),
    ),
    Daemon(
        "inn2",
        "nntp",
        "mkdir -p /run/news /tmp/news; chown -R news /run/news /tmp/news\n"
        "sed -i 's/^domain:.*/domain: example.org/; s/^pathhost:.*/pathhost: @DOMAIN@/' "
        "/etc/news/inn.conf\n"
        "cd /var/lib/news; touch active newsgroups active.times history; mkdir -p "
        "/var/spool/news/overview; chown -R news . /var/spool/news; chmod 4755 /usr/lib/news/bin/innbind; "
        "printf 'control 0000000000 0000000001 n\\njunk 0000000000 0000000001 y\\n' > active\n"
        "su news -s /bin/sh -c '/usr/lib/news/bin/overchan < /dev/null'\n"
        "exec su news -s /bin/sh -c 'exec /usr/lib/news/bin/nnrpd -D -f -b @ADDRESS@ -p @PORT@'\n",
        apart=("inn2",),
        files={
            "/etc/news/readers.conf": 'auth "all" {\n hosts: "*"\n default: "<all>"\n}\n'
            'access "all" {\n users: "<all>"\n newsgroups: "*"\n}\n'
        },
        handshake="wait",
    ),
)

LIVE = offered((*WEB, *SHELLS, *FILES, *MAIL, *CHAT, *MESSAGES, *NETWORK, *STORES, *ECHOES, *RARE))
