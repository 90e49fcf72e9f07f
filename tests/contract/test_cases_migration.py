"""A catalog that has data is brought to the version that has cases, with all that is in it, in every database."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from hashmatch.cases.store import CaseStore, NewCase
from hashmatch.catalog import postgres_schema, schema
from hashmatch.catalog.postgres import PostgresCatalog
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.model import Entry, HarmDomain, Opinion, Stance
from hashmatch.model.cases import Environment
from hashmatch.model.deliveries import DeliveryState
from hashmatch.outbox.rows import Order
from hashmatch.outbox.store import DeliveryStore
from tests.support import cases
from tests.support.cases import NOW
from tests.support.catalog import BACKENDS, pdq

BEFORE = 3
"""The version without cases."""


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_a_catalog_with_data_gets_tables_for_cases(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"sqlite": schema, "postgres": postgres_schema}[backend]
    every = module.migrations()
    assert "report_case" in every[BEFORE]
    assert not any("report_case" in text for text in every[:BEFORE])
    monkeypatch.setattr(module, "migrations", lambda: every[:BEFORE])
    with BACKENDS[backend](request, tmp_path) as old:
        old.create_set("known", HarmDomain.CSAM)
        old.import_entries("known", [Entry(f"e{number}", (pdq(number + 1),)) for number in range(500)])
        old.vote("known", "e7", Opinion("example.org", Stance.AGREE, "seen"), actor="anna")
        old.withdraw("known", "e8", reason="a mistake", actor="anna")
        entries, sequence, history = list(old.entries("known")), old.sequence(), old.history("known", "e7")
    monkeypatch.undo()
    with BACKENDS[backend](request, tmp_path) as new:
        assert isinstance(new, SqliteCatalog | PostgresCatalog)
        new.verify()
        assert (list(new.entries("known")), new.sequence(), new.history("known", "e7")) == (entries, sequence, history)
        CaseStore(new).add(NewCase(cases.case(), NOW + dt.timedelta(365), b"d" * 32), "anna")
        order = Order(
            case_id=cases.CASE_ID,
            outlet="hook",
            environment=Environment.TEST,
            document=cases.document(),
            key="key",
            requested_by="anna",
        )
        queued = DeliveryStore(new).queue(order, NOW)
        (taken,) = DeliveryStore(new).take("hook", NOW, dt.timedelta(minutes=5), 1)
        assert (taken.delivery_id, taken.state) == (queued.delivery_id, DeliveryState.SENDING)
        assert new.sequence() == sequence, "cases move no follower"
