"""Signed lists: what a manifest says, how it is read and written, and which one may follow which.

Theory of operation
-------------------
Whoever publishes a list writes a manifest beside it: which set, whose, which release, how much is in it, and the digest
of the file. The manifest is the payload of a DSSE envelope signed with Ed25519 (``signatures``), so one signature
covers all of it, and through the digest every byte of the list.

The releases of a set form a chain: each names its predecessor's version and digest. A release may be exported several
times, in several formats, whole or in part; its digest is the same in all of them. A list is ``full`` (every entry of
the set, withdrawn ones included) or a ``delta`` (what changed since an earlier release). A follower remembers the last
release it accepted (:class:`Accepted`), and :func:`judge` decides what may come next:

===============================================  ============================================================
the list offered                                 is
===============================================  ============================================================
the first of this set, full                      taken
the accepted release again                       taken, changes nothing
the accepted version, another release            refused: of two releases of one version one is forged
an older version                                 refused: rollback
full, of the release after the accepted one      taken
full, of a later release                         refused: a gap; nothing is missing, so a caller may accept it
a delta since the accepted release or earlier    taken
a delta since a later release, or the first one  refused: a gap, and changes are missing
of a release that has another predecessor        refused: another history
===============================================  ============================================================

What this module deliberately does not do: it does no I/O, and it does not know which key is trusted.

Source
------
Dead Simple Signing Envelope v1.0, envelope.md. Rollback, gap and equivocation are named as in The Update Framework
specification, section 1.5.2.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import enum
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hashmatch.errors import BadFile, ManifestRefused, RollbackRefused
from hashmatch.model import HarmDomain
from hashmatch.signatures import SigningKey, VerifyKey

PAYLOAD_TYPE = "application/vnd.hashmatch.manifest+json"
FORMAT = "hashmatch-manifest/1"

MAX_MANIFEST_BYTES = 65_536
"""A manifest has about one kilobyte; names and texts of the greatest length fit."""

MAX_TEXT_CHARS = 1_024
MAX_COUNT = 1 << 53
"""What JSON readers of all languages keep exactly."""

_HEX_64 = re.compile(r"[0-9a-f]{64}")


class Kind(enum.StrEnum):
    """How much of the set a list holds."""

    FULL = "full"
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class ReleaseRef:
    """A release by its version and digest."""

    version: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Release:
    """One state of a set that was published. ``sequence`` is the issuer's own: where the next delta begins."""

    set_id: str
    version: int
    sequence: int
    created_at: dt.datetime
    previous: ReleaseRef | None

    @property
    def sha256(self) -> str:
        """Digest by which the next release names this one; the same in every format."""
        return hashlib.sha256(_canonical(_release_to_json(self))).hexdigest()

    @property
    def ref(self) -> ReleaseRef:
        """What the next release says of this one."""
        return ReleaseRef(self.version, self.sha256)

    def to_text(self) -> str:
        """Return what the issuer's catalog keeps."""
        return _canonical(_release_to_json(self)).decode()

    @classmethod
    def from_text(cls, text: str) -> Release:
        """Inverse of :meth:`to_text`."""
        return _release_from_json(json.loads(text))


@dataclass(frozen=True, slots=True)
class Content:
    """The list as a file: name of its format, digest and length before encryption."""

    format: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Entries in the list by status, and hash values by algorithm."""

    entries: Mapping[str, int]
    hashes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an issuer says of one list. ``since`` is where a delta begins, None for a full list."""

    issuer: str
    key_id: str
    set_name: str
    harm_domain: HarmDomain
    terms: str
    jurisdiction: str
    release: Release
    since: ReleaseRef | None
    content: Content
    counts: Counts

    @property
    def kind(self) -> Kind:
        """How much of the set the list holds."""
        return Kind.FULL if self.since is None else Kind.DELTA


@dataclass(frozen=True, slots=True)
class Envelope:
    """A manifest's bytes and the signature over them; nothing in it is believed yet."""

    payload: bytes
    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """The last release of a set that was imported: what the next one has to follow."""

    key_id: str
    set_id: str
    version: int
    sha256: str

    def to_text(self) -> str:
        """Return what the follower's catalog keeps."""
        return _canonical({name: getattr(self, name) for name in self.__slots__}).decode()

    @classmethod
    def from_text(cls, text: str) -> Accepted:
        """Inverse of :meth:`to_text`."""
        return cls(**json.loads(text))

    @classmethod
    def of(cls, manifest: Manifest) -> Accepted:
        """Return what is remembered of a list."""
        release = manifest.release
        return cls(manifest.key_id, release.set_id, release.version, release.sha256)


