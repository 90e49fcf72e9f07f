"""CSV and JSON Lines: images and submissions in one file, each submission behind its images.

A spreadsheet that opens the CSV evaluates nothing: a cell that begins like a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import BinaryIO

from hashmatch.hotline.outputs.found import Found
from hashmatch.hotline.outputs.records import item_record, summary_record
from hashmatch.hotline.outputs.rows import COLUMNS, Row, Shown, item_row, summary_row
from hashmatch.sheets import LINE_END, cell


def write_csv(found: Found, stream: BinaryIO, address: Shown) -> None:
    """Write CSV in UTF-8 with a byte order mark, without which spreadsheets guess another encoding."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="", write_through=True)
    writer = csv.writer(text, lineterminator=LINE_END)
    writer.writerow(COLUMNS)
    for row in _rows(found, address):
        writer.writerow([cell(row.get(column)) for column in COLUMNS])
    text.detach()


def write_jsonl(found: Found, stream: BinaryIO, address: Shown) -> None:
    """Write JSON Lines, in ASCII; addresses are as they are, whatever is asked for."""
    del address
    for submission, items, summary in found.by_submission():
        stream.writelines(json.dumps(item_record(submission, item)).encode() + b"\n" for item in items)
        stream.write(json.dumps(summary_record(submission, summary)).encode() + b"\n")


def _rows(found: Found, address: Shown) -> Iterator[Row]:
    for submission, items, summary in found.by_submission():
        for item in items:
            yield item_row(submission, item, address)
        yield summary_row(submission, summary, address)
