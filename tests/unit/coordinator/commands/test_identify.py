"""`lzr identify`: every format in, the scan's own labels out, one line each in order."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Padding, Raw
from scapy.utils import PcapNgWriter, PcapWriter

import lzr
from coordinator.commands import identify as identifycommand
from lzr.fingerprint.classifier import Classifier
from lzr.protocols import PROTOCOLS
from tests.unit.coordinator.input.test_plaintext import has_zstd, zstd

SSH = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"
FTP = b"220 (vsFTPd 3.0.3)\r\n"
NASTY = b"\xff\xfb\x01\x00\n\xe9\x80"


class Stdin:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BufferedReader(io.BytesIO(data))


@pytest.fixture
def identify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str | Path, stdin: bytes = b"") -> tuple[int, list[str], str]:
        monkeypatch.setattr(sys, "stdin", Stdin(stdin))
        status = identifycommand.main([str(word) for word in words])
        out, trouble = capsys.readouterr()
        return status, out.splitlines(), trouble

    return run


def test_it_can_be_imported() -> None:
    found = lzr.identify(SSH)
    assert (found.label, found.product, found.version) == ("ssh", "OpenSSH", "9.2p1")


def test_raw_from_stdin(identify: Any) -> None:
    assert identify(stdin=SSH) == (0, ["ssh\t-\tOpenSSH\t9.2p1"], "")
    assert identify("-", "--json", stdin=b"?")[1] == [
        '{"label": "unknown", "application": "", "product": "", "version": ""}'
    ]


def test_stdin_that_is_closed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    for words in ([], ["-"]):
        assert identifycommand.main(words) == 2
        assert "stdin is closed" in capsys.readouterr().err


def test_raw_files_are_a_payload_each(identify: Any, tmp_path: Path) -> None:
    names = []
    for number, data in enumerate((FTP, SSH, b"")):
        names.append(tmp_path / f"payload{number}.bin")
        names[-1].write_bytes(data)
    status, lines, _ = identify(*names)
    assert status == 0
    assert [line.split("\t")[0] for line in lines] == ["ftp", "ssh", "unknown"]


@pytest.mark.parametrize(
    ("form", "encode"), [("base64", base64.b64encode), ("hex", lambda data: data.hex().encode())]
)
def test_a_payload_a_line(identify: Any, form: str, encode: Any) -> None:
    payloads = [FTP, SSH, NASTY, b"", SSH]
    text = b"\n".join(map(encode, payloads)) + b"\r\n"
    status, lines, _ = identify("--format", form, stdin=text)
    labels = [Classifier().identify(data).label if data else "unknown" for data in payloads]
    assert (status, [line.split("\t")[0] for line in lines]) == (0, labels)


def test_json_lines(identify: Any) -> None:
    records: list[Any] = [
        {"saddr": "192.0.2.1", "sport": 22, "data": SSH.decode("latin-1")},
        {"data_b64": base64.b64encode(FTP).decode()},
        {"saddr": "192.0.2.2", "sport": 9},
        {"data": NASTY.decode("latin-1")},
        {"saddr": "2001:db8::1", "sport": 22, "data": "SSH-2.0-\N{BULLET}\r\n"},
    ]
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    status, lines, _ = identify("--format", "jsonl", stdin=text)
    assert status == 0
    assert [line.split("\t")[0] for line in lines] == ["ssh", "ftp", "unknown", "telnet", "ssh"]
    assert lines[0].endswith("\t192.0.2.1:22")
    assert lines[4].endswith("\t[2001:db8::1]:22")
    _, lines, _ = identify("--format", "jsonl", "--json", stdin=text)
    assert json.loads(lines[0])["saddr"] == "192.0.2.1"


def test_bad_lines_keep_their_place(identify: Any) -> None:
    text = (
        b'{"data": "SSH-2.0-x\\r\\n"}\nnonsense\n[1]\n{"data": 3}\n{"data_b64": "?"}\n{"data": "+OK\\r\\n"}\n'
    )
    status, lines, said = identify("--format", "jsonl", stdin=text)
    assert status == 1
    labels = [line.split("\t")[0] for line in lines]
    assert labels[0] == "ssh"
    assert labels[1:5] == ["invalid"] * 4
    assert len(labels) == 6
    assert [line.split(": ")[1] for line in said.splitlines()] == [f"-, line {n}" for n in (2, 3, 4, 5)]


def test_what_was_sent_shows_an_echo(identify: Any) -> None:
    probe = next(p for p in PROTOCOLS if p.name == "tls").probe
    assert isinstance(probe, tuple | bytes)
    ping = next(p for p in PROTOCOLS if p.name == "redis").probe
    assert isinstance(ping, bytes)
    assert identify("--handshakes", "redis", stdin=ping)[1][0].split("\t")[0] == "echo"
    record = json.dumps({"data": ping.decode("latin-1"), "HandshakeNum": 1}).encode()
    words = ("--format", "jsonl", "-handshakes", "http,redis")
    assert identify(*words, stdin=record)[1][0].split("\t")[0] == "echo"
    record = json.dumps({"data": ping.decode("latin-1"), "handshake": "redis"}).encode()
    assert identify("--format", "jsonl", stdin=record)[1][0].split("\t")[0] == "echo"


def test_a_preferred_label_wins(identify: Any) -> None:
    both = b"220 hello\r\n"
    assert identify(stdin=both)[1][0].split("\t")[0] == "smtp-ftp"
    assert identify("--priority-fingerprint", "ftp", stdin=both)[1][0].split("\t")[0] == "ftp"


@pytest.mark.parametrize(
    "words", [("--format", "xml"), ("--handshakes", "nonsense"), ("/no/such/file",), ("--nonsense",)]
)
def test_a_mistake_is_one_sentence(identify: Any, words: tuple[str, ...]) -> None:
    status, lines, said = identify(*words)
    assert (status, lines) == (2, [])
    assert said.startswith("lzr identify: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le"])
def test_utf_16_is_said(identify: Any, tmp_path: Path, coding: str) -> None:
    path = tmp_path / "replies.json"
    path.write_bytes('{"data": "x"}\n{"data": "y"}\n'.encode(coding))
    for words, stdin in (((path,), b""), (("--format", "jsonl"), path.read_bytes())):
        status, lines, said = identify(*words, stdin=stdin)
        assert (status, lines, said.count("\n")) == (2, [], 1)
        assert "is UTF-16 text" in said
    raw = identify(stdin=b"\xff\xfe\x01\0")  # may be a reply
    assert raw[0] == 0


def conversation(ip: Any, client_port: int, server_port: int, asked: bytes, pieces: list[bytes]) -> list[Any]:
    """The frames of a conversation, the server's answer in pieces; small ones padded as on the wire."""
    back = ip.copy()
    back.src, back.dst = ip.dst, ip.src
    out = [ip / TCP(sport=client_port, dport=server_port, seq=100, flags="S")]
    out.append(back / TCP(sport=server_port, dport=client_port, seq=500, ack=101, flags="SA"))
    out.append(ip / TCP(sport=client_port, dport=server_port, seq=101, ack=501, flags="A") / Raw(asked))
    seq = 501
    for piece in pieces:
        tcp = TCP(sport=server_port, dport=client_port, seq=seq, ack=101 + len(asked), flags="PA")
        out.append(back / tcp / Raw(piece))
        seq += len(piece)
    return out


