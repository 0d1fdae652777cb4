"""Loads everything that a worker may ever import or open by name, before root is given up.

After `close`, nothing is loaded any more. The installation may lie where only root can read it (/root is 0700
on Debian; pipx and uv install there), and Landlock closes the file system to the children wherever they are.
Python and its libraries load much only when they first need it. So everything is loaded once, before the
first child is forked, and all children share it; a module that was forgotten is an ImportError with its name,
the same on every machine.

`tests/unit/workers/test_preload.py` finds every import in a function of ours, and every codec that is named;
what libraries load late is found by scans with the file system closed
(`tests/system/test_installed_private.py`).
"""

from __future__ import annotations

import codecs
import contextlib
import importlib
import linecache
import locale
import sys
import time
import traceback
from collections.abc import Sequence
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec
from types import ModuleType

from lzr.options.table import Options

LATE = (
    # imported in functions of ours, for who scans nothing starts sooner without them
    "difflib",
    "ipaddress",
    "operator",
    "lzr.records.filter",
    "lzr.records.fields",
    "lzr.targets.blocklist",
    "lzr.protocols",
    "lzr.errors",
    # the standard library: a traceback, a warning, an error of a thread
    "ast",
    "tokenize",
    "unicodedata",
    "warnings",
    "tracemalloc",
    "threading",
)
"""Modules that are imported only when something is first used."""

ENRICHING = "lzr.fingerprint.enrichment"
"""Imported late too, where --enrich is given: a megabyte of fingerprints."""

OF_LIBRARIES = (
    # pyzmq: a message that is not copied
    "zmq.utils.garbage",
    # numpy: what its kernels in C import when they first describe, print or fail
    *(
        f"numpy._core.{name}"
        for name in ("_dtype", "_dtype_ctypes", "_exceptions", "_internal", "_methods", "arrayprint")
    ),
)
"""Modules that libraries import late; one that the installed version does not have is left out."""

CODECS = (
    "ascii",
    "charmap",
    "cp1251",
    "cp437",
    "cp500",
    "gb18030",
    "idna",
    "latin-1",
    "punycode",
    "raw_unicode_escape",
    "unicode_escape",
    "utf-16",
    "utf-16-be",
    "utf-16-le",
    "utf-32",
    "utf-8",
    "utf-8-sig",
)
"""Encodings are modules too, loaded when one is first used by name."""

_QUOTED = ("lzr", "workers", "__main__")
_DATA = frozenset(("lzr.fingerprint.recog.data",))
"""Large modules of ours in which nothing runs."""

_sources: dict[str, bytes] = {}


def load_asked(options: Options) -> None:
    """Import what only these options need."""
    if options.enrich:
        importlib.import_module(ENRICHING)
        _read_sources()


def load() -> None:
    """Import what may be imported late, read the sources that a traceback quotes, and load the time zone."""
    for name in LATE:
        importlib.import_module(name)
    for name in OF_LIBRARIES:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    streams = (sys.stdin, sys.stdout, sys.stderr)
    spoken = {sys.getfilesystemencoding(), locale.getpreferredencoding(do_setlocale=False)}
    for name in (*CODECS, *sorted(spoken | {stream.encoding for stream in streams if stream is not None})):
        codecs.lookup(name)
    time.tzset()
    time.localtime()
    try:
        raise PreloadError
    except PreloadError:
        traceback.format_exc()  # what formatting one loads, this Python's way
    _read_sources()


def close() -> None:
    """From here on only what is loaded, or needs no file, can be imported; the rest is an ImportError.

    Otherwise it would be searched for in directories that may not be read, with an error that no
    ``except ImportError`` of a library expects.
    """
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, _Closed()]
    sys.path_importer_cache.clear()


def format_exception() -> str:
    """``traceback.format_exc`` where the sources can no longer be read."""
    for path, source in _sources.items():
        text = source.decode("utf-8", "replace")
        # Without a time of change: or the file would be looked at first, and its lines forgotten.
        linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    return traceback.format_exc()


class PreloadError(Exception):
    """Raised and caught once, so that all that takes is loaded."""


class _Closed:
    """The last import finder: raises ImportError with the module's name."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        raise ModuleNotFoundError(f"{name} was not loaded before the file system was closed", name=name)


def _read_sources() -> None:
    """Ours: 0.7 MB. Those of libraries, 5 MB more in every child, are kept as empty: not to be looked for."""
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and path.endswith(".py") and not _sources.get(path):
            _sources[path] = b""
            if name.partition(".")[0] in _QUOTED and name not in _DATA:
                with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:
                    _sources[path] = file.read()  # installed without: a traceback has no quotations then
