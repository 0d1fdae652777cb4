"""``lzr guard``, ``ctl`` and ``identify`` as they are typed: alone, with one dash, with slips."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator.commands import main
from coordinator.guard.firewall import Cover, GuardError
from coordinator.guard.guard import Guard
from lzr.errors import UsageError, two_dashes
from lzr.exitstatus import FAILED
from lzr.options.subcommands import SUBCOMMANDS
from tests import ROOT, forking
from tests.commandline import in_process


def lzr(line: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*forking.program(), *line.split()],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def here(line: str) -> tuple[int, str, str]:
    """The same, without a process of its own."""
    done = in_process(*line.split())
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", ["guard", "ctl"])
def test_alone_they_say_what_they_can(command: str) -> None:
    status, out, said = lzr(command)
    assert (status, out) == (2, "")
    assert said.startswith(f"usage: lzr {command}")
    assert all(word in said for word in {"guard": ("on", "off"), "ctl": ("pause", "workers")}[command])
    for asked in (
        f"{command} --help",
        f"{command} -help",
        f"{command} -h",
        f"help {command}",
        f"{command} help",
    ):
        assert here(asked) == (0, said, ""), asked


@pytest.mark.parametrize("command", [command.name for command in SUBCOMMANDS])
def test_help_fits_eighty_columns(command: str) -> None:
    status, out, _ = here(f"{command} --help")
    assert status == 0
    assert [line for line in out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("guard onn", "lzr guard: onn is no command of the guard; did you mean on?"),
        (
            "guard --source-ipp 192.0.2.1 on",
            "lzr guard: unknown flag --source-ipp; did you mean --source-ip?",
        ),
        ("guard -guard=none on", "invalid choice: 'none'"),
        ("ctl stauts", "lzr ctl: unknown command 'stauts'; did you mean status?"),
        ("ctl stop", "that is quit (at once) or drain"),
        ("ctl continue", "that is resume"),
        ("ctl --wiat pause", "unknown option --wiat; did you mean --wait?"),
        ("ctl -socket", "-socket needs a value (PATH)"),
        ("ctl workers flow=3;collect=2", "is not a number of workers"),
        ("identify --jsn x", "lzr identify: unknown flag --jsn; did you mean --json?"),
        ("identify -handshakes ntp x", "lzr identify: ntp is UDP"),
        ("identify /nowhere", "lzr identify: cannot read /nowhere"),
    ],
)
def test_a_slip_is_one_sentence(line: str, sentence: str) -> None:
    status, out, said = here(line)
    assert (status, out) == (2, "")
    assert sentence in said
    assert said.count("\n") == 1


def test_one_dash_is_as_good_as_two(tmp_path: Path) -> None:
    file = tmp_path / "reply"
    file.write_bytes(b"SSH-2.0-x\r\n")
    for dash in ("-", "--"):
        status, out, said = here(f"identify {dash}json {dash}format=raw {dash}handshakes https {file}")
        assert (status, said) == (0, "")
        assert '"label": "ssh"' in out
        assert here(f"ctl {dash}socket {tmp_path}/none status {dash}json")[0] == 1
        assert here(f"ctl {dash}json {dash}socket={tmp_path}/none {dash}wait status")[0] == 1
    assert here(f"identify -priorityFingerprint ssh {file}") == lzr(
        f"identify --priority-fingerprint ssh {file}"
    )


def test_two_dashes() -> None:
    names = ("json", "format", "sourceIP")
    assert two_dashes(["-json", "--format=raw", "-sourceIP", "x", "-", "-5", "-i"], names) == [
        "--json", "--format=raw", "--sourceIP", "x", "-", "-5", "-i",
    ]  # fmt: skip
    assert two_dashes(["-form", "x", "--", "-json"], names) == ["--form", "x", "--", "-json"]
    with pytest.raises(UsageError, match="unknown flag -jsno; did you mean --json"):
        two_dashes(["-jsno"], names)


def test_identify_on_a_terminal_says_what_is_awaited() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*forking.program(), "identify"],
        cwd=ROOT,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        assert select.select([process.stderr], [], [], 60)[0]
        assert "reading a reply from the terminal, up to ^D" in process.stderr.readline()
        os.write(ours, b"SSH-2.0-OpenSSH_9.9\n\x04")
        out, said = process.communicate(timeout=60)
    os.close(ours)
    assert out == "ssh\t-\tOpenSSH\t9.9\n"
    assert said == ""
    assert process.returncode == 0


def test_identify_without_a_stdin() -> None:
    done = subprocess.run(
        ["sh", "-c", f"exec {' '.join(forking.MODULE)} identify <&-"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "lzr identify: stdin is closed, and no file is named\n"


SLIPS = {
    "identify /nonexistent": 2,
    "diff /nonexistent /nonexistent": 2,
    "export /nonexistent": 2,
    "fleet check /nonexistent": 2,
    "ctl status --socket /nonexistent": 1,
    "guard bogus": 2,
    "--guard none -rt 0": 2,
}
"""What cannot be done -> the exit status that says so."""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("line", SLIPS)
def test_the_exit_status_is_the_same_where_the_sentence_cannot_be_written(line: str) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        for stderr in (writes, full):
            done = subprocess.run(
                [*forking.program(), *line.split()],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                timeout=60,
                check=False,
            )
            assert done.returncode == SLIPS[line]
    finally:
        os.close(writes)
        os.close(full)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "line", ["doctor --json", "identify -", "diff - /dev/null", "guard --help", "fleet --help"]
)
def test_a_full_disk_behind_stdout_is_a_sentence(line: str, unbuffered: str) -> None:
    record = b'{"saddr":"192.0.2.1","daddr":"192.0.2.9","sport":80,"dport":4000,"data":"SSH-2.0-x\\r\\n"}\n'
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*forking.program(), *line.split()], cwd=ROOT, input=record, stdout=full, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered}, timeout=60, check=False,
        )  # fmt: skip
    said = done.stderr.decode()
    assert done.returncode == 2, said
    assert said.splitlines()[-1].endswith(": No space left on device"), said
    assert "Traceback" not in said
    assert "Exception" not in said


@pytest.mark.skipif(sys.platform != "linux", reason="a working directory can be removed there")
@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("diff a.json b.json", "cannot read a.json: No such file or directory"),
        ("doctor -f found.json", "the directory that this was started in is gone"),
        ("--guard none --handshakes-by-port a.toml", "the directory that this was started in is gone"),
        ("--guard none -sendSYNs -f a.json", "cannot write a.json: No such file or directory"),
    ],
)
def test_a_working_directory_that_is_gone(tmp_path: Path, line: str, sentence: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    words = 'cd "$0" && rmdir "$0" && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", words, gone, *forking.program(), *line.split()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [told for told in done.stderr.splitlines() if told.startswith("lzr")]
    assert done.returncode == 2
    assert len(said) == 1
    assert sentence in said[0]
    assert "Traceback" not in done.stderr


def test_a_package_that_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    """As where `ulimit -v` leaves numpy no room, which takes 70 lines to say so."""
    package = tmp_path / "msgspec.py"
    words = "lines\\nupon lines"
    package.write_text(
        "try:\n    raise ImportError('libfoo.so.1: failed to map segment')\n"
        f"except ImportError as error:\n    raise ImportError('{words}') from error\n"
    )
    program = "from coordinator.commands.main import program; program()"
    for line in ("-sendSYNs --guard none", "diff a b"):
        done = subprocess.run(
            [sys.executable, "-c", program, *line.split()],
            env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )
        assert done.returncode == 1
        said = done.stderr.splitlines()  # one line of ours, and perhaps one of the fork server
        assert len([told for told in said if "libfoo.so.1: failed to map segment" in told]) == len(said)
        assert sum("lzr needs" in told for told in said) == 1
    package.write_text("from lzr import no_such_name\n")  # a fault of ours is shown as it is
    done = subprocess.run(
        [sys.executable, "-c", program, "-sendSYNs", "--guard", "none"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, True)


def test_a_guard_that_cannot_be_taken_away_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """As where `ulimit -v` leaves no memory for nft, at the end of a scan that had none either."""

    class Stuck(Guard):
        def remove(self) -> None:
            raise GuardError("the RST guard: nft: Cannot allocate memory")

    main._taken_away(Stuck(None, "lzr_x", Cover((), (), (40000, 40001)), ()))
    assert capsys.readouterr().err == (
        "lzr: the RST guard: nft: Cannot allocate memory; lzr guard off takes away what is left\n"
    )


@pytest.mark.parametrize(
    ("line", "least"),
    [
        ("identify /dev/null", 128),
        ("fleet check /no/such/plan", 128),
        ("-p 80 192.0.2.0/30 --dryrun", 128),
        ("-sendSYNs -I /dev/null -f /dev/null", 256),
        *((f"{word} /dev/null", 512) for word in main.OVER_RESULTS),
    ],
)
def test_too_little_room_for_addresses_is_one_sentence(line: str, least: int) -> None:
    """Libraries in C end the process, or say what only their makers understand."""
    for allowed in (30, 90, least - 1):
        limited = f'ulimit -v {allowed << 10}; exec "$@"'
        shown = subprocess.run(
            [
                "sh",
                "-c",
                limited,
                "sh",
                sys.executable,
                "-P",
                "-m",
                "coordinator.commands.main",
                *line.split(),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        (sentence,) = shown.stderr.splitlines()
        assert shown.returncode == FAILED
        assert f"memory enough: ulimit -v allows {allowed} MiB" in sentence
        first = 128 if allowed < 128 and least < 512 else least
        assert f"this needs {first} MiB at least" in sentence
