"""Receipts: what proves that a match was made here."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hashmatch.cases import receipt
from hashmatch.errors import BadInput, BadReceipt
from hashmatch.model import Hit, Label, Verdict
from hashmatch.signatures import SigningKey
from tests.support import cases

KEY = SigningKey.generate()


def test_a_receipt_gives_the_report_back_without_its_times() -> None:
    report = cases.report()
    signed = receipt.receipted(report, KEY)
    assert receipt.opened(signed.receipt, KEY.verify_key) == dataclasses.replace(report, elapsed_us={})


@pytest.mark.parametrize("verdict", [Verdict.NO_MATCH, Verdict.NOT_CHECKED])
def test_what_found_nothing_has_none(verdict: Verdict) -> None:
    report = dataclasses.replace(cases.report(), verdict=verdict)
    assert receipt.receipted(report, KEY) is report


def test_every_changed_byte_is_noticed() -> None:
    whole = receipt.issued(cases.report(), KEY)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        with pytest.raises(BadReceipt):
            receipt.opened(bytes(changed), KEY.verify_key)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "receipt: not a receipt; send back MatchReport.receipt as it came"),
        (b"HMR1" + b"\0" * 72, "receipt: not a receipt; send back MatchReport.receipt as it came"),
        (b"x" * (receipt.MAX_BYTES + 1), "receipt: 1048577 bytes are too many; at most 1048576"),
    ],
)
def test_what_is_no_receipt(text: bytes, message: str) -> None:
    with pytest.raises(BadReceipt) as caught:
        receipt.opened(text, KEY.verify_key)
    assert (caught.value.message, caught.value.field) == (message, "receipt")


def test_another_service_says_whose_it_is() -> None:
    other = SigningKey.generate()
    with pytest.raises(BadReceipt) as caught:
        receipt.opened(receipt.issued(cases.report(), other), KEY.verify_key)
    assert other.verify_key.key_id[:16] in caught.value.message
    assert "services behind one address need one key (cases.receipt_key)" in caught.value.message


def test_a_signature_over_a_list_is_none_over_a_report() -> None:
    payload = receipt.issued(cases.report(), KEY)[76:]
    foreign = KEY.sign("application/vnd.hashmatch.manifest+json", payload)
    forged = b"HMR1" + bytes.fromhex(KEY.verify_key.key_id)[:8] + foreign + payload
    with pytest.raises(BadReceipt, match="the signature does not fit"):
        receipt.opened(forged, KEY.verify_key)


def test_the_key_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / receipt.KEY_FILE
    made = receipt.service_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert receipt.service_key(path).verify_key.key_id == made.verify_key.key_id
    path.chmod(0o644)
    with pytest.raises(BadInput, match="others may read the signing key"):
        receipt.service_key(path)


def crowded(count: int, verdict: Verdict = Verdict.MATCH) -> list[Hit]:
    """Return hits of entries that say as much as an entry may."""
    labels = tuple(Label("s" * 256, "v" * 256, f"{number:0256}") for number in range(64))
    hits = [cases.hit(verdict=verdict, entry_id=f"{verdict.value}-{number}") for number in range(count)]
    return [dataclasses.replace(hit, entry=dataclasses.replace(hit.entry, labels=labels)) for hit in hits]


@pytest.mark.parametrize("count", [1, 19, 20, 21, 200])
def test_what_can_be_issued_can_be_opened(count: int) -> None:
    report = cases.report(*crowded(count))
    signed = receipt.issued(report, KEY)
    assert len(signed) <= receipt.MAX_BYTES
    opened = receipt.opened(signed, KEY.verify_key)
    assert opened.hits == report.hits[: len(opened.hits)], "the nearest, in their order"
    assert len(opened.hits) == min(count, 20)
    assert opened.truncated == (count > 20)
    assert dataclasses.replace(opened, hits=(), truncated=False) == dataclasses.replace(report, hits=(), elapsed_us={})


def test_what_a_case_can_rest_on_is_kept_before_what_it_cannot() -> None:
    shadows, matches = crowded(30, Verdict.NO_MATCH), crowded(2)
    opened = receipt.opened(receipt.issued(cases.report(*shadows, *matches), KEY), KEY.verify_key)
    assert opened.hits[-2:] == tuple(matches)
    assert opened.hits[:-2] == tuple(shadows[:18])
