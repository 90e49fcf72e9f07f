"""Whatever befalls a page on its way: nothing but BadFile, and the rows before the damage are those of the page."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import BadFile
from hashmatch.exchange.ncmec import NAMESPACE, NcmecPage
from hashmatch.exchange.pages import Page
from hashmatch.exchange.stopncii import StopNciiPage
from hashmatch.exchange.tat import TatPage
from hashmatch.exchange.threatexchange import ThreatExchangePage
from hashmatch.model import Entry, Rejected

COUNT = 5


def value(number: int) -> str:
    return f"{number + 1:064x}"


def ncmec_page() -> bytes:
    images = "".join(
        f'<image><member id="42">M</member><timestamp>2025-01-01T00:00:00Z</timestamp><id>i{number}</id>'
        f"<fingerprints><pdq>{value(number)}</pdq></fingerprints></image>"
        for number in range(COUNT)
    )
    return f'<queryResult xmlns="{NAMESPACE}"><images count="{COUNT}">{images}</images></queryResult>'.encode()


def json_page(key: str, **record: object) -> bytes:
    return json.dumps({key: [{**record, "id": number + 1} for number in range(COUNT)], "checkpoint": "1"}).encode()


PAGES: dict[str, tuple[Callable[[BinaryIO], Page], bytes]] = {
    "ncmec": (NcmecPage, ncmec_page()),
    "threatexchange": (ThreatExchangePage, json_page("data", indicator=value(1), type="HASH_PDQ", last_updated=1)),
    "stopncii": (
        StopNciiPage,
        json_page("hashRecords", hashValue=value(1), signalType="ImagePDQ", hashStatus="Active", CSPFeedbacks=[]),
    ),
    "tat": (TatPage, json_page("results", hash_digest=value(1), algorithm="PDQ", updated_on=1.5)),
}


def read(opened: Callable[[BinaryIO], Page], data: bytes) -> list[Entry | Rejected] | None:
    try:
        page = opened(io.BytesIO(data))
    except BadFile:
        return None
    rows = list(page)
    assert all(isinstance(row, Entry | Rejected) for row in rows)
    return rows


@pytest.mark.parametrize("name", PAGES)
def test_a_page_cut_off_anywhere_gives_the_entries_before_the_cut(name: str) -> None:
    opened, data = PAGES[name]
    whole = read(opened, data)
    assert whole is not None
    assert len(whole) == COUNT
    for end in range(len(data)):
        rows = read(opened, data[:end])
        assert rows is None or rows == whole[: len(rows)]


@pytest.mark.parametrize("name", PAGES)
@given(data=st.data())
def test_damage_gives_rows_rejected_rows_or_bad_file(name: str, data: st.DataObject) -> None:
    opened, whole = PAGES[name]
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        length = data.draw(st.integers(0, 8))
        damaged[at : at + length] = data.draw(st.binary(max_size=8))
    read(opened, bytes(damaged))
