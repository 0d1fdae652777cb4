"""What others do to a guard that stands, on real kernels; and that nothing of theirs is taken for it."""

from __future__ import annotations

import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.guard import watch
from coordinator.guard.guard import Guard, put_up
from coordinator.guard.watch import GuardWatch
from tests.host_net import BOX, BOX6, BOX_TOO, Wire, inside

pytestmark = pytest.mark.root


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire("w") as made:
        yield made


@pytest.fixture
def nft(wire: Wire) -> Iterator[tuple[Guard, GuardWatch]]:
    with inside(wire.box), put_up([BOX, BOX6]) as up, GuardWatch(up) as guarded:
        assert guarded.look(1.0) == ""
        yield up, guarded


@pytest.mark.parametrize(
    "what",
    [
        "flush ruleset",
        "delete table inet {}",
        "flush table inet {}",
        "flush chain inet {} unclaimed",
        "delete element inet {} four {{ 10.91.0.1 }}",
        "add table inet {} {{ flags dormant; }}",
    ],
)
def test_whatever_is_done_to_it_is_undone(wire: Wire, nft: tuple[Guard, GuardWatch], what: str) -> None:
    up, guarded = nft
    assert wire.run("nft", what.format(up.name)).returncode == 0
    assert select.select(guarded.filenos(), [], [], 10)[0]
    said = guarded.look(2.0)
    assert said.startswith("the RST guard was taken away")
    assert "leave the firewall alone" in said
    assert wire.answered((BOX, 40000), (BOX6, 40000), (BOX, 80)) == {(BOX, 80)}
    assert (guarded.losses, guarded.missing) == (1, False)
    assert guarded.look(3.0) == ""  # what we did ourselves is no news
    wire.run("nft", "flush", "ruleset")
    assert "2 times by now" in guarded.look(4.0)


def test_the_rules_of_others_are_nothing_to_it(
    wire: Wire, nft: tuple[Guard, GuardWatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    up, guarded = nft
    monkeypatch.setattr(up, "restore", lambda: pytest.fail("looked at"))
    wire.run("nft", "add table inet other; add chain inet other c; delete table inet other")
    wire.run("iptables", "-F")
    assert guarded.look(2.0) == guarded.look(100.0) == ""


def test_our_own_changes_are_no_news(nft: tuple[Guard, GuardWatch]) -> None:
    up, guarded = nft
    up.extend(BOX_TOO)
    assert guarded.look(2.0) == ""
    up.change([BOX], (1000, 2000))
    assert guarded.look(3.0) == ""
    up.remove()
    assert guarded.look(4.0) == ""


def test_more_news_than_there_is_room_for(wire: Wire, nft: tuple[Guard, GuardWatch]) -> None:
    _, guarded = nft
    many = "".join(f"add rule inet other c tcp dport {port} accept\n" for port in range(1, 5000))
    with inside(wire.box):
        rules = f"add table inet other\nadd chain inet other c\n{many}"
        subprocess.run(["nft", "-f", "-"], input=rules.encode(), check=True, timeout=120)
    wire.run("nft", "flush", "ruleset")
    assert "put back" in guarded.look(2.0)
    assert guarded.look(3.0) == ""


def test_one_that_cannot_be_put_back_is_said_once_and_tried_again(
    wire: Wire, nft: tuple[Guard, GuardWatch], tmp_path: Path
) -> None:
    up, guarded = nft
    tool = up._tool
    assert tool is not None
    tool.path, path = "/nonexistent/nft", tool.path  # type: ignore[union-attr]
    wire.run("nft", "flush", "ruleset")
    assert "cannot be put back: the RST guard: /nonexistent/nft" in guarded.look(2.0)
    assert guarded.missing
    assert guarded.look(2.0 + watch.AGAIN) == ""
    tool.path = path  # type: ignore[union-attr]
    assert "put back" in guarded.look(2.0 + 2 * watch.AGAIN)
    assert not guarded.missing
    assert wire.answered((BOX, 40000)) == set()


def test_iptables_is_looked_at_now_and_then(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("iptables", "ip6tables"):
        (tmp_path / name).symlink_to(f"/usr/sbin/{name}-legacy")
    monkeypatch.setenv("PATH", str(tmp_path))
    with inside(wire.box), put_up([BOX, BOX6]) as up, GuardWatch(up) as guarded:
        assert guarded.filenos() == []
        assert guarded.look(1.0) == ""
        wire.run("/usr/sbin/iptables-legacy", "-F")
        assert guarded.look(1.0 + watch.LOOK_EVERY / 2) == ""
        assert "put back" in guarded.look(1.0 + watch.LOOK_EVERY)
        assert wire.answered((BOX, 40000), (BOX6, 40000)) == set()
        assert guarded.look(1.0 + 2 * watch.LOOK_EVERY) == ""


def test_no_guard_no_watch() -> None:
    for guard in (None, put_up(mode="none")):
        with GuardWatch(guard) as guarded:
            assert guarded.filenos() == []
            assert guarded.look(1.0) == ""
