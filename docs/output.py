"""Write the table of fields into docs/output.md. Run it after a change to lzr/records/fields.py."""

from __future__ import annotations

from pathlib import Path

from lzr.records import fields

BEGIN, END = "<!-- fields -->\n", "<!-- end of fields -->"

if __name__ == "__main__":
    page = Path(__file__).with_suffix(".md")
    head, rest = page.read_text().split(BEGIN)
    page.write_text(head + BEGIN + fields.table() + END + rest.split(END)[1])
