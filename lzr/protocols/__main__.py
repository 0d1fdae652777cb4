"""Prints the table of protocols in docs/protocols.md: ``python -m lzr.protocols``."""

from __future__ import annotations

from lzr.protocols._catalogue import PROTOCOLS


def table() -> str:
    """All protocols as a Markdown table, by name."""
    rows = ["| name | sends | ports | specification |", "|---|---|---|---|"]
    for protocol in sorted(PROTOCOLS, key=lambda p: p.name):
        sends = "" if not protocol.parts else "yes" if protocol.match else "yes, no label of its own"
        ports = ", ".join(map(str, protocol.ports))
        rows.append(f"| {protocol.name} | {sends} | {ports} | {protocol.spec.replace('|', '/')} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(table(), end="")
