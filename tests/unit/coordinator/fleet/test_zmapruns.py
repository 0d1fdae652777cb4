"""ZMap in front: its command line, whom it leaves out, and how a shard ends."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from coordinator.fleet import blockorderfile, boxscan, rundirectory, zmapruns, zmapstate
from coordinator.fleet.zmapruns import Runs, ShardEnding
from coordinator.network.discover import Network
from lzr.errors import UsageError
from lzr.fleet.blockorders import Order
from lzr.fleet.lock import Lock, blocklist_hash, settled
from lzr.fleet.plan import of_toml
from lzr.options.parse import parse
from tests.unit.lzr.fleet.test_plan import PLAN


def there(directory: Path, more: str = "") -> Lock:
    text = PLAN.replace(
        'input = "services.txt"',
        f'zmap = [{more}"-p", "80", "192.0.2.0/24"]\n'
        f'directory = "{directory}"\nblocklist = "{directory}/no.conf"',
    )
    (directory / "no.conf").write_text("198.18.0.0/15")
    return settled(of_toml(text.encode()), "0.1.0", "0" * 64, None, None, blocklist_hash([]))


def test_the_command_lines(tmp_path: Path) -> None:
    lock = there(tmp_path)
    run = lock.runs[1]
    found = rundirectory.of_run(lock, run)
    words = zmapruns.zmap_words(lock, run, found, 44)
    pairs = dict(pairwise(words))
    assert words[:4] == ["zmap", "-p", "80", "192.0.2.0/24"]
    assert (pairs["-S"], pairs["-r"], pairs["--shards"], pairs["--shard"]) == (
        "203.0.113.0-203.0.113.3", "20000", "64", "44"
    )  # fmt: skip
    options = parse(zmapruns.scan_words(lock, run, found))
    assert (options.source_ips, options.send_syns, options.shards) == (("203.0.113.0/30",), False, 1)
    assert (options.checkpoint, options.output_file) == (found.checkpoint, found.results)


@pytest.mark.parametrize(
    ("more", "words"), [("", ["-G", "00:16:3e:00:00:07"]), ('"-G", "1:2:3:4:5:6", ', [])]
)
def test_zmap_is_given_the_gateway_unless_the_plan_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, words: list[str]
) -> None:
    lock = there(tmp_path, more)
    asked = []

    def found(**named: object) -> Network:
        asked.append(named)
        mac = bytes.fromhex("00163e000007")
        return Network("eth1", 2, 1500, False, bytes(6), ("203.0.113.0",), (), "203.0.113.9", None, mac, None)

    monkeypatch.setattr(zmapruns, "discover", found)
    assert zmapruns.gateway_words(lock, lock.runs[1]) == words
    if words:
        box = lock.plan.box(lock.runs[1].box)
        assert asked == [{"interface": box.interface, "source_ips": lock.runs[1].source}]


def test_whom_zmap_leaves_out(tmp_path: Path) -> None:
    lock = there(tmp_path)
    found = rundirectory.make(lock, lock.runs[0])
    order = Order("0" * 16, ("192.0.2.7", "2001:db8::/64"), "why", "ada", 1.0)
    blockorderfile.append(found.orders, [order])
    zmapruns.write_blocklist(lock, found)
    assert Path(found.here, "zmap-blocklist.conf").read_text() == "198.18.0.0/15\n192.0.2.7/32\n"


def test_zmap_is_given_networks_in_the_one_form_that_it_knows(tmp_path: Path) -> None:
    """It ends at a range, at IPv6 and at UTF-16, and the mapped form is IPv4."""
    lock = there(tmp_path)
    text = "192.0.2.0-192.0.2.2 # three\n2001:db8::/32\n::ffff:198.18.0.0/111\nexample.org\n"
    (tmp_path / "no.conf").write_bytes(text.encode("utf-16"))
    found = rundirectory.make(lock, lock.runs[0])
    order = Order("0" * 16, ("192.0.2.7-9", "::ffff:192.0.2.128/121"), "why", "ada", 1.0)
    blockorderfile.append(found.orders, [order])
    zmapruns.write_blocklist(lock, found)
    assert Path(found.here, "zmap-blocklist.conf").read_text().split() == [
        *("192.0.2.0/31", "192.0.2.2/32", "198.18.0.0/15", "example.org"),
        *("192.0.2.7/32", "192.0.2.8/31", "192.0.2.128/25"),
    ]
    (tmp_path / "no.conf").write_text("192.0.2.0/24\nwho knows\n")
    with pytest.raises(UsageError, match="line 2"):
        zmapruns.write_blocklist(lock, found)


@pytest.mark.parametrize(
    ("status", "zmap", "again", "about", "ending"),
    [
        (0, 0, False, {"unfinished": False, "failure": ""}, ShardEnding()),
        (0, 0, True, {"unfinished": False, "failure": ""}, ShardEnding(again=True)),
        (
            0,
            1,
            False,
            {"unfinished": False, "failure": ""},
            ShardEnding(1, "zmap has ended with status 1", True),
        ),
        (
            0,
            -9,
            False,
            {"unfinished": False, "failure": ""},
            ShardEnding(1, "zmap has ended by signal 9", True),
        ),
        (0, 0, False, {"unfinished": True, "failure": ""}, ShardEnding(0, "", True)),
        (3, 0, False, {"unfinished": False, "failure": ""}, ShardEnding(missed=True)),
        (3, 0, False, None, ShardEnding(3, "", True)),
        (-9, 0, False, None, ShardEnding(1, "the scan was killed", True)),
        (1, 0, True, {"unfinished": True, "failure": "no memory"}, ShardEnding(1, "no memory", True)),
    ],
)
def test_how_a_shard_ends(
    tmp_path: Path, status: int, zmap: int, again: bool, about: dict[str, Any] | None, ending: ShardEnding
) -> None:
    lock = there(tmp_path)
    found = rundirectory.make(lock, lock.runs[0])
    if about is not None:
        Path(found.here, "zmap-shard.json").write_text(json.dumps({"ending": about}))
    assert Runs(lock, lock.runs[0], -1)._ending(status, zmap, again=again) == ending


def test_the_metadata_are_of_all_shards(tmp_path: Path) -> None:
    lock = there(tmp_path)
    run = lock.runs[0]
    found = rundirectory.make(lock, run)
    for shard in (0, 1):
        zmapstate.add(found, shard, 4, {"inputs": {"read": 6, "agree": True}})
    zmapruns.write_metadata(lock, run, found, ShardEnding())
    about = json.loads(Path(found.metadata).read_text())
    assert about["inputs"] == {"read": 12, "agree": True}
    assert (about["options"]["shards"], about["options"]["shard"]) == (64, "0-42")
    outcome = boxscan.outcome(lock, run, found)
    assert (outcome.state, outcome.records, outcome.inputs) == ("done", 8, 12)


@pytest.mark.parametrize("results", [True, False])
def test_what_one_shard_has_lost_the_run_has_lost(
    tmp_path: Path, results: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shards after it are scanned, and its status is not forgotten."""
    lock = there(tmp_path)
    run = lock.runs[0]
    found = rundirectory.make(lock, run)
    about = {"inputs": {"read": 6, "agree": True}, "results_lost": results}

    def scanned(self: Runs, shard: int) -> ShardEnding:
        lost = shard == run.shards[1]
        told = {**about, "results_lost": results and lost}
        Path(found.here, "zmap-shard.json").write_text(json.dumps(told))
        return ShardEnding(missed=lost)

    monkeypatch.setattr(Runs, "_shard", scanned)
    ending = Runs(lock, run, -1)._shards()
    assert (ending.status, ending.missed) == (3, True)
    zmapruns.write_metadata(lock, run, found, ending)
    written = json.loads(Path(found.metadata).read_text())
    assert written["results_lost"] is results
    assert written["ending"]["status"] == 3
    assert "of 1 shard something was lost" in written["warnings"][0]
    outcome = boxscan.outcome(lock, run, found)
    assert (outcome.state, outcome.status) == ("done", 3)
    assert ("results were lost" in outcome.sentence) is results


def test_what_a_plan_with_zmap_has_to_say(tmp_path: Path) -> None:
    text = PLAN.replace('input = "services.txt"', 'zmap = ["-p", "80"]')
    with pytest.raises(UsageError, match="zmap needs a blocklist"):
        of_toml(text.encode())
    text = text.replace("rate = 60000", 'rate = 60000\nblocklist = "no.conf"')
    with pytest.raises(UsageError, match="box fra1: with zmap it has one source"):
        of_toml(text.replace('["198.51.100.10"]', '["198.51.100.10", "198.51.100.11"]').encode())
