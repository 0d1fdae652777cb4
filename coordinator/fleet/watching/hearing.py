"""Reads a controller's status (`coordinator.fleet.engine.controllersocket`) for the view of all boxes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from coordinator.fleet.watching import statuses
from lzr.fleet.view import LastReport


def heard(reply: Mapping[str, Any]) -> dict[str, LastReport]:
    """By box, what a controller's status says of it."""
    found: dict[str, LastReport] = {}
    for box in reply.get("boxes", ()):
        at = box["heard"]
        if not isinstance(at, int | float):
            found[box["name"]] = LastReport(sentence=_sentence(box))
            continue
        age = box["status_age"]
        if age is not None:  # when it was heard
            age = max(0.0, age - (reply["now"] - at))
        report = {
            "state": box["state"],
            "sentence": _sentence(box),
            "status": json.dumps(box["status"]) if box["status"] is not None else "",
            **({"status_at": reply["now"] - age, "now": reply["now"]} if age is not None else {}),
        }
        one = statuses.heard(float(at), report)
        lease = box.get("lease")
        if isinstance(lease, int | float) and not box["ended"]:
            one = replace(one, lease=float(lease) + max(0.0, reply["now"] - at))
        found[box["name"]] = one
    return found


def kept(now: Mapping[str, LastReport], before: Mapping[str, LastReport]) -> dict[str, LastReport]:
    """`now`, with the figures in `before` of boxes that have reported none since they are back."""
    found = dict(now)
    for box, one in now.items():
        if one.figures is None and (was := before.get(box)) is not None:
            found[box] = replace(one, figures=was.figures)
    return found


def over(reply: Mapping[str, Any]) -> bool:
    """Whether no box has anything left to do, as a controller's status says."""
    boxes = [box for box in reply.get("boxes", ()) if box["shards"]]
    return bool(boxes) and all(box["ended"] for box in boxes)


def _sentence(box: Mapping[str, Any]) -> str:
    return "; ".join([box["sentence"], *box["faults"]] if box["sentence"] else box["faults"])
