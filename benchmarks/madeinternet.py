# ruff: noqa: E501
"""A made Internet: networks with roles, models of devices with their sets of ports, and services on random ports.

It is for measuring what `lzr predict` is worth: every service is known. With one seed it is the same each time.
Nothing in it was measured anywhere. What it has in common with the real one, by construction:

- a /16 belongs to somebody with a trade (hosting, an access provider, a company, a mobile network); a /20 of it is
  one pool of customers or machines, which is dense, thin or empty;
- an access provider gives out two or three models of routers, each with a management port of its own;
- a host is of a model, and a model answers on a set of ports, each with a probability;
- a share of all services (15 %) lies on ports that nothing tells.

    .venv/bin/python -m benchmarks.madeinternet    # what is in it
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

FIRST = 10 << 24
"""10.0.0.0: no packet of a benchmark could go anywhere else than into a private network."""


@dataclass(frozen=True)
class Model:
    """name: of the device. ports: port → (probability, fingerprint, product). stack: (window, ttl)."""

    name: str
    ports: dict[int, tuple[float, str, str]]
    stack: tuple[int, int]
    lines: dict[int, tuple[str, ...]] = field(default_factory=dict)


def _model(name: str, stack: tuple[int, int], **services: str) -> Model:
    """services: of a fingerprint, ``"PORT:PROBABILITY[:PRODUCT] …"``."""
    ports, lines = {}, {}
    for fingerprint, text in services.items():
        for word in text.split():
            number, chance, *product = word.split(":")
            port = int(number)
            ports[port] = (float(chance), fingerprint, product[0] if product else "")
            if (fingerprint in ("http", "tls") and port not in (80, 443)) or not product:
                lines[port] = (f"{fingerprint} of {name}",)
            elif hash_of(name, port) % 3 == 0:  # a front page that tells the model
                lines[port] = (f"title {name}", f"server {product[0]}")
            else:
                lines[port] = (f"server {product[0]}",)
    return Model(name, ports, stack, lines)


def hash_of(*words: object) -> int:
    """A number that depends on the words alone."""
    number = 0
    for character in repr(words):
        number = (number * 131 + ord(character)) % 1_000_000_007
    return number


LINUX, WINDOWS, SMALL, OTHER = (64240, 64), (64240, 128), (5840, 64), (14600, 255)


def _models() -> dict[str, list[Model]]:
    servers = [
        _model("nginx", LINUX, http="80:.9:nginx 8080:.08:nginx", tls="443:.85:nginx 8443:.06", ssh="22:.6:OpenSSH"),
        _model("apache", LINUX, http="80:.95:Apache", tls="443:.7:Apache", ssh="22:.6:OpenSSH", ftp="21:.3:vsFTPd", mysql="3306:.35"),
        _model(
            "panel", LINUX, http="80:.97:Apache 2082:.9 2086:.9 2095:.85", tls="443:.97:Apache 2083:.92 2087:.9 2096:.85",
            ssh="22:.5:OpenSSH", ftp="21:.9:Pure-FTPd", smtp="25:.8:Exim 465:.85 587:.9:Exim", pop3="110:.9 995:.85", imap="143:.9 993:.88", mysql="3306:.5",
        ),
        _model("plesk", LINUX, http="80:.95:nginx 8880:.85", tls="443:.9:nginx 8443:.95", ssh="22:.6:OpenSSH", ftp="21:.6:ProFTPD", smtp="25:.6:Postfix 587:.5", imap="143:.6 993:.6"),
        _model("windows", WINDOWS, rdp="3389:.75", http="80:.5:IIS 5985:.55 47001:.2", smb="445:.35", mssql="1433:.2"),
        _model("mail", LINUX, smtp="25:.97:Postfix 465:.6 587:.8", imap="143:.7 993:.85", pop3="110:.5 995:.5", http="80:.5:nginx", tls="443:.6:nginx"),
        _model("cluster", LINUX, tls="6443:.9 10250:.85 2379:.4", ssh="22:.8:OpenSSH", http="10256:.6 9100:.6 9090:.2"),
        _model("store", LINUX, ssh="22:.9:OpenSSH", redis="6379:.35", mongodb="27017:.35", http="9200:.3 9300:.2 5601:.2", postgres="5432:.35"),
        _model("game", LINUX, ssh="22:.7:OpenSSH", minecraft="25565:.8 25575:.3", http="8123:.3"),
    ]  # fmt: skip
    routers = []
    for number in range(26):
        management = 7547 if number % 3 == 0 else 4000 + hash_of("management", number) % 56000
        web = (80, 8080, 8081, 8888, 443)[number % 5]
        other = 1024 + hash_of("other", number) % 60000
        routers.append(
            _model(
                f"router{number}", (SMALL, LINUX, OTHER)[number % 3],
                http=f"{management}:.92:RomPager {other}:.45" if number % 2 else f"{management}:.92",
                tls=f"{8443 if web != 443 else 4443}:.3",
                telnet=f"23:{.05 + .1 * (number % 4)}", ssh=f"22:{.04 * (number % 3)}:dropbear",
                **({"rtsp": "554:.1"} if number % 7 == 0 else {}),
                upnp=f"{web}:.4" if web != 443 else f"{5000}:.4",
            )
        )  # fmt: skip
    things = [
        _model("mikrotik", SMALL, mikrotik="8291:.8 8728:.6 2000:.75", ssh="22:.5:ROSSSH", telnet="23:.4", http="80:.5:mikrotik", ftp="21:.35", pptp="1723:.3"),
        _model("recorder", SMALL, http="80:.7:webs 8000:.5", rtsp="554:.75", dvrip="34567:.85", onvif="8899:.4"),
        _model("dahua", SMALL, dahua="37777:.9", http="80:.75:webs", rtsp="554:.8", tls="443:.2"),
        _model("hikvision", SMALL, hikvision="8000:.85", http="80:.8:DVRDVS", rtsp="554:.8", tls="443:.25"),
        _model("storage", LINUX, http="5000:.85 80:.4:nginx", tls="5001:.85 443:.4:nginx", ssh="22:.2:OpenSSH", smb="445:.2"),
        _model("android", LINUX, adb="5555:.9", http="8060:.2"),
        _model("meter", OTHER, modbus="502:.7", http="80:.4:GoAhead 4800:.5", telnet="23:.3"),
    ]  # fmt: skip
    offices = [
        _model("fortinet", OTHER, tls="443:.6 10443:.7 8443:.1", ssh="22:.2:FortiSSH", http="541:.7"),
        _model("exchange", WINDOWS, smtp="25:.9 587:.4", tls="443:.95", http="80:.6:IIS 81:.3"),
        _model("checkpoint", OTHER, fw1="264:.9 18264:.7", tls="443:.4", ike="500:.3"),
        _model("sonicwall", OTHER, tls="443:.5 4433:.8", http="80:.4:SonicWALL"),
        _model(
            "pbx", LINUX, sip="5060:.8", http="80:.5:Apache", tls="443:.5:Apache 8089:.6", asterisk="5038:.4"
        ),
    ]
    return {"servers": servers, "routers": routers, "things": things, "offices": offices}


@dataclass
class Internet:
    """All services, in order of address and port.

    first, size: the space's first address and how many there are. address: (n,) i64 IPv4 numbers. port: (n,) i4.
    codes: (n, 7) i4: fingerprint, product, three lines, certificate, stack; -1 for none. names: what they mean.
    model: (n,) i4, of the host; at_random: (n,) bool.
    """

    first: int
    size: int
    address: I64
    port: I32
    codes: I32
    names: list[list[str]]
    model: I32
    at_random: NDArray[np.bool_]
    models: list[Model]

    def __post_init__(self) -> None:
        self._pairs: I64 = self.address << 16 | self.port

    def find(self, address: I64, port: I64) -> I64:
        """The row of each pair, or -1."""
        wanted = address << 16 | port
        at = np.minimum(np.searchsorted(self._pairs, wanted), len(self._pairs) - 1)
        return np.where(self._pairs[at] == wanted, at, -1)

    def sample(self, share: float, seed: int) -> I64:
        """A random `share` of all addresses, in order."""
        chosen = np.random.default_rng(seed).choice(self.size, int(self.size * share), replace=False)
        return np.sort(chosen).astype(np.int64) + self.first

    def of_hosts(self, hosts: I64) -> I64:
        """The rows of all services of these hosts (sorted)."""
        at = np.minimum(np.searchsorted(hosts, self.address), len(hosts) - 1)
        return np.flatnonzero(hosts[at] == self.address)

    def record(self, row: int) -> dict[str, Any]:
        """The row as a result record of a scan."""
        address, (fingerprint, product, *lines, certificate, stack) = int(self.address[row]), self.codes[row]
        window, ttl = self.names[6][stack].split("/")
        said = [self.names[2][line] for line in lines if line >= 0]
        record: dict[str, Any] = {
            "saddr": ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0)),
            "daddr": "10.255.0.1", "sport": int(self.port[row]), "dport": 40000, "seqnum": 1, "acknum": 1,
            "window": int(window), "ttl": int(ttl), "fingerprint": self.names[0][fingerprint],
            "Timestamp": "2026-11-22T09:26:01.201934127Z", "data": "\r\n".join(said) + "\r\n",
        }  # fmt: skip
        if product >= 0:
            record["product"] = self.names[1][product]
        if certificate >= 0:
            record["subject"] = self.names[5][certificate]
        return record


_SERVERS = np.array([0.8, 0.6, 0.15, 0.2, 0.4, 0.25, 0.2, 0.3, 0.15])
"""How much of the servers of a pool are of each model: mostly plain web servers."""


def made(
    bits: int = 22,
    density: float = 0.079,
    at_random: float = 0.15,
    seed: int = 1,
    *,
    spread: float = 1.3,
    empty: float = 0.4,
    pool_bits: int | None = None,
) -> Internet:
    """2^bits addresses, of which about `density` belong to hosts.

    spread: of how dense pools are (sigma of a lognormal); empty: the share of pools with nobody. pool_bits: a pool
    has 2^pool_bits addresses; a sixteenth of a network by default.
    """  # fmt: skip
    rng = np.random.default_rng(seed)
    size = 1 << bits
    kinds = _models()
    models = [model for group in kinds.values() for model in group]
    number = {model.name: place for place, model in enumerate(models)}
    place_of = {name: [number[model.name] for model in group] for name, group in kinds.items()}

    wide = min(16, max(8, bits - 6))  # a made Internet that is small has small networks
    nets, pool_bits = size >> wide, max(wide - 4, 4) if pool_bits is None else pool_bits
    pools = size >> pool_bits
    weights = np.zeros((pools, len(models)))
    trades = rng.choice(4, nets, p=[0.3, 0.42, 0.16, 0.12])
    popular = 1 / (1 + np.arange(len(place_of["routers"])))
    for net in range(nets):
        own = rng.choice(place_of["routers"], 3, replace=False, p=popular / popular.sum())
        for pool in range(net << wide - pool_bits, (net + 1) << wide - pool_bits):
            kind = trades[net] if rng.random() < 0.8 else rng.integers(4)
            if kind == 0:
                weights[pool, place_of["servers"]] = rng.dirichlet(_SERVERS)
            elif kind == 1:
                weights[pool, own] = 0.72 * rng.dirichlet(np.array([2.0, 1.0, 0.5]))
                weights[pool, place_of["things"]] += 0.22 * rng.dirichlet(
                    np.full(len(place_of["things"]), 0.6)
                )
                weights[pool, place_of["servers"]] += 0.06 / len(place_of["servers"])
            elif kind == 2:
                weights[pool, place_of["offices"]] = 0.6 * rng.dirichlet(
                    np.full(len(place_of["offices"]), 0.5)
                )
                weights[pool, place_of["servers"]] += 0.4 * rng.dirichlet(_SERVERS)
            else:
                weights[pool, place_of["things"]] = rng.dirichlet(np.full(len(place_of["things"]), 0.3))
    dense = rng.lognormal(0.0, spread, pools) * (rng.random(pools) < 1 - empty)
    dense = np.minimum(dense / dense.mean() * density, 0.85)
    alive = np.flatnonzero(rng.random(size) < np.repeat(dense, 1 << pool_bits)[:size])
    pool = alive >> pool_bits
    edges = np.cumsum(weights, 1)[pool]
    model = (rng.random(len(alive))[:, None] * edges[:, -1:] > edges).sum(1)

    names: list[dict[str, int]] = [{} for _ in range(7)]

    def code(kind: int, text: str) -> int:
        return names[kind].setdefault(text, len(names[kind])) if text else -1

    rows: list[tuple[I64, I64, NDArray[Any], I64]] = []
    for place, one in enumerate(models):
        mine = alive[model == place]
        for port, (chance, fingerprint, product) in one.ports.items():
            has = mine[rng.random(len(mine)) < chance]
            lines = (*(code(2, line) for line in one.lines.get(port, ())), -1, -1, -1)[:3]
            certificate = code(
                5, f"CN={one.name}.local" if fingerprint == "tls" and port not in (443,) else ""
            )
            stack = code(6, f"{one.stack[0]}/{one.stack[1]}")
            codes = (code(0, fingerprint), code(1, product), *lines, certificate, stack)
            rows.append(
                (
                    has,
                    np.full(len(has), port),
                    np.tile(np.array(codes), (len(has), 1)),
                    np.full(len(has), place),
                )
            )
    regular = sum(len(row[0]) for row in rows)
    more = int(regular * at_random / (1 - at_random))
    where = rng.integers(0, len(alive), more)
    kinds_of = np.array(
        [
            [code(0, name), -1, -1, -1, -1, -1, code(6, "64240/64")]
            for name in ("http", "ssh", "tls", "unknown")
        ]
    )
    rows.append(
        (alive[where], rng.integers(1, 65536, more), kinds_of[rng.integers(0, 4, more)], model[where])
    )
    address = np.concatenate([row[0] for row in rows]) + FIRST
    port = np.concatenate([row[1] for row in rows])
    randomly = np.arange(len(address)) >= regular
    _, keep = np.unique(address << 16 | port, return_index=True)
    return Internet(
        FIRST, size, address[keep].astype(np.int64), port[keep].astype(np.int32),
        np.concatenate([row[2] for row in rows])[keep].astype(np.int32), [list(kind) for kind in names],
        np.concatenate([row[3] for row in rows])[keep].astype(np.int32), randomly[keep], models,
    )  # fmt: skip


def main() -> None:
    internet = made()
    services, hosts = len(internet.address), len(np.unique(internet.address))
    print(
        f"{internet.size:,} addresses, {hosts:,} hosts, {services:,} services, {internet.at_random.mean():.1%} on random ports"
    )
    ports, counts = np.unique(internet.port, return_counts=True)
    order = np.argsort(-counts)
    share = np.cumsum(counts[order]) / services
    print(
        ", ".join(f"{count} ports {share[count - 1]:.1%}" for count in (1, 2, 3, 5, 8, 13, 20, 50, 100, 200))
    )
    print("first ports:", ports[order[:16]].tolist())


if __name__ == "__main__":
    main()
