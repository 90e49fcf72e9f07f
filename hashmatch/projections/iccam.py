"""Item rows for hotlines: CSV with one row per item and address, in the columns that URL checks write.

Theory of operation
-------------------
ICCAM itself is closed; hotlines hand items to each other as rows. The columns are those of reference formats §4.2, in
their order, so that rows made of cases and rows made by a check of addresses can stand in one file. A case knows less
than a check: what it does not know (status, redirects, network, certificate) stays empty and is never guessed. The
address is the one that was received, exactly, because a machine reads it.

One row says of one list that it knows the item: the surest and nearest match in a list of the case's own domain
(``places.strongest``). The classification is the reporter's own; where there is none, the labels of that match as they
stand, schemes and values in the same order with ``|`` between them. ``outcome_code`` is MATCH or NEAR, and empty where
no list knows the item: nothing here ever says that an item is harmless.

A spreadsheet that opens the file evaluates nothing (``sheets``).

What this module deliberately does not do: it writes nothing of a subject, no file name and no note, and no picture.

Source: reference formats §2.11 and §4.2.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from hashmatch.errors import BadInput
from hashmatch.model import Verdict
from hashmatch.model.cases import Case, CaseMatch, Document, Problem
from hashmatch.projections import basis, domains, places
from hashmatch.projections.basis import Context
from hashmatch.sections import ReporterConfig
from hashmatch.sheets import as_csv

FORMAT: Final = "iccam"
TITLE: Final = "item rows"

COLUMNS: Final = (
    "report_id", "page_url", "final_page_url", "item_url", "final_item_url", "discovered_via", "fetched_at",
    "http_status", "content_type_declared", "content_type_sniffed", "bytes", "width", "height", "frames", "sha256",
    "md5", "pdq", "pdq_quality", "match", "list_id", "list_version", "entry_id", "distance", "harm_domain",
    "classification_scheme", "classification_value", "ip", "asn", "as_org", "country", "country_method", "cdn",
    "tls_issuer", "redirects", "robots", "outcome_code", "evidence_id",
)  # fmt: skip

_MATCH: Final[Mapping[Verdict, tuple[str, str]]] = MappingProxyType(
    {Verdict.MATCH: ("yes", "MATCH"), Verdict.POSSIBLE_MATCH: ("near", "NEAR")}
)
"""Verdict to the cells ``match`` and ``outcome_code``."""


def problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> Iterator[Problem]:
    """Yield every rule of the format that the case breaks."""
    del reporter  # rows say nothing of who hands them on
    yield from basis.time_problems((("observed_at", case.observed_at),), now)
    yield from places.problems(case)
    if not case.locator.urls:
        yield Problem("locator.urls", "required", "a row is about an address, and the case has none")
    if not case.hashes:
        yield Problem("hashes", "required", "a row says which file was seen, and the case has no hash of it")


def render(case: Case, context: Context) -> Document:
    """Return the rows of one case.

    Raises
    ------
    OutletForbidden
        The domain has no such rows.
    BadReport
        The case breaks a rule of the format.

    """
    return render_many((case,), context)


def render_many(cases: Sequence[Case], context: Context) -> Document:
    """Return the rows of several cases, in their order, under one header.

    Raises
    ------
    BadInput
        There is no case.
    OutletForbidden
        The domain of one has no such rows.
    BadReport
        One breaks a rule of the format; the message names it, and nothing is written of the others either.

    """
    if not cases:
        raise BadInput(f"{TITLE}: there is no case to write", field="cases")
    for case in cases:
        domains.check_allowed(case, FORMAT)
        basis.refuse([*problems(case, context.reporter, context.now)], f"{TITLE} of case {case.case_id}")
    body = as_csv(COLUMNS, itertools.chain.from_iterable(map(_rows, cases)))
    return Document(FORMAT, "text/csv; charset=utf-8; header=present", f"items-{context.report_id}.csv", body)


def _rows(case: Case) -> Iterator[list[str]]:
    known = _known(case)
    for url in case.locator.urls:
        row = {**known, "item_url": url}
        yield [row.get(column, "") for column in COLUMNS]


def _known(case: Case) -> dict[str, str]:
    """Columns to what the case knows of all its addresses."""
    media, match = case.media, places.strongest(case)
    hashes = {item.algorithm: item for item in reversed(case.hashes)}
    pdq = hashes.get("pdq")
    verdict, outcome = ("unknown", "") if match is None else _MATCH[match.verdict]
    scheme, value = _classification(case, match)
    return {
        "report_id": case.case_id,
        "fetched_at": case.observed_at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "content_type_sniffed": media.mime,
        **_numbers((("bytes", media.size_bytes), ("width", media.width_px), ("height", media.height_px))),
        **_numbers((("frames", media.frames),)),
        **{name: hashes[name].hex for name in ("sha256", "md5", "pdq") if name in hashes},
        "pdq_quality": "" if pdq is None or pdq.quality is None else str(pdq.quality),
        "match": verdict,
        **_of(match),
        "harm_domain": case.domain.value,
        "classification_scheme": scheme,
        "classification_value": value,
        "ip": case.locator.ip,
        "outcome_code": outcome,
        "evidence_id": case.evidence_ref or case.receipt_id,
    }


def _numbers(numbers: Iterable[tuple[str, int]]) -> dict[str, str]:
    """Columns to numbers, those that are not known left out."""
    return {name: str(number) for name, number in numbers if number}


def _of(match: CaseMatch | None) -> dict[str, str]:
    if match is None:
        return {}
    return {
        "list_id": match.list_id,
        "list_version": str(match.list_version),
        "entry_id": match.entry_id,
        "distance": str(match.distance),
    }


def _classification(case: Case, match: CaseMatch | None) -> tuple[str, str]:
    """Scheme and value: the reporter's own, else what the list says, never converted."""
    if case.classification:
        return ("interpol" if case.classification == "baseline" else "ncmec"), case.classification
    labels = () if match is None else match.labels
    return "|".join(label.scheme for label in labels), "|".join(label.value for label in labels)
