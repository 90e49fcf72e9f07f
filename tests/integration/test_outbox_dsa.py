"""Statements of reasons to the simulated Transparency Database: once each, whatever breaks on the way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from hashmatch.errors import BadConfig
from hashmatch.model.cases import Case, Document, Environment
from hashmatch.outbox.dsa_database import DsaDatabase
from hashmatch.outbox.parcels import Again, Delivered, Outcome, Parcel, Refused
from hashmatch.projections import dsa_notice, dsa_statement
from hashmatch.sections import OutboxConfig
from tests.support.receivers import dsa
from tests.support.union_cases import CASES, CONTEXT, CSAM

CONFIG = OutboxConfig(timeout_s=300, connect_timeout_s=300)
PUID = dsa_statement.puid_of(CSAM.case_id)
STATEMENT = dsa_statement.render(CSAM, CONTEXT)
BATCH = dsa_statement.render_batch(list(CASES.values()), CONTEXT)


@pytest.fixture
async def database() -> AsyncIterator[dsa.Database]:
    async with dsa.Database() as running:
        yield running


@pytest.fixture
async def outlet(database: dsa.Database) -> AsyncIterator[DsaDatabase]:
    made = opened(database.url)
    yield made
    await made.close()


def opened(url: str, environment: Environment = Environment.TEST, token: str = dsa.TOKEN) -> DsaDatabase:
    return DsaDatabase("transparency", urlsplit(url), environment, {"token": token}, CONFIG)


def parcel(document: Document = STATEMENT, **given: Any) -> Parcel:
    values: dict[str, Any] = {"delivery_id": "d-1", "case_id": CSAM.case_id, "key": "key-1"}
    return Parcel(**(values | {"environment": Environment.TEST} | given), document=document)


async def unsaved(progress: Mapping[str, str]) -> None:
    raise AssertionError(f"nothing is saved, and {dict(progress)} was")


async def deliver(outlet: DsaDatabase, document: Document = STATEMENT, **given: Any) -> Outcome:
    return await outlet.deliver(parcel(document, **given), unsaved)


def altered(document: Document, **changes: Any) -> Document:
    tree = json.loads(document.body) | changes
    return replace(document, body=json.dumps(tree).encode())


def batch_of(*cases: Case) -> Document:
    return dsa_statement.render_batch(cases, CONTEXT)


# --- statements --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
async def test_a_statement_of_every_domain_is_stored(name: str, database: dsa.Database, outlet: DsaDatabase) -> None:
    document = dsa_statement.render(CASES[name], CONTEXT)
    outcome = await deliver(outlet, document)
    (stored,) = database.statements.values()
    assert outcome == Delivered(stored["uuid"], "stored: 1 statement")
    assert stored.items() >= json.loads(document.body).items()
    assert database.requests == ["POST /api/v1/statement"]


async def test_a_second_try_finds_the_first(database: dsa.Database, outlet: DsaDatabase) -> None:
    first = await deliver(outlet)
    again = await deliver(outlet)
    assert isinstance(first, Delivered)
    assert again == Delivered(first.external_id, "was there already: 1 statement")
    assert database.requests[2:] == [f"GET /api/v1/statement/existing-puid/{PUID}"]
    assert len(database.statements) == 1


@pytest.mark.parametrize("fault", ["lost", "late-error"])
async def test_an_answer_that_is_lost_after_storing_doubles_nothing(
    fault: str, database: dsa.Database, outlet: DsaDatabase
) -> None:
    database.faults.append(fault)
    assert isinstance(await deliver(outlet), Again)
    assert len(database.statements) == 1
    assert await deliver(outlet, attempt=2) == Delivered(
        database.statements[PUID]["uuid"], "was there already: 1 statement"
    )


@pytest.mark.parametrize("fault", ["dropped", "error", "down"])
async def test_what_fails_before_storing_is_stored_the_next_time(
    fault: str, database: dsa.Database, outlet: DsaDatabase
) -> None:
    database.faults.append(fault)
    assert isinstance(await deliver(outlet), Again)
    assert database.statements == {}
    assert isinstance(await deliver(outlet, attempt=2), Delivered)


async def test_a_process_that_died_after_sending_leaves_nothing_to_double(database: dsa.Database) -> None:
    killed, next_one = opened(database.url), opened(database.url)
    await deliver(killed)
    await killed.close()
    outcome = await deliver(next_one, attempt=2)
    await next_one.close()
    assert isinstance(outcome, Delivered)
    assert len(database.statements) == 1


async def test_a_busy_database_is_left_alone_as_long_as_it_asks(database: dsa.Database, outlet: DsaDatabase) -> None:
    database.faults.append("busy")
    assert await deliver(outlet) == Again("127.0.0.1: api/v1/statement: HTTP 429", 7.0)


async def test_a_taken_identifier_without_a_statement_is_not_believed(
    database: dsa.Database, outlet: DsaDatabase
) -> None:
    database.noted.add(PUID)
    outcome = await deliver(outlet)
    assert outcome == Again(
        "127.0.0.1: says that the puid is taken, and finds no statement of it yet; where that stays so, the database "
        "has noted the puid without the statement: ask its operators"
    )


async def test_a_statement_that_the_search_does_not_have_yet_is_asked_for_again(
    database: dsa.Database, outlet: DsaDatabase
) -> None:
    await deliver(outlet)
    database.hidden.add(PUID)
    assert isinstance(await deliver(outlet), Again)
    database.hidden.clear()
    assert isinstance(await deliver(outlet), Delivered)


@pytest.mark.parametrize("fault", ["busy", "error", "dropped", "forbidden"])
async def test_asking_for_an_identifier_can_fail_too(fault: str, database: dsa.Database, outlet: DsaDatabase) -> None:
    await deliver(outlet)
    database.faults += [
        "",
        fault,
        fault,
    ]  # the library asks once more where a connection breaks, but does so for GET only
    outcome = await deliver(outlet)
    assert isinstance(outcome, Refused if fault == "forbidden" else Again)
    assert len(database.requests) == (4 if fault == "dropped" else 3)
    assert len(database.statements) == 1


# --- refusals ----------------------------------------------------------------------------------------------------


async def test_a_refusal_names_the_fields_and_repeats_nothing_of_them(
    database: dsa.Database, outlet: DsaDatabase
) -> None:
    document = altered(
        STATEMENT, category="STATEMENT_CATEGORY_SCOPE_OF_PLATFORM_SERVICE", decision_facts="secret " * 1000
    )
    assert await deliver(outlet, document) == Refused("127.0.0.1: refused because of category, decision_facts")
    assert database.statements == {}


@pytest.mark.parametrize("fault", ["nothing-named", "no-json"])
async def test_a_refusal_without_fields_says_so(fault: str, database: dsa.Database, outlet: DsaDatabase) -> None:
    database.faults.append(fault)
    assert await deliver(outlet) == Refused("127.0.0.1: the statement was refused, and no field named (HTTP 422)")


async def test_a_wrong_token_is_refused_and_not_shown(database: dsa.Database) -> None:
    outlet = opened(database.url, token="another-token")  # noqa: S106 - opens nothing
    assert await deliver(outlet) == Refused(
        "127.0.0.1: api/v1/statement: HTTP 401: the token was refused; renew it and send the delivery again"
    )
    assert repr(outlet) == "<DsaDatabase test: <Wire 127.0.0.1: open>>"
    await outlet.close()


async def test_a_redirect_is_not_followed(database: dsa.Database, outlet: DsaDatabase) -> None:
    database.faults.append("moved")
    assert await deliver(outlet) == Refused("127.0.0.1: api/v1/statement: HTTP 308")


async def test_stored_without_a_name_is_asked_for(database: dsa.Database, outlet: DsaDatabase) -> None:
    database.faults.append("stored-nameless")
    assert await deliver(outlet) == Again("127.0.0.1: says stored and names no statement; asked again by its puid")


async def test_other_formats_are_not_sent(database: dsa.Database, outlet: DsaDatabase) -> None:
    notice = dsa_notice.render(CSAM, CONTEXT)
    assert await deliver(outlet, notice) == Refused("the database takes dsa-sor and dsa-sor-batch, not dsa16")
    assert database.requests == []


# --- batches -----------------------------------------------------------------------------------------------------


async def test_a_batch_is_stored_and_a_second_try_finds_it(database: dsa.Database, outlet: DsaDatabase) -> None:
    database.faults.append("lost")
    assert isinstance(await deliver(outlet, BATCH), Again)
    ids = ",".join(stored["uuid"] for stored in database.statements.values())
    assert await deliver(outlet, BATCH) == Delivered(ids, "was there already: 5 statements")
    assert len(database.statements) == 5


async def test_a_batch_names_its_statements(database: dsa.Database, outlet: DsaDatabase) -> None:
    outcome = await deliver(outlet, BATCH)
    ids = ",".join(stored["uuid"] for stored in database.statements.values())
    assert outcome == Delivered(ids, "stored: 5 statements")


async def test_a_batch_with_a_wrong_statement_is_not_stored_and_the_statement_is_named(
    database: dsa.Database, outlet: DsaDatabase
) -> None:
    cases = [replace(CSAM, case_id=f"case-{number}") for number in range(12)]
    tree = json.loads(batch_of(*cases).body)
    tree["statements"][3]["content_date"] = "1999-12-31"
    del tree["statements"][11]["category"], tree["statements"][11]["puid"]
    outcome = await deliver(outlet, replace(BATCH, body=json.dumps(tree).encode()))
    assert outcome == Refused(
        "127.0.0.1: nothing of the batch was stored; refused statements[3] because of content_date, "
        "statements[11] because of category, puid"
    )
    assert database.statements == {}


async def test_a_batch_of_which_a_part_is_there_names_that_part(database: dsa.Database, outlet: DsaDatabase) -> None:
    await deliver(outlet, dsa_statement.render(CASES["thb"], CONTEXT))
    assert await deliver(outlet, BATCH) == Refused(
        "127.0.0.1: nothing of the batch was stored, because statements[1] is there already; send the others without"
    )
    assert len(database.statements) == 1


# --- the simulator -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"puid": "a b"}, "puid"),
        ({"puid": "x" * 501}, "puid"),
        ({"decision_visibility": ["DECISION_VISIBILITY_OTHER"]}, "decision_visibility_other"),
        ({"decision_monetary": "DECISION_MONETARY_OTHER"}, "decision_monetary_other"),
        ({"content_type": ["CONTENT_TYPE_OTHER"]}, "content_type_other"),
        ({"illegal_content_legal_ground": ""}, "illegal_content_legal_ground"),
        ({"decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT", "incompatible_content_ground": "x"}, ""),
        ({"category_specification": ["KEYWORD_DANGEROUS_TOYS"]}, "category_specification"),
        ({"territorial_scope": ["EL"]}, "territorial_scope"),
        ({"content_date": "1999-12-31"}, "content_date"),
        ({"application_date": "2025-02-30"}, "application_date"),
        ({"end_date_account_restriction": "2038-01-02"}, "end_date_account_restriction"),
        ({"content_id": {"EAN-13": "1"}}, "content_id"),
        ({"automated_detection": True}, "automated_detection"),
        ({"hash": "00"}, "hash"),
    ],
)
def test_the_simulator_has_the_rules_of_the_database(changes: dict[str, Any], field: str) -> None:
    statement = json.loads(STATEMENT.body)
    assert dsa.errors_of(statement) == {}
    assert list(dsa.errors_of(statement | changes)) == [field or "incompatible_content_explanation"]


async def test_the_simulator_finds_statements_by_their_number(database: dsa.Database, outlet: DsaDatabase) -> None:
    outcome = await deliver(outlet)
    assert isinstance(outcome, Delivered)
    headers = {"Authorization": f"Bearer {dsa.TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"{database.url}/api/v1/statement/{outcome.external_id}") as answer:
            assert (await answer.json())["puid"] == PUID
        async with session.get(f"{database.url}/api/v1/statement/another") as answer:
            assert answer.status == 404


# --- construction ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "environment", "message"),
    [
        (
            "https://transparency.dsa.ec.europa.eu",
            Environment.TEST,
            "transparency.dsa.ec.europa.eu is a production host",
        ),
        (
            "https://sandbox-transparency.dsa.ec.europa.eu",
            Environment.PRODUCTION,
            "sandbox-transparency.dsa.ec.europa.eu is a test host",
        ),
        ("http://127.0.0.1:1", Environment.PRODUCTION, "127.0.0.1 is a test host"),
    ],
)
async def test_a_host_of_the_other_environment_is_refused(url: str, environment: Environment, message: str) -> None:
    with pytest.raises(BadConfig) as caught:
        opened(url, environment)
    assert caught.value.message == (
        f"outbox.outlets.transparency.url: {message}, and outbox.outlets.transparency.environment says "
        f"{environment.value}; nothing was asked of it"
    )


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("https://transparency.dsa.ec.europa.eu", Environment.PRODUCTION),
        ("https://sandbox-transparency.dsa.ec.europa.eu", Environment.TEST),
        ("http://localhost:1", Environment.TEST),
    ],
)
async def test_a_host_of_its_environment_is_taken(url: str, environment: Environment) -> None:
    assert environment.value in repr(opened(url, environment))
