"""What a fingerprint says: constants, groups, holes filled, CPEs."""

from __future__ import annotations

import json

import pytest

from lzr.fingerprint.recog.facts import cpe_part, told
from lzr.fingerprint.recog.table import Table
from tests.recogexamples import examples, table


def says(pattern: str, text: bytes, **facts: object) -> dict[str, str]:
    named = {name.replace("_", "."): value for name, value in facts.items()}
    return told(Table(json.dumps([pattern, 512, [], [], named])), text)


def test_what_the_examples_assert_is_said() -> None:
    asserted = wrong = 0
    for example in examples():
        got = told(table(example.table), example.text)
        for name, value in example.says.items():
            if "{" not in value and name in table(example.table).rows[example.row].says:
                asserted += 1
                wrong += (
                    got.get(name, "") != value.encode().decode("latin-1").strip() and got.get(name) != value
                )
    assert asserted > 15_000
    assert wrong <= 0.003 * asserted


def test_holes_are_filled_and_a_version_that_is_not_there_is_a_dash() -> None:
    cpe = "cpe:/a:x:y:{service.version}"
    pattern = r"^Y(?:/(\S+))?$"
    assert says(pattern, b"Y/1.2", service_version=1, service_cpe23=cpe)["service.cpe23"] == "cpe:/a:x:y:1.2"
    assert says(pattern, b"Y", service_version=1, service_cpe23=cpe) == {"service.cpe23": "cpe:/a:x:y:-"}
    assert says(pattern, b"Y", service_cpe23="cpe:/h:x:{hw.product}:-") == {}
    assert says(pattern, b"Y/9", hw_product="Z{hw.model}", hw_model=1)["hw.product"] == "Z9"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("2.4.1", "2.4.1"),
        ("8.8 SP8", "8.8_sp8"),
        ("1:2/3", "1%3a2%2f3"),
        ("1 cpe:/o:evil", "1_cpe%3a%2fo%3aevil"),
        ("\xff\r\n", "%ff"),
        ("\u20ac", "%3f"),
    ],
)
def test_nothing_that_a_peer_writes_makes_another_cpe(text: str, part: str) -> None:
    assert cpe_part(text) == part
    assert cpe_part(text).isascii()


def test_what_a_peer_writes_into_a_group_is_no_hole() -> None:
    found = says(r"^(.*)$", b"{service.version}{os.product}", service_product=1, service_version="7")
    assert found["service.product"] == "{service.version}{os.product}"


def test_a_long_group_is_cut() -> None:
    assert len(says(r"^(.*)$", b"x" * 500, service_product=1)["service.product"]) == 200
