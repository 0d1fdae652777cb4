"""The user's mistakes, to the whole program: one sentence, status 2, nothing sent, no guard left."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.lab.net import Lab, Namespace
from tests.lab.scan import LZR

pytestmark = [
    pytest.mark.root,
    pytest.mark.root,
]
OUT = ("-f", "-")


@pytest.fixture(scope="module")
def box() -> Iterator[Namespace]:
    """One link that leads nowhere, and no default route."""
    with Lab() as lab:
        scanner = lab.namespace("box")
        for name in ("all", "default"):  # whose kernel would send packets of its own
            scanner.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", 1)
        lab.link(scanner, lab.namespace("far"), a_addresses=["10.1.0.2/24"])
        yield scanner


def packets(box: Namespace) -> str:
    return box.run("cat", "/sys/class/net/eth0/statistics/tx_packets").stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--hanshakes", "http"), "unknown flag --hanshakes; did you mean --handshakes?"),
        (("--handshakes", "htp", *OUT), "htp is not a handshake; did you mean http?"),
        (("--priority-fingerprint", "htp", *OUT), "htp is not a fingerprint; did you mean http?"),
        (("--interface", "nope0", *OUT), "there is no network interface 'nope0'"),
        (("-f", "/nope/found.json"), "cannot write /nope/found.json: No such file or directory"),
        (("-f", "/"), "cannot write /: Is a directory"),
        (("-I", "/", *OUT), "cannot read /: Is a directory"),
        (("--dashboard-file", "/nope/last.svg", *OUT), "cannot write /nope/last.svg"),
        (("--checkpoint", "/proc/kept", *OUT), "cannot make /proc/kept"),
        (("-input-file", "/nope", *OUT), "cannot read /nope: No such file or directory"),
        (("--source-ip", "10.1.0.0/33", *OUT), "'10.1.0.0/33' is not an IP address"),
        (("-gatewayMac", "zz:11", *OUT), "must be a MAC address"),
        (("-feedZGrab", *OUT), "-feedZGrab writes to stdout, so the results need a file: -f FILE"),
        (("--output-fields", "saddr,daddrr", *OUT), "daddrr is not an output field; did you mean daddr?"),
        (("--output-fields", "saddr,saddr", *OUT), "each only once"),
        (("--output-filter", "finger = http", *OUT), "there is no field finger; did you mean fingerprint?"),
        (("--output-filter", "sport = http", *OUT), "--output-filter sport = http: "),
        (("--user", "no such user", *OUT), "--user 'no such user': there is no such user"),
        (OUT, "there is no IPv4 route to 192.0.2.7: give --interface and --gateway-mac"),
    ],
)
def test_a_mistake_is_one_sentence(box: Namespace, words: tuple[str, ...], says: str) -> None:
    before = packets(box)
    done = subprocess.run(
        box.command(LZR, "-sendSYNs", *words),
        input="192.0.2.7:80\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lzr: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert box.run("nft", "list", "tables").stdout == ""
    assert packets(box) == before
