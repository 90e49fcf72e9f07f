"""Signed manifests: read as attacks on whoever follows a list."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hashmatch.errors import BadFile, ManifestRefused, RollbackRefused
from hashmatch.exchange.manifest import (
    MAX_MANIFEST_BYTES,
    PAYLOAD_TYPE,
    Accepted,
    Content,
    Counts,
    Envelope,
    Manifest,
    Release,
    ReleaseRef,
    envelope_from_bytes,
    envelope_to_bytes,
    judge,
    open_envelope,
    sign,
)
from hashmatch.model import HarmDomain
from hashmatch.signatures import SigningKey

KEY = SigningKey.generate()
OTHER = SigningKey.generate()
AT = dt.datetime(2026, 11, 27, 12, 30, tzinfo=dt.UTC)


def release(version: int, previous: Release | ReleaseRef | None = None, **different: Any) -> Release:
    ref = previous.ref if isinstance(previous, Release) else previous
    return dataclasses.replace(Release("set-1", version, version * 10, AT, ref), **different)


def manifest(of: Release, since: Release | None = None, key: SigningKey = KEY) -> Manifest:
    return Manifest(
        issuer="Example hotline",
        key_id=key.verify_key.key_id,
        set_name="known",
        harm_domain=HarmDomain.WILDLIFE,
        terms="stop_transmission_only",
        jurisdiction="NL",
        release=of,
        since=None if since is None else since.ref,
        content=Content("jsonl", "ab" * 32, 1234),
        counts=Counts({"active": 3, "withdrawn": 1}, {"pdq": 4}),
    )


ONE = release(3)
TWO = release(5, ONE)
THREE = release(9, TWO)


def accepted(of: Release) -> Accepted:
    return Accepted.of(manifest(of))


def test_what_was_signed_is_what_is_read() -> None:
    data = envelope_to_bytes(sign(manifest(TWO, ONE), KEY))
    assert open_envelope(envelope_from_bytes(data, "m"), KEY.verify_key, "m") == manifest(TWO, ONE)
    assert sign(manifest(TWO), KEY) == sign(manifest(TWO), KEY)


def test_the_signature_is_that_of_dsse_as_written_out_by_hand() -> None:
    document = json.loads(envelope_to_bytes(sign(manifest(ONE), KEY)))
    payload = base64.b64decode(document["payload"])
    signed = b" ".join(
        [b"DSSEv1", str(len(PAYLOAD_TYPE)).encode(), PAYLOAD_TYPE.encode(), str(len(payload)).encode(), payload]
    )
    raw = KEY.verify_key.public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(document["signatures"][0]["sig"]), signed)


def test_every_flipped_bit_of_payload_and_signature_is_seen() -> None:
    envelope = sign(manifest(ONE), KEY)
    for name in ("payload", "signature"):
        data = getattr(envelope, name)
        for at in range(len(data) * 8):
            broken = bytearray(data)
            broken[at // 8] ^= 1 << at % 8
            changed = dataclasses.replace(envelope, **{name: bytes(broken)})  # type: ignore[arg-type]
            with pytest.raises(ManifestRefused, match="the signature of m is wrong"):
                open_envelope(changed, KEY.verify_key, "m")


def test_another_key_is_refused_whatever_it_calls_itself() -> None:
    theirs = sign(manifest(ONE, key=OTHER), OTHER)
    with pytest.raises(ManifestRefused, match=r"m is signed by the key .*; ask the issuer"):
        open_envelope(theirs, KEY.verify_key, "m")
    posing = dataclasses.replace(theirs, key_id=KEY.verify_key.key_id)
    with pytest.raises(ManifestRefused, match="the signature of m is wrong"):
        open_envelope(posing, KEY.verify_key, "m")
    with pytest.raises(ManifestRefused, match="m names another key than the one that signed it"):
        open_envelope(sign(manifest(ONE, key=OTHER), KEY), KEY.verify_key, "m")


def test_a_signature_over_another_kind_of_document_does_not_count() -> None:
    payload = sign(manifest(ONE), KEY).payload
    envelope = Envelope(payload, KEY.verify_key.key_id, KEY.sign("text/plain", payload))
    with pytest.raises(ManifestRefused, match="the signature of m is wrong"):
        open_envelope(envelope, KEY.verify_key, "m")


def _document(**different: Any) -> bytes:
    document = json.loads(envelope_to_bytes(sign(manifest(ONE), KEY)))
    return json.dumps(document | different).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"3",
        b"[" * 100_000,
        b'{"payloadType": 1}',
        _document(payload="not base64!"),
        _document(payload=7),
        _document(signatures=[]),
        _document(signatures=[{"keyid": "a", "sig": "AA=="}] * 2),
        _document(signatures=[{"sig": "AA=="}]),
    ],
)
def test_what_is_no_envelope_is_a_bad_file(data: bytes) -> None:
    with pytest.raises(BadFile, match=r"m is no signed manifest \(DSSE in JSON with one signature\)"):
        envelope_from_bytes(data[:MAX_MANIFEST_BYTES], "m")


def test_other_envelopes_and_files_of_any_length_are_bad_files() -> None:
    with pytest.raises(BadFile, match="an envelope of something else"):
        envelope_from_bytes(_document(payloadType="application/vnd.in-toto+json"), "m")
    with pytest.raises(BadFile, match="m has more than 65536 bytes; that is no manifest"):
        envelope_from_bytes(b" " * (MAX_MANIFEST_BYTES + 1), "m")


def _payload(path: str, value: Any) -> bytes:
    document = json.loads(sign(manifest(TWO, ONE), KEY).payload)
    *parents, last = path.split(".")
    branch = document
    for name in parents:
        branch = branch[name]
    if value is ...:
        del branch[last]
    else:
        branch[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "hashmatch-manifest/2"),
        ("format", ...),
        ("issuer", "me"),
        ("issuer.key_id", "xyz"),
        ("issuer.name", "a\nb"),
        ("issuer.name", "a" * 1_025),
        ("set.harm_domain", "unheard-of"),
        ("release.version", -1),
        ("release.version", 1.5),
        ("release.version", True),
        ("release.sequence", 1 << 60),
        ("release.created_at", "2026-11-27T12:30:00"),
        ("release.created_at", "yesterday"),
        ("release.previous.sha256", "AB" * 32),
        ("since", ...),
        ("content.sha256", "ab"),
        ("counts.entries", [1]),
        ("counts.hashes", {"pdq": "4"}),
    ],
)
def test_a_signed_manifest_that_is_none_is_refused(path: str, value: Any) -> None:
    payload = _payload(path, value)
    envelope = Envelope(payload, KEY.verify_key.key_id, KEY.sign(PAYLOAD_TYPE, payload))
    with pytest.raises(ManifestRefused, match="m is signed, but not a manifest that this hashmatch understands"):
        open_envelope(envelope, KEY.verify_key, "m")


def test_a_release_is_named_by_what_it_is_and_not_by_how_it_was_exported() -> None:
    assert Release.from_text(TWO.to_text()) == TWO
    assert Accepted.from_text(accepted(TWO).to_text()) == accepted(TWO)
    assert accepted(TWO) == Accepted.of(manifest(TWO, ONE))
    digests = {TWO.sha256, release(5).sha256, release(5, ONE, sequence=51).sha256, release(5, ONE, set_id="b").sha256}
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("before", "offered"),
    [
        (None, manifest(ONE)),
        (None, manifest(THREE)),
        (ONE, manifest(ONE)),
        (ONE, manifest(TWO)),
        (ONE, manifest(TWO, ONE)),
        (TWO, manifest(THREE, ONE)),
        (TWO, manifest(TWO, ONE)),
        (ONE, manifest(THREE, ONE)),
    ],
)
def test_what_may_follow(before: Release | None, offered: Manifest) -> None:
    judge(None if before is None else accepted(before), offered, where="m")


@pytest.mark.parametrize(
    ("before", "offered", "message"),
    [
        (None, manifest(TWO, ONE), "holds only what changed since version 3, and this set has no signed list yet"),
        (ONE, manifest(THREE, TWO), "begins at version 5, and version 3 was imported last: changes .* are missing"),
        (ONE, manifest(THREE), r"follows version 5, and version 3 was imported last: .*--accept-gap takes it"),
        (ONE, manifest(release(3, sequence=31)), "speaks of another version 3 than the one that was imported"),
        (ONE, manifest(release(5, release(3, sequence=31))), "speaks of another version 3 than the one"),
        (ONE, manifest(THREE, release(3, sequence=31)), "speaks of another version 3 than the one"),
        (ONE, manifest(release(5, set_id="set-2")), r"is of another set \(known\)"),
        (TWO, manifest(release(9, ONE)), "does not follow version 5, which was imported last: .* another history"),
        (TWO, manifest(release(9)), "does not follow version 5"),
    ],
)
def test_what_may_not_follow(before: Release | None, offered: Manifest, message: str) -> None:
    with pytest.raises(ManifestRefused, match=f"m {message}"):
        judge(None if before is None else accepted(before), offered, where="m")


def test_an_older_list_is_a_rollback_even_with_its_old_good_signature() -> None:
    for old in (manifest(ONE), manifest(ONE, release(2))):
        with pytest.raises(RollbackRefused, match="m is version 3, and version 5 was imported already"):
            judge(accepted(TWO), old, where="m", accept_gap=True)


def test_a_gap_before_a_full_list_may_be_accepted_and_nothing_else() -> None:
    judge(accepted(ONE), manifest(THREE), where="m", accept_gap=True)
    for refused in (manifest(THREE, TWO), manifest(release(9, release(2))), manifest(release(9))):
        with pytest.raises(ManifestRefused):
            judge(accepted(ONE), refused, where="m", accept_gap=True)
