"""What XARF notices and item rows have in common: golden documents, the rules of addresses, and any case at all."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import BadReport, OutletForbidden
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, Locator
from hashmatch.projections import iccam, places, xarf
from tests.support.notice_cases import (
    CONTEXT,
    CSAM,
    CSEM,
    GOLDEN,
    HOTLINE,
    SECRETS,
    VECTORS,
    on,
    rows,
    strange,
)
from tests.support.union_cases import NOW, in_domain
from tests.support.xarf_schema import VALIDATOR

FORMATS = [pytest.param(module, id=module.FORMAT) for module in (xarf, iccam)]
NAMES = [name for name in GOLDEN if name.startswith(("xarf/", "iccam/"))]

# --- golden documents and schemas --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_documents_are_the_golden_ones(name: str) -> None:
    case, context, render = GOLDEN[name]
    document = render(case, context)
    assert document.body == (VECTORS / name).read_bytes()
    assert render(case, context) == document


def test_there_is_a_golden_document_for_every_file_and_the_other_way_round() -> None:
    files = {f"{kind}/{path.name}" for kind in ("xarf", "iccam") for path in (VECTORS / kind).iterdir()}
    assert files == set(NAMES)


@pytest.mark.parametrize("module", FORMATS)
@pytest.mark.parametrize("domain", sorted(set(HarmDomain) - {HarmDomain.CSAM, HarmDomain.CSE_EXPLOITATIVE}))
def test_other_domains_have_none(module: ModuleType, domain: HarmDomain) -> None:
    with pytest.raises(OutletForbidden, match=f"domain: {domain.value} is never reported as {module.FORMAT}"):
        module.render(in_domain(domain, "a-list", CSAM), CONTEXT)


@pytest.mark.parametrize("module", FORMATS)
def test_the_guard_of_domains_is_asked_first(module: ModuleType) -> None:
    with pytest.raises(OutletForbidden, match="the case says cse_exploitative, its matches are in lists of csam"):
        module.render(replace(CSAM, domain=HarmDomain.CSE_EXPLOITATIVE, hashes=(), locator=Locator()), CONTEXT)


@pytest.mark.parametrize("module", FORMATS)
@pytest.mark.parametrize("case", [CSAM, CSEM], ids=["csam", "csem"])
def test_nothing_of_the_subject_or_of_the_file_name_is_told(module: ModuleType, case: Case) -> None:
    document = module.render(case, CONTEXT)
    text = b"\0".join((document.body, *(body for _, body in document.parts))).decode()
    assert [secret for secret in (*SECRETS, "holiday.jpg") if secret in text] == []


# --- rules -------------------------------------------------------------------------------------------------------

ADDRESS = "expected http:// or https://, a host, and no user name (address)"
CHARACTERS = (
    'holds what no address holds: a space, a control character or one of "<>\\^`{|}; percent-encode it (characters)'
)
ASCII = "the host is not valid in ASCII; names in other scripts are written in punycode (host)"
BOTH: dict[str, tuple[Case, str]] = {
    "no scheme": (on("img.example.org/1"), f"locator.urls[0]: {ADDRESS}"),
    "another scheme": (on("https://img.example.org/", "ftp://img.example.org/1"), f"locator.urls[1]: {ADDRESS}"),
    "a user": (on("https://someone@img.example.org/1"), f"locator.urls[0]: {ADDRESS}"),
    "no port": (on("https://img.example.org:99999/1"), f"locator.urls[0]: {ADDRESS}"),
    "brackets": (on("https://[img/1"), f"locator.urls[0]: {ADDRESS}"),
    "a space": (on("https://img.example.org/a b"), f"locator.urls[0]: {CHARACTERS}"),
    "a line": (on("https://img.example.org/a\nb"), f"locator.urls[0]: {CHARACTERS}"),
    "a direction": (on("https://img.example.org/\u202egpj"), f"locator.urls[0]: {CHARACTERS}"),
    "half a character": (on("https://img.example.org/\ud800"), f"locator.urls[0]: {CHARACTERS}"),
    "markup": (on("https://img.example.org/<script>"), f"locator.urls[0]: {CHARACTERS}"),
    "another script": (on("https://bücher.example/1"), f"locator.urls[0]: {ASCII}"),
    "an empty label": (on("https://img..example/1"), f"locator.urls[0]: {ASCII}"),
    "no IP address": (
        replace(CSAM, locator=replace(CSAM.locator, ip="192.0.2.300")),
        "locator.ip: expected an IPv4 or IPv6 address (address)",
    ),
    "no zone": (
        replace(CSAM, observed_at=dt.datetime(2026, 11, 28, 8)),  # noqa: DTZ001 - that is what is wrong with it
        "observed_at: 2026-11-28T08:00:00 has no zone; give an offset, such as Z or +01:00 (zone)",
    ),
    "in the future": (
        replace(CSAM, observed_at=NOW + dt.timedelta(days=1)),
        "observed_at: 2026-11-29T09:30:00+00:00 is in the future (future)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("module", FORMATS)
@pytest.mark.parametrize("name", BOTH)
def test_every_rule_of_both_is_told(module: ModuleType, name: str) -> None:
    case, message = BOTH[name]
    title = "XARF v4" if module is xarf else f"item rows of case {case.case_id}"
    with pytest.raises(BadReport) as refused:
        module.render(case, CONTEXT)
    assert refused.value.message == f"{title}: {message}"
    assert refused.value.field == message.partition(": ")[0]


# --- addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://img.example.org:80/a.b?c.d#e", "hxxp://img[.]example[.]org:80/a.b?c.d#e"),
        ("HTTPS://img.example.org", "hxxpS://img[.]example[.]org"),
        ("https://a.example?x=http://b.example/", "hxxps://a[.]example?x=hxxp://b.example/"),
        ("", ""),
    ],
)
def test_addresses_for_people_are_defanged(url: str, shown: str) -> None:
    assert places.defanged(url) == shown


@pytest.mark.parametrize("url", ["https://img.example.org/?to=a@b", "https://img.example.org/@someone#a@b"])
def test_an_at_sign_behind_the_host_is_no_user(url: str) -> None:
    assert [*places.problems(on(url))] == []


# --- anything that is accepted can be rendered -------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def _cells(body: bytes) -> Iterator[str]:
    for row in csv.reader(io.StringIO(body.decode(), newline=""), strict=True):
        assert len(row) == len(iccam.COLUMNS)
        yield from row


@pytest.mark.parametrize("module", FORMATS)
@given(case=strange(TEXT, (HarmDomain.CSAM, HarmDomain.CSE_EXPLOITATIVE)))
def test_a_case_without_problems_renders_and_one_with_some_does_not(module: ModuleType, case: Case) -> None:
    if [*module.problems(case, HOTLINE, NOW)]:
        with pytest.raises(BadReport):
            module.render(case, CONTEXT)
        return
    body = module.render(case, CONTEXT).body
    if module is xarf:
        VALIDATOR.validate(json.loads(body))
    else:
        assert [cell for cell in _cells(body) if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))] == []
        assert {row["outcome_code"] for row in rows(body)} <= {"MATCH", "NEAR", ""}
