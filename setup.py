"""The native kernels. Optional: where they cannot be built, the same functions run in Python.

Here rather than in pyproject.toml, because setuptools reads extension modules from there only since 74.
"""

from setuptools import Extension, setup

SOURCES = [
    "module",
    "lines",
    "records",
    "hash",
    "index",
    "wire",
    "frames",
    "steps",
    "acts",
    "recent",
    "intake",
]

setup(
    ext_modules=[
        Extension(
            "lzr._native",
            sources=[f"lzr/native/{name}.c" for name in SOURCES],
            depends=["lzr/native/native.h", "lzr/native/flow.h"],
            extra_compile_args=["-O3", "-Wall", "-Wextra"],
            optional=True,
        )
    ]
)
