"""Which harm domain may be told in which format: the guard that every rendering and every delivery asks first.

Theory of operation
-------------------
A table from format to domains (reference formats §6). A domain that a format does not list can never be rendered in it
(DESIGN, invariant 13: wildlife, trafficking of adults and terrorism never become a CyberTip). Trafficking is
told to NCMEC only where the caller says that a minor is advertised.

What this module deliberately does not do: it makes no exception and has no setting.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Final

from hashmatch.errors import BadInput, OutletForbidden
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case

_D = HarmDomain
_EVERY: Final = frozenset(HarmDomain)
_SEXUAL: Final = frozenset({_D.CSAM, _D.CSE_EXPLOITATIVE})
_CRIME: Final = frozenset({_D.CSAM, _D.CSE_EXPLOITATIVE, _D.TVEC, _D.THB})

ALLOWED: Final[Mapping[str, frozenset[HarmDomain]]] = types.MappingProxyType(
    {
        "cybertip": frozenset({_D.CSAM, _D.THB}),
        "dsa16": _EVERY,
        "dsa-sor": _EVERY,
        "dsa18": _CRIME,
        "eu-annex3": frozenset({_D.CSAM}),
        "xarf": _SEXUAL,
        "misp": _EVERY,
        "stix": _EVERY,
        "iccam": _SEXUAL,
        "letter": _EVERY,
    }
)
"""Format to the domains that may be reported in it."""


def check_allowed(case: Case, name: str) -> None:
    """Refuse a format that the case's domain does not have.

    Raises
    ------
    BadInput
        There is no such format.
    OutletForbidden
        The domain, or a match of the case, is of a domain that this format must never carry.

    """
    if name not in ALLOWED:
        raise BadInput(f"format {name[:40]!r} is unknown; known are {', '.join(ALLOWED)}", field="format")
    allowed = ALLOWED[name]
    foreign = sorted({match.domain.value for match in case.matches if match.domain is not case.domain})
    if case.domain not in allowed:
        choices = ", ".join(sorted(domain.value for domain in allowed))
        raise OutletForbidden(
            f"domain: {case.domain.value} is never reported as {name}, which is for {choices}; "
            f"for this case there is {', '.join(formats_of(case))}",
            field="domain",
        )
    if case.matches and all(match.domain is not case.domain for match in case.matches):
        raise OutletForbidden(
            f"domain: the case says {case.domain.value}, its matches are in lists of {', '.join(foreign)}; "
            "a case is reported in the domain of the lists that it met",
            field="domain",
        )
    if _is_of_adults(case, name):
        raise OutletForbidden(
            "minor_involved: trafficking is reported to NCMEC only where a minor is advertised; trafficking of adults "
            "goes to the police or a national hotline (dsa18, letter)",
            field="minor_involved",
        )


def check_police(case: Case) -> None:
    """Refuse a letter to the police of what is no crime against persons; raises OutletForbidden."""
    if case.domain not in ALLOWED["dsa18"]:
        choices = ", ".join(sorted(domain.value for domain in ALLOWED["dsa18"]))
        raise OutletForbidden(
            f"audience: {case.domain.value} is not told to the police in a letter, which is for {choices}; leave the "
            "audience out",
            field="audience",
        )


def formats_of(case: Case) -> tuple[str, ...]:
    """Return the formats that the case's domain has, in the table's order."""
    return tuple(name for name, domains in ALLOWED.items() if case.domain in domains and not _is_of_adults(case, name))


def _is_of_adults(case: Case, name: str) -> bool:
    """Whether a CyberTip would be of trafficking in which no minor is advertised."""
    return name == "cybertip" and case.domain is _D.THB and not case.minor_involved
