"""Bytes to hashes: what a confined worker does with one upload.

Theory of operation
-------------------
:func:`hash_picture` is gates, decoding, hashing, in that order, and answers with a :class:`~hashmatch.model.Picture`
whatever the bytes are. Frames are hashed one by one as they are decoded, so one frame is held at a time; the hashes are
then put into the table's order, so that equal uploads give equal answers.

:func:`warm` does everything once on pictures made on the spot. After it, no module is imported, nothing is compiled and
no codec asks the system anything: the worker is confined afterwards and could not.

What this module deliberately does not do: it judges nothing. A flat picture is hashed and its quality says so; whether
such a hash may decide anything is for the policy.

Imports Pillow, imagehash and the kernels: only the sandbox and tests may import it.
"""

from __future__ import annotations

import io
import time
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

from hashmatch.config import DecodeConfig
from hashmatch.errors import SandboxUnavailable, UnknownAlgorithm
from hashmatch.hashing import enrol, gates, image, screening, views
from hashmatch.hashing.algorithms import algorithm, perceptual_names, plugins
from hashmatch.hashing.modes import on_black, to_rgb
from hashmatch.kernels.pdq import DIHEDRAL_NAMES, PdqHashes, pdq, pdq_exact, pdq_nearest512, pdq_nearest512_exact
from hashmatch.model import ComputedHash, Enrolment, HashOptions, Picture, Refusal, Views


