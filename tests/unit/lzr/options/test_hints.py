"""What people type first who come from other tools, or paste from a page: it works, or one sentence helps.

Each line is what somebody would type after ``lzr``; beside it, what the sentence must say, or what the line
comes to.
"""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from lzr.errors import UsageError
from lzr.options import handshakes, hints, parse
from lzr.options.table import Options
from tests import ROOT, forking
from tests.rows import every_row


def said(line: str) -> str:
    """The sentence that ends the line; raises where there is none."""
    with pytest.raises(UsageError) as error:
        handshakes.choose(parse.parse(shlex.split(line), read=lambda _: b""))
    sentence = str(error.value)
    assert sentence.isprintable()
    assert len(sentence) < 260
    return sentence


MISTAKES = [
    # options of other tools
    ("--json", "results are JSON lines (-O json, csv or zgrab), to the file that -f names"),
    ("-oJ found.json", "results are JSON lines"),
    ("-oX found.xml", "results are JSON lines"),
    ("-p 80", "address:port on each line"),
    ("-p80,443", "write -p 80,443"),
    ("-p-", "-p 0-65535"),
    ("--ports 80", "address:port on each line"),
    ("--top-ports 100", "address:port on each line"),
    ("--target-port 80", "address:port on each line"),
    ("--exclude 10.0.0.0/8", "-b FILE"),
    ("-iL list.txt", "-I FILE"),
    ("--includefile list.txt", "-I FILE"),
    ("-list list.txt", "-I FILE"),
    ("--threads 100", "-w N"),
    ("-T 4", "-w N"),
    ("--sender-threads 4", "-w N"),
    ("--senders 500", "-w N"),
    ("-T4", "--rate N"),
    ("--min-rate 500", "--rate N"),
    ("-rl 150", "--rate N"),
    ("--probe-module tcp_synscan", "-handshakes"),
    ("-M tcp_synscan", "-handshakes"),
    ("--banners", "-handshakes wait"),
    ("--wait 10", "-c SECONDS"),
    ("-sV", "-handshakes says what is asked"),
    ("-sS", "-sendSYNs"),
    ("-Pn", "-sendSYNs"),
    ("-sU", "TCP alone"),
    ("--adapter-ip 192.0.2.1", "--source-ip"),
    ("--adapter-port 40000", "--source-port"),
    ("--router-ip 192.0.2.1", "--gateway-mac MAC"),
    ("--source-mac 02:00:00:00:00:01", "the interface's"),
    ("-e eth0", "the interface is -i"),
    ("-adapter eth0", "-i NAME"),
    ("-w allowed.conf", "--allowlist-file"),
    ("-O found.json", "-f"),
    ("--shard 1/2", "write --shards 2 --shard 0"),
    ("--shard \u00b2/4", "shards and ranges of shards"),
    ("--vpn", "Ethernet"),
    ("-6", "both families"),
    ("--proxy socks5://192.0.2.1", "no proxy"),
    ("-title", "zgrab2"),
    ("--script banner", "zgrab2"),
    ("-vv", "--verbosity N"),
    ("--verbose", "--verbosity N"),
    ("-stats", "lzr ctl status"),
    ("--no-color", "NO_COLOR"),
    ("-random-agent", "--user-agent TEXT"),
    ("--dns-servers 192.0.2.53", "never looked up"),
    # commands and words
    ("identfy", "did you mean lzr identify?"),
    ("gaurd on", "did you mean lzr guard?"),
    ("scan", "lzr -sendSYNs < list"),
    ("status", "lzr ctl status"),
    ("on", "lzr guard on"),
    ("http", "lzr -handshakes http"),
    ("help handshaks", "did you mean handshakes?"),
    ("10.0.0.0/24", "on which ports? as in lzr -p 80,443 10.0.0.0/24"),
    ("10.0.0.1", "on which ports? as in lzr -p 80,443 10.0.0.1"),
    ("2001:db8::1", "on which ports? as in lzr -p 80,443 2001:db8::1"),
    ("example.org:80", "echo 'example.org:80' | lzr -sendSYNs"),
    ("http://192.0.2.1:9002/", "stdin or -I FILE"),
    ("list.txt", "lzr -sendSYNs -I list.txt"),
    ("-sendSYNs list.txt", "targets come from stdin or --input-file: lzr -sendSYNs -I list.txt"),
    ("-sendSYNs ./hosts", "targets come from stdin or --input-file: lzr -sendSYNs -I ./hosts"),
    ("-sendSYNs -", "stdin is read by itself"),
    # how it is written
    ("-rate5000", "write -rate 5000"),
    ("-w4", "write -w 4"),
    ("-fout.json", "write -f out.json"),
    ("-handshakeshttp", "write -handshakes http"),
    ("--handshake http", "did you mean --handshakes?"),
    ("--useragent me", "did you mean --user-agent?"),
    ("-tls", "write -handshakes tls"),
    ("--https", "write -handshakes https"),
    ("--rate=0", "--rate none is no limit"),
    ("-rate -5", "more than 0 targets a second"),
    ("-rate 5,000", "must be a number of targets a second"),
    ("-B 10MB/s", "it counts bits"),
    ("-w 0", "from 1 to 256 workers"),
    ("-t 5sec", "500ms, 2s, 5m, 1h"),
    ("-f", "-f needs a value (FILE)"),
    ("-sendSYNs -rate", "-rate needs a value (N)"),
    ("-v -v", "needs a value (N)"),
    ("–sendSYNs", "write -sendSYNs"),
    ("—source-ip 192.0.2.1", "write --source-ip"),
    ("−w 4", "write -w"),
    ("-f “found.json”", "quotation mark"),
    ("--output-filter “success = 1”", "quotation mark"),
    ("'--rate\u00a05000'", "a blank that is none for a shell"),
    ("-sendSYNs ' '", "a blank stands alone"),
    ("-handshakes http, tls", "without blanks: -handshakes http,tls"),
    ("-handshakes http ,tls", "separated by commas without blanks"),
    ("-handshakes http tls", "separated by commas without blanks"),
    ("-handshakes http -handshakes tls", "-handshakes is given twice; write -handshakes http,tls"),
    ("--user-agent ''", "must be a text that says who you are"),
    ("--user-agent 'a\rb'", "must be printable"),
    ("--user-agent 'скан'", "of Latin letters"),
    # names of handshakes
    ("-handshakes ntp", "ntp is UDP, not asked here"),
    ("-handshakes snmp", "snmp is UDP, not asked here"),
    ("-handshakes tftp", "tftp is UDP"),
    ("-handshakes sip/udp", "sip/udp is UDP, not asked here: lzr speaks TCP alone; sip asks over TCP"),
    ("-handshakes icmp", "not TCP"),
    ("-handshakes jetdirect", "a printer's"),
    ("-handshakes anydesk", "no handshake and no label here"),
    ("-handshakes 443", "443 is a port, and not a handshake; usual on port 443: tls"),
    ("-handshakes posgres", "did you mean postgres?"),
    ("-handshakes rabitmq", "did you mean rabbitmq (amqp here)?"),
    ("-handshakes quux", "quux is not a handshake (--list-handshakes shows them all)"),
    ("-priorityFingerprint auto", "auto stands for handshakes to try"),
    ("-priorityFingerprint snmp", "snmp is UDP"),
    ("-handshakes all --allow-printers", "would have printers print"),
]


