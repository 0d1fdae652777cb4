"""The daemons every test run brings up: web, mail, files, shells, databases."""

from __future__ import annotations

from tests.lab.daemons import Daemon

_NGINX = """
daemon off; worker_processes 1; error_log stderr; pid /run/nginx.pid;
events { worker_connections 256; }
http { access_log off; server { listen @PORT@%s; root /var/www/html;
  index index.nginx-debian.html; } }
"""

_DOVECOT = """
protocols = imap pop3 lmtp %s
ssl = no
log_path = /dev/stderr
auth_mechanisms = plain
service imap-login {
  inet_listener imap {
    port = %s
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    port = %s
  }
  inet_listener pop3s {
    port = 0
  }
}
service lmtp {
  inet_listener lmtp {
    port = %s
  }
}
"""

# Dovecot 2.4 names its settings otherwise, and reads no configuration that does not say its version.
_DOVECOT_23 = """
mail_location = maildir:/tmp/mail
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=mail gid=mail home=/tmp/mail
}
"""
_DOVECOT_24 = """
mail_driver = maildir
mail_path = /tmp/mail
passdb static {
  password = lab
}
userdb static {
  fields {
    uid = mail
    gid = mail
    home = /tmp/mail
  }
}
"""


def dovecot(imap: str = "0", pop3: str = "0", lmtp: str = "0", sieve: str = "") -> dict[str, str]:
    """The files of a configuration with one listener."""
    more = ""
    if sieve:
        more = f"service managesieve-login {{\n  inet_listener sieve {{\n    port = {sieve}\n  }}\n}}\n"
    return {
        "/etc/dovecot/lab.conf": _DOVECOT % ("sieve" if sieve else "", imap, pop3, lmtp) + more,
        "/etc/dovecot/lab-2.3.conf": _DOVECOT_23,
        "/etc/dovecot/lab-2.4.conf": _DOVECOT_24,
    }


DOVECOT_RUN = """
mkdir -p /run/dovecot /tmp/mail
cd /etc/dovecot
version=$(dovecot --version | sed 's/[- ].*//')
case $version in
2.[0-3].*) cat lab-2.3.conf lab.conf > dovecot.conf ;;
*)
    { echo "dovecot_config_version = $version"; echo "dovecot_storage_version = $version"; } > dovecot.conf
    cat lab-2.4.conf lab.conf >> dovecot.conf
    ;;
esac
exec dovecot -F -c /etc/dovecot/dovecot.conf
"""
DOVECOT_PACKAGES = ("dovecot-imapd", "dovecot-pop3d", "dovecot-lmtpd", "dovecot-managesieved")

EXIM = """
primary_hostname = @DOMAIN@
local_interfaces = @ADDRESS@
daemon_smtp_ports = @PORT@
spool_directory = /tmp/spool
log_file_path = /tmp/log-%s
exim_user = mail
exim_group = mail
rfc1413_query_timeout = 0s
host_lookup =
acl_smtp_rcpt = deny
begin acl
deny:
  deny
begin routers
begin transports
begin retry
begin rewrite
begin authenticators
"""

