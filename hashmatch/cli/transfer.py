"""Lists into a set and out of it: the two commands of ``hashmatch hashset`` that move files.

What this module deliberately does not do: it knows no column of any format (``exchange`` does), and it does not decide
what a valid entry is (the catalog does).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

from hashmatch.cli.files import STANDARD_STREAM, opened_for_reading, opened_for_writing
from hashmatch.cli.output import Output
from hashmatch.errors import BadInput, ExitCode, SetNotFound
from hashmatch.model import HarmDomain, ImportResult, Rejected, SetMode
from hashmatch.progress import SILENT, Progress

if TYPE_CHECKING:
    from hashmatch.catalog.store import Catalog
    from hashmatch.cli.signed import Seal, Trust
    from hashmatch.exchange.manifest import Manifest

IMPORT_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "set": "name of the set",
        "set_id": "identity of the set",
        "set_version": "version of the set after the import",
        "entries": "entries of the set that are not withdrawn, after the import",
        "added": "new entries",
        "updated": "entries that are different now",
        "unchanged": "entries that were there already",
        "rejected": "rows that were not taken in",
    }
)
"""Keys of the one row of ``import --json``."""

REJECTED_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "position": "line or record of the file, from 1",
        "field": "column at fault",
        "reason": "what is wrong, and what would be right",
    }
)
"""Keys of one row of the file that ``import --rejected`` writes."""

REJECTED_SHOWN = 20
"""Rejected rows that are shown to people; ``--rejected`` keeps all of them."""

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """The set that an import goes into; ``make`` creates it when there is none, about ``domain``."""

    name: str
    domain: HarmDomain | None
    make: bool

    def prepare(self, catalog: Catalog, manifest: Manifest | None = None, *, known_good: bool = False) -> None:
        """Make sure that the set exists and is about what the caller thinks it is; a manifest says what a new one is.

        What is ``known_good`` goes into allow sets only: anywhere else its hits would be verdicts.

        Raises
        ------
        BadInput
            ``make`` without ``domain``, or a set that is about something else.
        SetNotFound
            There is no such set, and it is not to be made.

        """
        try:
            existing = catalog.get_set(self.name)
        except SetNotFound as error:
            if not self.make:
                raise SetNotFound(
                    f"no hash set {self.name!r}; add --create --domain DOMAIN to make it", field="name"
                ) from error
            domain = self.domain or (manifest.harm_domain if manifest else None)
            if domain is None:
                raise BadInput(
                    f"--create needs --domain: it decides where a report of a match in {self.name!r} may go",
                    field="domain",
                ) from error
            if manifest is None:
                catalog.create_set(self.name, domain, mode=SetMode.ALLOW if known_good else SetMode.ENFORCED)
            else:
                catalog.create_set(
                    self.name,
                    domain,
                    owner=manifest.issuer,
                    source=manifest.set_name,
                    terms=manifest.terms,
                    jurisdiction=manifest.jurisdiction,
                )
            return
        if self.domain not in {None, existing.domain}:
            raise BadInput(
                f"the hash set {self.name!r} is about {existing.domain}, not {self.domain}; nothing was imported",
                field="domain",
            )
        if known_good and existing.mode is not SetMode.ALLOW:
            raise BadInput(
                f"the list is of what is not harmful, and {self.name!r} is {existing.mode}: nothing was imported. "
                "Import it into a set of the mode allow; --create makes one",
                field="name",
            )


class _Watched(io.RawIOBase):
    """A stream whose reading is progress, and whose failure is the caller's."""

    def __init__(self, name: str, stream: BinaryIO, progress: Progress) -> None:
        self._name = name
        self._stream = stream
        self._progress = progress

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._stream.read(len(buffer))
        except OSError as error:
            raise BadInput(f"cannot read {self._name}: {error.strerror}", field="file") from error
        buffer[: len(data)] = data
        self._progress.advance(len(data))
        return len(data)


@dataclass(frozen=True, slots=True)
class Notation:
    """The format of a file, by name or ``auto``, and the format's options as people type them, ``NAME=VALUE``."""

    name: str
    options: tuple[str, ...] = ()

    def stated(self) -> dict[str, str]:
        """Return the options by name.

        Raises
        ------
        BadInput
            One is not ``NAME=VALUE``, or there are two of a name.

        """
        found: dict[str, str] = {}
        for text in self.options:
            name, equals, value = text.partition("=")
            if not equals or not name or name in found:
                why = "given twice" if name in found else "expected NAME=VALUE"
                raise BadInput(f"--option {text}: {why}", field="option")
            found[name] = value
        return found


