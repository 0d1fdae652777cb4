"""The native kernels, and where they are built. Optional: without them the same functions run in Python.

Here rather than in pyproject.toml, because setuptools reads extension modules from there only since 74, and
a licence as an SPDX expression only since 77; Debian 12 has 66.
"""

import atexit
import shutil
import tempfile

import setuptools

SOURCES = [
    "module",
    "layout",
    "lines",
    "encoders",
    "hash",
    "index",
    "wire",
    "frames",
    "machine",
    "tcp",
    "dedup",
    "screen",
    "sweep",
    "needles",
    "webreply",
    "greetline",
    "webbatch",
    "summary",
    "decoding",
]
SPDX = int(setuptools.__version__.partition(".")[0]) >= 77

# Nothing of a build stays in the checkout, nor can what an older one left get into a wheel.
build = tempfile.mkdtemp(prefix="lzr-build-")
atexit.register(shutil.rmtree, build, ignore_errors=True)

setuptools.setup(
    ext_modules=[
        setuptools.Extension(
            "lzr._native",
            sources=[f"lzr/native/{name}.c" for name in SOURCES],
            depends=[
                f"lzr/native/{name}.h" for name in ("native", "flow", "needles", "webreply", "greetline")
            ],
            extra_compile_args=["-O3", "-Wall", "-Wextra"],
            optional=True,
        )
    ],
    options={"build": {"build_base": build}},
    **{
        "license_expression" if SPDX else "license": "Apache-2.0 AND BSD-2-Clause"
    },  # the fingerprints: NOTICE
)