CORE = (
    Daemon(
        "nginx",
        "http",
        "exec nginx -c /etc/nginx/lab.conf\n",
        packages=("nginx",),
        files={"/etc/nginx/lab.conf": _NGINX % ""},
        others={"tls": "http"},
    ),
    Daemon(
        "nginx-tls",
        "tls",
        "exec nginx -c /etc/nginx/lab.conf\n",
        packages=("nginx",),
        files={"/etc/nginx/lab.conf": _NGINX % " ssl; ssl_certificate @CERT@; ssl_certificate_key @KEY@"},
        # "The plain HTTP request was sent to HTTPS port", it says in HTTP: so it speaks TLS.
        others={"http": "tls"},
    ),
    Daemon(
        "openssh",
        "ssh",
        "ssh-keygen -q -t ed25519 -N '' -f /tmp/key\n"
        "exec /usr/sbin/sshd -D -e -f /dev/null -o Port=@PORT@ -o HostKey=/tmp/key -o PidFile=none "
        "-o MaxStartups=500 -o UseDNS=no\n",
        packages=("openssh-server",),
        others={"wait": "ssh", "http": "ssh", "tls": "ssh"},
    ),
    Daemon(
        "redis",
        "redis",
        "exec redis-server --port @PORT@ --bind @ADDRESS@ --protected-mode no --save '' --dir /tmp\n",
        packages=("redis-server",),
    ),
    Daemon(
        "postgresql",
        "postgres",
        "d=/tmp/pg; mkdir $d; chown postgres $d\n"
        "bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)\n"
        'su postgres -s /bin/sh -c "$bin/initdb -D $d -N -A trust >/dev/null"\n'
        'exec su postgres -s /bin/sh -c "exec $bin/postgres -D $d -p @PORT@ -h @ADDRESS@ -k /tmp -F"\n',
        packages=("postgresql",),
    ),
    Daemon(
        "mariadb",
        "mysql",
        "d=/tmp/db; mkdir $d; chown mysql $d\n"
        "mariadb-install-db --no-defaults --user=mysql --datadir=$d --skip-test-db >/dev/null 2>&1\n"
        "exec mariadbd --no-defaults --user=mysql --datadir=$d --port=@PORT@ --bind-address=@ADDRESS@ "
        "--socket=$d/s --pid-file=$d/pid --skip-name-resolve --init-file=/etc/lab-users.sql\n",
        packages=("mariadb-server",),
        # It greets nobody whose host no user may come from.
        files={"/etc/lab-users.sql": "CREATE USER lab@'%';\n"},
        others={"wait": "mysql", "http": "mysql", "tls": "mysql"},
    ),
    Daemon(
        "vsftpd",
        "ftp",
        "mkdir -p /run/vsftpd/empty\nexec vsftpd /etc/lab-vsftpd.conf\n",
        apart=("vsftpd",),
        files={
            "/etc/lab-vsftpd.conf": "listen=YES\nlisten_port=@PORT@\nbackground=NO\nanonymous_enable=YES\n"
            "secure_chroot_dir=/run/vsftpd/empty\nseccomp_sandbox=NO\n"
        },
        others={"wait": "ftp", "http": "ftp"},
    ),
    Daemon(
        "exim4",
        "smtp",
        "mkdir -p /tmp/spool; chown mail /tmp/spool; exec exim4 -C /etc/lab-exim.conf -bdf\n",
        apart=("exim4-daemon-light",),
        files={"/etc/lab-exim.conf": EXIM},
        others={"wait": "smtp"},
    ),
    Daemon(
        "dovecot-imap",
        "imap",
        DOVECOT_RUN,
        packages=DOVECOT_PACKAGES,
        files=dovecot(imap="@PORT@"),
        others={"wait": "imap", "http": "imap"},
    ),
    Daemon(
        "dovecot-pop3",
        "pop3",
        DOVECOT_RUN,
        packages=DOVECOT_PACKAGES,
        files=dovecot(pop3="@PORT@"),
        others={"wait": "pop3", "http": "pop3"},
    ),
    Daemon(
        "memcached",
        "memcached_ascii",
        "exec memcached -p @PORT@ -l @ADDRESS@ -U 0 -u nobody\n",
        packages=("memcached",),
        others={"memcached_binary": "memcached_binary"},
    ),
    Daemon(
        "dnsmasq",
        "dns",
        "exec dnsmasq -k -C /dev/null -p @PORT@ -a @ADDRESS@ --bind-interfaces --no-resolv --no-hosts "
        "-u nobody --log-facility=-\n",
        packages=("dnsmasq-base",),
    ),
    Daemon(
        "inetutils-telnetd",
        "telnet",
        "exec python3 /lab/inetd.py @ADDRESS@ @PORT@ /usr/sbin/telnetd\n",
        packages=("inetutils-telnetd",),
        others={"wait": "telnet", "http": "telnet"},
    ),
)
