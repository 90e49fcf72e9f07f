"""What was promised of robustness, and whether a run keeps it. Pure.

Theory of operation
-------------------
The goals are about the highest level, ``full``, on photos that nothing was tuned on. One goal may be about several
alterations: what counts is the share of all their pictures, and the worst of them stands beside it, with the lower
levels. A goal is open when a run does not have everything it needs: the level, all of its alterations, enough queries.

What this module deliberately does not do: it rounds nothing in anybody's favour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hashmatch.bench import goals
from hashmatch.bench.goals import Checked, Goal

LEVEL = "full"
ENROLLED = "enrolled"
"""The level ``full``, asked of a list that also has the hashes of the originals' parts."""
FOREIGN_QUERIES = 100_000
PERCENT = " %"
PRODUCT, LAYOUT = "same product, other photo", "same layout, other text"
"""Kinds of hard negatives."""
MOST_NEGATIVES = 0.001
"""Share of the hard negatives that may match."""
_GRID = {
    "turned": ("mirror", "rotate_90", "rotate_180", "rotate_270", "invert", "exif_any", "cmyk", "palette", "one_bit",
               "sixteen_bits", "alpha_black", "alpha_white", "alpha_corners"),
    "framed": ("border_any", "letterbox_any", "letterbox_any_blurred", "caption_any"),
    "plain": ("thumbnail_200", "thumbnail_320", "resize_0.25", "resize_0.5", "resize_0.75", "resize_1.5", "resize_2",
              "jpeg_10", "jpeg_20", "jpeg_30", "jpeg_50", "jpeg_70", "jpeg_90", "blur_0.5%", "blur_1.5%", "noise_10",
              "noise_30", "grey", "gamma_0.5", "gamma_2", "saturation_0.3", "saturation_2"),
    "covered": ("logo_15%", "watermark", "brightness_1.5", "contrast_2"),
    "combined": ("mirror_resize_repost", "caption_logo_resize_repost", "border_rotate", "mirror_phone",
                 "crop_2%_caption", "combination_2", "combination_3"),
}  # fmt: skip


def share(names: Sequence[str], key: str = "recall", level: str = LEVEL) -> Callable[[Any], float | None]:
    """Read the percentage of the pictures of these alterations that were found; None unless all were run."""

    def read(results: Any) -> float | None:
        rows = [results["transforms"].get(name, {}).get("levels", {}).get(level) for name in names]
        if not all(row and row["n"] for row in rows):
            return None
        found: float = sum(row[key] * row["n"] for row in rows)
        pictures: int = sum(row["n"] for row in rows)
        return 100 * found / pictures

    return read


def _beside(names: Sequence[str], key: str, of: str) -> Callable[[Any], Mapping[str, float | None]]:
    def read(results: Any) -> Mapping[str, float | None]:
        said = {level: share(names, key, level)(results) for level in results["foreign"] if level != of}
        alone = {name: share((name,), key, of)(results) for name in names} if len(names) > 1 else {}
        worst = min((name for name in alone if alone[name] is not None), key=lambda name: alone[name] or 0, default="")
        return said | ({f"worst `{worst}`": alone[worst]} if worst else {})

    return read


def recall(what: str, bound: float, *names: str, key: str = "recall", level: str = LEVEL) -> Goal:
    """Promise a recall in percent."""
    return Goal(what, bound, PERCENT, share(names, key, level), at_least=True, beside=_beside(names, key, level))


def _false_matches(results: Any) -> float | None:
    rows = _foreign(results)
    queries, found = (sum(row[key] for row in rows) for key in ("queries", "false_matches"))
    return None if queries < FOREIGN_QUERIES and not found else float(found)


def _foreign(results: Any) -> list[Mapping[str, Any]]:
    """Altered photos against the other photos, and strangers, as far as there are any."""
    return [row for row in (results["foreign"].get(LEVEL), results.get("strangers")) if row is not None]


