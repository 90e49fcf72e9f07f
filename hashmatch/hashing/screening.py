"""Hashes of a large JPEG for a fraction of the work, a few bits off: enough to see that nothing is near.

Theory of operation
-------------------
Most uploads are near nothing in any list, and most of the time goes into decoding them. :func:`screen` decodes a JPEG
in grey at a half, a quarter or an eighth of its sides (``image.scaled``) and hashes that with the weights of the whole
picture (``kernels.pdq.pdq_from_grey``). Whoever asks must then look again, exactly, wherever the answer could depend on
those bits: ``matching.screening`` says where, ``limits`` by how many bits.

Everything else gets no answer here, and so the exact one: other formats, other algorithms, all views, pictures that
must not be scaled any further, and files with the slightest anomaly.

What this module deliberately does not do: its hashes are never written to a list and never reported. It is no defence
against somebody who makes a file for it: the colours are not looked at, and what a decoder drops at an eighth of the
size can be chosen.

Imports the kernels: only the sandbox, benchmarks and tests may import it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from hashmatch.config import DecodeConfig
from hashmatch.hashing import image, views
from hashmatch.hashing.layout import Layout
from hashmatch.kernels.pdq import DIHEDRAL_NAMES, PdqHashes, pdq_from_grey, pdq_nearest512_from_grey
from hashmatch.kernels.views import Rectangle, sample, shrink
from hashmatch.kernels.views_bits import hash_samples
from hashmatch.model import ComputedHash, Enrolment, Fidelity, HashOptions, MediaInfo, Picture, Views

_FROM_GREY = {"pdq": pdq_from_grey, "pdq-nearest512": pdq_nearest512_from_grey}
SCREENABLE = frozenset({*_FROM_GREY, views.ALGORITHM})
"""Algorithms whose hashes of a scaled picture are near; those with 64 bits have distances too short for that."""


def screen(
    data: bytes, layout: Layout, decode: DecodeConfig, options: HashOptions, selected: tuple[str, ...]
) -> Picture | None:
    """Hash a JPEG approximately.

    Parameters
    ----------
    data : bytes
        A file that passed ``gates.check_file``, which returned ``layout``.
    layout : Layout
        The survey of ``data``.
    decode : DecodeConfig
        The limits.
    options : HashOptions
        What is asked for.
    selected : tuple of str
        Algorithms to compute, in the table's order.

    Returns
    -------
    Picture or None
        In the order of ``compute.hash_picture``, with ``media.fidelity`` screen; None where the exact way has to look.

    """
    allowed = options.fidelity is Fidelity.SCREEN and not options.exact
    whole = options.views is not Views.FULL and options.enrolment is Enrolment.NONE
    if not allowed or not whole or not SCREENABLE.issuperset(selected):
        return None
    started_ns = time.perf_counter_ns()
    picture = image.scaled(data, layout, decode, options)
    if picture is None:
        return None
    decoded_ns = time.perf_counter_ns()
    hashes = (*_whole(picture, selected, options), *_views(picture, selected, options))
    return Picture(
        media=MediaInfo(layout.format, picture.width, picture.height, fidelity=Fidelity.SCREEN),
        hashes=hashes,
        decode_us=(decoded_ns - started_ns) // 1000,
        hash_us=(time.perf_counter_ns() - decoded_ns) // 1000,
    )


def _whole(picture: image.Scaled, selected: tuple[str, ...], options: HashOptions) -> Iterator[ComputedHash]:
    """Yield the hashes of both dialects, as far as they are selected."""
    for name in selected:
        if name in _FROM_GREY:
            yield from _named(name, _FROM_GREY[name](picture.rows, picture.height, picture.width), options)


def _named(algorithm: str, found: PdqHashes, options: HashOptions) -> Iterator[ComputedHash]:
    """Name the hash as it is, or all eight."""
    for row, name in enumerate(DIHEDRAL_NAMES if options.dihedral else DIHEDRAL_NAMES[:1]):
        yield ComputedHash(algorithm, found.hashes[row].tobytes(), found.quality, name)


def _views(picture: image.Scaled, selected: tuple[str, ...], options: HashOptions) -> Iterator[ComputedHash]:
    """Yield the phase-free hashes: of the picture where they are selected, and of its negative where views are."""
    if options.views is Views.NONE and views.ALGORITHM not in selected:
        return
    shrunk = shrink(picture.rows)
    sides = (side / (1 << picture.halvings) for side in (picture.width, picture.height))
    right, bottom = (side / factor for side, factor in zip(sides, shrunk.factors, strict=True))
    grid = sample(shrunk.luma, Rectangle(0.0, 0.0, right, bottom))
    if options.views is Views.CHEAP:
        yield from views.cheap(grid, 0)
        return
    yield from _named(views.ALGORITHM, hash_samples(grid), options)
