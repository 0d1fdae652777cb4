"""``lzr identify``: which protocol a payload is. The scan's own identification, on files instead of hosts.

One payload, one line, in order. A line of input that cannot be read gives a line too (``invalid``) and a
sentence on stderr, so that output lines match input lines; the exit status says that there was one.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, NoReturn

from coordinator.commandline.argumentparser import ArgumentParser
from lzr import safetext
from lzr.errors import UsageError, printable, two_dashes, wide_text
from lzr.exitstatus import MISTAKE, OK
from lzr.fingerprint.classifier import Classifier
from lzr.fingerprint.conversations import Segment, first_answers
from lzr.fingerprint.enrichment import EnrichingClassifier
from lzr.options import handshakes as choice
from lzr.options.table import Options
from lzr.protocols import BY_NAME, Identity, Part, Protocol
from lzr.safetext import plain
from lzr.targets import filetypes
from lzr.targets.decompress import Decompressor, NotHere, compression

INVALID = 1
"""Exit status: some of what was given could not be decoded."""
FORMATS = ("auto", "raw", "base64", "hex", "jsonl", "pcap")
_MOST = 64 << 20
"""Bytes of a payload or a line at most; --max-size keeps 1 MiB of a reply."""
_JSON_NAMES = (".json", ".jsonl", ".ndjson")
_ENDINGS = ("gz", "bz2", "xz", "zst", "zstd")
_WHERE = ("saddr", "sport", "daddr", "dport")


@dataclass(frozen=True, slots=True)
class Payload:
    """What a server sent; `sent`: what it answers, where that is known; `where`: addresses and ports."""

    data: bytes
    sent: Protocol | None = None
    where: tuple[tuple[str, Any], ...] = ()
    trouble: str = ""


_FLAGS = ("format", "json", "handshakes", "priority-fingerprint", "priorityFingerprint", "help")
_AWAITED = "lzr identify: reading a reply from the terminal, up to ^D; lzr identify FILE reads a file"


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0, 1 where some payload could not be read, 2 for a mistake."""
    status = OK
    try:
        options = _parser().parse_args(two_dashes(argv, _FLAGS))
        if not options.files:
            _await_stdin()
        asked, _ = choice.choose(
            Options(
                handshakes=_names(options.handshakes),
                priority_fingerprint=_names(options.priority_fingerprint),
            )
        )
        handshakes = choice.tried(asked.handshakes)
        classifier = EnrichingClassifier(asked.priority_fingerprint or handshakes)
        for path in options.files or ["-"]:
            for payload in _payloads(path, options.format, handshakes):
                if payload.trouble:
                    status = INVALID
                    print(safetext.line(f"lzr identify: {payload.trouble}"), file=sys.stderr)
                print(safetext.row(_line(payload, classifier, as_json=options.json)), flush=path == "-")
        sys.stdout.flush()
        return status
    except UsageError as error:
        print(safetext.line(f"lzr identify: {error}"), file=sys.stderr)
        return MISTAKE
    except BrokenPipeError:
        # What is left in the buffer has no reader; the interpreter must not find that out once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status


def _await_stdin() -> None:
    """On a terminal, say what is waited for. Raises UsageError where there is nothing to read."""
    if sys.stdin is None:
        raise UsageError("stdin is closed, and no file is named")
    if sys.stdin.buffer.isatty():
        print(_AWAITED, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lzr identify",
        description="Name the protocol of payloads: label, application, product and version, one line each, "
        "in order ('-' where nothing is known).",
        epilog="example: lzr identify found.json; tcpdump -w - ... | lzr identify --format pcap --json",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="what to read; - or nothing is stdin")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="auto",
        help="raw: a file is a payload; base64, hex: a line is; jsonl: a record with data (as lzr writes it) "
        "or data_b64 is; pcap: what each server of a capture said first (default: by name and first bytes)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument(
        "--handshakes",
        default="",
        metavar="A,B",
        help="what was sent, to know an echo and very short answers: the handshakes of the scan, or just one",
    )
    parser.add_argument(
        "--priority-fingerprint",
        "--priorityFingerprint",
        default="",
        metavar="A,B",
        help="labels that win, in this order (default: the handshakes)",
    )
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


