"""Builds the Internet, scans it with `zmap … | lzr …`, prints the findings beside the truth.

A daemon that cannot be started is named with its reason; the rest goes on without it.

Exit status 0 when everything agrees, 1 when findings differ or a daemon is missing, 2 when the demo could not
run.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Collection
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.internet import DAEMONS, HOSTS, NETWORKS, ODD, PORTS, SCANNER, Internet, build, truth
from tests.lab.health import failure
from tests.lab.net import Lab, LabError, namespaces, run
from tests.lab.scan import LZR, Record, Scan, zmap_scan, zmap_words

HANDSHAKES = "wait,tls,http,dns,postgres,redis,memcached_ascii"
OPTIONS = ("--handshakes", HANDSHAKES, "-w", "2", "-haf", "3", "-rt", "1", "-t", "4")


def said(record: Record) -> str:
    """A record in the words of the truth."""
    if record.get("ackingFirewall"):
        return "ACKing firewall"
    if record["fingerprint"] != "unknown" or record.get("data"):
        return str(record["fingerprint"])
    if record.get("RST"):
        return "reset"
    if record.get("FIN"):
        return "closed at once"
    if record.get("window") == 0:
        return "zero window"
    return "silent" if record.get("ACKed") else "takes no data"


def scan(internet: Internet) -> Scan:
    """`{ zmap -p 80 …; zmap -p 443 …; … } | lzr …`, behind the guard that keeps the kernel out of it."""
    scanner = internet.scanner
    targets = [f"{network}.0/24" for network in NETWORKS]
    zmaps = [
        zmap_words(scanner, SCANNER, internet.router_mac, port, 5000, targets, cooldown=1) for port in PORTS
    ]
    scanner.run(LZR, "guard", "on", "--source-ip", SCANNER)
    try:
        return zmap_scan(scanner, zmaps, *OPTIONS)
    finally:
        scanner.run(LZR, "guard", "off", "--source-ip", SCANNER)


def compare(found: Scan, failed: Collection[tuple[str, int]]) -> tuple[Table, int]:
    """The table, and in how many rows the findings differ from the truth.

    failed: the services whose daemon could not be started; they differ, since the truth has them.
    """
    table = Table(title="found beside the truth", expand=True)
    for name in ("host", "port", "lives there", "truth", "found"):
        table.add_column(name, no_wrap=True)
    table.add_column("first bytes", overflow="ellipsis", no_wrap=True, ratio=1)
    services = found.by_service()
    differences = 0
    known = truth()
    for host, port in sorted(
        known.keys() | services.keys(), key=lambda s: ([*map(int, s[0].split("."))], s[1])
    ):
        records = services.get((host, port), [])
        right = known.get((host, port), "nothing")
        answer = ", ".join(said(record) for record in records) or "nothing"
        program = HOSTS.get(host, {}).get(port) or (ODD[host][1] if host in ODD else "")
        data = records[0].get("data", "") if records else ""
        # What a daemon says of a failure of its own is no finding.
        broken = program in DAEMONS and bool(failure(right, data.encode("latin-1"), own=False))
        wrong = answer != right or broken
        differences += wrong
        if broken:
            answer = "its own failure"
        first = "(could not be started)" if (host, port) in failed else ascii(data)[1:-1]
        style = "bold red" if wrong else ("green" if host in HOSTS else "yellow")
        table.add_row(host, str(port), program, right, answer, first.replace("[", "\\["), style=style)
    return table, differences


def main() -> int:
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    begun = time.monotonic()

    def interrupted(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console) as progress, Lab() as lab:
            kinds = len({DAEMONS[name].name for ports in HOSTS.values() for name in ports.values()})
            task = progress.add_task(f"building an Internet of {kinds} different services", total=None)
            internet = build(lab)
            for one in internet.failed:
                place = f"{one.address}:{one.port}"
                console.print(f"demo: at {place}: {one.trouble}", style="red", markup=False, highlight=False)
            progress.update(task, total=1, completed=1)
            task = progress.add_task(f"zmap over {len(PORTS)} ports of 1,024 addresses | lzr", total=None)
            found = scan(internet)
            progress.update(task, total=1, completed=1)
            prefix = lab.prefix
    except (LabError, OSError, subprocess.SubprocessError) as error:
        console.print(f"demo: {error}", style="red", markup=False, highlight=False)
        return 2
    except KeyboardInterrupt:
        console.print("demo: interrupted; everything has been removed")
        return 130

    table, differences = compare(found, [one.service for one in internet.failed])
    console.print(table)
    report = found.stderr.strip().splitlines()
    if not (found.returncode or found.torn or differences):
        # The status lines of a scan that went well tell nothing any more; its summary does.
        report = report[-20:]
    console.print("\n".join(report), markup=False, highlight=False)
    left = [name for name in namespaces() if name.startswith(prefix)]
    pids = run("pgrep", "-f", prefix, check=False).stdout.split()
    seconds = time.monotonic() - begun
    rows = len(truth())
    if found.returncode or found.torn or left or pids:
        console.print(
            f"lzr ended with {found.returncode}; left behind: {left + pids or 'nothing'}", style="red"
        )
        return 1
    if internet.failed:
        names = ", ".join(sorted({one.daemon.name for one in internet.failed}))
        console.print(f"could not be started: {names}", style="bold red")
    if differences:
        console.print(f"{differences} of {rows} differ ({seconds:.0f} s)", style="bold red")
        return 1
    console.print(f"all {rows} right ({seconds:.0f} s); everything has been removed", style="bold green")
    return 0


if __name__ == "__main__":
    sys.exit(main())
