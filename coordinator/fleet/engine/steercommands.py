"""``lzr fleet status|rate|pause|resume|drain|quit|block PLAN``: commands to all boxes, or to one.

They ask the controller that runs on this machine. `block` does not need one: where there is none, it is the
controller itself for as long as it takes.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from coordinator.commandline import running
from coordinator.commands import ctl
from coordinator.endpoints import ctlcommands
from coordinator.endpoints.ctlcommands import CommandError
from coordinator.fleet import certs, lockfile
from coordinator.fleet.engine import controllerclient
from coordinator.monitor import numbers
from lzr import safetext
from lzr.errors import UsageError, two_dashes
from lzr.exitstatus import OK
from lzr.fleet import preflight, steering
from lzr.fleet.lock import Lock

NOT_ALL = 1
COMING = 6.0
"""Seconds for boxes to come to a controller that was not there before; they try five times a second."""


def status(argv: list[str]) -> int:
    """0 all are heard of, 1 one is not."""
    return running.ended("fleet status", partial(_status, argv))


def rate(argv: list[str]) -> int:
    """0 all go by it, 1 one does not yet."""
    return running.ended("fleet rate", partial(_rate, argv))


def pause(argv: list[str]) -> int:
    """0 all do so, 1 one does not yet."""
    return running.ended("fleet pause", partial(_tell, "pause", argv))


def resume(argv: list[str]) -> int:
    """0 all do so, 1 one does not yet."""
    return running.ended("fleet resume", partial(_tell, "resume", argv))


def drain(argv: list[str]) -> int:
    """0 all do so, 1 one does not yet."""
    return running.ended("fleet drain", partial(_tell, "drain", argv))


def quit_(argv: list[str]) -> int:
    """0 all do so, 1 one does not yet."""
    return running.ended("fleet quit", partial(_tell, "quit", argv))


def block(argv: list[str]) -> int:
    """0 every box has confirmed it, 1 one has not."""
    return running.ended("fleet block", partial(_block, argv))


def _status(argv: list[str]) -> int:
    parser = _parser("status", "Say how every box is, as the controller has heard it.", box=False)
    parser.add_argument("--json", action="store_true", help="all that is known, as JSON")
    asked = parser.parse_args(two_dashes(argv, ("json", "certs", "help")))
    found = _ask(asked.plan, do="status")
    if asked.json:
        print(safetext.line(json.dumps({key: value for key, value in found.items() if key != "ok"})))
    else:
        for line in _lines(found):
            print(safetext.line(line))
    return NOT_ALL if any(box["silent"] for box in found["boxes"]) else OK


def _lines(found: Mapping[str, Any]) -> list[str]:
    lines = [
        f"plan {found['plan']} ({found['id']}), generation {found['generation']}, {found['rate']}/s in all"
    ]
    for box in found["boxes"]:
        state = box["state"] or ("begun" if box["begun"] else "not begun")
        if box["heard"] is None:
            state = "not heard of"
        elif box["silent"]:
            state = (
                f"not heard of since {time.strftime('%H:%M:%S', time.localtime(box['since']))}, then {state}"
            )
        scan = box["status"] or {}
        progress = _progress(scan)
        paused = ", paused" if box["paused"] else ""
        lease = box["lease"]
        leased = (f", lease for {lease:.0f} s" if lease else ", no lease") if _leased(box) else ""
        lacks = f", lacks {len(box['lacks'])} orders to block" if box["lacks"] else ""
        sentence = f" ({box['sentence']})" if box["sentence"] else ""
        lines.append(
            f"{box['name']:12} {box['shards']:5} shards  {state}{progress}{paused}{leased}{lacks}{sentence}"
        )
    for order in found["orders"]:
        who = f" by {order['by']}" if order["by"] else ""
        why = f" ({order['reason']})" if order["reason"] else ""
        confirmed = ", ".join(order["confirmed"]) or "nobody yet"
        lines.append(f"blocked {', '.join(order['networks'])}{who}{why}: confirmed by {confirmed}")
    return lines


def _progress(scan: Mapping[str, Any]) -> str:
    """How many targets are done, and how far it is. Every box reads a whole list, so what is asked by others
    counts as gone through, and the number of lines is not that of its targets.
    """
    done, total, fates = scan.get("done"), scan.get("total"), scan.get("by_fate")
    if not isinstance(done, int):
        return ""
    if not isinstance(total, int) or total <= 0 or not isinstance(fates, Mapping):
        return f", {done:,} done"
    gone = sum(count for fate, count in fates.items() if fate != "interrupted" and isinstance(count, int))
    share = 1.0 if gone >= total else max(0, gone) / total  # they may be larger than a float
    return f", {done:,} done ({numbers.percent(share)})"


def _leased(box: Mapping[str, Any]) -> bool:
    """Whether it matters how long this box may scan on without hearing of the controller."""
    return box["lease"] is not None and box["heard"] is not None and bool(box["shards"]) and not box["ended"]


def _rate(argv: list[str]) -> int:
    parser = _parser("rate", "Set the rate of all boxes together, dealt by weight, or of one box.")
    parser.add_argument(
        "rate", metavar="N", help="targets started per second, as in 20000, 20k, +500, -5k, x1.25"
    )
    asked = parser.parse_args(_with_rate_last(two_dashes(argv, ("box", "certs", "help"))))
    boxes = _one(asked.box)
    try:
        command = ctlcommands.parse(f"rate {asked.rate}")
    except CommandError as error:
        raise UsageError(str(error)) from None
    if command.rate is None:
        raise UsageError("a fleet always has a rate")
    known = _ask(asked.plan, do="status")
    now = known["rate"]
    if boxes:
        now = _rate_of(boxes[0], known, lockfile.settled(asked.plan))
    wanted = command.wanted_rate(float(now))
    assert wanted is not None
    found = _ask(asked.plan, do="rate", rate=max(1, round(wanted)), boxes=boxes)
    for name, dealt in sorted(found["dealt"].items()):
        print(safetext.line(f"{name}: {dealt}/s"))
    return _missing("fleet rate", found["missing"], "it is told when it can be")


def _with_rate_last(words: list[str]) -> list[str]:
    """The words with ``-5k``, which argparse takes for an option, behind ``--``."""
    for at, word in enumerate(words):
        if word == "--":
            break
        if word[:1] == "-" and word[1:2].isdigit():
            return [*words[:at], *words[at + 1 :], "--", word]
    return words


def _rate_of(box: str, known: Mapping[str, Any], lock: Lock) -> float:
    """What a box may start in a second now: as it was dealt, else as it has told, else its share of the
    plan's rate. known: the controller's status."""
    mine: Mapping[str, Any] = next((one for one in known["boxes"] if one["name"] == box), {})
    told = (mine.get("status") or {}).get("rate_limit")
    if not isinstance(told, int | float) or not 1 <= told <= steering.MOST_RATE:
        told = None
    rate: float = mine.get("rate") or told or preflight.dealt(lock).get(box) or known["rate"]
    return rate


def _tell(word: str, argv: list[str]) -> int:
    what = {
        "pause": "Have all boxes, or one, start no more targets until resume.",
        "resume": "Have all boxes, or one, go on after pause, or after drain or quit.",
        "drain": "Have all boxes, or one, read no more, finish what is in flight, and end.",
        "quit": "Have all boxes, or one, end at once.",
    }[word]
    asked = _parser(word, what).parse_args(two_dashes(argv, ("box", "certs", "help")))
    found = _ask(asked.plan, do=word, boxes=asked.box)
    missing = found["missing"]
    confirmed = [name for name in found["boxes"] if name not in missing]
    if confirmed:
        print(safetext.line(f"{word}: {', '.join(confirmed)}"))
    return _missing(f"fleet {word}", missing, "it is told when it can be")


def _block(argv: list[str]) -> int:
    words, reason = _cut(argv, "reason")
    words, by = _cut(words, "by")
    parser = _parser(
        "block",
        "No packet more to these networks, from any box, at once, and when a scan is resumed.",
        box=False,
    )
    parser.add_argument(
        "networks", nargs="+", metavar="NET", help="an address, or a network as in 192.0.2.0/24"
    )
    parser.add_argument("--reason", metavar="TEXT", help="why, kept with the order; it comes last")
    parser.add_argument("--by", metavar="NAME", help="who wants it (default: the user)")
    asked = parser.parse_args(two_dashes(words, ("certs", "reason", "by", "help")))
    line = " ".join(
        ["block", *asked.networks, *(("--by", by) if by else ()), *(("--reason", reason) if reason else ())]
    )
    try:
        command = ctlcommands.parse(line if by else ctl.signed(line))
    except CommandError as error:
        raise UsageError(str(error)) from None
    lock = lockfile.settled(asked.plan)
    what: dict[str, Any] = {"networks": list(command.networks), "reason": command.reason, "by": command.by}
    try:
        found = controllerclient.ask(lock, do="block", **what)
    except controllerclient.NoController:
        running.say(
            "fleet block", "no controller runs here, so this is one until the boxes have confirmed it"
        )
        found = _alone(lock, asked.plan, asked.certs, what)
    shown = ", ".join(command.networks)
    if found["confirmed"]:
        print(safetext.line(f"blocked {shown}: confirmed by {', '.join(found['confirmed'])}"))
    return _missing("fleet block", found["missing"], "gets it before anything else when it is back")


def _alone(lock: Lock, plan: str, directory: str | None, what: Mapping[str, Any]) -> dict[str, Any]:
    """Be the controller for this one order."""
    from coordinator.fleet.engine.controller import Controller
    from coordinator.fleet.engine.controllerfiles import ControllerFiles
    from coordinator.fleet.engine.engine import Engine

    identity = certs.load(directory or certs.beside(plan), certs.CONTROLLER)

    async def whole() -> dict[str, Any]:
        async with Engine(lock, identity) as engine:
            controller = Controller(lock, engine, ControllerFiles(plan), lambda *_: None)
            until = time.monotonic() + COMING
            names = [box.name for box in lock.plan.boxes]
            order, missing = await controller.block(what["networks"], what["reason"], what["by"])
            while missing and time.monotonic() < until:
                await asyncio.sleep(0.1)
                if any(engine.here(name) for name in missing):
                    missing = await controller.give([name for name in names if name in missing])
            return {"confirmed": controller.orders.by(order.id), "missing": missing}

    return asyncio.run(whole())


def _cut(words: Sequence[str], name: str) -> tuple[list[str], str]:
    """As `ctlcommands` has it: what follows --reason is a text of several words, up to the next option."""
    for at, word in enumerate(words):
        option, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and option == name:
            end = next((n for n in range(at + 1, len(words)) if words[n].startswith("--")), len(words))
            text = " ".join([value] * bool(equals) + list(words[at + 1 : end])).strip()
            if not text:
                raise UsageError(f"--{name} needs a text")
            return [*words[:at], *words[end:]], text
    return list(words), ""


def _ask(plan: str, **request: Any) -> dict[str, Any]:
    return controllerclient.ask(lockfile.settled(plan), **request)


def _one(boxes: list[str] | None) -> list[str] | None:
    if boxes and len(boxes) > 1:
        raise UsageError("--box: a rate is set for one box, or for all")
    return boxes


def _missing(name: str, missing: Mapping[str, str], then: str) -> int:
    for box, why in sorted(missing.items()):
        running.say(name, f"{box}: {why}; {then}")
    return NOT_ALL if missing else OK


def _parser(word: str, what: str, *, box: bool = True) -> running.Parser:
    parser = running.Parser(prog=f"lzr fleet {word}", description=what, allow_abbrev=False)
    parser.add_argument("plan", metavar="PLAN", help="the plan, or its lock")
    if box:
        parser.add_argument(
            "--box", action="append", metavar="NAME", help="this box, not all; may be repeated"
        )
    parser.add_argument(
        "--certs", metavar="DIR", help="where the certificates are (default: certs beside the plan)"
    )
    return parser