# --- what comes in -----------------------------------------------------------------------------------------


def _payloads(path: str, form: str, handshakes: tuple[str, ...]) -> Iterator[Payload]:
    sent = BY_NAME[handshakes[0]] if len(handshakes) == 1 else None
    with contextlib.ExitStack() as stack:
        if path == "-" and sys.stdin is None:
            raise UsageError("stdin is closed")
        try:
            file: IO[bytes] = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
            if form != "raw":  # a reply may be compressed itself
                file, path = _plain(file, path, form)
            if form == "auto":
                form = _guess(path, file)
            if form not in ("pcap", "raw") and (wide := wide_text(_head(file))):
                raise UsageError(f"{printable(path)} {wide}")
            if form == "pcap":
                yield from _captured(file, path, sent)
            elif form == "raw":
                yield Payload(_bounded(file.read(_MOST + 1), path, "is larger than"), sent)
            else:
                for number, line in enumerate(iter(lambda: file.readline(_MOST + 1), b""), 1):
                    _bounded(line, path, f"line {number} is longer than")
                    yield _of_line(line.strip(), form, f"{printable(path)}, line {number}", handshakes, sent)
        except OSError as error:
            raise UsageError(f"cannot read {printable(path)}: {error.strerror or error}") from error


def _bounded(data: bytes, path: str, what: str) -> bytes:
    """Raises UsageError for more than a reply can have, as of a device without an end."""
    if len(data) > _MOST:
        raise UsageError(f"cannot read {printable(path)}: {what} {_MOST >> 20} MiB")
    return data


class _Unpacked(io.RawIOBase):
    """A compressed file as a plain one. Raises UsageError where it is damaged."""

    def __init__(self, file: IO[bytes], form: str, path: str) -> None:
        self._file, self._path = file, path
        self._packed = Decompressor(form)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        packed = self._packed
        while not self._left:
            self._left = memoryview(packed.read())
            if self._left:
                break
            data = b"" if packed.trouble else self._file.read(1 << 16)
            if not data:
                packed.finish()
                if packed.trouble:
                    raise UsageError(f"cannot read {printable(self._path)} to its end: {packed.trouble}")
                return 0
            packed.feed(data)
        size = min(len(into), len(self._left))
        into[:size], self._left = self._left[:size], self._left[size:]
        return size


def _plain(file: Any, path: str, what: str) -> tuple[IO[bytes], str]:
    """The file, decompressed where it is compressed, and its name without the ending that says so."""
    form = compression(file.peek(8)[:8])
    if not form or (form, what) == ("bzip2", "base64"):  # BZh may be base64
        return file, path
    try:
        unpacked = io.BufferedReader(_Unpacked(file, form, path), 1 << 18)
    except NotHere as missing:
        raise UsageError(f"{printable(path)} is compressed ({form}): {missing}") from None
    name, dot, ending = path.rpartition(".")
    return unpacked, name if dot and ending.lower() in _ENDINGS else path


def _head(file: Any) -> bytes:
    """The first bytes, which stay to be read."""
    found: bytes = file.peek(4)[:4]
    return found


def _guess(path: str, file: Any) -> str:
    if _head(file) in (*filetypes.PCAP, filetypes.PCAPNG):
        return "pcap"
    return "jsonl" if path.endswith(_JSON_NAMES) else "raw"


def _of_line(
    line: bytes, form: str, where: str, handshakes: tuple[str, ...], sent: Protocol | None
) -> Payload:
    try:
        if form == "base64":
            return Payload(base64.b64decode(line, validate=True), sent)
        if form == "hex":
            return Payload(bytes.fromhex(line.decode("ascii")), sent)
        return _of_record(json.loads(line), handshakes, sent)
    except (ValueError, RecursionError) as error:
        reason = (
            "not JSON" if isinstance(error, json.JSONDecodeError | RecursionError) else _reason(error, form)
        )
        return Payload(b"", trouble=f"{where}: {reason}: {plain(line.decode('latin-1'), 40, mark='...')}")


