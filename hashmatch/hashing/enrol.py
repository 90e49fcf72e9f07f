"""Views of an original: exact PDQ values of its parts, for a list entry that crops of it are to match.

Theory of operation
-------------------
A crop of a list's picture cannot be undone by whoever holds only the crop; whoever holds the original can hash the
crops beforehand. PDQ finds a crop within about 1.5 % of a side of one that was hashed, so the table steps by 3 %:

=========  ============================================  ======  =====================================================
level      parts                                         values  for what people do
=========  ============================================  ======  =====================================================
crops      3, 6 ... 24 % cut away at one side            32      cutting off a caption, a logo, a bystander
crops      3, 6 ... 24 % of both dimensions, centred     8       zooming in, square thumbnails of nearly square photos
dense      1.5, 4.5, 7.5 or 10.5 % at each of four       128     framing the picture anew by hand
           sides, every other point of that grid
=========  ============================================  ======  =====================================================

Four sides cut independently fill a space of four dimensions, so that level costs much and still finds only part of
them; docs/explain/views.md has the recall of both on photos that the table was not chosen on.

Each part is hashed like a picture of its own, from all pixels, with the reference's roundings. A part that is flat
where the whole is not has a low quality, which it carries; whoever makes the list leaves it out.

What this module deliberately does not do: it turns, mirrors or inverts nothing. The query side does, for every entry.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.kernels.pdq import pdq_exact
from hashmatch.model import Enrolment
from hashmatch.transformations import CROPS, DENSE_CROPS

Pixels = npt.NDArray[np.uint8]

ALGORITHM: Final = "pdq"
"""Of all values here: the dialect that most lists hold, and that queries of the others are held against."""


class Shares(NamedTuple):
    """What is cut away at each side, as a share of the picture's own width or height."""

    left: float
    top: float
    right: float
    bottom: float


class EnrolledHash(NamedTuple):
    """An exact PDQ value of one view; ``value`` has 32 bytes, ``quality`` is 0 to 100."""

    view: str
    value: bytes
    quality: int


VIEWS: Final[Mapping[Enrolment, tuple[str, ...]]] = types.MappingProxyType(
    {Enrolment.NONE: (), Enrolment.CROPS: CROPS, Enrolment.DENSE: (*CROPS, *DENSE_CROPS)}
)
"""Names of the views of each level."""


def shares(view: str) -> Shares:
    """Return what a view of :data:`VIEWS` cuts away; ``crop-left-3`` is ``Shares(0.03, 0, 0, 0)``."""
    _, *words = view.split("-")
    if words[0] == "centre":
        return Shares(*[float(words[1]) / 200] * 4)
    if words[0] in Shares._fields:
        return Shares(0.0, 0.0, 0.0, 0.0)._replace(**{words[0]: float(words[1]) / 100})
    return Shares(*(float(word) / 100 for word in words))


def part(pixels: Pixels, cut: Shares) -> Pixels:
    """Return the part of a picture that is left, without copying it.

    Parameters
    ----------
    pixels : uint8, shape (h, w) or (h, w, 3)
    cut : Shares
        Edges are rounded to whole pixels, as every image editor does.

    """
    height, width = pixels.shape[:2]
    return pixels[
        round(height * cut.top) : round(height * (1 - cut.bottom)),
        round(width * cut.left) : round(width * (1 - cut.right)),
    ]


def enrol_hashes(pixels: Pixels, level: Enrolment = Enrolment.CROPS) -> Iterator[EnrolledHash]:
    """Yield the values of the views of one picture, in the order of the table.

    Parameters
    ----------
    pixels : uint8, shape (h, w) grey or (h, w, 3) RGB
        The original, upright, at its full size; read-only ok.
    level : Enrolment
        Which views.

    """
    for view in VIEWS[level]:
        found = pdq_exact(part(pixels, shares(view)))
        yield EnrolledHash(view, found.hashes[0].tobytes(), found.quality)
