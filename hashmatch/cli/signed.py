"""Signed and encrypted lists on the command line: what import asks of a manifest, what export writes beside a list.

Theory of operation
-------------------
The catalog remembers three things per set, as bookmarks: the key whose lists the set takes (``issuer-key``), the
release that was imported last (``accepted-release``), and the one that was published last (``published-release``). The
first import with ``--issuer-key`` pins the key. From then on nothing gets into the set from a file that is not signed
with it, unless somebody says ``--unsigned``.

Export reads a set at one moment: its version is looked up before and after the stream of entries was opened, and both
must be the same. The list is on disk under its name before its manifest is, so a manifest never speaks of a list that
is not there.

What this module deliberately does not do: it decides nothing about signatures and releases; ``exchange.manifest`` does.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from hashmatch import signatures
from hashmatch.cli.files import STANDARD_STREAM, opened_for_writing
from hashmatch.errors import BadInput, CatalogUnavailable, ManifestRefused
from hashmatch.exchange import manifest as manifests
from hashmatch.exchange import sealing
from hashmatch.exchange.checked import Hashed, complete_only
from hashmatch.exchange.formats import Format
from hashmatch.exchange.losses import Losses
from hashmatch.model import Entry, HashSet, Row

if TYPE_CHECKING:
    from hashmatch.catalog.store import Catalog

ISSUER_KEY = "issuer-key"
ACCEPTED = "accepted-release"
PUBLISHED = "published-release"

SUFFIX = ".manifest.json"
"""A list's manifest lies beside it, under its name and this."""

SIGNED_FORMATS = ("jsonl", "csv")
"""Formats of signed lists: a correction that the format cannot carry would never arrive."""

_STREAM_BYTES = 1 << 20
_ATTEMPTS = 5
"""How often a set that changes under the export is opened again; an import commits in seconds."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What the caller of an import says about signatures and encryption."""

    manifest: Path | None = None
    issuer_key: Path | None = None
    identity: Path | None = None
    unsigned: bool = False
    accept_gap: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """A manifest that may be imported, and the key that signed it."""

    manifest: manifests.Manifest
    key: signatures.VerifyKey
    where: str

    def check(self, hash_set: HashSet) -> None:
        """Refuse a list that is about something else than the set.

        Raises
        ------
        ManifestRefused
            The harm domains differ.

        """
        if hash_set.domain is not self.manifest.harm_domain:
            raise ManifestRefused(
                f"{self.where} is about {self.manifest.harm_domain}, and the hash set {hash_set.name!r} about "
                f"{hash_set.domain}; nothing was imported"
            )

    def remember(self, catalog: Catalog, set_name: str) -> None:
        """Note the key and the release, after the import was committed."""
        catalog.set_bookmark(ISSUER_KEY, set_name, self.key.to_pem())
        catalog.set_bookmark(ACCEPTED, set_name, manifests.Accepted.of(self.manifest).to_text())


def verified(catalog: Catalog, set_name: str, file: str, trust: Trust) -> Verified | None:
    """Find and verify the manifest of ``file``; None when it is to be imported without.

    Raises
    ------
    BadInput
        The set takes signed lists only, or no key is known to verify with; the message says what to add.
    BadFile
        The manifest is none.
    ManifestRefused, RollbackRefused
        It does not verify, or may not follow what was imported before.

    """
    pinned = catalog.bookmark(ISSUER_KEY, set_name)
    path = trust.manifest or _beside(file)
    if trust.unsigned:
        return None
    if path is None:
        if pinned or trust.issuer_key:
            raise BadInput(
                f"the hash set {set_name!r} takes signed lists only, and there is no {file}{SUFFIX}; name the manifest "
                "with --manifest, or say --unsigned to import the list without",
                field="manifest",
            )
        return None
    envelope = read_envelope(path)
    if trust.issuer_key is not None:
        key = signatures.load_verify_key(trust.issuer_key)
    elif pinned:
        key = signatures.verify_key_from_pem(pinned, f"the catalog's key of {set_name!r}")
    else:
        raise BadInput(
            f"{path} is signed with the key {envelope.key_id}. Compare that with the issuer over another channel, then "
            "name the issuer's key with --issuer-key FILE; it is kept for this set. --unsigned imports without it",
            field="issuer_key",
        )
    opened = manifests.open_envelope(envelope, key, str(path))
    accepted = catalog.bookmark(ACCEPTED, set_name)
    before = manifests.Accepted.from_text(accepted) if accepted else None
    manifests.judge(before, opened, where=str(path), accept_gap=trust.accept_gap)
    return Verified(opened, key, str(path))