@every_row(MISTAKES)
def test_one_sentence_that_helps(line: str, sentence: str) -> None:
    assert sentence in said(line)


ACCEPTED: list[tuple[str, dict[str, object]]] = [
    ("--silent", {"quiet": True}),
    ("--retries 3", {"retransmit_number": 3}),
    ("--max-retries 3", {"retransmit_number": 3}),
    ("--excludefile no.txt", {"blocklist_file": ("no.txt",)}),
    ("--exclude-file no.txt", {"blocklist_file": ("no.txt",)}),
    ("--blacklist-file no.txt", {"blocklist_file": ("no.txt",)}),
    ("--cooldown-secs 4", {"cooldown": 4.0}),
    ("--router-mac 02:00:00:00:00:01", {"gateway_mac": "02:00:00:00:00:01"}),
    ("--interface eth0", {"interface": "eth0"}),
    ("--output-filename found.json", {"output_file": "found.json"}),
    ("--output found.json", {"output_file": "found.json"}),
    ("--http-user-agent me", {"user_agent": "me"}),
    ("--user-agent ' me (https://scan.example.org) '", {"user_agent": "me (https://scan.example.org)"}),
    ("-rate 5k/s", {"rate": 5000.0}),
    ("-rate 5kpps", {"rate": 5000.0}),
    ("-B 10Mbps", {"bandwidth": 1e7}),
    ("-B 10Mbit/s", {"bandwidth": 1e7}),
    ("-handshakes https", {"handshakes": ("tls",)}),
    ("-handshakes https,tls,imaps", {"handshakes": ("tls",)}),
    ("-handshakes docker,mariadb,rabbitmq", {"handshakes": ("http", "mysql", "amqp")}),
    ("-handshakes HTTP,Memcached", {"handshakes": ("http", "memcached_ascii")}),
    ("-handshakes ssl/imap,http/tcp", {"handshakes": ("tls", "http")}),
    ("-handshakes banner", {"handshakes": ("wait",)}),
    ("-handshakes auto", {"handshakes": handshakes.AUTO, "priority_fingerprint": ("none",)}),
    (
        "-handshakes auto,redis",
        {"handshakes": (*handshakes.AUTO, "redis"), "priority_fingerprint": ("redis",)},
    ),
    ("-handshakes auto -priorityFingerprint https", {"priority_fingerprint": ("tls",)}),
    ("-handshakes http -handshakes http", {"handshakes": ("http",)}),
    ("-q -q", {"quiet": True}),
    ("--notes “nightly”", {"notes": "“nightly”"}),
]


