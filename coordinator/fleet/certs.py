"""Certificates of a fleet: one for the controller, one for each box, and the two authorities that sign them.

A box trusts the controllers' authority alone: what another box says, with a good certificate, ends in the TLS
handshake, before a byte of it is read. The controller trusts both. A certificate is in one file with its key,
mode 0600, in a directory that only its owner may enter. A box needs `controller-ca.pem` and its own file, and
never a `.key`. What is there already is kept, so that a box that joins later gets its certificate by the same
command.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from coordinator.commandline import running
from coordinator.files.exclusive import exclusive
from coordinator.files.owned import enter
from coordinator.files.reach import give
from coordinator.files.renaming import rename_new
from coordinator.fleet import lockfile
from coordinator.processes.users import invoking_user
from lzr import safetext
from lzr.errors import UsageError, printable, two_dashes
from lzr.exitstatus import OK

NAME = "fleet certs"
CONTROLLER = "controller"
"""The name in the controller's certificate; no box may have it."""
CONTROLLERS, BOXES = "controller-ca", "box-ca"
"""The authorities: NAME.pem is the certificate, NAME.key signs."""
YEARS = datetime.timedelta(days=365)
AUTHORITY_LASTS, LASTS = 10 * YEARS, 2 * YEARS
SLACK = datetime.timedelta(minutes=10)
"""By how much a box's clock may be behind."""
MOST_BYTES = 1 << 16


class OutOfDateError(UsageError):
    """A certificate is not valid at this time, by the clock of this host."""


@dataclass(frozen=True)
class TlsIdentity:
    """How a process identifies itself to others. trusted: PEM of the authorities whose certificates it
    accepts. own: path of a PEM file with its certificate and key.
    """

    name: str
    trusted: str
    own: str


def make(directory: str, boxes: Iterable[str], invoker: tuple[int, int] | None) -> list[str]:
    """Make the certificates that are missing; returns the names of the files that were made.

    invoker: user and group of who called sudo, who is to own them. Raises UsageError.
    """
    names = list(boxes)
    for name in names:
        if name in (CONTROLLER, CONTROLLERS, BOXES) or not name or "/" in name or name.startswith("."):
            raise UsageError(f"{printable(name)} cannot be the name of a box: a certificate has it")
    place = enter(directory, invoker, create=True, purpose="for certificates")
    try:
        if os.fstat(place).st_mode & 0o077:
            os.fchmod(place, 0o700)
        with contextlib.ExitStack() as alone:  # one makes an authority, and all others sign by it
            with contextlib.suppress(OSError):  # some file systems have no locks
                alone.enter_context(exclusive(place))
            return _missing(place, directory, names, invoker)
    except OSError as error:
        raise UsageError(f"cannot write into {printable(directory)}: {error.strerror}") from error
    finally:
        os.close(place)


def _missing(place: int, directory: str, boxes: list[str], invoker: tuple[int, int] | None) -> list[str]:
    """Make what is missing in the directory of which `place` is a descriptor; as `make`. Raises OSError."""
    present = set(os.listdir(place))
    made: list[str] = []
    for authority, members in ((CONTROLLERS, [CONTROLLER]), (BOXES, boxes)):
        missing = [name for name in members if f"{name}.pem" not in present]
        made += _signed(place, directory, authority, missing, present, invoker)
    return made


def _signed(
    place: int,
    directory: str,
    authority: str,
    missing: list[str],
    present: set[str],
    invoker: tuple[int, int] | None,
) -> list[str]:
    """Certificates for `missing`, by that authority, which is made where there is none of it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    public, private = f"{authority}.pem", f"{authority}.key"
    shown, made = printable(directory), []
    if not {public, private} & present:
        key, certificate = _authority(authority)
        _write(place, private, _private(key), invoker)
        _write(place, public, certificate.public_bytes(serialization.Encoding.PEM), invoker)
        made += [private, public]
    elif missing and not {public, private} <= present:
        gone = private if public in present else public
        raise UsageError(
            f"{shown}: without {gone} no certificate can be made for {', '.join(map(printable, missing))}"
        )
    if not missing:
        return made
    try:
        signer = x509.load_pem_x509_certificate(_read(place, public))
        key = serialization.load_pem_private_key(_read(place, private, secret=True), password=None)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{shown}: {public} is no certificate, or {private} no key") from error
    if signer.public_key() != key.public_key():
        raise UsageError(f"{shown}: {private} is not the key of {public}")
    for name in missing:
        _write(place, f"{name}.pem", _issued(name, signer, key), invoker)
        made.append(f"{name}.pem")
    return made


def load(directory: str, name: str) -> TlsIdentity:
    """The identity of `name`. Its files are checked: complete, ours alone, of their authority, valid today.

    Raises UsageError with a sentence that names the file.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    signer = CONTROLLERS if name == CONTROLLER else BOXES
    trusted = [CONTROLLERS, BOXES] if name == CONTROLLER else [CONTROLLERS]
    place = enter(
        directory, None, create=False, purpose="for certificates",
        missing=f"{printable(directory)} is not there: lzr fleet certs makes it",
    )  # fmt: skip
    pems: dict[str, bytes] = {}
    try:
        for file in [*trusted, name]:
            pems[file] = _pem(place, directory, file, secret=file == name)
    finally:
        os.close(place)
    found = {}
    now = datetime.datetime.now(datetime.UTC)
    for file, pem in pems.items():
        shown = f"{file}.pem in {printable(directory)}"
        try:
            found[file] = one = x509.load_pem_x509_certificate(pem)
        except ValueError:
            raise UsageError(f"{shown}: that is no certificate") from None
        _in_date(one, shown, now)
    shown = f"{name}.pem in {printable(directory)}"
    if signer in found:
        try:
            found[name].verify_directly_issued_by(found[signer])
        except (ValueError, TypeError, InvalidSignature):
            raise UsageError(f"{shown} is not signed by the authority in {signer}.pem beside it") from None
    if common_name(found[name]) != name:
        whose = printable(common_name(found[name]))
        raise UsageError(f"{shown} is the certificate of {whose}, not of {printable(name)}")
    believed = "".join(pems[file].decode("ascii", "replace") for file in trusted)
    return TlsIdentity(name, believed, os.path.join(os.path.abspath(directory), f"{name}.pem"))


