"""Recognises files that are no list of targets by their first bytes, and says what to do with them.

Only files that are certain: no signature here is the beginning of a line of any list that is read
(docs/input.md). Anything else is left to the reader of lines, which says why it cannot use a line.
"""

from __future__ import annotations

import re

PCAP = (b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1")
"""How a pcap file begins: times in micro- or nanoseconds, in either byte order (pcap-savefile(5))."""
PCAPNG = b"\x0a\x0d\x0d\x0a"

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    *((magic, "a packet capture (pcap): lzr identify FILE names what is in it") for magic in PCAP),
    (PCAPNG, "a packet capture (pcapng): lzr identify FILE names what is in it"),
    (b"masscan/1.", "masscan's binary output: masscan --readscan FILE -oL - makes a list of it"),
    (b"PK\x03\x04", "a zip archive (a spreadsheet or a document may be one): unpack it, or save it as CSV"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Word or Excel document: save it as CSV or text"),
    (b"{\\rtf", "a document (RTF): save it as text"),
    (b"%PDF-", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"\x89PNG\r\n\x1a\n", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"SQLite format 3\0", "an SQLite database: export the table as CSV"),
    (b"PAR1", "a Parquet file: export it as CSV, address and port"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: 7z e -so FILE | lzr ..."),
    (b"Rar!\x1a\x07", "a rar archive: unpack it"),
    (b"\x1f\x9d", "a .Z file: zcat FILE | lzr ..."),
    (b"\x1f\xa0", "a .z file: zcat FILE | lzr ..."),
    (b"\x04\x22\x4d\x18", "an lz4 file: lz4 -dc FILE | lzr ..."),
    (b"\x89LZO\0\r\n\x1a\n", "an lzop file: lzop -dc FILE | lzr ..."),
    (b"LZIP\x01", "an lzip file: lzip -dc FILE | lzr ..."),
    (b"\x5d\x00\x00", "an .lzma file: xz -dc FILE | lzr ..."),
    (b"-----BEGIN ", "a key or a certificate"),
    (b"#!/", "a script"),
    (b"!<arch>\n", "a package or an archive (ar)"),
    (b"\xed\xab\xee\xdb", "a package (rpm)"),
    (b"lzr checkpoint", "a checkpoint of lzr: --resume DIR goes on with it"),
)

_NMAP_XML = "XML of nmap or masscan: write it with -oG (or masscan's -oL) instead of -oX"
_NMAP_TEXT = "nmap's output for people: write it with -oG instead of -oN"
_MARKUP: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"<\?xml.{0,2000}?<(?:!DOCTYPE )?nmaprun", re.S), _NMAP_XML),
    (re.compile(rb"<nmaprun|<!DOCTYPE nmaprun"), _NMAP_XML),
    (re.compile(rb"<!doctype html|<html|<head|<body", re.I), "an HTML page"),
    (re.compile(rb"<\?xml"), "an XML document"),
    (re.compile(rb"(?:# Nmap [^\n]{0,200}\n)?(?:Starting Nmap |Nmap scan report for )"), _NMAP_TEXT),
)
_BLANK = b" \t\r\n\xef\xbb\xbf"
_LONGEST = max(len(signature) for signature, _ in _SIGNATURES)


def may_begin(head: bytes) -> bool:
    """Whether these few bytes may be the beginning of a signature, so that more bytes are needed."""
    return len(head) < _LONGEST and any(
        len(head) < len(signature) and signature.startswith(head) for signature, _ in _SIGNATURES
    )


def what(head: bytes) -> str:
    """What a file is that begins with these bytes, if it is certain that it is no list; else empty.

    >>> what(b"%PDF-1.7")
    'a PDF document'
    """
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[257:262] == b"ustar":
        return "a tar archive: tar -xOf FILE | lzr ..."
    text = head.lstrip(_BLANK)
    for pattern, name in _MARKUP:
        if pattern.match(text):
            return name
    if head.count(0) > len(head) // 64:
        return "binary data"
    return ""
