"""What may go wrong anywhere, in words; tests/unit/coordinator/commands/test_main.py has whole programs."""

from __future__ import annotations

import errno

import pytest

from coordinator.commandline import troubles


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, ""),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write: No space left on device"),
        (OSError(errno.EFBIG, "File too large"), "cannot write: File too large"),
        (OSError(errno.ENOSPC, "No space left on device", "found.json"), ""),  # its own command says so
        (OSError(errno.EBADF, "Bad file descriptor"), ""),
    ],
)
def test_only_an_error_of_a_full_disk_is_laid_to_stdout(error: OSError | None, said: str) -> None:
    assert troubles.unwritten(error) == said


def test_a_package_of_ours_that_is_missing_is_no_half_installation() -> None:
    assert troubles.not_loaded(ModuleNotFoundError("No module named 'zmq'", name="zmq"))
    assert not troubles.not_loaded(ModuleNotFoundError("No module named 'lzr.x'", name="lzr.x"))
    assert not troubles.not_loaded(ValueError("x"))