def _false_matches_beside(results: Any) -> Mapping[str, float | None]:
    rows = _foreign(results)
    nearest = [row["nearest_foreign"] for row in rows if row["nearest_foreign"] is not None]
    return {
        "false matches": sum(row["false_matches"] for row in rows),
        "queries": sum(row["queries"] for row in rows),
        "nearest foreign": min(nearest, default=None),
    }


def _negatives(kind: str) -> Goal:
    """Promise how many percent of the pairs of one kind match at most."""

    def read(results: Any, level: str = LEVEL) -> float | None:
        row = results.get("hard_negatives", {}).get(kind, {}).get(level)
        return 100 * row["matches"] / row["pairs"] if row and row["pairs"] else None

    def beside(results: Any) -> Mapping[str, float | None]:
        row = results.get("hard_negatives", {}).get(kind, {}).get(LEVEL) or {}
        lower = {level: read(results, level) for level in results["foreign"] if level != LEVEL}
        scene = {"matches": row.get("matches"), "of which two shots of one scene": row.get("matches_one_scene") or None}
        return {"pairs": row.get("pairs"), **scene, "nearest": row.get("nearest"), **lower}

    return Goal(f"hard negatives that match: {kind}", 100 * MOST_NEGATIVES, PERCENT, read, beside=beside)


def _cost(key: str) -> Callable[[Any], float | None]:
    return lambda results: results.get("cost", {}).get(LEVEL, {}).get(key)


def _search_cost(results: Any) -> float | None:
    return _cost("search_ms")(results) if results.get("entries") == 1_000_000 else None  # noqa: PLR2004 - the goal's


_COVERED = "logo, watermark, brightness ×1.5, contrast ×2"  # noqa: RUF001 - as people write it
_MEME = "large meme text"
GOALS: tuple[Goal, ...] = (
    recall("mirror, quarter turns, invert, colour modes, EXIF", 99.5, *_GRID["turned"]),
    recall("borders, letterboxes, captions, blurred bars, random", 99, *_GRID["framed"]),
    recall("phone screenshot, random", 97, "phone_any"),
    recall("desktop screenshot, random place and size", 92, "desktop_any"),
    recall("rotate ±5°, random", 99, "rotate_any_5"),
    recall("rotate ±15°, random", 92, "rotate_any_15"),
    recall("thumbnails from 200 px, resize 0.25 to 2, JPEG 10 to 90, blur, noise, grey, gamma, saturation", 99.5,
           *_GRID["plain"]),
    recall("crop of at most 2 %", 97, "crop_1%", "crop_2%"),
    recall("crop up to 25 %, centre or one side, with enrolment views", 99, "crop_any_centre_25%", "crop_any_side_25%",
           level=ENROLLED),
    recall("four sides cropped 0 to 12 %, with enrolment views", 60, "crop_any_four_12%", level=ENROLLED),
    recall(_COVERED, 95, *_GRID["covered"]),
    recall(f"{_COVERED}: review", 99, *_GRID["covered"], key="recall_review"),
    recall(_MEME, 45, "meme_large"),
    recall(f"{_MEME}: review", 90, "meme_large", key="recall_review"),
    recall("combinations of two and three", 85, *_GRID["combined"]),
    recall("collage of four", 70, "collage_4"),
    recall("photo of a screen", 70, "photo_of_screen"),
    Goal(f"false matches in {FOREIGN_QUERIES:,} queries", 0, "", _false_matches, beside=_false_matches_beside),
    _negatives(PRODUCT),
    _negatives(LAYOUT),
    Goal("all views of a decoded 1024x768 picture", 2.5, " ms", _cost("hash_ms"),
         beside=lambda results: {"hashes": _cost("hashes")(results)}),
    Goal("search of all views, 1 M entries", 1.5, " ms", _search_cost,
         beside=lambda results: {"within the review distance": _cost("search_review_ms")(results)}),
)  # fmt: skip
"""The goals of robustness, in the order of reports."""


def check(results: Any) -> list[Checked]:
    """Hold a run, as ``bench robustness --json`` prints it, against every goal."""
    return goals.check(results, GOALS)
