"""What a sent group costs and counts: each case in the figures, each key once, and the audience of a letter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hashmatch.errors import BadInput, OutletForbidden
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Environment
from hashmatch.model.deliveries import DeliveryState
from hashmatch.model.figures import Counter
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import Settled
from hashmatch.service.casework import Casework, Sending
from tests.support import cases
from tests.support.cases import NOW
from tests.unit.service.test_casework import KEY, Desk

LETTER = Sending(outlet="hook", environment=Environment.TEST, format="letter")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.catalog.close()


def counted(desk: Desk, counter: Counter) -> int:
    return sum(row.count for row in desk.work.counted(NOW.date(), NOW.date()) if row.counter is counter)


def test_a_delivery_counts_once_for_each_of_its_cases(desk: Desk) -> None:
    ids = [desk.open(urgent="live").case_id for _ in range(3)]
    desk.work.send_several(ids, LETTER, actor="anna")
    (taken,) = desk.work.outbox.take("hook", NOW, dt.timedelta(minutes=5), 5)
    done = desk.work.outbox.settle(taken, Settled(DeliveryEvent.ARRIVE, NOW), "outbox", NOW)
    assert done.state is DeliveryState.DELIVERED
    assert (counted(desk, Counter.REPORTED), counted(desk, Counter.REPORTED_URGENT)) == (3, 3)
    assert [file.deliveries for file in map(desk.work.get, ids)] == [(done,)] * 3


def test_the_same_group_is_queued_once_and_another_order_is_another_document(desk: Desk) -> None:
    one, two = desk.open().case_id, desk.open().case_id
    first = desk.work.send_several([one, two], LETTER, actor="anna")
    assert desk.work.send_several([one, two], LETTER, actor="ben") == first
    assert desk.work.send_several([two, one], LETTER, actor="anna").delivery_id != first.delivery_id
    assert desk.work.send(one, LETTER, actor="anna").delivery_id != first.delivery_id


def test_no_file_is_of_several_cases(desk: Desk) -> None:
    ids = [desk.open().case_id for _ in range(2)]
    tip = Sending(outlet="ncmec", environment=Environment.PRODUCTION, with_file=True)
    with pytest.raises(BadInput, match=r"^with_file: a file is of one case; send that one alone$"):
        desk.work.send_several(ids, tip, actor="anna")
    with pytest.raises(BadInput, match=r"^cases: 0 are not within 1 and 1000$"):
        desk.work.send_several([], LETTER, actor="anna")


def test_held_waits_whatever_the_outlet_says(desk: Desk) -> None:
    held = desk.work.send(desk.open().case_id, replace(LETTER, held=True), actor="anna")
    assert held.state is DeliveryState.HELD
    assert desk.work.outbox.take("hook", NOW, dt.timedelta(minutes=5), 5) == ()


def test_a_hotline_sends_to_the_host_and_to_the_police(desk: Desk) -> None:
    reporter = replace(desk.config.reporter, hotline=True)
    work = Casework(desk.catalog, replace(desk.config, reporter=reporter), KEY, now=lambda: NOW)
    case = desk.open()
    host = work.send(case.case_id, LETTER, actor="anna")
    police = work.send(case.case_id, replace(LETTER, audience="police"), actor="anna")
    assert host.delivery_id != police.delivery_id
    assert host.document is not None
    assert police.document is not None
    assert b"Notice under Article 16" in dict(host.document.parts)["subject"]
    assert b"Report by a hotline on content found on a service of others" in dict(police.document.parts)["subject"]
    wild = desk.open(cases.hit(HarmDomain.WILDLIFE))
    with pytest.raises(
        OutletForbidden, match=r"^audience: wildlife is not told to the police in a letter, which is for"
    ):
        work.send(wild.case_id, replace(LETTER, audience="police"), actor="anna")
    with pytest.raises(BadInput, match=r"^audience: stix is not written for 'police'; there is letter for the police$"):
        work.render(case.case_id, "stix", audience="police")
