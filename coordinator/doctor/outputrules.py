"""Finds rules of this host's own firewall that may drop what a scan sends, for `lzr doctor`.

Packets that leave by the rings pass the egress hook of the link and nothing else; those that the kernel
routes pass the output and postrouting hooks too. Here it can only be said that there are such rules; which
targets they concern shows in the scan (records with the reason ``send_refused``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from coordinator.doctor.checks import OK, WARNING, Finding
from coordinator.guard import tablenames
from coordinator.guard.firewall import ToolError, find_tool, run

_VERDICTS = ("drop", "reject", "jump", "goto", "xt")
_HOOKS = ("egress", "output", "postrouting")
_NAMED = 4  # chains that a sentence names


def output_rules(interface: str | None, ask: Callable[[], str] | None = None) -> Finding | None:
    """What nftables has on the way out by this interface; None where it cannot be asked."""
    try:
        objects = json.loads((ask or _ruleset)())["nftables"]
    except (ToolError, ValueError, KeyError, TypeError):
        return None
    found = droppers(objects, interface)
    if not found:
        return Finding("egress", OK, "no rule of this host's firewall drops what leaves")
    more = ", …" if len(found) > _NAMED else ""
    sentence = f"rules of this host's firewall drop some of what leaves: {', '.join(found[:_NAMED])}{more}"
    advice = "targets that they concern are not scanned (reason send_refused, status 3): nft list ruleset"
    return Finding("egress", WARNING, sentence, advice)


def droppers(objects: list[dict[str, Any]], interface: str | None) -> list[str]:
    """Chains on the way out that drop something, as ``family table chain (hook)``; ours are left out.

    objects: of libnftables-json(5). A chain that such a chain jumps to counts as part of it.
    """
    chains, drops, jumps = {}, set(), dict[tuple[str, str, str], set[tuple[str, str, str]]]()
    for item in objects:
        for kind, what in item.items():
            if kind == "chain":
                chains[what["family"], what["table"], what["name"]] = what
            elif kind == "rule":
                key = what["family"], what["table"], what["chain"]
                for verdict, target in _verdicts([what.get("expr", []), *_maps(objects, what)]):
                    if verdict in ("drop", "reject") or (verdict == "xt" and _drops(target)):
                        drops.add(key)
                    elif isinstance(target, dict):
                        jumps.setdefault(key, set()).add((*key[:2], str(target.get("target"))))
    found = []
    for key, chain in chains.items():
        if chain.get("hook") not in _HOOKS or tablenames.is_ours(key[1]) or not _is_on(chain, interface):
            continue
        if chain.get("policy") == "drop" or _reached(key, jumps) & drops:
            found.append(f"{' '.join(key)} ({chain['hook']})")
    return found


def _verdicts(what: object) -> Iterator[tuple[str, object]]:
    """What a rule, or a map of verdicts, may do with a packet: drop, reject, jump, goto, and targets of
    iptables. nft may write an expression that it has no JSON for as a text."""
    if isinstance(what, list):
        for part in what:
            yield from _verdicts(part)
    elif isinstance(what, dict):
        for name, value in what.items():
            if name in _VERDICTS:
                yield name, value
            else:
                yield from _verdicts(value)


def _maps(objects: list[dict[str, Any]], rule: dict[str, Any]) -> Iterator[object]:
    """The elements of maps that a rule takes a verdict from by name (``vmap @name``)."""
    for expression in rule.get("expr", []):
        named = expression.get("vmap") if isinstance(expression, dict) else None
        name = named.get("data") if isinstance(named, dict) else None
        for item in objects if isinstance(name, str) else ():
            one = item.get("map")
            if one and (one["family"], one["table"], f"@{one['name']}") == (
                *(rule[key] for key in ("family", "table")),
                name,
            ):
                yield one.get("elem", [])


def _reached(
    start: tuple[str, str, str], jumps: dict[tuple[str, str, str], set[tuple[str, str, str]]]
) -> set[tuple[str, str, str]]:
    seen, left = {start}, [start]
    while left:
        for following in jumps.get(left.pop(), set()) - seen:
            seen.add(following)
            left.append(following)
    return seen


def _drops(xt: object) -> bool:
    """A target of iptables that nft does not understand itself."""
    return isinstance(xt, dict) and xt.get("name") in ("DROP", "REJECT")


def _is_on(chain: dict[str, Any], interface: str | None) -> bool:
    devices = chain.get("dev")
    if chain.get("hook") != "egress" or devices is None or interface is None:
        return True
    return interface in (devices if isinstance(devices, list) else [devices])


def _ruleset() -> str:
    path = find_tool("nft")
    if path is None:
        raise ToolError("nft is not installed", forbidden=False)
    return run([path, "-j", "list", "ruleset"])
