"""`lzr fleet check`: what it settles, what it refuses, and that it settles the same twice."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.fleet import checking, leasefile, lockfile
from coordinator.fleet.checking import main
from lzr.errors import UsageError
from lzr.fleet.lock import blocklist_hash
from tests.unit.lzr.fleet.test_plan import PLAN

TARGETS = b"192.0.2.1:80\n192.0.2.2:443\n192.0.2.3:22"


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "services.txt").write_bytes(TARGETS)
    (tmp_path / "no.conf").write_text("198.18.0.0/15\n")
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.replace("rate = 60000", 'rate = 60000\nblocklist = "no.conf"'))
    return path


def test_a_plan_is_settled(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(plan)]) == 0
    lock = lockfile.read(str(plan))
    assert lock == lockfile.read(str(plan.with_name("plan.lock.json")))
    assert lock.plan.input == str(plan.with_name("services.txt"))
    assert (lock.input_sha256, lock.input_lines) == (hashlib.sha256(TARGETS).hexdigest(), 3)
    assert lock.blocklist_sha256 == blocklist_hash([hashlib.sha256(b"198.18.0.0/15\n").hexdigest()])
    out = capsys.readouterr().out
    assert f"plan id {lock.id}, generation 1" in out
    assert "fra1: shards 0-42, from 198.51.100.10" in out


def test_what_was_assigned_stays_where_nothing_has_changed(plan: Path) -> None:
    assert main([str(plan), "-q"]) == 0
    where = lockfile.beside(str(plan))
    after = lockfile.read(str(plan)).assigned("fra1", ["ams1"], "test")
    lockfile.write(where, after)
    assert main([str(plan), "-q"]) == 0
    assert lockfile.read(str(plan)) == after


@pytest.mark.parametrize(
    ("blocked", "wanted"),
    [
        ("192.0.2.0/24\n", 2),
        ("192.0.2.0/31\n192.0.2.2\n", 0),
        ("192.0.2.0/24\nhost.invalid\n", 0),  # what it stands for is found out on the boxes
    ],
)
def test_a_blocklist_that_leaves_nobody_of_a_list(
    plan: Path, blocked: str, wanted: int, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.with_name("no.conf").write_text(blocked)
    assert main([str(plan), "-q"]) == wanted
    said = capsys.readouterr().err
    assert ("blocklist or allowlist keep out all of its 3 targets" in said) == (wanted == 2)
    assert plan.with_name("plan.lock.json").exists() == (wanted == 0)


def test_of_a_long_list_no_more_is_read_than_tells(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor kept: a list of a hundred million targets has two gigabytes."""
    reads, taken = lockfile.lines_of_input, [0]

    def counted(path: str) -> Iterator[bytes]:
        for chunk in reads(path):
            taken[0] += len(chunk)
            yield chunk

    plan.with_name("services.txt").write_bytes(b"203.0.113.1:80\n" * 500_000)
    assert main([str(plan), "-q"]) == 0
    monkeypatch.setattr(lockfile, "digest_of_input", lambda _: ("", 0))
    monkeypatch.setattr(lockfile, "lines_of_input", counted)
    assert main([str(plan), "-q", "--overwrite"]) == 0
    assert 0 < taken[0] < 4_000_000


def test_a_blocklist_that_leaves_nobody_of_ranges_or_a_sweep(
    plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.with_name("no.conf").write_text("192.0.2.0/24\n")
    plan.with_name("services.txt").write_text("192.0.2.0/25:80-90\n192.0.2.200:80\n")
    assert main([str(plan), "-q"]) == 2
    assert "all of its 1,409 targets" in capsys.readouterr().err
    plan.with_name("services.txt").write_text("192.0.2.0/25:80-90\nexample.org:80\n")
    assert main([str(plan), "-q"]) == 0
    text = plan.read_text()
    swept = text.replace('input = "services.txt"', 'targets = ["192.0.2.0/24"]\ntarget-ports = "80"')
    assert swept != text
    plan.write_text(swept)
    assert main([str(plan), "-q", "--overwrite"]) == 2
    assert "nothing is left to sweep" in capsys.readouterr().err


def test_a_changed_plan_replaces_no_lock_by_itself(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(plan), "-q"]) == 0
    before = lockfile.read(str(plan))
    plan.write_text(plan.read_text().replace("60000", "50000"))
    with pytest.raises(UsageError, match="was changed since it was settled"):
        lockfile.read(str(plan))
    assert main([str(plan), "-q"]) == 2
    assert "--overwrite settles this one" in capsys.readouterr().err
    assert lockfile.there(lockfile.beside(str(plan))) == before
    assert main([str(plan), "-q", "--overwrite"]) == 0
    assert lockfile.read(str(plan)).plan.rate == 50000


def test_an_input_is_summed_as_a_scan_reads_it(tmp_path: Path) -> None:
    (tmp_path / "list.gz").write_bytes(gzip.compress(TARGETS))
    digest = hashlib.sha256(TARGETS).hexdigest()
    assert lockfile.digest_of_input(str(tmp_path / "list.gz")) == (digest, 3)


def test_an_input_that_is_cut_short_is_refused(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every box would take the same part of it for the whole."""
    packed = gzip.compress(TARGETS * 100)
    for damaged in (packed[:-9], packed[:-4] + b"\0\0\0\0"):
        plan.with_name("services.txt").write_bytes(damaged)
        assert main([str(plan)]) == 2
        assert "services.txt was not read to its end: the gzip data" in capsys.readouterr().err
        assert not plan.with_name("plan.lock.json").exists()


def test_what_is_missing_is_said(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="is not there: lzr fleet check"):
        lockfile.read(str(plan))
    plan.with_name("services.txt").unlink()
    assert main([str(plan)]) == 2
    assert "No such file" in capsys.readouterr().err
    assert not plan.with_name("plan.lock.json").exists()


@pytest.mark.parametrize("name", ["two\nlines", "caf\udce9"])
def test_a_directory_that_cannot_be_named_to_boxes(
    plan: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = plan.parent / name
    folder.mkdir()
    for path in (plan, plan.with_name("services.txt"), plan.with_name("no.conf")):
        path.rename(folder / path.name)
    assert main([str(folder / "plan.toml")]) == 2
    assert "move the plan to another" in capsys.readouterr().err
    assert not (folder / "plan.lock.json").exists()


@pytest.mark.parametrize("rate", [60000, 50000])
def test_somebody_else_settles_it_after_we_looked(
    plan: Path, rate: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same plan is as good as settled by us; another one stays, as without --overwrite it would."""
    other = plan.with_name("other.toml")
    other.write_text(plan.read_text().replace("60000", str(rate)))
    theirs = checking.settle(str(other))
    held = leasefile.held

    @contextlib.contextmanager
    def too_late(path: str) -> Iterator[None]:
        lockfile.write(lockfile.beside(path), theirs)
        with held(path):
            yield

    monkeypatch.setattr(leasefile, "held", too_late)
    assert main([str(plan)]) == (0 if rate == 60000 else 2)
    said = capsys.readouterr()
    assert "nothing has changed" in said.out if rate == 60000 else "was changed meanwhile" in said.err
    assert lockfile.there(lockfile.beside(str(plan))) == theirs
