"""The embedded Internet: a router, four networks behind it, and who lives there.

HOSTS and ODD are the truth; the demo compares every finding with them and knows nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.daemons import Daemon, Fleet, Running, certificate, install
from tests.lab.fleet_core import CORE
from tests.lab.net import Lab, Namespace
from tests.lab.responder import Responder, quiet_end

SCANNER = "10.1.0.2"
ROUTER = "10.1.0.1"
NETWORKS = ("10.2.0", "10.3.0", "10.4.0", "10.5.0")
PORTS = (80, 443, 2222, 5000, 7547, 8080, 9002, 30303)
ANY = 0
"""In ODD: a host that is the same on every port."""

_EXTRA = (
    Daemon("python-http", "http", "cd /usr/share; exec python3 -m http.server -b @ADDRESS@ @PORT@\n"),
    Daemon("silent", "silent", "exec python3 /lab/silent.py @ADDRESS@ @PORT@\n", files={
        "/lab/silent.py": "import socket, sys\n"
        "listener = socket.create_server((sys.argv[1], int(sys.argv[2])))\n"
        "kept = []\n"
        "while True:\n"
        "    kept.append(listener.accept())\n"
    }),
)  # fmt: skip
DAEMONS = {daemon.name: daemon for daemon in (*CORE, *_EXTRA)}

HOSTS: dict[str, dict[int, str]] = {
    "10.2.0.10": {80: "openssh", 443: "nginx", 8080: "redis"},
    "10.2.0.20": {2222: "python-http", 5000: "vsftpd", 8080: "nginx-tls"},
    "10.3.0.10": {80: "mariadb", 443: "inetutils-telnetd", 9002: "dovecot-imap"},
    "10.3.0.20": {443: "nginx-tls", 2222: "openssh", 7547: "memcached"},
    "10.4.0.10": {80: "dovecot-pop3", 2222: "postgresql", 30303: "dnsmasq"},
    "10.4.0.20": {80: "nginx", 5000: "silent", 9002: "exim4"},
}
"""Address -> port -> the daemon that listens there."""

ODD: dict[str, tuple[str, str]] = {
    "10.5.0.10": ("r", "reset"),
    "10.5.0.20": ("z", "zero window"),
    "10.5.0.30": ("a", "ACKing firewall"),
    "10.5.0.40": ("f", "closed at once"),
    "10.5.0.50": ("q", "takes no data"),
}
"""Hosts that no kernel would play: address -> letter of the responder, the truth. On port 80 only, but for
the firewall, which answers on every port."""


@dataclass(frozen=True)
class Internet:
    """What has been built, for the scan to run in."""

    scanner: Namespace
    router: Namespace
    router_mac: str
    fleets: tuple[Fleet, ...]
    responder: Responder
    failed: tuple[Running, ...]
    """The daemons that could not be started, each with its trouble."""


def truth() -> dict[tuple[str, int], str]:
    """(address, port) -> what must be found there."""
    known = {
        (host, port): DAEMONS[name].label for host, ports in HOSTS.items() for port, name in ports.items()
    }
    for host, (letter, what) in ODD.items():
        for port in PORTS if letter == "a" else (80,):
            known[host, port] = what
    return known


def known(here: Namespace, interface: str, address: str, owner: Namespace, owners: str = "eth0") -> None:
    """Lets `here` know the hardware address behind an interface without asking."""
    mac = owner.mac(owners)
    here.ip("neigh", "replace", address, "lladdr", mac, "dev", interface, "nud", "permanent")


def build(lab: Lab) -> Internet:
    """Namespaces, links, routes, daemons; returns when every service listens or has failed."""
    root = install(DAEMONS.values())
    certificate(lab)
    router = lab.namespace("router")
    router.sysctl("net.ipv4.ip_forward", 1)
    scanner = lab.namespace("scanner")
    lab.link(
        scanner, router, names=("eth0", "uplink"), a_addresses=[f"{SCANNER}/24"], b_addresses=[f"{ROUTER}/24"]
    )
    scanner.ip("route", "add", "default", "via", ROUTER)
    known(scanner, "eth0", ROUTER, router, "uplink")
    known(router, "uplink", SCANNER, scanner)

    fleets = []
    for network in NETWORKS[:3]:
        # A network is a bridge in the router's namespace; every host hangs on it.
        bridge = f"net{network.split('.')[1]}"
        router.ip("link", "add", bridge, "type", "bridge")
        router.ip("addr", "add", f"{network}.1/32", "dev", bridge)
        # Its own, or it would be that of one host's cable, and another's tomorrow.
        router.ip("link", "set", bridge, "address", f"02:00:00:00:{int(network.split('.')[1]):02x}:01")
        router.ip("link", "set", bridge, "up")
        # Nobody has most of these addresses. Asked for by ARP they would fill the one neighbour table that
        # all namespaces share; when it is full, packets to hosts that are there are dropped too.
        router.ip("route", "add", "blackhole", f"{network}.0/24")
        for address in (host for host in HOSTS if host.startswith(f"{network}.")):
            host = lab.namespace(f"host-{address.replace('.', '-')}")
            port = f"p{address.split('.')[1]}-{address.split('.')[3]}"
            lab.link(host, router, names=("eth0", port), a_addresses=[f"{address}/24"])
            router.ip("link", "set", port, "master", bridge)
            host.ip("route", "add", "default", "via", f"{network}.1")
            router.ip("route", "add", address, "dev", bridge)
            # Known from the start: ZMap asks once.
            known(router, bridge, address, host)
            known(host, "eth0", f"{network}.1", router, bridge)
            fleets.append(Fleet(lab, host, address, root))

    odd = lab.namespace("odd")
    lab.link(router, odd, names=("odd", "eth0"))
    router.ip("addr", "add", f"{NETWORKS[3]}.1/32", "dev", "odd")
    router.ip("route", "add", f"{NETWORKS[3]}.254", "dev", "odd")
    router.ip("route", "add", f"{NETWORKS[3]}.0/24", "via", f"{NETWORKS[3]}.254")
    known(router, "odd", f"{NETWORKS[3]}.254", odd)
    quiet_end(odd)
    letters = ["n"] * 256
    for address, (letter, _) in ODD.items():
        letters[int(address.rpartition(".")[2])] = letter
    responder = Responder(odd, classes="".join(letters), port=80)

    for fleet in fleets:
        for port_, name in HOSTS[fleet.address].items():
            fleet.start(DAEMONS[name], port_)
    failed = [one for fleet in fleets for one in fleet.await_all()]
    return Internet(scanner, router, router.mac("uplink"), tuple(fleets), responder, tuple(failed))
