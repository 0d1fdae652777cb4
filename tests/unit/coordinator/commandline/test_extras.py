"""Why a package of an extra cannot be used, and what to do."""

from __future__ import annotations

import pytest

from coordinator.commandline import extras


def test_a_package_that_is_missing_is_to_be_installed() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        import no_such_package_of_lzr  # type: ignore[import-not-found]  # noqa: F401
    said = extras.trouble(caught.value, "no_such_package_of_lzr", "analysis", called="Nothing")
    assert said == f"this needs Nothing: {extras.install('analysis')}"


@pytest.mark.parametrize(
    "error",
    [
        ImportError("_duckdb.so: failed to map segment from shared object", name="_duckdb"),
        ModuleNotFoundError("No module named 'numpy'", name="numpy"),
        ImportError(""),
    ],
)
def test_a_package_that_is_there_is_not_said_to_be_missing(error: ImportError) -> None:
    said = extras.trouble(error, "duckdb", "analysis", called="DuckDB")
    assert said.startswith("DuckDB is installed and cannot be loaded: ")
    assert (str(error) or "no reason is given") in said
    assert "ulimit -v" in said
