"""The tests: `unit` mirrors the packages, `system` runs the program, `docs` holds the pages to their word."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The checkout."""
