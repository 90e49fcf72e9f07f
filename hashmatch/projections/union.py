"""Which states there are: Member States of the Union, and of the European Economic Area.

What this module deliberately does not do: it judges no law of any of them.

Source: Regulation (EU) 2022/2065 (text with EEA relevance); ISO 3166-1. Greece is GR, as in ISO and in the Transparency
Database, and not EL, as in the Union's own style guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from hashmatch.model.cases import Problem

_CODES: Final = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
MEMBER_STATES: Final = frozenset(_CODES.split())
"""The 27."""

EEA: Final = MEMBER_STATES | {"IS", "LI", "NO"}
"""The 30 states in which the Digital Services Act applies."""

_ALSO_WRITTEN: Final = {"EL": "GR"}


def state_problems(field: str, codes: Iterable[str], known: frozenset[str], what: str) -> Iterator[Problem]:
    """Yield codes that are not among the known ones; ``what`` names those, as in "a state of the EEA"."""
    for code in codes:
        if code in known:
            continue
        proper = _ALSO_WRITTEN.get(code.upper(), code.upper())
        hint = f"; write {proper}" if proper in known else f"; known are {', '.join(sorted(known))}"
        yield Problem(field, "state", f"{code!r} is not the code of {what}{hint}")
