"""Addresses of images in JSON-LD (pure).

Source
------
JSON-LD 1.1, 9 (embedding in HTML); https://schema.org/image, ``thumbnailUrl``, ``contentUrl``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

MAX_CHARS = 1 << 20
MAX_DEPTH = 32
"""Objects and lists inside each other; what sites embed has less than ten."""
_IMAGES = frozenset({"image", "thumbnailUrl", "contentUrl", "thumbnail", "logo", "primaryImageOfPage", "photo"})
_ADDRESSES = ("url", "contentUrl", "@id", "thumbnailUrl")


def images(text: str) -> Iterator[str]:
    """Yield the addresses that a script of JSON-LD gives for images, in their order.

    Parameters
    ----------
    text : str
        Nothing is read of one longer than :data:`MAX_CHARS`, nor of what is not JSON.

    """
    if len(text) > MAX_CHARS:
        return
    try:
        tree: Any = json.loads(text.strip().strip(";"))
    except (ValueError, RecursionError):
        return
    stack: list[tuple[Any, bool, int]] = [(tree, False, 0)]
    while stack:
        node, is_image, depth = stack.pop()
        if isinstance(node, str):
            if is_image and node:
                yield node
        elif depth < MAX_DEPTH and isinstance(node, list):
            stack.extend((item, is_image, depth + 1) for item in reversed(node))
        elif depth < MAX_DEPTH and isinstance(node, dict):
            if is_image:
                first = next((node[key] for key in _ADDRESSES if isinstance(node.get(key), str)), None)
                if first:
                    yield first
            inner = [
                (value, key in _IMAGES, depth + 1)
                for key, value in node.items()
                if key not in _ADDRESSES or not is_image
            ]
            stack.extend(reversed(inner))
