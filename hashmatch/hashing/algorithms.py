"""The algorithm table: every kind of hash this installation can compute or compare.

Theory of operation
-------------------
One table, in a fixed order: the built-in perceptual algorithms, plug-ins sorted by name, the digests, the opaque ones.
The order is the order of hashes in every answer. A plug-in is an entry point in the group ``hashmatch.algorithms`` that
resolves to an object with two attributes (:class:`Plugin`): ``algorithm``, a :class:`~hashmatch.model.Algorithm` of
kind perceptual, and ``compute``, a function from an RGB ``PIL.Image.Image`` to ``algorithm.size_bytes`` bytes.
docs/reference/formats.md has a complete example.

The table is built on first use and cached; an installation does not change while a process runs. A plug-in that cannot
be used stops the process with the plug-in's name: computing fewer hashes than the operator installed would be a silent
loss of matches.

One row stands outside the table: ``pdq-canonical`` is computed from queries and compared with what lists hold, but no
list may hold it, because no other tool makes it. :func:`table` is what may be in a list, :func:`searchable` what may be
asked for.

What this module deliberately does not do: it imports no Pillow, numpy or numba, and computes nothing. The built-in
functions are bound to these names in ``compute``, inside the confined worker.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Protocol

from hashmatch.errors import BadConfig, UnknownAlgorithm
from hashmatch.model import Algorithm, AlgorithmKind, HashOptions, Views

if TYPE_CHECKING:
    from PIL import Image

ENTRY_POINT_GROUP = "hashmatch.algorithms"

_IMAGEHASH = "imagehash 4.3, hash_size 8"

BUILT_IN_PERCEPTUAL = (
    Algorithm(
        name="pdq",
        kind=AlgorithmKind.PERCEPTUAL,
        bits=256,
        space="pdq",
        title="PDQ, full-size dialect (pdqhash, python-threatexchange, HMA)",
        source="facebook/ThreatExchange pdq/, README and hashing.pdf",
        has_quality=True,
    ),
    Algorithm(
        name="pdq-nearest512",
        kind=AlgorithmKind.PERCEPTUAL,
        bits=256,
        space="pdq",
        title="PDQ, nearest-neighbour 512x512 dialect (C++ command line)",
        source="facebook/ThreatExchange pdq/cpp",
        has_quality=True,
    ),
    Algorithm("phash", AlgorithmKind.PERCEPTUAL, 64, "phash", "pHash: DCT of 32x32", f"{_IMAGEHASH}, phash"),
    Algorithm("dhash", AlgorithmKind.PERCEPTUAL, 64, "dhash", "dHash: horizontal gradient", f"{_IMAGEHASH}, dhash"),
    Algorithm("ahash", AlgorithmKind.PERCEPTUAL, 64, "ahash", "aHash: mean threshold", f"{_IMAGEHASH}, average_hash"),
    Algorithm("whash", AlgorithmKind.PERCEPTUAL, 64, "whash", "wHash: Haar wavelet", f"{_IMAGEHASH}, whash"),
)

DIGESTS = (
    Algorithm("md5", AlgorithmKind.DIGEST, 128, "md5", "MD5 of the file", "RFC 1321"),
    Algorithm("sha1", AlgorithmKind.DIGEST, 160, "sha1", "SHA-1 of the file", "RFC 3174"),
    Algorithm("sha256", AlgorithmKind.DIGEST, 256, "sha256", "SHA-256 of the file", "RFC 6234"),
)

OPAQUE = (
    Algorithm(
        "photodna",
        AlgorithmKind.OPAQUE,
        1_152,
        "photodna",
        "PhotoDNA, for equality",
        "stored and compared, never computed",
    ),
)
"""Made by tools under licence that hashmatch has not: lists may hold them, callers may ask for them, equal is equal."""

QUERY_ONLY = (
    Algorithm(
        name="pdq-canonical",
        kind=AlgorithmKind.PERCEPTUAL,
        bits=256,
        space="pdq",
        title="PDQ without the pixel grid: for queries, never in a list",
        source="docs/explain/views.md",
        has_quality=True,
    ),
)


class Plugin(Protocol):
    """What an entry point in ``hashmatch.algorithms`` resolves to."""

    algorithm: Algorithm
    compute: Callable[[Image.Image], bytes]


@functools.cache
def plugins() -> Mapping[str, Plugin]:
    """Installed plug-ins by algorithm name, sorted.

    Raises
    ------
    BadConfig
        A plug-in cannot be imported, has not the promised shape, or takes a name that is taken.

    """
    taken = {row.name: "hashmatch itself" for row in (*BUILT_IN_PERCEPTUAL, *DIGESTS, *OPAQUE, *QUERY_ONLY)}
    found: dict[str, Plugin] = {}
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        origin = f"{point.value} of {point.dist.name}" if point.dist else point.value
        plugin = _load(point, origin)
        name = plugin.algorithm.name
        if name in taken:
            raise BadConfig(
                f"the algorithm plug-in {origin} calls itself {name!r}, which is taken by {taken[name]}; "
                "uninstall one of the two",
                field=name,
            )
        taken[name] = origin
        found[name] = plugin
    return types.MappingProxyType(dict(sorted(found.items())))


def _load(point: metadata.EntryPoint, origin: str) -> Plugin:
    try:
        plugin = point.load()
    except Exception as error:  # importing foreign code may raise anything; it becomes one clear message
        reason = f"{type(error).__name__}: {error}"
        raise BadConfig(f"the algorithm plug-in {origin} cannot be imported ({reason}); fix or uninstall it") from error
    row = getattr(plugin, "algorithm", None)
    if not isinstance(row, Algorithm) or not callable(getattr(plugin, "compute", None)):
        raise BadConfig(
            f"the algorithm plug-in {origin} needs an `algorithm` (hashmatch.model.Algorithm) and a `compute(image)`, "
            f"got {plugin!r}"
        )
    if row.kind is not AlgorithmKind.PERCEPTUAL or row.bits <= 0 or row.bits % 8:
        raise BadConfig(
            f"the algorithm plug-in {origin} must be of kind perceptual with a positive multiple of 8 bits, "
            f"got {row.kind} with {row.bits}",
            field=row.name,
        )
    checked: Plugin = plugin
    return checked


@functools.cache
def table() -> Mapping[str, Algorithm]:
    """Every algorithm that a list may hold, by name, in the table's order.

    Raises
    ------
    BadConfig
        See :func:`plugins`.

    """
    rows = (*BUILT_IN_PERCEPTUAL, *(plugin.algorithm for plugin in plugins().values()), *DIGESTS, *OPAQUE)
    return types.MappingProxyType({row.name: row for row in rows})


@functools.cache
def searchable() -> Mapping[str, Algorithm]:
    """Every algorithm that a query may have, by name: the table, then those that no list may hold.

    Raises
    ------
    BadConfig
        See :func:`plugins`.

    """
    return types.MappingProxyType({**table(), **{row.name: row for row in QUERY_ONLY}})


def algorithm(name: str) -> Algorithm:
    """Return one row of the table, or of those that no list may hold.

    Raises
    ------
    UnknownAlgorithm
        No algorithm of that name is installed; the message lists those that are.
    BadConfig
        See :func:`plugins`.

    """
    row = searchable().get(name)
    if row is None:
        raise UnknownAlgorithm(f"no algorithm {name!r} is installed; there are {', '.join(table())}", field="algorithm")
    return row


def perceptual_names() -> tuple[str, ...]:
    """Names of the algorithms in the table that are computed from pixels, in its order."""
    return tuple(row.name for row in table().values() if row.kind is AlgorithmKind.PERCEPTUAL)


def digest_names() -> tuple[str, ...]:
    """Names of the algorithms that are computed from the file's bytes, in the table's order."""
    return tuple(row.name for row in table().values() if row.kind is AlgorithmKind.DIGEST)


def exact_names() -> tuple[str, ...]:
    """Names of the algorithms whose values are compared by equality, in the table's order."""
    return tuple(row.name for row in table().values() if row.kind.by_equality)


def computed_names() -> tuple[str, ...]:
    """Names of the algorithms that are computed here, from pixels or from bytes, in the table's order."""
    return tuple(row.name for row in table().values() if row.kind is not AlgorithmKind.OPAQUE)


def views_algorithms(views: Views) -> frozenset[str]:
    """Names of the algorithms that a level of views adds to those asked for."""
    return frozenset() if views is Views.NONE else frozenset(row.name for row in QUERY_ONLY)


def perceptual_only(options: HashOptions) -> HashOptions:
    """Leave out digests, which are computed without decoding; none left is not the same as none given.

    Raises
    ------
    UnknownAlgorithm
        A name is not installed, or all of them are digests.
    BadConfig
        See :func:`plugins`.

    """
    if not options.algorithms:
        return options
    kept = {name for name in options.algorithms if algorithm(name).kind is AlgorithmKind.PERCEPTUAL}
    if not kept:
        raise UnknownAlgorithm(f"{', '.join(sorted(options.algorithms))}: none is computed from a picture")
    return dataclasses.replace(options, algorithms=frozenset(kept))
