"""`etc/completion/lzr.bash` where names of interfaces are hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.net import Lab

pytestmark = pytest.mark.root
ROOT = Path(__file__).parents[2]

COMPLETED = """
. "$1"
COMP_WORDS=(lzr -i "$2") COMP_CWORD=2
_lzr lzr
printf '%s\\n' "${COMPREPLY[@]}"
"""


def test_names_of_interfaces_are_not_expanded(lab: Lab, tmp_path: Path) -> None:
    """An interface may have any name without blanks and slashes, that of a command included."""
    box = lab.namespace("box")
    names = ("x$(touch>bad)", "x*", "x`touch>bad`")
    for name in names:
        box.ip("link", "add", name, "type", "bridge")
    (tmp_path / "xfile").touch()
    done = box.run("bash", "-c", COMPLETED, "bash", ROOT / "etc/completion/lzr.bash", "x", cwd=tmp_path)
    assert sorted(done.stdout.splitlines()) == sorted(names), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["xfile"]
