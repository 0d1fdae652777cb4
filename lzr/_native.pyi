from collections.abc import Sequence

from typing_extensions import Buffer

from lzr.protocols.base import Identity

TARGET_SIZE: int
OUTCOME_SIZE: int
FIELDS: tuple[str, ...]

def zmap_lines(block: Buffer, rows: Buffer, again: Buffer, line: int, /) -> tuple[int, int, int]: ...
def list_lines(block: Buffer, rows: Buffer, again: Buffer, line: int, /) -> tuple[int, int, int]: ...
def json_records(
    rows: Buffer,
    blob: Buffer,
    keep: Buffer,
    fields: Buffer,
    identities: Sequence[Identity | str | None],
    handshakes: Sequence[str],
    expanded: bool,
    /,
) -> bytes: ...
