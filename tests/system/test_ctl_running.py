"""`coordinator.commands.ctl` on a real system: as root, in namespaces, in whole scans."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator.commands.ctl import ask
from coordinator.endpoints import control
from coordinator.endpoints.control import ControlServer
from coordinator.endpoints.ctlcommands import Command
from coordinator.endpoints.named import ControlError
from tests.unit.coordinator.commands.test_ctl import Planted

pytestmark = pytest.mark.attack


@pytest.mark.root
def test_another_user_is_refused(tmp_path: Path) -> None:
    path = Path(f"/tmp/lzr-test-{os.getpid()}.sock")
    server = ControlServer(path)
    try:
        os.chmod(path, 0o666)  # even then
        script = (
            "import os, socket; os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
            f"s.settimeout(60); s.connect({str(path)!r}); s.sendall(b'pause\\n');"
            "import sys; sys.exit(0 if s.recv(10) == b'' else 3)"
        )
        # Connected before it is refused: the server looks when it is told that somebody is there.
        child = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
        import select

        commands: list[Command] = []
        while child.poll() is None:
            select.select([server], [], [], 0.05)
            commands += server.handle(0)
        assert child.returncode in (0, 1)  # closed, or reset while it was sending
        assert commands == []
    finally:
        server.close()


@pytest.mark.attack
@pytest.mark.root
def test_a_socket_of_another_user_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Planted(tmp_path / "s", b"ok\n", 65534), pytest.raises(ControlError, match="another user's"):
        ask(tmp_path / "s", "quit")
    theirs = tmp_path / "lzr"
    theirs.mkdir(0o700)
    os.chown(tmp_path, 65534, 65534)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # as sudo may hand it on
    assert theirs not in control.directories()
