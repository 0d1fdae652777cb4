"""docs/fleet.md: the plan that it shows is one, and the commands that it names are there."""

from __future__ import annotations

import configparser
import re

from coordinator.commands.fleet import WORDS
from lzr.fleet.plan import of_toml
from tests import ROOT
from tests.docs.test_docs import blocks

PAGE = "docs/fleet.md"


def test_the_plan_is_one() -> None:
    (text,) = blocks(PAGE, "toml")
    plan = of_toml(text.encode())
    assert [box.name for box in plan.boxes] == ["fra1", "ams1"]
    for key in ("targets", "zmap", "directory"):  # with what is left out as a comment
        assert re.search(rf"^# {key} = ", text, re.M), key
    swept = re.sub(r"^# (targets|target-ports|directory) = ", r"\1 = ", text, flags=re.M)
    assert of_toml(swept.replace('input = "services.txt"', "").encode()).target_ports == "80,443"
    with_zmap = re.sub(r"^# (zmap) = ", r"\1 = ", text, flags=re.M).replace('input = "services.txt"', "")
    assert of_toml(with_zmap.encode()).zmap == ("-p", "80", "198.18.0.0/15")


def test_its_commands_are_there() -> None:
    text = (ROOT / PAGE).read_text()
    named = {word for found in re.findall(r"lzr fleet\s([a-z|]+)", text) for word in found.split("|")}
    assert named <= {word.name for word in WORDS}
    assert {"check", "shard", "assign"} <= named


def test_the_unit_is_one() -> None:
    (text,) = blocks(PAGE, "ini")
    unit = configparser.ConfigParser(interpolation=None)
    unit.read_string(text)
    assert unit["Service"]["KillMode"] == "process", "or the scan ends with who called for it"
