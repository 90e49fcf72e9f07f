"""Casework: from a receipt to what is queued, and what is refused on the way."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hashmatch.cases.counters import of_report
from hashmatch.cases.receipt import issued
from hashmatch.cases.states import CaseEvent
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.config import CasesConfig, Config, OutboxConfig, OutletConfig, ReporterConfig, SourceConfig, SyncConfig
from hashmatch.errors import (
    BadConfig,
    BadInput,
    BadReceipt,
    BadReport,
    CaseConflict,
    CaseNotFound,
    OutletForbidden,
)
from hashmatch.model import Entry, HarmDomain, Hit, Verdict
from hashmatch.model.cases import Case, CaseState, Decision, Environment, Keep, Subject, Visibility
from hashmatch.model.deliveries import DeliveryState
from hashmatch.model.figures import Counter
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import Settled
from hashmatch.projections import formats
from hashmatch.projections.domains import ALLOWED
from hashmatch.service.casework import Casework, Sending
from hashmatch.signatures import SigningKey
from tests.support import cases
from tests.support.cases import NOW
from tests.support.catalog import pdq

KEY = SigningKey.generate()
TEST = Environment.TEST


class Desk:
    """Casework over a catalog with one entry, at a time of its own."""

    def __init__(self, folder: Path) -> None:
        self.catalog = SqliteCatalog.open(folder / "catalog")
        self.catalog.create_set("known", HarmDomain.CSAM)
        self.catalog.import_entries("known", [Entry("a1", (pdq(1),))])
        self.now = NOW
        outlet = OutletConfig(kind="webhook", environment="test")
        outlets = {
            "hook": outlet,
            "careful": OutletConfig(kind="webhook", environment="test", two_person=True),
            "ncmec": OutletConfig(kind="cybertipline", environment="production"),
            "mail": OutletConfig(kind="mail", environment="test", recipient="desk@example.org"),
        }
        self.config = config = Config(
            outbox=OutboxConfig(outlets=outlets),
            reporter=ReporterConfig(name="Example", domain="example.org", email="desk@example.org"),
            cases=CasesConfig(hold_outlet="hook"),
            sync=SyncConfig(sources={"elsewhere": SourceConfig(set="known", own_name="Example Foundation")}),
        )
        self.work = Casework(self.catalog, config, KEY, now=lambda: self.now)

    def open(self, *hits: Hit, **facts: Any) -> Case:
        """Open a case of a match in the set."""
        given = hits or (cases.hit(set_name="known", entry_id="a1"),)
        return self.work.open(issued(cases.report(*given), KEY), cases.facts(**facts), actor="anna")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.catalog.close()


def test_a_receipt_grows_old(desk: Desk) -> None:
    desk.now = NOW + dt.timedelta(days=31)
    with pytest.raises(BadReceipt, match=r"more than 30 days ago \(cases.receipt_days\); check the picture again"):
        desk.open()


def test_the_same_request_is_one_case_and_counted_once(desk: Desk) -> None:
    receipt, facts = issued(cases.report(), KEY), cases.facts()
    first = desk.work.open(receipt, facts, actor="anna", idempotency_key="k")
    assert desk.work.open(receipt, facts, actor="ben", idempotency_key="k") == first
    with pytest.raises(CaseConflict, match="'k' was used for another request"):
        desk.work.open(receipt, cases.facts(urgent="live"), actor="anna", idempotency_key="k")
    (row,) = [row for row in desk.work.counted(NOW.date(), NOW.date()) if row.counter is Counter.CASES]
    assert row.count == 1


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_somebody_must_have_done_it(desk: Desk, name: str) -> None:
    with pytest.raises(BadInput, match=r"^actor: "):
        desk.work.open(issued(cases.report(), KEY), cases.facts(), actor=name)


def test_what_is_sent_is_frozen_and_queued_once(desk: Desk) -> None:
    case = desk.open()
    first = desk.work.send(case.case_id, Sending(outlet="hook", environment=TEST, format="stix"), actor="anna")
    desk.now = NOW + dt.timedelta(hours=1)
    again = desk.work.send(case.case_id, Sending(outlet="hook", environment=TEST, format="stix"), actor="anna")
    assert again == first
    other = Sending(outlet="hook", environment=TEST, format="stix", idempotency_key="once more")
    assert desk.work.send(case.case_id, other, actor="anna").delivery_id != first.delivery_id


def test_a_second_person_where_the_outlet_wants_one(desk: Desk) -> None:
    case = desk.open()
    held = desk.work.send(case.case_id, Sending(outlet="careful", environment=TEST, format="stix"), actor="anna")
    assert held.state is DeliveryState.HELD
    with pytest.raises(CaseConflict, match="another person must release it"):
        desk.work.decide(held.delivery_id, DeliveryEvent.RELEASE, actor="anna")
    assert desk.work.decide(held.delivery_id, DeliveryEvent.RELEASE, actor="ben").state is DeliveryState.QUEUED


@pytest.mark.parametrize(
    ("sending", "message"),
    [
        (Sending(outlet="nobody", environment=TEST), "outlet: 'nobody' is not configured; there is hook, careful,"),
        (
            Sending(outlet="ncmec", environment=TEST),
            "environment: the outlet ncmec is production, and test was asked for; nothing was queued",
        ),
        (Sending(outlet="hook", environment=TEST), "format: 'nothing' does not go to an outlet of kind webhook"),
        (
            Sending(outlet="mail", environment=TEST, format="cybertip"),
            "format: 'cybertip' does not go to an outlet of kind mail; it takes dsa16, dsa18, xarf, iccam, letter",
        ),
        (
            Sending(outlet="hook", environment=TEST, format="stix", with_file=True),
            "with_file: an outlet of kind webhook takes no file",
        ),
        (
            Sending(outlet="hook", environment=TEST, format="stix", language="xx"),
            "language: 'xx' is none of en, nl, fr, de",
        ),
    ],
)
def test_what_cannot_be_sent(desk: Desk, sending: Sending, message: str) -> None:
    case = desk.open()
    with pytest.raises(BadInput) as caught:
        desk.work.send(case.case_id, sending, actor="anna")
    assert message in caught.value.message
    assert desk.work.get(case.case_id).deliveries == ()


@pytest.mark.parametrize("domain", [domain for domain in HarmDomain if domain is not HarmDomain.CSAM])
def test_only_abuse_of_children_becomes_a_cybertip(desk: Desk, domain: HarmDomain) -> None:
    case = desk.open(cases.hit(domain))
    sending = Sending(outlet="ncmec", environment=Environment.PRODUCTION)
    with pytest.raises(OutletForbidden):
        desk.work.send(case.case_id, sending, actor="anna")
    with pytest.raises(OutletForbidden):
        desk.work.render(case.case_id, "cybertip")
    assert desk.work.get(case.case_id).deliveries == ()


def test_every_format_of_the_table_exists_and_guards_itself(desk: Desk) -> None:
    from hashmatch.projections.domains import ALLOWED

    assert set(formats.FORMATS) == set(ALLOWED)
    case = desk.open()
    for name in formats.FORMATS:
        assert formats.report_id(case.case_id, name) == formats.report_id(case.case_id, name)


def test_a_closed_case_is_not_sent(desk: Desk) -> None:
    case = desk.open()
    desk.work.change(case.case_id, CaseEvent.CLOSE, actor="anna", reason="done")
    with pytest.raises(CaseConflict, match="the case is closed; reopen it to send it"):
        desk.work.send(case.case_id, Sending(outlet="hook", environment=TEST, format="stix"), actor="anna")


def test_a_finding_is_an_opinion_under_the_name_that_the_source_knows(desk: Desk) -> None:
    case = desk.open()
    finding = desk.work.find(case.case_id, confirmed=True, actor="anna", reason="seen")
    assert (finding.voted, finding.skipped) == (1, ())
    (opinion,) = desk.catalog.get_entry("known", "a1").opinions
    assert (opinion.who, opinion.stance.value, opinion.reason, opinion.algorithm) == (
        *("Example Foundation", "agree", "seen", "pdq"),
    )


def test_a_rejection_takes_back_what_was_not_sent_and_is_a_figure(desk: Desk) -> None:
    case = desk.open()
    queued = desk.work.send(case.case_id, Sending(outlet="hook", environment=TEST, format="stix"), actor="anna")
    finding = desk.work.find(case.case_id, confirmed=False, actor="ben", reason="a cat")
    assert finding.case.state is CaseState.REJECTED
    assert desk.work.outbox.get(queued.delivery_id).state is DeliveryState.CANCELLED
    counted = {row.counter: row for row in desk.work.counted(NOW.date(), NOW.date())}
    assert (counted[Counter.REJECTED].set_name, counted[Counter.DISTANCE_REJECTED].bucket) == ("known", 12)
    with pytest.raises(CaseConflict, match="that is rejected cannot be changed by confirm"):
        desk.work.find(case.case_id, confirmed=True, actor="anna", reason="after all")


def test_an_entry_that_is_gone_is_a_result_with_a_reason(desk: Desk) -> None:
    case = desk.open(cases.hit(set_name="elsewhere"), cases.hit(set_name="known", entry_id="a1"))
    finding = desk.work.find(case.case_id, confirmed=True, actor="anna", reason="seen")
    assert finding.voted == 1
    (skipped,) = finding.skipped
    assert (skipped.position, skipped.field) == (0, "matches")
    assert "elsewhere" in skipped.reason


def test_the_callers_store_is_told_to_keep_and_to_let_go(desk: Desk) -> None:
    case = desk.open()
    hold = desk.work.hold(case.case_id, "store://17", actor="anna")
    assert desk.work.hold(case.case_id, "store://17", actor="anna") == hold
    assert hold.deadline == NOW + dt.timedelta(days=365)
    desk.now = hold.deadline
    assert desk.work.sweep().erased == (), "the store has yet to be told"
    kept = desk.work.outbox.of_case(case.case_id)
    assert [(item.format, b'"action": "keep"' in item.parcel.document.body) for item in kept] == [
        ("hold", True),
        ("hold", False),
    ]
    (ended,) = desk.work.get(case.case_id).holds
    assert ended.released_at == hold.deadline


@pytest.mark.parametrize("days", [0, 36_501])
def test_a_hold_has_an_end(desk: Desk, days: int) -> None:
    case = desk.open()
    with pytest.raises(BadInput, match=f"days: {days} is not within 1 and 36500"):
        desk.work.hold(case.case_id, "store://17", actor="anna", days=days)


def test_a_subject_of_one_call_is_in_that_rendering_only(desk: Desk) -> None:
    case = desk.open(subject=Subject(account_id="user-17"), keep_subject=Keep.CALL)
    assert desk.work.get(case.case_id).case.subject is None


def test_a_cybertip_is_held_to_the_schema_that_the_operator_has(desk: Desk, tmp_path: Path) -> None:
    case = desk.open()
    schema = tmp_path / "tip.xsd"
    reporter = replace(desk.config.reporter, cybertip_xsd=str(schema))
    work = Casework(desk.catalog, replace(desk.config, reporter=reporter), KEY, now=lambda: desk.now)
    text = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{}</xs:schema>'
    schema.write_text(text.format('<xs:element name="report" type="xs:int"/>'))
    with pytest.raises(BadReport, match=r"line 2: Element 'report': Element content is not allowed"):
        work.render(case.case_id, "cybertip")
    schema.write_text(text.format('<xs:element name="report"/><xs:element name="fileDetails"/>'))
    assert work.render(case.case_id, "cybertip") == desk.work.render(case.case_id, "cybertip")
    assert work.render(case.case_id, "misp").format == "misp"


SEIZED = Decision(
    visibility=Visibility.REMOVED,
    legal_basis="the law of the country",
    explanation="It matches a list.",
    decided_at=NOW - dt.timedelta(hours=1),
)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_several_cases_are_told_in_the_order_that_was_asked_for(desk: Desk, order: tuple[int, ...]) -> None:
    domains = (HarmDomain.CSAM, HarmDomain.WILDLIFE, HarmDomain.TVEC)
    made = [desk.open(cases.hit(one), decision=SEIZED, territorial_scope=("NL",)) for one in domains]
    ids = [made[n].case_id for n in order]
    told = json.loads(desk.work.render_several(ids, "dsa-sor").body)["statements"]
    assert told == [json.loads(desk.work.render(case_id, "dsa-sor").body) for case_id in ids]


WILD = HarmDomain.WILDLIFE


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(
    "name", [name for name, row in formats.FORMATS.items() if row.batch and WILD not in ALLOWED[name]]
)
def test_one_case_that_a_format_may_not_tell_forbids_all(desk: Desk, name: str, position: int) -> None:
    domains = [HarmDomain.CSAM] * 3
    domains[position] = HarmDomain.WILDLIFE
    ids = [desk.open(cases.hit(domain)).case_id for domain in domains]
    with pytest.raises(OutletForbidden) as caught:
        desk.work.render_several(ids, name)
    assert caught.value.field == f"cases[{position}].domain"
    assert caught.value.message.startswith(f"cases[{position}].domain: wildlife is never reported as {name}, which is")


SEVERAL = ["cybertip", "dsa16", "dsa-sor", "iccam", "letter"]


def test_the_formats_that_take_several(desk: Desk) -> None:
    assert [name for name, row in formats.FORMATS.items() if row.batch] == SEVERAL
    ids = [desk.open().case_id, desk.open().case_id]
    for name in ("dsa18", "eu-annex3", "xarf", "misp", "stix"):
        with pytest.raises(BadInput) as caught:
            desk.work.render_several(ids, name)
        told = f"format: {name} tells one case at a time; {', '.join(SEVERAL)} take several"
        assert caught.value.message == told


def test_several_cases_are_different_ones_that_exist(desk: Desk) -> None:
    one, two = desk.open().case_id, desk.open().case_id
    for ids, error, message in (
        ([one, two, one], BadInput, r"^cases\[2\]: is cases\[0\] again$"),
        ([one, "x"], CaseNotFound, "there is no case 'x'"),
        ([str(n) for n in range(1_001)], BadInput, "^cases: 1001 are not within 1 and 1000$"),
    ):
        with pytest.raises(error, match=message):
            desk.work.render_several(ids, "dsa-sor")
    with pytest.raises(BadInput, match=r"^format 'fax' is unknown"):
        desk.work.render_several([one, two], "fax")
    with pytest.raises(BadInput, match=r"^language: 'xx' is none of en, nl, fr, de$"):
        desk.work.render_several([one, two], "dsa-sor", language="xx")


def test_a_batched_cybertip_is_held_to_the_schema_that_the_operator_has(desk: Desk, tmp_path: Path) -> None:
    reporter = replace(desk.config.reporter, first_name="An", last_name="Example", cybertip_xsd=str(tmp_path / "no"))
    work = Casework(desk.catalog, replace(desk.config, reporter=reporter), KEY, now=lambda: NOW)
    ids = [desk.open(viral=True, subject=Subject(f"user-{n}"), keep_subject=Keep.CASE).case_id for n in range(2)]
    assert desk.work.get(ids[0]).case.viral
    with pytest.raises(BadConfig, match="cannot read"):
        work.render_several(ids, "cybertip")


def test_rows_for_hotlines_stand_under_one_header_in_that_order(desk: Desk) -> None:
    ids = [desk.open(note=str(n)).case_id for n in range(3)][::-1]
    header, *rows = desk.work.render_several(ids, "iccam").body.splitlines()
    assert header.startswith(b"report_id,")
    assert [row.partition(b",")[0].decode() for row in rows] == ids


def test_complaints_are_figures_and_move_nothing(desk: Desk) -> None:
    case = desk.open()
    desk.work.complain(case.case_id, upheld=False, actor="anna", reason="the decision stands")
    after = desk.work.complain(case.case_id, upheld=True, actor="anna", reason="another picture")
    assert after == desk.work.get(case.case_id).case == case
    counted = {row.counter: row.count for row in desk.work.counted(NOW.date(), NOW.date())}
    assert (counted[Counter.COMPLAINTS], counted[Counter.COMPLAINTS_UPHELD]) == (2, 1)
    assert [event.what for event in desk.work.get(case.case_id).events] == ["opened", "complaint", "complaint upheld"]
    with pytest.raises(BadInput, match="reason: is required"):
        desk.work.complain(case.case_id, upheld=True, actor="anna", reason=" ")


def test_a_rejection_leaves_the_word_to_the_store_that_keeps_the_file(desk: Desk) -> None:
    case = desk.open()
    desk.work.hold(case.case_id, "store://17", actor="anna")
    desk.work.find(case.case_id, confirmed=False, actor="ben", reason="another picture")
    (told,) = desk.work.outbox.of_case(case.case_id)
    assert (told.format, told.state) == ("hold", DeliveryState.QUEUED)


def test_a_dry_run_is_no_figure(desk: Desk) -> None:
    dry = replace(desk.config.outbox.outlets["hook"], dry_run=True)
    config = replace(desk.config, outbox=replace(desk.config.outbox, outlets={"hook": dry}))
    work = Casework(desk.catalog, config, KEY, now=lambda: NOW)
    case = desk.open()
    work.send(case.case_id, Sending(outlet="hook", environment=TEST, format="stix"), actor="anna")
    (taken,) = work.outbox.take("hook", NOW, dt.timedelta(minutes=5), 1)
    settled = Settled(DeliveryEvent.ARRIVE, NOW, "a dry run: nothing was sent")
    work.outbox.settle(taken, settled, "outbox", NOW)
    assert Counter.REPORTED not in {row.counter for row in work.counted(NOW.date(), NOW.date())}


def test_an_answer_is_counted_also_where_no_hit_has_its_verdict() -> None:
    report = cases.report(cases.hit(verdict=Verdict.POSSIBLE_MATCH), verdict=Verdict.MATCH)
    assert [(row.counter, row.set_name) for row in of_report(report)] == [(Counter.CHECKED, ""), (Counter.MATCH, "")]
