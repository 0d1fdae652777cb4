"""Pages whose title is the name of a program."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzr.fingerprint.greetings import titles
from tests.rows import every_row

NAMED = [
    ("XBMC", "XBMC", ""),
    ("xbmc web media manager", "XBMC Web Media Manager", ""),
    ("VMware ESX Server 3.5.0", "VMware ESX Server", "3.5.0"),
    ("Welcome to VMware VirtualCenter 2.5.0", "VMware VirtualCenter", "2.5.0"),
    (
        "KONICA MINOLTA PageScope Web Connection for bizhub C220",
        "KONICA MINOLTA PageScope Web Connection",
        "",
    ),
    ("Sonarr - Login", "Sonarr", ""),
    (":: OpenWrt ::", "OpenWrt", ""),
    ("Deluge: Web UI 2.1.1", "Deluge: Web UI", "2.1.1"),
    ("mikrotik routeros > administration", "MikroTik RouterOS", ""),
    ("OpenWrt", "OpenWrt", ""),
]
OTHERS = [
    "XBMC tips for beginners",
    "XBMCs",
    "Livebox review - box.example",
    "Livebox for sale",
    "Sonarr vs Radarr",
    "Webmin: install on Ubuntu",
    "Syncthing | downloads",
    "Kodi",
    "Harbor - boats for sale",
    "Radicale",
    "My OpenWrt page",
    "Login",
    "VMware ESXi - how to install",
    "",
]


@pytest.mark.parametrize(("title", "name", "version"), NAMED)
def test_a_title_that_is_a_name(title: str, name: str, version: str) -> None:
    assert titles.named(title) == (name, version)


@pytest.mark.parametrize("title", OTHERS)
def test_a_title_that_holds_a_name_or_none(title: str) -> None:
    assert titles.named(title) == ("", "")


@every_row(titles.NAMES.strip().split("\n"))
def test_each_name_is_found_alone_and_with_a_login(name: str) -> None:
    assert titles.named(name)[0] == name
    assert titles.named(f"{name} - Login")[0] == name
    assert titles.named(f"A book about {name}") == ("", "")


@given(st.text(max_size=300))
def test_any_title_is_taken(title: str) -> None:
    assert titles.named(title)[0] in {"", *titles.NAMES.strip().split("\n")}