def _in_date(certificate: Any, shown: str, now: datetime.datetime) -> None:
    """Raises OutOfDateError."""
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not first <= now <= last:
        then = "; once it is removed, lzr fleet certs makes another" if now > last else ""
        raise OutOfDateError(
            f"{shown} is valid from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} (UTC), and the clock of "
            f"this host says {now:%Y-%m-%d %H:%M}{then}"
        )


def out_of_date(identity: TlsIdentity) -> str:
    """Why what an identity was loaded from is not valid now; nothing where it is, or is not there."""
    directory, file = os.path.split(identity.own)
    try:
        load(directory, file.removesuffix(".pem"))
    except OutOfDateError as error:
        return str(error)
    except UsageError:
        pass
    return ""


def refusal(text: str) -> str:
    """What it means that a TLS handshake has failed, in words. text: what OpenSSL says of it."""
    known = {
        "certificate has expired": "its certificate has expired",
        "certificate is not yet valid": "its certificate is not valid yet",
        "alert certificate expired": "for it our certificate has expired, by its clock",
        "unknown ca": "it does not know the authority of our certificate",
        "certificate verify failed": "its certificate is of another authority",
    }
    return next((words for part, words in known.items() if part in text), "it speaks no TLS of a fleet")


def pem(directory: str, name: str) -> bytes:
    """The file of a certificate, with its key where it has one. Raises UsageError."""
    place = enter(
        directory, None, create=False, purpose="for certificates",
        missing=f"{printable(directory)} is not there: lzr fleet certs makes it",
    )  # fmt: skip
    try:
        return _pem(place, directory, name, secret=name not in (CONTROLLERS, BOXES))
    finally:
        os.close(place)


def _pem(place: int, directory: str, name: str, *, secret: bool) -> bytes:
    path = f"{name}.pem in {printable(directory)}"
    try:
        return _read(place, f"{name}.pem", secret=secret)
    except FileNotFoundError:
        raise UsageError(f"{path} is not there: lzr fleet certs makes it") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def common_name(certificate: Any) -> str:
    """The name in a certificate; empty where it does not have exactly one."""
    from cryptography import x509

    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def _authority(what: str) -> tuple[Any, Any]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"lzr fleet {what} {secrets.token_hex(4)}")
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _begun(name, name, key.public_key(), AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(own, critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _issued(name: str, authority: Any, signing: Any) -> bytes:
    """A certificate for `name` and its key, as one PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    certificate = (
        _begun(_name(name), authority.subject, key.public_key(), LASTS)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(signer, critical=False)
        .sign(signing, hashes.SHA256())
    )
    pem: bytes = certificate.public_bytes(serialization.Encoding.PEM)
    return pem + _private(key)


def _begun(subject: Any, issuer: Any, public: Any, lasts: datetime.timedelta) -> Any:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now + lasts)
    )


def _name(text: str) -> Any:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _usage(signs: bool) -> Any:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


def _private(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem


def _write(place: int, name: str, data: bytes, invoker: tuple[int, int] | None) -> None:
    """Write a new file of that name, whole or not at all. Raises OSError."""
    part = f".{name}.{secrets.token_hex(6)}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=place)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(descriptor)
            give(descriptor, invoker)
        rename_new(part, name, place)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part, dir_fd=place)


def _read(place: int, name: str, *, secret: bool = False) -> bytes:
    """secret: the file must be its owner's alone. Raises OSError and UsageError."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=place)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if secret and status.st_mode & 0o077:
            raise UsageError(f"{printable(name)} holds a key, and others can read it: chmod 600")
        return file.read(MOST_BYTES)


def beside(plan: str) -> str:
    """The default directory of a plan's certificates."""
    return os.path.join(os.path.dirname(os.path.abspath(plan)), "certs")


def main(argv: list[str]) -> int:
    """The exit status: 0 they are there, 2 a mistake."""
    return running.ended(NAME, lambda: _run(argv))


def _run(argv: list[str]) -> int:
    asked = _parser().parse_args(two_dashes(argv, ("certs", "help")))
    where = asked.certs or beside(asked.plan)
    user = invoking_user()
    boxes = [box.name for box in lockfile.plan(asked.plan).boxes]
    made = make(where, boxes, None if user is None else (user.uid, user.gid))
    for name in (CONTROLLER, *boxes):
        load(where, name)
    print(safetext.line(f"{where}: {'made ' + ', '.join(made) if made else 'all of them are there'}"))
    return OK


def _parser() -> running.Parser:
    parser = running.Parser(
        prog="lzr fleet certs",
        description="Make the certificates of a plan that are not there yet: the controller's, one for each "
        f"box, and the two authorities that sign them. A box needs {CONTROLLERS}.pem and NAME.pem.",
        allow_abbrev=False,
    )
    parser.add_argument("plan", metavar="PLAN", help="plan.toml or its lock")
    parser.add_argument("--certs", metavar="DIR", help="where to (default: certs beside the plan)")
    return parser
