"""What `bin/lzr` leaves behind when the program that it becomes does not come up: nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host_net import ROOT, Wire, inside
from tests.lab.net import wait_for

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root and network namespaces"),
]

BROKEN = {
    "an interpreter that cannot start": f"#!{sys.executable}\n",
    "a missing package": f"#!{sys.executable} -I\nimport no_such_package\n",
    "killed": "#!/bin/sh\nkill -9 $$\n",
}


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Wire("l") as made:
        yield made


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "bin" / "lzr", tmp_path / "lzr")
    return tmp_path / "lzr"


def become(launcher: Path, program: str) -> None:
    (launcher.parent / "lzr-run").write_text(program)
    (launcher.parent / "lzr-run").chmod(0o755)


@pytest.mark.parametrize("why", BROKEN)
def test_a_program_that_does_not_come_up(wire: Wire, launcher: Path, why: str) -> None:
    become(launcher, BROKEN[why])
    marks = launcher.parent / "marks"
    nft = launcher.parent / "nft"
    nft.write_text(f'#!/bin/sh\necho "$@" >> {marks}\nexec /usr/sbin/nft "$@"\n')
    nft.chmod(0o755)
    environment = {**os.environ, "PATH": f"{launcher.parent}:{os.environ['PATH']}"}
    if why == "an interpreter that cannot start":
        environment["PYTHONHOME"] = "/nonexistent"
    with inside(wire.box):
        done = subprocess.run(
            [launcher],
            env=environment,
            capture_output=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    assert done.returncode not in (0, 2)
    wait_for(lambda: "lzr_" not in wire.rules(), "the table to be gone", 60)
    assert f"add table inet lzr_{os.stat('/proc/self/ns/pid').st_ino}_" in marks.read_text()


def test_who_has_taken_it_over_ends_the_one_that_waits(wire: Wire, launcher: Path) -> None:
    code = (
        f"import os, sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
        "from coordinator.guard.early import put_up_early\n"
        "keeper = int(os.environ['LZR_GUARD_KEEPER'])\n"
        "children = f'/proc/{keeper}/task/{keeper}/children'\n"
        "time.sleep(2.5)\n"  # from then on it sleeps for two seconds at a time
        "naps = open(children).read().split()\n"
        "up = put_up_early([])\n"
        "def lives(nap):\n"  # and has no SIGKILL before it: to die takes a processor
        "    try: os.readlink(f'/proc/{nap}/exe'); lines = open(f'/proc/{nap}/status').readlines()\n"
        "    except OSError: return False\n"
        "    masks = [int(line.split()[1], 16) for line in lines if line[:7] in ('SigPnd:', 'ShdPnd:')]\n"
        "    return not any(mask & 1 << 8 for mask in masks)\n"
        "until = time.monotonic() + 0.5\n"  # it may have taken the signal, and wait for its end
        "while (left := [nap for nap in naps if lives(nap)]) and time.monotonic() < until: time.sleep(0.01)\n"
        "print(up.mode, 'LZR_GUARD_KEEPER' in os.environ, os.path.exists(f'/proc/{keeper}'), left)\n"
        "sys.stdout.flush()\n"
        "sys.stdin.read()\n"
        "up.remove()\n"
    )
    become(launcher, f"#!{sys.executable}\n{code}")
    with inside(wire.box):
        process = subprocess.Popen([launcher], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        mode, *rest = process.stdout.readline().split()
        # Where it is not adopted, nft failed on a busy machine.
        assert mode != "adopted" or rest == ["False", "False", "[]"]
        assert "lzr_" in wire.rules()
    assert process.returncode == 0
    wait_for(lambda: wire.rules() == "", "the table to be gone", 60)


@pytest.mark.parametrize("flags", [["--guard", "none"], ["-guard=none"], ["--guard=none"]])
def test_no_guard_is_put_up_where_none_is_wanted(wire: Wire, launcher: Path, flags: list[str]) -> None:
    become(launcher, '#!/bin/sh\necho "<$LZR_GUARD>"')
    with inside(wire.box):
        done = subprocess.run([launcher, *flags], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "<>\n"


CALLERS = """\
import os, sys
print(os.environ["PATH"], *sorted(name for name in os.environ if name.startswith(("LD_", "PYTHON"))))
print(sys.flags.inspect, [path for path in sys.path if "thicket" in path])
"""


@pytest.mark.parametrize("path", [".:{}", "{}:", ":{}", "{}:bin::../x", "{}"])
def test_nothing_of_the_callers_environment_names_code_for_root(
    wire: Wire, launcher: Path, tmp_path: Path, path: str
) -> None:
    """Under sudo that lets all of it through, in a directory with programs called as those of root's."""
    become(launcher, f"#!{sys.executable}\n{CALLERS}")
    caller = tmp_path / "thicket"
    (caller / "bin").mkdir(parents=True)
    for name in ("nft", "env", "readlink", "sleep", "iptables", "sh", "bin/nft"):
        (caller / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/owned\n")
        (caller / name).chmod(0o755)
    for name in ("sitecustomize", "encodings/__init__", "coordinator/__init__"):
        (caller / name).parent.mkdir(exist_ok=True)
        (caller / f"{name}.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w').close()\n")
    system = "/usr/sbin:/usr/bin:/sbin:/bin"
    hostile = dict.fromkeys(
        ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONPYCACHEPREFIX", "LD_LIBRARY_PATH"), str(caller)
    )
    hostile |= {"PYTHONINSPECT": "1", "PYTHONWARNINGS": "error::sitecustomize.x", "PATH": path.format(system)}
    with inside(wire.box):
        done = subprocess.run(
            [launcher, "-f", "-"],
            env={"SUDO_UID": "1000", **hostile},
            cwd=caller,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [system, "0 []"]
    assert not (tmp_path / "owned").exists()
    wait_for(lambda: "lzr_" not in wire.rules(), "the table to be gone", 60)


@pytest.mark.parametrize(("owner", "loaded"), [(1000, False), (0, True)])
def test_packages_in_the_callers_home_are_not_roots(
    wire: Wire, launcher: Path, tmp_path: Path, owner: int, loaded: bool
) -> None:
    """With the system's Python, outside a virtual environment: only such a one looks there."""
    become(launcher, "#!/usr/bin/python3\nimport site\nprint(site.ENABLE_USER_SITE)\n")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, owner, owner)
    environment = {"SUDO_UID": "1000", "HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    with inside(wire.box):
        words = [launcher, "--version"]
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert (done.stdout, done.stderr) == (f"{loaded}\n", "")


HARMLESS = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "TERM": "xterm",
    "LANG": "C.UTF-8",
    "LC_TIME": "C",
    "SUDO_UID": "1000",
    "SUDO_GID": "1000",
    "SUDO_USER": "somebody",
}
OF_FILES = (
    *("XTABLES_LIBDIR", "GCONV_PATH", "OPENSSL_CONF", "OPENSSL_MODULES", "PYTHONPERFSUPPORT", "PYTHONPATH"),
    *(
        "LOCPATH",
        "NLSPATH",
        "LANGUAGE",
        "TERMINFO",
        "TZDIR",
        "RUNTIME_DIRECTORY",
        "TMPDIR",
        "BASH_ENV",
        "ENV",
    ),
    *("LD_LIBRARY_PATH", "LD_DEBUG_OUTPUT", "MALLOC_TRACE", "GLIBC_TUNABLES", "HOSTALIASES", "IFS", "CDPATH"),
    *("OPENBLAS_CORETYPE", "SSL_CERT_FILE", "NSS_WRAPPER_PASSWD", "a", "_x1"),
)


@pytest.mark.attack
@pytest.mark.parametrize("flags", [["-f", "-"], ["--version"]])
@pytest.mark.parametrize(
    ("zone", "kept"), [("Europe/Berlin", True), ("/home/x", False), (":x", False), ("a/../x", False)]
)
def test_only_what_names_no_file_is_left_of_the_callers_environment(
    wire: Wire, launcher: Path, tmp_path: Path, zone: str, kept: bool, flags: list[str]
) -> None:
    if flags == ["-f", "-"] and kept:
        zone = "UTC"
    become(launcher, f"#!{sys.executable}\nimport os, sys\nprint(*sorted(os.environ), sys.argv[1:])\n")
    harmless = HARMLESS | {"TZ": zone}
    # A value that looks like the name of another one, and one that would be a pattern.
    hostile = dict.fromkeys(OF_FILES, str(tmp_path)) | {"MANY": "x\nexport LANG='y'\n*", "STAR": "*"}
    hostile["GLIBC_TUNABLES"] = "glibc.malloc.perturb=1"  # of a wrong one newer loaders complain
    with inside(wire.box):
        done = subprocess.run(
            [launcher, *flags],
            env=harmless | hostile,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    *names, _, _ = done.stdout.split() if len(flags) > 1 else [*done.stdout.split(), ""]
    left = {name for name in names if not name.startswith("LZR_")} - {"PWD", "LC_CTYPE"}
    assert left == set(harmless if kept else HARMLESS), done.stderr
    assert done.stderr == ""
    wait_for(lambda: "lzr_" not in wire.rules(), "the table to be gone", 60)
