"""What the fork server loads before it gives up root: all that our functions import, and what errors take.

In interpreters of their own, since this one has loaded much besides.
"""

from __future__ import annotations

import ast
import codecs
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.host_net import ROOT
from tests.sources import nodes, tree
from workers import preload

PACKAGES = ("lzr", "workers")
FORKSERVER = (
    "import sys; from workers import forkserver, preload; preload.load(); "
    "from lzr.options.table import Options; preload.load_asked(Options(enrich=True)); "
)
# Whatever is opened or searched for from here on ends the interpreter: it does not only fail, it is seen.
SHUT = (
    "preload.close(); import os\n"
    "def refuse(event, arguments):\n"
    "    if event in ('open', 'os.listdir', 'os.scandir'):\n"
    "        os.write(2, f'late: {event} {arguments}\\n'.encode()); os._exit(3)\n"
    "sys.addaudithook(refuse)\n"
)


def interpreter(code: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-P", "-W", "error", "-c", FORKSERVER + code]
    return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)


def said(code: str) -> str:
    done = interpreter(code)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every module that the code may import, and the line; some of the names may be functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for other in node.orelse:
                yield from imports(other)
            continue
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "written in full"
            yield node.module or "", node.lineno
            yield from ((f"{node.module}.{name.name}", node.lineno) for name in node.names)
        yield from imports(node)


def is_module(name: str) -> bool:
    """One of ours; whether other names are of modules, the loaded ones say."""
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    return set(said("print(*sys.modules)").split())


def late(path: Path, loaded: set[str]) -> list[str]:
    """What a file imports that is not loaded."""
    found = []
    for name, line in imports(tree(path)):
        ours = name.split(".")[0] in PACKAGES
        missing = name not in loaded and (is_module(name) if ours else "." not in name)
        parent = name.rpartition(".")[0]
        if missing or (not ours and parent and parent not in loaded and name not in loaded):
            found.append(f"{path}:{line} imports {name}")
    return found


def sources(loaded: set[str]) -> list[Path]:
    """Of our modules that are loaded in the children."""
    names = sorted(name for name in loaded if name.split(".")[0] in PACKAGES)
    paths = [ROOT.joinpath(*name.split(".")) for name in names]
    every = [
        path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
        for path in paths
    ]
    return [path for path in every if path.exists()]


def test_every_import_in_our_code_is_loaded(loaded: set[str]) -> None:
    files = sources(loaded)
    assert len(files) > 60
    missing = [text for path in files for text in late(path, loaded)]
    assert not missing, "add to workers/preload.py:\n" + "\n".join(missing)


def test_one_that_is_not_loaded_is_found(tmp_path: Path, loaded: set[str]) -> None:
    file = tmp_path / "new.py"
    file.write_text(
        "from typing import TYPE_CHECKING, Any\n"
        "if TYPE_CHECKING:\n    import wave\n"
        "import os.path\n"
        "def f():\n    import sched\n    from lzr.options import manpage\n    from lzr import rows\n"
        "    from email.message import Message\n"
    )
    assert [text.partition(":")[2] for text in late(file, loaded)] == [
        "6 imports sched",
        "7 imports lzr.options.manpage",
        "9 imports email.message",
        "9 imports email.message.Message",
    ]


def test_every_codec_that_is_named_is_loaded(loaded: set[str]) -> None:
    known = {codecs.lookup(name).name for name in preload.CODECS}
    named = set()
    for path in sources(loaded):
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                values = node.args if node.func.attr in ("encode", "decode", "lookup", "read_text") else []
                values = [*values, *(word.value for word in node.keywords if word.arg == "encoding")]
                named |= {
                    v.value for v in values[:1] if isinstance(v, ast.Constant) and isinstance(v.value, str)
                }
    assert {"latin-1", "ascii"} <= named
    assert {codecs.lookup(name).name for name in named} <= known


FREE_OF_MA = {"unique": ("return_index", "return_inverse", "return_counts"), "isin": ("kind",)}
"""Functions of numpy that do not load numpy.ma where one of these arguments is given."""
WITH_MA = {"intersect1d", "union1d", "setdiff1d", "setxor1d", "median", "nanmedian"}


def asking_for_ma(nodes: Iterable[ast.AST]) -> list[int]:
    """Lines with calls of numpy's functions that load numpy.ma."""
    found = []
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("np."):
            name, given = ast.unparse(node.func)[3:], {word.arg for word in node.keywords}
            if name in WITH_MA or (name in FREE_OF_MA and not given.intersection(FREE_OF_MA[name])):
                found.append(node.lineno)
    return found


