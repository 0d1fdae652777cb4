"""Files that root writes by name, in directories where another user has planted something first."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coordinator.checkpoint.checkpoint import Checkpoint, load, open_checkpoint
from coordinator.console.statusfile import StatusFile
from coordinator.files import opening
from coordinator.files.reach import Place, reach
from coordinator.monitor.log import open_log
from coordinator.monitor.profiling import open_profiles
from coordinator.results.metadata import open_metadata
from lzr.errors import UsageError
from lzr.options.parse import parse

pytestmark = [pytest.mark.root, pytest.mark.attack]

THEM, CALLER = 12345, (23456, 23456)


def written(path: str, owner: tuple[int, int] | None = None) -> None:
    os.close(opening.open_written(path, owner, append=True))


def result(path: str, owner: tuple[int, int] | None = None) -> None:
    os.close(opening.open_output(path, owner).descriptor)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory like /tmp."""
    made = tmp_path / "shared"
    made.mkdir()
    made.chmod(0o1777)
    return made


@pytest.fixture
def theirs(shared: Path) -> Path:
    """A directory of the attacker's."""
    made = shared / "theirs"
    made.mkdir()
    os.chown(made, THEM, THEM)
    return made


@pytest.fixture
def prize(tmp_path: Path) -> Path:
    """A file of root's that is to stay as it is."""
    made = tmp_path / "prize"
    made.write_text("root's")
    made.chmod(0o600)
    return made


def plant(link: Path, target: Path, user: int = THEM) -> None:
    link.symlink_to(target)
    os.lchown(link, user, user)


@pytest.mark.parametrize("write", [written, result])
def test_links_of_others_are_not_followed(
    shared: Path, theirs: Path, prize: Path, write: Callable[..., None]
) -> None:
    """As the file itself, as a directory on the way, in the attacker's own directory, behind our own link."""
    elsewhere = prize.parent / "elsewhere"
    elsewhere.mkdir()
    plant(shared / "file", prize)
    plant(shared / "way", elsewhere)
    plant(theirs / "file", prize)
    plant(theirs / "new", elsewhere / "new")
    (prize.parent / "mine").symlink_to(theirs)
    for name in ("file", "way/new", "theirs/file", "theirs/new", "theirs/../way/new", "../mine/new"):
        for owner in (None, CALLER):
            with pytest.raises(UsageError, match="is a symbolic link of somebody else's"):
                write(str(shared / name), owner)
    assert (prize.read_text(), prize.stat().st_uid) == ("root's", 0)
    assert list(elsewhere.iterdir()) == []
    plant(shared / "called", elsewhere / "called", CALLER[0])  # who called us with sudo may have links
    (shared / "ours").symlink_to(elsewhere / "ours")
    for name in ("called", "ours"):
        write(str(shared / name), CALLER)
        assert (elsewhere / name).stat().st_uid == CALLER[0]
    (shared / "round").symlink_to("round")
    with pytest.raises((UsageError, OSError), match="Too many levels of symbolic links"):
        write(str(shared / "round"), None)


@pytest.mark.parametrize("write", [written, result])
def test_files_of_others_are_not_written_where_all_can_put_them(
    shared: Path, theirs: Path, prize: Path, write: Callable[..., None]
) -> None:
    for name, make in (("file", Path.touch), ("fifo", os.mkfifo)):
        make(shared / name)
        os.chown(shared / name, THEM, THEM)
        with pytest.raises(UsageError, match="belongs to somebody else"):
            write(str(shared / name))
    os.link(prize, theirs / "hard")
    with pytest.raises(UsageError, match="has a second name"):
        write(str(theirs / "hard"))


