"""What Recog's fingerprints add to an identity: CPE, device, hardware, operating system, and product and
version where our own readers have none (--enrich; always in `lzr identify`).

What our own readers name stays, so that a record says the same with and without; but not what is no name
("httpd", "Router"), where a page or a realm has one, nor the name of a
platform, which stands first in the Server field of UPnP ("Linux/2.6 UPnP/1.0 miniupnpd/1.0"), nor a maker's,
nor a library's of SSH, and not MySQL, whose descendants are told apart better here. A version that Recog
finds inside of our name is taken out of it. Where nobody names a product, the phrase does in which it stands
(`greetings.phrases`, `errorpages`). AS and country are another thing (``coordinator/analysis/enriching.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzr.fingerprint import applications, errorpages, greetline, ntlm, webreply
from lzr.fingerprint.classifier import Classifier
from lzr.fingerprint.greetings import phrases
from lzr.fingerprint.recog import texts
from lzr.fingerprint.recog.data import TABLES
from lzr.fingerprint.recog.facts import told
from lzr.fingerprint.recog.table import Says, Table
from lzr.protocols._protocol import Details, Identity, Protocol

_REMEMBERED = 4096
"""Texts whose facts are kept: headers and greetings repeat where whole replies do not. A judgement: a few
hundred bytes each, so about a megabyte."""

_MODULES = 8
"""Words behind "Apache/x.y" in a Server field that are looked up, at most."""

_PLATFORMS = frozenset(
    (
        "linux",
        "debian",
        "ubuntu",
        "fedora",
        "windows",
        "freebsd",
        "upnp",
        "unknown",
        "ipos",
        "python",
        "servlet",
    )
)
"""What a Server field may begin with that is a platform and not a server."""

_LIBRARIES = frozenset(("sshlib", "flowssh", "ssh", "server", "unknown"))
"""What an SSH server's line may say that many products say."""

_NO_KIND = frozenset(("", "General"))
"""Kinds of device that say nothing."""


_ASKS = frozenset(("rtsp", "sip"))
"""Labels beside HTTP's whose servers ask for a password by the name of a device."""

_AT_ONCE = frozenset(("http", "tls", *greetline.LABELS))
"""Labels of replies that are identified a batch at a time."""


class EnrichingClassifier(Classifier):
    """A classifier whose identities have `details`."""

    def __init__(self, preferred: Sequence[str] = ()) -> None:
        super().__init__(preferred)
        self._facts = _Facts()

    def identify(self, data: bytes, sent: Protocol | None = None) -> Identity:
        return self._with_facts(super().identify(data, sent), data)

    def identify_plain(
        self, rows: NDArray[Any], blob: bytes, sent: Sequence[Protocol], identities: list[Identity]
    ) -> tuple[webreply.Left, webreply.Counts]:
        """The same, with details."""
        left, counts = super().identify_plain(rows, blob, sent, identities)
        beginnings = np.cumsum(rows["data_len"], dtype=np.int64) - rows["data_len"]
        lengths = rows["data_len"].tolist()
        for row, at in enumerate(beginnings.tolist()):
            name = identities[row]
            if name.label in _AT_ONCE:
                identities[row] = self._with_facts(name, blob[at : at + lengths[row]])
        return left, counts

    def _with_facts(self, found: Identity, data: bytes) -> Identity:
        asked = texts.of(found.label, data)
        plain = found.product
        if asked:
            found = self._enriched(found, asked)
        web = found.label in applications.HTTP
        value = asked[0][1] if asked and asked[0][0] == "server" else b""
        upnp = b"UPnP/" in value
        vague = web and not upnp and found.product == plain and errorpages.is_vague(plain)
        if not found.product or vague:
            product, version = errorpages.stated(data) if web else phrases.stated(found.label, data)
            if not product and found.label in _ASKS:
                product, version = errorpages.device(data)
            found = found._replace(product=product, version=version) if product else found
        elif web and found.product == plain and value:
            product, version = errorpages.of_upnp(value) if upnp else errorpages.behind_platform(plain, value)
            found = found._replace(product=product, version=version) if product else found
        if found.label in ntlm.CARRIERS and not found.details.os:
            system = ntlm.system(data)
            found = found._replace(details=found.details._replace(os=system)) if system else found
        return found

    def _enriched(self, found: Identity, asked: texts.Texts) -> Identity:
        subject = next((text for table, text in asked if table == "subject"), b"").decode("utf-8", "replace")
        said = [says for says in self._facts.all(asked) if says]
        if not said:
            return found._replace(details=Details(subject=subject)) if subject else found
        product, version = found.product, found.version
        if _is_vague(found, asked, said):
            named = next((pair for says in said if (pair := _product(says))[0]), (product, version))
            if not named[0].endswith(product):
                product, version = named
        for says in said:
            theirs, its = _product(says)
            if theirs and not product:
                product, version = theirs, its
            elif its and not version and _is_same(product, theirs, says.get("service.product", "")):
                product, version = _without(product, its), its
        details = Details(
            next((kind for says in said if (kind := _kind(says))), ""),
            next((name for says in said if (name := _named(says, "hw"))), ""),
            next((name for says in said if (name := _named(says, "os"))), ""),
            " ".join(_cpes(said)),
            subject,
        )
        return Identity(found.label, found.application, product, version, details)


