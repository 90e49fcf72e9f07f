"""A second opinion: the alterations of AugLy, where it is installed (``pip install augly``).

Theory of operation
-------------------
AugLy is what others test robustness with, so nobody can say that our own alterations were made to be undone. Called
with fixed parameters, or a seed where it takes one; what is drawn at import (its texts) is given instead.

What this module deliberately does not do: AugLy is no dependency, not even of the bench. Its last release is of 2022,
and functions that newer versions of Pillow and NumPy break (``meme_format``, ``perspective_transform``) are left out.

Source: AugLy 1.0.0, ``augly/image/functional.py``.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from hashmatch.bench.alterations import Alteration, encoded
from hashmatch.bench.robustness_geometry import Step
from hashmatch.bench.systems import Skipped

GROUP = "augly"
CALLS: Mapping[str, Mapping[str, Any]] = {
    "overlay_emoji": {},
    "overlay_onto_screenshot": {},
    "overlay_stripes": {"line_opacity": 0.5},
    "overlay_text": {"text": [*range(20, 32)]},
    "pad_square": {},
    "change_aspect_ratio": {"ratio": 1.6},
    "color_jitter": {"brightness_factor": 1.2, "contrast_factor": 1.2, "saturation_factor": 1.2},
    "encoding_quality": {"quality": 30},
    "opacity": {"level": 0.7},
    "pixelization": {"ratio": 0.4},
    "random_noise": {"seed": None},
    "shuffle_pixels": {"factor": 0.1, "seed": None},
}
"""Function to its parameters; a ``seed`` of None is drawn from the generator."""


@functools.cache
def alterations() -> tuple[Alteration, ...]:
    """Return AugLy's alterations, named ``augly_`` and the function.

    Raises
    ------
    Skipped
        AugLy is not installed, or cannot be imported beside what is.

    """
    try:
        with warnings.catch_warnings(action="ignore"):
            library = importlib.import_module("augly.image")
    except (ImportError, AttributeError) as error:
        raise Skipped(f"AugLy cannot be imported ({error}): pip install augly") from None
    return tuple(
        Alteration(f"{GROUP}_{name}", GROUP, (_step(getattr(library, name), parameters),), _save)
        for name, parameters in CALLS.items()
    )


def _step(function: Any, parameters: Mapping[str, Any]) -> Step:
    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        seed = {"seed": int(rng.integers(2**31))} if "seed" in parameters else {}
        with warnings.catch_warnings(action="ignore"):
            altered: Image.Image = function(picture.copy(), **{**parameters, **seed})
        return altered.convert("RGB")

    return step


def _save(picture: Image.Image, _rng: np.random.Generator) -> bytes:
    return encoded(picture, "JPEG", quality=90)
