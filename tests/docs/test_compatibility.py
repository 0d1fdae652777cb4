"""The page on compatibility: complete, current, and every test it names exists."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from tests import ROOT

REFERENCE_FIELDS = (
    "saddr daddr sport dport seqnum acknum window ttl Counter ACK ACKed SYN RST FIN PUSH HandshakeNum "
    "fingerprint Timestamp expectedRToLZR data ackingFirewall"
)


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compatibility", ROOT / "docs/compatibility.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs/compatibility.md").read_text()


def test_it_is_current(writer: ModuleType, page: str) -> None:
    assert writer.made(page) == page, "run: python docs/compatibility.py"


def test_every_reference_field_is_there(page: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:string|int|bool) \|", page, re.MULTILINE)
    assert rows[:21] == REFERENCE_FIELDS.split()


def test_every_test_it_names_exists(page: str) -> None:
    named = set(re.findall(r"`([\w/]*test_\w+\.py)(?:::(\w+))?`", page))
    assert len(named) > 20
    for file, function in named:
        text = (ROOT / "tests" / file).read_text()
        assert not function or f"def {function}(" in text, f"{file}::{function}"