def hash_picture(data: bytes, decode: DecodeConfig, options: HashOptions) -> Picture:
    """Hash one upload.

    Parameters
    ----------
    data : bytes
        The file, whatever it is.
    decode : DecodeConfig
        The limits.
    options : HashOptions
        What to compute. Digests among ``algorithms`` are not computed here (``digests.digest`` is).

    Returns
    -------
    Picture
        Hashes in the table's order, then by frame, then by transformation; or a refusal with its reason.

    Raises
    ------
    UnknownAlgorithm
        ``options.algorithms`` names an algorithm that is not installed, or none that is computed from pixels. This is
        the caller's mistake; nothing in ``data`` makes this function raise.

    """
    selected = _selected(options)
    started_ns = time.perf_counter_ns()

    def refused(refusal: Refusal, detail: str) -> Picture:
        return Picture(refusal=refusal, detail=detail, decode_us=(time.perf_counter_ns() - started_ns) // 1000)

    layout = gates.check_file(data, decode)
    if isinstance(layout, gates.Refused):
        return refused(layout.refusal, layout.detail)
    if (screened := screening.screen(data, layout, decode, options, selected)) is not None:
        return screened
    reader = image.read(data, layout, decode, options)
    if isinstance(reader, gates.Refused):
        return refused(reader.refusal, reader.detail)
    frames_hashed, hash_ns, failures = 0, 0, dict[str, str]()
    hashes: list[ComputedHash] = []
    try:
        for frame_number, picture in reader.frames():
            hashing_ns = time.perf_counter_ns()
            hashes.extend(_hash_frame(picture, frame_number, selected, failures, options))
            hashes.extend(_parts(picture, frame_number, frames_hashed, selected, options))
            frames_hashed += 1
            hash_ns += time.perf_counter_ns() - hashing_ns
    except MemoryError:
        return refused(Refusal.BOMB, f"hashing the {layout.format} picture needs more memory than there is")
    failed = ", ".join(f"{name} ({reason})" for name, reason in failures.items())
    if not hashes:
        return refused(Refusal.NO_USABLE_HASH, f"the only algorithms asked for failed on this picture: {failed}")
    total_ns = time.perf_counter_ns() - started_ns
    return Picture(
        media=reader.media(frames_hashed),
        hashes=_in_order(hashes),
        detail=f"algorithms that failed on this picture: {failed}" if failed else "",
        decode_us=(total_ns - hash_ns) // 1000,
        hash_us=hash_ns // 1000,
    )


def _in_order(hashes: list[ComputedHash]) -> tuple[ComputedHash, ...]:
    """Sort by algorithm and frame; transformations keep their order."""
    order = (*perceptual_names(), views.ALGORITHM)
    return tuple(sorted(hashes, key=lambda item: (order.index(item.algorithm), item.frame)))


def _selected(options: HashOptions) -> tuple[str, ...]:
    """Names of the algorithms to compute, in the table's order."""
    for name in sorted(options.algorithms):
        algorithm(name)
    wanted = options.algorithms or frozenset(perceptual_names())
    if options.views is not Views.NONE:
        wanted -= {views.ALGORITHM}  # among the views
    names = tuple(name for name in (*perceptual_names(), views.ALGORITHM) if name in wanted)
    if not names and options.views is Views.NONE:
        raise UnknownAlgorithm(
            f"none of {', '.join(sorted(options.algorithms))} is computed from pixels; "
            f"ask for one of {', '.join(perceptual_names())}",
            field="algorithms",
        )
    return names


def _hash_frame(
    picture: Image.Image, frame: int, selected: tuple[str, ...], failures: dict[str, str], options: HashOptions
) -> Iterator[ComputedHash]:
    """Hashes of one RGB frame. A plug-in that fails is noted in ``failures`` and costs only its own hash."""
    pixels: npt.NDArray[np.uint8] = np.asarray(picture)
    for name in selected:
        if name in _PDQ:
            found = (_PDQ_EXACT if options.exact else _PDQ)[name](pixels)
            for row, transformation in enumerate(DIHEDRAL_NAMES if options.dihedral else DIHEDRAL_NAMES[:1]):
                yield ComputedHash(name, found.hashes[row].tobytes(), found.quality, transformation, frame)
        elif name in _IMAGEHASH:
            yield ComputedHash(name, bytes.fromhex(str(_IMAGEHASH[name](picture))), frame=frame)
        else:
            value = _plugin_value(name, picture, failures)
            if value is not None:
                yield ComputedHash(name, value, frame=frame)


def _parts(
    picture: Image.Image, frame: int, frames_before: int, selected: tuple[str, ...], options: HashOptions
) -> Iterator[ComputedHash]:
    """Yield what one RGB frame is hashed as beside itself: views of a query, or parts of an original."""
    yield from _views(picture, frame, frames_before, options.views)
    if enrol.ALGORITHM in selected and not frames_before:
        yield from _enrolled(picture, frame, options.enrolment)


def _views(picture: Image.Image, frame: int, frames_before: int, level: Views) -> Iterator[ComputedHash]:
    """Yield the views of one RGB frame; only the first frames have any, and only the very first has all."""
    if level is not Views.NONE and frames_before < FRAMES_WITH_VIEWS:
        thorough = level is Views.FULL and frames_before == 0
        yield from views.views(np.asarray(picture), frame, thorough=thorough)
        dark = on_black(picture) if thorough else None
        if dark is not None:
            yield from views.view("black", np.asarray(dark), frame)


def _enrolled(picture: Image.Image, frame: int, level: Enrolment) -> Iterator[ComputedHash]:
    """Yield the values of parts of one RGB frame that an original is enrolled with."""
    for view, value, quality in enrol.enrol_hashes(np.asarray(picture), level):
        yield ComputedHash(enrol.ALGORITHM, value, quality, view, frame)


def _plugin_value(name: str, picture: Image.Image, failures: dict[str, str]) -> bytes | None:
    plugin = plugins()[name]
    try:
        value = plugin.compute(picture.copy())  # a plug-in may draw on its picture; the next algorithm needs it intact
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - foreign code: were it fatal, failing one plug-in would hide an image
        failures[name] = type(error).__name__
        return None
    if not isinstance(value, bytes) or len(value) != plugin.algorithm.size_bytes:
        failures[name] = f"not {plugin.algorithm.size_bytes} bytes"
        return None
    return value


_PDQ: Mapping[str, Callable[[npt.NDArray[np.uint8]], PdqHashes]] = types.MappingProxyType(
    {"pdq": pdq, "pdq-nearest512": pdq_nearest512, views.ALGORITHM: views.canonical}
)
_PDQ_EXACT = types.MappingProxyType({**_PDQ, "pdq": pdq_exact, "pdq-nearest512": pdq_nearest512_exact})
"""The same without the fast way; the phase-free hash is never written to a list."""

_IMAGEHASH: Mapping[str, Callable[[Image.Image], Any]] = types.MappingProxyType(
    {
        "phash": imagehash.phash,
        "dhash": imagehash.dhash,
        "ahash": imagehash.average_hash,
        "whash": imagehash.whash,
    }
)
"""Called with imagehash's defaults (hash_size 8), so that the hex is what ``str(imagehash.X(picture))`` prints."""


FRAMES_WITH_VIEWS = 8
"""Frames of an animation that get views: as many as are hashed by default, and with 32 the reply still holds them."""


def warm() -> None:
    """Decode one small picture of every allowed format and colour path, and run every algorithm.

    Raises
    ------
    SandboxUnavailable
        A format cannot be decoded or an algorithm fails: this Pillow was built without it, or a plug-in is broken.
    BadConfig
        An algorithm plug-in cannot be used.

    """
    decode, options = DecodeConfig(), HashOptions(views=Views.FULL)
    for name, data in _samples():
        answer = hash_picture(data, decode, options)
        if answer.refusal is not None or answer.detail:
            raise SandboxUnavailable(f"a {name} picture made on the spot could not be hashed: {answer.detail}")
        if name in gates.FORMATS:
            hash_picture(data[: len(data) * 3 // 4], decode, options)  # the salvage path; any answer will do
    for mode in ("LAB", "HSV", "YCbCr", "CMYK", "F", "I", "I;16", "LA", "PA", "RGBa"):
        to_rgb(Image.new(mode, (8, 8)), as_reference=False)


def _samples() -> Iterator[tuple[str, bytes]]:
    """Small pictures with some structure, animated where the format can be."""
    ramp = np.add.outer(np.arange(32, dtype=np.uint8) * 5, np.arange(32, dtype=np.uint8) * 3)
    still = Image.fromarray(ramp).convert("RGB")
    turned = still.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[274] = 6
    for name in gates.FORMATS:
        buffer = io.BytesIO()
        if name in {"PNG", "GIF", "WEBP", "AVIF", "TIFF"}:
            still.save(buffer, name, save_all=True, append_images=[turned])
        else:
            still.save(buffer, name)
        yield name, buffer.getvalue()
    for name in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF"):
        buffer = io.BytesIO()
        still.save(buffer, name, exif=exif)
        yield f"turned {name}", buffer.getvalue()
    for compression in ("tiff_lzw", "jpeg", "tiff_adobe_deflate"):
        buffer = io.BytesIO()
        still.save(buffer, "TIFF", compression=compression)
        yield f"{compression} TIFF", buffer.getvalue()
    buffer = io.BytesIO()
    still.convert("CMYK").save(buffer, "JPEG")
    yield "CMYK JPEG", buffer.getvalue()
