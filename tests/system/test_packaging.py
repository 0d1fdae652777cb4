"""Wheel and sdist, installed as people do it; an old Python; systems that are not Debian or not Linux."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from coordinator.commands import main as program
from lzr import __version__, kernels
from tests import ROOT
from tests.lab.net import Lab, run

pytestmark = pytest.mark.timeout(600)  # building fetches setuptools

PAYLOAD = b"SSH-2.0-OpenSSH_9.2p1\r\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(checkout, directory with the sdist and the wheel that was made from it, in isolation)."""
    checkout = tmp_path_factory.mktemp("checkout of lzr") / "lzr"
    leave = shutil.ignore_patterns(".*", "__pycache__", "*.so", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, checkout, ignore=leave)
    out = checkout.parent / "out"
    run(sys.executable, "-m", "build", "--outdir", out, checkout, timeout=350)
    return checkout, out


def wheel_of(built: tuple[Path, Path]) -> Path:
    (found,) = built[1].glob("*.whl")
    return found


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(f"lzr-{__version__}.dist-info/METADATA"))


def install(wheel: Path, where: Path) -> Path:
    """The directory of the programs of a new environment with the wheel, and these tests' libraries."""
    venv.create(where, with_pip=False)
    python = where / "bin" / "python"
    run(sys.executable, "-m", "pip", "-q", "--python", python, "install", "--no-deps", "--no-index", wheel)
    (site,) = where.glob("lib/python*/site-packages")
    libraries = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (site / "libraries.pth").write_text("".join(f"{path}\n" for path in libraries))
    return where / "bin"


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(wheel_of(built), tmp_path_factory.mktemp("with spaces") / "an environment")


def test_building_leaves_nothing_but_what_setuptools_notes(built: tuple[Path, Path]) -> None:
    checkout, out = built
    there = {str(path.relative_to(checkout)) for path in checkout.rglob("*") if path.is_file()}
    leave = shutil.ignore_patterns(".*", "__pycache__", "*.so", "*.egg-info", "build", "dist")
    before: set[str] = set()
    for directory, folders, files in os.walk(ROOT):
        gone = leave(directory, [*folders, *files])
        folders[:] = [name for name in folders if name not in gone]
        before |= {os.path.relpath(os.path.join(directory, name), ROOT) for name in files if name not in gone}
    assert {name for name in there - before if not name.startswith("lzr.egg-info/")} == set()
    assert len(list(out.iterdir())) == 2


