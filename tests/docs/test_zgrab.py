"""etc/all.ini, read as ZGrab2's `multiple` reads it, and the feed, read as its input.

Laws of ZGrab2's reader (its flags package, `ini.go`): lines are trimmed; `;` and `#` begin a comment line;
a section may come again and then is a scanner more; a value in quotes is a Go string; an option the module
does not know, and a port that is no number, end the program; two scanners of one name end it too.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass, field

import numpy as np
import pytest

from lzr import addresses
from lzr.protocols import BY_NAME, PROTOCOLS, Identity
from lzr.records.encoders import ZgrabEncoder
from lzr.rows import OUTCOME, Reason
from tests import ROOT

INI = ROOT / "etc" / "all.ini"

_MODULES = """
amqp091 bacnet banner checkpoint codesys2 dnp3 drda enip fox ftp http imap ipp jarm managesieve memcached
modbus mongodb mqtt mssql mysql ntp omronfins oracle pop3 postgres pptp rdp redis siemens smb smtp socks5
ssh telnet tls
"""
MODULES = frozenset(_MODULES.split())
"""The modules of ZGrab2, as of July 2026."""

OPTIONS = frozenset({"name", "trigger", "port"})
"""What every module takes."""

MORE = {"omronfins": frozenset({"tcp"})}
"""What else we say to one."""


class IniError(ValueError):
    """What ZGrab2 would refuse, and where."""


@dataclass
class Section:
    module: str
    options: dict[str, str] = field(default_factory=dict)


def read_ini(text: str) -> list[Section]:
    """The sections in order, as ZGrab2 reads them. Raises IniError."""
    sections: list[Section] = []
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line[0] in ";#":
            continue
        if line[0] == "[":
            name = line[1:-1].strip()
            if line[-1] != "]" or not name:
                raise IniError(f"{number}: malformed section header")
            # A second section of a name is told from the first by dashes, which are cut off again.
            sections.append(Section(name.rstrip("-")))
            continue
        key, equals, value = line.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not sections:
            raise IniError(f"{number}: malformed key=value")
        if value.startswith('"'):
            try:
                value = str(json.loads(value))  # Go's strings and JSON's agree on what stands here
            except ValueError as error:
                raise IniError(f"{number}: {error}") from error
        sections[-1].options[key] = value
    return sections


def scanners(sections: list[Section]) -> list[Section]:
    """The scanners ZGrab2 would register. Raises IniError for what it would end with."""
    names = set()
    for section in sections:
        if section.module == "Application Options":
            continue
        if section.module not in MODULES:
            raise IniError(f"could not find option group {section.module}")
        for key, value in section.options.items():
            if key not in OPTIONS | MORE.get(section.module, frozenset()):
                raise IniError(f"{section.module}: unknown option {key}")
            if key == "port" and not re.fullmatch(r"[0-9]{1,5}", value):
                raise IniError(f"{section.module}: port {value} is not a number")
            if key == "tcp" and value != "true":
                raise IniError(f"{section.module}: {key} {value} is not a truth value")
        name = section.options.get("name", section.module)
        if name in names:
            raise IniError(f"name {name} already used")
        names.add(name)
    return [section for section in sections if section.module != "Application Options"]


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return read_ini(INI.read_text())


def test_application_options_come_first(sections: list[Section]) -> None:
    assert sections[0].module == "Application Options"
    assert [s.module for s in sections].count("Application Options") == 1


def test_it_is_accepted(sections: list[Section]) -> None:
    assert len(scanners(sections)) == len(sections) - 1


def test_each_section_has_name_trigger_and_port(sections: list[Section]) -> None:
    for section in scanners(sections):
        assert section.options.keys() >= {"name", "trigger", "port"}, section
        assert 0 < int(section.options["port"]) < 65536


def test_every_label_that_zgrab2_can_scan_has_a_trigger(sections: list[Section]) -> None:
    triggers = {(s.options["trigger"], s.module) for s in scanners(sections)}
    wanted = {(protocol.name, protocol.zgrab) for protocol in PROTOCOLS if protocol.zgrab}
    assert wanted <= triggers


def test_every_trigger_is_a_label_of_ours(sections: list[Section]) -> None:
    for section in scanners(sections):
        for part in section.options["trigger"].split("-"):
            assert part in BY_NAME, section


def test_the_catalogue_names_modules_that_exist() -> None:
    assert {protocol.zgrab for protocol in PROTOCOLS if protocol.zgrab} <= MODULES


def test_every_module_over_tcp_for_a_protocol_of_ours_is_named() -> None:
    """A module of the name of a protocol of ours scans that protocol."""
    unnamed = [p.name for p in PROTOCOLS if p.name in MODULES and p.zgrab != p.name]
    assert not unnamed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[http]\nport=x\n", "not a number"),
        ("[http]\nname=a\n[tls]\nname=a\n", "already used"),
        ("[http]\nnonsense=1\n", "unknown option"),
        ("[gopher]\nport=70\n", "could not find"),
        ("[http\nport=70\n", "malformed section"),
        ("[http]\nport\n", "malformed key"),
    ],
)
def test_the_reader_refuses_what_zgrab2_refuses(text: str, sentence: str) -> None:
    with pytest.raises(IniError, match=sentence):
        scanners(read_ini(text))


def feed(labels: list[str], address: str, **options: bool) -> str:
    rows = np.zeros(len(labels), OUTCOME)
    rows["peer_hi"], rows["peer_lo"] = addresses.parse(address)
    rows["peer_port"], rows["record"], rows["final"], rows["reason"] = 9002, 1, 1, Reason.DATA
    rows["data_len"] = 1
    names = [Identity(label) for label in labels]
    return ZgrabEncoder(handshakes=("http",), **options).encode(rows, b"x" * len(labels), names).decode()


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_the_feed_triggers_the_right_scanners(sections: list[Section], address: str) -> None:
    labels = [*BY_NAME, "smtp-ftp", "unknown"]
    by_trigger: dict[str, set[str]] = {}
    for section in scanners(sections):
        by_trigger.setdefault(section.options["trigger"], set()).add(section.module)
    records = list(csv.reader(io.StringIO(feed(labels, address))))
    assert len(records) == len(labels)
    for (ip, domain, tag, port), label in zip(records, labels, strict=True):
        assert (ip, domain, port) == (address, "", "9002")
        modules = by_trigger.get(tag, set())
        if label == "smtp-ftp":
            assert modules == {"smtp", "ftp"}
        else:
            protocol = BY_NAME.get(label)
            assert modules == ({protocol.zgrab} if protocol and protocol.zgrab else set()), label


def test_only_what_is_known() -> None:
    assert feed(["http", "unknown"], "192.0.2.7", known_only=True) == "192.0.2.7,,http,9002\n"
