"""The ledger of a fleet: it agrees exactly where every input of the plan has its fate once."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.commands import fleet
from lzr.fleet import audit, distribution
from lzr.fleet.lock import Lock
from tests import madefleet

Metadata = dict[str, Any]


def told(lock: Lock, name: str, own: int, *, read: int = 1000, unparsable: int = 4) -> Metadata:
    """What a run of a list says that has ended well."""
    run = next(run for run in lock.runs if run.name == name)
    fates = {"recorded": own - 2, "duplicate": 2, "unparsable": unparsable, "interrupted": 0}
    fates["for another shard"] = read - own - unparsable
    return {
        "program": "lzr",
        "format": 1,
        "options": {
            "plan_id": lock.id,
            "generation": run.generation,
            "shards": lock.plan.shards,
            "shard": distribution.ranges(run.shards),
        },
        "inputs": {"read": read, "fates": fates, "agree": True},
        "input": {"sha256": madefleet.SUM},
        "ending": {"status": 0, "how": "done"},
        "results_lost": False,
    }


@pytest.fixture
def lock() -> Lock:
    return madefleet.lock()


def whole(lock: Lock) -> list[tuple[str, Metadata]]:
    owns = {"fra1-g1": 500, "ams1-g1": 246, "nyc1-g1": 250}
    return [(name, told(lock, name, own)) for name, own in owns.items()]


def test_everybody_is_blocked(lock: Lock) -> None:
    """Each input has its fate, and that nobody was scanned is said."""
    made = whole(lock)
    assert audit.of(lock, made).warning == ""
    for name, table in made:
        fates = table["inputs"]["fates"]
        fates["blocklisted"] = fates.pop("recorded") + fates.pop("duplicate")
        del name
    found = audit.of(lock, made)
    assert found.agrees
    assert found.warning == "nothing was scanned: blocklist or allowlist keep out all of 996 targets"


def test_only_a_file_beside_the_results_is_not_whole(lock: Lock) -> None:
    made = whole(lock)
    made[0][1]["ending"] = {"status": 3, "how": "done, a file beside the results not whole"}
    assert audit.of(lock, made).agrees
    made[0][1]["results_lost"] = True
    assert not audit.of(lock, made).agrees


def test_it_agrees_where_every_input_has_its_fate_once(lock: Lock) -> None:
    for made in (whole(lock), whole(lock)[::-1], [*whole(lock), *whole(lock)]):
        found = audit.of(lock, made)
        assert found.agrees
        assert found.faults == []
        assert found.sentence() == (
            "inputs: 1,000; 500 of fra1-g1 + 246 of ams1-g1 + 250 of nyc1-g1 + 4 that are no target = 1,000: "
            "each has its fate once"
        )


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("inputs.fates.for another shard", 495, "1 of 1,000 inputs have more than one fate"),
        ("inputs.fates.for another shard", 497, "1 of 1,000 inputs have no fate"),
        ("inputs.read", 990, "fra1-g1 has read 990 inputs, not 1,000"),
        ("inputs.agree", False, "fra1-g1: its own ledger does not agree"),
        ("inputs.fates.interrupted", 3, "fra1-g1: 3 inputs were given up"),
        ("inputs.fates.unparsable", 5, "calls 4 inputs no target, another run 5"),
        ("ending", {"status": 143, "how": "interrupted"}, "fra1-g1: it ended as interrupted"),
        ("ending", None, "fra1-g1: it has not ended"),
        ("ending.unfinished", True, "fra1-g1: it was told to end before it had asked for all"),
        ("results_lost", True, "fra1-g1: it lost results"),
        ("input.sha256", "1" * 64, "fra1-g1: it has read another input than the plan's"),
        ("options.plan_id", "0" * 16, "is of another plan"),
        ("options.plan_id", ["\x1b[2J"], "is of another plan"),
        ("options.generation", 2, "is of a run that the plan does not have"),
        ("options.shard", [[0, 5]], "is of a run that the plan does not have"),
        ("options.shard", "0-5,9", "is of a run that the plan does not have"),
        ("options.shards", 13, "is of a run that the plan does not have"),
        ("inputs.read", None, "does not say what became of its inputs"),
        ("program", "zmap", "is no metadata of lzr"),
    ],
)
def test_what_is_not_so_is_said(lock: Lock, path: str, value: Any, fault: str) -> None:
    made = whole(lock)
    table: Any = made[0][1]
    *way, last = path.split(".")
    for step in way:
        table = table[step]
    table[last] = value
    found = audit.of(lock, made)
    assert not found.agrees
    assert any(fault in sentence for sentence in found.faults), found.faults
    assert "that is not each once" in found.sentence()


def test_a_run_of_which_nothing_is_known(lock: Lock) -> None:
    found = audit.of(lock, whole(lock)[1:])
    assert found.faults == ["nothing is known of fra1-g1 (6 shards)"]
    assert audit.of(lock, []).faults[0].startswith("nothing is known of fra1-g1")


def test_a_run_that_was_given_up_counts_no_input(lock: Lock) -> None:
    """Its shards are asked anew by whom they were assigned to, whatever it had done of them."""
    again = lock.assigned("ams1", ["nyc1"], "it has burnt down")
    given_up = told(lock, "ams1-g1", 246)
    given_up["ending"] = {"status": 137, "how": "interrupted"}
    rest = [one for one in whole(lock) if one[0] != "ams1-g1"]
    found = audit.of(again, [*rest, ("old", given_up)])
    assert found.faults == ["nothing is known of nyc1-g2 (3 shards)"]
    found = audit.of(again, [*rest, ("old", given_up), ("new", told(again, "nyc1-g2", 246))])
    assert found.agrees, found.faults


def test_two_files_of_a_run_that_differ(lock: Lock) -> None:
    other = copy.deepcopy(whole(lock)[0])
    other[1]["inputs"]["fates"]["for another shard"] -= 1
    found = audit.of(lock, [*whole(lock), ("copy", other[1])])
    assert found.faults == ["copy: fra1-g1 is told twice, and not in the same way"]


def test_records_that_are_missing_are_told_by_their_box(lock: Lock) -> None:
    made = whole(lock)
    for (_, metadata), count in zip(made, (480, 240, 250), strict=True):
        metadata["counters"] = {"TotalResponses": count}
    found = audit.of(lock, made)
    assert found.records == {"fra1": 480, "ams1": 240, "nyc1": 250}
    found.compare({"fra1": 480, "ams1": 241, "nyc1": 250})
    assert found.agrees
    found.compare({"fra1": 470, "nyc1": 250})
    assert found.faults == [
        "fra1 has written 480 records: 10 records not among these",
        "ams1 has written 240 records: 240 records not among these",
    ]
    made[0][1]["options"]["output_filter"] = "sport == 80"
    assert "fra1" not in audit.of(lock, made).records
    assert audit.of(lock, made[1:]).records == {"ams1": 240, "nyc1": 250}


@pytest.mark.parametrize("junk", [None, [], 3, "x", {"program": "lzr", "format": 1}, {"program": "lzr"}])
def test_junk_is_no_metadata(lock: Lock, junk: Any) -> None:
    assert not audit.of(lock, [*whole(lock), ("junk", junk)]).agrees


def test_a_sweep_counts_the_pairs_of_its_shards() -> None:
    text = madefleet.PLAN.replace(
        'input = "targets.txt"', 'targets = ["198.18.0.0/24"]\ntarget-ports = "80,443"'
    )
    lock = madefleet.lock(text)
    made = [
        (name, told(lock, name, own, read=own, unparsable=0))
        for name, own in (("fra1-g1", 256), ("ams1-g1", 128), ("nyc1-g1", 128))
    ]
    found = audit.of(lock, made)
    assert found.agrees, found.faults
    assert found.inputs == 512


def test_the_command(lock: Lock, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = madefleet.written(tmp_path / "plan.toml")
    results = tmp_path / "plan.results"
    results.mkdir()
    of_file = Lock.of_json(plan.with_suffix(".lock.json").read_bytes())
    for name, made in whole(of_file):
        (results / f"{name}.metadata.json").write_text(json.dumps(made, indent=2))
    assert fleet.main(["ledger", str(plan)]) == 0
    assert "each has its fate once" in capsys.readouterr().err
    (results / "fra1-g1.metadata.json").unlink()
    assert fleet.main(["ledger", str(plan), "-q"]) == 1
    assert "nothing is known of fra1-g1" in capsys.readouterr().err
    (results / "fra1-g1.metadata.json").write_text('{\n  "program": "lzr", x')
    assert fleet.main(["ledger", str(plan)]) == 1
    assert "is no metadata of lzr" in capsys.readouterr().err
