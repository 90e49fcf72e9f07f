"""Columns are written for COPY alike, whether their ids are given or are still to be made of the values."""

from __future__ import annotations

import dataclasses

import numpy as np

from hashmatch.catalog import postgres_columns
from hashmatch.catalog.session import Place
from hashmatch.catalog.spool import Columns


def test_ids_that_are_made_are_written_as_if_they_were_given() -> None:
    values = np.random.default_rng(3).integers(0, 256, (50, 16), dtype=np.uint8)
    made = Columns("md5", (), values, np.full(50, 60, dtype=np.uint8), np.arange(50))
    given = dataclasses.replace(made, entry_ids=[f"md5:{value.tobytes().hex()}" for value in values])
    place = Place(1, 7, 9, 11)
    streams = [b"".join(postgres_columns.of_entries(columns, place)) for columns in (made, given)]
    assert streams[0] == streams[1]
    assert all(entry_id.encode() in streams[0] for entry_id in given.entry_ids)
