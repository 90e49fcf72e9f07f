"""Tables as CSV, of which a spreadsheet evaluates nothing.

Theory of operation
-------------------
What stands in a cell was often written by a stranger, and the file is opened by a person with a spreadsheet: a text
that begins like a formula is written with an apostrophe before it. Numbers are written as Python writes them, and what
is not known is an empty cell.

What this module deliberately does not do: it writes no file, and keeps no program from reading the apostrophe.

Source: RFC 4180; OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

LINE_END: Final = "\r\n"

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell begins with that a spreadsheet evaluates; the full-width forms count for Asian locales."""


def cell(value: object) -> str:
    """Return the text of a cell; empty for None."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return "" if value is None else str(value)


def as_csv(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows under a head, in UTF-8.

    Parameters
    ----------
    columns : iterable of str
        Their names, in order.
    rows : iterable of iterables
        Cells in the order of the columns.

    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=LINE_END)
    writer.writerow(columns)
    writer.writerows(map(cell, row) for row in rows)
    return text.getvalue().encode()