def test_nothing_asks_for_masked_arrays(loaded: set[str]) -> None:
    """7 ms and 2 MB in each process, and in the children too late."""
    assert "numpy.ma" not in loaded
    calls = "np.unique(a)\nnp.unique(a, return_index=True)\nnp.isin(a, b)"
    assert asking_for_ma(ast.walk(ast.parse(calls))) == [1, 3]
    found = {str(path): asking_for_ma(nodes(path)) for path in sources(loaded)}
    assert not {path: lines for path, lines in found.items() if lines}, "lzr.rows has distinct and among"


def test_what_is_listed_is_loaded(loaded: set[str]) -> None:
    """With the versions that the tests have, that of the libraries too."""
    assert set(preload.LATE) | set(preload.OF_LIBRARIES) | {preload.ENRICHING} <= loaded


def test_the_fingerprints_of_enrich_are_loaded_where_they_are_asked_for() -> None:
    code = "from workers import forkserver, preload; preload.load(); from lzr.options.table import Options; "
    code += "import sys; preload.load_asked(Options()); print(preload.ENRICHING in sys.modules)"
    words = [sys.executable, "-P", "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    assert done.stdout == "False\n", done.stderr


def test_an_import_that_was_forgotten_is_an_error_with_its_name() -> None:
    """One that a library expects; what is loaded or built in can still be had."""
    code = """
try:
    import sched
except ImportError as error:
    print(error)
try:
    import lzr.options.manpage
except ImportError as error:
    print(error.name)
try:
    "x".encode("no-such-codec")
except LookupError:
    print("no codec")
import _imp, sys, numpy._core._internal
from lzr import identify, rows
"""
    assert said(SHUT + code) == (
        "sched was not loaded before the file system was closed\nlzr.options.manpage\nno codec\n"
    )


def test_a_traceback_quotes_the_sources() -> None:
    code = (
        "from lzr import addresses\n"
        "try:\n    addresses.parse('nonsense')\n"
        "except Exception:\n    sys.stderr.write(preload.format_exception())\n"
    )
    done = interpreter(SHUT + code)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    at = next(n for n, line in enumerate(lines) if f'File "{ROOT}/lzr/addresses.py"' in line)
    assert lines[at + 1].strip() in (ROOT / "lzr" / "addresses.py").read_text()
    assert lines[-1].startswith(("ValueError", "ipaddress.AddressValueError"))


def test_libraries_do_what_is_asked_of_them_with_the_files_closed() -> None:
    """Beside what whole scans show: their errors, which no scan should meet."""
    code = """
import numpy as np, os, zmq, msgpack, time, threading, warnings, codecs, locale

rows = np.zeros(5, [("a", "<u4"), ("b", "u1", 3)])
np.unique(np.arange(9) % 3, return_index=True, return_inverse=True, return_counts=True)
np.unique(rows, return_index=True); np.isin(rows["b"], (1, 2), kind="table")
repr(rows); str(rows); rows.sum; np.sort(rows["a"]); np.argsort(rows["a"]); rows["a"].mean()
for act in (
    lambda: rows["none"],
    lambda: rows + 1,
    lambda: np.zeros(3)[[9]],
    lambda: np.zeros(3) + np.zeros(4),
    lambda: np.frombuffer(b"abc", "<u4"),
    lambda: np.empty(1 << 60),
    lambda: np.array([1.5]).astype("<u4", casting="safe"),
    lambda: np.concatenate([np.zeros((2, 2)), np.zeros(3)]),
):
    try:
        act()
    except Exception as error:
        str(error)
    else:
        raise AssertionError(act)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    np.array([2**32 - 1], "<u4") * np.array([2.0]) / 0
    warnings.warn("told")
assert len(caught) == 2

context = zmq.Context()
receiver, sender = context.socket(zmq.PULL), context.socket(zmq.PUSH)
receiver.bind("inproc://here")
sender.connect("inproc://here")
sender.send_multipart([b"x" * 200_000, memoryview(bytes(200_000))], copy=False)
assert len(receiver.recv_multipart()) == 2
try:
    sender.setsockopt(zmq.USE_FD, "no")
except TypeError as error:
    str(error)
try:
    receiver.recv(zmq.NOBLOCK)
except zmq.Again as error:
    str(error)
try:
    msgpack.unpackb(b"\\xc1")
except ValueError as error:
    str(error)
context.destroy(linger=0)

from lzr.profiles import Profiling

reader, writer = os.pipe()
profiling = Profiling("child", [writer, writer], cpu=True, memory=True, clock=time, write=os.write)
profiling.start()
kept = [bytes(1000) for _ in range(1000)]
profiling.finish()
assert os.read(reader, 100_000).startswith(b"child;")

thread = threading.Thread(target=lambda: None)
thread.start()
thread.join()
time.strftime("%c"); time.localtime(); locale.getpreferredencoding(False)
print("all of it")
"""
    assert said(SHUT + code) == "all of it\n"
