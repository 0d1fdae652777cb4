"""What nft says of its rules, as libnftables-json(5) has it, and which of them drop what leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coordinator.doctor.checks import OK, WARNING
from coordinator.doctor.outputrules import droppers, output_rules
from coordinator.guard.firewall import ToolError


def chain(name: str, hook: str = "", family: str = "inet", table: str = "t", **more: Any) -> dict[str, Any]:
    hooked = {"hook": hook, "type": "filter", "prio": 0, "policy": "accept"} if hook else {}
    return {"chain": {"family": family, "table": table, "name": name, **hooked, **more}}


def rule(name: str, *expr: Any, family: str = "inet", table: str = "t") -> dict[str, Any]:
    return {"rule": {"family": family, "table": table, "chain": name, "expr": list(expr)}}


def vmap(data: Any) -> dict[str, Any]:
    key = {"ct": {"key": "state"}}
    return {"vmap": {"key": key, "data": data if isinstance(data, str) else {"set": data}}}


def verdicts(name: str, elements: list[Any], table: str = "t") -> dict[str, Any]:
    return {"map": {"family": "inet", "table": table, "name": name, "map": "verdict", "elem": elements}}


OUT = ["inet t o (output)"]
DROP_OUT = {"xt": {"type": "target", "name": "REJECT"}}
NETDEV = ["netdev t e (egress)"]
RESET = {"reject": {"type": "tcp reset"}}
DROP, JUMP = {"drop": None}, {"jump": {"target": "inner"}}


@pytest.mark.parametrize(
    ("objects", "found"),
    [
        ([], []),
        ([chain("in", "input"), rule("in", DROP)], []),
        ([chain("out", "output"), rule("out", {"accept": None})], []),
        ([chain("out", "output"), rule("out", DROP)], ["inet t out (output)"]),
        ([chain("out", "output", policy="drop")], ["inet t out (output)"]),
        ([chain("out", "postrouting"), rule("out", RESET)], ["inet t out (postrouting)"]),
        ([chain("e", "egress", "netdev", dev="eth0"), rule("e", DROP, family="netdev")], NETDEV),
        ([chain("e", "egress", "netdev", dev="eth1"), rule("e", DROP, family="netdev")], []),
        ([chain("e", "egress", dev=["eth1", "eth0"]), rule("e", DROP)], ["inet t e (egress)"]),
        ([chain("o", "output"), chain("inner"), rule("o", JUMP), rule("inner", DROP)], ["inet t o (output)"]),
        ([chain("o", "output"), chain("inner"), rule("o", JUMP), rule("inner", JUMP)], []),
        ([chain("o", "output"), rule("o", "dup to 192.0.2.1", None, DROP)], ["inet t o (output)"]),
        ([chain("o", "output"), rule("o", "dup to 192.0.2.1", None)], []),
        ([chain("o", "output"), rule("o", vmap([["invalid", DROP], ["new", {"accept": None}]]))], OUT),
        ([chain("o", "output"), rule("o", vmap([["new", {"accept": None}]]))], []),
        ([chain("o", "output"), chain("inner"), rule("o", vmap([[80, JUMP]])), rule("inner", DROP)], OUT),
        ([verdicts("m", [[80, DROP]]), chain("o", "output"), rule("o", vmap("@m"))], OUT),
        ([verdicts("m", [[80, DROP]], "u"), chain("o", "output"), rule("o", vmap("@m"))], []),
        ([verdicts("m", [[80, DROP]]), chain("o", "output"), rule("o", vmap("@n"))], []),
        ([chain("o", "output"), rule("o", DROP_OUT)], ["inet t o (output)"]),
        ([chain("resets", "output", table="lzr_1_2_3_4"), rule("resets", DROP, table="lzr_1_2_3_4")], []),
    ],
)  # fmt: skip
def test_who_drops(objects: list[dict[str, Any]], found: list[str]) -> None:
    assert droppers(objects, "eth0") == found


def test_what_is_said() -> None:
    rules = [{"metainfo": {}}, chain("out", "output"), rule("out", DROP)]
    for objects, level, words in (
        (rules, WARNING, "inet t out (output)"),
        (rules[:2], OK, "no rule"),
    ):
        finding = output_rules("eth0", lambda objects=objects: json.dumps({"nftables": objects}))  # type: ignore[misc]
        assert finding is not None
        assert (finding.level, words in finding.text()) == (level, True)
    many = [each for at in range(9) for each in (chain(f"c{at}", "output"), rule(f"c{at}", DROP))]
    finding = output_rules(None, lambda: json.dumps({"nftables": many}))
    assert finding is not None
    assert "c3 (output), …" in finding.text()


def test_without_nft_nothing_is_said() -> None:
    def refuses() -> str:
        raise ToolError("no", forbidden=True)

    assert output_rules("eth0", refuses) is None
    assert output_rules("eth0", lambda: "[]") is None
