"""Signed webhooks against a receiver that verifies them."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from hashmatch import addresses, webhooks
from hashmatch.errors import BadConfig, BadSignature
from hashmatch.model.cases import Document, Environment
from hashmatch.outbox.parcels import Again, Delivered, Outcome, Parcel, Progress, Refused
from hashmatch.outbox.webhook import WebhookOutlet
from hashmatch.sections import OutboxConfig
from tests.support.receivers.hooks import NOW, SECRET, Hooks

CONFIG = OutboxConfig(timeout_s=300, connect_timeout_s=300)
PARCEL = Parcel(
    "d-1",
    "case-1",
    "key-1",
    Environment.TEST,
    Document("hold", "application/json", "hold.json", '{"é": 1}'.encode()),
)


async def nothing(progress: Progress) -> None:
    raise AssertionError(f"a webhook has no steps to save: {progress}")


@pytest.fixture
async def hooks() -> AsyncIterator[Hooks]:
    async with Hooks() as receiver:
        yield receiver


async def delivered(url: str, parcel: Parcel = PARCEL, secrets: Mapping[str, str] | None = None) -> Outcome:
    outlet = WebhookOutlet("desk", urlsplit(url), secrets or {"secret": SECRET}, CONFIG, clock=lambda: NOW)
    try:
        return await outlet.deliver(parcel, nothing)
    finally:
        await outlet.close()


async def test_a_webhook_arrives_as_it_was_signed(hooks: Hooks) -> None:
    assert await delivered(hooks.url) == Delivered("", "127.0.0.1: HTTP 204")
    assert hooks.taken == {"key-1": PARCEL.document.body}
    ((headers, _),) = hooks.requests
    assert headers["Content-Type"] == "application/json"
    assert {name: headers[name] for name in ("Hashmatch-Timestamp", "Hashmatch-Delivery", "Hashmatch-Environment")} == {
        "Hashmatch-Timestamp": "1795858200",
        "Hashmatch-Delivery": "key-1",
        "Hashmatch-Environment": "test",
    }


async def test_one_whose_answer_is_lost_is_sent_again_and_kept_once(hooks: Hooks) -> None:
    hooks.faults.append("lost")
    first = await delivered(hooks.url)
    assert first == Again("127.0.0.1: POST /hook: the connection failed (ServerDisconnectedError)")
    assert await delivered(hooks.url, replace(PARCEL, attempt=2)) == Delivered("", "127.0.0.1 had it already")
    assert (len(hooks.requests), list(hooks.taken)) == (2, ["key-1"])


@pytest.mark.parametrize(
    ("fault", "outcome", "taken"),
    [
        ("busy", Again("127.0.0.1: HTTP 429", 7.0), 0),
        ("down", Again("127.0.0.1: HTTP 503"), 0),
        ("gone", Refused("127.0.0.1 does not take it: HTTP 410"), 0),
        ("unwanted", Refused("127.0.0.1 does not take it: HTTP 422"), 0),
        (
            "moved",
            Refused("127.0.0.1 redirects (HTTP 308), which is not followed; set the outlet's url to the target"),
            0,
        ),
        ("accepted-packed", Delivered("", "127.0.0.1: HTTP 202"), 1),
        ("accepted-numbered", Delivered("case 9/3", "127.0.0.1: HTTP 201"), 1),
        ("accepted-overlong", Delivered("", "127.0.0.1: HTTP 201"), 1),
    ],
)
async def test_what_the_receiver_answers_is_the_outcome(hooks: Hooks, fault: str, outcome: Outcome, taken: int) -> None:
    hooks.faults.append(fault)
    assert await delivered(hooks.url) == outcome
    assert (len(hooks.requests), len(hooks.taken)) == (1, taken)


async def test_a_receiver_with_another_secret_refuses(hooks: Hooks) -> None:
    assert await delivered(hooks.url, secrets={"secret": "x" * 32}) == Refused("127.0.0.1 does not take it: HTTP 401")
    assert hooks.refused == ["Hashmatch-Signature does not hold: another secret, or the body is not as it was"]


async def test_nobody_there_is_tried_again(hooks: Hooks) -> None:
    url = hooks.url
    async with Hooks() as other:
        url = other.url
    assert await delivered(url) == Again("127.0.0.1: no connection (ClientConnectorError)")


async def test_parts_that_say_the_body_again_for_mail_are_left_out(hooks: Hooks) -> None:
    document = replace(PARCEL.document, parts=(("text", b"again"), ("subject", b"again")))
    outcome = await delivered(hooks.url, replace(PARCEL, document=document))
    assert isinstance(outcome, Delivered)
    assert len(hooks.taken) == 1


async def test_a_document_in_parts_is_refused_before_anything_is_sent(hooks: Hooks) -> None:
    document = replace(PARCEL.document, format="cybertip", parts=(("fileDetails", b"<x/>"),))
    assert await delivered(hooks.url, replace(PARCEL, document=document)) == Refused(
        "a webhook has one body; cybertip has the parts fileDetails too: use a folder"
    )
    assert hooks.requests == []


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(BadConfig) as refused:
        WebhookOutlet("desk", urlsplit("https://example.org/"), {"secret": "short"}, CONFIG)
    assert refused.value.message == ("outbox.outlets.desk.credentials: the secret has 5 bytes; at least 32 make it one")
    assert refused.value.field == "outbox.outlets.desk.credentials"


def test_beyond_this_machine_it_is_https() -> None:
    with pytest.raises(BadConfig, match=r"example\.org must be reached over TLS"):
        addresses.parsed("outbox.outlets.desk.url", "http://example.org/hook")


def test_a_repr_shows_no_secret() -> None:
    outlet = WebhookOutlet("desk", urlsplit("https://example.org/hook"), {"secret": SECRET}, CONFIG)
    assert repr(outlet) == "<WebhookOutlet <Wire example.org: closed>>"


async def test_a_receiver_may_play_back_nothing_later(hooks: Hooks) -> None:
    """What was recorded is old for whoever gets it afterwards; see tests/unit/test_webhooks.py for the rest."""
    await delivered(hooks.url)
    ((headers, body),) = hooks.requests
    late = NOW + webhooks.TOLERANCE + dt.timedelta(seconds=1)
    with pytest.raises(BadSignature, match="301 s old; at most 300 s"):
        webhooks.verify(headers, body, SECRET.encode(), late)