def _reason(error: Exception, form: str) -> str:
    return str(error) if type(error) is ValueError and form == "jsonl" else f"not {form}"


def _of_record(record: Any, handshakes: tuple[str, ...], sent: Protocol | None) -> Payload:
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    text, coded = record.get("data", ""), record.get("data_b64", "")
    if not isinstance(text, str) or not isinstance(coded, str):
        raise ValueError("data is not a text")
    try:
        data = base64.b64decode(coded, validate=True) if coded else _bytes_of(text)
    except binascii.Error as error:
        raise ValueError("data_b64 is not base64") from error
    name, number = record.get("handshake"), record.get("HandshakeNum")
    if isinstance(name, str) and name in BY_NAME:
        sent = BY_NAME[name]
    elif type(number) is int and 0 <= number < len(handshakes):
        sent = BY_NAME[handshakes[number]]
    return Payload(data, sent, tuple((key, record[key]) for key in _WHERE if key in record))


def _bytes_of(text: str) -> bytes:
    """The bytes of a text: each character is the byte of that number; in the reference's records they are
    UTF-8.
    """
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _captured(file: IO[bytes], path: str, sent: Protocol | None) -> Iterator[Payload]:
    for said in first_answers(_segments(file, path)):
        where = zip(_WHERE, (*said.server, *said.client), strict=True)
        yield Payload(said.answer, sent or _asked(said.asked, said.answer), tuple(where))


def _segments(file: IO[bytes], path: str) -> Iterator[Segment]:
    """The TCP segments of a capture, through scapy."""
    import logging

    logging.getLogger("scapy").setLevel(logging.ERROR)  # it complains of interfaces it will not need
    from scapy.error import Scapy_Exception
    from scapy.layers.inet import IP, TCP
    from scapy.layers.inet6 import IPv6
    from scapy.utils import PcapReader

    try:
        source: Any = file  # which scapy takes too, though it says it wants a name
        with PcapReader(source) as reader:
            for packet in reader:
                ip = packet.getlayer(IP) or packet.getlayer(IPv6)
                if ip is None or TCP not in packet:
                    continue
                tcp = packet[TCP]
                yield Segment(
                    (ip.src, tcp.sport),
                    (ip.dst, tcp.dport),
                    tcp.seq,
                    int(tcp.flags),
                    bytes(tcp.original[(tcp.dataofs or 5) * 4 :]),
                    float(packet.time),
                )
    except (Scapy_Exception, EOFError) as error:
        raise UsageError(f"cannot read {printable(path)}: {error}") from error


def _asked(asked: bytes, answer: bytes) -> Protocol | None:
    """The handshake that a client's bytes are; or those bytes as one, where they came back."""
    if not asked:
        return None
    known = _FIXED.get(asked)
    if known is not None:
        return known
    own = Protocol(name="", spec="", match=None, probe=asked)
    return own if Classifier().classify(answer, own) == "echo" else None


def _fixed(parts: tuple[Part, ...]) -> bytes | None:
    return parts[0] if len(parts) == 1 and isinstance(parts[0], bytes) else None


_FIXED: dict[bytes, Protocol] = {
    probe: protocol for protocol in BY_NAME.values() if (probe := _fixed(protocol.parts)) is not None
}


# --- what goes out -----------------------------------------------------------------------------------------


def _line(payload: Payload, classifier: Classifier, *, as_json: bool) -> str:
    found = Identity("invalid")
    if not payload.trouble:
        found = classifier.identify(payload.data, payload.sent) if payload.data else Identity("unknown")
    if as_json:
        row: dict[str, Any] = {
            "label": found.label,
            "application": found.application,
            "product": found.product,
            "version": found.version,
            **{name: text for name, text in found.details._asdict().items() if text},
            **dict(payload.where),
        }
        return json.dumps(row)
    cells = [found.label, found.application, found.product, found.version]
    where = dict(payload.where)
    if "saddr" in where and "sport" in where:
        host = str(where["saddr"])
        cells.append(f"[{host}]:{where['sport']}" if ":" in host else f"{host}:{where['sport']}")
    return "\t".join(plain(cell, 200) if cell else "-" for cell in cells)
