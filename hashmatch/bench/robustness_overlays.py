"""What people put on and around a picture: words, logos, stickers, mock applications, other pictures.

Theory of operation
-------------------
Everything is drawn on the spot with Pillow's built-in font, from the generator: no asset is shipped, nothing is read.
Screens are mock-ups of what such screens have in common (status bar, header, the picture, buttons, lines of text), in
sizes and places left to chance; no application's design is copied. The other pictures of a collage are drawn scenes
(:func:`scene`): soft shapes with the spectrum of photographs.

What this module deliberately does not do: it measures nothing, and it knows no other photo than the one it is given.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from hashmatch.bench.robustness_colour import blur, brightness, lines, noise
from hashmatch.bench.robustness_geometry import BLACK, WHITE, Colour, Step, any_colour, at_least, perspective

_PROSE = (
    "when you see that one river again nobody ever told me about the morning light over old bridges "
    "and this is why we walk to work every single day with friends who bring coffee"
)
_WORDS = tuple(_PROSE.split())
_LANCZOS = Image.Resampling.LANCZOS


@functools.lru_cache(maxsize=256)
def font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's built-in font."""
    return ImageFont.load_default(size=max(6, size_px))


def words(rng: np.random.Generator, count: int) -> str:
    """Draw words."""
    return " ".join(_WORDS[at] for at in rng.integers(0, len(_WORDS), count))


