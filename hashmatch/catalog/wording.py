"""Other people's texts in our messages: cut, quoted, and never a value of a list.

What this module deliberately does not do: it decides nothing but how a name is shown and which names are near it.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable

SHOWN_CHARS = 80
"""How much of a stranger's text a message repeats."""

_NAMES_COMPARED = 1_000
_MADE_FROM_HASH = re.compile(r"[\w.-]+:[0-9a-f]{16,}")
"""Ids made from a value; they are never suggested, because values of a list do not belong in messages."""


def shown(text: str) -> str:
    """Return a text quoted, on one line, cut after 80 characters."""
    quoted = repr(text)
    return quoted if len(quoted) <= SHOWN_CHARS else f"{quoted[:SHOWN_CHARS]}..."


def suggestion(wanted: str, existing: Iterable[str]) -> str:
    """Return ``; did you mean 'this' or 'that'?`` where something is near, otherwise nothing."""
    names = [name for name in itertools.islice(existing, _NAMES_COMPARED) if not _MADE_FROM_HASH.fullmatch(name)]
    near = difflib.get_close_matches(wanted, names, n=3)
    return f"; did you mean {' or '.join(map(shown, near))}?" if near else ""
