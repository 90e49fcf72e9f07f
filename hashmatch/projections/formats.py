"""The table of report formats: what each is called, who reads it, and where its projection is.

Theory of operation
-------------------
A projection is imported when it is asked for: XML, templates and canonical JSON are not needed by whoever renders
something else. Every way to a document leads through :func:`render` or :func:`render_several`, and so past
the guard of domains.

What this module deliberately does not do: it has no default format; whoever sends says which, or the outlet's kind
does.
"""

from __future__ import annotations

import importlib
import types
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hashmatch.errors import BadInput, OutletForbidden
from hashmatch.model.cases import Case, Document, OutletKind
from hashmatch.projections.basis import Context
from hashmatch.projections.domains import check_allowed


class Projection(Protocol):
    """Module of one format."""

    def render(self, case: Case, context: Context, /) -> Document:
        """Return the document; raises BadReport, OutletForbidden."""


class Batch(Protocol):
    """Tells several cases in one document."""

    def __call__(self, cases: Sequence[Case], context: Context, /) -> Document:
        """Return the document; raises BadInput, BadReport, OutletForbidden."""


@dataclass(frozen=True, slots=True)
class Format:
    """One row: its module below ``projections``, what it is, and which kinds of outlets take it.

    ``batch`` is the function of the module that tells several cases in one document, empty where there is none;
    ``most_cases`` and ``most_urls`` bound what that takes. ``audiences`` are those that a caller may choose.
    """

    module: str
    what: str
    outlets: frozenset[OutletKind]
    batch: str = ""
    most_cases: int = 1
    most_urls: int = 1_000
    audiences: tuple[str, ...] = ()


_K = OutletKind
_FILES: Final = frozenset({_K.WEBHOOK, _K.FOLDER})
_MAIL: Final = _FILES | {_K.MAIL}
_TIP: Final = frozenset({_K.CYBERTIPLINE, _K.FOLDER})
"""A CyberTip has parts, and a webhook one body."""

FORMATS: Final[Mapping[str, Format]] = types.MappingProxyType(
    {
        "cybertip": Format("cybertip", "NCMEC CyberTipline report, XML", _TIP, "render_batch", 1_000),
        "dsa16": Format("dsa_notice", "notice under Article 16 of the DSA, JSON", _MAIL, "render_many", 100),
        "dsa-sor": Format(
            "dsa_statement",
            "statement of reasons, Articles 17 and 24(5) of the DSA, JSON",
            _FILES | {_K.DSA_DATABASE},
            "render_batch",
            100,
        ),
        "dsa18": Format("dsa_letter", "notification of a suspected crime, Article 18 of the DSA, JSON", _MAIL),
        "eu-annex3": Format("eu_annex3", "report of COM(2022) 209, Annex III: a proposal, not in force", _FILES),
        "xarf": Format("xarf", "XARF v4 notice to a hosting provider, JSON", _MAIL),
        "misp": Format("misp", "MISP event, JSON", _FILES),
        "stix": Format("stix", "STIX 2.1 bundle, JSON", _FILES),
        "iccam": Format(
            "iccam", "one row per item and address, as ICCAM has them, CSV", _MAIL, "render_many", 1_000, 1_000_000
        ),
        "letter": Format(
            "letter",
            "letter in English, Dutch, French or German, HTML and text",
            _MAIL,
            "render_many",
            50,
            audiences=("police",),
        ),
    }
)
"""Format to its row; the keys are those of ``domains.ALLOWED``."""

BY_OUTLET: Final[Mapping[OutletKind, str]] = types.MappingProxyType(
    {_K.CYBERTIPLINE: "cybertip", _K.DSA_DATABASE: "dsa-sor", _K.MAIL: "letter"}
)
"""Format of outlets that have one of their own, and what mail carries where nothing else is asked for."""

NAMESPACE: Final = uuid.UUID("5d6f3c52-3f7f-5b7e-9a55-0d2f7b0a6c11")
"""Of report ids: a case has one in each format, the same each time it is rendered."""


def report_id(case_id: str, name: str) -> uuid.UUID:
    """Return the id of a case's report in a format; of several cases, that of their ids with spaces between."""
    return uuid.uuid5(NAMESPACE, f"{case_id}/{name}")


def render(case: Case, name: str, context: Context) -> Document:
    """Return a case in a format.

    Raises
    ------
    BadInput
        There is no such format.
    OutletForbidden
        The harm domain of the case is never reported in it.
    BadReport
        The case breaks a rule of the format.

    """
    check_allowed(case, name)
    _check_audience(name, context)
    module: Projection = importlib.import_module(f"hashmatch.projections.{FORMATS[name].module}")
    return module.render(case, context)


def render_several(cases: Sequence[Case], name: str, context: Context) -> Document:
    """Return several cases in one document of a format, in their order, or refuse all of them.

    Raises
    ------
    BadInput
        There is no such format, or it tells one case at a time.
    OutletForbidden
        The harm domain of a case is never reported in it; ``field`` begins with ``cases[n]``.
    BadReport
        A case breaks a rule of the format, or the cases do not belong together.

    """
    for n, case in enumerate(cases):
        try:
            check_allowed(case, name)
        except OutletForbidden as error:
            raise OutletForbidden(f"cases[{n}].{error.message}", field=f"cases[{n}].{error.field}") from error
    _check_audience(name, context)
    row = FORMATS[name]
    if not row.batch:
        taking = ", ".join(key for key, other in FORMATS.items() if other.batch)
        raise BadInput(f"format: {name} tells one case at a time; {taking} take several", field="format")
    batch: Batch = getattr(importlib.import_module(f"hashmatch.projections.{row.module}"), row.batch)
    return batch(cases, context)


def _check_audience(name: str, context: Context) -> None:
    if context.audience and context.audience not in FORMATS[name].audiences:
        taken = ", ".join(f"{key} for the {who}" for key, row in FORMATS.items() for who in row.audiences)
        raise BadInput(
            f"audience: {name} is not written for {context.audience[:40]!r}; there is {taken}", field="audience"
        )