@every_row(ACCEPTED)
def test_what_means_the_same_is_taken(line: str, values: dict[str, object]) -> None:
    got, _ = handshakes.choose(parse.parse(shlex.split(line)))
    assert {attr: getattr(got, attr) for attr in values} == values


def test_there_are_enough_of_them() -> None:
    assert len(MISTAKES) > 100
    assert len({line for line, _ in MISTAKES}) == len(MISTAKES)


def test_every_hint_belongs_to_no_option_of_ours() -> None:
    """Or it would never be read."""
    assert not set(hints._HINTS) & set(parse.FLAGS)
    assert not set(hints._HINTS) & set(parse.NEGATED)
    for hint in hints._HINTS.values():
        for word in hint.replace(",", " ").replace(";", " ").split():
            if word.startswith("-") and word not in ("-", "-n"):
                name = word.partition("=")[0].lstrip("-").rstrip(".:)(")
                assert name in parse.FLAGS or hint.startswith("masscan's --wait"), (hint, word)


def test_an_error_is_all_that_imports_them() -> None:
    code = (
        "import sys; from lzr.options import parse\n"
        "parse.parse(['-handshakes', 'auto,https', '-rate', '5k/s'])\n"
        "print([name for name in sys.modules if name.startswith('lzr.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "lzr.options.hints" not in done.stdout
    assert "lzr.protocols" not in done.stdout


@pytest.mark.parametrize(
    "line",
    ["--json", "list.txt", "identfy x", "–sendSYNs", "-handshakes http, tls", "--user-agent 'a\tb'", "-tls"],
)
def test_the_program_ends_with_status_2(line: str) -> None:
    done = subprocess.run(
        [*forking.program(), *shlex.split(line)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("lzr: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("word", ["help", "version", "help scan", "help all", "help ctl", "help guard"])
def test_words_that_ask_for_a_text(word: str) -> None:
    done = subprocess.run(
        [*forking.program(), *word.split()], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "lzr" in done.stdout
    assert ("usage: lzr " + word.partition(" ")[2] in done.stdout) == (word in ("help ctl", "help guard"))


def test_the_start_of_a_scan_says_what_names_became() -> None:
    _, notes = handshakes.choose(Options(handshakes=("https", "http", "http")))
    assert notes == ("https is tls here", "http is asked once")
    _, notes = handshakes.choose(Options(handshakes=("auto",)))
    assert notes == (f"auto is {', '.join(handshakes.AUTO)}",)
    got, notes = handshakes.choose(Options(handshakes=("all",)))
    assert len(got.handshakes) < 256
    assert f"{len(got.handshakes) * 5} packets at most" in notes[1]
