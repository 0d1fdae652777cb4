"""Giving privilege up: the real thing, in children that report what they still can do."""

from __future__ import annotations

import ctypes
import os
import pwd
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.processes import rights
from coordinator.processes.users import User, UserError, choose_user, invoking_user
from tests.host_net import ROOT
from workers.privilege import PrivilegeError, die_with_parent, drop

pytestmark = pytest.mark.root
NOBODY = 65534
root = pytest.mark.root


def in_child(act: Callable[[], object]) -> str:
    """Run in a fork, and return what came of it as text."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = repr(act())
        except BaseException as error:
            said = type(error).__name__ + ": " + str(error)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


def dropped(act: Callable[[], object]) -> str:
    def child() -> object:
        drop(NOBODY, NOBODY)
        return act()

    return in_child(child)


@root
class TestDrop:
    def test_who_it_is_then(self) -> None:
        said = dropped(lambda: (os.getresuid(), os.getresgid(), os.getgroups()))
        assert said == repr(((NOBODY,) * 3, (NOBODY,) * 3, []))

    def test_a_process_may_have_any_name(self) -> None:
        """It stands in the file that says what is left."""

        def child() -> object:
            ctypes.CDLL(None).prctl(15, b"\xff\xfe:\tlzr", 0, 0, 0)  # PR_SET_NAME
            drop(NOBODY, NOBODY)
            return os.getuid()

        assert in_child(child) == repr(NOBODY)

    def test_no_raw_socket(self) -> None:
        for family, protocol in ((socket.AF_PACKET, 0), (socket.AF_INET, socket.IPPROTO_TCP)):

            def make(family: int = family, protocol: int = protocol) -> object:
                return socket.socket(family, socket.SOCK_RAW, protocol)

            assert dropped(make).startswith("PermissionError")

    def test_no_way_back(self) -> None:
        for act in (
            lambda: os.setuid(0),
            lambda: os.setgroups([0]),
            lambda: os.setresgid(0, 0, 0),
            lambda: os.kill(1, 0),
            lambda: os.chroot("/"),
        ):
            assert dropped(act).startswith("PermissionError")

    def test_set_user_id_programs_give_nothing(self, tmp_path: Path) -> None:
        """A shell made setuid root still runs as the ordinary user: no new privileges."""
        program = Path("/tmp") / f"lzr-setuid-{os.getpid()}"
        program.write_bytes(Path("/usr/bin/id").read_bytes())
        try:
            os.chmod(program, 0o4755)
            said = dropped(lambda: subprocess.run([program, "-u"], capture_output=True, check=False).stdout)
        finally:
            program.unlink()
        assert said == repr(b"65534\n")

    def test_no_writing_outside(self, tmp_path: Path) -> None:
        os.chmod(tmp_path, 0o755)
        for place in (tmp_path / "new", Path("/etc/lzr-test"), Path("/root/lzr-test")):

            def write(place: Path = place) -> object:
                return place.write_text("x")

            assert dropped(write).startswith("PermissionError")

    def test_open_descriptors_stay(self, tmp_path: Path) -> None:
        with open(tmp_path / "mine", "w") as mine, socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:

            def act() -> object:
                mine.write("x")
                mine.flush()
                return raw.getsockname()[0]

            assert dropped(act) == "''"
        assert (tmp_path / "mine").read_text() == "x"

    def test_root_is_refused(self) -> None:
        for uid, gid in ((0, 0), (NOBODY, 0), (0, NOBODY)):
            with pytest.raises(PrivilegeError):
                drop(uid, gid)

    def test_dropping_again_is_harmless(self) -> None:
        assert dropped(lambda: drop(NOBODY, NOBODY)) == "False"

    def test_failure_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A child that could not change its user must not go on as if it had."""
        monkeypatch.setattr(os, "setresuid", lambda *_: None)
        assert dropped(lambda: None).startswith("PrivilegeError")


@root
@pytest.mark.parametrize("user", [None, NOBODY])
def test_a_child_dies_with_its_parent(user: int | None) -> None:
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        mother = os.getpid()
        if os.fork() == 0:
            if user is not None:
                drop(user, user)
            die_with_parent(mother)
            os.write(writer, b"ready")
            signal.pause()
        os.close(writer)
        signal.pause()
    os.close(writer)
    try:
        assert os.read(reader, 10) == b"ready"
    finally:
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
    # The pipe ends when the grandchild, its last writer, is gone.
    assert select.select([reader], [], [], 20)[0]
    assert os.read(reader, 10) == b""
    os.close(reader)


