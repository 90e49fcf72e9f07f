"""What is compared: ways from a picture to its hashes, from pixels and from the bytes of a JPEG.

Theory of operation
-------------------
A system says where it starts, what is called and how what it returned reads as an :class:`Answer`. The call is the
system's own with nothing around it; reading it happens outside the clock. Systems that promise PDQ are held against
each other before anything is timed; the others (pHash and its like) are there because people use them for the same
task. Peers that are not installed raise :class:`~hashmatch.bench.systems.Skipped` with the package to install.

What this module deliberately does not do: it times nothing, and it is never imported by a service.
"""

from __future__ import annotations

import enum
import importlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import imagehash
import numpy as np
from PIL import Image

from hashmatch.bench import ceiling
from hashmatch.bench.hash_pictures import Sample
from hashmatch.bench.systems import Skipped
from hashmatch.config import DecodeConfig
from hashmatch.hashing.compute import hash_picture
from hashmatch.kernels.pdq import PdqHashes, pdq, pdq_exact
from hashmatch.limits import SCREEN_BITS
from hashmatch.model import Fidelity, HashOptions, Picture


class Source(enum.StrEnum):
    """Where a system starts."""

    PIXELS = "pixels"
    JPEG = "jpeg"


@dataclass(frozen=True, slots=True)
class Answer:
    """PDQ hashes as hex, one or the eight of ``DIHEDRAL_NAMES``, and the quality if it says one."""

    hashes: tuple[str, ...]
    quality: int | None


@dataclass(frozen=True, slots=True)
class HashSystem:
    """One way from a picture to its hashes.

    Attributes
    ----------
    name, source
        ``name`` is unique for a source.
    ask
        What is timed.
    read
        Turn what it returned into an answer; None for systems that compute something else than PDQ.
    slack_bits
        How far its hashes may be from PDQ's: 0 for all that promise the same bits.

    """

    name: str
    source: Source
    ask: Callable[[Sample], object]
    read: Callable[[Any], Answer] | None = None
    slack_bits: int = 0


def _package(name: str, distribution: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Skipped(f"pip install {distribution} ({error})") from None


def _of_kernel(found: PdqHashes) -> Answer:
    return Answer(tuple(row.tobytes().hex() for row in found.hashes), found.quality)


def _of_picture(found: Picture) -> Answer:
    return Answer(tuple(row.hex for row in found.hashes), found.hashes[0].quality if found.hashes else None)


def _hex(vector: Any) -> str:
    return np.packbits(np.asarray(vector).astype(np.uint8)).tobytes().hex()


def _decoded(sample: Sample) -> Any:
    return np.asarray(Image.open(io.BytesIO(sample.jpeg)).convert("RGB"))


def ours() -> list[HashSystem]:
    """hashmatch: the guarded kernel, the exact one, and the whole way of an upload, exactly and for screening."""
    decode, options = DecodeConfig(), HashOptions(frozenset({"pdq"}), dihedral=True)
    screen = replace(options, fidelity=Fidelity.SCREEN)
    return [
        HashSystem("ours", Source.PIXELS, lambda sample: pdq(sample.pixels), _of_kernel),
        HashSystem("ours_exact", Source.PIXELS, lambda sample: pdq_exact(sample.pixels), _of_kernel),
        HashSystem("ours", Source.JPEG, lambda sample: hash_picture(sample.jpeg, decode, options), _of_picture),
        HashSystem(
            "ours_screen",
            Source.JPEG,
            lambda sample: hash_picture(sample.jpeg, decode, screen),
            _of_picture,
            SCREEN_BITS["pdq"],
        ),
        HashSystem("ours_with_pillow", Source.JPEG, lambda sample: pdq(_decoded(sample)), _of_kernel),
    ]


def by_pdqhash() -> list[HashSystem]:
    """Meta's C++ in a Python package: one hash, all eight, and with Pillow in front."""
    package = _package("pdqhash", "pdqhash")
    return [
        HashSystem("pdqhash", Source.PIXELS, lambda sample: package.compute(sample.pixels), _one),
        HashSystem("pdqhash_dihedral", Source.PIXELS, lambda sample: package.compute_dihedral(sample.pixels), _eight),
        HashSystem("pdqhash_dihedral", Source.JPEG, lambda sample: package.compute_dihedral(_decoded(sample)), _eight),
    ]


def _one(found: Any) -> Answer:
    vector, quality = found
    return Answer((_hex(vector),), int(quality))


def _eight(found: Any) -> Answer:
    vectors, quality = found
    return Answer(tuple(map(_hex, vectors)), int(quality))


def by_threatexchange() -> list[HashSystem]:
    """python-threatexchange, on which Hasher-Matcher-Actioner stands: one hash of a file's bytes."""
    package = _package("threatexchange.signal_type.pdq.pdq_hasher", "threatexchange")
    return [
        HashSystem(
            "threatexchange",
            Source.JPEG,
            lambda sample: package.pdq_from_bytes(sample.jpeg),
            lambda found: Answer((found[0],), int(found[1])),
        )
    ]


def by_perception() -> list[HashSystem]:
    """Thorn's perception: PDQ by pdqhash, and pHash of 256 bits by OpenCV on one thread."""
    package = _package("perception.hashers", "perception")
    _package("cv2", "opencv-python-headless").setNumThreads(1)
    pdq_hasher, phash = package.PDQHash(), package.PHash(hash_size=16)
    return [
        HashSystem(
            "perception",
            Source.PIXELS,
            lambda sample: pdq_hasher.compute(sample.pixels, hash_format="hex"),
            lambda found: Answer((found,), None),
        ),
        HashSystem("perception_phash256", Source.PIXELS, lambda sample: phash.compute(sample.pixels)),
    ]


def by_imagehash() -> list[HashSystem]:
    """imagehash: other hashes of 64 bits, from Pillow's picture and from bytes."""
    return [
        HashSystem("imagehash_phash", Source.PIXELS, lambda sample: imagehash.phash(sample.picture)),
        HashSystem("imagehash_dhash", Source.PIXELS, lambda sample: imagehash.dhash(sample.picture)),
        HashSystem("imagehash_phash", Source.JPEG, lambda sample: imagehash.phash(Image.open(io.BytesIO(sample.jpeg)))),
    ]


def by_c() -> list[HashSystem]:
    """Our own C of the exact algorithm: what a compiler makes of it."""
    library = ceiling.load()

    def ask(sample: Sample) -> PdqHashes:
        height, width, channels = sample.pixels.shape
        scratch = np.empty(library.ceiling_pdq_floats(height, width), np.float32)
        hashes = np.empty((8, 32), np.uint8)
        quality = library.ceiling_pdq(
            sample.pixels.ctypes.data, height, width, channels, scratch.ctypes.data, hashes.ctypes.data
        )
        return PdqHashes(hashes, quality)

    return [HashSystem("c_exact", Source.PIXELS, ask, _of_kernel)]


FAMILIES: Mapping[str, Callable[[], list[HashSystem]]] = MappingProxyType(
    {
        "ours": ours,
        "pdqhash": by_pdqhash,
        "threatexchange": by_threatexchange,
        "perception": by_perception,
        "imagehash": by_imagehash,
        "c_exact": by_c,
    }
)
"""Name to what prepares its systems; the first line of its docstring says what it is."""
