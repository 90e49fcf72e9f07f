"""What may be done to a picture before it is hashed: the closed list of names.

Theory of operation
-------------------
A name is an orientation (the PDQ reference's dihedral names), or a view and an orientation joined by ``+``:
``trim-2+flipy`` is the second rectangle found in the picture, mirrored top to bottom. Views that are hashed upright
only have no second part: ``derotate-5``. The first word of a view is its *kind*; limits in the policy are set per kind.

Names cross the sandbox as positions in :data:`TRANSFORMATIONS`.

What this module deliberately does not do: it makes no view (``hashing/views.py`` does) and imports nothing heavy.
"""

from __future__ import annotations

import re
from typing import Final

ORIENTATIONS: Final = ("orig", "rot90", "rot180", "rot270", "flipx", "flipy", "flipplus", "flipminus")
"""The PDQ reference's dihedral names, in its order."""

MAX_TRIMS: Final = 12
"""Rectangles of one picture that are hashed; more were not seen to find more (docs/explain/views.md)."""
CELLS: Final = ("left", "right", "top", "bottom", "1", "2", "3", "4")
"""Halves, then quarters in reading order: the cells of collages of two and four."""
DEGREES: Final = tuple(range(1, 16))
"""Angles that are tried, to both sides."""

TURNED_VIEWS: Final = ("invert", "black", *(f"trim-{number}" for number in range(1, MAX_TRIMS + 1)))
"""Views that are hashed in eight orientations."""
UPRIGHT_VIEWS: Final = (
    *(f"cell-{name}" for name in CELLS),
    *(f"derotate{sign}{degrees}" for degrees in DEGREES for sign in "+-"),
)
"""Views that are hashed as they are."""

TRANSFORMATIONS: Final = (
    *ORIENTATIONS,
    *(f"{view}+{orientation}" for view in TURNED_VIEWS for orientation in ORIENTATIONS),
    *UPRIGHT_VIEWS,
)

KINDS: Final = ("invert", "black", "trim", "cell", "derotate")
"""First words of views."""

_FIRST_WORD = re.compile("[a-z]+")


def kind_of(transformation: str) -> str:
    """Return the kind of view that a name speaks of; an empty text for an orientation of the whole picture."""
    found = _FIRST_WORD.match(transformation)
    word = found[0] if found else ""
    return word if word in KINDS else ""