def read_envelope(path: Path) -> manifests.Envelope:
    """Read a manifest's file; nothing in it is believed by that.

    Raises
    ------
    BadInput
        The file cannot be read.
    BadFile
        It is no envelope.

    """
    try:
        with path.open("rb") as stream:
            data = stream.read(manifests.MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot read the manifest {path}: {error.strerror}", field="manifest") from error
    return manifests.envelope_from_bytes(data, str(path))


@contextlib.contextmanager
def decrypted(stream: io.BufferedReader[Any], identity: Path | None, where: str) -> Iterator[io.BufferedReader[Any]]:
    """Yield the list in ``stream``, decrypted if it is encrypted.

    Raises
    ------
    BadInput
        It is encrypted and there is no identity, or the other way round.

    """
    if not stream.peek(len(sealing.MAGIC)).startswith(sealing.MAGIC):
        if identity is not None:
            raise BadInput(f"{where} is not encrypted; leave out --identity", field="identity")
        yield stream
        return
    if identity is None:
        raise BadInput(
            f"{where} is encrypted with age; name the file that holds your identity with --identity", field="identity"
        )
    with sealing.unsealed(stream, sealing.load_identities(identity)) as plain:
        yield plain


def verified_rows(
    read: Callable[[BinaryIO], Iterator[Row]],
    stream: io.BufferedReader[Any],
    found: Verified | None,
    where: str,
) -> Iterator[Row]:
    """Read a list, and with a manifest make sure that it is the one that was signed."""
    if found is None:
        return read(stream)
    hashed = Hashed(stream)
    buffered = io.BufferedReader(hashed, _STREAM_BYTES)
    return complete_only(read(buffered), buffered, hashed, found.manifest.content, where)


# --- export ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seal:
    """How an export is to be signed and encrypted."""

    signing_key: Path | None = None
    issuer: str = ""
    since: Path | None = None
    recipients: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether there is nothing to sign or encrypt."""
        return self.signing_key is None and not self.recipients

    def check(self, file: str, chosen: Format) -> None:
        """Refuse what does not go together.

        Raises
        ------
        BadInput
            ``--since`` or ``--issuer`` without ``--sign``, or a signed list without a name or in a format that cannot
            carry an entry whole.

        """
        if self.signing_key is None and (self.since is not None or self.issuer):
            raise BadInput("--since and --issuer belong to signed lists; add --sign KEY", field="sign")
        if self.signing_key is not None and file == STANDARD_STREAM:
            raise BadInput(
                "a signed list needs a name, because its manifest lies beside it; add --output", field="output"
            )
        if self.signing_key is not None and chosen.name not in SIGNED_FORMATS:
            raise BadInput(
                f"{chosen.name} cannot carry every entry whole, withdrawals included, and a signed list must; "
                f"choose {' or '.join(SIGNED_FORMATS)}",
                field="format",
            )


def export(catalog: Catalog, name: str, file: str, chosen: Format, *, seal: Seal, losses: Losses) -> int:
    """Write a set, encrypted and signed as asked; return the number of entries.

    Raises
    ------
    SetNotFound
        No set of that name.
    BadInput
        A file cannot be read or written, or a key is none.
    CatalogUnavailable
        The set is being changed all the time.

    """
    seal.check(file, chosen)
    recipients = sealing.parse_recipients(seal.recipients)
    key = None if seal.signing_key is None else signatures.load_signing_key(seal.signing_key)
    if key is None:
        entries = catalog.entries(name)
        with opened_for_writing(file) as out, _sealed(out, recipients) as stream:
            return chosen.write(entries, stream, losses, catalog.get_set(name))
    since = None if seal.since is None else _own_release(seal.since, key)
    hash_set, sequence, rows = _one_moment(catalog, name, since)
    release = _release(catalog, hash_set, sequence)
    if since is not None and since.set_id != release.set_id:
        raise BadInput(f"{seal.since} is the manifest of another set than {name!r}", field="since")
    statuses, algorithms = Counter[str](), Counter[str]()
    with opened_for_writing(file) as out, _sealed(out, recipients) as stream:
        hashed = Hashed(stream)
        with io.BufferedWriter(hashed, _STREAM_BYTES) as buffered:
            count = chosen.write(_counted(rows, statuses, algorithms), buffered, losses, hash_set)
    catalog.set_bookmark(PUBLISHED, name, release.to_text())
    signed = manifests.Manifest(
        issuer=seal.issuer or hash_set.owner,
        key_id=key.verify_key.key_id,
        set_name=name,
        harm_domain=hash_set.domain,
        terms=hash_set.terms,
        jurisdiction=hash_set.jurisdiction,
        release=release,
        since=None if since is None else since.ref,
        content=manifests.Content(chosen.name, hashed.sha256, hashed.size_bytes),
        counts=manifests.Counts(statuses, algorithms),
    )
    with opened_for_writing(file + SUFFIX) as out:
        out.write(manifests.envelope_to_bytes(manifests.sign(signed, key)))
    return count


@contextlib.contextmanager
def _sealed(out: BinaryIO, recipients: list[sealing.Key]) -> Iterator[BinaryIO]:
    if not recipients:
        yield out
        return
    with sealing.sealed(out, recipients) as stream:
        yield stream


def _own_release(path: Path, key: signatures.SigningKey) -> manifests.Release:
    """Return the release that an earlier manifest of ours speaks of."""
    return manifests.open_envelope(read_envelope(path), key.verify_key, str(path)).release


def _release(catalog: Catalog, hash_set: HashSet, sequence: int) -> manifests.Release:
    """Return the release that an export of this state belongs to: the last one again, or its successor."""
    text = catalog.bookmark(PUBLISHED, hash_set.name)
    last = manifests.Release.from_text(text) if text else None
    if last is not None and last.version == hash_set.version:
        return last
    now = dt.datetime.now(dt.UTC)
    return manifests.Release(hash_set.set_id, hash_set.version, sequence, now, None if last is None else last.ref)


def _one_moment(catalog: Catalog, name: str, since: manifests.Release | None) -> tuple[HashSet, int, Iterator[Entry]]:
    """Return a set, a sequence no later than its state, and its entries, or those changed since, as of that state."""
    for _ in range(_ATTEMPTS):
        sequence, before = catalog.sequence(), catalog.get_set(name)
        if since is not None and sequence < since.sequence:
            raise BadInput(
                f"the catalog ends at sequence {sequence}, before the release that --since names ({since.sequence}): "
                "it was replaced by an older one; export a full list",
                field="since",
            )
        rows = catalog.entries(name) if since is None else _changed(catalog, name, since.sequence)
        if catalog.get_set(name).version == before.version:
            return before, sequence, rows
    raise CatalogUnavailable(f"the hash set {name!r} is being changed all the time; export it when imports are done")


def _changed(catalog: Catalog, name: str, since: int) -> Iterator[Entry]:
    changes = catalog.changes(since)
    return (change.entry for change in changes if change.entry is not None and change.hash_set.name == name)


def _counted(entries: Iterable[Entry], statuses: Counter[str], algorithms: Counter[str]) -> Iterator[Entry]:
    for entry in entries:
        statuses[entry.status.value] += 1
        for item in entry.hashes:
            algorithms[item.algorithm] += 1
        yield entry


def _beside(file: str) -> Path | None:
    path = Path(file + SUFFIX)
    return path if file != STANDARD_STREAM and path.exists() else None