def test_the_wheel_holds_what_a_user_needs(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(wheel_of(built)) as archive:
        names = {name.removeprefix(f"lzr-{__version__}.data/") for name in archive.namelist()}
    kernels_in_c = {name for name in names if name.startswith("lzr/_native.") and name.endswith(".so")}
    assert len(kernels_in_c) == 1
    for wanted in (
        "data/share/lzr/etc/all.ini",
        "data/share/lzr/etc/lzr.toml",
        "data/share/lzr/etc/blocklist.conf",
        "data/share/lzr/etc/grafana-lzr.json",
        "data/share/man/man1/lzr.1",
        "data/share/bash-completion/completions/lzr.bash",
        "data/share/zsh/site-functions/_lzr",
        "data/share/doc/lzr/README.md",
        "scripts/lzr",
        "lzr/py.typed",
        "lzr/fingerprint/recog/LICENSE",
        f"lzr-{__version__}.dist-info/licenses/NOTICE",
        f"lzr-{__version__}.dist-info/licenses/LICENSE",
    ):
        assert wanted in names
    assert not [name for name in names if name.endswith((".c", ".h")) or name.startswith(("tests/", "demo/"))]
    with zipfile.ZipFile(wheel_of(built)) as archive:
        licence = archive.read("lzr/fingerprint/recog/LICENSE").decode()
    assert "Rapid7" in licence
    assert "Redistributions in binary form" in licence
    modules = {
        str(path.relative_to(ROOT))
        for package in ("lzr", "coordinator", "workers")
        for path in (ROOT / package).rglob("*.py")
    }
    assert modules <= names


def test_the_sdist_holds_what_the_fingerprints_are_made_with(built: tuple[Path, Path]) -> None:
    (sdist,) = built[1].glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in (
        "NOTICE",
        "fingerprints/__main__.py",
        "lzr/fingerprint/recog/LICENSE",
        "lzr/fingerprint/recog/data.py",
        "tests/unit/lzr/fingerprint/recog/examples.jsonl.gz",
    ):
        assert wanted in names


def test_metadata_says_what_an_index_asks_for(built: tuple[Path, Path]) -> None:
    found = metadata(wheel_of(built))
    assert found["License-Expression"] == "Apache-2.0 AND BSD-2-Clause"
    assert found["Requires-Python"] == ">=3.11"
    assert found["Description-Content-Type"] == "text/markdown"
    classifiers = found.get_all("Classifier", [])
    assert "Operating System :: POSIX :: Linux" in classifiers
    assert not [line for line in classifiers if line.startswith("License ::")]  # refused beside an expression
    assert found.get_all("Project-URL")
    assert "Two commands" in str(found.get_payload())


def test_installed_in_a_path_with_spaces_and_behind_a_symlink(installed: Path, tmp_path: Path) -> None:
    payload = tmp_path / "payload.raw"
    payload.write_bytes(PAYLOAD)
    link = tmp_path / "bin of its own" / "lzr"
    link.parent.mkdir()
    link.symlink_to(installed / "lzr")
    stranger = link.with_name("lzr-run")  # of another installation: not the one that the link means
    stranger.write_text("#!/bin/sh\necho stranger\n")
    stranger.chmod(0o755)
    second = tmp_path / "second"
    second.symlink_to(link)
    for command in (installed / "lzr", link, second):
        assert run(command, "--version", cwd=tmp_path).stdout == f"lzr {__version__}\n"
        assert run(command, "identify", payload).stdout.split() == ["ssh", "-", "OpenSSH", "9.2p1"]
    assert run("sh", "lzr", "--version", cwd=installed).stdout == f"lzr {__version__}\n"
    etc = installed.parent / "share/lzr/etc"
    assert (etc / "all.ini").is_file()
    assert f"all.ini and lzr.toml are in {etc}" in run(installed / "lzr", "doctor", check=False).stdout


@pytest.mark.root
def test_without_compiled_kernels_every_report_says_so(
    built: tuple[Path, Path], tmp_path: Path, lab: Lab
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    wheel = plain / wheel_of(built).name
    with zipfile.ZipFile(wheel_of(built)) as whole, zipfile.ZipFile(wheel, "w") as without:
        for name in whole.namelist():
            if not name.endswith(".so"):
                without.writestr(whole.getinfo(name), whole.read(name))
    programs = install(wheel, tmp_path / "environment")
    sentence = f"kernels in Python (no compiler at installation), about {kernels.SLOWER} times slower"
    assert run(programs / "lzr", "--version").stdout == f"lzr {__version__}\n{sentence}\n"
    home = lab.namespace("home")
    meta = tmp_path / "meta"
    words = ("-sendSYNs", "--no-dashboard", "-f", tmp_path / "found", "--metadata-file", meta)
    tmp_path.chmod(0o755)
    done = home.run(programs / "lzr", *words, input="127.0.0.1:9\n")
    assert f"[WARN] lzr: {sentence}; install gcc, and lzr again\n" in done.stderr
    found = json.loads(meta.read_text())
    assert found["kernels"] == sentence.removeprefix("kernels in ")
    assert found["ending"]["status"] == 0


@pytest.mark.root
def test_kernels_in_python_by_wish_say_so_too(lab: Lab, tmp_path: Path) -> None:
    sentence = f"kernels in Python (LZR_PURE=1), about {kernels.SLOWER} times slower"
    home = lab.namespace("home")
    lzr = Path(sys.executable).parent / "lzr"
    for pure, expected in (("1", True), ("0", False)):
        environment = {**lab.environment, "LZR_PURE": pure}
        words = ("-sendSYNs", "--no-dashboard", "-f", tmp_path / "found")
        done = home.run(lzr, *words, input="127.0.0.1:9\n", env=environment)
        assert (sentence in done.stderr) is expected, done.stderr
        assert (sentence in home.run(lzr, "--version", env=environment).stdout) is expected


def test_why_the_kernels_are_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LZR_PURE", "1")
    assert kernels._load() == (None, "LZR_PURE=1")
    monkeypatch.delenv("LZR_PURE")
    monkeypatch.setitem(sys.modules, "lzr._native", None)  # its import fails as a missing module's does
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    assert kernels._load() == (None, "no compiler at installation")
    built_for_another = [Path("lzr/_native.cpython-39-x86_64-linux-gnu.so")]
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(built_for_another))
    assert kernels._load()[1].startswith("those here are for another Python")
    stale = type(sys)("lzr._native")
    monkeypatch.setitem(sys.modules, "lzr._native", stale)
    monkeypatch.setattr("lzr._native", stale, raising=False)
    assert kernels._load() == (None, "those in C are of another version: install again")


# --- make venv where the Python or the system is not the usual one ----------------------------------------


def fake(directory: Path, name: str, says: str, modules: bool = True) -> Path:
    program = directory / name
    test = "" if modules else 'case "$*" in *ensurepip*) exit 1 ;; esac\n'
    program.write_text(f"#!/bin/sh\n{test}echo {says}\n")
    program.chmod(0o755)
    return program


def find_python(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **more}
    return run(ROOT / "tests/lab/find-python", *words, env=environment, check=False)


def test_a_python_that_is_too_old_is_named_with_its_version(tmp_path: Path) -> None:
    for version in ("3.9", "3.10", "2.7"):
        old = fake(tmp_path, "python-old", version)
        for words in ((), ("early",), ("whole",)):
            done = find_python(*words, PYTHON=str(old))
            assert done.returncode == 1
            assert len(done.stderr.splitlines()) == 1
            assert f"needs Python 3.11 or later, and here {old} is {version}" in done.stderr
    new = fake(tmp_path, "python-new", "3.13")
    assert find_python("whole", PYTHON=str(new)).stdout == f"{new}\n"
    assert find_python(PYTHON=f"{old} {new}").stdout == f"{new}\n"  # an old one is passed over
    bare = fake(tmp_path, "python-bare", "3.12", modules=False)
    done = find_python("whole", PYTHON=str(bare))
    assert done.returncode == 1
    assert f"{bare} (3.12) has no venv module" in done.stderr
    assert find_python("early", PYTHON="/no/such/python").returncode == 0  # to be installed
    assert "here is none" in find_python("whole", PYTHON="/no/such/python").stderr


def test_make_venv_stops_at_a_python_that_is_too_old_before_it_installs_anything(tmp_path: Path) -> None:
    old = fake(tmp_path, "python", "3.10")
    done = run("make", "-C", ROOT, "venv", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}", check=False)
    assert done.returncode == 2
    assert f"{old} is 3.10" in done.stderr
    assert "installing" not in done.stderr
    assert not (tmp_path / "venv").exists()


def test_without_dpkg_what_is_missing_is_said_and_nothing_is_installed(tmp_path: Path) -> None:
    for name in ("sh", "nft", "ip", "ss"):
        where = shutil.which(name)
        assert where is not None
        (tmp_path / name).symlink_to(where)
    script = tmp_path / "lab"
    script.mkdir()
    # The directories that the script adds by itself are those of a system without any of this.
    there = (ROOT / "tests/lab/tools-there").read_text().replace("/usr/sbin:/sbin", "/nonexistent")
    (script / "tools-there").write_text(there)
    (script / "tools-there").chmod(0o755)
    shutil.copy(ROOT / "tests/lab/apt-install", script)
    words = ("zmap", "nftables", "iproute2", "gcc", "libc6-dev", "python3-venv")
    done = run(script / "apt-install", *words, env={"PATH": str(tmp_path)})
    assert done.stderr.rstrip().endswith("if you need them: zmap cc")
    assert run(script / "apt-install", "nftables", env={"PATH": str(tmp_path)}).stderr == ""


def environment(directory: Path, python: str, *versions: str) -> Path:
    """What a virtual environment of `python` looks like, with packages for these versions; its bin/lzr."""
    (directory / "bin").mkdir(parents=True)
    (directory / "pyvenv.cfg").touch()
    for version in versions:
        (directory / "lib" / f"python{version}").mkdir(parents=True)
    launcher = directory / "bin/lzr"
    shutil.copy(ROOT / "bin/lzr", launcher)
    (directory / "bin/lzr-run").write_text(f"#!{python}\nprint('it runs')\n")
    (directory / "bin/lzr-run").chmod(0o755)
    return launcher


def test_an_installation_whose_python_is_gone_or_another_says_so(tmp_path: Path) -> None:
    gone = environment(tmp_path / "gone", "/nonexistent/bin/python", "3.11")
    done = run(gone, "--version", check=False)
    assert (done.returncode, done.stdout) == (127, "")
    assert "its Python, /nonexistent/bin/python, is gone. Make it anew: make venv" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    long = environment(tmp_path / "long", "/bin/sh", f"3.{sys.version_info.minor}")
    line = f"'''exec' \"{tmp_path}/two words/python\" \"$0\" \"$@\"\n' '''\n"
    long.with_name("lzr-run").write_text(
        f"#!/bin/sh\n{line}print('it runs')\n"
    )  # pip, where there are blanks
    assert f"its Python, {tmp_path}/two words/python, is gone" in run(long, "--version", check=False).stderr
    (tmp_path / "two words").mkdir()
    (tmp_path / "two words/python").symlink_to(sys.executable)
    assert run(long, "--version").stdout == "it runs\n"


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no Python of the system's")
def test_an_installation_from_before_the_systems_python_was_replaced_says_so(tmp_path: Path) -> None:
    said = run("/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout.strip()
    if not Path(f"/usr/bin/python{said}").exists():
        pytest.skip("it is not called by its version")
    before = environment(tmp_path / "before", "/usr/bin/python3", "3.10")
    done = run(before, "--version", check=False)
    assert (done.returncode, done.stdout) == (127, "")
    assert f"it was made for another Python than {said}, which is what is here now" in done.stderr
    now = environment(tmp_path / "now", "/usr/bin/python3", said)
    assert run(now, "--version").stdout == "it runs\n"


def test_packages_that_python_does_not_look_for_are_found_from_where_the_program_lies(tmp_path: Path) -> None:
    """As pip's --target, --prefix and --user leave them: for root, the last are another user's."""
    version = f"python3.{sys.version_info.minor}"
    for number, folder in enumerate(("", f"lib/{version}/site-packages", f"lib/{version}/dist-packages")):
        place = tmp_path / str(number)
        launcher = environment(place, sys.executable)
        (place / "pyvenv.cfg").unlink()
        package = place / folder / "coordinator/commands"
        package.mkdir(parents=True)
        (package / "main.py").write_text("print(__file__)")
        for inside in (package, package.parent):
            (inside / "__init__.py").touch()
        launcher.with_name("lzr-run").write_text(f"#!{sys.executable}\nimport coordinator.commands.main\n")
        for words in ((launcher, "--version"), ("sh", "-c", f"cd {place}/bin && ./lzr --version")):
            assert run(*words).stdout == f"{package}/main.py\n"
    for spoil in (lambda path: path.write_text(""), Path.unlink):
        spoil(tmp_path / "0/bin/lzr-run")
        done = run(tmp_path / "0/bin/lzr", check=False)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (127, "", 1)
        assert "lzr-run is not whole beside this file" in done.stderr


def test_make_venv_makes_anew_what_can_be_used_no_more(tmp_path: Path) -> None:
    place = tmp_path / "venv"
    stale = ROOT / "tests/lab/venv-stale"
    stamp = place / ".installed"
    assert run(stale, place).stdout == ""  # there is none
    environment(place, f"{place}/bin/python")
    stamp.touch()
    assert run(stale, place).stdout == "its Python is gone, or another version by now\n"
    made = run("make", "-n", "-C", ROOT, f"VENV={place}", stamp)
    assert f"rm -rf {place}" in made.stdout
    fake(place / "bin", "python", "")  # one that imports what it is told to
    assert run(stale, place).stdout == ""
    os.utime(stamp)
    assert "is up to date" in run("make", "-n", "-C", ROOT, f"VENV={place}", stamp).stdout
    moved = place.rename(tmp_path / "moved")
    assert run(stale, moved).stdout == "it was made in another directory\n"
    assert f"rm -rf {moved}" in run("make", "-n", "-C", ROOT, f"VENV={moved}", moved / ".installed").stdout


# --- systems that are not Linux ---------------------------------------------------------------------------

ELSEWHERE = """
import builtins, importlib.abc, os, select, shutil, socket, sys
gone = {"zmq", "setproctitle", *(() if sys.argv[1] == "darwin" else
    ("fcntl", "pwd", "grp", "resource", "termios", "tty", "curses"))}
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in gone:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
for name in gone:
    sys.modules.pop(name, None)
linux = {
    os: "memfd_create pidfd_open sched_getaffinity splice eventfd pipe2 setns unshare O_PATH O_TMPFILE",
    select: "epoll EPOLLIN",
    socket: "AF_PACKET AF_NETLINK SO_PEERCRED SO_BINDTODEVICE SOCK_CLOEXEC SOCK_NONBLOCK",
}
for module, names in linux.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
def no_proc(real):
    def wrapped(path, *rest, **more):
        if str(path).startswith(("/proc", "/sys")):
            raise FileNotFoundError(2, "No such file or directory", path)
        return real(path, *rest, **more)
    return wrapped
builtins.open, os.open = no_proc(builtins.open), no_proc(os.open)
sys.platform = sys.argv[1]
from coordinator.commands.main import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_elsewhere_identify_works_and_the_rest_says_that_it_needs_linux(system: str, tmp_path: Path) -> None:
    def elsewhere(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, "-c", ELSEWHERE, system, *words, cwd=ROOT, check=False)

    payload, record = tmp_path / "payload.raw", tmp_path / "record.json"
    payload.write_bytes(PAYLOAD)
    record.write_text(json.dumps({"data": PAYLOAD.decode()}) + "\n")
    for file in (payload, record):  # captures are read by scapy, which cannot be told that it is elsewhere
        done = elsewhere("identify", file)
        assert done.stdout.split()[:4] == ["ssh", "-", "OpenSSH", "9.2p1"], done.stderr
    assert elsewhere("--version").stdout.startswith(f"lzr {__version__}")
    assert "-sendSYNs" in elsewhere("--help").stdout
    for words in (["-sendSYNs"], ["guard", "status"], ["ctl", "status"]):
        done = elsewhere(*words)
        assert done.returncode == 2
        assert done.stderr.endswith(f": {program.NOT_LINUX}\n")
        assert len(done.stderr.splitlines()) == 1
    assert "unknown flag" in elsewhere("--no-such").stderr


@pytest.mark.root
def test_make_venv_says_whose_files_are_in_the_way(tmp_path: Path) -> None:
    closed = tmp_path / "lzr.egg-info"
    closed.mkdir(mode=0o555)
    weak = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")  # root, who may write no more than others
    ours = ROOT / "tests/lab/venv-ours"
    done = run(*weak, ours, tmp_path / "none", tmp_path, closed, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"{closed} is root's, so root cannot make it anew: give the checkout to one"
    )
    assert done.stderr.count("\n") == 1
    assert run(*weak, ours, tmp_path / "none", tmp_path).stderr == ""
    assert "tests/lab/venv-ours" in run("make", "-n", "-W", "setup.py", "-C", ROOT, ".venv/.installed").stdout