def framed(packets: list[Any], *, tag: bool = False) -> list[Any]:
    frames = []
    for packet in packets:
        head = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        frame = head / Dot1Q(vlan=7) / packet if tag else head / packet
        short = 60 - len(frame)
        frames.append(frame / Padding(b"\0" * short) if short > 0 else frame)
    return frames


def four() -> list[Any]:
    v4 = IP(src="10.0.0.1", dst="10.0.0.2")
    v6 = IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrDestOpt()
    first = conversation(v4, 40000, 9000, b"", [SSH[:4], SSH[4:]])
    second = conversation(v6, 40000, 21, b"", [FTP])
    silent = conversation(v4, 40001, 80, b"GET / HTTP/1.0\r\n\r\n", [])
    echo = conversation(v4, 40002, 7, b"what is this, an echo?", [b"what is this, an echo?"])
    # Beginnings first: conversations overlap in a real capture.
    return first[:2] + second[:1] + silent[:1] + echo + silent[1:] + second[1:] + first[2:]


@pytest.mark.parametrize("writer", [PcapWriter, PcapNgWriter])
@pytest.mark.parametrize("tag", [False, True])
def test_a_capture(identify: Any, tmp_path: Path, writer: Any, tag: bool) -> None:
    path = tmp_path / "some.capture"
    with writer(str(path)) as out:
        for frame in framed(four(), tag=tag):
            out.write(frame)
    status, lines, said = identify(path)
    assert (status, said) == (0, "")
    assert lines == [
        "ssh\t-\tOpenSSH\t9.2p1\t10.0.0.2:9000",
        "ftp\t-\tvsFTPd\t3.0.3\t[fd00::2]:21",
        "echo\t-\t-\t-\t10.0.0.2:7",
    ]
    _, lines, _ = identify("--json", path)
    first = json.loads(lines[0])
    assert {key: first[key] for key in ("label", "saddr", "sport", "daddr", "dport")} == {
        "label": "ssh", "saddr": "10.0.0.2", "sport": 9000, "daddr": "10.0.0.1", "dport": 40000,
    }  # fmt: skip