def import_file(
    catalog: Catalog,
    target: Target,
    file: str,
    output: Output,
    *,
    notation: Notation,
    rejected_file: str | None,
    trust: Trust,
) -> ExitCode:
    """Import ``file`` in one transaction and print what that did.

    Raises
    ------
    BadInput
        The file cannot be read, or held nothing that could be taken in, or is not signed and has to be.
    BadFile
        The file is not in the format.
    ManifestRefused, RollbackRefused
        It is signed, and does not verify or does not follow what was imported before.

    """
    with contextlib.ExitStack() as stack:
        keep = _keeper(stack.enter_context(opened_for_writing(rejected_file))) if rejected_file else None
        result = read_into(catalog, target, file, output, notation=notation, trust=trust, on_rejected=keep)
    print_result(result, file, output)
    if not (result.added or result.updated or result.unchanged):
        raise BadInput(f"{file}: nothing was imported: {_why_nothing(result)}", field="file")
    return ExitCode.SKIPPED if result.rejected else ExitCode.CLEAN


def read_into(
    catalog: Catalog,
    target: Target,
    file: str,
    output: Output,
    *,
    notation: Notation,
    trust: Trust,
    on_rejected: Callable[[Rejected], None] | None = None,
) -> ImportResult:
    """Import ``file`` in one transaction; raises as :func:`import_file` does."""
    from hashmatch.cli import signed
    from hashmatch.exchange import formats
    from hashmatch.exchange.compressed import unpacked

    with contextlib.ExitStack() as stack:
        source, size_bytes = stack.enter_context(opened_for_reading(file))
        progress = stack.enter_context(output.progress())
        watched = io.BufferedReader(_Watched(file, source, progress), _READ_BYTES)
        found = signed.verified(catalog, target.name, file, trust)
        stream = unpacked(stack.enter_context(signed.decrypted(watched, trust.identity, file)))
        chosen = formats.choose(notation.name, file.removesuffix(".gz"), stream.peek())
        options = notation.stated()
        manifest = None if found is None else found.manifest
        target.prepare(catalog, manifest, known_good=chosen.known_good)
        if found is not None:
            found.check(catalog.get_set(target.name))
        if not chosen.counts_rows:
            progress.start(f"importing {file}", size_bytes, "bytes")
        rows = signed.verified_rows(lambda source: chosen.read_rows(source, options), stream, found, file)
        counted = progress if chosen.counts_rows else SILENT
        result = catalog.import_entries(target.name, rows, progress=counted, on_rejected=on_rejected)
        if found is not None:
            found.remember(catalog, target.name)
    return result


def export_file(catalog: Catalog, name: str, file: str, output: Output, *, format_name: str, seal: Seal) -> ExitCode:
    """Write the entries of a set to ``file``.

    Raises
    ------
    SetNotFound
        Before anything is written.
    BadInput
        The file cannot be written, there is no such format, or a key is none.

    """
    from hashmatch.cli import signed
    from hashmatch.exchange import formats
    from hashmatch.exchange.losses import Losses

    chosen = formats.named(format_name)
    losses = Losses()
    count = signed.export(catalog, name, file, chosen, seal=seal, losses=losses)
    output.remark(f"{count} entries of {name} written" + ("" if file == STANDARD_STREAM else f" to {file}"))
    if seal.signing_key is not None:
        output.remark(f"signed; the manifest is {file}{signed.SUFFIX}")
    for loss in losses:
        output.remark(f"{chosen.name}: {loss}")
    return ExitCode.SKIPPED if losses.entries else ExitCode.CLEAN


def _keeper(stream: BinaryIO) -> Callable[[Rejected], None]:
    import json

    def keep(row: Rejected) -> None:
        stream.write(json.dumps(asdict(row)).encode() + b"\n")

    return keep


def print_result(result: ImportResult, file: str, output: Output) -> None:
    """Print what an import of ``file`` did, the first of the rejected rows included."""
    print_rejections(result, file, output)
    target = result.hash_set
    record = {
        "set": target.name,
        "set_id": target.set_id,
        "set_version": target.version,
        "entries": target.entries,
        "added": result.added,
        "updated": result.updated,
        "unchanged": result.unchanged,
        "rejected": result.rejected,
    }
    with output.results("set", "version", "entries", "added", "updated", "unchanged", "rejected") as results:
        counts = (result.added, result.updated, result.unchanged, result.rejected)
        results.add(record, target.name, target.version, target.entries, *counts)


def print_rejections(result: ImportResult, file: str, output: Output) -> None:
    """Print the first rejected rows."""
    for row in result.rejections[:REJECTED_SHOWN]:
        output.remark(f"{file}:{row.position}: rejected: {row.field}: {row.reason}")
    if result.rejected > REJECTED_SHOWN:
        output.remark(f"... and {result.rejected - REJECTED_SHOWN} more; --rejected FILE keeps all of them")


def _why_nothing(result: ImportResult) -> str:
    if not result.rejected:
        return "it holds no entries"
    first = result.rejections[0]
    return f"all {result.rejected} rows were rejected, the first at {first.position}: {first.field}: {first.reason}"
