"""Every colour mode to the RGB picture that a person sees.

Theory of operation
-------------------
:func:`to_rgb` maps each Pillow mode to 8-bit RGB. Where Pillow's own ``convert("RGB")`` already does what a viewer does
(RGB, greyscale, palette, CMYK with Adobe inversion, YCbCr, HSV, LAB), it is used as it is: its pixels are those of the
reference PDQ vectors, bit for bit. Two things differ. *Transparency* is composited on white, the background of a page;
the reference drops alpha and hashes colours that nobody sees. *Deep samples* (16-bit, 32-bit, float) are scaled, where
Pillow clips at 255 and turns a 16-bit photo white.

With ``as_reference`` alpha is dropped, which reproduces the reference implementations on transparent pictures.

What this module deliberately does not do: ICC profiles are ignored, as by the reference: the colours of a wide-gamut
photo are slightly paler than on a calibrated screen, and no hostile profile is ever interpreted. One picture is
composited on one page: how it looks on a dark one is a view (:func:`on_black`), computed only when views are asked for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

_WHITE = (255, 255, 255)
_OPACITY = "hashmatch opacity"
"""Key of ``info`` under which a picture composited on white keeps the alpha that it had, mode L."""
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_WITH_ALPHA = frozenset({"LA", "RGBA", "PA"})
_BITS_PER_SAMPLE = 258
"""TIFF tag number."""


def to_rgb(image: Image.Image, *, as_reference: bool) -> Image.Image:
    """8-bit RGB twin of a loaded picture.

    Parameters
    ----------
    image : PIL.Image.Image
        Any mode, loaded. Not modified.
    as_reference : bool
        Drop alpha as the reference implementations do, instead of compositing on white.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, same size. May be ``image`` itself.

    """
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled(image, as_reference=as_reference)
    if image.mode in _PREMULTIPLIED:
        image = image.convert(_PREMULTIPLIED[image.mode])
    if not as_reference and (image.mode in _WITH_ALPHA or "transparency" in image.info):
        seen = image if image.mode == "RGBA" else image.convert("RGBA")
        alpha = seen.getchannel("A")
        if alpha.getextrema() != (255, 255):
            page = Image.new("RGB", image.size, _WHITE)
            page.paste(seen.convert("RGB"), mask=alpha)
            page.info[_OPACITY] = alpha
            return page
    return image if image.mode == "RGB" else image.convert("RGB")


def on_black(page: Image.Image) -> Image.Image | None:
    """Return a picture that was composited on white as it looks on black; None if it was opaque."""
    alpha = page.info.get(_OPACITY)
    if not isinstance(alpha, Image.Image):
        return None
    light = ImageChops.invert(alpha)  # what the white page contributed, alike in all channels
    return ImageChops.subtract(page, Image.merge("RGB", (light, light, light)))


def turned(picture: Image.Image, turn: Image.Transpose) -> Image.Image:
    """Turn or mirror a picture, and the alpha that it had."""
    result = picture.transpose(turn)
    alpha = picture.info.get(_OPACITY)
    if isinstance(alpha, Image.Image):
        result.info[_OPACITY] = alpha.transpose(turn)
    return result


def _scaled(image: Image.Image, *, as_reference: bool) -> Image.Image:
    """Grey picture of deep samples, scaled into 0..255.

    The scale is the sample type's where the file states one, else the smallest usual range that holds all values, else
    the values' own range. NaN and infinities become 0: they have no shade.
    """
    samples: npt.NDArray[np.float32] = np.nan_to_num(
        np.asarray(image, dtype=np.float32), copy=True, nan=0.0, posinf=0.0, neginf=0.0
    )
    low, high = _range(image, float(samples.min()), float(samples.max()))
    grey = np.clip((samples - low) * (255.0 / (high - low)) + 0.5, 0.0, 255.0).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int) and not as_reference:
        grey[samples == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _range(image: Image.Image, lowest: float, highest: float) -> tuple[float, float]:
    """Black and white of a deep picture, as sample values."""
    if image.mode.startswith("I;16"):
        stated = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))
        return 0.0, 4095.0 if stated == (12,) else 65535.0
    ceilings = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    if lowest >= 0:
        for ceiling in ceilings:
            if highest <= ceiling:
                return 0.0, ceiling
    return lowest, max(highest, np.nextafter(np.float32(lowest), np.float32(np.inf)))
