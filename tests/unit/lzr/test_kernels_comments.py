"""Comments in the C sources that name a module, a function or a file name one that there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module

from tests import ROOT

NATIVE = ROOT / "lzr" / "native"
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
DOTTED = re.compile(r"\b[A-Za-z_][\w/]*(?:\.[A-Za-z_]\w*)+")

FILES = {
    str(path.relative_to(ROOT))
    for top in ("lzr", "coordinator", "workers")
    for path in (ROOT / top).rglob("*")
    if path.suffix in {".py", ".c", ".h"}
}
MODULES = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in FILES}

OTHERS = {
    *("linux/if_packet.h", "tpacket2_hdr.tp_len", "virtio_net_hdr.hdr_len"),  # the kernel's
    *("class.subject.detail", "SS.nnnnnnnnnZ"),  # forms of text
}
"""What is no name of ours."""


def comments() -> Iterator[tuple[str, str]]:
    """The place of each comment, and its text."""
    for path in sorted(NATIVE.glob("*.[ch]")):
        text = path.read_text()
        for comment in COMMENT.finditer(text):
            yield f"{path.name}:{text.count(chr(10), 0, comment.start()) + 1}", comment[0]


def named() -> Iterator[tuple[str, str]]:
    """The place of each comment that names something with a dot, and that name."""
    for place, text in comments():
        for word in DOTTED.findall(text):
            yield place, word


def stands(word: str) -> bool:
    """Whether there is such a file, module or name in a module: by its whole name or by the end of it."""
    if word.endswith((".py", ".c", ".h")):
        return any(name == word or name.endswith(f"/{word}") for name in FILES)
    parts = word.split(".")
    for count in range(len(parts), 0, -1):
        module = ".".join(parts[:count])
        for found in MODULES:
            if (found == module or found.endswith(f".{module}")) and holds(found, parts[count:]):
                return True
    return False


def holds(module: str, attributes: list[str]) -> bool:
    if not module.startswith("lzr"):
        return not attributes
    value: object = import_module(module) if attributes else None
    for name in attributes:
        if not hasattr(value, name) and name not in getattr(value, "__annotations__", ()):
            return False
        value = getattr(value, name, None)
    return True


def test_what_comments_in_c_name_is_there() -> None:
    assert [(place, word) for place, word in named() if word not in OTHERS and not stands(word)] == []


def test_functions_are_in_the_modules_named_beside_them() -> None:
    """As in "`tally` in lzr/records/summary.py"."""
    for place, text in comments():
        modules = [path[:-3].replace("/", ".") for path in re.findall(r"\blzr/[\w/]+\.py\b", text)]
        for name in re.findall(r"`([a-z_]+)`", text) if modules else ():
            assert any(holds(module, [name]) for module in modules), (place, name)


def test_there_are_such_comments() -> None:
    assert len(list(named())) > 50
    assert not stands("machine.nothing_of_this_name")
