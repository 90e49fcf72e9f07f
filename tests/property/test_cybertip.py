"""Any case is either refused for a reason or becomes a CyberTip that NCMEC's order and flags allow."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from hashmatch.errors import BadReport
from hashmatch.model import HarmDomain, Label, Verdict
from hashmatch.model.cases import (
    Account,
    Case,
    CaseHash,
    CaseMatch,
    CaseMedia,
    Decision,
    Ground,
    Locator,
    NetworkEvent,
    PriorReport,
    Source,
    Subject,
    Visibility,
)
from hashmatch.projections import cybertip
from hashmatch.projections.cybertip_file import with_ids
from hashmatch.projections.cybertip_rules import ANNOTATIONS, EVENTS, Extras
from hashmatch.projections.cybertip_schema import validate_document
from hashmatch.projections.cybertip_xml import disorder
from tests.support import tips
from tests.support.receivers.ispws_order import faults

TEXT = st.text(max_size=40)
"""Whatever: half pairs and control characters too, which XML cannot carry."""
PLAIN = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=40
)
MOMENT = st.datetimes(
    dt.datetime(1969, 1, 1), tips.NOW.replace(tzinfo=None) + dt.timedelta(minutes=9),  # noqa: DTZ001
    timezones=st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=45, seconds=7))]),
)  # fmt: skip
PAST = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2025, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001


Texts = st.SearchStrategy[str]
Moments = st.SearchStrategy[dt.datetime]


def subjects(text: Texts, moment: Moments) -> st.SearchStrategy[Subject]:
    """Draw accounts."""
    events = st.builds(
        NetworkEvent,
        ip=st.ip_addresses().map(str),
        event=st.sampled_from(["", *EVENTS]),
        at=st.none() | moment,
        port=st.none() | st.integers(1, 65_535),
        possible_proxy=st.booleans(),
    )
    return st.builds(
        Subject,
        account_id=text,
        screen_name=text,
        display_names=st.lists(text, max_size=2).map(tuple),
        profile_url=text,
        emails=st.lists(text, max_size=2).map(tuple),
        phones=st.lists(text, max_size=2).map(tuple),
        network_events=st.lists(events, max_size=3).map(tuple),
        note=text,
    )


def decisions(text: Texts, moment: Moments) -> st.SearchStrategy[Decision]:
    """Draw what was done."""
    return st.builds(
        Decision,
        visibility=st.sampled_from([None, *Visibility]),
        account=st.sampled_from([None, *Account]),
        account_at=st.none() | moment,
        account_user_notified=st.booleans(),
        ground=st.sampled_from(Ground),
        legal_basis=text,
    )


def matches(text: Texts) -> st.SearchStrategy[CaseMatch]:
    """Draw what a file met."""
    return st.builds(
        CaseMatch,
        list_name=text,
        list_id=text,
        list_version=st.integers(1, 9),
        entry_id=text,
        domain=st.just(HarmDomain.CSAM),
        algorithm=st.just("pdq"),
        distance=st.integers(0, 31),
        max_distance=st.just(31),
        transformation=text,
        verdict=st.sampled_from(Verdict),
        labels=st.lists(st.builds(Label, text, text, text), max_size=2).map(tuple),
    )


def media(text: Texts, moment: Moments) -> st.SearchStrategy[CaseMedia]:
    """Draw what is known of a file."""
    return st.builds(
        CaseMedia,
        mime=text,
        size_bytes=st.integers(0, 9),
        width_px=st.integers(0, 9),
        frames=st.integers(0, 3),
        file_name=text,
        uploaded_at=st.none() | moment,
        created_with_ai=st.booleans(),
    )


def cases(text: Texts, moment: Moments) -> st.SearchStrategy[Case]:
    """Draw cases with these texts and times."""
    return st.builds(
        Case,
        case_id=text,
        domain=st.sampled_from([HarmDomain.CSAM, HarmDomain.THB]),
        occurred_at=moment,
        observed_at=st.just(tips.NOW) | moment,
        created_at=st.just(tips.NOW),
        viewed_by_human=st.booleans(),
        exif_viewed=st.booleans(),
        minor_involved=st.just(value=True),
        platform=text,
        service=text,
        item_id=text,
        locator=st.builds(Locator, urls=st.lists(text, max_size=2).map(tuple), content_ref=text),
        media=media(text, moment),
        hashes=st.lists(
            st.builds(CaseHash, st.sampled_from(["md5", "pdq", "phash"]), st.binary(min_size=16, max_size=32)),
            max_size=2,
        ).map(tuple),
        matches=st.lists(matches(text), max_size=2).map(tuple),
        receipt_id=text,
        publicly_available=st.none() | st.booleans(),
        source=st.sampled_from(Source),
        source_identity=text,
        decision=st.none() | decisions(text, moment),
        subject=st.none() | subjects(text, moment),
        urgent=text,
        viral=st.booleans(),
        potential_meme=st.booleans(),
        classification=st.sampled_from(["", "A1", "B2", "A3"]),
        prior_reports=st.lists(
            st.builds(PriorReport, st.sampled_from(["NCMEC", "Police"]), st.sampled_from(["12", "x"])), max_size=2
        ).map(tuple),
        note=text,
    )


EXTRAS = st.builds(
    Extras,
    annotations=st.lists(st.sampled_from(sorted(ANNOTATIONS)), unique=True).map(tuple),
    supplemental=st.booleans(),
)


def check(case: Case, extras: Extras) -> bool:
    """Hold a case to the property; return whether it was rendered."""
    case = replace(case, matches=tuple(replace(match, domain=case.domain) for match in case.matches))
    if cybertip.problems(case, tips.REPORTER, tips.NOW, extras):
        with pytest.raises(BadReport, match=r"^CyberTip: "):
            cybertip.render(case, tips.CONTEXT, extras)
        return False
    document = cybertip.render(case, tips.CONTEXT, extras)
    details = with_ids(dict(document.parts)["fileDetails"], "1", "0" * 32)
    for xml in (document.body, details):
        root = etree.fromstring(xml)
        assert list(disorder(root)) == []
        assert list(faults(root)) == []
    root = etree.fromstring(details)
    assert root.findtext("fileViewedByEsp") == ("true" if case.viewed_by_human else "false")
    assert root.findtext("exifViewedByEsp") == ("true" if case.exif_viewed else "false")
    assert b"false</viral>" not in details
    if (schema := tips.schema()) is not None:
        validate_document(document, schema)
    return True


@given(cases(TEXT, MOMENT), EXTRAS)
def test_any_case_is_refused_or_told_in_order(case: Case, extras: Extras) -> None:
    check(case, extras)


@given(cases(PLAIN.map(str.strip), PAST), EXTRAS)
def test_a_case_with_nothing_wrong_is_told_in_order(case: Case, extras: Extras) -> None:
    sound = replace(
        case,
        observed_at=tips.NOW,
        exif_viewed=case.exif_viewed and case.viewed_by_human,
        classification="" if extras.supplemental or case.classification == "A3" else case.classification,
        potential_meme=case.potential_meme and not extras.supplemental,
        hashes=tuple(
            replace(one, value=one.value[:16].ljust(32 if one.algorithm == "pdq" else 16)) for one in case.hashes
        ),
        prior_reports=tuple(replace(one, reference="12") for one in case.prior_reports),
        decision=case.decision and replace(
            case.decision,
            account_user_notified=case.decision.account_user_notified and case.decision.account is not None,
        ),
        subject=case.subject and replace(
            case.subject,
            network_events=tuple(
                replace(one, ip=one.ip.partition("%")[0]) for one in case.subject.network_events
            ),
        ),
    )  # fmt: skip
    assert check(sound, extras)
