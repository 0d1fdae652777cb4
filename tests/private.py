"""Installations that only root can read, as on a host where the program lies in /root (0700 on Debian).

What a test changes in one is a copy; nothing of this checkout is in an installation's path.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from tests.host_net import ROOT
from tests.lab.net import run

PACKAGES = ("lzr", "coordinator", "workers")
PYTHON = os.path.realpath(sys.executable)
"""The interpreter behind the virtual environment: other users can run it wherever this checkout lies."""
_LEFT_OUT = ("mypy", "ruff", "pip", "hypothesis", "_pytest", "mypyc")  # large, and only tests need them


class Installation:
    """`lzr` in a virtual environment of its own, in a directory of mode 0700 unless told otherwise."""

    def __init__(self, directory: Path, mode: int = 0o700) -> None:
        """directory: is made; with the mode as it is nobody but root may enter it, whatever lies above."""
        self.directory = directory
        directory.mkdir()
        directory.chmod(mode)
        self.venv = directory / "v"
        run(sys.executable, "-m", "venv", "--without-pip", self.venv)
        self.packages = next(self.venv.glob("lib/python3*/site-packages"))
        for name in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
            for source in sorted(Path(name).iterdir()):
                if source.suffix not in (".pth", ".egg-link") and source.name not in (*_LEFT_OUT, *PACKAGES):
                    copied(source, self.packages / source.name)
        for package in PACKAGES:
            shutil.copytree(
                ROOT / package, self.packages / package, ignore=shutil.ignore_patterns("__pycache__", "*.c")
            )
        shutil.copy(ROOT / "bin" / "lzr", self.lzr)
        program = self.lzr.with_name("lzr-run")
        program.write_text(
            f"#!{self.venv}/bin/python\nimport sys\n"
            "from coordinator.commands.main import main\nsys.exit(main())\n"
        )
        program.chmod(0o755)

    @property
    def lzr(self) -> Path:
        return self.venv / "bin" / "lzr"

    def change(self, name: str, before: str, after: str) -> None:
        """Change the text of a module; `before` is there exactly once."""
        path = self.packages / name
        text = path.read_text()
        assert text.count(before) == 1, (name, before)
        path.write_text(text.replace(before, after))


def copied(source: Path, target: Path) -> None:
    """A directory or file as hard links, which cost nothing, or where that cannot be, as a copy."""
    if source.name == "__pycache__":
        return
    try:
        if source.is_dir():
            shutil.copytree(source, target, copy_function=os.link, symlinks=True)
        else:
            os.link(source, target)
    except (OSError, shutil.Error):
        shutil.rmtree(target, ignore_errors=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target)