def scene(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Draw some other picture: octaves of noise, each half as strong as the one before it, with a few shapes."""
    width, height = size
    values = np.zeros((height, width, 3))
    for octave in range(1, 7):
        cells = rng.integers(0, 256, (2**octave + 1, 2**octave + 1, 3), dtype=np.uint8)
        values += (
            np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC), dtype=np.float64) / 2**octave
        )
    picture = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(3, 8))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        across, down = rng.uniform(0.05, 0.3) * width, rng.uniform(0.05, 0.3) * height
        draw.ellipse((x - across, y - down, x + across, y + down), fill=any_colour(rng))
    return picture


@dataclass(frozen=True, slots=True)
class Ink:
    """How letters look; ``outline`` None for none."""

    size_px: int
    fill: Colour
    outline: Colour | None = None


def _write(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], text: str, ink: Ink) -> None:
    """Write lines of words into a box (left, top, right, bottom), wrapped, centred, as far as they fit."""
    size_px, (left, top, right, bottom) = ink.size_px, box
    chosen = font(size_px)
    rows: list[str] = [""]
    for word in text.split():
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and draw.textlength(longer, font=chosen) > right - left:
            rows.append(word)
        else:
            rows[-1] = longer
    fitting = rows[: max(1, int((bottom - top) // (1.2 * size_px)))]
    y = top + max(0.0, (bottom - top - 1.2 * size_px * len(fitting)) / 2)
    for row in fitting:
        x = left + (right - left - draw.textlength(row, font=chosen)) / 2
        stroke = 0 if ink.outline is None else max(1, size_px // 12)
        draw.text((x, y), row, fill=ink.fill, font=chosen, stroke_width=stroke, stroke_fill=ink.outline)
        y += 1.2 * size_px


def caption(least: float, most: float) -> Step:
    """Add a bar with words above or below; its height is a share of the picture's."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = picture.size
        bar = at_least(height * rng.uniform(least, most))
        paper, ink = (WHITE, BLACK) if rng.random() < 1 / 2 else (BLACK, WHITE)
        above = bool(rng.random() < 1 / 2)
        canvas = Image.new("RGB", (width, height + bar), paper)
        canvas.paste(picture, (0, bar if above else 0))
        top = 0 if above else height
        size = at_least(min(bar / 3, width / 14))
        _write(ImageDraw.Draw(canvas), (8, top, width - 8, top + bar), words(rng, 12), Ink(size, ink))
        return canvas

    return step


def meme(share: float) -> Step:
    """Write a line at the top and one at the bottom; letters are ``share`` of the height, white with an outline."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = picture.size
        canvas, size = picture.copy(), at_least(height * share)
        draw = ImageDraw.Draw(canvas)
        for top in (0.02 * height, 0.98 * height - 1.2 * size):
            box = (0.02 * width, top, 0.98 * width, top + 1.2 * size)
            _write(draw, box, words(rng, 6).upper(), Ink(size, WHITE, BLACK))
        return canvas

    return step


def text_anywhere(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Write a few words somewhere, in some size and colour."""
    width, height = picture.size
    canvas, size = picture.copy(), at_least(height * rng.uniform(0.05, 0.15))
    left, top = rng.uniform(0, 0.5) * width, rng.uniform(0, 0.8) * height
    box = (left, top, left + width / 2, top + 2.4 * size)
    _write(ImageDraw.Draw(canvas), box, words(rng, 4), Ink(size, any_colour(rng)))
    return canvas


def logo(share: float) -> Step:
    """Put a round badge into a corner, ``share`` of the short side across."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = picture.size
        canvas, size = picture.copy(), at_least(share * min(width, height))
        draw, margin = ImageDraw.Draw(canvas), at_least(0.02 * width)
        x = margin if rng.random() < 1 / 2 else width - margin - size
        y = margin if rng.random() < 1 / 2 else height - margin - size
        draw.ellipse((x, y, x + size, y + size), fill=any_colour(rng), outline=WHITE, width=max(1, size // 16))
        _write(draw, (x, y, x + size, y + size), words(rng, 1)[:4].upper(), Ink(at_least(size / 3), WHITE, BLACK))
        return canvas

    return step


def watermark(strength: float) -> Step:
    """Repeat a word all over the picture, slanted and half transparent."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = picture.size
        side, size = 2 * max(width, height), at_least(max(width, height) / 22)
        layer = Image.new("L", (side, side), 0)
        draw, word = ImageDraw.Draw(layer), words(rng, 2)
        step_px = at_least(draw.textlength(word + "    ", font=font(size)))
        for row, y in enumerate(range(0, side, 4 * size)):
            for x in range(-(row % 2) * step_px // 2, side, step_px):
                draw.text((x, y), word, fill=round(255 * strength), font=font(size))
        layer = layer.rotate(30)
        left, top = (side - width) // 2, (side - height) // 2
        mask = layer.crop((left, top, left + width, top + height))
        return Image.composite(Image.new("RGB", picture.size, WHITE), picture, mask)

    return step


def stickers(count: int, share: float) -> Step:
    """Stick ``count`` faces onto the picture, each ``share`` of the short side across."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = picture.size
        canvas, size = picture.copy(), at_least(share * min(width, height))
        draw = ImageDraw.Draw(canvas)
        for _ in range(count):
            x, y = rng.uniform(0, width - size), rng.uniform(0, height - size)
            draw.ellipse(
                (x, y, x + size, y + size), fill=(255, 205, 50), outline=(120, 80, 0), width=max(1, size // 20)
            )
            for eye in (0.3, 0.6):
                draw.ellipse((x + eye * size, y + 0.28 * size, x + (eye + 0.1) * size, y + 0.42 * size), fill=BLACK)
            box = (x + 0.25 * size, y + 0.35 * size, x + 0.75 * size, y + 0.8 * size)
            draw.arc(box, 10, 170, fill=BLACK, width=max(1, size // 14))
        return canvas

    return step


def phone(*, dark: bool | None = None) -> Step:
    """Take a screenshot of a feed on a phone; ``dark`` None leaves the theme to chance."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        night = bool(rng.random() < 1 / 2) if dark is None else dark
        paper, ink = ((18, 18, 20), (230, 230, 230)) if night else (WHITE, (30, 30, 30))
        width = int(rng.integers(540, 821))
        height = round(width * rng.uniform(1.9, 2.2))
        canvas = Image.new("RGB", (width, height), paper)
        draw, unit = ImageDraw.Draw(canvas), width / 36
        draw.text(
            (2 * unit, 0.6 * unit), f"{rng.integers(24)}:{rng.integers(10, 60)}", fill=ink, font=font(int(1.3 * unit))
        )
        draw.rectangle((width - 4 * unit, 0.8 * unit, width - 1.5 * unit, 1.9 * unit), outline=ink, width=2)
        head = round(3 * unit)
        draw.ellipse((unit, head + unit, 4 * unit, head + 4 * unit), fill=any_colour(rng))
        draw.text((5 * unit, head + 1.6 * unit), words(rng, 2), fill=ink, font=font(int(1.5 * unit)))
        margin = 0 if rng.random() < 1 / 2 else round(unit)
        room = (width - 2 * margin, height - round(18 * unit))
        scale = min(room[0] / picture.width, room[1] / picture.height)
        shown = picture.resize((at_least(picture.width * scale), at_least(picture.height * scale)), _LANCZOS)
        top = head + round((5 + rng.uniform(0, 3)) * unit)
        canvas.paste(shown, ((width - shown.width) // 2, top))
        below = top + shown.height + unit
        for at in range(3):
            draw.ellipse(((2 + 4 * at) * unit, below, (4 + 4 * at) * unit, below + 2 * unit), outline=ink, width=3)
        y = below + 3.5 * unit
        while y < height - 5 * unit:
            draw.text((1.5 * unit, y), words(rng, int(rng.integers(4, 8))), fill=ink, font=font(int(1.3 * unit)))
            y += 2.2 * unit
        draw.rectangle((0, height - 3.5 * unit, width, height), fill=(45, 45, 48) if night else (240, 240, 242))
        return canvas

    return step


def desktop(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Take a screenshot of a window on a desktop, of a size and at a place left to chance."""
    width, height = 1280, 800
    canvas = scene((width, height), rng) if rng.random() < 1 / 2 else Image.new("RGB", (width, height), any_colour(rng))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, height - 36, width, height), fill=(32, 34, 40))
    share = rng.uniform(0.4, 0.85)
    scale = min(share * width / picture.width, share * height / picture.height)
    shown = picture.resize((at_least(picture.width * scale), at_least(picture.height * scale)), _LANCZOS)
    left = int(rng.integers(4, max(5, width - shown.width - 4)))
    top = int(rng.integers(40, max(41, height - 40 - shown.height)))
    draw.rectangle((left - 2, top - 34, left + shown.width + 1, top + shown.height + 1), fill=(225, 227, 230))
    draw.text((left + 10, top - 27), f"{words(rng, 3)}.jpg", fill=(40, 40, 40), font=font(16))
    for at, colour in enumerate(((230, 90, 80), (240, 190, 60), (90, 190, 90))):
        x = left + shown.width - 22 * (at + 1)
        draw.ellipse((x, top - 26, x + 14, top - 12), fill=colour)
    canvas.paste(shown, (left, top))
    return canvas


def photo_of_screen(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Photograph a screen: seen at an angle, bezel and wall around, the grid of its pixels, glare, blur, noise."""
    screen = lines(0.25, rng.uniform(2.3, 3.5))(picture, rng)
    width, height = picture.size
    bezel = at_least(0.03 * width)
    framed = Image.new("RGB", (width + 2 * bezel, height + 2 * bezel), (15, 15, 17))
    framed.paste(screen, (bezel, bezel))
    size = (round(1.15 * framed.width), round(1.15 * framed.height))
    corners = np.array([(0.065, 0.065), (0.935, 0.065), (0.935, 0.935), (0.065, 0.935)])
    seen = perspective(framed, (corners + rng.uniform(-0.04, 0.04, (4, 2))) * size, size, (70, 65, 60))
    x = np.linspace(0, 1, size[0])[None, :] - rng.uniform(0.2, 0.8)
    y = np.linspace(0, 1, size[1])[:, None] - rng.uniform(0.2, 0.8)
    glare = Image.fromarray((60 * np.exp(-12 * (x**2 + y**2))).astype(np.uint8)).convert("RGB")
    lit = brightness(rng.uniform(0.8, 1.1))(ImageChops.add(seen, glare), rng)
    return noise(4)(blur(0.0015)(lit, rng), rng)


def collage(across: int, down: int) -> Step:
    """Put the picture among drawn scenes into one cell of a grid; it keeps its shape, the others take its size."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = picture.size
        gap = int(rng.integers(0, 9))
        canvas = Image.new("RGB", (across * (width + gap) - gap, down * (height + gap) - gap), WHITE)
        own = int(rng.integers(across * down))
        for cell in range(across * down):
            shown = picture if cell == own else scene(picture.size, rng)
            canvas.paste(shown, (cell % across * (width + gap), cell // across * (height + gap)))
        return canvas

    return step


def page(layout: int, rng: np.random.Generator) -> Image.Image:
    """Draw a page with one of eight layouts: the layout decides the places, the generator the words and figures.

    These are the hard negatives "same layout, other text": letters, receipts, posters, slides.
    """
    places = np.random.default_rng(layout)
    width, height = (640, 880) if layout % 2 else (880, 640)
    paper = WHITE if layout < 4 else any_colour(places)  # noqa: PLR2004 - half of the layouts are on coloured paper
    canvas = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, width, places.uniform(0.08, 0.2) * height), fill=any_colour(places))
    ink = BLACK if sum(paper) > 384 else WHITE  # noqa: PLR2004 - half of white
    _write(draw, (20, 10, width - 20, 0.12 * height), words(rng, 3).upper(), Ink(40, any_colour(places)))
    for _ in range(int(places.integers(2, 5))):
        left, top = places.uniform(0.03, 0.5) * width, places.uniform(0.2, 0.75) * height
        box = (left, top, left + places.uniform(0.2, 0.45) * width, top + places.uniform(0.05, 0.2) * height)
        draw.rectangle(box, outline=ink, width=3, fill=any_colour(places) if places.random() < 1 / 2 else None)
        _write(draw, box, words(rng, 12), Ink(int(places.integers(14, 24)), ink))
    _write(draw, (20, 0.9 * height, width - 20, height), f"{rng.integers(10**6):,}", Ink(30, ink))
    return canvas.filter(ImageFilter.SMOOTH)
