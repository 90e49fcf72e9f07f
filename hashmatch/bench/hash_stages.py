"""Where the time goes: our own way from a file to its hashes, in parts that are timed like systems.

Theory of operation
-------------------
From bytes: the gates, Pillow reading the header, the pixels, the hash; what is left of a whole upload is orientation
and bookkeeping. From pixels: the fused kernel as a whole, and the exact one in its parts: luma and box filters down to
64 x 64 samples, the cosine transform, the bits of eight hashes, the quality. The last three are the same in both.

Beside them stand *ceilings*, which do nothing but what nobody gets around: read every pixel once, from memory to
registers, in C in order and in the order of the fused kernel, and in NumPy; and for files libjpeg-turbo alone.

What this module deliberately does not do: it is no second implementation; it calls the kernels that ``pdq`` calls.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import simplejpeg

from hashmatch.bench import ceiling
from hashmatch.bench.hash_pictures import Pixels, Sample
from hashmatch.bench.hash_systems import Source
from hashmatch.bench.systems import Skipped
from hashmatch.bench.timing import Way
from hashmatch.config import DecodeConfig
from hashmatch.hashing import gates, image, turbo
from hashmatch.kernels import _pdq_bits as bits
from hashmatch.kernels import _pdq_filter as box
from hashmatch.kernels import _pdq_room as room
from hashmatch.kernels.pdq import DIHEDRAL_NAMES, pdq, pdq_fused
from hashmatch.model import HashOptions

Floats = npt.NDArray[np.float32]

READING = "ceiling: read only, C"
DECODING = "ceiling: libjpeg-turbo alone"


def stages(samples: Sequence[Sample], source: Source) -> list[Way]:
    """Parts of our own way from ``source``, for ``timing.measure``; names begin with ``stage``."""
    parts = _from_jpeg(samples) if source is Source.JPEG else _from_pixels(samples) | _reading(samples)
    return [_way(name, part, len(samples)) for name, part in parts.items()]


def _way(name: str, part: Callable[[int], object], pictures: int) -> Way:
    def run(begin: int, end: int) -> None:
        for number in range(begin, end):
            part(number)

    return Way(f"stage {name}", run, pictures)


def _from_jpeg(samples: Sequence[Sample]) -> dict[str, Callable[[int], object]]:
    config, opener = DecodeConfig(), image.OPENERS["JPEG"]
    return {
        "gates": lambda n: gates.check_file(samples[n].jpeg, config),
        "header": lambda n: opener(io.BytesIO(samples[n].jpeg)),
        "decode": lambda n: turbo.decode(samples[n].jpeg, "RGB", samples[n].picture.size),
        "decode by Pillow instead": lambda n: np.asarray(opener(io.BytesIO(samples[n].jpeg))),
        "hash": lambda n: pdq(samples[n].pixels),
        "decode for screening": lambda n: _scaled(samples[n], config),
        DECODING: lambda n: simplejpeg.decode_jpeg(
            samples[n].jpeg, "RGB", strict=False
        ),  # photos may have their faults
    }


def _reading(samples: Sequence[Sample]) -> dict[str, Callable[[int], object]]:
    """Read all pixels and do nothing with them; in C only where there is a compiler."""
    flat = [sample.pixels.reshape(-1) for sample in samples]
    words = [bytes_[: len(bytes_) // 8 * 8].view(np.uint64) for bytes_ in flat]
    parts: dict[str, Callable[[int], object]] = {"ceiling: read only, NumPy": lambda n: np.bitwise_xor.reduce(words[n])}
    try:
        library = ceiling.load()
    except Skipped:
        return parts

    def as_we_do(n: int) -> object:
        height, width, channels = samples[n].pixels.shape
        return library.ceiling_tents(flat[n].ctypes.data, height, width * channels, box.window_of(height))

    return parts | {
        READING: lambda n: library.ceiling_stream(words[n].ctypes.data, len(words[n])),
        f"{READING}, in our order": as_we_do,
    }


def _scaled(sample: Sample, config: DecodeConfig) -> object:
    """Read the header again and decode at the smallest scale that serves, where there is one."""
    layout = gates.check_file(sample.jpeg, config)
    return None if isinstance(layout, gates.Refused) else image.scaled(sample.jpeg, layout, config, HashOptions())


def _from_pixels(samples: Sequence[Sample]) -> dict[str, Callable[[int], object]]:
    grids = [exact_grid(sample.pixels) for sample in samples]
    blocks = [_block(grid) for grid in grids]
    return {
        "fused kernel, all of it": lambda n: pdq_fused(samples[n].pixels),
        "exact luma and filter": lambda n: exact_grid(samples[n].pixels),
        "transform": lambda n: _block(grids[n]),
        "bits": lambda n: _bits(blocks[n]),
        "quality": lambda n: bits.quality(grids[n]),
    }


def exact_grid(pixels: Pixels) -> Floats:
    """Luma and box filters of an RGB picture; float32, shape (64, 64)."""
    height, width, channels = pixels.shape
    arrays, grid = room.exact(height, width), np.empty((box.GRID, box.GRID), np.float32)
    box.filter_rows(pixels.reshape(height, width * channels), True, *arrays)  # noqa: FBT003  (kernels take positions)
    box.filter_columns(arrays.narrow[:height], np.zeros(box.GRID, np.float32), grid)
    return grid


def _block(grid: Floats) -> Floats:
    block = np.empty((bits.BLOCK, bits.BLOCK), np.float32)
    bits.transform(grid, np.empty((bits.BLOCK, bits.GRID), np.float32), block)
    return block


def _bits(block: Floats) -> Pixels:
    hashes = np.zeros((len(DIHEDRAL_NAMES), bits.COEFFICIENTS // 8), np.uint8)
    bits.threshold(block, np.empty((3, bits.COEFFICIENTS), np.float32), hashes)
    return hashes