def test_a_capture_without_link_layer(identify: Any, tmp_path: Path) -> None:
    path = tmp_path / "raw.pcap"
    with PcapWriter(str(path), linktype=101) as out:
        for packet in conversation(IP(src="10.0.0.1", dst="10.0.0.2"), 4, 3, b"", [FTP]):
            out.write(packet)
    assert identify(path)[1] == ["ftp\t-\tvsFTPd\t3.0.3\t10.0.0.2:3"]
    assert identify("--format", "pcap", stdin=path.read_bytes())[1] == ["ftp\t-\tvsFTPd\t3.0.3\t10.0.0.2:3"]


def test_a_capture_that_is_cut_short_or_none(identify: Any, tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    with PcapWriter(str(path)) as out:
        for frame in framed(conversation(IP(dst="10.0.0.2"), 4, 3, b"", [FTP, FTP])):
            out.write(frame)
    whole = path.read_bytes()
    assert identify("--format", "pcap", stdin=whole[:-10])[1][0].startswith("ftp\t")
    status, lines, said = identify("--format", "pcap", stdin=b"this is no capture at all")
    assert (status, lines) == (2, [])
    assert said.count("\n") == 1


@given(st.binary(max_size=200), st.sampled_from(["base64", "hex", "jsonl"]))
def test_any_line_makes_a_payload_or_a_sentence(data: bytes, form: str) -> None:
    payload = identifycommand._of_line(data, form, "here", ("http",), None)
    line = identifycommand._line(payload, Classifier(), as_json=False)
    assert line.isprintable() or "\t" in line
    assert "\n" not in line
    assert json.loads(identifycommand._line(payload, Classifier(), as_json=True))


@given(st.binary(max_size=300))
def test_every_form_gives_the_same_bytes(data: bytes) -> None:
    record = json.dumps({"data": data.decode("latin-1")}).encode()
    for line, form in (
        (base64.b64encode(data), "base64"),
        (data.hex().encode(), "hex"),
        (record, "jsonl"),
        (json.dumps({"data_b64": base64.b64encode(data).decode()}).encode(), "jsonl"),
    ):
        assert identifycommand._of_line(line, form, "here", (), None).data == data


def test_the_command_itself() -> None:
    """Through the console script: lines out as lines come in."""
    command = [str(Path(sys.executable).parent / "lzr"), "identify", "--format", "hex"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for data, label in ((SSH, b"ssh"), (FTP, b"ftp")):
            process.stdin.write(data.hex().encode() + b"\n")
            process.stdin.flush()
            assert process.stdout.readline().split(b"\t")[0] == label
        process.stdin.close()
        assert process.wait(20) == 0


def test_what_could_not_be_read_is_in_the_status_though_the_reader_has_left() -> None:
    command = [str(Path(sys.executable).parent / "lzr"), "identify", "--format", "hex"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"no hex\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"invalid")
        process.stdout.close()
        process.stdin.write(SSH.hex().encode() + b"\n")
        process.stdin.close()
        assert process.wait(20) == 1


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd])
@pytest.mark.parametrize("writer", [PcapWriter, PcapNgWriter])
def test_a_compressed_capture(identify: Any, tmp_path: Path, writer: Any, pack: Any) -> None:
    if pack is zstd and not has_zstd():
        pytest.xfail("this Python has no zstd; what is said then is in test_plaintext.py")
    plain = tmp_path / "plain"
    with writer(str(plain)) as out:
        for frame in framed(four()):
            out.write(frame)
    wanted = identify(plain)
    assert wanted[1][0] == "ssh\t-\tOpenSSH\t9.2p1\t10.0.0.2:9000"
    packed = tmp_path / "capture.pcap.xyz"
    packed.write_bytes(pack(plain.read_bytes()))
    assert identify(packed) == wanted
    assert identify("--format", "pcap", stdin=packed.read_bytes()) == wanted
    packed.write_bytes(packed.read_bytes()[:-40])
    status, _, trouble = identify(packed)
    assert status == 2
    assert trouble.startswith("lzr identify: cannot read ")
    assert trouble.endswith("data is cut short\n")
    assert trouble.count("\n") == 1


def test_compressed_records_and_lines(identify: Any, tmp_path: Path) -> None:
    path = tmp_path / "found.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"data": SSH.decode()}).encode() + b"\n"))
    assert identify(path)[1] == ["ssh\t-\tOpenSSH\t9.2p1"]
    assert identify("--format", "hex", stdin=gzip.compress(SSH.hex().encode()))[1] == [
        "ssh\t-\tOpenSSH\t9.2p1"
    ]
    path.write_bytes(gzip.compress(SSH))
    assert identify("--format", "raw", path)[1] == ["unknown\t-\t-\t-"]


def test_what_has_no_end_is_not_read_for_ever(identify: Any) -> None:
    for form, what in (("raw", "is larger than"), ("hex", "line 1 is longer"), ("jsonl", "line 1 is longer")):
        status, lines, said = identify("--format", form, "/dev/zero")
        assert (status, lines) == (2, [])
        assert what in said
