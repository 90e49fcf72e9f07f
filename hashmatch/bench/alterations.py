"""The table of alterations: what people really do to pictures before they post them again.

Theory of operation
-------------------
An :class:`Alteration` turns a picture and a generator into the bytes of a file: a chain of steps
(``robustness_geometry``, ``robustness_colour``, ``robustness_overlays``), then an encoder. It is a pure function of the
two. :func:`rng_for` derives the generator from the seed, the alteration's name and the photo's name, so a result does
not depend on what else was run, in which order, or in how many processes.

Names with ``any`` leave their parameters to chance; the others lie on a grid. Groups are what people ask about; the
goals (``robustness_goals.py``) name alterations.

What this module deliberately does not do: it reads no file and computes no hash.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from hashmatch.bench import robustness_colour as colour
from hashmatch.bench import robustness_geometry as geometry
from hashmatch.bench import robustness_overlays as overlays
from hashmatch.bench.robustness_geometry import BLACK, WHITE, Step
from hashmatch.errors import BadInput

Save = Callable[[Image.Image, np.random.Generator], bytes]


class Add(Protocol):
    """Takes a row into the table."""

    def __call__(self, group: str, name: str, *steps: Step, save: Save = ...) -> None:
        """Take it; without ``save`` it is a JPEG of quality 90."""


_ORIENTATION = 274
_TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a picture must be stored for an EXIF orientation to put it upright."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """One thing done to a picture.

    ``name`` is unique; ``group`` is one of :data:`GROUPS`; ``quick`` says whether it is part of the short default run.
    """

    name: str
    group: str
    steps: tuple[Step, ...]
    save: Save
    quick: bool = False

    def __call__(self, picture: Image.Image, rng: np.random.Generator) -> bytes:
        """Return the altered picture as a file; ``picture`` is RGB and stays as it is."""
        for step in self.steps:
            picture = step(picture, rng)
        return self.save(picture, rng)


def rng_for(seed: int, alteration: str, photo: str) -> np.random.Generator:
    """Return the generator of one alteration of one photo."""
    digest = hashlib.sha256(f"{seed}/{alteration}/{photo}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def encoded(picture: Image.Image, image_format: str, **settings: Any) -> bytes:
    """Return the bytes of a file."""
    buffer = io.BytesIO()
    picture.save(buffer, image_format, **settings)
    return buffer.getvalue()


def _as(image_format: str, mode: str | None = None, **settings: Any) -> Save:
    def save(picture: Image.Image, _rng: np.random.Generator) -> bytes:
        return encoded(picture if mode is None else picture.convert(mode), image_format, **settings)

    return save


def _sixteen_bits(picture: Image.Image, _rng: np.random.Generator) -> bytes:
    return encoded(Image.fromarray(np.asarray(picture.convert("L"), dtype=np.uint16) * 257), "PNG", compress_level=1)


def _hidden_in_alpha(shade: int) -> Save:
    """Hide the picture in the alpha channel: visible on a page of the other shade, one flat colour without it."""

    def save(picture: Image.Image, _rng: np.random.Generator) -> bytes:
        luma = ImageOps.grayscale(picture)
        cover = Image.new("RGB", picture.size, (shade, shade, shade))
        cover.putalpha(luma if shade else ImageOps.invert(luma))
        return encoded(cover, "PNG", compress_level=1)

    return save


def _round_corners(picture: Image.Image, _rng: np.random.Generator) -> bytes:
    mask = Image.new("L", picture.size, 0)
    box = (0, 0, picture.width - 1, picture.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius=min(picture.size) // 20, fill=255)
    rounded = picture.copy()
    rounded.putalpha(mask)
    return encoded(rounded, "PNG", compress_level=1)


def _turned_by_exif(picture: Image.Image, rng: np.random.Generator) -> bytes:
    orientation = int(rng.integers(2, 9))
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    return encoded(picture.transpose(_TURNED[orientation]), "JPEG", quality=90, exif=exif)


def _animated(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """Make an animation: a drawn title, then the picture four times, in light that changes."""
    small = geometry.thumbnail(480)(picture, rng)
    frames = [overlays.scene(small.size, rng)]
    frames += [colour.brightness(factor)(small, rng) for factor in (1.0, 0.9, 1.05, 0.95)]
    title, *shown = [frame.quantize(method=Image.Quantize.FASTOCTREE) for frame in frames]
    return encoded(title, "GIF", save_all=True, append_images=shown, duration=200, loop=0)


_MIRROR = geometry.turn(Image.Transpose.FLIP_LEFT_RIGHT)
_JPEG = _as("JPEG", quality=90)
_REPOST = _as("JPEG", quality=50)
_QUICK_NAMES = (
    "jpeg_10 webp_50 resize_0.25 thumbnail_200 stretch_1.5 crop_2% crop_5% crop_any_centre_25% rotate_90 rotate_any_5 "
    "rotate_any_15 mirror border_any letterbox_any letterbox_any_blurred caption_any meme_large logo_15% watermark "
    "phone_any desktop_any photo_of_screen brightness_1.5 contrast_2 grey invert blur_1.5% noise_30 collage_4 "
    "gif_animated exif_any cmyk alpha_black combination_2 combination_3"
)
_QUICK = frozenset(_QUICK_NAMES.split())


def _mixed(count: int) -> Step:
    """Apply ``count`` different alterations drawn from those that people combine, in an order left to chance."""
    pool: Sequence[Step] = (
        _MIRROR, geometry.border_four_widths(0.01, 0.15),
        geometry.letterbox_any(0.05, 0.5), geometry.rotate_within(5), geometry.resize(0.5), overlays.caption(0.1, 0.35),
        overlays.logo(0.1), overlays.watermark(0.3), colour.brightness_within(0.7, 1.35), colour.grey, colour.invert,
        colour.noise(10), colour.blur(0.005), overlays.phone(),
    )  # fmt: skip

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        for at in rng.choice(len(pool), count, replace=False).tolist():
            picture = pool[at](picture, rng)
        return picture

    return step


def _add_sizes(add: Add) -> None:
    for quality in (10, 20, 30, 50, 70, 90):
        add("encoding", f"jpeg_{quality}", save=_as("JPEG", quality=quality))
    for quality in (20, 50, 80):
        add("encoding", f"webp_{quality}", save=_as("WEBP", quality=quality))
    for quality in (30, 60):
        add("encoding", f"avif_{quality}", save=_as("AVIF", quality=quality, speed=9))
    for factor in (0.1, 0.25, 0.5, 0.75, 1.5, 2, 3):
        add("size", f"resize_{factor:g}", geometry.resize(factor))
    for side in (96, 128, 200, 320):
        add("size", f"thumbnail_{side}", geometry.thumbnail(side))
    add("size", "stretch_1.5", geometry.resize(1.5, 1))
    add("size", "stretch_0.6", geometry.resize(0.6, 1))


def _add_crops(add: Add) -> None:
    for percent in (1, 2, 5, 10, 15, 25):
        add("crop", f"crop_{percent}%", geometry.crop_centre(percent / 100))
    for side, where in enumerate(("left", "top", "right", "bottom")):
        for percent in (1, 5, 10, 25):
            add("crop", f"crop_{where}_{percent}%", geometry.crop_side(side, percent / 100))
    add("crop", "crop_any_centre_25%", geometry.crop_any_centre(0.25))
    add("crop", "crop_any_side_25%", geometry.crop_any_side(0.25))
    add("crop", "crop_any_four_5%", geometry.crop_four_sides(0.05))
    add("crop", "crop_any_four_12%", geometry.crop_four_sides(0.12))


def _add_turns(add: Add) -> None:
    for degrees in (0.5, 1, 2, 5, 10, 15, 30, 45):
        add("rotation", f"rotate_{degrees:g}", geometry.rotate(degrees))
    add("rotation", "rotate_5_grown", geometry.rotate(5, grow=True))
    add("rotation", "rotate_any_5", geometry.rotate_within(5))
    add("rotation", "rotate_any_15", geometry.rotate_within(15))
    for degrees in (90, 180, 270):
        add("turn", f"rotate_{degrees}", geometry.turn(Image.Transpose[f"ROTATE_{degrees}"]))
    add("turn", "mirror", _MIRROR)
    add("turn", "flip", geometry.turn(Image.Transpose.FLIP_TOP_BOTTOM))
    add("turn", "exif_any", save=_turned_by_exif)


def _add_frames(add: Add) -> None:
    add("frame", "border_2%_black", geometry.border(0.02, BLACK))
    add("frame", "border_5%_black", geometry.border(0.05, BLACK))
    add("frame", "border_10%_white", geometry.border(0.1, WHITE))
    add("frame", "border_any", geometry.border_four_widths(0.01, 0.15))
    add("frame", "letterbox_20%_black", geometry.letterbox(0.2, BLACK))
    add("frame", "letterbox_20%_white", geometry.letterbox(0.2, WHITE))
    add("frame", "pillarbox_30%_black", geometry.letterbox(0.3, BLACK, tall=False))
    add("frame", "letterbox_any", geometry.letterbox_any(0.05, 0.5))
    add("frame", "letterbox_any_blurred", geometry.letterbox_any(0.1, 0.5, blurred=True))
    add("frame", "caption_any", overlays.caption(0.1, 0.35))


def _add_overlays(add: Add) -> None:
    add("overlay", "meme_small", overlays.meme(0.06))
    add("overlay", "meme_large", overlays.meme(0.12))
    add("overlay", "text_any", overlays.text_anywhere)
    add("overlay", "logo_15%", overlays.logo(0.15))
    add("overlay", "watermark", overlays.watermark(0.35))
    add("overlay", "sticker", overlays.stickers(1, 0.2))
    add("overlay", "stickers_3", overlays.stickers(3, 0.15))
    add("screen", "phone_light", overlays.phone(dark=False))
    add("screen", "phone_dark", overlays.phone(dark=True))
    add("screen", "phone_any", overlays.phone())
    add("screen", "desktop_any", overlays.desktop, save=_as("PNG", compress_level=1))
    add("screen", "photo_of_screen", overlays.photo_of_screen)
    add("collage", "collage_2", overlays.collage(2, 1))
    add("collage", "collage_4", overlays.collage(2, 2))


def _add_colours(add: Add) -> None:
    for name, parameters in (("brightness", (0.6, 1.5)), ("contrast", (0.5, 2)), ("gamma", (0.5, 2)),
                             ("saturation", (0.3, 2))):  # fmt: skip
        for parameter in parameters:
            add("light", f"{name}_{parameter:g}", getattr(colour, name)(parameter))
    add("light", "grey", colour.grey)
    add("light", "invert", colour.invert)
    add("light", "vignette", colour.vignette(0.7))
    add("light", "sepia", colour.sepia)
    add("light", "warm", colour.tint(1.1, 1.0, 0.8))
    add("light", "cool", colour.tint(0.85, 1.0, 1.15))
    add("light", "posterise_3", colour.posterise(3))
    add("light", "equalise", colour.equalise)
    add("detail", "blur_0.5%", colour.blur(0.005))
    add("detail", "blur_1.5%", colour.blur(0.015))
    add("detail", "sharpen", colour.sharpen)
    add("detail", "noise_10", colour.noise(10))
    add("detail", "noise_30", colour.noise(30))
    add("detail", "salt_and_pepper_5%", colour.salt_and_pepper(0.05))
    add("mode", "cmyk", save=_as("JPEG", "CMYK", quality=90))
    add("mode", "palette", save=_as("PNG", "P"))
    add("mode", "one_bit", save=_as("PNG", "1"))
    add("mode", "sixteen_bits", save=_sixteen_bits)
    add("mode", "alpha_black", save=_hidden_in_alpha(0))
    add("mode", "alpha_white", save=_hidden_in_alpha(255))
    add("mode", "alpha_corners", save=_round_corners)
    add("mode", "gif_animated", save=_animated)


def _add_combinations(add: Add) -> None:
    half, logo = geometry.resize(0.5), overlays.logo(0.1)
    add("combination", "mirror_resize_repost", _MIRROR, half, save=_REPOST)
    add("combination", "caption_logo_resize_repost", overlays.caption(0.15, 0.15), logo, half, save=_REPOST)
    add("combination", "border_rotate", geometry.rotate_within(3), geometry.border_four_widths(0.02, 0.1))
    add("combination", "mirror_phone", _MIRROR, overlays.phone(), save=_REPOST)
    add("combination", "crop_2%_caption", geometry.crop_centre(0.02), overlays.caption(0.1, 0.3))
    add("combination", "combination_2", _mixed(2))
    add("combination", "combination_3", _mixed(3))


def _table() -> tuple[Alteration, ...]:
    rows: list[Alteration] = []

    def add(group: str, name: str, *steps: Step, save: Save = _JPEG) -> None:
        rows.append(Alteration(name, group, steps, save, quick=name in _QUICK))

    for section in (_add_sizes, _add_crops, _add_turns, _add_frames, _add_overlays, _add_colours, _add_combinations):
        section(add)
    return tuple(rows)


ALTERATIONS: tuple[Alteration, ...] = _table()
"""Every alteration, in the order of reports."""
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(row.group for row in ALTERATIONS))


def chosen(names: str | None) -> tuple[Alteration, ...]:
    """Return the alterations that ``names`` (comma-separated names or groups, ``quick``, ``all``, ``augly``) asks for.

    Raises
    ------
    BadInput
        There is no alteration or group of a name.
    Skipped
        AugLy's are asked for and AugLy is not installed.

    """
    wanted = {name.strip() for name in (names or "quick").split(",")}
    table = ALTERATIONS
    if any(name.startswith("augly") for name in wanted):
        from hashmatch.bench import robustness_augly

        table += robustness_augly.alterations()
    unknown = wanted - {"all", "quick"} - {name for row in table for name in (row.name, row.group)}
    if unknown:
        raise BadInput(
            f"there is no alteration or group {min(unknown)!r}; groups are {', '.join(GROUPS)}, augly",
            field="transforms",
        )
    return tuple(
        row
        for row in table
        if {row.name, row.group} & wanted
        or ("all" in wanted and row in ALTERATIONS)
        or ("quick" in wanted and row.quick)
    )
