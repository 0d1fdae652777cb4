"""Certificates of a fleet: who signs whose, what is refused, what is kept."""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coordinator.files import exclusive
from coordinator.fleet import certs
from coordinator.fleet.certs import BOXES, CONTROLLER, CONTROLLERS
from lzr.errors import UsageError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fleet") / "certs"
    certs.make(str(directory), ["fra1", "ams1"], None)
    return directory


def test_only_their_owner_can_read_them(made: Path) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()} == {0o600}
    assert not [path for path in made.iterdir() if path.name.endswith(".part")]


def test_who_has_locked_the_directory_before_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Any user could read it then, and lock it for ever."""
    (tmp_path / "certs").mkdir(mode=0o755)
    stranger = os.open(tmp_path / "certs", os.O_RDONLY)
    fcntl.flock(stranger, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as threads:
        try:
            assert threads.submit(certs.make, str(tmp_path / "certs"), ["fra1"], None).result(30)
        finally:
            os.close(stranger)


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    directory = str(tmp_path / "certs")
    assert "fra1.pem" in certs.make(directory, ["fra1"], None)
    before = (tmp_path / "certs/fra1.pem").read_bytes()
    assert certs.make(directory, ["fra1", "ams1"], None) == ["ams1.pem"]
    assert certs.make(directory, ["fra1", "ams1"], None) == []
    assert (tmp_path / "certs/fra1.pem").read_bytes() == before


@pytest.mark.parametrize("name", [CONTROLLER, CONTROLLERS, BOXES, "../fra1", ".fra1", ""])
def test_names_that_no_box_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a box"):
        certs.make(str(tmp_path / "certs"), [name], None)


def test_without_the_key_no_more_are_made(tmp_path: Path) -> None:
    directory = tmp_path / "certs"
    certs.make(str(directory), ["fra1"], None)
    (directory / f"{BOXES}.key").unlink()
    assert certs.make(str(directory), ["fra1"], None) == []
    with pytest.raises(UsageError, match=r"without box-ca\.key no certificate can be made for ams1"):
        certs.make(str(directory), ["fra1", "ams1"], None)


def test_a_box_needs_its_own_and_the_controllers_authority(made: Path, tmp_path: Path) -> None:
    for name in (f"{CONTROLLERS}.pem", "fra1.pem"):
        (tmp_path / name).write_bytes((made / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    identity = certs.load(str(tmp_path), "fra1")
    assert identity.trusted == (made / f"{CONTROLLERS}.pem").read_text()


def copy(made: Path, to: Path) -> Path:
    to.mkdir(mode=0o700)
    for path in made.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
        (to / path.name).chmod(0o600)
    return to


def test_each_fault_names_its_file(made: Path, tmp_path: Path) -> None:
    def refused(change: str, sentence: str, name: str = "fra1") -> None:
        directory = copy(made, tmp_path / str(len(list(tmp_path.iterdir()))))
        own = directory / f"{name}.pem"
        if change == "gone":
            own.unlink()
        elif change == "open":
            own.chmod(0o644)
        elif change == "other's":
            own.write_bytes((directory / "ams1.pem").read_bytes())
        elif change == "link":
            own.unlink()
            own.symlink_to("ams1.pem")
        elif change == "FIFO":
            own.unlink()
            os.mkfifo(own, 0o600)
        elif change == "junk":
            own.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        else:
            certs.make(str(tmp_path / "foreign"), ["fra1"], None)
            own.write_bytes((tmp_path / f"foreign/{name}.pem").read_bytes())
        with pytest.raises(UsageError, match=sentence):
            certs.load(str(directory), name)

    refused("gone", r"fra1\.pem in .* is not there: lzr fleet certs makes it")
    refused("open", "others can read it: chmod 600")
    refused("other's", r"fra1\.pem in .* is the certificate of ams1, not of fra1")
    refused("link", "cannot read")
    refused("FIFO", "it is no regular file")
    refused("junk", "that is no certificate")
    refused(
        "foreign", r"controller\.pem in .* is not signed by the authority in controller-ca\.pem", CONTROLLER
    )
    with pytest.raises(UsageError, match="is not there: lzr fleet certs makes it"):
        certs.load(str(tmp_path / "nowhere"), "fra1")


def shake(server: certs.TlsIdentity, client: certs.TlsIdentity) -> str:
    """A TLS handshake between two of them: who is refused, or nothing."""

    def context(who: certs.TlsIdentity, purpose: ssl.Purpose) -> ssl.SSLContext:
        made = ssl.create_default_context(purpose, cadata=who.trusted)
        made.load_cert_chain(who.own)
        made.check_hostname, made.verify_mode = False, ssl.CERT_REQUIRED
        return made

    near, far = socket.socketpair()
    trouble: list[str] = []

    def serve() -> None:
        try:
            with context(server, ssl.Purpose.CLIENT_AUTH).wrap_socket(far, server_side=True) as sock:
                sock.recv(1)
        except OSError:
            trouble.append("client")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with context(client, ssl.Purpose.SERVER_AUTH).wrap_socket(near) as sock:
            sock.sendall(b"x")
    except ssl.SSLCertVerificationError:
        trouble.append("server")
    except OSError:
        pass
    near.close()
    thread.join(20)
    return "server" if "server" in trouble else "".join(trouble)


def test_who_trusts_whom(made: Path, tmp_path: Path) -> None:
    certs.make(str(tmp_path / "foreign"), ["fra1"], None)
    controller, fra1, ams1 = (certs.load(str(made), name) for name in (CONTROLLER, "fra1", "ams1"))
    foreign, stranger = (certs.load(str(tmp_path / "foreign"), name) for name in (CONTROLLER, "fra1"))
    assert shake(controller, fra1) == ""
    assert shake(fra1, controller) == ""
    assert shake(controller, controller) == ""
    assert shake(fra1, ams1) == "server"  # ams1 trusts no box; nor does fra1
    assert shake(fra1, foreign) == "server"
    assert shake(controller, stranger) == "server"
    assert shake(foreign, fra1) == "server"
    half = certs.TlsIdentity("fra1", controller.trusted, fra1.own)  # a box that would take any
    assert shake(ams1, half) == "client"
    assert shake(controller, certs.TlsIdentity("fra1", controller.trusted, stranger.own)) == "client"


def test_many_make_them_at_once(tmp_path: Path) -> None:
    """Whoever is first makes the authorities, and all certificates are of these."""
    directory = str(tmp_path / "certs")
    together = threading.Barrier(6, timeout=30)

    def make(number: int) -> list[str]:
        together.wait()
        return certs.make(directory, ["fra1", f"box{number}"], None)

    with ThreadPoolExecutor(6) as threads:
        made = [name for names in threads.map(make, range(6)) for name in names]
    assert sorted([*made, exclusive.NAME]) == sorted(os.listdir(directory))
    for name in (CONTROLLER, "fra1", *(f"box{number}" for number in range(6))):
        assert certs.load(directory, name).name == name