@root
def test_a_child_whose_parent_is_dead_already_ends() -> None:
    pid = os.fork()
    if pid == 0:
        die_with_parent(2**22 + 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


class TestChoice:
    def test_the_user_of_sudo(self) -> None:
        environment = {"SUDO_UID": "12345", "SUDO_GID": "12346", "SUDO_USER": "somebody"}
        assert choose_user(None, environment) == invoking_user(environment) == User("12345", 12345, 12346)

    def test_the_user_of_doas_and_pkexec(self) -> None:
        daemon = choose_user("daemon")
        assert invoking_user({"DOAS_USER": "daemon"}) == daemon
        assert invoking_user({"PKEXEC_UID": str(daemon.uid)}) == daemon
        assert invoking_user({"DOAS_USER": "daemon", "SUDO_UID": "5", "SUDO_GID": "5"}) == choose_user("5:5")

    @pytest.mark.parametrize(
        "environment",
        [
            {},
            {"SUDO_UID": "0", "SUDO_GID": "0"},
            {"SUDO_UID": "x", "SUDO_GID": "1"},
            {"SUDO_UID": "5"},
            {"DOAS_USER": "root"},
            {"DOAS_USER": "nobody-has-this-name"},
            {"DOAS_USER": "a\0b"},
            {"PKEXEC_UID": "0"},
            {"PKEXEC_UID": "-1"},
            {"PKEXEC_UID": "99999999999999"},
            {"PKEXEC_UID": "9" * 5000},
            {"SUDO_UID": "9" * 5000, "SUDO_GID": "5"},
        ],
    )
    def test_nobody_otherwise(self, environment: dict[str, str]) -> None:
        assert choose_user(None, environment).uid == NOBODY
        assert invoking_user(environment) is None

    def test_a_user_whose_group_is_roots_owns_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As with sudo: no worker runs in root's group, and no file of ours becomes that group's."""
        entry = pwd.struct_passwd(("operator", "x", 11, 0, "", "/", "/bin/sh"))
        monkeypatch.setattr(pwd, "getpwnam", lambda _: entry)
        monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
        for environment in ({"DOAS_USER": "operator"}, {"PKEXEC_UID": "11"}):
            assert invoking_user(environment) is None
        assert invoking_user({"SUDO_UID": "11", "SUDO_GID": "0"}) is None

    def test_by_name_number_and_group(self) -> None:
        daemon = choose_user("daemon")
        assert daemon.name == "daemon"
        assert choose_user(str(daemon.uid)) == daemon
        assert choose_user("daemon:nogroup").gid == NOBODY
        assert choose_user("54321:54322") == User("54321", 54321, 54322)

    @pytest.mark.parametrize(
        "text",
        [
            "root",
            "0",
            "daemon:root",
            "daemon:0",
            "daemon:",
            "54321",
            "nosuchuser",
            "",
            "daemon:nosuch",
            "-1",
            "a\0b",
            "9" * 5000,
        ],
    )
    def test_mistakes(self, text: str) -> None:
        with pytest.raises(UserError, match="--user"):
            choose_user(text)

    def test_one_that_is_not_root_stays_who_it_is(self) -> None:
        def act() -> object:
            others = [None, str(NOBODY), "daemon"]
            found: list[object] = []
            for other in others:
                try:
                    found.append(choose_user(other, {"SUDO_UID": "5", "SUDO_GID": "5"}).uid)
                except UserError:
                    found.append("refused")
            sudo = invoking_user({"SUDO_UID": "5", "SUDO_GID": "5"})
            return found, sudo, rights.why_not_root_enough()

        said = dropped(act)
        assert said.startswith("([65534, 65534, 'refused'], None, 'raw packets")
        assert "root (CAP_NET_ADMIN and CAP_NET_RAW missing): run with sudo" in said

    def test_root_is_enough(self) -> None:
        assert rights.why_not_root_enough() is None

    def test_one_capability_is_not_enough(self) -> None:
        code = "from coordinator.processes.rights import *; print(why_not_root_enough())"
        done = subprocess.run(
            ["setpriv", "--bounding-set=-net_raw", sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            timeout=120,
        )
        assert "(CAP_NET_RAW missing): --cap-add NET_RAW in a container" in done.stdout
        assert "sudo" not in done.stdout  # it is root already

    @given(st.text())
    def test_any_text_is_a_user_or_a_sentence(self, text: str) -> None:
        try:
            user = choose_user(text)
        except UserError:
            return
        assert user.uid > 0
        assert user.gid > 0


def test_prctl_numbers() -> None:
    """The numbers are the kernel's: the death signal that is set can be read back (PR_GET_PDEATHSIG, 2)."""

    def act() -> int:
        die_with_parent(os.getppid())
        value = ctypes.c_int()
        ctypes.CDLL(None).prctl(2, ctypes.byref(value), 0, 0, 0)
        return value.value

    assert in_child(act) == str(int(signal.SIGKILL))