# --- writing -----------------------------------------------------------------------------------------------------


def sign(manifest: Manifest, key: SigningKey) -> Envelope:
    """Return the manifest with its signature."""
    payload = _canonical(_to_json(manifest))
    return Envelope(payload, key.verify_key.key_id, key.sign(PAYLOAD_TYPE, payload))


def envelope_to_bytes(envelope: Envelope) -> bytes:
    """Return the file's contents."""
    document = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(envelope.payload).decode(),
        "signatures": [{"keyid": envelope.key_id, "sig": base64.b64encode(envelope.signature).decode()}],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def to_json(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest as people and programs read it."""
    return _to_json(manifest) | {"kind": manifest.kind.value}


def _canonical(document: Mapping[str, Any]) -> bytes:
    """One text for one document: keys sorted, no space, no float in it."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _release_to_json(release: Release) -> dict[str, Any]:
    return {
        "set_id": release.set_id,
        "version": release.version,
        "sequence": release.sequence,
        "created_at": release.created_at.astimezone(dt.UTC).isoformat(),
        "previous": _ref_to_json(release.previous),
    }


def _ref_to_json(ref: ReleaseRef | None) -> dict[str, Any] | None:
    return None if ref is None else {"version": ref.version, "sha256": ref.sha256}


def _to_json(manifest: Manifest) -> dict[str, Any]:
    content = manifest.content
    return {
        "format": FORMAT,
        "issuer": {"name": manifest.issuer, "key_id": manifest.key_id},
        "set": {
            "name": manifest.set_name,
            "harm_domain": manifest.harm_domain.value,
            "terms": manifest.terms,
            "jurisdiction": manifest.jurisdiction,
        },
        "release": _release_to_json(manifest.release),
        "since": _ref_to_json(manifest.since),
        "content": {"format": content.format, "sha256": content.sha256, "size_bytes": content.size_bytes},
        "counts": {"entries": dict(manifest.counts.entries), "hashes": dict(manifest.counts.hashes)},
    }


# --- reading -----------------------------------------------------------------------------------------------------


def envelope_from_bytes(data: bytes, where: str) -> Envelope:
    """Take a file apart; nothing in it is believed by that.

    Raises
    ------
    BadFile
        It is no envelope of a manifest with one signature; ``where`` names it.

    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise BadFile(f"{where} has more than {MAX_MANIFEST_BYTES} bytes; that is no manifest", field="manifest")
    try:
        document = json.loads(data)
        kind, payload = document["payloadType"], base64.b64decode(document["payload"], validate=True)
        (stated,) = document["signatures"]
        key_id, signature = stated["keyid"], base64.b64decode(stated["sig"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise BadFile(
            f"{where} is no signed manifest (DSSE in JSON with one signature): {type(error).__name__}", field="manifest"
        ) from error
    if kind != PAYLOAD_TYPE or not isinstance(key_id, str):
        raise BadFile(f"{where} is an envelope of something else than a manifest of a hash set", field="manifest")
    return Envelope(payload, key_id, signature)


def open_envelope(envelope: Envelope, key: VerifyKey, where: str) -> Manifest:
    """Verify the signature, then read what was signed.

    Raises
    ------
    ManifestRefused
        Another key signed, the signature is wrong, or what was signed is no manifest of this version of hashmatch.

    """
    if envelope.key_id != key.key_id:
        raise ManifestRefused(
            f"{where} is signed by the key {envelope.key_id[:16]}..., but this set takes lists signed by "
            f"{key.key_id[:16]}...; ask the issuer, over another channel, before you accept another key"
        )
    if not key.verifies(PAYLOAD_TYPE, envelope.payload, envelope.signature):
        raise ManifestRefused(f"the signature of {where} is wrong: it was changed after it was signed")
    manifest = read_unverified(envelope, where)
    if manifest.key_id != key.key_id:
        raise ManifestRefused(f"{where} names another key than the one that signed it")
    return manifest


def read_unverified(envelope: Envelope, where: str) -> Manifest:
    """Read what an envelope says without looking at its signature: to be shown, and not to be believed.

    Raises
    ------
    ManifestRefused
        What was signed is no manifest of this version of hashmatch.

    """
    try:
        return _from_json(json.loads(envelope.payload))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ManifestRefused(
            f"{where} is signed, but not a manifest that this hashmatch understands ({error}); upgrade hashmatch"
        ) from error


def _from_json(given: Any) -> Manifest:
    if given["format"] != FORMAT:
        raise ValueError(f"its format is {str(given['format'])[:40]!r}, expected {FORMAT!r}")
    issuer, of_set, content, counts = (given[name] for name in ("issuer", "set", "content", "counts"))
    return Manifest(
        issuer=_text(issuer["name"]),
        key_id=_digest(issuer["key_id"]),
        set_name=_text(of_set["name"]),
        harm_domain=HarmDomain(of_set["harm_domain"]),
        terms=_text(of_set["terms"]),
        jurisdiction=_text(of_set["jurisdiction"]),
        release=_release_from_json(given["release"]),
        since=_ref_from_json(given["since"]),
        content=Content(_text(content["format"]), _digest(content["sha256"]), _count(content["size_bytes"])),
        counts=Counts(_counts(counts["entries"]), _counts(counts["hashes"])),
    )


def _release_from_json(given: Any) -> Release:
    created_at = dt.datetime.fromisoformat(given["created_at"])
    if created_at.tzinfo is None:
        raise ValueError("created_at has no time zone")
    return Release(
        _text(given["set_id"]),
        _count(given["version"]),
        _count(given["sequence"]),
        created_at,
        _ref_from_json(given["previous"]),
    )


def _ref_from_json(given: Any) -> ReleaseRef | None:
    return None if given is None else ReleaseRef(_count(given["version"]), _digest(given["sha256"]))


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS or not value.isprintable():
        raise ValueError("a text is not one line of at most 1,024 characters")
    return value


def _digest(value: Any) -> str:
    if not isinstance(value, str) or not _HEX_64.fullmatch(value):
        raise ValueError("a digest is not 64 hex digits")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_COUNT:
        raise ValueError("a number is not a whole one from 0 to 2^53")
    return value


def _counts(value: Any) -> Mapping[str, int]:
    return {_text(name): _count(count) for name, count in value.items()}


# --- deciding ----------------------------------------------------------------------------------------------------


def judge(accepted: Accepted | None, offered: Manifest, *, where: str, accept_gap: bool = False) -> None:
    """Decide whether a verified list may follow the accepted release; the table above is what holds.

    Raises
    ------
    RollbackRefused
        It is older than the accepted one.
    ManifestRefused
        It is of another set or history, contradicts the accepted release, or something between the two is missing.

    """
    release = offered.release
    if accepted is None:
        if offered.since is not None:
            raise ManifestRefused(
                f"{where} holds only what changed since version {offered.since.version}, and this set has no signed "
                "list yet; import a full list first"
            )
        return
    if release.set_id != accepted.set_id:
        raise ManifestRefused(f"{where} is of another set ({offered.set_name}) than the list that was imported before")
    if release.version < accepted.version:
        raise RollbackRefused(
            f"{where} is version {release.version}, and version {accepted.version} was imported already; "
            "nothing was imported: get the issuer's newest list"
        )
    _refuse_other_history(accepted, (release.ref, release.previous, offered.since), where)
    if release.version > accepted.version:
        _refuse_gap(accepted, offered, where, accept_gap=accept_gap)


def _refuse_other_history(accepted: Accepted, named: Iterable[ReleaseRef | None], where: str) -> None:
    for ref in named:
        if ref is not None and ref.version == accepted.version and ref.sha256 != accepted.sha256:
            raise ManifestRefused(
                f"{where} speaks of another version {ref.version} than the one that was imported: two releases of one "
                "version; ask the issuer which one is theirs"
            )


def _refuse_gap(accepted: Accepted, offered: Manifest, where: str, *, accept_gap: bool) -> None:
    if offered.since is not None:
        if offered.since.version > accepted.version:
            raise ManifestRefused(
                f"{where} begins at version {offered.since.version}, and version {accepted.version} was imported last: "
                "changes between them are missing; import the lists between, or a full one"
            )
        return
    before = offered.release.previous
    if before is None or before.version < accepted.version:
        raise ManifestRefused(
            f"{where} does not follow version {accepted.version}, which was imported last: it comes from another "
            "history; ask the issuer for a list that continues it"
        )
    if before.version > accepted.version and not accept_gap:
        raise ManifestRefused(
            f"{where} follows version {before.version}, and version {accepted.version} was imported last: lists "
            "between them were not seen. This one is full, so nothing is missing from it; --accept-gap takes it"
        )