def test_what_is_changed_on_the_way_does_not_matter(shared: Path, theirs: Path) -> None:
    """The directory is exchanged for a link after it was reached: the file is made where it was reached."""
    victim = shared.parent / "victim"
    victim.mkdir()
    (theirs / "d").mkdir()
    with reach(str(theirs / "d" / "file"), None) as place:
        (theirs / "d").rename(theirs / "moved")
        plant(theirs / "d", victim)
        os.close(place.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        (theirs / "moved" / "late").symlink_to(victim / "late")
        late = place._replace(name="late")
        with pytest.raises(OSError, match="Too many levels"):
            late.open(os.O_WRONLY | os.O_CREAT)
    assert (theirs / "moved" / "file").exists()
    assert list(victim.iterdir()) == []


@pytest.fixture
def device() -> Iterator[Path]:
    """A device of the test's own. In /dev: what lies in a /tmp like Debian 13's cannot be opened (nodev)."""
    with tempfile.TemporaryDirectory(dir="/dev") as directory:
        made = Path(directory) / "null"
        os.mknod(made, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        yield made


def test_what_was_there_is_not_given_away(tmp_path: Path, device: Path) -> None:
    """Of all options: devices and older files keep their owner, new files are the caller's."""

    def write(path: Path) -> None:
        name = str(path)
        with open_log(parse(["-l", name]), CALLER):
            pass
        with open_profiles(parse(["--cpuprofile", name]), "", CALLER):
            pass
        with open_profiles(parse(["--memprofile", name]), "", CALLER):
            pass
        with open_metadata(parse(["-m", name]), [], 0.0, CALLER):
            pass
        StatusFile(name, CALLER, opening.WhileWaiting(lambda _: True, print), print).close()
        written(name, CALLER)
        result(name, CALLER)

    devices = [device, Path("/dev/null")]
    old = tmp_path / "old"
    old.touch()
    os.chown(old, 7, 7)
    before = [path.stat() for path in (*devices, old)]
    for path in (*devices, old):
        write(path)
    after = [path.stat() for path in (*devices, old)]
    assert [(one.st_uid, one.st_gid, one.st_mode) for one in after] == [
        (one.st_uid, one.st_gid, one.st_mode) for one in before
    ]
    write(tmp_path / "new")
    assert (tmp_path / "new").stat().st_uid == CALLER[0]


def test_a_checkpoint_directory_of_somebody_else(shared: Path, theirs: Path, prize: Path) -> None:
    """With links where our files will be, and one that belongs to him but does not look so."""
    for name in ("lock", "checkpoint", "checkpoint.new"):
        plant(theirs / name, prize)
    plant(shared / "link", theirs)
    (shared / "open").mkdir()
    (shared / "open").chmod(0o777)
    for name, wrong in (
        ("theirs", "belongs to somebody else"),
        ("link", "a symbolic link of somebody else's"),
        ("open", "others can write in it"),
    ):
        for flag in ("--checkpoint", "--resume"):
            with (
                pytest.raises(UsageError, match=wrong),
                open_checkpoint(parse(["-sendSYNs", flag, str(shared / name)]), CALLER),
            ):
                pass
    assert (prize.read_text(), prize.stat().st_uid) == ("root's", 0)


def test_links_in_the_callers_own_checkpoint_directory(shared: Path, prize: Path) -> None:
    """Who called sudo owns the directory: what he puts into it while the scan runs leads nowhere."""
    directory = shared / "scan"
    options = parse(["-sendSYNs", "--checkpoint", str(directory)])
    with open_checkpoint(options, CALLER) as made:
        assert isinstance(made, Checkpoint)
        assert directory.stat().st_uid == CALLER[0]
        assert made.finish([], [], {}) == ""
        plant(directory / "checkpoint.new", prize, CALLER[0])
        assert made.finish([], [], {}) == ""
        directory.rename(shared / "moved")
        plant(directory, prize.parent, CALLER[0])
        assert made.finish([], [], {}) == ""
    assert not (prize.parent / "checkpoint").exists()
    assert (prize.read_text(), prize.stat().st_uid) == ("root's", 0)
    assert load(shared / "moved") is not None
    lock = shared / "moved" / "lock"
    lock.unlink()
    plant(lock, prize, CALLER[0])
    resume = parse(["--resume", str(shared / "moved")])
    with pytest.raises(UsageError, match="symbolic links"), open_checkpoint(resume, CALLER):
        pass
    assert prize.stat().st_uid == 0


@pytest.mark.parametrize("write", [written, result])
@pytest.mark.parametrize("way", ["/proc/..", "/dev/fd/../../..", "/proc/self/root", "/dev/std/../.."])
def test_names_that_only_begin_like_the_kernels_own(
    shared: Path, prize: Path, write: Callable[..., None], way: str
) -> None:
    plant(shared / "file", prize)
    with pytest.raises((UsageError, OSError)):
        write(f"{way}{shared}/file")
    assert prize.read_text() == "root's"


@pytest.mark.parametrize("write", [written, result])
@pytest.mark.parametrize("instead", ["fifo", "file", "link"])
def test_what_becomes_something_else_while_we_look(
    shared: Path, prize: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., None], instead: str
) -> None:
    """A socket of theirs, and by the time it is opened what would be waited for, or written over."""
    place = shared / "thing"
    if instead == "fifo":
        os.mkfifo(place)
    elif instead == "file":
        os.link(prize, place)
    else:
        plant(place, prize)
    monkeypatch.setattr(Place, "mode", lambda self: stat.S_IFSOCK | 0o666)
    with pytest.raises((UsageError, OSError)):
        write(str(place))
    assert prize.read_text() == "root's"
