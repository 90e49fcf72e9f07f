"""How near unrelated pictures come by chance, and how wide a review band may therefore be. Pure.

Theory of operation
-------------------
The distance between the PDQ hashes of unrelated pictures lies around 128 bits, and the share of pairs within d bits
falls faster and faster as d shrinks. What can be measured ends where the pairs end; review bands lie far below. Down
there the share is *extrapolated*: from a threshold that many pairs are within, it goes on falling at the rate at which
it falls there. Since it really falls ever faster, the straight line (on a logarithmic scale) is an upper bound, and
both its height and its slope are taken at the unfavourable end of what sampling allows.

The bound times the list's length times the number of hashes that are asked about a picture is the number of unrelated
values to expect within d bits: :func:`expected`. Numbers to expect add up whatever depends on what, so it does not
matter that the hashes of one picture are not independent. :func:`widest` turns the question around.

The constants come from ``hashmatch bench distances``; the record of that run is
``native_bench/distances/distances.json``, and a test fits them anew.

What this module deliberately does not do: it says nothing of look-alikes (other photos of a scene, templates, pages
of text). They are not unrelated, and they are what false matches are made of: docs/explain/thresholds.md.

Source: J. Pickands, Statistical inference using extreme order statistics, Annals of Statistics 3(1), 1975: excesses
over a threshold; the exponential case is the heaviest that a distribution whose tail falls ever faster can have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

ALGORITHMS: Final = frozenset({"pdq", "pdq-nearest512", "pdq-canonical"})
"""Those whose distances were measured; of others nothing is said."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A bound on the share of unrelated pairs within a distance: a straight line on a logarithmic scale.

    ``threshold`` in bits; ``share`` of pairs within it, at most; ``decades_per_bit`` by which the share falls for every
    bit less, at least. Of distances beyond the threshold nothing is said.
    """

    threshold: int
    share: float
    decades_per_bit: float

    def within(self, distance: float) -> float:
        """Return the bound on the share of pairs within ``distance`` bits; 1 beyond the threshold."""
        if distance > self.threshold:
            return 1.0
        return self.share * math.pow(10.0, (distance - self.threshold) * self.decades_per_bit)

    def reach(self, share: float) -> float:
        """Return the widest distance in bits within which the share is surely at most this; ``share`` is positive."""
        return self.threshold + min(0.0, math.log10(share / self.share)) / self.decades_per_bit


PICTURE: Final = Tail(threshold=92, share=1.061e-5, decades_per_bit=0.2128)
GUESS: Final = Tail(threshold=88, share=1.859e-6, decades_per_bit=0.1599)
"""Fitted to 202 and 157 pairs of photographs that came so near, of 46,000."""

PICTURES: Final = frozenset({"", "invert", "black"})
"""Kinds of views that show the whole picture; all others are guesses at a part of it or at how it was turned."""

QUALITY: Final = ((90, 1.01), (70, 1.06), (50, 1.08), (0, 1.08))
"""Least quality of a hash, best first, and how many times likelier than on average it is near a stranger, at most."""


def expected(kind: str, quality: int | None, distance: int, comparisons: int) -> float:
    """Return how many unrelated values are to be expected within ``distance`` bits, at most.

    Parameters
    ----------
    kind
        Kind of view of the hash, as ``transformations.kind_of`` says.
    quality
        Of the hash, 0..100; None, unknown, counts as the worst.
    distance
        Bits, inclusive.
    comparisons
        Values that can be found times hashes that are asked about the picture.

    """
    return comparisons * min(1.0, factor(quality) * tail_of(kind).within(distance))


def widest(kind: str, quality: int | None, comparisons: int, rate: float) -> int | None:
    """Return the widest distance in bits at which :func:`expected` stays within ``rate``; None where any does."""
    share = rate / (comparisons * factor(quality)) if comparisons else 1.0
    return None if share >= 1.0 else math.floor(tail_of(kind).reach(share))


def tail_of(kind: str) -> Tail:
    """Return the bound for hashes of this kind of view; an empty text is the picture itself."""
    return PICTURE if kind in PICTURES else GUESS


def factor(quality: int | None) -> float:
    """Return how many times likelier than on average a hash of this quality is near a stranger, at most."""
    if quality is None:
        return max(times for _, times in QUALITY)
    return next(times for least, times in QUALITY if quality >= least)
