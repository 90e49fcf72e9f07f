"""Every format and every algorithm through the confined workers: the same answer as without them, and not one kill."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from hashmatch.config import DecodeConfig
from hashmatch.hashing.algorithms import perceptual_names
from hashmatch.hashing.compute import hash_picture
from hashmatch.model import Fidelity, HashOptions, Picture, Views
from hashmatch.sandbox.pool import WorkerPool
from tests.support import images
from tests.support.sandbox import patient

PHOTO = images.photo(3, (96, 80))
FILES = {variant.name: variant.data for variant in images.variants(PHOTO)}
FILES |= {
    "ICO": images.encoded(PHOTO, "ICO", sizes=[(64, 64)]),
    "animated GIF": images.animation("GIF", [PHOTO, images.photo(4, (96, 80))]),
    "animated WEBP": images.animation("WEBP", [PHOTO, images.photo(4, (96, 80))]),
    "animated PNG": images.animation("PNG", [PHOTO, images.photo(4, (96, 80))]),
    "animated AVIF": images.animation("AVIF", [PHOTO, images.photo(4, (96, 80))]),
    "JPEG in TIFF": images.encoded(PHOTO, "TIFF", compression="jpeg"),
    "deflate TIFF": images.encoded(PHOTO, "TIFF", compression="tiff_adobe_deflate"),
    "lossless WEBP": images.encoded(PHOTO, "WEBP", lossless=True),
    "truncated JPEG": images.encoded(PHOTO, "JPEG")[:-400],
    "nothing": b"",
    "text": b"no picture at all",
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool() -> AsyncIterator[WorkerPool]:
    async with WorkerPool(DecodeConfig(), patient()) as running:
        yield running


def without_times(picture: Picture) -> Picture:
    return dataclasses.replace(picture, queue_us=0, decode_us=0, hash_us=0)


@pytest.mark.parametrize("views", [Views.NONE, Views.CHEAP])
async def test_a_large_jpeg_is_screened_in_confinement(pool: WorkerPool, views: Views) -> None:
    data = images.encoded(images.photo(5, (2_080, 2_056)), "JPEG")
    options = HashOptions(frozenset({"pdq", "pdq-nearest512"}), views=views, fidelity=Fidelity.SCREEN)
    confined = await pool.hash(data, options)
    assert without_times(confined) == without_times(hash_picture(data, DecodeConfig(), options))
    assert confined.media is not None
    assert confined.media.fidelity is Fidelity.SCREEN
    assert pool.status().restarts == 0


@pytest.mark.parametrize("name", FILES)
async def test_confined_equals_direct(pool: WorkerPool, name: str) -> None:
    direct = hash_picture(FILES[name], DecodeConfig(), HashOptions())
    confined = await pool.hash(FILES[name], HashOptions())
    assert without_times(confined) == without_times(direct)
    assert pool.status().restarts == 0, "a worker was killed: the filter lacks a call that this format needs"
    if direct.refusal is None:
        assert {computed.algorithm for computed in confined.hashes} == set(perceptual_names())


@pytest.mark.parametrize(
    "options",
    [
        HashOptions(algorithms=frozenset({"phash"})),
        HashOptions(dihedral=False),
        HashOptions(ignore_orientation=True),
        HashOptions(first_frame_only=True),
    ],
    ids=repr,
)
async def test_options_reach_the_worker(pool: WorkerPool, options: HashOptions) -> None:
    turned = images.encoded(images.stored_turned(PHOTO, 6), "JPEG", exif=images.orientation_exif(6))
    for data in (turned, FILES["animated GIF"]):
        direct = hash_picture(data, DecodeConfig(), options)
        assert direct.hashes
        assert without_times(await pool.hash(data, options)) == without_times(direct)


async def test_damaged_files_kill_no_worker(pool: WorkerPool) -> None:
    rng = np.random.default_rng(11)
    whole = [FILES[name] for name in images.FORMAT_OPTIONS]
    damages = list(images.mutations().values())
    options = HashOptions(algorithms=frozenset({"pdq"}))
    answered = 0
    for number in range(240):
        data, other = whole[number % len(whole)], whole[int(rng.integers(len(whole)))]
        picture = await pool.hash(damages[number % len(damages)](rng, data, other), options)
        answered += picture.refusal is None
    assert pool.status().restarts == 0
    assert 0 < answered < 240, "the mutations are neither all harmless nor all fatal"
