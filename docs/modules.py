"""Write the list of modules at the end of ARCHITECTURE.md: each by the first sentence of its docstring.

Run it after a module has been added, moved or described anew; a test fails where the list has gone stale.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- modules -->\n", "<!-- end of modules -->\n"
DOCSTRING = re.compile(r'r?"""(.*?)"""', re.DOTALL)
TOPS = ("lzr", "coordinator", "workers")


def sentence(path: Path) -> str:
    """The first sentence of a module's docstring, on one line."""
    text = DOCSTRING.match(path.read_text())
    first = " ".join((text[1] if text else "").partition("\n\n")[0].split())
    return re.split(r"(?<=[^.][.?]) ", first, maxsplit=1)[0].replace("|", "\\|")


def listing() -> str:
    """The table, in Markdown: a row a module, by package."""
    lines = ["| module | what it is |", "|---|---|"]
    for top in TOPS:
        paths = [path for path in (ROOT / top).rglob("*.py") if path.name != "__init__.py"]
        for path in sorted(paths, key=lambda path: (path.parent, path.name)):
            lines.append(f"| `{path.relative_to(ROOT)}` | {sentence(path)} |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """ARCHITECTURE.md with the list as it should be."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return before + BEGIN + listing() + END + after


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
