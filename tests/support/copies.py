"""What people do to a picture before they post it again: small, deterministic, and nothing that the views are built on.

Each function takes and returns an RGB picture; ``COPIES`` names them for parametrised tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PIL import Image, ImageDraw, ImageFilter, ImageOps

Alter = Callable[[Image.Image], Image.Image]


def border(picture: Image.Image) -> Image.Image:
    """Put four bars of different widths and one colour around it."""
    width, height = picture.size
    page = Image.new("RGB", (width + 60, height + 50), (240, 240, 235))
    page.paste(picture, (20, 35))
    return page


def letterbox(picture: Image.Image) -> Image.Image:
    """Put black bars above and below."""
    width, height = picture.size
    page = Image.new("RGB", (width, height * 3 // 2))
    page.paste(picture, (0, height // 4))
    return page


def blurred_bars(picture: Image.Image) -> Image.Image:
    """Put the picture on a blurred, larger copy of itself, as video tools do."""
    width, height = picture.size
    page = picture.resize((width * 2, height * 2)).crop((width // 3, 0, width // 3 + width * 4 // 3, height))
    page = page.filter(ImageFilter.GaussianBlur(width / 40))
    page.paste(picture, (width // 6, 0))
    return page


def caption(picture: Image.Image) -> Image.Image:
    """Write two lines on a white bar above."""
    width, height = picture.size
    bar = height // 5
    page = Image.new("RGB", (width, height + bar), "white")
    draw = ImageDraw.Draw(page)
    for line in range(2):
        draw.text(
            (width // 20, bar // 6 + line * bar // 3), "when nobody asked for it " * 2, "black", font_size=bar / 4
        )
    page.paste(picture, (0, bar))
    return page


def screenshot(picture: Image.Image) -> Image.Image:
    """Show it full width on a phone: status line, title, picture, buttons, text."""
    width, height = picture.size
    top, page = height // 3, Image.new("RGB", (width, width * 2), (250, 250, 252))
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, width, top // 4), fill=(30, 30, 30))
    draw.ellipse((10, top // 2, 10 + top // 3, top // 2 + top // 3), fill=(90, 120, 180))
    draw.text((20 + top // 3, top // 2), "somebody, yesterday", "black", font_size=top / 5)
    page.paste(picture, (0, top))
    for line in range(5):
        draw.text((12, top + height + 15 + line * 18), "and what they say about it, at length", "black", font_size=12)
    return page


def turned(degrees: float) -> Alter:
    """Turn by a few degrees, corners black, size as before."""

    def alter(picture: Image.Image) -> Image.Image:
        return picture.rotate(degrees, Image.Resampling.BICUBIC)

    return alter


def collage(picture: Image.Image) -> Image.Image:
    """Put it top right among three others: its own negative, turned and mirrored versions."""
    width, height = picture.size
    page = Image.new("RGB", (2 * width, 2 * height))
    page.paste(ImageOps.flip(ImageOps.invert(picture)), (0, 0))
    page.paste(picture, (width, 0))
    page.paste(ImageOps.posterize(picture.rotate(180), 2), (0, height))
    page.paste(ImageOps.solarize(picture.filter(ImageFilter.GaussianBlur(9))), (width, height))
    return page.resize((width, height))


def photographed(picture: Image.Image) -> Image.Image:
    """Show it on a screen with a dark rim before a grey wall, and photograph that at an angle."""
    width, height = picture.size
    rim = width // 30
    screen = ImageOps.expand(picture, rim, (16, 16, 18))
    wall = Image.new("RGB", (width * 4 // 3, height * 4 // 3), (96, 92, 88))
    across, down = (1.12, 0.06, -0.15 * width), (-0.04, 1.14, -0.1 * height)
    map_back = (*across, *down, 0.08 / width, 0.06 / height)
    seen = [
        layer.transform(wall.size, Image.Transform.PERSPECTIVE, map_back, Image.Resampling.BICUBIC)
        for layer in (screen, Image.new("L", screen.size, 255))
    ]
    wall.paste(seen[0], (0, 0), seen[1])
    return wall


COPIES: Mapping[str, Alter] = {
    "border": border,
    "letterbox": letterbox,
    "blurred bars": blurred_bars,
    "caption": caption,
    "screenshot": screenshot,
    "turned +5": turned(5),
    "turned -5": turned(-5),
    "mirror": ImageOps.mirror,
    "negative": ImageOps.invert,
    "collage": collage,
    "photographed": photographed,
}
