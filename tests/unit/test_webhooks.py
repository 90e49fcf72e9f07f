"""Signatures of webhooks: tampered with, replayed, made with another secret."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.client import Webhook, verify_webhook
from hashmatch.errors import BadSignature
from hashmatch.webhooks import sign

SECRET = b"made-up-secret-of-forty-characters-0123"
NOW = dt.datetime(2026, 11, 28, 9, 30, tzinfo=dt.UTC)
BODY = b'{"format": "hold"}'
HEADERS = sign(SECRET, BODY, NOW, "key-1", "test")
DOES_NOT_HOLD = "Hashmatch-Signature does not hold: another secret, or the body is not as it was"


def refusal(headers: dict[str, str], body: bytes = BODY, now: dt.datetime = NOW) -> tuple[str, str | None]:
    with pytest.raises(BadSignature) as refused:
        verify_webhook(headers, body, SECRET, now)
    return refused.value.message, refused.value.field


def test_the_signature_is_hmac_sha256_of_time_dot_body() -> None:
    expected = hmac.new(SECRET, b"1795858200." + BODY, hashlib.sha256).hexdigest()
    assert {
        "Hashmatch-Timestamp": "1795858200",
        "Hashmatch-Signature": f"v1={expected}",
        "Hashmatch-Delivery": "key-1",
        "Hashmatch-Environment": "test",
    } == HEADERS


def test_what_was_signed_verifies_whatever_the_case_of_names() -> None:
    for headers in (HEADERS, {name.lower(): value for name, value in HEADERS.items()}):
        assert verify_webhook(headers, BODY, SECRET, NOW) == Webhook("key-1", "test", NOW)


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("empty", [True, False])
def test_a_header_that_is_missing_is_named(name: str, empty: object) -> None:
    headers = {**HEADERS, name: ""} if empty else {key: value for key, value in HEADERS.items() if key != name}
    assert refusal(headers) == (f"the webhook has no {name}", name)


def test_all_headers_that_are_missing_are_named() -> None:
    message, field = refusal({"Hashmatch-Timestamp": "1"})
    assert message == "the webhook has no Hashmatch-Signature, Hashmatch-Delivery, Hashmatch-Environment"
    assert field == "Hashmatch-Signature"


@pytest.mark.parametrize("time", ["-1", "1.5", "now", "1" * 12, "١٢٣", " 1795858200"])
def test_a_time_that_is_none_is_refused(time: str) -> None:
    assert refusal({**HEADERS, "Hashmatch-Timestamp": time}) == (
        "Hashmatch-Timestamp is no time in seconds",
        "Hashmatch-Timestamp",
    )


@pytest.mark.parametrize(
    ("apart_s", "message"),
    [
        (301, "the signature is 301 s old; at most 300 s are tolerated"),
        (-301, "the signature is 301 s ahead; at most 300 s are tolerated"),
        (86_400 * 365, "the signature is 31536000 s old; at most 300 s are tolerated"),
    ],
)
def test_a_signature_from_another_time_is_refused(apart_s: int, message: str) -> None:
    assert refusal(HEADERS, now=NOW + dt.timedelta(seconds=apart_s)) == (message, "Hashmatch-Timestamp")


@pytest.mark.parametrize("apart_s", [300, -300, 0])
def test_the_tolerance_is_inclusive(apart_s: int) -> None:
    assert verify_webhook(HEADERS, BODY, SECRET, NOW + dt.timedelta(seconds=apart_s)).delivery == "key-1"


def test_the_tolerance_is_the_receivers() -> None:
    late = NOW + dt.timedelta(hours=1)
    assert verify_webhook(HEADERS, BODY, SECRET, late, dt.timedelta(hours=1)).signed_at == NOW


def test_a_replay_with_a_new_time_does_not_hold() -> None:
    late = NOW + dt.timedelta(hours=1)
    headers = {**HEADERS, "Hashmatch-Timestamp": str(int(late.timestamp()))}
    assert refusal(headers, now=late) == (DOES_NOT_HOLD, "Hashmatch-Signature")


@pytest.mark.parametrize(
    "signature",
    [
        HEADERS["Hashmatch-Signature"][:-1],
        HEADERS["Hashmatch-Signature"].removeprefix("v1="),
        HEADERS["Hashmatch-Signature"].replace("v1=", "v0="),
        HEADERS["Hashmatch-Signature"].upper(),
        "v1=",
        "v1=é\udcff",
        ",".join(["v1=00"] * 8 + [HEADERS["Hashmatch-Signature"]]),
    ],
)
def test_a_signature_that_is_not_ours_does_not_hold(signature: str) -> None:
    assert refusal({**HEADERS, "Hashmatch-Signature": signature}) == (DOES_NOT_HOLD, "Hashmatch-Signature")


def test_one_of_several_is_enough_while_a_secret_is_changed() -> None:
    both = f"v0=x, v1={'0' * 64} , {HEADERS['Hashmatch-Signature']}"
    assert verify_webhook({**HEADERS, "Hashmatch-Signature": both}, BODY, SECRET, NOW).delivery == "key-1"


@given(st.binary(max_size=200), st.integers(0, 1 << 31), st.data())
def test_any_flipped_bit_of_the_body_is_seen(body: bytes, seconds: int, data: st.DataObject) -> None:
    at = dt.datetime.fromtimestamp(seconds, dt.UTC)
    headers = sign(SECRET, body, at, "k", "production")
    assert verify_webhook(headers, body, SECRET, at).signed_at == at
    if body:
        place = data.draw(st.integers(0, 8 * len(body) - 1))
        flipped = bytearray(body)
        flipped[place // 8] ^= 1 << place % 8
        assert refusal(headers, bytes(flipped), at)[0] == DOES_NOT_HOLD
    assert refusal(headers, body + b"\n", at)[0] == DOES_NOT_HOLD
