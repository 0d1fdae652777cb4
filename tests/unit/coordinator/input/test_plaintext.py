"""Input as people keep it: compressed, in other codings, with other line ends, cut anywhere; or no list."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import os
import select
import socket
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.input.plaintext import PlainText
from coordinator.input.stream import Stream
from lzr.errors import UsageError
from lzr.targets import decompress, filetypes
from lzr.targets.decompress import MOST, Decompressor, NotHere, compression
from lzr.targets.textencoding import Text
from tests.effort import QUICK, examples

LINES = b"".join(
    b"10.%d.%d.7:%d\n" % (at >> 8 & 255, at & 255, 1 + at % 65535) for at in range(examples(50_000))
)


def zstd(data: bytes) -> bytes:
    """A zstd frame of raw blocks (RFC 8878 §3.1.1), so that no library is needed to make one."""
    frame = bytearray(b"\x28\xb5\x2f\xfd\x00\x58")  # no checksum, a window of 2 MiB
    pieces = [data[at : at + 100_000] for at in range(0, len(data), 100_000)] or [b""]
    for number, piece in enumerate(pieces):
        frame += (len(piece) << 3 | (number == len(pieces) - 1)).to_bytes(3, "little") + piece
    return bytes(frame)


def has_zstd() -> bool:
    try:
        Decompressor("zstd")
    except NotHere:
        return False
    return True


PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
if has_zstd():
    PACKERS["zstd"] = zstd


def unpacked(form: str, data: bytes, step: int = 1 << 18) -> tuple[bytes, str]:
    """(plain bytes, what was wrong)."""
    packed, out = Decompressor(form), []
    for at in range(0, len(data), step):
        packed.feed(data[at : at + step])
        while piece := packed.read():
            assert len(piece) <= 2 * MOST + (1 << 17)
            out.append(piece)
    packed.finish()
    return b"".join(out), packed.trouble


@pytest.mark.parametrize("form", PACKERS)
def test_compressed_text_comes_out_whole(form: str) -> None:
    data = PACKERS[form](LINES)
    assert compression(data) == form
    assert unpacked(form, data) == (LINES, "")
    assert unpacked(form, data[:5000], 1)[0] == LINES[: len(unpacked(form, data[:5000])[0])]
    assert unpacked(form, data + PACKERS[form](b"more\n")) == (LINES + b"more\n", "")
    assert unpacked(form, data + bytes(512)) == (LINES, "")
    assert unpacked(form, data + b"junk after it") == (
        LINES,
        f"what follows the {form} data is something else",
    )


@pytest.mark.skipif("zstd" not in PACKERS, reason="this Python has no zstd")
def test_frames_of_zstd_that_hold_nothing_are_passed_over() -> None:
    """As pzstd writes them, which packs on several cores."""
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0size"
    data = skipped + zstd(LINES) + skipped + b"\x5f\x2a\x4d\x18\0\0\0\0" + zstd(b"more\n") + skipped
    assert compression(data) == "zstd"
    for step in (len(data), 1000, 7):
        assert unpacked("zstd", data, step) == (LINES + b"more\n", "")
    assert unpacked("zstd", data + skipped[:6])[1] == "the zstd data is cut short"


@pytest.mark.parametrize("form", PACKERS)
def test_what_is_cut_or_damaged_is_said(form: str) -> None:
    data = PACKERS[form](LINES)
    plain, trouble = unpacked(form, data[: len(data) // 2])
    assert LINES.startswith(plain)
    assert trouble == f"the {form} data is cut short"
    head = len(decompress.MAGICS[form])
    plain, trouble = unpacked(form, data[:head] + b"\xff" * 200)
    assert trouble == f"the {form} data is damaged"


@pytest.mark.parametrize("form", PACKERS)
def test_a_bomb_comes_out_in_pieces(form: str) -> None:
    """A small input that stands for much: nothing gives all of it at once."""
    if form == "zstd":  # blocks that say "this byte, 128 KiB times"
        bomb = b"\x28\xb5\x2f\xfd\x00\x58" + b"".join(
            (1 << 17 << 3 | 1 << 1 | (at == 499)).to_bytes(3, "little") + b"x" for at in range(500)
        )
        size = 500 << 17
    else:
        size = 1 << (24 if QUICK else 26)
        bomb = PACKERS[form](b"x" * size)
    packed = Decompressor(form)
    packed.feed(bomb)
    total = 0
    while piece := packed.read():
        assert len(piece) <= 2 * MOST
        total += len(piece)
    packed.finish()
    assert (total, packed.trouble) == (size, "")


@pytest.mark.skipif("zstd" not in PACKERS, reason="this Python has no zstd")
@pytest.mark.parametrize("head", [b"\x00\xa8", b"\xa0\x00\x00\x00\x80"], ids=["window", "one segment"])
@pytest.mark.parametrize("step", [1, 7, 1 << 18])
def test_zstd_whose_window_is_too_large_is_not_called_damaged(head: bytes, step: int) -> None:
    """As `zstd --long=31` writes it: 2 GiB are wanted. What stands before is read."""
    block = (1 | 3 << 3).to_bytes(3, "little") + b"abc"
    large = b"\x28\xb5\x2f\xfd" + head + block
    skipped = b"\x50\x2a\x4d\x18\x02\0\0\0ab"
    for before in (b"", skipped):
        plain, trouble = unpacked("zstd", zstd(b"first\n") + before + large, step)
        assert plain == b"first\n"
        assert trouble.startswith("the zstd data wants a window of 2,048 MiB, and 128 MiB are held at most")
    assert unpacked("zstd", b"\x28\xb5\x2f\xfd\x00\x58" + b"\xff" * 40, step)[1] == "the zstd data is damaged"


def test_zstd_without_its_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression", None)
    with pytest.raises(NotHere, match=r"pip install zstandard.*zstd -dc FILE \| lzr"):
        Decompressor("zstd")


@pytest.mark.parametrize("form", PACKERS)
@settings(max_examples=examples(40), deadline=None)
@given(junk=st.binary(max_size=300), cut=st.integers(0, 300))
def test_junk_never_raises(form: str, junk: bytes, cut: int) -> None:
    data = PACKERS[form](b"10.0.0.1:80\n" * 9)
    unpacked(form, decompress.MAGICS[form] + junk, 7)
    unpacked(form, data[:cut] + junk + data[cut:], 11)


# --- text ----------------------------------------------------------------------------------------------


def texted(pieces: list[bytes]) -> bytes:
    text = Text()
    return b"".join([text.feed(piece) for piece in pieces]) + text.finish()


def lines_of(data: bytes) -> list[bytes]:
    return [line.strip(b" \t\r") for line in data.split(b"\n") if line.strip(b" \t\r")]


def cut_at(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(edges)]


SHORT = b"10.0.0.1:80\n[2001:db8::1]:443\nexample.com:22\n"


@pytest.mark.parametrize("name", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@settings(max_examples=examples(25), deadline=None)
@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_every_coding_and_line_end(name: str, end: str, cuts: list[int]) -> None:
    data = SHORT.decode().replace("\n", end).encode(name)
    if name.startswith("utf-16-"):
        marked = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}[name] + data
        assert lines_of(texted(cut_at(marked, cuts))) == lines_of(SHORT)
    assert lines_of(texted(cut_at(data, cuts))) == lines_of(SHORT)
    unended = SHORT.decode()[:-1].replace("\n", end).encode(name)
    assert lines_of(texted(cut_at(unended, cuts))) == lines_of(SHORT)


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
@pytest.mark.parametrize("step", [1, 2])
def test_utf_16_of_a_few_bytes(mark: bytes, step: int) -> None:
    """What PowerShell writes of nothing, and of what is cut off."""
    assert texted(cut_at(mark, [step])) == b""
    assert texted([mark[:step], mark[step:], b"1"]) == "\ufffd".encode()


@settings(max_examples=examples(200), deadline=None)
@given(data=st.binary(max_size=60) | st.text("1.:\r\n \ufeff\x00", max_size=40).map(str.encode))
def test_text_in_any_cut_is_the_same(data: bytes) -> None:
    whole = lines_of(texted([data]))
    for step in (1, 2, 3, 5):
        assert lines_of(texted([data[at : at + step] for at in range(0, len(data), step)])) == whole


# --- what is no list -----------------------------------------------------------------------------------

STRANGE = {
    "pcap": (b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", "lzr identify FILE"),
    "pcapng": (b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00", "lzr identify FILE"),
    "nmap xml": (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n<?xml-stylesheet href="f"?>\n<nmaprun>',
        "-oG",
    ),
    "masscan xml": (b'<?xml version="1.0"?>\n<!-- masscan v1.0 scan -->\n<nmaprun scanner="masscan">', "-oG"),
    "nmap normal": (b"# Nmap 7.93 scan initiated Fri Nov 20 as: nmap -oN x y\nNmap scan report for a", "-oG"),
    "nmap screen": (b"Starting Nmap 7.93 ( https://nmap.org ) at 2026", "-oG"),
    "masscan binary": (b"masscan/1.1\ns:1700000000\n\0\0\0", "--readscan"),
    "html": (b"\n<!DOCTYPE html>\n<html>", "an HTML page"),
    "xml": (b"\xef\xbb\xbf<?xml version='1.0'?>\n<rss>", "an XML document"),
    "docx": (b"PK\x03\x04\x14\x00\x06\x00", "zip archive"),
    "doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0", "document"),
    "pdf": (b"%PDF-1.7\n", "PDF"),
    "elf": (b"\x7fELF\x02\x01\x01", "a program"),
    "tar": (b"list.txt".ljust(257, b"\0") + b"ustar\x0000", "tar -xOf"),
    "lz4": (b"\x04\x22\x4d\x18\x64\x40", "lz4 -dc"),
    "anything with zeros": (b"abcd\0\0\0\x01efgh", "binary data"),
    "utf-16 xml": ("\ufeff<?xml version='1.0'?><nmaprun>".encode("utf-16-le"), "-oG"),
}


def unpack(data: bytes, step: int = 1 << 18, *, binary: bool = False) -> tuple[bytes, str]:
    """Through a real pipe, `step` bytes a write."""
    reader, writer = os.pipe()
    try:
        stream = Stream(reader)
        made = PlainText(stream, binary=binary)
        out = []
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        stream.stop_reading_ahead()
        for piece in pieces:
            os.write(writer, piece)
            while made.ready():
                out.append(made.read() or b"")
        os.close(writer)
        writer = -1
        while (last := made.read()) != b"":
            out.append(last or b"")
        assert made.read() == b""
        return b"".join(out), made.trouble
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_list_is_refused_by_name(name: str) -> None:
    data, words = STRANGE[name]
    with pytest.raises(UsageError, match="the input is no list of targets, it is .*" + words):
        unpack(data)
    with pytest.raises(UsageError, match=words):
        unpack(gzip.compress(data))


@pytest.mark.parametrize("name", ["pcap", "pcapng", "docx", "pdf", "elf", "lz4", "doc"])
def test_however_slowly_it_comes(name: str) -> None:
    with pytest.raises(UsageError, match=STRANGE[name][1]):
        unpack(STRANGE[name][0], 1)


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
def test_lists_go_through(step: int) -> None:
    for data in (SHORT, b"\xef\xbb\xbf" + SHORT, b"# note\n" + SHORT, b"x:1\n", b"", b"\n", b"[", b"{}\n"):
        assert unpack(data, step) == (data, "")
    for pack in PACKERS.values():
        assert unpack(pack(SHORT), step) == (SHORT, "")
        assert unpack(pack(SHORT.decode().encode("utf-16")), step) == (SHORT, "")
        assert unpack(pack(b""), step) == (b"", "")


def test_a_fast_dry_run_is_not_looked_at() -> None:
    data = b"\x1f\x8b\x08\x00\x00\x50\x0a\x00\x00\x01\x00\x50" * 3
    assert unpack(data, 5, binary=True) == (data, "")


def test_a_damaged_input_gives_what_is_whole() -> None:
    data = gzip.compress(LINES)
    plain, trouble = unpack(data[:-20_000], 4096)
    assert plain
    assert LINES.startswith(plain)
    assert trouble == "the gzip data is cut short"
    with pytest.raises(UsageError, match="twice"):
        unpack(gzip.compress(data))


def outcome(data: bytes, step: int) -> tuple[bytes, str]:
    try:
        plain, trouble = unpack(data, step)
    except UsageError as error:
        return b"", str(error)
    return plain.rstrip(b"\r\n"), trouble


@settings(max_examples=examples(100), deadline=None)
@given(data=st.binary(min_size=0, max_size=80) | st.text("1.: a\n", max_size=60).map(str.encode))
def test_any_bytes_end_in_the_same_however_they_come(data: bytes) -> None:
    for form in (data, gzip.compress(data), zlib.compress(data)):
        whole = outcome(form, 1 << 16)
        assert not whole[1] or whole[1].startswith("the ")
        assert outcome(form, 1)[0] in (whole[0], b"") or whole == (b"", whole[1])
    if data.isascii() and data[:1].isdigit() and b"\0" not in data and b"\r" not in data:
        assert outcome(gzip.compress(data), 3) == (data.rstrip(b"\n"), "")


def test_no_signature_begins_a_line_of_a_list() -> None:
    for line in (b"10.0.0.1:80", b"[::1]:80", b"MZ.example:80", b"http://a/", b'{"saddr"', b"Host: 1", b"#a"):
        assert not filetypes.what(line + b"\n")


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "list"
    path.write_bytes(gzip.compress(LINES))
    return path


def test_a_file_is_read_to_its_end(listed: Path) -> None:
    with listed.open("rb") as file:
        made, out = PlainText(Stream(file.fileno())), io.BytesIO()
        while piece := made.read():
            out.write(piece)
    assert out.getvalue() == LINES


@pytest.mark.skipif("zstd" not in PACKERS, reason="without zstandard")
def test_a_frame_that_holds_nothing_may_come_byte_by_byte() -> None:
    reads, writes = os.pipe()
    try:
        text, found = PlainText(Stream(reads)), b""
        for octet in b"\x50\x2a\x4d\x18\x02\0\0\0ab" + zstd(b"192.0.2.7:80\n"):
            os.write(writes, bytes((octet,)))
            if not text.ready():
                select.select([text.stream.fileno()], [], [], 30)
            found += text.read() or b""
        os.close(writes)
        writes = -1
        while (chunk := text.read()) != b"":
            found += chunk or b""
        assert (found, text.trouble) == (b"192.0.2.7:80\n", "")
    finally:
        for descriptor in (reads, writes):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_input_that_cannot_be_read_on_ends_and_says_why(pack: Callable[[bytes], bytes]) -> None:
    """As from a disk that fails, or from a peer that resets the connection, as here."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as here:
        here.connect(server.getsockname())
        peer, _ = server.accept()
        text = PlainText(Stream(here.fileno()))
        peer.sendall(pack(b"192.0.2.1:80\n192.0.2.2:80\n"))
        found = b""
        while not found.endswith(b"2:80\n"):
            select.select([text.stream.fileno()], [], [], 10)
            found += text.read() or b""
        assert text.trouble == ""
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        end: bytes | None = None
        while end is None:
            select.select([text.stream.fileno()], [], [], 10)
            end = text.read()
        assert (end, text.trouble) == (b"", "Connection reset by peer")


def test_a_directory_ends_at_once(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    text = PlainText(Stream(descriptor))
    while (end := text.read()) is None:
        select.select([text.stream.fileno()], [], [], 10)
    os.close(descriptor)
    assert (end, text.trouble) == (b"", "Is a directory")
