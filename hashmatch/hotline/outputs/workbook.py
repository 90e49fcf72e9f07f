"""XLSX: a sheet of images and one of addresses, for people who work in spreadsheets.

Theory of operation
-------------------
Rows are written as they are read, at constant memory. Texts are written as texts: nothing is a formula, a link or a
number because it looks like one. Headers stay in view and filter. Excel takes 1,048,576 rows of a sheet and 32,767
characters of a cell; further rows go on in the next sheet, and a longer text ends in three dots.

The library keeps rows in temporary files until the end; these lie beside the job file, not in a directory that others
may look into.

What this module deliberately does not do: no charts, no macros.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from hashmatch.errors import BadConfig
from hashmatch.hotline.outputs.found import Found
from hashmatch.hotline.outputs.rows import COLUMNS, NUMBERS, Row, Shown, item_row, summary_row

if TYPE_CHECKING:
    from types import ModuleType

MAX_ROWS: Final = 1_048_575
"""Of a sheet, beside the header."""

MAX_CHARS: Final = 32_767

_OF_URLS: Final = frozenset({"same_as", "images", "matches"})
_OF_IMAGES: Final = frozenset(
    {"item_url", "final_item_url", "discovered_via", "content_type_sniffed", "bytes", "width", "height", "frames"}
    | {"sha256", "md5", "pdq", "pdq_quality", "list_id", "list_version", "entry_id", "distance", "harm_domain"}
    | {"classification_scheme", "classification_value", "evidence_id"}
)
_WIDTH: Final = 18
"""Of a column, in characters."""


def write_xlsx(found: Found, stream: BinaryIO, address: Shown) -> None:
    """Write a workbook.

    Raises
    ------
    BadConfig
        The library is not installed.

    """
    images = (item_row(submission, item, address) for submission, item in found.results.items())
    urls = (summary_row(submission, summary, address) for submission, summary in found.summaries())
    with _library().Workbook(
        stream,
        {
            "constant_memory": True,
            "tmpdir": str(found.results.directory),
            "strings_to_numbers": False,
            "strings_to_formulas": False,
            "strings_to_urls": False,
        },
    ) as book:
        book.set_properties({"title": "Checked addresses", "created": found.written_at.replace(tzinfo=None)})
        head = book.add_format({"bold": True})
        _sheets(book, head, "images", [name for name in COLUMNS if name not in _OF_URLS], images)
        _sheets(book, head, "urls", [name for name in COLUMNS if name not in _OF_IMAGES], urls)


def _sheets(book: Any, head: Any, name: str, columns: list[str], rows: Iterator[Row]) -> None:
    """Write rows into a sheet, and into further ones where there are more than one takes."""
    part, count = 1, MAX_ROWS
    while count == MAX_ROWS:
        sheet = book.add_worksheet(name if part == 1 else f"{name} {part}")
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(columns) - 1, _WIDTH)
        for at, column in enumerate(columns):
            sheet.write_string(0, at, column, head)
        count = 0
        for count, row in enumerate(islice(rows, MAX_ROWS), 1):
            _write(sheet, count, columns, row)
        sheet.autofilter(0, 0, count, len(columns) - 1)
        part += 1


def _write(sheet: Any, at: int, columns: list[str], row: Row) -> None:
    for index, column in enumerate(columns):
        value = row.get(column)
        if isinstance(value, int) and column in NUMBERS:
            sheet.write_number(at, index, value)
        elif value is not None:
            text = str(value)
            sheet.write_string(at, index, text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 3] + "...")


def _library() -> ModuleType:
    try:
        import xlsxwriter
    except ImportError:
        raise BadConfig("XLSX needs a library that is not installed: pip install 'hashmatch[hotline]'") from None
    library: ModuleType = xlsxwriter
    return library
