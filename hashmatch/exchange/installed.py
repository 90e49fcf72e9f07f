"""Hashes of foreign formats by the names that they have there, and one word about those that are not installed.

Theory of operation
-------------------
A foreign record has its hashes under fixed names, some of which this installation may not know (PhotoDNA, SSDEEP).
Such a value cannot be kept, but the record's other values can. :class:`Installed` turns a name and a text into an
:class:`~hashmatch.model.EntryHash`, and makes one rejected row per unknown name and file, not one per record: ten
million identical lines would hide the rest.

What this module deliberately does not do: it decides nothing about a record without any hash; each reader does.
"""

from __future__ import annotations

from hashmatch.exchange import rows
from hashmatch.model import EntryHash, Rejected

MAX_NAMES = 32
"""Unknown names that are reported; a file that has more is not describing pictures."""

LEFT_OUT = "is not installed; such values were left out of the whole file"
"""How the reason ends for values that are sound and of no use here."""


class Installed:
    """The algorithm table as one file's reader sees it."""

    def __init__(self) -> None:
        self._algorithms = rows.algorithms_by_folded_name()
        self._unknown: set[str] = set()
        self._unsaid: list[Rejected] = []

    def __repr__(self) -> str:
        return f"Installed(unknown: {', '.join(sorted(self._unknown)) or 'none'})"

    def parse(self, position: int, name: str, text: str, field: str) -> EntryHash | None:
        """Return the hash, None where no algorithm of that name is installed (see :meth:`unsaid`).

        Raises
        ------
        BadCell
            The text is no value of the algorithm.

        """
        algorithm = self._algorithms.get(rows.folded(name))
        if algorithm is not None:
            return EntryHash(algorithm.name, rows.parse_value(algorithm, text, field))
        if name not in self._unknown and len(self._unknown) < MAX_NAMES:
            self._unknown.add(name)
            self._unsaid.append(Rejected(position, field, f"{rows.shown(name)} {LEFT_OUT}"))
        return None

    def unsaid(self) -> list[Rejected]:
        """Return the rejected rows of unknown names, each once."""
        if not self._unsaid:
            return []
        rejected, self._unsaid = self._unsaid, []
        return rejected
