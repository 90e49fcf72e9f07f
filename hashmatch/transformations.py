"""What may be done to a picture before it is hashed: the closed list of names.

Theory of operation
-------------------
A name is an orientation (the PDQ reference's dihedral names), or a view and an orientation joined by ``+``:
``trim-2+flipy`` is the second rectangle found in the picture, mirrored top to bottom. Views that are hashed upright
have no second part: ``derotate-5``. The first word of a view is its *kind*; limits in the policy are set per kind.

Names cross the sandbox as positions in :data:`TRANSFORMATIONS`.

*Crops* are views of the other side: what whoever enrols an original cuts away before hashing it for a list
(``hashing/enrol.py``). They name an entry's value, never a query. Numbers are percent: ``crop-left-3`` lacks 3 % of its
width on the left, ``crop-centre-6`` 6 % of both dimensions, half of it at either end, ``crop-1.5-4.5-1.5-7.5`` these
shares at the left, top, right and bottom.

What this module deliberately does not do: it makes no view (``hashing/views.py`` does) and imports nothing heavy.
"""

from __future__ import annotations

import functools
import itertools
import re
from typing import Final

ORIENTATIONS: Final = ("orig", "rot90", "rot180", "rot270", "flipx", "flipy", "flipplus", "flipminus")
"""The PDQ reference's dihedral names, in its order."""

MAX_TRIMS: Final = 12
"""Rectangles of one picture that are hashed; more were not seen to find more (docs/explain/views.md)."""
MAX_QUADS: Final = 4
"""Pictures that lie askew in a picture: something bright, something dark, and the inside of the rim of either."""
CELLS: Final = ("left", "right", "top", "bottom", "1", "2", "3", "4")
"""Halves, then quarters in reading order: the cells of collages of two and four."""
DEGREES: Final = tuple(range(1, 16))
"""Angles that are tried, to both sides."""

TURNED_VIEWS: Final = (
    *("invert", "black"),
    *(f"trim-{number}" for number in range(1, MAX_TRIMS + 1)),
    *(f"quad-{number}" for number in range(1, MAX_QUADS + 1)),
)
"""Views that are hashed in eight orientations."""
UPRIGHT_VIEWS: Final = (
    *(f"cell-{name}" for name in CELLS),
    *(f"derotate{sign}{degrees}" for degrees in DEGREES for sign in "+-"),
)
"""Views that are hashed as they are."""

CROP_STEPS: Final = tuple(range(3, 25, 3))
"""Percent cut away at one side, or of both dimensions around the centre: PDQ finds what is half a step off."""
CORNER_STEPS: Final = (1.5, 4.5, 7.5, 10.5)
"""Percent cut away at each of four sides independently."""

CROP_SIDES: Final = ("left", "top", "right", "bottom")
CROPS: Final = tuple(f"crop-{side}-{step}" for side in (*CROP_SIDES, "centre") for step in CROP_STEPS)
"""Views of an original that make crops of one side or around the centre findable."""
DENSE_CROPS: Final = tuple(
    "crop-" + "-".join(str(CORNER_STEPS[at]) for at in steps)
    for steps in itertools.product(range(len(CORNER_STEPS)), repeat=4)
    if sum(steps) % 2
)
"""Views that make many crops of all four sides findable: every other point of a grid, so that no two are neighbours."""

EXTENSIONS: Final = ("all-2", "all-5", "all-8", *(f"{side}-{p}" for side in CROP_SIDES for p in (3, 6)))
"""Percent of the original that may have been cut away, around the centre or at one side."""
MENDS: Final = ("letters", "corner-1", "corner-2", "corner-3", "corner-4")
"""What is painted over: letters with outlines, a corner (in reading order)."""
TILTED_TRIMS: Final = 4
"""Trimmed rectangles whose inside is also turned back."""
DEROTATED_TRIMS: Final = 6
"""Rectangles of a picture that was turned back as a whole."""
MIRRORED_VIEWS: Final = (
    *(f"extend-{name}" for name in EXTENSIONS),
    *(f"mend-{name}" for name in MENDS),
    *(f"trim-tilted-{number}" for number in range(1, TILTED_TRIMS + 1)),
    *(f"derotate-trim-{number}" for number in range(1, DEROTATED_TRIMS + 1)),
)
"""Views that are hashed as they are, and some of them mirrored."""
MIRRORED: Final = ("orig", "flipx")
"""As they are, and mirrored left to right: what is done to a copy more often than any other turn."""

TRANSFORMATIONS: Final = (
    *ORIENTATIONS,
    *(f"{view}+{orientation}" for view in TURNED_VIEWS for orientation in ORIENTATIONS),
    *UPRIGHT_VIEWS,
    *CROPS,
    *DENSE_CROPS,
    *MIRRORED_VIEWS,
    *(f"{view}+{MIRRORED[1]}" for view in (*UPRIGHT_VIEWS, *MIRRORED_VIEWS)),
    *(f"trim-{number}-invert+{orientation}" for number in range(1, MAX_TRIMS + 1) for orientation in MIRRORED),
)

KINDS: Final = ("invert", "black", "trim", "cell", "derotate", "quad", "extend", "mend")
"""First words of views."""

_FIRST_WORD = re.compile("[a-z]+")


@functools.lru_cache(maxsize=1_024)  # asked several times for each of 165 hashes of an upload
def kind_of(transformation: str) -> str:
    """Return the kind of view that a name speaks of; an empty text for an orientation of the whole picture."""
    found = _FIRST_WORD.match(transformation)
    word = found[0] if found else ""
    return word if word in KINDS else ""
