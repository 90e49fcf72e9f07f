"""Output formats by name, and by the ending of a file's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import BinaryIO, Final

from hashmatch.errors import BadInput
from hashmatch.hotline.outputs.found import Found
from hashmatch.hotline.outputs.page import write_html
from hashmatch.hotline.outputs.rows import Shown
from hashmatch.hotline.outputs.tables import write_csv, write_jsonl
from hashmatch.hotline.outputs.workbook import write_xlsx

Write = Callable[[Found, BinaryIO, Shown], None]
"""Writes the results of a job into a stream, with addresses as they are asked for."""

FORMATS: Final[Mapping[str, Write]] = MappingProxyType(
    {"csv": write_csv, "jsonl": write_jsonl, "xlsx": write_xlsx, "html": write_html}
)


def format_of(name: str, stated: str | None) -> str:
    """Return the format of an output: what its name ends in, else what was stated.

    Raises
    ------
    BadInput
        Neither says it.

    """
    ending = PurePath(name).suffix.removeprefix(".").lower()
    ending = {"htm": "html", "ndjson": "jsonl"}.get(ending, ending)
    if ending in FORMATS:
        return ending
    if stated is None:
        raise BadInput(f"{name}: end its name in .{', .'.join(FORMATS)}, or say --format", field="output")
    return stated
