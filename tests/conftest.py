"""Fixtures: the lab, and the rule that a test which cannot run fails in continuous integration."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of numpy: tests run on every core, and threads would wait for one

import gc
import shutil
import signal
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import ROOT, forking
from tests.effort import examples
from tests.lab import net
from tests.lab.links import KernelLacksError
from tests.lab.responder import Range
from tests.wire import BODIES, kernels_of

IN_CI = bool(os.environ.get("CI"))

# On a busy machine an example takes as long as it takes. With CI set, hypothesis has a profile of its own.
if not IN_CI:
    settings.register_profile(
        "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(100)
    )
    settings.load_profile("patient")

# What this machine tells Python and numpy, a user's does not; it hides faults (output that is never flushed).
for _name in [name for name in os.environ if name.startswith(("PYTHON", "OPENBLAS"))]:
    del os.environ[_name]

# Whoever runs the tests in the background of a script has these ignored, and so would all that is run here.
_ENDINGS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
for _number in _ENDINGS:
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, ())


def cannot_run(why: str) -> None:
    """Skips a test on a developer's machine; fails it where every test has to run."""
    if IN_CI:
        pytest.fail(f"cannot run here: {why}")
    pytest.skip(why)


@pytest.fixture(autouse=True)
def _nothing_is_left_for_the_next() -> Iterator[None]:
    """What a test leaves on in this process would make all later ones slow, and what it does to signals would
    be inherited by what they start."""
    before = [signal.getsignal(number) for number in _ENDINGS]
    yield
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert [signal.getsignal(number) for number in _ENDINGS] == before
    assert not tracemalloc.is_tracing()
    assert sys.getprofile() is None
    assert gc.isenabled()


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that every user may enter: tmp_path lies in directories that are closed to others."""
    made = Path(tempfile.mkdtemp(prefix="lzr-open-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def lab() -> Iterator[net.Lab]:
    """An empty lab, taken down afterwards."""
    if os.geteuid():
        cannot_run("network namespaces need root")
    for tool in ("ip", "nft", "ethtool", "gcc", "zmap"):
        if not shutil.which(tool):
            cannot_run(f"{tool} is not installed; `make venv` installs it")
    with net.lab() as made:
        yield made


@pytest.fixture
def arena(lab: net.Lab) -> Range:
    """A scanner namespace wired to the responder's."""
    return Range(lab)


@pytest.fixture(scope="module", params=BODIES)
def kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything twice: with the kernels in C, and with those in Python."""
    with kernels_of(request.param):
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `unit` what needs neither root nor real daemons: all of tests/unit, most of tests/docs."""
    places = {path: path.relative_to(ROOT / "tests").parts[0] for path in {item.path for item in items}}
    for item in items:
        if places[item.path] in ("unit", "docs") and not any(map(item.get_closest_marker, ("root", "live"))):
            item.add_marker(pytest.mark.unit)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Thousands of items live to the end: the garbage collector need not look at them again and again, nor
    while they are made."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_sessionfinish() -> None:
    forking.end()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and os.geteuid():
        cannot_run("needs root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI a skipped test is a failed one, but for links that this kernel has no module for."""
    report: Any = yield
    lacks = call.excinfo is not None and isinstance(call.excinfo.value, KernelLacksError)
    skipped = report is not None and getattr(report, "skipped", False) and not hasattr(report, "wasxfail")
    if IN_CI and skipped and not lacks:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
