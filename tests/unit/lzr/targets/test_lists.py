"""Lines of lists: every form of docs/input.md, what is refused and why, and lines that name very many."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lzr import addresses
from lzr.records.encoders import CsvEncoder
from lzr.targets.expand import MOST_ADDRESSES, Block, Expansion, spread
from lzr.targets.lists import ListReader, blocks, heading
from lzr.targets.reader import UNFOLDED, Refused
from tests import ROOT
from tests.effort import examples
from tests.rows import every_row
from tests.unit.lzr.targets.test_lists_targets import listed, read

DOC = (ROOT / "docs/input.md").read_text()


def named(line: str) -> list[str]:
    """The targets of a line, as text; a name as it is."""
    found = []
    for block in blocks(line.encode()):
        ports = "+".join(f"{first}-{last}" if last > first else f"{first}" for first, last in block.ports)
        host = block.name or addresses.text(*block.first)
        found.append(f"{host}{f'*{block.count}' if block.count > 1 else ''} {ports}")
    return found


FORMS = {
    "10.0.0.1:80": ["10.0.0.1 80"],
    "10.0.0.1;80": ["10.0.0.1 80"],
    "10.0.0.1,80": ["10.0.0.1 80"],
    "10.0.0.1 80": ["10.0.0.1 80"],
    "[2001:db8::1]:443": ["2001:db8::1 443"],
    "2001:db8::1,443": ["2001:db8::1 443"],
    "2001:db8::1 443": ["2001:db8::1 443"],
    "example.com:80": ["example.com 80"],
    "10.0.0.1:80,443,8000-8100": ["10.0.0.1 80+443+8000-8100"],
    "10.0.0.0/24:80,443": ["10.0.0.0*256 80+443"],
    "[2001:db8::/120]:80": ["2001:db8::*256 80"],
    "[2001:db8::]/120:80": ["2001:db8::*256 80"],
    "10.0.0.1-10.0.0.50:80": ["10.0.0.1*50 80"],
    "10.0.0.1-50:80": ["10.0.0.1*50 80"],
    "http://10.9.0.10:9002/x": ["10.9.0.10 9002"],
    "https://example.com/": ["example.com 443"],
    '"10.0.0.1","80"': ["10.0.0.1 80"],
    "10.0.0.1,,http,80": ["10.0.0.1 80"],
    "10.0.0.1,10.9.0.2,80,40112,302211273,918273,64240": ["10.0.0.1 80"],
    '{"saddr":"10.0.0.1","sport":80}': ["10.0.0.1 80"],
    '{"ip":"10.0.0.1","ports":[{"port":80,"proto":"tcp","status":"open"}]},': ["10.0.0.1 80"],
    '{"host":"example.com","port":443}': ["example.com 443"],
    "open tcp 80 10.0.0.1 1700000000": ["10.0.0.1 80"],
    "Host: 10.0.0.1 ()\tPorts: 80/open/tcp//http///, 81/closed/tcp/////": ["10.0.0.1 80"],
    "Discovered open port 80/tcp on 10.0.0.1": ["10.0.0.1 80"],
    "10.0.0.1 -> [80,443]": ["10.0.0.1 80+443"],
    "Open 10.0.0.1:80": ["10.0.0.1 80"],
}
MORE = {
    "Open [2001:db8::1]:80": ["2001:db8::1 80"],
    "10.0.0.1,80,": ["10.0.0.1 80"],
    "10.0.0.1;80 ;": ["10.0.0.1 80"],
    "10.0.0.1:80,": ["10.0.0.1 80"],
    "10.0.0.1:80,443,  # why": ["10.0.0.1 80+443"],
    "10.0.0.1 80,": ["10.0.0.1 80"],
    "[2001:db8::1]:80,": ["2001:db8::1 80"],
    "2001:db8::1,80,": ["2001:db8::1 80"],
    "2001:db8::1,80,443": ["2001:db8::1 80+443"],
    '"10.0.0.1","80",': ["10.0.0.1 80"],
    "2001:db8::1,,http,80": ["2001:db8::1 80"],
    "2001:db8::1,,,80": ["2001:db8::1 80"],
    "2001:db8::1,fd00::2,80,40112,302211273,918273,64240": ["2001:db8::1 80"],
    "10.0.0.1\t80": ["10.0.0.1 80"],
    "10.0.0.1 :80": ["10.0.0.1 80"],
    "10.0.0.1 , 80 # why": ["10.0.0.1 80"],
    "10.0.0.1 80, 443": ["10.0.0.1 80+443"],
    "10.0.0.1:80/tcp": ["10.0.0.1 80"],
    '"10.0.0.1";"80"': ["10.0.0.1 80"],
    "10.1.2.3/8 80": ["10.0.0.0*16777216 80"],
    "10.0.0.7/32:80": ["10.0.0.7 80"],
    "10.0.0.1:80,70-90,80": ["10.0.0.1 70-90"],
    "Ex.Example.COM.:443": ["ex.example.com 443"],
    "b\u00fccher.example:80": ["xn--bcher-kva.example 80"],
    "localhost 22": ["localhost 22"],
    ",example.com,http,80": ["example.com 80"],
    "https://u:p@[2001:db8::1]/?q#f": ["2001:db8::1 443"],
    "https://example.com [200] [title]": ["example.com 443"],
    "HTTP://example.com:8080": ["example.com 8080"],
    "tcp://10.0.0.1:5": ["10.0.0.1 5"],
    "Host: 10.0.0.1 ()\tStatus: Up": [],
    "Host: 10.0.0.1 (a.b)\tPorts: 53/open/udp//domain///, 22/open/tcp//ssh//OpenSSH #1, 2/\tOS: x": [
        "10.0.0.1 22"
    ],
    "Timestamp: 1700000000\tHost: 10.0.0.1 ()\tPorts: 80/open/tcp//http//": ["10.0.0.1 80"],
    "banner tcp 80 10.0.0.1 1700000000 http HTTP/1.0#": ["10.0.0.1 80"],
    "[": [],
    "],": [],
    ",": [],
    "{finished: 1}": [],
    '[{"ip":"10.0.0.1","port":"80"},{"host":"x.y","port":81}]': ["10.0.0.1 80", "x.y 81"],
    '{"ip":"10.0.0.1","ports":[80,443]}': ["10.0.0.1 80", "10.0.0.1 443"],
    '{"ip":1,"ip_str":"10.0.0.1","port":80,"transport":"tcp"}': ["10.0.0.1 80"],
    '{"url":"https://a.b/x","status":200}': ["a.b 443"],
    '{"saddr":"10.0.0.1","daddr":"10.0.0.2","sport":80,"dport":5,"fingerprint":"http"}': ["10.0.0.1 80"],
}
REFUSED = {
    "Open 10.0.0.1": "not a whole number from 1 to 65535",
    "2001:db8::1 fd00::2:80": "not a whole number from 1 to 65535",
    "10.0.0.1,80,443,": "4 columns",
    "10.0.0.1:80,,": "not a whole number from 1 to 65535",
    "10.0.0.1:,": "not a whole number from 1 to 65535",
    "10.0.0.1,,": "no port",
    "10.0.0.1,": "no port",
    "2001:db8::1,,": "no port",
    "10.0.0.1": "no port",
    "10.0.0.0/24": "no port",
    "10.0.0.1:": "no port",
    "tcp://10.0.0.1": "no port",
    "this is no target": "not an address and a port",
    "10.0.0.1:80:90": "more than one colon",
    "10.0.0.1,80,443": "several ports are written address:80,443",
    "10.0.0.1,a,b,c,80": "5 columns without a heading",
    "10.0.0.1 80 443": "more than an address and a port",
    "10.0.0.1:http": "not a whole number from 1 to 65535",
    "10.0.0.1:0-5": "not a whole number from 1 to 65535",
    "10.0.0.1:9-5": "ends before it begins",
    "10.0.0.5-10.0.0.1:80": "ends before it begins",
    "2001:db8::1:80": "needs brackets",
    "[10.0.0.1]:80": "not an IPv6 address in the brackets",
    "[2001:db8::1:80": "brackets that do not match",
    "aa:bb:cc:dd:ee:ff": "a hardware address",
    "10.0.0.256:80": "not an address",
    "10.0.0:80": "not an address",
    "10.0.0.01:80": "not an address",
    "-x-:80": "neither an address nor a host name",
    "a..b:80": "neither an address nor a host name",
    "10.0.0.0/33:80": "not a number from 0 to 32",
    "10.0.0.0/000099:80": "not a number from 0 to 32",
    "0.0.0.0/0:1-65535": "more than 16,777,216 addresses",
    "0.0.0.0/0:0-65535": "not a whole number from 1 to 65535",
    "[2001:db8::/64]:80": "more than 16,777,216 addresses",
    "224.0.0.0/24:80": "multicast",
    "[ff02::]/120:80": "multicast",
    "fe80::1%eth0,80": "zone",
    "foo://host": "scheme whose port is not known",
    "http:///x": "URL without a host",
    "udp://10.0.0.1:53": "UDP: only TCP",
    "open udp 80 10.0.0.1 1": "UDP: only TCP",
    "10.0.0.1:53/udp": "UDP: only TCP",
    "closed tcp 80 10.0.0.1 1": "not open",
    '{"ip":"10.0.0.1","port":53,"proto":"udp"}': "UDP: only TCP",
    '{"saddr":"10.0.0.1","sport":80,"success":0}': "not open",
    '{"saddr":"10.0.0.1","sport":80,"classification":"rst"}': "not open",
    '{"ip":"10.0.0.1","port":80,"state":"closed"}': "not open",
    '{"ip":"10.0.0.1","port":80,"proto":"tcp","rec_type":"status","data":{"status":"closed"}}': "not open",
    '{"ip":"10.0.0.1","port":53,"protocol":"dns","transport":"udp"}': "UDP: only TCP",
    '{"ip":"10.0.0.1","ports":[{"portid":53,"protocol":"udp","state":"open"}]}': "UDP: only TCP",
    '{"saddr":"10.0.0.1"}': "without saddr and sport",
    '{"ip":"10.0.0.1","port":true}': "not a whole number",
    '{"ip":': "not JSON",
    "<html>": "XML or HTML",
    "80/tcp open http": "use -oG",
    "Nmap scan report for a (10.0.0.1)": "use -oG",
    "tcp { source: 54638 | dest: 9002 | seq: 1 | checksum: 0X9DB }": "use -dryrun",
    '"10.0.0.1,80': "quotes",
}  # fmt: skip


@every_row([*FORMS, *MORE])
def test_forms(line: str) -> None:
    assert named(line) == (FORMS | MORE)[line]


@every_row(REFUSED)
def test_what_is_refused_is_refused_for_what_it_is(line: str) -> None:
    with pytest.raises(Refused) as refusal:
        blocks(line.encode())
    assert REFUSED[line] in str(refusal.value)
    if "2001:db8::1:80" not in line:
        assert "needs brackets" not in str(refusal.value)


def test_the_manual_names_every_form() -> None:
    table = DOC[DOC.index("<!-- forms -->") : DOC.index("<!-- end -->")]
    assert re.findall(r"\| `(.*)` \|$", table, re.MULTILINE) == list(FORMS)


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("ip,port\n10.0.0.1,80\n10.0.0.0/31:7\n", ["10.0.0.1:80", "10.0.0.0:7", "10.0.0.1:7"]),
        ("IP:PORT\n10.0.0.1:80\n", ["10.0.0.1:80"]),
        ('"port";"ip"\n"80";"10.0.0.1"\n', ["10.0.0.1:80"]),
        ("host\tport\tnote\n10.0.0.1\t80\ta, b\n", ["10.0.0.1:80"]),
        ("saddr,daddr,sport,dport\n10.0.0.1,10.0.0.2,80,5\n", ["10.0.0.1:80"]),
        ("success,saddr,sport\n1,10.0.0.1,80\n0,10.0.0.2,80\n", ["10.0.0.1:80"]),
        ("ip,port,protocol\n10.0.0.1,80,tcp\n10.0.0.2,80,UDP\n", ["10.0.0.1:80"]),
        ("ip,ip_str,port,transport\n167772161,10.0.0.1,80,tcp\n1,10.0.0.2,53,udp\n", ["10.0.0.1:80"]),
        ("ip,port,protocol,transport\n10.0.0.1,53,dns,udp\n10.0.0.1,80,http,tcp\n", ["10.0.0.1:80"]),
        ("ip,port,state\n10.0.0.1,80,open\n10.0.0.2,80,closed\n1.0.0.3,80,Filtered\n", ["10.0.0.1:80"]),
        ("saddr,sport,classification\n10.0.0.1,80,synack\n10.0.0.2,80,rst\n", ["10.0.0.1:80"]),
        ("ip,domain,port\n,10.0.0.3,80\n10.0.0.1,x,80\n", ["10.0.0.3:80", "10.0.0.1:80"]),
        ("saddr,success\n10.0.0.1,1\n", []),
        ("saddr\n10.0.0.1\n", []),
        ("target:80\n10.0.0.1:80\n", ["10.0.0.1:80"]),
    ],
)
@pytest.mark.usefixtures("kernels")
def test_headings(text: str, targets: list[str]) -> None:
    batch = listed(text.encode())
    found = [
        f"{addresses.text(int(row['peer_hi']), int(row['peer_lo']))}:{row['peer_port']}" for row in batch.rows
    ]
    assert sorted(found) == sorted(targets)


def test_our_own_csv_can_be_scanned_again() -> None:
    columns = heading(CsvEncoder().header().strip())
    assert columns is not None
    assert columns.port > 0


def test_a_list_under_a_heading_without_a_port_is_refused_for_that() -> None:
    batch = listed(b"saddr\n10.0.0.1\n10.0.0.2\n")
    assert batch.reasons == {"the heading names no port (sport, or port)": 2}


# --- many on a line --------------------------------------------------------------------------------------


def test_a_network_is_unfolded_port_by_port_and_spread() -> None:
    batch = listed(b"10.0.0.9:1\n10.1.0.0/24:80,443\nnonsense\n10.0.0.9:2\n")
    assert batch.rows["line"].tolist() == [*range(513), 514]
    assert batch.refused.tolist() == [513]
    inner = batch.rows[1:513]
    assert inner["peer_port"].tolist() == [80] * 256 + [443] * 256
    for part in (inner[:256], inner[256:]):
        assert sorted((part["peer_lo"] & np.uint64(0xFFFFFFFF)).tolist()) == list(
            range(0x0A010000, 0x0A010100)
        )
        steps = np.abs(np.diff((part["peer_lo"] & np.uint64(255)).astype(int)))
        assert steps.min() > 60
    assert batch.rejected[0].number == 3


@given(st.integers(1, 3000))
def test_spread_is_each_once(count: int) -> None:
    found = spread(np.arange(count, dtype=np.uint64), count)
    assert sorted(found.tolist()) == list(range(count))


def test_special_addresses_of_a_network_are_refused_one_by_one() -> None:
    for text, good, reason in (
        (b"0.0.0.0/30:5\n", 3, "unspecified"),
        (b"255.255.255.252/30:5\n", 3, "broadcast"),
        (b"223.255.255.253-224.0.0.0:5\n", 3, "multicast"),
        (b"239.255.255.255-240.0.0.2:5\n", 3, "multicast"),
        (b"223.255.255.252/30:5\n", 4, ""),
    ):
        batch = listed(text)
        assert (len(batch.rows), len(batch.refused)) == (good, 4 - good)
        assert reason in next(iter(batch.reasons), "")


def test_hostile_lines_take_little_memory() -> None:
    reader = ListReader()
    count = examples(10_000)
    text = b"10.0.0.0/8:1-65535\n" * count
    tracemalloc.start()
    first = reader.feed(text)
    for _ in range(50):
        batch = reader.more()
        assert 0 < len(batch.rows) <= UNFOLDED
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 48 << 20
    assert reader.coming == count * MOST_ADDRESSES * 65535 - 51 * UNFOLDED
    assert first.rows["line"][0] == 0
    assert batch.rows["line"][-1] == 51 * UNFOLDED - 1
    reader.forget()
    assert not reader.pending
    late = Expansion(Block((0, 0xFFFF0A000000), ((1, 65535),), MOST_ADDRESSES), 7, 1, "")
    late.at = late.left - 3
    rows, _ = late.take(10)
    assert rows["peer_port"].tolist() == [65535] * 3
    assert late.left == 0


def test_names_have_their_numbers_at_once() -> None:
    batch = listed(b"a.example:80\n10.0.0.1:80\nb.example:1-3\n10.0.0.2:80\n")
    assert batch.rows["line"].tolist() == [1, 5]
    assert [(one.block.name, one.ordinal, one.left) for one in batch.names] == [
        ("a.example", 0, 1),
        ("b.example", 2, 3),
    ]


_pieces = st.sampled_from(
    [
        "10.0.0.1",
        "2001:db8::1",
        "[",
        "]",
        ":",
        ",",
        ";",
        " ",
        "\t",
        '"',
        "80",
        "/24",
        "-",
        "http://",
        "a.b",
        "#",
        "Host: ",
        " ()",
        "\tPorts: ",
        "open tcp ",
        "{",
        "}",
        '"ip":',
        '"port":',
        "/open/tcp//",
        " -> [",
        "@",
        "%",
    ]
)


@settings(max_examples=examples(300), deadline=None)
@example('10.0.0.1";;"')
@given(st.lists(_pieces | st.text(max_size=3), min_size=1, max_size=12).map("".join))
def test_any_line_is_targets_or_a_reason(line: str) -> None:
    text = line.replace("\n", " ").strip(" \t\r").encode("utf-8", "replace")
    if not text:
        return
    heading(text)
    try:
        found = blocks(text)
    except Refused:
        return
    for block in found:
        assert 1 <= block.count <= MOST_ADDRESSES
        assert block.total >= 1
        assert bool(block.name) != (block.first != (0, 0))


def test_masscan_and_nmap_files_whole() -> None:
    nmap = (
        b"# Nmap 7.93 scan initiated Fri Nov 20 10:00:00 2026 as: nmap -oG - 10.0.0.0/30\n"
        b"Host: 10.0.0.1 (a)\tStatus: Up\n"
        b"Host: 10.0.0.1 (a)\tPorts: 22/open/tcp//ssh///, 80/open/tcp//http///\tIgnored State: closed (998)\n"
        b"# Nmap done at Fri Nov 20 10:00:01 2026 -- 4 IP addresses (1 host up) scanned in 1.00 seconds\n"
    )
    masscan = (
        b'[\n{   "ip": "10.0.0.1",   "timestamp": "1700000000", "ports": [ {"port": 22, "proto": "tcp", '
        b'"status": "open", "reason": "syn-ack", "ttl": 64} ] }\n,\n'
        b'{   "ip": "10.0.0.1",   "timestamp": "1700000000", "ports": [ {"port": 80, "proto": "tcp", '
        b'"status": "open", "reason": "syn-ack", "ttl": 64} ] }\n]\n'
    )
    old = b"#masscan\nopen tcp 22 10.0.0.1 1700000000\nopen tcp 80 10.0.0.1 1700000001\n# end\n"
    for text in (nmap, masscan, old):
        batch = read(ListReader(), [text])
        assert batch.rows["peer_port"].tolist() == [22, 80]
        assert batch.rows["line"].tolist() == [0, 1]
        assert not len(batch.refused)