class _Facts:
    """The tables of fingerprints, each read when it is first needed, and their answers to recent texts."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._known: dict[tuple[str, bytes], list[Says]] = {}

    def all(self, asked: texts.Texts) -> list[Says]:
        """What each text says, and what Apache's words about itself say."""
        said = []
        known = self._known
        for table, text in asked:
            key = table, text
            says = known.get(key)
            if says is None:
                if len(known) >= _REMEMBERED:
                    known.clear()
                says = known[key] = self._said(table, text)
            said += says
        return said

    def _said(self, table: str, text: bytes) -> list[Says]:
        says = told(self._table(table), text)
        info = says.get("apache.info", "").encode("latin-1", "replace")
        if not info:
            return [says]
        words = info.split()[:_MODULES]
        said = [says, told(self._table("apache-os"), info)]
        # A module is no product beside the server: only its CPE counts.
        for word in words:
            cpe = told(self._table("apache-module"), word).get("service.cpe23", "")
            if cpe:
                said.append({"service.cpe23": cpe})
        return said

    def _table(self, name: str) -> Table:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = Table(TABLES[name])
        return table


def _is_vague(found: Identity, asked: texts.Texts, said: list[Says]) -> bool:
    """Whether what our own reader calls a product is a platform, a maker, or the ancestor of several."""
    first = found.product.lower().replace("_", " ").replace(",", " ").partition(" ")[0]
    if first in _PLATFORMS or found.label == "mysql":
        return True
    if found.label == "ssh":
        return first in _LIBRARIES
    table, text = asked[0]
    if table == "server":
        return b"UPnP/" in text or errorpages.is_vague(found.product)
    makers = {says.get(f"{whose}.vendor", "").lower() for says in said for whose in ("service", "hw", "os")}
    return table.startswith("sip") and first in makers


def _product(says: Says) -> tuple[str, str]:
    """The service, else the hardware, else the operating system, with its maker, and its version."""
    for whose in ("service", "hw", "os"):
        name = _with_maker(says, whose)
        if name:
            version = says.get(f"{whose}.version", "")
            if whose == "hw" and not version and "os.product" not in says:
                version = says.get("os.version", "")  # its firmware's
            return name, version
    return "", ""


def _is_same(ours: str, *theirs: str) -> bool:
    """Whether our product is one of theirs by its words: with or without its maker, or more behind it."""
    words = _words(ours)
    return any(name and (words <= _words(name) or _words(name) <= words) for name in theirs)


def _words(name: str) -> set[str]:
    return set(_WORD.findall(name.lower()))


_WORD = re.compile(r"[a-z]+\d*|\d+")


def _without(product: str, version: str) -> str:
    """A product as it is called in front of its version, where that is part of what we took for its name."""
    name = product.partition(version)[0].rstrip(" -_/([,").removesuffix(" v").removesuffix(" V")
    return name or product


def _with_maker(says: Says, whose: str) -> str:
    vendor, product = says.get(f"{whose}.vendor", ""), says.get(f"{whose}.product", "")
    return product if product.lower().startswith(vendor.lower()) else f"{vendor} {product}" if product else ""


def _kind(says: Says) -> str:
    for whose in ("hw", "os", "service"):
        kind = says.get(f"{whose}.device", "")
        if kind not in _NO_KIND:
            return kind
    return ""


def _named(says: Says, whose: str) -> str:
    """Maker, name and of a system the version in a row, without saying anything twice."""
    name = _with_maker(says, whose)
    version = says.get(f"{whose}.version", "") if whose == "os" else ""
    return f"{name} {version}" if name and version and version not in name else name


def _cpes(said: Iterable[Says]) -> list[str]:
    """Each once, services first; one without a version is left out where the same has one."""
    found = [
        says[f"{whose}.cpe23"]
        for whose in ("service", "hw", "os")
        for says in said
        if f"{whose}.cpe23" in says
    ]
    exact = {cpe.rpartition(":")[0] for cpe in found if not cpe.endswith(":-")}
    return list(dict.fromkeys(cpe for cpe in found if not cpe.endswith(":-") or cpe[:-2] not in exact))
